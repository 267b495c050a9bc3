import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveVariables, SecretText, unwrap, VariableCycle, VariablesTooLarge } from '../../src/templates/index.ts';
import type { Variables } from '../../src/templates/index.ts';
import { refused, rendered } from './rendering.ts';

const resolved = (variables: Variables, overrides?: Record<string, string | SecretText>) =>
  unwrap(resolveVariables(variables, overrides === undefined ? {} : { overrides }));

const valueIn = (variables: Variables, key: string, overrides?: Record<string, string>) =>
  resolved(variables, overrides).get(key);

describe('references between variables', () => {
  it.each([
    ['one', { A: '{{B}}/x', B: 'b' }, 'b/x'],
    ['a chain', { A: '{{B}}', B: '{{C}}', C: 'c' }, 'c'],
    ['the same twice', { A: '{{B}}{{B}}', B: 'b' }, 'bb'],
    ['a diamond', { A: '{{B}}{{C}}', B: '{{D}}1', C: '{{D}}2', D: 'd' }, 'd1d2'],
    ['spaces and raw', { A: '{{ B | raw }}', B: 'b' }, 'b'],
    ['a default, not needed', { A: '{{B:-x}}', B: 'b' }, 'b'],
    ['a default for what is missing', { A: '{{B:-x}}' }, 'x'],
    ['a default for what is empty', { A: '{{B:-x}}', B: '' }, 'x'],
    ['an escape', { A: String.raw`\{{B}}`, B: 'b' }, '{{B}}'],
    ['text that looks like one only after it was put together', { A: '{{B}}C}}', B: '{', C: 'c' }, '{C}}'],
    ['malformed braces', { A: '{{ ? }}' }, '{{ ? }}'],
    ['keys of Object.prototype', { A: '{{constructor}}', constructor: 'own' }, 'own'],
  ])('are followed: %s', (_, variables, value) => {
    expect(valueIn(variables as Record<string, string>, 'A')).toBe(value);
  });

  it('do not find what a record inherits', () => {
    const inherited = Object.create({ B: 'inherited' }) as Record<string, string>;
    inherited['A'] = '{{B:-nothing}} {{toString:-nothing}} {{__proto__:-nothing}}';
    expect(valueIn(inherited, 'A')).toBe('nothing nothing nothing');
  });

  it('find a variable named __proto__', () => {
    const record = JSON.parse('{"A":"{{__proto__}}","__proto__":"own"}') as Record<string, string>;
    expect(valueIn(record, 'A')).toBe('own');
    expect(valueIn([{ key: '__proto__', value: 'own' }], '__proto__')).toBe('own');
    expect(JSON.stringify(resolved(record))).toBe('{"A":"own","__proto__":"own"}');
  });

  it('are not looked for again in what a reference brought in', () => {
    const variables = { A: '{{B}}', B: '{{C}}', C: String.raw`\{{D}}`, D: 'never' };
    expect(valueIn(variables, 'A')).toBe('{{D}}');
    expect(rendered('{{A}}', variables)).toBe('{{D}}');
  });

  it('are an error that names the circle', () => {
    const cases: [Record<string, string>, string[]][] = [
      [{ A: '{{A}}' }, ['A', 'A']],
      [{ A: '{{B}}', B: '{{A}}' }, ['A', 'B', 'A']],
      [{ START: 'x{{A}}', A: '{{B}}', B: '{{C}}', C: '{{OTHER}}{{A}}', OTHER: 'o' }, ['A', 'B', 'C', 'A']],
      [{ A: '{{A:-default}}' }, ['A', 'A']],
    ];
    for (const [variables, path] of cases) {
      const error = resolveVariables(variables)._unsafeUnwrapErr();
      expect(error).toBeInstanceOf(VariableCycle);
      expect(error).toMatchObject({ code: 'variable_cycle', path });
      expect(error.message).toContain(path.join(' → '));
    }
  });

  it('call a circle a circle, however long it is', () => {
    const circle = Object.fromEntries(
      Array.from({ length: 5000 }, (_, index) => [`V${index}`, `{{V${(index + 1) % 5000}}}`]),
    );
    expect(resolveVariables(circle)._unsafeUnwrapErr()).toMatchObject({ code: 'variable_cycle' });
  });

  it('may be 16 deep, and no deeper', () => {
    const chain = (length: number) =>
      Object.fromEntries(
        Array.from({ length: length + 1 }, (_, index) => [`V${index}`, index === length ? 'end' : `{{V${index + 1}}}`]),
      );
    expect(valueIn(chain(16), 'V0')).toBe('end');
    const error = resolveVariables(chain(17))._unsafeUnwrapErr();
    expect(error).toBeInstanceOf(VariablesTooLarge);
    expect(error).toMatchObject({ code: 'variables_too_large', limit: 'depth', maximum: 16, key: 'V0' });
    // As long as there are variables, without running out of stack.
    expect(resolveVariables(chain(20_000))._unsafeUnwrapErr()).toMatchObject({ limit: 'depth' });
  });

  it('give the same whatever order the variables are in', () => {
    const variables = [
      { key: 'A', value: '{{B}}-{{C}}' },
      { key: 'B', value: '{{C}}{{D:-d}}' },
      { key: 'C', value: 'c{{E}}' },
      { key: 'E', value: 'ü' },
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(variables, { minLength: variables.length }), (shuffled) => {
        expect(valueIn(shuffled, 'A')).toBe('cüd-cü');
        expect(resolved(shuffled).keys()).toEqual(shuffled.map(({ key }) => key));
      }),
    );
  });
});

