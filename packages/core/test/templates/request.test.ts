import { describe, expect, it } from 'vitest';
import { renderRequest, resolveVariables, unwrap } from '../../src/templates/index.ts';
import type { RenderOptions } from '../../src/templates/index.ts';

const variables = unwrap(
  resolveVariables([
    { key: 'BASE', value: 'https://api.example.com/v2' },
    { key: 'TOKEN', value: 'hunter2', sensitive: true },
    { key: 'NAME', value: 'Ada "A&B" / x' },
    { key: 'EVIL', value: 'a\r\nX-Admin: 1' },
  ]),
);
const request = (template: Parameters<typeof renderRequest>[0], options?: RenderOptions) =>
  unwrap(renderRequest(template, variables, options));
const error = (template: unknown, options?: RenderOptions) =>
  renderRequest(template as never, variables, options)._unsafeUnwrapErr();

describe('a request', () => {
  it('has each part rendered in its own context', () => {
    const result = request({
      url: '{{BASE}}/users/{{NAME}}?q={{NAME}}',
      headers: { Authorization: 'Bearer {{TOKEN}}', 'X-Name': '{{NAME}}', 'Content-Type': 'application/json' },
      body: '{"name":"{{NAME}}"}',
    });
    expect(result).toEqual({
      url: 'https://api.example.com/v2/users/Ada%20%22A%26B%22%20%2F%20x?q=Ada%20%22A%26B%22%20%2F%20x',
      headers: { Authorization: 'Bearer hunter2', 'X-Name': 'Ada "A&B" / x', 'Content-Type': 'application/json' },
      body: '{"name":"Ada \\"A&B\\" / x"}',
      secret: true,
      used: ['BASE', 'NAME', 'TOKEN'],
      missing: [],
      diagnostics: [],
    });
    expect(
      new Request(result.url, { method: 'POST', headers: result.headers, body: result.body as string }).headers.get(
        'authorization',
      ),
    ).toBe('Bearer hunter2');
  });

  it('may be a URL alone', () => {
    expect(request({ url: '{{BASE}}' })).toMatchObject({
      url: 'https://api.example.com/v2',
      headers: {},
      body: undefined,
      secret: false,
    });
    expect(request({ url: '{{BASE}}', body: null }).body).toBeNull();
  });

  it.each([
    ['application/json', '{"a":"Ada \\"A&B\\" / x"}'],
    ['APPLICATION/JSON; charset=utf-8', '{"a":"Ada \\"A&B\\" / x"}'],
    ['application/merge-patch+json', '{"a":"Ada \\"A&B\\" / x"}'],
    [undefined, '{"a":"Ada \\"A&B\\" / x"}'],
    ['text/plain', '{"a":"Ada "A&B" / x"}'],
    ['application/x-www-form-urlencoded', '{"a":"Ada%20%22A%26B%22%20%2F%20x"}'],
  ])('has its body encoded for its content type: %s', (type, body) => {
    const headers = type === undefined ? {} : { 'content-TYPE': type };
    expect(request({ url: '{{BASE}}', headers, body: '{"a":"{{NAME}}"}' }).body).toBe(body);
  });

  it('takes a body without a content type as JSON only where it looks like it', () => {
    const body = (source: string) => request({ url: '/x', body: source }).body;
    expect(body('  ["{{NAME}}"]')).toBe('  ["Ada \\"A&B\\" / x"]');
    expect(body('{{NAME}}')).toBe('Ada "A&B" / x');
    expect(body('Hello {{NAME}}')).toBe('Hello Ada "A&B" / x');
  });

  it('may decide its content type by a variable', () => {
    const typed = unwrap(resolveVariables({ TYPE: 'application/json', X: '"' }));
    expect(
      unwrap(renderRequest({ url: '/x', headers: { 'content-type': '{{TYPE}}' }, body: '"{{X}}"' }, typed)).body,
    ).toBe('"\\""');
  });

  it('may have plain data as its body, whose texts need no escaping yet', () => {
    const result = request({ url: '/x', body: { user: { name: '{{NAME}}' }, n: 1 } });
    expect(result.body).toEqual({ user: { name: 'Ada "A&B" / x' }, n: 1 });
    expect(result.used).toEqual(['NAME']);
  });

  it('lists what is missing or left as text, with its part', () => {
    const result = request(
      { url: '/{{NOPE}}', headers: { a: '{{ ? }}' }, body: { b: ['{{NOPE}} {{ALSO}}', '{{!}}'] } },
      { missing: 'keep' },
    );
    expect(result).toMatchObject({ url: '/{{NOPE}}', missing: ['NOPE', 'ALSO'] });
    expect(result.diagnostics.map(({ at }) => at)).toEqual(['headers.a', 'body.b[1]']);
  });

  it('may have a header named __proto__', () => {
    const headers = JSON.parse('{"__proto__":"{{TOKEN}}"}') as Record<string, string>;
    expect(JSON.stringify(request({ url: '/', headers }).headers)).toBe('{"__proto__":"hunter2"}');
  });
});

