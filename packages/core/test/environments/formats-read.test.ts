import { describe, expect, test } from 'vitest';

import {
  isVivariumError,
  parseVariableFile,
  parseVariables,
  variableFormats,
} from '../../src/environments/formats/index.ts';
import type { VariableFormat } from '../../src/environments/formats/index.ts';

const lines = (...each: string[]) => `${each.join('\n')}\n`;

/** Keys and values in the order in which they were read, or the issues as `path: message`. */
function read(format: VariableFormat, text: string): unknown {
  return parseVariables(format, text).match<unknown>(
    (variables) => variables.map((variable) => [variable.key, 'value' in variable ? variable.value : null]),
    (error) => error.issues.map(({ path, message }) => `${path}: ${message}`),
  );
}

const KEY_RULE = 'a key has 1 to 256 letters (A-Z, a-z), digits, hyphens or underscores';

describe('a dotenv file', () => {
  const readings: Record<string, { text: string; gives: [string, string][] }> = {
    nothing: { text: '', gives: [] },
    'comments and blank lines': { text: lines('# one', '', '  # two', '\t'), gives: [] },
    'a plain value': { text: 'A=one', gives: [['A', 'one']] },
    'no value': {
      text: lines('A=', 'B='),
      gives: [
        ['A', ''],
        ['B', ''],
      ],
    },
    'spaces around': { text: '  A  =  one  ', gives: [['A', 'one']] },
    'kept spaces': { text: `A='  one  '`, gives: [['A', '  one  ']] },
    export: {
      text: lines('export A=1', '  export   B=2', 'export=3'),
      gives: [
        ['A', '1'],
        ['B', '2'],
        ['export', '3'],
      ],
    },
    'a colon': { text: 'A: one', gives: [['A', 'one']] },
    'a byte order mark': { text: '\uFEFFA=1', gives: [['A', '1']] },
    'Windows line ends': {
      text: 'A=1\r\nB="2\r\n3"\r\n',
      gives: [
        ['A', '1'],
        ['B', '2\n3'],
      ],
    },
    'old Mac line ends': {
      text: 'A=1\rB=2\r',
      gives: [
        ['A', '1'],
        ['B', '2'],
      ],
    },
    '# begins a comment': { text: 'A=one#two', gives: [['A', 'one']] },
    '# in each kind of quotes': {
      text: lines(`A='#1'`, `B="#2" # c`, 'C=`#3`'),
      gives: [
        ['A', '#1'],
        ['B', '#2'],
        ['C', '#3'],
      ],
    },
    'escapes in double quotes': { text: String.raw`A="a\nb\rc\td\\e"`, gives: [['A', 'a\nb\rc\\td\\\\e']] },
    'no escapes in single quotes': { text: String.raw`A='a\nb'`, gives: [['A', 'a\\nb']] },
    'quotes in quotes': {
      text: lines(`A='say "hi"'`, `B="it's"`),
      gives: [
        ['A', 'say "hi"'],
        ['B', "it's"],
      ],
    },
    'more lines': {
      text: lines(`A='one`, '  two', 'B=three', '# four', `"five"'`, 'C=6'),
      gives: [
        ['A', 'one\n  two\nB=three\n# four\n"five"'],
        ['C', '6'],
      ],
    },
    'dollars, which nobody expands': {
      text: lines('A=$HOME', 'B="${A}"'),
      gives: [
        ['A', '$HOME'],
        ['B', '${A}'],
      ],
    },
    'every script': { text: 'A=Grüße 你好 👩‍👩‍👧 İ', gives: [['A', 'Grüße 你好 👩‍👩‍👧 İ']] },
    'keys that are numbers, in order': {
      text: lines('b=1', '2=2', '10=3', '1=4'),
      gives: [
        ['b', '1'],
        ['2', '2'],
        ['10', '3'],
        ['1', '4'],
      ],
    },
    'keys that objects have': {
      text: lines('__proto__=1', 'constructor=2'),
      gives: [
        ['__proto__', '1'],
        ['constructor', '2'],
      ],
    },
    'text like our own marks': {
      text: lines('VIVARIUM_0_0_=VIVARIUM_1_0_', `A='`, 'VIVARIUM_0_1_', `'`),
      gives: [
        ['VIVARIUM_0_0_', 'VIVARIUM_1_0_'],
        ['A', '\nVIVARIUM_0_1_\n'],
      ],
    },
    'a quote that is not closed': {
      text: lines(`A='one`, 'B=2'),
      gives: [
        ['A', `'one`],
        ['B', '2'],
      ],
    },
  };
  test.each(Object.entries(readings))('%s', (_, { text, gives }) => expect(read('dotenv', text)).toEqual(gives));

  const refusals: Record<string, { text: string; issues: string[] }> = {
    'a key that is given twice': {
      text: lines('A=1', '', 'export A=2'),
      issues: ['line 3: the same key is given twice, first on line 1'],
    },
    'twice behind a value of more lines': {
      text: lines(`A='x`, `y'`, 'B=1', 'B=2'),
      issues: ['line 4: the same key is given twice, first on line 3'],
    },
    'a key with a dot': { text: lines('A=1', 'my.key=2'), issues: [`line 2: ${KEY_RULE}`] },
    'a key that is too long': { text: `${'K'.repeat(257)}=1`, issues: [`line 1: ${KEY_RULE}`] },
    'lines that dotenv skips': {
      text: lines('[section]', 'A', 'MY KEY=1', '=2', '"B"=3', 'é=4', 'OK=5', 'export C'),
      issues: [1, 2, 3, 4, 5, 6, 8].map((line) => `line ${line}: is neither KEY=value nor a comment`),
    },
    'a quote on the next line': { text: lines('A:', `"one`), issues: ['line 2: is neither KEY=value nor a comment'] },
    'a value on the next line': { text: lines('A=', `'one'`), issues: ['line 2: is neither KEY=value nor a comment'] },
  };
  test.each(Object.entries(refusals))('refuses %s', (_, { text, issues }) =>
    expect(read('dotenv', text)).toEqual(issues),
  );
});

