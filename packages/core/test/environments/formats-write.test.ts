import { parse as parseDotenv } from 'dotenv';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';

import {
  formatVariables,
  isVivariumError,
  parseVariableFile,
  parseVariables,
  variableFormats,
} from '../../src/environments/formats/index.ts';
import type { FormatOptions, Variable, VariableFormat } from '../../src/environments/formats/index.ts';
import { variableInputs } from '../../src/environments/model.ts';

const plain = (key: string, value: string, description?: string): Variable => ({
  key,
  value,
  sensitive: false,
  ...(description === undefined ? {} : { description }),
});
const written = (format: VariableFormat, variables: readonly Variable[], options?: FormatOptions) =>
  formatVariables(format, variables, options)._unsafeUnwrap().text;

const SECRET: Variable = { key: 'TOKEN', sensitive: true, hasValue: true, description: 'kept out' };
const VARIABLES = [
  plain('API_URL', 'https://example.com/v1?a=b&c', 'Where the API is'),
  SECRET,
  plain('1st', ''),
  plain('no', 'yes\n"it\'s" #1'),
];

describe('what is written', () => {
  test('as dotenv', () => {
    expect(written('dotenv', VARIABLES)).toBe(
      ['# Where the API is', `API_URL='https://example.com/v1?a=b&c'`, `1st=''`, 'no=`yes', `"it's" #1\``, ''].join(
        '\n',
      ),
    );
  });

  test('as JSON', () => {
    expect(written('json', VARIABLES)).toBe(`[
  {
    "key": "API_URL",
    "value": "https://example.com/v1?a=b&c",
    "description": "Where the API is"
  },
  {
    "key": "1st",
    "value": ""
  },
  {
    "key": "no",
    "value": "yes\\n\\"it's\\" #1"
  }
]
`);
  });

  test('as YAML: a list where there are descriptions, else an object', () => {
    expect(written('yaml', VARIABLES)).toBe(`- key: "API_URL"
  value: "https://example.com/v1?a=b&c"
  description: "Where the API is"
- key: "1st"
  value: ""
- key: "no"
  value: "yes\\n\\"it's\\" #1"
`);
    expect(written('yaml', VARIABLES.slice(1))).toBe(`1st: ""\n"no": "yes\\n\\"it's\\" #1"\n`);
  });

  test('as a Postman environment, the same each time', () => {
    const text = written('postman', VARIABLES, { name: 'Staging' });
    expect(JSON.parse(text)).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) as string,
      name: 'Staging',
      values: [
        {
          key: 'API_URL',
          value: 'https://example.com/v1?a=b&c',
          type: 'default',
          enabled: true,
          description: 'Where the API is',
        },
        { key: '1st', value: '', type: 'default', enabled: true },
        { key: 'no', value: 'yes\n"it\'s" #1', type: 'default', enabled: true },
      ],
      _postman_variable_scope: 'environment',
    });
    expect(written('postman', VARIABLES, { name: 'Staging' })).toBe(text);
    expect(written('postman', VARIABLES, { name: 'Production' })).not.toContain(
      (JSON.parse(text) as { id: string }).id,
    );
    expect(parseVariableFile('postman', text)._unsafeUnwrap().name).toBe('Staging');
  });

  test('of nothing is an empty file that can be read', () => {
    expect(variableFormats.map((format) => written(format, []).replace(/\s/g, ''))).toEqual([
      '',
      '[]',
      '{}',
      expect.stringContaining('"name":"Environment","values":[]'),
    ]);
    for (const format of variableFormats)
      expect(parseVariables(format, written(format, []))._unsafeUnwrap()).toEqual([]);
  });

  test('in dotenv, values as plainly as they can be read back', () => {
    const assignments: Record<string, string> = {
      'https://example.com:8080/a_b-c.d': 'A=https://example.com:8080/a_b-c.d',
      'two words': `A='two words'`,
      $HOME: `A='$HOME'`,
      '  padded  ': `A='  padded  '`,
      "it's": `A="it's"`,
      "it's \\n": "A=`it's \\n`",
      'one\ntwo\n': `A='one\ntwo\n'`,
      'one\r\ntwo': String.raw`A="one\r\ntwo"`,
      '\n': `A='\n'`,
      'C:\\dir\\': 'A=C:\\dir\\',
      'C:\\my dir\\ ': `A='C:\\my dir\\ '`,
      ' C:\\my dir\\': `A=' C:\\my dir\\' #'.`,
      '\'"`': `A="'"\`"`,
      'Grüße 👩‍👩‍👧': `A='Grüße 👩‍👩‍👧'`,
    };
    for (const [value, assignment] of Object.entries(assignments))
      expect(written('dotenv', [plain('A', value)])).toBe(`${assignment}\n`);
  });

  test('in dotenv, a description cannot become a variable', () => {
    const text = written('dotenv', [plain('A', '1', 'one\nEVIL=1\r\nEVIL=2\u2028EVIL=3\u2029EVIL=4\rEVIL=5')]);
    expect(parseVariables('dotenv', text)._unsafeUnwrap()).toEqual([{ key: 'A', value: '1' }]);
    expect(parseDotenv(text)).toEqual({ A: '1' });
  });
});

