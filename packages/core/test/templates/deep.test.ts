import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderDeep, resolveVariables, unwrap } from '../../src/templates/index.ts';
import type { RenderOptions } from '../../src/templates/index.ts';

const variables = unwrap(
  resolveVariables([
    { key: 'NAME', value: 'Ada "the first"' },
    { key: 'TOKEN', value: 'hunter2', sensitive: true },
    { key: 'BRACES', value: String.raw`\{{NAME}}` },
  ]),
);
const deep = <T>(value: T, options?: RenderOptions) => unwrap(renderDeep(value, variables, options));
const error = (value: unknown, options?: RenderOptions) => renderDeep(value, variables, options)._unsafeUnwrapErr();

describe('a deep value', () => {
  it('has every text in it rendered, and nothing else touched', () => {
    const value = {
      user: { name: '{{NAME}}', tags: ['a', '{{NAME}}!', ['{{BRACES}}']] },
      age: 36,
      admin: false,
      none: null,
      gone: undefined,
    };
    expect(deep(value).value).toEqual({
      user: { name: 'Ada "the first"', tags: ['a', 'Ada "the first"!', ['{{NAME}}']] },
      age: 36,
      admin: false,
      none: null,
      gone: undefined,
    });
  });

  it.each([
    ['{{NAME}}', 'Ada "the first"'],
    [7, 7],
    [null, null],
    [undefined, undefined],
    [true, true],
    [[], []],
    [{}, {}],
    [10n, 10n],
  ])('can be no object at all: case %#', (value, expected) => {
    expect(deep<unknown>(value).value).toEqual(expected);
  });

  it('keeps its keys as they are', () => {
    expect(deep({ '{{NAME}}': '{{NAME}}' }).value).toEqual({ '{{NAME}}': 'Ada "the first"' });
  });

  it('is copied: neither changed nor shared', () => {
    const value = { list: [{ text: '{{NAME}}' }], same: { plain: 'x' } };
    const before = structuredClone(value);
    const copy = deep(value).value;
    expect(value).toEqual(before);
    expect(copy.same).not.toBe(value.same);
    expect(copy.list).not.toBe(value.list);
    expect(copy.list[0]).not.toBe(value.list[0]);
    const frozen = Object.freeze({ list: Object.freeze(['{{NAME}}']) });
    expect(deep(frozen).value.list[0]).toBe('Ada "the first"');
  });

  it('keeps the order of its keys', () => {
    const value = { z: '{{NAME}}', a: 'x', m: { y: '{{NAME}}', b: 1 } };
    expect(JSON.stringify(Object.keys(deep(value).value))).toBe('["z","a","m"]');
  });

  it('may have keys named like parts of Object.prototype', () => {
    const value: unknown = JSON.parse('{"__proto__":{"polluted":"{{NAME}}"},"constructor":"{{NAME}}","toString":"x"}');
    const copy = deep(value).value as Record<string, unknown>;
    expect(JSON.stringify(copy)).toBe(
      '{"__proto__":{"polluted":"Ada \\"the first\\""},"constructor":"Ada \\"the first\\"","toString":"x"}',
    );
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(({} as { polluted?: string }).polluted).toBeUndefined();
  });

  it('does not take over what its prototype or a polluted Object.prototype has', () => {
    const bare = Object.assign(Object.create(null) as Record<string, string>, { a: '{{NAME}}' });
    expect(deep(bare).value).toEqual({ a: 'Ada "the first"' });
    Object.defineProperty(Object.prototype, 'polluted', {
      value: '{{NAME}}',
      enumerable: true,
      writable: true,
      configurable: true,
    });
    try {
      expect(Object.keys(deep({ a: 'x' }).value)).toEqual(['a']);
      expect(Object.hasOwn(deep({ a: 'x' }).value, 'polluted')).toBe(false);
    } finally {
      delete (Object.prototype as { polluted?: string }).polluted;
    }
  });

  it('may come from another realm', () => {
    expect(deep(runInNewContext('({ a: ["{{NAME}}"] })')).value).toEqual({ a: ['Ada "the first"'] });
  });

  it('tells what was used, missing, secret and left as text, all texts together', () => {
    const result = deep(
      { a: '{{TOKEN}}', b: ['{{NAME}} {{NOPE}}', '{{NAME}}{{NOPE}}'], c: { d: 'x {{ ? }}' } },
      { missing: 'keep' },
    );
    expect(result).toMatchObject({ secret: true, used: ['TOKEN', 'NAME'], missing: ['NOPE'] });
    expect(result.diagnostics).toMatchObject([{ code: 'malformed_name', offset: 2, at: 'c.d' }]);
    expect(deep({ a: 'x', b: '{{NAME}}' })).toMatchObject({
      secret: false,
      used: ['NAME'],
      missing: [],
      diagnostics: [],
    });
  });

  it('is what a text template gives, text by text', () => {
    const text = fc
      .array(fc.constantFrom('{{NAME}}', '{{NOPE:-x}}', '{{', '}}', 'plain', '\\', '{{TOKEN|raw}}', '"'))
      .map((parts) => parts.join(''));
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        text,
        fc.integer(),
        fc.constant(null),
        fc.array(tie('node'), { maxLength: 4 }),
        fc.dictionary(fc.string({ maxLength: 3 }), tie('node'), { maxKeys: 4 }),
      ),
    })).node;
    const expected = (value: unknown): unknown => {
      if (typeof value === 'string') return deep(value, { missing: 'keep' }).value;
      if (Array.isArray(value)) return value.map(expected);
      if (typeof value !== 'object' || value === null) return value;
      return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, expected(part)]));
    };
    fc.assert(
      fc.property(tree, (value) => {
        expect(JSON.stringify(deep(value, { missing: 'keep' }).value)).toBe(JSON.stringify(expected(value)));
      }),
    );
  });
});