describe('a reference to something missing', () => {
  const variables = { URL: 'https://{{HOST}}/{{PATH}}', VIA: '{{URL}}!' };

  it('is no error as long as nobody asks', () => {
    expect(rendered('{{OTHER}}', { ...variables, OTHER: 'fine' })).toBe('fine');
    expect(resolved(variables).get('URL')).toBe('https://{{HOST}}/{{PATH}}');
  });

  it('is an error for a template that uses it, with the way to it', () => {
    expect(refused('see {{VIA}}', variables)).toMatchObject({
      code: 'missing_variable',
      key: 'HOST',
      offset: 4,
      path: ['VIA', 'URL', 'HOST'],
    });
  });

  it('is kept or left empty as a slot of the template would be', () => {
    expect(rendered('{{VIA}}', variables, { missing: 'keep' })).toBe('https://{{HOST}}/{{PATH}}!');
    expect(rendered('{{VIA}}', variables, { missing: 'empty' })).toBe('https:///!');
  });

  it('is cured by an override', () => {
    expect(valueIn(variables, 'VIA', { HOST: 'h', PATH: 'p' })).toBe('https://h/p!');
  });

  it('is said of a dynamic variable too: a snapshot has nothing dynamic in it', () => {
    expect(refused('{{ID}}', { ID: 'req-{{$uuid}}' })).toMatchObject({ key: '$uuid', path: ['ID', '$uuid'] });
  });
});

describe('overrides', () => {
  it('take the place of stored values, also inside of others', () => {
    expect(valueIn({ A: '{{B}}/a', B: 'stored' }, 'A', { B: 'given' })).toBe('given/a');
  });

  it('add variables, listed last', () => {
    const both = resolved({ A: 'a', B: 'b' }, { C: 'c', A: 'x' });
    expect(both.keys()).toEqual(['A', 'B', 'C']);
    expect(both.size).toBe(3);
    expect(both.has('C')).toBe(true);
    expect(both.has('D')).toBe(false);
  });

  it('are taken as they are, so that a caller cannot reach other variables through them', () => {
    const stored = { GREETING: 'Hello {{NAME}}', TOKEN: 'hunter2' };
    expect(valueIn(stored, 'GREETING', { NAME: '{{TOKEN}}' })).toBe('Hello {{TOKEN}}');
    expect(unwrap(resolveVariables(stored, { overrides: { NAME: '{{NAME}}' } })).get('NAME')).toBe('{{NAME}}');
  });
});

