import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { compile, isVivariumError, render, resolveVariables, SecretText, unwrap } from '../../src/templates/index.ts';
import type { RenderOptions } from '../../src/templates/index.ts';
import { refused, rendered } from './rendering.ts';

const some = unwrap(resolveVariables({ NAME: 'Ada', EMPTY: '' }));

describe('a missing variable', () => {
  it('is an error that names the key and where it stands', () => {
    const error = refused('Hello {{NAME}} and {{NOBODY}}', { NAME: 'Ada' });
    expect(error).toMatchObject({ code: 'missing_variable', key: 'NOBODY', offset: 19, at: '', path: ['NOBODY'] });
    expect(error.message).toBe('the variable "NOBODY" (at offset 19) has no value');
  });

  it('is named with all others that the template lacks, each once', () => {
    const variables = { NAME: 'Ada', EMPTY: '', URL: 'https://{{HOST}}:{{PORT}}/', DEEP: '{{URL}}' };
    const source = '{{A}} {{NAME}} {{B:-b}} {{URL}} {{$uuid}} {{$own}} {{$nobody}} {{A}} {{EMPTY}} {{DEEP}} {{HOST}}';
    const error = refused(source, variables, { dynamic: { $own: () => 'x' } });
    expect(error).toMatchObject({
      code: 'missing_variable',
      key: 'A',
      offset: 0,
      path: ['A'],
      others: [
        { key: 'HOST', offset: 24, at: '', path: ['URL', 'HOST'] },
        { key: 'PORT', offset: 24, at: '', path: ['URL', 'PORT'] },
        { key: '$nobody', offset: 51, at: '', path: ['$nobody'] },
      ],
    });
    expect(error.message).toBe(
      'the variables "A" (at offset 0), "HOST" (at offset 24, through URL → HOST), "PORT" (at offset 24, through URL → PORT) ' +
        'and "$nobody" (at offset 51) have no value',
    );
    expect(refused('{{A}}{{B}}').message).toBe('the variables "A" (at offset 0) and "B" (at offset 5) have no value');
    expect(refused('{{URL}}', variables).message).toBe(
      'the variables "HOST" (at offset 0, through URL → HOST) and "PORT" (at offset 0, through URL → PORT) have no value',
    );
    const eight = refused('{{A}}{{B}}{{C}}{{D}}{{E}}{{F}}{{G}}{{H}}').message;
    expect(eight).toMatch(/"E" \(at offset 20\) and 3 more have no value$/);
  });

  it('is kept or left empty on request, and listed once', () => {
    const template = unwrap(compile('{{A}}-{{NAME}}-{{ B|raw }}-{{A}}'));
    expect(unwrap(template.render(some, { missing: 'keep' }))).toMatchObject({
      text: '{{A}}-Ada-{{ B|raw }}-{{A}}',
      missing: ['A', 'B'],
      used: ['NAME'],
    });
    expect(unwrap(template.render(some, { missing: 'empty' }))).toMatchObject({
      text: '-Ada--',
      missing: ['A', 'B'],
      used: ['NAME'],
    });
  });

  it('with a default is neither missing nor used', () => {
    expect(unwrap(render('{{A:-x}}{{NAME}}', some, { missing: 'keep' }))).toMatchObject({
      text: 'xAda',
      missing: [],
      used: ['NAME'],
    });
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'])(
    'is missing although every object has a %s',
    (key) => {
      expect(refused(`{{${key}}}`, {})).toMatchObject({ code: 'missing_variable', key });
    },
  );

  it('is an unknown dynamic variable, too', () => {
    expect(refused('{{$nope}}')).toMatchObject({ code: 'missing_variable', key: '$nope' });
    expect(rendered('{{$nope}}', {}, { missing: 'keep' })).toBe('{{$nope}}');
  });
});

describe('what was rendered', () => {
  const variables = unwrap(
    resolveVariables([
      { key: 'OPEN', value: 'open' },
      { key: 'TOKEN', value: 'hunter2', sensitive: true },
      { key: 'HEADER', value: 'Bearer {{TOKEN}}' },
    ]),
  );

  it.each([
    ['{{OPEN}}', false],
    ['{{TOKEN}}', true],
    ['{{HEADER}}', true],
    ['{{OPEN}}{{HEADER}}{{OPEN}}', true],
    ['no slot', false],
    [String.raw`\{{TOKEN}}`, false],
  ])('says whether something sensitive is in it: %s', (source, secret) => {
    // Twice: the second time, the forms of the values are known.
    for (const context of ['text', 'json', 'header', 'text', 'form'] as const) {
      const json = context === 'json' ? `"${source}"` : source;
      expect(unwrap(render(json, variables, { context })).secret).toBe(secret);
    }
  });

  it('lists what was used, each key once and in order', () => {
    expect(unwrap(render('{{TOKEN}}{{OPEN}}{{TOKEN}}{{$uuid}}', variables)).used).toEqual(['TOKEN', 'OPEN', '$uuid']);
  });

  it('tells what was left as text', () => {
    expect(unwrap(render('{{OPEN}} {{ a b }}', variables)).diagnostics).toMatchObject([
      { code: 'malformed_name', offset: 9 },
    ]);
  });

  it('is the same when it is rendered again, with the same or with other variables', () => {
    const template = unwrap(compile('{{A}}/{{B}}', { context: 'url' }));
    const first = unwrap(resolveVariables({ A: 'https://a', B: 'x y' }));
    const second = unwrap(resolveVariables({ UNUSED: '', B: 'z', A: 'https://other' }));
    for (const _ of [1, 2, 3]) {
      expect(unwrap(template.render(first)).text).toBe('https://a/x%20y');
      expect(unwrap(template.render(second)).text).toBe('https://other/z');
      expect(template.render(unwrap(resolveVariables({ B: 'z' }))).isErr()).toBe(true);
      expect(template.render(unwrap(resolveVariables({ B: 'z', A: 'no' }))).isErr()).toBe(true);
    }
  });

  it('cannot be reached by whoever changes what came back', () => {
    const rendering = unwrap(render('{{OPEN}}', variables));
    expect(() => (rendering.used as string[]).push('x')).toThrow();
    expect(() => (rendering.missing as string[]).push('x')).toThrow();
    expect(unwrap(render('{{OPEN}}', variables))).toMatchObject({ used: ['OPEN'], missing: [] });
  });
});

describe('dynamic variables', () => {
  const at = new Date('2026-11-21T09:00:00.250Z');
  let counter = 0;
  const dynamic = {
    clock: { now: () => at },
    random: { next: () => 0.5 },
    ids: { next: () => `id-${counter++}` },
    $traceId: () => `trace-${counter++}`,
    $secret: () => new SecretText('hidden'),
  };

  it('come from the ports', () => {
    expect(rendered('{{$timestamp}} {{ $isoTimestamp }} {{$randomInt}}', {}, { dynamic })).toBe(
      '1795251600 2026-11-21T09:00:00.250Z 500',
    );
    expect(rendered('{{$randomInt}}', {}, { dynamic: { random: { next: () => 0 } } })).toBe('0');
    expect(rendered('{{$randomInt}}', {}, { dynamic: { random: { next: () => 1 - 2 ** -53 } } })).toBe('1000');
  });

  it('are fresh in every slot and every rendering', () => {
    counter = 0;
    const template = unwrap(compile('{{$uuid}} {{$uuid}} {{$traceId}}'));
    expect(unwrap(template.render(some, { dynamic })).text).toBe('id-0 id-1 trace-2');
    expect(unwrap(template.render(some, { dynamic })).text).toBe('id-3 id-4 trace-5');
  });

  it('come from the machine where no port is given', () => {
    const before = Math.floor(Date.now() / 1000);
    const [uuid, other, timestamp, iso, int] = rendered(
      '{{$uuid}} {{$uuid}} {{$timestamp}} {{$isoTimestamp}} {{$randomInt}}',
    ).split(' ');
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(other).not.toBe(uuid);
    expect(Number(timestamp)).toBeGreaterThanOrEqual(before);
    expect(new Date(iso!).toISOString()).toBe(iso);
    expect(Number(int)).toBeLessThanOrEqual(1000);
  });

  it('are encoded for their place, and never read as templates', () => {
    const options = { dynamic: { $x: () => 'a b{{NAME}}"' } };
    expect(unwrap(render('https://h/{{$x}}', some, { ...options, context: 'url' })).text).toBe(
      'https://h/a%20b%7B%7BNAME%7D%7D%22',
    );
    expect(unwrap(render('"{{$x}}"', some, { ...options, context: 'json' })).text).toBe('"a b{{NAME}}\\""');
    expect(unwrap(render('{{$x}}', some, options)).text).toBe('a b{{NAME}}"');
  });

  it('can be secret, and then make the text so', () => {
    expect(unwrap(render('{{$secret}}', some, { dynamic }))).toMatchObject({ text: 'hidden', secret: true });
    expect(unwrap(render('{{$traceId}}', some, { dynamic })).secret).toBe(false);
  });

  it('cannot be shadowed', () => {
    expect(resolveVariables({ $uuid: 'mine' }).isErr()).toBe(true);
    expect(refused('{{$uuid}}', {}, { dynamic: { $uuid: () => 'mine' } })).toMatchObject({
      issues: [{ path: 'options.dynamic.$uuid' }],
    });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('hunter2');
      },
    ],
    ['returns a number', () => 7 as never],
    ['returns nothing', () => undefined as never],
    ['returns a promise', () => Promise.resolve('x') as never],
    ['returns a lone surrogate', () => '\ud800'],
  ])('is invalid_input when it %s', (_, $x) => {
    const error = refused('{{$x}}', {}, { dynamic: { $x } });
    expect(error).toMatchObject({ code: 'invalid_input', issues: [{ path: 'options.dynamic.$x' }] });
    expect(inspect(error)).not.toContain('hunter2');
  });
});

