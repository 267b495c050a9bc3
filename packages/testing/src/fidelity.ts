import process from 'node:process';
import { unwrap } from '@vivarium/core';
import type { Client, Environment, ResultAsync, VariableInput, VivariumError } from '@vivarium/core';
import { encodeVariables } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { fakeClock } from './fake-clock.ts';
import type { Suite } from './suite.ts';

const texts: Readonly<Record<string, string>> = {
  EMPTY: '',
  SPACE: ' ',
  TRAILING_SPACES: 'value   ',
  LEADING_SPACES: '   value',
  LINES: 'one\ntwo\r\nthree\r\n',
  TABS: '\tvalue\t',
  UNICODE: 'Zażółć gęślą jaźń, 日本語, Ελληνικά',
  EMOJI: '🧪👩‍👩‍👧‍👦🏳️‍🌈',
  RIGHT_TO_LEFT: 'مرحبا \u202eabc\u202c שלום',
  COMBINING: 'e\u0301 is not \u00e9',
  DOTTED_I: 'İstanbul ıI',
  SHARP_S: 'Straße STRASSE ẞ',
  SIGMA: 'ΣΊΣΥΦΟΣ σίσυφος',
  NONCHARACTERS: '\ufffe\uffff\u{10ffff}',
  BYTE_ORDER_MARK: '\ufeffvalue',
  CONTROLS: '\u0001\u0008\u000b\u001b\u007f\u0085\u2028\u2029',
  BIG_INTEGER: '900719925474099312345678901234567890',
  PRECISE: '0.10000000000000000555',
  EXPONENT: '1e400',
  LEADING_ZEROES: '007',
  NULL_WORD: 'null',
  TRUE_WORD: 'true',
  DATE_WORD: '2025-02-30T25:61:00Z',
  JSON: '{"__proto__": {"a": 1}, "a": 1, "a": 2}',
  QUOTES: `"double" 'single' \`back\``,
  BACKSLASHES: 'C:\\new\\table\\0 \\" \\u0041',
  PLACEHOLDERS: '? $1 :name @p1 %s %d {{NOT}} ${NOT}',
  STATEMENT: `'; DROP TABLE environments; --`,
  WILDCARDS: '100%_\\%',
};

const someVariables: readonly VariableInput[] = [
  ...Object.entries(texts).map(([key, value]) => ({ key, value })),
  { key: 'DESCRIBED', value: 'x', description: 'what it is for: 🧪 "quoted"' },
  { key: 'DESCRIBED_EMPTY', value: 'x', description: '' },
];

async function withVariables(ada: Client<unknown>, variables: readonly VariableInput[]): Promise<Environment> {
  const project = await unwrap(ada.projects.create({ name: 'Fidelity', environments: [{ name: 'Only', variables }] }));
  return unwrap(ada.environments.getDefault(project.id));
}

function valuesOf(environment: Environment): Record<string, string | null> {
  return Object.fromEntries(
    environment.variables.map((variable) => [variable.key, variable.sensitive ? null : variable.value]),
  );
}

/** A list of variables whose canonical JSON takes exactly so many bytes in UTF-8. */
function variablesOf(bytes: number, character = 'x'): readonly VariableInput[] {
  const empty = Buffer.byteLength(encodeVariables([{ key: 'FILL', value: '' }]));
  const width = Buffer.byteLength(character);
  const characters = Math.floor((bytes - empty) / width);
  const rest = bytes - empty - characters * width;
  return [{ key: 'FILL', value: character.repeat(characters) + 'x'.repeat(rest) }];
}

