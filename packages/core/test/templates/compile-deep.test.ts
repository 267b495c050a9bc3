import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { compileDeep, renderDeep, resolveVariables, unwrap } from '../../src/templates/index.ts';
import type { RenderOptions } from '../../src/templates/index.ts';
import { snapshotOf } from '../../src/templates/variables.ts';

const variables = {
  NAME: 'Ada "the first"',
  EMPTY: '',
  GAP: 'x {{NOPE}}',
  LONG: 'é'.repeat(50),
};
const resolve = () =>
  unwrap(
    resolveVariables([
      ...Object.entries(variables).map(([key, value]) => ({ key, value })),
      { key: 'TOKEN', value: 'hunter2', sensitive: true },
    ]),
  );

/** Everything that can be seen of a result. */
const seen = (result: ReturnType<typeof renderDeep>) =>
  result.match(
    ({ value, ...rest }) => ({
      value: JSON.stringify(value),
      keys: JSON.stringify(rest),
      undefined: value === undefined,
    }),
    (error) => ({ error: error.toJSON() }),
  );

const text = fc
  .array(
    fc.constantFrom(
      '{{NAME}}',
      '{{NOPE:-x}}',
      '{{NOPE}}',
      '{{',
      '}}',
      'plain',
      '\\',
      '{{TOKEN|raw}}',
      '"',
      '{{ ? }}',
      '{{EMPTY:-e}}',
      '{{GAP}}',
      '{{LONG}}',
      '{{$own}}',
    ),
    { maxLength: 3 },
  )
  .map((parts) => parts.join(''));
const key = fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('__proto__', 'constructor', '1', '0', 'a.b'));
const tree = fc.letrec((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.constantFrom(7, true, null, undefined),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(key, tie('node'), { maxKeys: 4 }),
  ),
})).node;
const options = fc.record({
  missing: fc.constantFrom('error' as const, 'keep' as const, 'empty' as const),
  maxBytes: fc.constantFrom(0, 10, 60, 1_000, undefined),
});

describe('a compiled deep value', () => {
  it('is rendered as renderDeep renders the value, the first time and again', () => {
    fc.assert(
      fc.property(tree, fc.array(options, { minLength: 1, maxLength: 4 }), (value, calls) => {
        const handle = unwrap(compileDeep(value));
        const [once, each] = [resolve(), resolve()];
        for (const call of calls) {
          const full: RenderOptions = { ...call, dynamic: { $own: () => 'mine' } };
          expect(seen(handle.render(once, full))).toEqual(seen(renderDeep(value, each, full)));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('is rendered with what each set of variables has', () => {
    const handle = unwrap(compileDeep({ url: '{{URL}}/x', items: [{ id: '{{ID}}', n: 1 }, 'plain'] }));
    const [a, b] = ['a', 'b'].map((name) => unwrap(resolveVariables({ URL: `https://${name}`, ID: name })));
    for (const [set, name] of [
      [a, 'a'],
      [b, 'b'],
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      expect(unwrap(handle.render(set!)).value).toEqual({
        url: `https://${name}/x`,
        items: [{ id: name, n: 1 }, 'plain'],
      });
    }
  });

  it('gives copies that share nothing, with the value or with each other', () => {
    const value = { list: [{ name: '{{NAME}}', n: 1 }], plain: { text: 'x' } };
    const handle = unwrap(compileDeep(value));
    const resolved = resolve();
    const first = unwrap(handle.render(resolved)).value;
    value.list.push({ name: 'later', n: 2 });
    value.plain.text = 'later';
    first.list[0]!.name = 'changed';
    first.list.push({ name: 'more', n: 3 });
    first.plain.text = 'changed';
    const expected = { list: [{ name: variables.NAME, n: 1 }], plain: { text: 'x' } };
    expect(unwrap(handle.render(resolved)).value).toEqual(expected);
    expect(unwrap(handle.render(resolve())).value).toEqual(expected);
  });

  it('has fresh dynamic variables each time', () => {
    const handle = unwrap(compileDeep(['{{$uuid}}', '{{$uuid}} {{NAME}}']));
    const resolved = resolve();
    const ids = [1, 2, 3].flatMap(() => unwrap(handle.render(resolved)).value.map((id) => id.slice(0, 36)));
    expect(new Set(ids).size).toBe(6);
  });

  it('knows what was left as text before it is rendered', () => {
    const handle = unwrap(compileDeep({ c: { d: 'x {{ ? }}' } }));
    expect(handle.diagnostics).toMatchObject([{ code: 'malformed_name', offset: 2, at: 'c.d' }]);
    expect(unwrap(handle.render(resolve())).diagnostics).toEqual(handle.diagnostics);
  });

  it('leaves in the variables how its slots were filled, and no output; nothing where there is no room', () => {
    const handle = unwrap(compileDeep({ a: 'Hello {{NAME}}', b: 'plain' }));
    const resolved = resolve();
    unwrap(handle.render(resolved));
    const [filling] = snapshotOf(resolved)!.deepFillings.values();
    expect(filling!.texts).toEqual([['Hello ', variables.NAME]]);

    const large = unwrap(compileDeep(Array.from({ length: 600 }, () => `${'x'.repeat(1_700)}{{NAME}}`)));
    const options = { maxBytes: 2_000_000 };
    const other = resolve();
    const again = [1, 2].map(() => JSON.stringify(unwrap(large.render(other, options))));
    expect(snapshotOf(other)!.deepFillings.size).toBe(0);
    expect(again[0]).toBe(again[1]);
  });

  it('says where something is missing, however long the way is, without keeping all ways', () => {
    let value: unknown = Array.from({ length: 20_000 }, (_, index) => (index === 19_999 ? '{{NOPE}}' : 'x'));
    for (let level = 0; level < 50; level++) value = { ['k'.repeat(1_000)]: value };
    const handle = unwrap(compileDeep(value));
    const error = handle.render(resolve())._unsafeUnwrapErr();
    expect(error).toMatchObject({ code: 'missing_variable', at: expect.stringMatching(/^k{1000}\.k.*k\[19999\]$/) });
  });

  it.each([
    ['a date', { when: new Date(0) }, { code: 'invalid_input', issues: [{ path: 'when' }] }],
    ['a function', [() => 1], { code: 'invalid_input', issues: [{ path: '[0]' }] }],
    ['a lone surrogate', { t: ['{{NAME}}\ud800'] }, { code: 'invalid_input', issues: [{ path: 't[0]' }] }],
    ['a text that is too large', { t: `{{NAME}}${'x'.repeat(1_048_576)}` }, { code: 'template_too_large' }],
    [
      'a getter that throws',
      {
        get a(): never {
          throw new Error('no');
        },
      },
      { code: 'invalid_input', issues: [{ path: 'value' }] },
    ],
  ])('cannot be made of %s', (_what, value, expected) => {
    expect(compileDeep<unknown>(value)._unsafeUnwrapErr()).toMatchObject(expected);
  });

  it('cannot be made of what contains itself', () => {
    const circle: unknown[] = [];
    circle.push({ circle });
    expect(compileDeep(circle)._unsafeUnwrapErr()).toMatchObject({ code: 'invalid_input' });
  });

  it('refuses variables and options that are none', () => {
    const handle = unwrap(compileDeep({}));
    expect(handle.render({} as never)._unsafeUnwrapErr()).toMatchObject({ issues: [{ path: 'resolved' }] });
    expect(handle.render(resolve(), { missing: 'no' as never })._unsafeUnwrapErr()).toMatchObject({
      issues: [{ path: 'options.missing' }],
    });
  });
});
