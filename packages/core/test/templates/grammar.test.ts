import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile, TemplateTooLarge, unwrap } from '../../src/templates/index.ts';
import { rendered } from './rendering.ts';

const variables = { NAME: 'Ada', EMPTY: '', 'with-dash_9': 'yes', constructor: 'built', __proto__x: 'own' };

describe('a slot', () => {
  it.each([
    ['Hello {{NAME}}!', 'Hello Ada!'],
    ['{{ NAME }}', 'Ada'],
    ['{{\tNAME\t}}', 'Ada'],
    ['{{NAME}}{{NAME}}', 'AdaAda'],
    ['{{with-dash_9}}', 'yes'],
    ['{{constructor}}', 'built'],
    ['{{NAME|raw}}', 'Ada'],
    ['{{ NAME | raw }}', 'Ada'],
    ['{"a":{{NAME}}}', '{"a":Ada}'],
    ['{{{NAME}}}', '{Ada}'],
    ['{{{{NAME}}}}', '{{Ada}}'],
    ['', ''],
    ['{', '{'],
    ['}}', '}}'],
  ])('%j gives %j', (source, text) => {
    expect(rendered(source, variables)).toBe(text);
  });
});

describe('a default', () => {
  it.each([
    ['{{NOBODY:-me}}', 'me'],
    ['{{ NOBODY :- me too }}', 'me too'],
    ['{{NOBODY:-}}', ''],
    ['{{EMPTY:-me}}', 'me'],
    ['{{NAME:-me}}', 'Ada'],
    ['{{NOBODY|raw:-me}}', 'me'],
    ['{{NOBODY:-http://localhost:3000}}', 'http://localhost:3000'],
    ['{{NOBODY:-|raw}}', '|raw'],
    ['{{NOBODY:-{a}}}', '{a}'],
    ['{{$nobody:-nothing dynamic}}', 'nothing dynamic'],
  ])('%j gives %j', (source, text) => {
    expect(rendered(source, variables)).toBe(text);
  });
});

describe('a backslash', () => {
  it.each([
    [String.raw`\{{NAME}}`, '{{NAME}}'],
    [String.raw`a \{{ b`, 'a {{ b'],
    // Two are one escaped backslash of JSON, and stay what they are.
    [String.raw`"C:\\{{NAME}}"`, String.raw`"C:\\Ada"`],
    [String.raw`\\\{{NAME}}`, String.raw`\\{{NAME}}`],
    [String.raw`\{{{NAME}}}`, '{{{NAME}}}'],
    [String.raw`\{{{{NAME}}`, '{{Ada'],
    [String.raw`\n{{NAME}}\t`, String.raw`\nAda\t`],
    [String.raw`{{ unclosed \{{`, '{{ unclosed {{'],
  ])('%s gives %s', (source, text) => {
    expect(rendered(source, variables)).toBe(text);
  });
});

describe('what is malformed between braces', () => {
  it.each([
    ['{{}}', 'malformed_name', 0],
    ['a {{ }} b', 'malformed_name', 2],
    ['{{two words}}', 'malformed_name', 0],
    ['{{ .Values.name }}', 'malformed_name', 0],
    ['{{a.b}}', 'malformed_name', 0],
    ['{{NÄME}}', 'malformed_name', 0],
    ['{{$}}', 'malformed_name', 0],
    ['{{NA\nME}}', 'malformed_name', 0],
    [`{{${'x'.repeat(257)}}}`, 'malformed_name', 0],
    ['{{NAME|upper}}', 'unknown_modifier', 0],
    ['{{NAME|raw|raw}}', 'unknown_modifier', 0],
    ['{{NAME|rawest}}', 'unknown_modifier', 0],
    ['{{NAME:default}}', 'unknown_modifier', 0],
    ['x{{NAME', 'unclosed_slot', 1],
    ['x{{NAME}', 'unclosed_slot', 1],
  ])('%j stays as it is and is reported', (source, code, offset) => {
    expect(rendered(source, variables)).toBe(source);
    expect(unwrap(compile(source)).diagnostics).toMatchObject([{ code, offset, at: '' }]);
  });

  it('leaves the outer of two nested slots as text, and fills the inner one', () => {
    expect(rendered('{{A:-{{NAME}}}}', variables)).toBe('{{A:-Ada}}');
    expect(unwrap(compile('{{A:-{{NAME}}}}')).diagnostics).toMatchObject([{ code: 'nested_slot', offset: 0 }]);
  });

  it('accepts a name of 256 characters', () => {
    const longest = 'x'.repeat(256);
    expect(rendered(`{{${longest}}}`, { [longest]: 'found' })).toBe('found');
  });

  it('reports the first hundred and no more', () => {
    expect(unwrap(compile('{{ ? }}'.repeat(1000))).diagnostics).toHaveLength(100);
  });
});

describe('a compiled template', () => {
  it('names its keys once, in the order they first appear', () => {
    expect(unwrap(compile('{{B}}{{$uuid}}{{A:-x}}{{B}}')).keys).toEqual(['B', '$uuid', 'A']);
  });

  it('may be 1 MiB of UTF-8, and no more', () => {
    expect(unwrap(compile('x'.repeat(1_048_576))).source).toHaveLength(1_048_576);
    const tooLarge = compile('ü'.repeat(524_289));
    expect(tooLarge._unsafeUnwrapErr()).toBeInstanceOf(TemplateTooLarge);
    expect(tooLarge._unsafeUnwrapErr()).toMatchObject({ code: 'template_too_large', maximum: 1_048_576 });
  });

  it.each([
    ['openings', '{{'.repeat(250_000)],
    ['openings before one closing', '{{ '.repeat(250_000) + '}}'],
    ['braces', '{'.repeat(500_000)],
    ['defaults', '{{a:-'.repeat(150_000)],
    ['spaces in a default', `{{a:-x${' '.repeat(500_000)}x}}`],
    ['spaces in a slot', `{{${' '.repeat(500_000)}`],
    ['backslashes', '\\'.repeat(500_000) + '{{a}}'],
    ['a name', `{{${'a'.repeat(500_000)}`],
    ['slots', '{{a}}'.repeat(150_000)],
  ])('of many %s is read in linear time', (_, source) => {
    const start = performance.now();
    compile(source);
    // Quadratic time would be minutes.
    expect(performance.now() - start).toBeLessThan(15_000);
  });

  it('gives back any text that holds no braces, character for character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        fc.pre(!text.includes('{{'));
        expect(rendered(text)).toBe(text);
      }),
    );
  });

  it('can hold any text at all when its braces are escaped', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[{}\\a]{0,40}$/), (text) => {
        // A backslash in front of every pair of braces; an odd number before them already is one too many.
        const escaped = text.replace(
          /(\\*)\{\{/g,
          (_, before: string) => `${before}${before.length % 2 === 0 ? '\\' : ''}{{`,
        );
        fc.pre(!/(?:^|[^\\])(?:\\\\)*\\\{\{/.test(text));
        expect(rendered(escaped, { a: 'never' })).toBe(text);
      }),
    );
  });
});