describe('a request is refused', () => {
  it.each([
    ['a missing variable in the URL', { url: '/{{NOPE}}' }, { code: 'missing_variable', at: 'url', offset: 1 }],
    [
      'a missing variable in a header',
      { url: '/', headers: { A: '{{NOPE}}' } },
      { code: 'missing_variable', at: 'headers.A' },
    ],
    ['a missing variable in a body', { url: '/', body: '{{NOPE}}' }, { code: 'missing_variable', at: 'body' }],
    [
      'a missing variable deep in a body',
      { url: '/', body: { a: [{ b: '{{NOPE}}' }] } },
      { code: 'missing_variable', at: 'body.a[0].b' },
    ],
    ['a missing variable in a list', { url: '/', body: ['{{NOPE}}'] }, { code: 'missing_variable', at: 'body[0]' }],
    [
      'a header that would be two',
      { url: '/', headers: { A: '{{EVIL}}' } },
      { code: 'unsafe_value', reason: 'header_character', at: 'headers.A', key: 'EVIL' },
    ],
    ['a base that is no URL', { url: '{{NAME}}/x' }, { code: 'unsafe_value', reason: 'url_base', at: 'url' }],
    ['no URL', { headers: {} }, { code: 'invalid_input', issues: [{ path: 'url' }] }],
    ['a URL that is none', { url: 'mailto:x' }, { code: 'invalid_input', issues: [{ path: 'url' }] }],
    [
      'a header that is no text',
      { url: '/', headers: { A: 7 } },
      { code: 'invalid_input', issues: [{ path: 'headers.A' }] },
    ],
    [
      'a header with a bad name',
      { url: '/', headers: { 'A\r\nB': 'x' } },
      { code: 'invalid_input', issues: [{ path: 'headers' }] },
    ],
    ['headers that are none', { url: '/', headers: 'A: b' }, { code: 'invalid_input', issues: [{ path: 'headers' }] }],
    [
      'a body with a date',
      { url: '/', body: { at: new Date(0) } },
      { code: 'invalid_input', issues: [{ path: 'body.at' }] },
    ],
    ['null', null, { code: 'invalid_input' }],
    [
      'a getter that throws',
      {
        get url(): never {
          throw new Error('no');
        },
      },
      { code: 'invalid_input', issues: [{ path: 'request' }] },
    ],
  ])('for %s', (_, template, expected) => {
    expect(error(template)).toMatchObject(expected);
  });

  it('when all its parts together are larger than maxBytes', () => {
    const template = { url: '/éé', headers: { a: '1234' }, body: { b: '12', c: ['345'] } };
    expect(request(template, { maxBytes: 14 }).url).toBe('/éé');
    expect(error(template, { maxBytes: 13 })).toMatchObject({ code: 'output_too_large', maximum: 13 });
    expect(error({ url: `/${'x'.repeat(600_000)}`, body: 'x'.repeat(600_000) })).toMatchObject({
      code: 'output_too_large',
      at: 'body',
    });
    expect(error({ url: '/{{TOKEN}}', body: '{{TOKEN}}' }, { maxBytes: 14 })).toMatchObject({
      code: 'output_too_large',
    });
  });

  it('without ever showing a value', () => {
    const shown = JSON.stringify(error({ url: '/', headers: { A: '{{EVIL}}', B: '{{TOKEN}}' } }));
    expect(shown).not.toMatch(/X-Admin|hunter2/);
  });
});