describe('the output', () => {
  it.each([
    ['ascii', 'x', 1],
    ['two bytes', 'é', 2],
    ['three bytes', '€', 3],
    ['four bytes', '😀', 4],
  ])('may be maxBytes of UTF-8 long, and no longer: %s', (_, character, bytes) => {
    const variables = { X: character.repeat(100) };
    for (const source of ['{{X}}', `{{NONE:-${character.repeat(100)}}}`, character.repeat(100)]) {
      expect(rendered(source, variables, { maxBytes: bytes * 100 })).toBe(variables.X);
      expect(refused(source, variables, { maxBytes: bytes * 100 - 1 })).toMatchObject({
        code: 'output_too_large',
        maximum: bytes * 100 - 1,
      });
    }
  });

  it('is at most 1 MiB by default', () => {
    const variables = { X: 'x'.repeat(524_288) };
    expect(rendered('{{X}}{{X}}', variables)).toHaveLength(1_048_576);
    expect(refused('{{X}}{{X}}.', variables)).toMatchObject({ code: 'output_too_large', maximum: 1_048_576 });
  });

  it('that would be huge ends early', () => {
    const source = '{{X}}'.repeat(100_000);
    const variables = unwrap(resolveVariables({ X: 'x'.repeat(1_000_000) }));
    for (const _ of [1, 2]) {
      const start = performance.now();
      expect(render(source, variables)._unsafeUnwrapErr().code).toBe('output_too_large');
      expect(performance.now() - start).toBeLessThan(15_000);
    }
  });

  it('counts what encoding adds', () => {
    expect(refused('https://h/{{X}}', { X: '€€' }, { context: 'url', maxBytes: 27 })).toMatchObject({
      code: 'output_too_large',
    });
    expect(rendered('https://h/{{X}}', { X: '€€' }, { context: 'url', maxBytes: 28 })).toBe(
      'https://h/%E2%82%AC%E2%82%AC',
    );
  });
});