describe('secrecy', () => {
  const variables = [
    { key: 'TOKEN', value: 'hunter2', sensitive: true },
    { key: 'WRAPPED', value: new SecretText('wrapped') },
    { key: 'HEADER', value: 'Bearer {{TOKEN}}' },
    { key: 'FAR', value: '<{{HEADER}}>' },
    { key: 'PLAIN', value: 'plain {{OTHER:-{TOKEN}}}' },
  ];

  it('follows references', () => {
    const snapshot = resolved(variables);
    const secret = variables.map(({ key }) => [key, snapshot.isSecret(key)]);
    expect(Object.fromEntries(secret)).toEqual({ TOKEN: true, WRAPPED: true, HEADER: true, FAR: true, PLAIN: false });
    expect(snapshot.isSecret('NOBODY')).toBe(false);
  });

  it('keeps a value out of sight, and gives it to who asks', () => {
    const snapshot = resolved(variables);
    const shown = [
      JSON.stringify(snapshot),
      inspect(snapshot, { showHidden: true, depth: 9 }),
      String(snapshot.get('FAR')),
      inspect(snapshot.get('FAR')),
    ];
    expect(shown.join()).not.toMatch(/hunter2|wrapped/);
    expect(JSON.parse(JSON.stringify(snapshot))).toMatchObject({ TOKEN: '***', FAR: '***', PLAIN: 'plain {TOKEN}' });
    expect((snapshot.get('FAR') as SecretText).reveal()).toBe('<Bearer hunter2>');
    expect(snapshot.get('PLAIN')).toBe('plain {TOKEN}');
    expect(snapshot.get('NOBODY')).toBeUndefined();
  });

  it('stays with a sensitive variable that is overridden, and comes with a secret override', () => {
    expect(resolved(variables, { TOKEN: 'given' }).isSecret('HEADER')).toBe(true);
    expect(resolved({ A: '{{B}}', B: 'b' }, { B: new SecretText('s') }).isSecret('A')).toBe(true);
    expect(resolved({ A: '{{B}}', B: 'b' }, { B: 'open' }).isSecret('A')).toBe(false);
  });
});

describe('a snapshot', () => {
  it('does not change with what it was made of', () => {
    const variables = [{ key: 'A', value: 'before' }];
    const overrides: Record<string, string> = { B: 'before' };
    const snapshot = unwrap(resolveVariables(variables, { overrides }));
    variables[0]!.value = 'after';
    overrides['B'] = 'after';
    expect([snapshot.get('A'), snapshot.get('B')]).toEqual(['before', 'before']);
  });

  it('cannot be changed', () => {
    const snapshot = resolved({ A: 'a' });
    expect(Object.isFrozen(snapshot)).toBe(true);
    snapshot.keys().push('B');
    expect(snapshot.keys()).toEqual(['A']);
  });
});