describe('sensitive variables', () => {
  test.each(variableFormats)(
    'are left out of %s, whether read or about to be written, and their keys are listed',
    (format) => {
      const variables = [
        SECRET,
        plain('A', '1'),
        { key: 'NEW', value: 's3cret', sensitive: true },
        { key: 'KEPT', sensitive: true, keep: true } as const,
      ];
      const { text, sensitiveKeys } = formatVariables(format, variables)._unsafeUnwrap();
      expect(sensitiveKeys).toEqual(['TOKEN', 'NEW', 'KEPT']);
      expect(parseVariables(format, text)._unsafeUnwrap()).toEqual([{ key: 'A', value: '1' }]);
      expect(text).not.toMatch(/TOKEN|NEW|KEPT|s3cret|kept out/);
    },
  );
});

describe('what dotenv cannot hold', () => {
  const reasons: Record<string, { variable: Variable; reason: string }> = {
    'a key that its parser drops': {
      variable: plain('__proto__', 's3cret'),
      reason: 'dotenv drops a variable of this name',
    },
    'a carriage return, where double quotes cannot be used': {
      variable: plain('A', 's3cret\r and a written \\n'),
      reason:
        'it has a carriage return, which can only be written as \\r between double quotes, and those cannot hold the rest of it',
    },
    '# and all three kinds of quotes': {
      variable: plain('A', 's3cret # \' " `'),
      reason: 'it has to be quoted, and each of the three kinds of quotes is used in it or would change it',
    },
  };
  test.each(Object.entries(reasons))('%s is said in words, without the value', (_, { variable, reason }) => {
    const error = formatVariables('dotenv', [plain('B', '1'), variable])._unsafeUnwrapErr();
    expect(error).toMatchObject({ code: 'unrepresentable_value', format: 'dotenv', key: variable.key, reason });
    expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('s3cret');
  });
});

/** What docs/variable-files.md says that dotenv cannot hold. */
function beyondDotenv({ key, value }: { key: string; value: string }): boolean {
  const has = (part: string) => value.includes(part);
  const escape = has('\\n') || has('\\r');
  const separator = has('\u2028') || has('\u2029');
  if (key === '__proto__') return true;
  if (has('\r')) return escape || ((has('#') || separator) && has('"'));
  return has("'") && has('`') && (((has('#') || separator) && (has('"') || escape)) || (has('\n') && escape));
}

const runs = { numRuns: 1_000 };
const key = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'export',
    'null',
    'true',
    'no',
    'y',
    'key',
    'value',
    '1',
    '10',
    '0x1F',
    '1e3',
    '-',
    '--',
    '---',
    '_',
    'K'.repeat(256),
  ),
);
const trouble = [
  "'",
  '"',
  '`',
  '\\',
  '\n',
  '\r',
  '#',
  '$',
  '=',
  ':',
  ' ',
  '\t',
  'n',
  'r',
  '{{',
  '}}',
  '- ',
  ': ',
  ' #',
  '\u2028',
  '\u0085',
  '\uFEFF',
  '\u00A0',
  '\u007F',
  '\u0001',
  'VIVARIUM_0_0_',
  'é',
  '👩‍👩‍👧',
];
const troubled = fc.array(fc.constantFrom(...trouble), { maxLength: 12 }).map((parts) => parts.join(''));
const storable = (text: string) => !text.includes('\0');
const value = fc.oneof(
  fc.string({ unit: 'binary' }).filter(storable),
  fc.string({ unit: 'grapheme' }).filter(storable),
  troubled,
  troubled,
  fc.json(),
);
const variables = fc.uniqueArray(
  fc.record(
    { key, value, description: fc.oneof(troubled, fc.string({ maxLength: 80 }).filter(storable)) },
    { requiredKeys: ['key', 'value'] },
  ),
  { selector: (variable) => variable.key, maxLength: 6 },
);