/** What goes in comes out, character by character, and lies in the database as promised. */
export function testFidelity(suite: Suite): void {
  describe('fidelity', () => {
    test.each(Object.keys(texts))('a value comes back as it was: %s', async (key) => {
      const { ada } = suite.inNewOrg();
      const value = texts[key]!;
      const environment = await withVariables(ada, [{ key, value }]);
      expect(environment.variables).toEqual([{ key, value, sensitive: false }]);
    });

    test('every way of reading gives the same variables, after every way of writing', async () => {
      const { ada } = suite.inNewOrg();
      const made = await withVariables(ada, someVariables);
      const expected = someVariables.map((variable) => ({ sensitive: false, ...variable }));
      expect(made.variables).toEqual(expected);

      const created = await unwrap(
        ada.environments.create({ projectId: made.projectId, name: 'Created', variables: someVariables }),
      );
      const duplicate = await unwrap(ada.environments.duplicate(made.ref, { name: 'Duplicate' }));
      const set = await unwrap(ada.environments.setVariables(created.ref, { variables: someVariables }));
      const patched = await unwrap(ada.environments.patchVariables(created.ref, { set: someVariables }));
      for (const answer of [created, duplicate, set, patched]) expect(answer.variables).toEqual(expected);

      for (const { ref, name } of [made, created, duplicate]) {
        expect((await unwrap(ada.environments.get(ref))).variables).toEqual(expected);
        expect((await unwrap(ada.environments.getByName(ref.projectId, name))).variables).toEqual(expected);
        expect(await unwrap(ada.environments.diff(made.ref, ref))).toEqual({
          differences: [],
          same: someVariables.length,
        });
      }
    });

    test('resolve, render and reveal give the same text', async () => {
      const { ada } = suite.inNewOrg();
      const literal = { ...texts };
      delete literal['PLACEHOLDERS'];
      const environment = await withVariables(
        ada,
        Object.entries(literal).map(([key, value]) => ({ key, value })),
      );
      const resolved = await unwrap(ada.environments.resolve(environment.ref));
      const revealed = await unwrap(ada.environments.reveal(environment.ref, { keys: Object.keys(literal) }));
      for (const [key, value] of Object.entries(literal)) {
        expect(resolved.get(key)).toBe(value);
        expect(revealed.get(key)?.reveal()).toBe(value);
        expect((await unwrap(ada.environments.render(environment.ref, `{{${key}}}`))).text).toBe(value);
      }
    });

    test('what a command answers is what is read afterwards', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'Answers' }));
      expect(await unwrap(ada.projects.get(project.id))).toEqual(project);

      const created = await unwrap(
        ada.environments.create({ projectId: project.id, name: 'QA', description: 'd', variables: someVariables }),
      );
      expect(await unwrap(ada.environments.get(created.ref))).toEqual(created);
      const updated = await unwrap(ada.environments.update(created.ref, { name: 'QA 2', description: null }));
      expect(await unwrap(ada.environments.get(created.ref))).toEqual(updated);
      const set = await unwrap(ada.environments.setVariables(created.ref, { variables: [{ key: 'A', value: '1' }] }));
      expect(await unwrap(ada.environments.get(created.ref))).toEqual(set);
      const patched = await unwrap(ada.environments.patchVariables(created.ref, { set: [{ key: 'B', value: '2' }] }));
      expect(await unwrap(ada.environments.get(created.ref))).toEqual(patched);
      const duplicate = await unwrap(ada.environments.duplicate(created.ref, { name: 'Copy' }));
      expect(await unwrap(ada.environments.get(duplicate.ref))).toEqual(duplicate);
      const promoted = await unwrap(ada.environments.makeDefault(created.ref));
      expect(await unwrap(ada.environments.getDefault(project.id))).toEqual(promoted);
      const renamed = await unwrap(ada.projects.update(project.id, { name: 'Other', description: 'd' }));
      expect(await unwrap(ada.projects.get(project.id))).toEqual(renamed);
    });

    test('the order of variables is kept, and a patch leaves every key in its place', async () => {
      const { ada } = suite.inNewOrg();
      const keys = ['z', 'A', 'm', '10', '9', '1', '__proto__', 'B', 'a'];
      const environment = await withVariables(
        ada,
        keys.map((key) => ({ key, value: key })),
      );
      await unwrap(
        ada.environments.patchVariables(environment.ref, {
          set: [
            { key: 'new', value: 'last' },
            { key: '9', value: 'changed' },
          ],
          unset: ['m', 'not there'.replaceAll(' ', '_')],
        }),
      );
      const { variables } = await unwrap(ada.environments.get(environment.ref));
      expect(variables.map(({ key }) => key)).toEqual(['z', 'A', '10', '9', '1', '__proto__', 'B', 'a', 'new']);
    });

    test('keys that mean something to JavaScript, or differ only in case, are keys like others', async () => {
      const { ada } = suite.inNewOrg();
      const keys = [
        '__proto__',
        'constructor',
        'toString',
        'hasOwnProperty',
        'KEY',
        'key',
        'Key',
        '-',
        '_',
        'k'.repeat(256),
      ];
      const environment = await withVariables(
        ada,
        keys.map((key, index) => ({ key, value: `${index}` })),
      );
      expect(environment.variables.map(({ key }) => key)).toEqual(keys);
      for (const [index, key] of keys.entries()) {
        const found = await unwrap(ada.environments.search({ projectId: environment.projectId, variableKey: key }));
        expect(found.items).toHaveLength(1);
        expect((await unwrap(ada.environments.resolve(environment.ref))).get(key)).toBe(`${index}`);
      }
      const wrongCase = await unwrap(ada.environments.search({ projectId: environment.projectId, variableKey: 'KEy' }));
      expect(wrongCase.items).toEqual([]);
    });

    test('there may be no variables at all', async () => {
      const { org, ada } = suite.inNewOrg();
      const environment = await withVariables(ada, []);
      expect(environment.variables).toEqual([]);
      expect(JSON.parse(await suite.harness.raw.environmentVariables({ orgId: org, ...environment.ref }))).toEqual([]);
      await unwrap(ada.environments.setVariables(environment.ref, { variables: [{ key: 'A', value: '' }] }));
      const emptied = await unwrap(ada.environments.setVariables(environment.ref, { variables: [] }));
      expect(emptied.variables).toEqual([]);
      expect((await unwrap(ada.environments.get(environment.ref))).variables).toEqual([]);
    });

    test.each(['x', 'é', '語', '🧪', '"', '\n'])(
      '51,200 bytes of %j are held, one more is refused',
      async (character) => {
        const { ada } = suite.inNewOrg();
        const environment = await withVariables(ada, []);
        const width = Buffer.byteLength(JSON.stringify(character)) - 2;
        const fill = Math.floor((51_200 - Buffer.byteLength(encodeVariables([{ key: 'FILL', value: '' }]))) / width);
        const rest = 51_200 - Buffer.byteLength(encodeVariables([{ key: 'FILL', value: character.repeat(fill) }]));
        const value = character.repeat(fill) + 'x'.repeat(rest);

        await refused(
          ada.environments.setVariables(environment.ref, { variables: [{ key: 'FILL', value: `${value}x` }] }),
          'invalid_input',
        );
        await unwrap(ada.environments.setVariables(environment.ref, { variables: [{ key: 'FILL', value }] }));
        expect((await unwrap(ada.environments.get(environment.ref))).variables).toEqual([
          { key: 'FILL', value, sensitive: false },
        ]);
        const [summary] = (await unwrap(ada.environments.list({ projectId: environment.projectId }))).items;
        expect(summary).toMatchObject({ variableCount: 1, variableBytes: 51_200 });
        await refused(
          ada.environments.patchVariables(environment.ref, { set: [{ key: 'X', value: '' }] }),
          'limit_reached',
        );
      },
    );

    test('300,000 bytes, the most that a host may allow, are held by every way of writing', async () => {
      const { ada } = suite.inNewOrg({ limits: { variableBytesPerEnvironment: 300_000 } });
      const variables = variablesOf(300_000, '語');
      const environment = await withVariables(ada, variables);
      const copy = await unwrap(ada.environments.duplicate(environment.ref, { name: 'Copy' }));
      await unwrap(ada.environments.setVariables(environment.ref, { variables }));
      expect(valuesOf(await unwrap(ada.environments.get(copy.ref)))).toEqual({
        FILL: (variables[0] as { value: string }).value,
      });
      const { items } = await unwrap(ada.environments.list({ projectId: environment.projectId }));
      expect(items.map(({ variableBytes }) => variableBytes)).toEqual([300_000, 300_000]);
      const stats = await unwrap(ada.environments.stats(environment.projectId));
      expect(stats.bytes).toEqual({ total: 600_000, mean: 300_000, largest: 300_000 });
    });

    test.each([
      ['trimmed', '  Padded  ', 'Padded', ['padded', ' PADDED ']],
      ['in normal form C', 'Cafe\u0301', 'Caf\u00e9', ['CAF\u00c9', 'cafe\u0301']],
      ['dotted I', 'İzmir', 'İzmir', ['i\u0307zmir', 'İZMIR']],
      ['sharp s', 'Straße', 'Straße', ['STRASSE', 'strasse']],
      ['final sigma', 'Σίσυφος', 'Σίσυφος', ['ΣΊΣΥΦΟΣ', 'σίσυφοσ']],
      ['ligature', 'ﬁne', 'ﬁne', ['FINE', 'fine']],
      ['Cyrillic', 'Тест', 'Тест', ['ТЕСТ']],
      ['astral', '𐐀𐐁', '𐐀𐐁', ['𐐨𐐩']],
    ])('a name is kept as entered and found in any case: %s', async (_what, entered, kept, others) => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: entered, environments: [{ name: entered }] }));
      const environment = await unwrap(ada.environments.getDefault(project.id));
      expect([project.name, environment.name]).toEqual([kept, kept]);
      for (const other of [entered, ...others]) {
        expect((await unwrap(ada.projects.getByName(other))).id).toBe(project.id);
        expect((await unwrap(ada.environments.getByName(project.id, other))).id).toBe(environment.id);
        await refused(ada.projects.create({ name: other }), 'project_name_taken');
        await refused(ada.environments.create({ projectId: project.id, name: other }), 'environment_name_taken');
      }
    });

    test('names that only look alike are different names', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'Alike' }));
      const names = [
        'Resume',
        'Résumé',
        'aa',
        'å',
        'ae',
        'æ',
        'a-b',
        'a_b',
        'a b',
        'a  b',
        'ab',
        'кот',
        'kot',
        'Ⅳ',
        'IV',
        '１',
        '1',
      ];
      for (const name of names) await unwrap(ada.environments.create({ projectId: project.id, name }));
      for (const name of names) await unwrap(ada.projects.create({ name }));
      const { items } = await unwrap(ada.environments.list({ projectId: project.id }));
      expect(items).toHaveLength(names.length + 1);
      for (const name of names) {
        expect((await unwrap(ada.environments.getByName(project.id, name))).name).toBe(name);
        expect((await unwrap(ada.projects.getByName(name))).name).toBe(name);
      }
    });

    test('names and descriptions of full length are held, whatever their characters take in bytes', async () => {
      const { ada } = suite.inNewOrg();
      const description = '🧪'.repeat(500);
      for (const letter of ['x', 'İ', 'ﬃ', '語', '𐐀']) {
        const name = letter.repeat(100);
        const project = await unwrap(ada.projects.create({ name, description, environments: [{ name, description }] }));
        const environment = await unwrap(ada.environments.getDefault(project.id));
        expect(environment).toMatchObject({ name, description });
        expect(await unwrap(ada.projects.getByName(name))).toEqual(project);
        expect(await unwrap(ada.environments.getByName(project.id, name))).toEqual(environment);
      }
      const emoji = await unwrap(ada.projects.create({ name: '🧪'.repeat(100) }));
      expect((await unwrap(ada.projects.get(emoji.id))).name).toBe('🧪'.repeat(100));
    });

    test('no description is null, an empty one is empty, and null removes one', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(
        ada.projects.create({
          name: 'Described',
          description: '',
          environments: [{ name: 'Missing' }, { name: 'Null', description: null }, { name: 'Empty', description: '' }],
        }),
      );
      const descriptionOf = async (name: string) =>
        (await unwrap(ada.environments.getByName(project.id, name))).description;
      expect(await descriptionOf('Missing')).toBe(null);
      expect(await descriptionOf('Null')).toBe(null);
      expect(await descriptionOf('Empty')).toBe('');
      expect((await unwrap(ada.projects.get(project.id))).description).toBe('');

      await unwrap(ada.projects.update(project.id, { description: null }));
      expect((await unwrap(ada.projects.get(project.id))).description).toBe(null);
      await unwrap(ada.projects.update(project.id, { description: ' kept \n as is ' }));
      await unwrap(ada.projects.update(project.id, { name: 'Renamed' }));
      expect((await unwrap(ada.projects.get(project.id))).description).toBe(' kept \n as is ');
    });

    test('a list of full length keeps the smallest things apart', async () => {
      const { ada } = suite.inNewOrg();
      const variables = Array.from({ length: 100 }, (_, index) => ({ key: `K${index}`, value: `${index}` }));
      const environment = await withVariables(ada, variables);
      expect(environment.variables).toEqual(variables.map((variable) => ({ ...variable, sensitive: false })));
    });

    test.each([undefined, 'America/New_York', 'Asia/Tokyo', 'Pacific/Apia'])(
      'times keep their milliseconds where the time zone is %s',
      async (zone) => {
        const before = process.env['TZ'];
        if (zone !== undefined) process.env['TZ'] = zone;
        try {
          const named = Intl.DateTimeFormat().resolvedOptions().timeZone;
          if (zone !== undefined)
            expect(named, 'the process takes its zone from TZ (not in a worker thread)').toBe(zone);
          await keepsTimes();
        } finally {
          if (before === undefined) delete process.env['TZ'];
          else process.env['TZ'] = before;
        }
      },
    );

    async function keepsTimes(): Promise<void> {
      const moments = [
        '1999-12-31T23:59:59.999Z',
        '2024-02-29T12:00:00.001Z',
        // Wall-clock times that New York skips, or has twice, if one takes them for local ones.
        '2025-03-09T02:30:00.123Z',
        '2025-03-09T06:59:59.999Z',
        '2025-03-09T07:00:00.000Z',
        '2025-11-02T01:30:00.456Z',
        '2025-11-02T05:30:00.456Z',
        '2025-11-02T06:30:00.456Z',
        '2038-01-19T03:14:08.500Z',
        '2100-07-01T00:00:00.010Z',
      ];
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      for (const [index, moment] of moments.entries()) {
        clock.set(moment);
        const project = await unwrap(ada.projects.create({ name: `At ${index}` }));
        const environment = await unwrap(ada.environments.getDefault(project.id));
        const [summary] = (await unwrap(ada.environments.list({ projectId: project.id }))).items;
        const { items } = await unwrap(
          ada.journal.list({ from: new Date(moment), to: new Date(Date.parse(moment) + 1) }),
        );
        for (const { createdAt, updatedAt } of [
          project,
          await unwrap(ada.projects.get(project.id)),
          environment,
          summary!,
        ]) {
          expect([createdAt.toISOString(), updatedAt.toISOString()]).toEqual([moment, moment]);
        }
        expect(items.map(({ subject, at }) => [subject.id, at.toISOString()])).toEqual([[project.id, moment]]);
      }
    }

    test('createdAt stays, updatedAt moves with every change', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      const project = await unwrap(
        ada.projects.create({ name: 'Times', environments: [{ name: 'A' }, { name: 'B' }] }),
      );
      const parent = await unwrap(ada.projects.create({ name: 'Parent' }));
      const { ref } = await unwrap(ada.environments.getDefault(project.id));
      const changes: readonly (() => ResultAsync<Environment, VivariumError>)[] = [
        () => ada.environments.update(ref, { description: 'x' }),
        () => ada.environments.setVariables(ref, { variables: [] }),
        () => ada.environments.patchVariables(ref, {}),
      ];
      for (const [index, change] of changes.entries()) {
        clock.advance(1);
        const answer: Environment = await unwrap(change());
        expect(answer).toMatchObject({
          createdAt: project.createdAt,
          updatedAt: clock.now(),
          version: index + 2,
        });
        expect(await unwrap(ada.environments.get(ref))).toMatchObject({
          createdAt: project.createdAt,
          updatedAt: clock.now(),
        });
      }
      clock.advance(1);
      await unwrap(ada.projects.update(project.id, { name: 'Times 2' }));
      clock.advance(1);
      await unwrap(ada.projects.move(project.id, { parentProjectId: parent.id }));
      expect(await unwrap(ada.projects.get(project.id))).toMatchObject({
        createdAt: project.createdAt,
        updatedAt: clock.now(),
        version: 3,
      });
    });

    test('what was handed out can be changed without changing what is stored', async () => {
      const { ada } = suite.inNewOrg();
      const environment = await withVariables(ada, [{ key: 'A', value: '1' }]);
      const untouched = structuredClone(environment);
      const created = await unwrap(ada.environments.create({ projectId: environment.projectId, name: 'Created' }));
      const expected = structuredClone(created);
      for (const { createdAt, updatedAt } of [environment, created]) {
        createdAt.setTime(0);
        updatedAt.setTime(0);
      }
      expect(await unwrap(ada.environments.get(environment.ref))).toEqual(untouched);
      expect(await unwrap(ada.environments.get(created.ref))).toEqual(expected);
      const [entry] = (await unwrap(ada.journal.list())).items;
      expect(entry?.at).toEqual(expected.createdAt);
    });

    test('actors and orgs of any script are kept', async () => {
      const org = `${suite.newOrg()} 語 🧪 İ`;
      const client = suite.vivarium().as({ org, type: 'πράκτορας ', id: ' "🧪"\\' });
      await unwrap(client.projects.create({ name: 'P' }));
      const [entry] = (await unwrap(client.journal.list())).items;
      expect(entry).toMatchObject({ orgId: org, actor: { type: 'πράκτορας ', id: ' "🧪"\\' } });
    });

    test('the database holds the canonical document', async () => {
      const { org, ada } = suite.inNewOrg();
      const environment = await withVariables(ada, someVariables);
      const document = await suite.harness.raw.environmentVariables({ orgId: org, ...environment.ref });
      expect(JSON.parse(document)).toEqual(JSON.parse(encodeVariables(someVariables as never)));

      await unwrap(ada.environments.patchVariables(environment.ref, { unset: Object.keys(texts) }));
      expect(JSON.parse(await suite.harness.raw.environmentVariables({ orgId: org, ...environment.ref }))).toEqual([
        { key: 'DESCRIBED', value: 'x', description: 'what it is for: 🧪 "quoted"' },
        { key: 'DESCRIBED_EMPTY', value: 'x', description: '' },
      ]);
    });

    test('a document that another tool wrote reads as it is, and is canonical after the next change', async () => {
      const { org, ada } = suite.inNewOrg();
      const environment = await withVariables(ada, []);
      const address = { orgId: org, ...environment.ref };
      await suite.harness.raw.setEnvironmentVariables(
        address,
        ` [ {"value": "1", "key": "A", "createdBy": "another tool", "description": null},
            {"key": "a key that we would not take", "value": "\\u00e9\\ud83e\\uddea", "enabled": true} ] `,
      );
      const { variables } = await unwrap(ada.environments.get(environment.ref));
      expect(variables).toEqual([
        { key: 'A', value: '1', sensitive: false },
        { key: 'a key that we would not take', value: 'é🧪', sensitive: false },
      ]);
      await unwrap(ada.environments.patchVariables(environment.ref, { set: [{ key: 'B', value: '2' }] }));
      expect(JSON.parse(await suite.harness.raw.environmentVariables(address))).toEqual([
        { key: 'A', value: '1' },
        { key: 'a key that we would not take', value: 'é🧪' },
        { key: 'B', value: '2' },
      ]);
    });

    test.each([
      ['an object', '{"CANARY": "c4n4ry-value"}'],
      ['values that are no texts', '[{"key": "CANARY", "value": {"c4n4ry-value": 1}}]'],
      ['texts', '["c4n4ry-value"]'],
      ['a text', '"c4n4ry-value"'],
      ['null', 'null'],
    ])('a document of another form is a storage_failure that shows nothing of it: %s', async (_what, json) => {
      const { org, ada } = suite.inNewOrg();
      const environment = await withVariables(ada, []);
      await suite.harness.raw.setEnvironmentVariables({ orgId: org, ...environment.ref }, json);
      for (const call of [
        ada.environments.get(environment.ref),
        ada.environments.getDefault(environment.projectId),
        ada.environments.getByName(environment.projectId, environment.name),
        ada.environments.diff(environment.ref, environment.ref),
        ada.environments.resolve(environment.ref),
        ada.environments.patchVariables(environment.ref, { set: [{ key: 'A', value: '1' }] }),
      ]) {
        const error = await refused(call, 'storage_failure');
        expect(error).toMatchObject({ outcome: 'none', retryable: false });
        expect(
          `${error.stack}${JSON.stringify(error)}${String(error.cause)}${JSON.stringify(error.cause)}`,
        ).not.toContain('c4n4ry');
      }
    });
  });
}