describe('sizes', () => {
  it('of all values together may be 1 MiB of UTF-8, and no more', () => {
    expect(resolved({ A: 'x'.repeat(1_048_570), B: 'ü'.repeat(3) }).size).toBe(2);
    expect(resolveVariables({ A: 'x'.repeat(1_048_571), B: 'ü'.repeat(3) })._unsafeUnwrapErr()).toMatchObject({
      code: 'variables_too_large',
      limit: 'bytes',
      maximum: 1_048_576,
      key: 'B',
    });
  });

  it('count what references bring in', () => {
    const half = 'x'.repeat(500_000);
    expect(resolved({ A: '{{B}}', B: half }).size).toBe(2);
    expect(resolveVariables({ A: '{{B}}', C: '{{B}}', B: half })._unsafeUnwrapErr()).toMatchObject({ limit: 'bytes' });
  });

  it('are exact for every mixture of references, defaults and gaps', () => {
    // The sum of what was built is what was counted: one byte less of room, and it is refused.
    const filler = (bytes: number) => ({ FILLER: 'x'.repeat(bytes) });
    const sets: Record<string, string>[] = [
      { A: '{{B}}é{{C:-ü}}', B: '€{{D:-}}' },
      { A: '{{B}}{{B}}', B: '[{{MISSING}}]' },
      { A: '{{B:-x}}', B: '', C: '{{A}}{{A}}' },
    ];
    for (const set of sets) {
      const snapshot = resolved(set);
      const texts = snapshot.keys().map((key) => snapshot.get(key) as string);
      const emptied = snapshot.keys().map((key) => rendered(`{{${key}}}`, set, { missing: 'empty' }));
      const built = [...texts, ...emptied.filter((text, index) => text !== texts[index])];
      const bytes = built.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      expect(resolveVariables({ ...set, ...filler(1_048_576 - bytes) }).isOk()).toBe(true);
      expect(resolveVariables({ ...set, ...filler(1_048_577 - bytes) }).isErr()).toBe(true);
    }
  });

  it('of a hundred variables that refer to one another take no time', () => {
    const variables = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [
        `V${index}`,
        index < 10 ? 'x'.repeat(100) : `{{V${index % 10}}} and {{V${(index + 1) % 10}}}`,
      ]),
    );
    const start = performance.now();
    for (let round = 0; round < 100; round++) resolved(variables);
    expect((performance.now() - start) / 100).toBeLessThan(150);
  });

  it('of very many variables are found in linear time', () => {
    const many = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, index) => [`V${index}`, index % 2 === 0 ? 'x' : `{{V${index - 1}}}`]),
    );
    const start = performance.now();
    expect(resolved(many).get('V49999')).toBe('x');
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

describe('what is no set of variables', () => {
  it.each([
    ['null', null, 'variables'],
    ['a text', 'A=b', 'variables'],
    ['a list with null', [null], 'variables[0]'],
    ['a list with a hole', Array.from({ length: 1 }), 'variables[0]'],
    ['no key', [{ value: 'a' }], 'variables[0].key'],
    ['a key with spaces', [{ key: 'a b', value: 'a' }], 'variables[0].key'],
    ['an empty key', [{ key: '', value: 'a' }], 'variables[0].key'],
    ['a long key', [{ key: 'x'.repeat(257), value: 'a' }], 'variables[0].key'],
    ['a dynamic key', { $uuid: 'mine' }, 'variables.$uuid.key'],
    [
      'the same key twice',
      [
        { key: 'A', value: 'a' },
        { key: 'A', value: 'b' },
      ],
      'variables[1].key',
    ],
    ['a number', { A: 1 }, 'variables.A.value'],
    ['a missing value', [{ key: 'A' }], 'variables[0].value'],
    ['a lone surrogate', { A: '\ud800' }, 'variables.A.value'],
    ['a secret lone surrogate', { A: new SecretText('\udfff') }, 'variables.A.value'],
    ['sensitive that is no boolean', [{ key: 'A', value: 'a', sensitive: 'yes' }], 'variables[0].sensitive'],
  ])('is invalid_input: %s', (_, variables, path) => {
    const error = resolveVariables(variables as never)._unsafeUnwrapErr();
    expect(error).toMatchObject({ code: 'invalid_input', issues: [{ path }] });
  });

  it.each([
    ['no record', { overrides: 7 }, 'options.overrides'],
    ['null', { overrides: null }, 'options.overrides'],
    ['a bad key', { overrides: { 'a b': 'x' } }, 'options.overrides.a b'],
    ['a bad value', { overrides: { A: 7 } }, 'options.overrides.A'],
    ['options that are none', 'overrides', 'options'],
  ])('is invalid_input in the overrides: %s', (_, options, path) => {
    expect(resolveVariables({}, options as never)._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path }],
    });
  });

  it('is not repeated in the error', () => {
    const error = resolveVariables([{ key: 'A', value: 'hunter2\ud800' }])._unsafeUnwrapErr();
    expect(JSON.stringify(error) + inspect(error)).not.toContain('hunter2');
  });
});