describe.each(variableFormats)('any variables written as %s', (format) => {
  test('are read back the same and in the same order, or are named as not representable', () => {
    let held = 0;
    fc.assert(
      fc.property(variables, (given) => {
        const result = formatVariables(format, given);
        const beyond = format === 'dotenv' ? given.filter(beyondDotenv) : [];
        if (result.isErr()) {
          expect(result.error.code).toBe('unrepresentable_value');
          expect(beyond.map((variable) => variable.key)).toContain('key' in result.error ? result.error.key : null);
          return;
        }
        // A quote behind a backslash is one for dotenv in some places and none in others, and so are the two separators an end of line.
        expect(beyond.filter((variable) => !/[\u2028\u2029]|\\['"`]/.test(variable.value))).toEqual([]);
        held++;
        const { text } = result._unsafeUnwrap();
        const expected =
          format === 'dotenv' ? given.map((variable) => ({ key: variable.key, value: variable.value })) : given;
        expect(parseVariables(format, text)._unsafeUnwrap()).toEqual(expected);
        expect(parseVariables(format, `\uFEFF${text.replaceAll('\n', '\r\n')}`)._unsafeUnwrap()).toEqual(expected);
      }),
      runs,
    );
    expect(held).toBeGreaterThan(runs.numRuns / 2);
  });

  test('are read the same by other readers of the format', () => {
    const others: Record<VariableFormat, ((text: string) => unknown)[]> = {
      dotenv: [(text) => parseDotenv(text), (text) => parseDotenv(text, { fast: true })],
      json: [(text) => parseYaml(text)],
      yaml: [(text) => parseYaml(text), (text) => parseYaml(text, { version: '1.1' })],
      postman: [(text) => (JSON.parse(text) as { values: unknown }).values],
    };
    fc.assert(
      fc.property(variables, (given) => {
        const result = formatVariables(format, given);
        if (result.isErr()) return;
        for (const other of others[format])
          expect(pairsOf(other(result.value.text))).toEqual(sorted(given.map((each) => [each.key, each.value])));
      }),
      runs,
    );
  });
});

/** Keys and values of an object or of a list of `{ key, value }`; sorted, because an object has its own mind about order. */
function pairsOf(read: unknown): [string, unknown][] {
  if (Array.isArray(read)) return sorted(read.map((each: { key: string; value: unknown }) => [each.key, each.value]));
  return sorted(Object.entries(read as object));
}

function sorted(pairs: [string, unknown][]): [string, unknown][] {
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1));
}

const SECRET_TEXT = 's3/cr&t';
const part = fc.constantFrom(
  ...trouble,
  SECRET_TEXT,
  SECRET_TEXT,
  'A',
  'B',
  '=',
  '=',
  '\n',
  '\n',
  'export ',
  '[',
  ']',
  '{',
  '}',
  ',',
  '"A":',
  '"key"',
  '"value"',
  '"values"',
  'key: ',
  'value: ',
  '\n- ',
  '\n  ',
  '&a ',
  '*a',
  '!!str ',
  '!x ',
  '<<: ',
  '? ',
  '|',
  '>',
  '---',
  '%',
  '\0',
  '\ud800',
  '\\u0000',
  '1',
  'true',
  'null',
  '~',
);
const anyText = fc.oneof(
  fc.array(part, { maxLength: 25 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary' }),
  fc.string(),
);

describe.each(variableFormats)('any text read as %s', (format) => {
  test('gives variables that an environment takes, or an error that repeats no value', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const result = parseVariables(format, text);
        if (result.isOk()) {
          expect(variableInputs.safeParse(result.value).error).toBeUndefined();
          return;
        }
        expect(result.error.code).toBe('invalid_input');
        expect(`${result.error.stack}${JSON.stringify(result.error)}`).not.toContain(SECRET_TEXT);
      }),
      { numRuns: 5_000 },
    );
  });
});