describe('a JSON file', () => {
  const readings: Record<string, { text: string; gives: [string, string][] }> = {
    'an object': {
      text: '{"B":"1","A":"2","10":"3","__proto__":"4"}',
      gives: [
        ['B', '1'],
        ['A', '2'],
        ['10', '3'],
        ['__proto__', '4'],
      ],
    },
    'a list': {
      text: '[{"key":"B","value":"1"},{"value":"","key":"A"}]',
      gives: [
        ['B', '1'],
        ['A', ''],
      ],
    },
    'empty ones': { text: ' [ ] ', gives: [] },
    'numbers as they are written': {
      text: '{"A":1.10,"B":12345678901234567890,"C":1e3,"D":-0,"E":1E-400}',
      gives: [
        ['A', '1.10'],
        ['B', '12345678901234567890'],
        ['C', '1e3'],
        ['D', '-0'],
        ['E', '1E-400'],
      ],
    },
    booleans: {
      text: '{"A":true,"B":false}',
      gives: [
        ['A', 'true'],
        ['B', 'false'],
      ],
    },
    'text that looks like something else': {
      text: '{"A":"true","B":"null","C":"*a","D":"1e3"}',
      gives: [
        ['A', 'true'],
        ['B', 'null'],
        ['C', '*a'],
        ['D', '1e3'],
      ],
    },
    escapes: { text: String.raw`{"\u0041":"\u00e9\n\r\t\/\\\"\ud83d\ude00"}`, gives: [['A', 'é\n\r\t/\\"😀']] },
    'line separators of every kind': {
      text: '{"A":"\u2028\u2029\u0085\u007f\uFEFF"}',
      gives: [['A', '\u2028\u2029\u0085\u007f\uFEFF']],
    },
    'a byte order mark and tabs': { text: '\uFEFF{\r\n\t"A":\t"1"\r\n}', gives: [['A', '1']] },
    'old Mac line ends': {
      text: '{\r"A":"1",\r"B":"2"\r}',
      gives: [
        ['A', '1'],
        ['B', '2'],
      ],
    },
  };
  test.each(Object.entries(readings))('%s', (_, { text, gives }) => expect(read('json', text)).toEqual(gives));

  test('descriptions, sensitive variables, and those that are to be kept', () => {
    const text = JSON.stringify([
      { key: 'A', value: '1', description: 'one' },
      { key: 'B', value: '2', sensitive: true, description: null },
      { key: 'C', sensitive: true, keep: true, description: 'three' },
      { key: 'D', value: '4', sensitive: false },
    ]);
    expect(parseVariables('json', text)._unsafeUnwrap()).toEqual([
      { key: 'A', value: '1', description: 'one' },
      { key: 'B', value: '2', sensitive: true },
      { key: 'C', sensitive: true, keep: true, description: 'three' },
      { key: 'D', value: '4', sensitive: false },
    ]);
  });

  const refusals: Record<string, { text: string; issues: string[] }> = {
    'an empty text': { text: ' \n', issues: [': not valid JSON: the text is empty'] },
    'half a text': { text: '{"A":', issues: [': not valid JSON: it ends too early'] },
    'a comma too many': { text: '{\n"A":"1",\n}', issues: [': not valid JSON (line 3)'] },
    'a comment': { text: '{\n"A":"1" // one\n}', issues: [': not valid JSON (line 2)'] },
    'single quotes': { text: `{"A":"1",\n"B":'s3cret'}`, issues: [': not valid JSON (line 2)'] },
    'undefined, for which the engine names no position': {
      text: '{"A":1,"B":[2],\n"C":undefined}',
      issues: [': not valid JSON (line 2)'],
    },
    'a text alone': {
      text: '"s3cret"',
      issues: [': must be a list of { key, value } or an object of keys and values, not a text (line 1)'],
    },
    'a key that is given twice': {
      text: '{"A":"1",\n"B":"2",\n"A":"3"}',
      issues: [': the same key is given twice, first on line 1 (line 3)'],
    },
    'a key that is given twice in a list': {
      text: '[{"key":"A","value":"1"},\n{"key":"A","value":"2"}]',
      issues: ['[1].key: the same key is given twice, first on line 1 (line 2)'],
    },
    'a field that is given twice': {
      text: '[{"key":"A","value":"1",\n"value":"2"}]',
      issues: ['[0]: the same key is given twice, first on line 1 (line 2)'],
    },
    null: { text: '{"A":null}', issues: ['A: has no value; write "" for an empty text (line 1)'] },
    'something nested': {
      text: '{"A":{"s3cret":"x"},\n"B":["s3cret"]}',
      issues: [
        'A: must be a text, a number, true or false, not an object (line 1)',
        'B: must be a text, a number, true or false, not a list (line 2)',
      ],
    },
    'keys that are not allowed': {
      text: '{"my key":"1",\n"":"2","é":"3"}',
      issues: [`line 1: ${KEY_RULE}`, `line 2: ${KEY_RULE}`, `line 2: ${KEY_RULE}`],
    },
    'items of another form': {
      text: '["A=1",{"value":"1"},{"key":"B"},{"key":7,"value":"1"},{"key":"C d","value":"1"}]',
      issues: [
        '[0]: must be an object { key, value }, not a text (line 1)',
        '[1].key: must be a text, not null (nothing) (line 1)',
        '[2].value: has no value; write "" for an empty text (line 1)',
        '[3].key: must be a text, not a number, true or false (line 1)',
        `[4].key: ${KEY_RULE} (line 1)`,
      ],
    },
    'fields that would get lost': {
      text: '[{"key":"A","value":"1","enabled":false}]',
      issues: ['[0]: has a field other than key, value, description, sensitive, keep (line 1)'],
    },
    'a sealed value from storage': {
      text: '[{"key":"A","sensitive":true,"sealed":"s3cret"}]',
      issues: [
        '[0]: has a field other than key, value, description, sensitive, keep (line 1)',
        '[0].value: has no value; write "" for an empty text (line 1)',
      ],
    },
    'keep without sensitive, or with a value': {
      text: '[{"key":"A","keep":true},{"key":"B","sensitive":true,"keep":true,"value":"s3cret"}]',
      issues: [
        '[0]: keep goes with sensitive: true and without a value (line 1)',
        '[1]: keep goes with sensitive: true and without a value (line 1)',
      ],
    },
    'flags in quotes, and descriptions that are none': {
      text: `[{"key":"A","value":"1","sensitive":"true","description":5},{"key":"B","value":"1","description":"${'d'.repeat(501)}"}]`,
      issues: [
        '[0].description: must be a text (line 1)',
        '[0].sensitive: must be true or false (line 1)',
        '[1].description: must have at most 500 characters, no NUL and no unpaired surrogates (line 1)',
      ],
    },
    'NUL and half a surrogate pair, escaped': {
      text: String.raw`{"A":"s3cret\u0000","B":"\ud800"}`,
      issues: [
        'A: must not contain NUL or unpaired surrogates (line 1)',
        'B: must not contain NUL or unpaired surrogates (line 1)',
      ],
    },
  };
  test.each(Object.entries(refusals))('refuses %s', (_, { text, issues }) =>
    expect(read('json', text)).toEqual(issues),
  );
});