describe('a deep value is refused', () => {
  it.each([
    [
      'a missing variable',
      { items: [{}, { name: 'Hi {{NOPE}}' }] },
      { code: 'missing_variable', key: 'NOPE', offset: 3, at: 'items[1].name' },
    ],
    ['at the root', '{{NOPE}}', { code: 'missing_variable', at: '' }],
    ['in a list', ['{{NOPE}}'], { code: 'missing_variable', at: '[0]' }],
    ['a date', { when: new Date(0) }, { code: 'invalid_input', issues: [{ path: 'when' }] }],
    ['a map', { a: [new Map()] }, { code: 'invalid_input', issues: [{ path: 'a[0]' }] }],
    [
      'an instance',
      new (class Point {
        x = 1;
      })(),
      { code: 'invalid_input', issues: [{ path: '' }] },
    ],
    ['a function', { f: () => 1 }, { code: 'invalid_input', issues: [{ path: 'f' }] }],
    ['a symbol', { s: Symbol('s') }, { code: 'invalid_input', issues: [{ path: 's' }] }],
    ['a template with a lone surrogate', { t: '{{NAME}}\ud800' }, { code: 'invalid_input', issues: [{ path: 't' }] }],
    ['a template that is too large', { t: `{{NAME}}${'x'.repeat(1_048_576)}` }, { code: 'template_too_large' }],
    [
      'a getter that throws',
      {
        get a(): never {
          throw new Error('no');
        },
      },
      { code: 'invalid_input', issues: [{ path: 'value' }] },
    ],
    [
      'a proxy that throws',
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error('no');
          },
        },
      ),
      { code: 'invalid_input', issues: [{ path: 'value' }] },
    ],
  ])('for %s', (_, value, expected) => {
    expect(error(value)).toMatchObject(expected);
  });

  it('when it contains itself', () => {
    const circle: Record<string, unknown> = { name: 'x' };
    circle['child'] = [{ back: circle }];
    expect(error(circle)).toMatchObject({
      code: 'invalid_input',
      issues: [{ message: expect.stringContaining('contain itself') }],
    });
    const list: unknown[] = [];
    list.push(list, list);
    expect(error(list)).toMatchObject({ code: 'invalid_input' });
  });

  it('when it is nested deeper than 100 levels', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 'x' : [nested(levels - 1)]);
    expect(JSON.stringify(deep(nested(100)).value)).toBe(JSON.stringify(nested(100)));
    expect(error(nested(101))).toMatchObject({ code: 'invalid_input' });
    expect(error(nested(5000))).toMatchObject({ code: 'invalid_input' });
  });

  it('when shared parts unfold to more than a million entries', () => {
    let shared: unknown = ['x'];
    for (let level = 0; level < 60; level++) shared = { a: shared, b: shared };
    const start = performance.now();
    expect(error(shared)).toMatchObject({ code: 'invalid_input' });
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(error(new Array(4_000_000_000))).toMatchObject({ code: 'invalid_input' });
  });

  it('when all texts together are larger than maxBytes', () => {
    const value = { a: 'é'.repeat(10), b: ['{{NAME}}'], c: { d: 'x'.repeat(5) } };
    expect(deep(value, { maxBytes: 40 }).value.b[0]).toBe('Ada "the first"');
    expect(error(value, { maxBytes: 39 })).toMatchObject({ code: 'output_too_large', maximum: 39 });
    expect(error(Array.from({ length: 1000 }, () => 'x'.repeat(2000)))).toMatchObject({
      code: 'output_too_large',
      maximum: 1_048_576,
      at: '[524]',
    });
    expect(error(Array.from({ length: 1000 }, () => `{{NAME}}${'x'.repeat(2000)}`))).toMatchObject({
      code: 'output_too_large',
    });
  });

  it('when the variables are none', () => {
    expect(renderDeep({}, {} as never)._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path: 'resolved' }],
    });
    expect(error({}, { missing: 'no' as never })).toMatchObject({ code: 'invalid_input' });
  });
});