describe('arguments that are none', () => {
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error('hunter2');
      },
      ownKeys: () => {
        throw new Error('hunter2');
      },
    },
  );
  const throwing = {
    get missing(): never {
      throw new Error('hunter2');
    },
    get context(): never {
      throw new Error('hunter2');
    },
  };

  it.each([undefined, null, 7, {}, [], Symbol('x'), () => 'x', new String('x')])(
    'are invalid_input as a source: %s',
    (source) => {
      for (const result of [compile(source as never), render(source as never, some)]) {
        expect(result._unsafeUnwrapErr()).toMatchObject({ code: 'invalid_input', issues: [{ path: 'source' }] });
      }
    },
  );

  it('are invalid_input as a source: a lone surrogate', () => {
    expect(compile('a\ud800')._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path: 'source' }],
    });
  });

  it.each([undefined, null, 7, {}, { NAME: 'Ada' }, Object.create(some), hostile])(
    'are invalid_input as resolved variables: case %#',
    (resolved) => {
      expect(render('{{NAME}}', resolved as never)._unsafeUnwrapErr()).toMatchObject({
        code: 'invalid_input',
        issues: [{ path: 'resolved' }],
      });
    },
  );

  it.each([
    [null, 'options'],
    ['keep', 'options'],
    [{ missing: 'ignore' }, 'options.missing'],
    [{ maxBytes: -1 }, 'options.maxBytes'],
    [{ maxBytes: 1.5 }, 'options.maxBytes'],
    [{ maxBytes: '9' }, 'options.maxBytes'],
    [{ maxBytes: Number.NaN }, 'options.maxBytes'],
    [{ dynamic: null }, 'options.dynamic'],
    [{ dynamic: { $x: 'text' } }, 'options.dynamic.$x'],
    [{ dynamic: { x: () => 'x' } }, 'options.dynamic.x'],
    [{ dynamic: { '$a b': () => 'x' } }, 'options.dynamic.$a b'],
    [hostile, 'options'],
    [throwing, 'options'],
  ])('are invalid_input as options: case %#', (options, path) => {
    const error = unwrap(compile('{{NAME}}'))
      .render(some, options as RenderOptions)
      ._unsafeUnwrapErr();
    expect(error).toMatchObject({ code: 'invalid_input', issues: [{ path }] });
    expect(isVivariumError(error)).toBe(true);
    expect(inspect(error)).not.toContain('hunter2');
  });

  it.each([
    [null],
    ['url'],
    [{ context: 'html' }],
    [{ context: '__proto__' }],
    [{ context: 7 }],
    [hostile],
    [throwing],
  ])('are invalid_input as options of compile: case %#', (options) => {
    expect(compile('x', options as never)._unsafeUnwrapErr().code).toBe('invalid_input');
  });

  it.each([{ clock: {} }, { clock: { now: () => new Date(Number.NaN) } }, { ids: { next: () => 7 } }, { random: 5 }])(
    'are invalid_input as ports, once they are used: case %#',
    (dynamic) => {
      const result = render('{{$isoTimestamp}}{{$uuid}}{{$randomInt}}', some, { dynamic: dynamic as never });
      expect(result._unsafeUnwrapErr().code).toBe('invalid_input');
    },
  );
});
