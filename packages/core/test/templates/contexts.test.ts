import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/templates/index.ts';
import { outcome, refused } from './rendering.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 30 });

describe('text', () => {
  it('takes values as they are', () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        expect(outcome('<{{A}}|{{B|raw}}>', { A: a, B: b })).toBe(`<${a}|${b}>`);
      }),
    );
  });

  it('is rendered in a single pass: nothing in a value is ever read as a template', () => {
    const braces = fc.array(
      fc.constantFrom('{{', '}}', '{', '}', 'A', 'B', '{{A}}', '{{B}}', '{{$uuid}}', ':-', '|raw', '\\'),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(braces, braces, (a, b) => {
        const values = { A: a.join(''), B: b.join('') };
        expect(outcome('{{A}}/{{B}}/{{A}}', values)).toBe(`${values.A}/${values.B}/${values.A}`);
        // Not even where the text of the template and a value would make a slot together.
        expect(outcome('{ {{A}} }{{B}}}', values)).toBe(`{ ${values.A} }${values.B}}`);
      }),
    );
  });
});

describe('header', () => {
  const header = (value: string, source = 'Bearer {{X}}') => outcome(source, { X: value }, { context: 'header' });

  it.each(['', 'abc', 'a b\tc', 'é ÿ', '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'])(
    'takes what may stand in a header: %j',
    (value) => {
      expect(header(value)).toBe(`Bearer ${value}`);
      expect(header(value, 'Bearer {{X|raw}}')).toBe(`Bearer ${value}`);
    },
  );

  it.each(['a\r\nSet-Cookie: b', '\n', '\r', '\0', '\x01', '\x1f', '\x7f', '€', '😀', 'Ā'])(
    'refuses what would end it or cannot be sent: %j',
    (value) => {
      expect(header(value)).toBe('refused: header_character');
      expect(header(value, 'Bearer {{X|raw}}')).toBe('refused: header_character');
      expect(header('', `{{X:-${value}}}`)).toBe('refused: header_character');
    },
  );

  it('refuses nothing that a real Headers object takes, but for what it would change, and takes nothing that it refuses', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 0x120 }).map((unit) => String.fromCharCode(unit)), maxLength: 4 }),
        (value) => {
          const accepted = !header(value, 'x{{X}}x').startsWith('refused: ');
          if (accepted) expect(new Headers({ name: `x${value}x` }).get('name')).toBe(`x${value}x`);
          if (/[\r\n\0\u0100-\u0120]/.test(value)) expect(accepted).toBe(false);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each(['a\r\nb: {{X}}', '\0', '€ {{X}}'])('is invalid_input when its own text is no header: %j', (source) => {
    expect(compile(source, { context: 'header' })._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path: 'source' }],
    });
  });
});

describe('json', () => {
  const json = (source: string, value: string) => outcome(source, { X: value }, { context: 'json' });

  it('inside quotes gives back exactly the value, whatever it is', () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        const source = String.raw`["{{A}}",{"{{B}}":"x\"{{A}}\\{{B}}\n"},"{{NONE:-"}}"]`;
        const text = outcome(source, { A: a, B: b }, { context: 'json' });
        const expected = JSON.stringify([a, Object.fromEntries([[b, `x"${a}\\${b}\n`]]), '"']);
        expect(JSON.stringify(JSON.parse(text))).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it.each(['0', '-1', '12.5e-3', '1E9', 'true', 'false', 'null', '"text"', '"\\u00fc\\n"', '""'])(
    'outside quotes takes a scalar: %s',
    (value) => {
      expect(json('{"x":{{X}}}', value)).toBe(`{"x":${value}}`);
      expect(json('[1, {{X|raw}} ]', value)).toBe(`[1, ${value} ]`);
    },
  );

  it.each([
    '',
    ' ',
    ' 1',
    '1 ',
    'text',
    '01',
    '1.',
    '.5',
    '+1',
    '1e',
    '0x10',
    'NaN',
    'Infinity',
    '-',
    'True',
    'undefined',
    '1,"admin":true',
    '1}',
    '{}',
    '[]',
    '{"a":1}',
    '"a","b"',
    '"a":1',
    '"',
    '"a',
    'a"',
    '"\n"',
    '"\\x"',
    '1//',
    '1\n',
    "'a'",
  ])('outside quotes refuses everything else: %j', (value) => {
    expect(json('{"x":{{X}}}', value)).toBe('refused: json_scalar');
    expect(json('{"x":{{X|raw}}}', value)).toBe('refused: json_scalar');
  });

  it.each([
    ['plain', 'plain'],
    ['\\"escaped\\"', '"escaped"'],
    ['\\u00fc\\n', 'ü\n'],
    ['', ''],
  ])('takes a raw value inside quotes when it is escaped already: %s', (value, parsed) => {
    expect(JSON.parse(json('{"x":"{{X|raw}}"}', value))).toEqual({ x: parsed });
  });

  it.each(['"', '","admin":true,"y":"', '\\', '\\x', 'a\nb', '\\"",', '" '])(
    'refuses a raw value that would end the quotes: %j',
    (value) => {
      expect(json('{"x":"{{X|raw}}"}', value)).toBe('refused: json_string');
    },
  );

  it('knows inside from outside after escapes and quotes in the text', () => {
    expect(json('{"a\\"":{{X}},"b\\\\":"{{X}}"}', '"q"')).toBe('{"a\\"":"q","b\\\\":"\\"q\\""}');
    expect(json('"\\\\{{X}}"', '"')).toBe('"\\\\\\""');
  });

  it('never lets a value change the structure', () => {
    const shape = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shape);
      return typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, shape(part)]))
        : 'scalar';
    };
    const pieces = fc
      .array(fc.constantFrom('"', '\\', ',', ':', '{', '}', '[', ']', '1', 'null', 'a', ' ', '\n', '"a"', '\\u0022'), {
        maxLength: 5,
      })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(pieces, pieces, pieces, (a, b, c) => {
        const text = outcome(
          '{"a":"{{A}}","b":{{B}},"c":["{{C|raw}}",{{B}}]}',
          { A: a, B: b, C: c },
          { context: 'json' },
        );
        if (!text.startsWith('refused: '))
          expect(shape(JSON.parse(text))).toEqual({ a: 'scalar', b: 'scalar', c: ['scalar', 'scalar'] });
      }),
      { numRuns: 3000 },
    );
  });
});

describe('form', () => {
  it('gives back exactly the values, whatever they are', () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        const parsed = new URLSearchParams(outcome('a={{A}}&b={{B}}&c=1', { A: a, B: b }, { context: 'form' }));
        expect([...parsed]).toEqual([
          ['a', a],
          ['b', b],
          ['c', '1'],
        ]);
      }),
    );
  });

  it('takes a raw value as it is', () => {
    expect(outcome('{{A|raw}}&x=1', { A: 'a=1&b=2' }, { context: 'form' })).toBe('a=1&b=2&x=1');
  });
});

it('a refusal says which variable, where and why, and not the value', () => {
  const error = refused('{"a":1,"b":{{SECRET}}}', { SECRET: 'hunter2' }, { context: 'json' });
  expect(error).toMatchObject({
    code: 'unsafe_value',
    key: 'SECRET',
    offset: 11,
    at: '',
    context: 'json',
    reason: 'json_scalar',
  });
  expect(error.message).toContain('"SECRET"');
  expect(`${error.message} ${JSON.stringify(error)} ${error.stack}`).not.toContain('hunter2');
});