test('any dotenv text that is taken is taken as dotenv itself reads it', () => {
  const piece = fc.constantFrom(
    'A',
    'B',
    'C.',
    'export',
    'export ',
    '=',
    '=',
    ':',
    ' ',
    '\t',
    '\n',
    '\n',
    '\nA=',
    '\nB=',
    '\r',
    '"',
    "'",
    '`',
    '#',
    '\\',
    '\\n',
    'x',
    '\u2028',
    '\u2029',
    '\u00A0',
    '-',
    'é',
    'VIVARIUM_0_0_',
    '__proto__',
  );
  let taken = 0;
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')),
      (text) => {
        const result = parseVariables('dotenv', text);
        if (result.isErr()) return;
        if (result.value.length > 0) taken++;
        const read = result.value.map(
          (variable) => [variable.key, 'value' in variable ? variable.value : null] as [string, unknown],
        );
        expect(sorted(read.filter(([name]) => name !== '__proto__'))).toEqual(pairsOf(parseDotenv(text)));
      },
    ),
    { numRuns: 20_000 },
  );
  expect(taken).toBeGreaterThan(500);
});

test('any JSON object of texts is taken as JSON.parse reads it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(key, fc.string({ unit: 'binary' }).filter(storable)),
      fc.constantFrom(undefined, 1, 2, '\t'),
      (object, indent) => {
        const read = parseVariables('json', JSON.stringify(object, null, indent))._unsafeUnwrap();
        expect(read).toEqual(Object.entries(object).map(([name, text]) => ({ key: name, value: text })));
      },
    ),
    runs,
  );
});

describe('malformed arguments are invalid inputs', () => {
  const refusals: Record<string, { variables: unknown; options?: unknown; path: string }> = {
    'no list': { variables: { A: '1' }, path: 'variables' },
    'no object': { variables: ['A=1'], path: 'variables[0]' },
    'a key that is not allowed': { variables: [plain('A', '1'), plain('my key', '2')], path: 'variables[1].key' },
    'a key that is given twice': { variables: [plain('A', '1'), { ...SECRET, key: 'A' }], path: 'variables[1].key' },
    'no value': { variables: [{ key: 'A' }], path: 'variables[0].value' },
    'a value that is no text': { variables: [{ key: 'A', value: 1 }], path: 'variables[0].value' },
    NUL: { variables: [plain('A', 's3cret\0')], path: 'variables[0].value' },
    'half a surrogate pair': { variables: [plain('A', 's3cret\udc00')], path: 'variables[0].value' },
    'a long description': { variables: [plain('A', '1', 'd'.repeat(501))], path: 'variables[0].description' },
    'an option that there is not': { variables: [], options: { title: 'x' }, path: 'options' },
    'a name that is no text': { variables: [], options: { name: 5 }, path: 'options.name' },
    'more than fits': { variables: [plain('A', 'x'.repeat(262_144))], path: 'variables' },
    'more than was allowed': { variables: [plain('A', 'x'.repeat(100))], options: { maxBytes: 50 }, path: 'variables' },
    'what cannot even be looked at': {
      variables: [
        new Proxy(
          {},
          {
            get: () => {
              throw new Error('s3cret');
            },
          },
        ),
      ],
      path: '',
    },
  };
  test.each(Object.entries(refusals))('%s', (_, { variables: given, options, path }) => {
    for (const format of variableFormats) {
      const error = formatVariables(format, given as Variable[], options as FormatOptions)._unsafeUnwrapErr();
      expect(isVivariumError(error)).toBe(true);
      expect(error).toMatchObject({ code: 'invalid_input', issues: [{ path }] });
      expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('s3cret');
    }
  });

  test('a format that there is not', () => {
    expect(formatVariables('toml' as VariableFormat, [])._unsafeUnwrapErr()).toMatchObject({
      code: 'invalid_input',
      issues: [{ path: 'format' }],
    });
  });
});