describe('a YAML file', () => {
  const readings: Record<string, { text: string; gives: [string, string][] }> = {
    nothing: { text: '', gives: [] },
    'nothing but comments': { text: '# one\n---\n# two\n', gives: [] },
    'an object': {
      text: lines('B: one', 'A: two # comment', '10: three', '1: four'),
      gives: [
        ['B', 'one'],
        ['A', 'two'],
        ['10', 'three'],
        ['1', 'four'],
      ],
    },
    'a list': {
      text: lines('- key: B', '  value: one', '- { key: A, value: two }'),
      gives: [
        ['B', 'one'],
        ['A', 'two'],
      ],
    },
    'scalars as they are written': {
      text: lines(
        'a: no',
        'b: 1.10',
        'c: 1e3',
        'd: 0o7',
        'e: .5',
        'f: 2001-01-01',
        'g: 12345678901234567890',
        'h: True',
        'i: 0x1F',
        'j: 1_000',
        'k: .inf',
        'l: 12:30:45',
      ),
      gives: [
        ['a', 'no'],
        ['b', '1.10'],
        ['c', '1e3'],
        ['d', '0o7'],
        ['e', '.5'],
        ['f', '2001-01-01'],
        ['g', '12345678901234567890'],
        ['h', 'True'],
        ['i', '0x1F'],
        ['j', '1_000'],
        ['k', '.inf'],
        ['l', '12:30:45'],
      ],
    },
    'the same under YAML 1.1': {
      text: lines('%YAML 1.1', '---', 'a: no', 'b: 0777', 'yes: y'),
      gives: [
        ['a', 'no'],
        ['b', '0777'],
        ['yes', 'y'],
      ],
    },
    'texts of more lines': {
      text: lines('a: |', '  one', '   two', 'b: >-', '  one', '  two', 'c: "x\\', '  y"', 'd: |+', '  z', ''),
      gives: [
        ['a', 'one\n two\n'],
        ['b', 'one two'],
        ['c', 'xy'],
        ['d', 'z\n\n'],
      ],
    },
    quotes: {
      text: lines(`a: 'it''s'`, String.raw`b: "\x41\u00e9\n"`, `c: ''`, `d: "null"`),
      gives: [
        ['a', "it's"],
        ['b', 'Aé\n'],
        ['c', ''],
        ['d', 'null'],
      ],
    },
    'a byte order mark and Windows line ends': {
      text: '\uFEFFa: 1\r\nb: |\r\n  x\r\n  y\r\n',
      gives: [
        ['a', '1'],
        ['b', 'x\ny\n'],
      ],
    },
    'the tag !!str': {
      text: lines('a: !!str 5', 'b: !!str null', 'c: !!str'),
      gives: [
        ['a', '5'],
        ['b', 'null'],
        ['c', ''],
      ],
    },
    'an anchor that nobody refers to': { text: 'a: &x 1', gives: [['a', '1']] },
    'keys that objects have': {
      text: '__proto__: 1\nconstructor: 2',
      gives: [
        ['__proto__', '1'],
        ['constructor', '2'],
      ],
    },
    JSON: {
      text: '{"A":"1","B":[]}'.replace('[]', '"2"'),
      gives: [
        ['A', '1'],
        ['B', '2'],
      ],
    },
  };
  test.each(Object.entries(readings))('%s', (_, { text, gives }) => expect(read('yaml', text)).toEqual(gives));

  test('descriptions and sensitive variables', () => {
    const text = lines(
      '- key: A',
      '  value: 1',
      '  description: one',
      '- key: B',
      '  value: 2',
      '  sensitive: true',
      '- { key: C, sensitive: True, keep: true }',
    );
    expect(parseVariables('yaml', text)._unsafeUnwrap()).toEqual([
      { key: 'A', value: '1', description: 'one' },
      { key: 'B', value: '2', sensitive: true },
      { key: 'C', sensitive: true, keep: true },
    ]);
  });

  const refusals: Record<string, { text: string; issues: string[] }> = {
    'no value, in all its forms': {
      text: lines('a:', 'b: ~', 'c: null', 'd: NULL'),
      issues: ['a', 'b', 'c', 'd'].map(
        (key, index) => `${key}: has no value; write "" for an empty text (line ${index + 1})`,
      ),
    },
    aliases: {
      text: lines('a: &x s3cret', 'b: *x'),
      issues: ['b: must be a text, a number, true or false, not an alias (*name) (line 2)'],
    },
    'an alias to nothing': {
      text: 'a: *s3cret',
      issues: ['a: must be a text, a number, true or false, not an alias (*name) (line 1)'],
    },
    'merge keys': {
      text: lines('a: &x { s: s3cret }', '<<: *x'),
      issues: [
        'a: must be a text, a number, true or false, not an object (line 1)',
        'line 2: merge keys (<<) are not read; write the variables out',
      ],
    },
    tags: {
      text: lines('a: !!binary czNjcmV0', 'b: !mine s3cret', 'c: !!int 5', 'd: !!set {}'),
      issues: ['a', 'b', 'c', 'd'].map(
        (key, index) =>
          `${key}: must be a text, a number, true or false, not a value with a tag (!…) (line ${index + 1})`,
      ),
    },
    'a key that is given twice': {
      text: lines('a: 1', 'b: 2', '"a": 3'),
      issues: [': the same key is given twice, first on line 1 (line 3)'],
    },
    'more documents': {
      text: lines('a: 1', '---', 'b: 2'),
      issues: [': not valid YAML: more than one document (---) (line 2)'],
    },
    'something nested': {
      text: lines('a:', '  s3cret: x', 'b:', '- s3cret'),
      issues: [
        'a: must be a text, a number, true or false, not an object (line 2)',
        'b: must be a text, a number, true or false, not a list (line 4)',
      ],
    },
    'a key that is no text': { text: '? [s3cret]\n: 1', issues: [': a list cannot be a key (line 1)'] },
    'a key that is not allowed': { text: 'a: 1\ns3 cret: 2', issues: [`line 2: ${KEY_RULE}`] },
    'a text alone': {
      text: 's3cret',
      issues: [': must be a list of { key, value } or an object of keys and values, not a text (line 1)'],
    },
    'a quote that is not closed': {
      text: lines('a: 1', 'b: "s3cret'),
      issues: [': not valid YAML: a quote, a bracket, a comma or a colon is missing (line 3)'],
    },
    'tabs for indentation': {
      text: 'a:\n\t- s3cret: 1',
      issues: [': not valid YAML: a tab is used for indentation (line 2)'],
    },
    'a value with a colon': {
      text: 'a: s3cret: 1',
      issues: [': not valid YAML: two keys on one line; a value that contains ": " has to be quoted (line 1)'],
    },
    'an unknown escape': {
      text: String.raw`a: "C:\s3cret"`,
      issues: [
        ': not valid YAML: an unknown escape in a double-quoted text; in single quotes a backslash means itself (line 1)',
      ],
    },
    'NUL, escaped': {
      text: String.raw`a: "s3cret\0"`,
      issues: ['a: must not contain NUL or unpaired surrogates (line 1)'],
    },
  };
  test.each(Object.entries(refusals))('refuses %s', (_, { text, issues }) =>
    expect(read('yaml', text)).toEqual(issues),
  );

  test('a thousand million laughs cost nothing, because aliases are not followed', () => {
    const laughs = [
      'a0: &a0 [lol]',
      ...Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(10)}]`),
    ];
    const started = performance.now();
    expect(parseVariables('yaml', laughs.join('\n')).isErr()).toBe(true);
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('a Postman environment', () => {
  const exported = {
    id: '4454509f-00c3-fd32-d56c-ac1537f31415',
    name: 'Staging',
    values: [
      { key: 'base-url', value: 'https://staging.example.com', type: 'default', enabled: true },
      { key: 'TOKEN', value: 's3cret', type: 'secret', enabled: true },
      { key: 'OLD', value: 'gone', type: 'default', enabled: false },
      { key: 'OLD', value: '', type: 'any' },
      { key: 'COUNT', value: 12, type: 'any', description: { content: 'How many', type: 'text/plain' } },
      { key: 'FLAG', value: true, description: 'Whether', uuid: 'x' },
    ],
    _postman_variable_scope: 'environment',
    _postman_exported_at: '2026-10-17T14:26:34.940Z',
    _postman_exported_using: 'Postman/11.0.0',
  };

  test('gives its name, its variables and what was left out', () => {
    expect(parseVariableFile('postman', JSON.stringify(exported, null, '\t'))._unsafeUnwrap()).toEqual({
      name: 'Staging',
      variables: [
        { key: 'base-url', value: 'https://staging.example.com' },
        { key: 'TOKEN', value: 's3cret', sensitive: true },
        { key: 'OLD', value: '' },
        { key: 'COUNT', value: '12', description: 'How many' },
        { key: 'FLAG', value: 'true', description: 'Whether' },
      ],
      leftOut: [{ path: 'values[2]', key: 'OLD', reason: 'it is disabled' }],
    });
  });

  test('may be what Postman exports for its globals, or what Newman wrote without a name', () => {
    expect(read('postman', '{"values":[{"key":"A","value":"1"}],"_postman_variable_scope":"globals"}')).toEqual([
      ['A', '1'],
    ]);
    expect(parseVariableFile('postman', '{"values":[]}')._unsafeUnwrap()).toEqual({
      name: null,
      variables: [],
      leftOut: [],
    });
  });

  const refusals: Record<string, { text: string; issues: string[] }> = {
    'a collection': {
      text: '{"info":{},"item":[]}',
      issues: [': this is a Postman collection; export the environment instead'],
    },
    'another scope': {
      text: '{"values":[],"_postman_variable_scope":"s3cret"}',
      issues: ['_postman_variable_scope: must be "environment" or "globals" (line 1)'],
    },
    'a list': { text: '[]', issues: [': must be a Postman environment, not a list (line 1)'] },
    'no values': { text: '{"name":"x"}', issues: ['values: must be a list of variables, not null (nothing) (line 1)'] },
    'a key that is given twice': {
      text: '{"values":[{"key":"A","value":"1"},\n{"key":"A","value":"2"}]}',
      issues: ['values[1].key: the same key is given twice, first on line 1 (line 2)'],
    },
    'values and keys of other forms': {
      text: '{"values":["s3cret",{"key":"A","value":null},{"key":"B","value":{"s3cret":1}},{"key":"a b","value":"s3cret"},{"key":"C","value":"","enabled":"no"}]}',
      issues: [
        'values[0]: must be an object { key, value }, not a text (line 1)',
        'values[1].value: has no value; write "" for an empty text (line 1)',
        'values[2].value: must be a text, a number, true or false, not an object (line 1)',
        `values[3].key: ${KEY_RULE} (line 1)`,
        'values[4].enabled: must be true or false (line 1)',
      ],
    },
  };
  test.each(Object.entries(refusals))('refuses %s', (_, { text, issues }) =>
    expect(read('postman', text)).toEqual(issues),
  );
});

describe.each(variableFormats)('any %s file', (format) => {
  const comment = format === 'dotenv' || format === 'yaml' ? '#' : ' ';

  test('has at most 256 KiB in UTF-8, or as many bytes as the caller allows', () => {
    const issues = (bytes: number) => [`text: must have at most ${bytes} bytes in UTF-8`];
    expect(read(format, comment.repeat(262_145))).toEqual(issues(262_144));
    expect(read(format, 'é'.repeat(131_073))).toEqual(issues(262_144));
    expect(read(format, comment.repeat(262_144))).not.toEqual(issues(262_144));
    expect(parseVariables(format, 'A: 12', { maxBytes: 4 })._unsafeUnwrapErr().issues[0]?.message).toBe(
      'must have at most 4 bytes in UTF-8',
    );
  });

  test('has neither NUL nor half a surrogate pair', () => {
    const issues = ['text: must not contain NUL or unpaired surrogates'];
    expect(read(format, 'A=s3cret\0')).toEqual(issues);
    expect(read(format, 'A=s3cret\ud800')).toEqual(issues);
  });

  test('that is all mistakes has its first twenty named', () => {
    const mistakes = {
      dotenv: '!\n'.repeat(50),
      json: `[${'1,'.repeat(50)}1]`,
      yaml: '- 1\n'.repeat(50),
      postman: `{"values":[${'1,'.repeat(50)}1]}`,
    };
    expect(read(format, mistakes[format])).toHaveLength(20);
  });

  // Made to be slow: runs of blank lines, many keys, deep nesting, many mistakes. A quadratic reader needs minutes for one of them.
  const hostile = [
    '\n',
    ' ',
    '\t',
    'A\n',
    'export ',
    '[',
    '{',
    '{"a":',
    '- ',
    '? ',
    '&a ',
    '!',
    '"\n',
    `A='`,
    `\\'`,
    ',',
    '}',
    'a: [\n',
    '#\n',
    '"a" ',
    '\u2028',
  ];
  test('is read in a time in proportion to its size', { timeout: 120_000 }, () => {
    const texts = [
      ...hostile.map((part) => part.repeat(Math.floor(65_536 / part.length))),
      `A='${"\\'".repeat(30_000)}`,
      `A\n${'\n'.repeat(65_000)}`,
    ];
    texts.push(Array.from({ length: 30_000 }, (_, n) => `k${n}:`).join('\n'));
    texts.push(`{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":1`).join(',')}}`);
    for (const text of texts) {
      // Time on the processor, which other tests on the same machine do not add to.
      const started = process.cpuUsage();
      parseVariables(format, text);
      expect(process.cpuUsage(started).user / 1_000, JSON.stringify(text.slice(0, 20))).toBeLessThan(5_000);
    }
  });

  test('is refused with a Result, whatever is handed in', () => {
    const anything: unknown[] = [
      undefined,
      null,
      5,
      {},
      [],
      Buffer.from('A=1'),
      Symbol('s'),
      () => 1,
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('s3cret');
          },
        },
      ),
    ];
    for (const text of anything) expect(parseVariables(format, text as string).isErr()).toBe(true);
    for (const options of anything.slice(1)) {
      const result = parseVariables(format, '', options as object);
      expect(result.isOk() || isVivariumError(result.error)).toBe(true);
    }
  });
});

test.each(['toml', '__proto__', 'toString', undefined, 5])('a format named %s is an invalid input', (format) => {
  const error = parseVariables(format as VariableFormat, 'A=1')._unsafeUnwrapErr();
  expect(error.code).toBe('invalid_input');
  expect(error.issues[0]?.path).toBe('format');
});
