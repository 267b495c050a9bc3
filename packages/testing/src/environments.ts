import { unwrap } from '@vivarium/core';
import type { Client, Environment } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { fakeClock } from './fake-clock.ts';
import type { Suite } from './suite.ts';

/** Environments of a project: the set, its default, what is searched and counted. */
export function testEnvironments(suite: Suite): void {
  describe('environments', () => {
    test('makeDefault moves the default and changes nothing else', async () => {
      const { ada } = suite.inNewOrg();
      const { projectId, a, b } = await three(ada);
      const promoted = await unwrap(ada.environments.makeDefault(b.ref));
      expect(promoted).toEqual({ ...b, isDefault: true });
      expect(await unwrap(ada.environments.get(a.ref))).toEqual({ ...a, isDefault: false });
      expect(await unwrap(ada.projects.get(projectId))).toMatchObject({ defaultEnvironmentId: b.id, version: 1 });
      expect(await unwrap(ada.environments.makeDefault(b.ref))).toEqual(promoted);
    });

    test('the default that is deleted hands over to the one named, else to the oldest', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'z' }] }));
      const inProject = { projectId: project.id };
      const make = async (name: string) => {
        clock.advance(1);
        return unwrap(ada.environments.create({ ...inProject, name }));
      };
      const [y, x, w] = [await make('y'), await make('x'), await make('w')];
      const first = await unwrap(ada.environments.getDefault(project.id));

      await unwrap(ada.environments.delete(first.ref, { promote: w.ref }));
      expect((await unwrap(ada.environments.getDefault(project.id))).id).toBe(w.id);
      await unwrap(ada.environments.delete(w.ref));
      expect((await unwrap(ada.environments.getDefault(project.id))).id).toBe(y.id);
      await unwrap(ada.environments.delete(y.ref));
      expect((await unwrap(ada.environments.getDefault(project.id))).id).toBe(x.id);
      await refused(ada.environments.delete(x.ref), 'last_environment');
      expect((await unwrap(ada.environments.stats(project.id))).environments).toBe(1);
    });

    test('of environments of the same age the one with the smaller id inherits', async () => {
      const { ada } = suite.inNewOrg({ clock: fakeClock() });
      const environments = ['d', 'c', 'b', 'a'].map((name) => ({ name }));
      const project = await unwrap(ada.projects.create({ name: 'P', environments }));
      const { items } = await unwrap(ada.environments.list({ projectId: project.id }));
      const [first, ...others] = items;
      await unwrap(ada.environments.delete(first!.ref));
      const heir = others.map(({ id }) => id).sort()[0];
      expect((await unwrap(ada.environments.getDefault(project.id))).id).toBe(heir);
    });

    test('deleting one that is not the default leaves the default, also where one to promote was named', async () => {
      const { ada } = suite.inNewOrg();
      const { projectId, a, b, c } = await three(ada);
      await unwrap(ada.environments.delete(b.ref, { promote: c.ref }));
      expect((await unwrap(ada.environments.getDefault(projectId))).id).toBe(a.id);
      await refused(ada.environments.get(b.ref), 'not_found');
      await refused(ada.environments.makeDefault(b.ref), 'not_found');
      await refused(ada.environments.delete(a.ref, { promote: b.ref }), 'not_found');
    });

    test('a name is free again after a rename and after a deletion', async () => {
      const { ada } = suite.inNewOrg();
      const { projectId, a, b, c } = await three(ada);
      await unwrap(ada.environments.update(a.ref, { name: 'X' }));
      await unwrap(ada.environments.update(b.ref, { name: 'A' }));
      await unwrap(ada.environments.delete(c.ref));
      const again = await unwrap(ada.environments.duplicate(a.ref, { name: 'c' }));
      expect((await unwrap(ada.environments.getByName(projectId, 'C'))).id).toBe(again.id);
      expect((await unwrap(ada.environments.getByName(projectId, 'a'))).id).toBe(b.id);
      await refused(ada.environments.getByName(projectId, 'B'), 'not_found');
    });

    test('the same name may be in two projects', async () => {
      const { ada } = suite.inNewOrg();
      const [p, q] = [
        await unwrap(ada.projects.create({ name: 'P' })),
        await unwrap(ada.projects.create({ name: 'Q' })),
      ];
      const [inP, inQ] = [
        await unwrap(ada.environments.getDefault(p.id)),
        await unwrap(ada.environments.getDefault(q.id)),
      ];
      expect([inP.name, inQ.name]).toEqual(['Development', 'Development']);
      expect((await unwrap(ada.environments.getByName(q.id, 'development'))).id).toBe(inQ.id);
      await unwrap(ada.environments.create({ projectId: p.id, name: 'QA' }));
      await unwrap(ada.environments.create({ projectId: q.id, name: 'QA' }));
    });

    test('a change of one environment is none of another, nor of the project', async () => {
      const { ada } = suite.inNewOrg();
      const { projectId, a, b } = await three(ada);
      const project = await unwrap(ada.projects.get(projectId));
      await unwrap(ada.environments.setVariables(a.ref, { variables: [{ key: 'A', value: '1' }] }));
      await unwrap(ada.environments.update(a.ref, { name: 'A2', description: 'd' }));
      expect(await unwrap(ada.environments.get(b.ref))).toEqual(b);
      expect(await unwrap(ada.projects.get(projectId))).toEqual(project);
      expect((await unwrap(ada.environments.get(a.ref))).version).toBe(3);
    });

    test('a duplicate is of its own', async () => {
      const { ada } = suite.inNewOrg();
      const { projectId, a } = await three(ada);
      const variables = [
        { key: 'A', value: '1', description: 'd' },
        { key: 'B', value: '2' },
      ];
      await unwrap(ada.environments.setVariables(a.ref, { variables }));
      await unwrap(ada.environments.update(a.ref, { description: 'described' }));
      const copy = await unwrap(ada.environments.duplicate(a.ref, { name: 'Copy' }));
      expect(copy).toMatchObject({ description: 'described', version: 1, isDefault: false, projectId });
      await unwrap(ada.environments.setVariables(a.ref, { variables: [] }));
      await unwrap(ada.environments.delete(a.ref));
      expect(await unwrap(ada.environments.get(copy.ref))).toMatchObject({
        variables: variables.map((variable) => ({ ...variable, sensitive: false })),
      });
    });

    test('search takes names literally, without case, and keys exactly', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'Default' }] }));
      const make = (name: string, ...keys: string[]) =>
        unwrap(
          ada.environments.create({
            projectId: project.id,
            name,
            variables: keys.map((key) => ({ key, value: `${key} HOST "key":"OTHER"` })),
          }),
        );
      await make('a_b', 'HOST');
      await make('axb', 'HOSTNAME');
      await make('Straße', 'host', 'A');
      await make('ΣΊΣΥΦΟΣ', 'HOST', 'A');
      await make('İzmir', 'A');
      const found = async (filter: { name?: string; variableKey?: string }) =>
        (await unwrap(ada.environments.search({ projectId: project.id, ...filter }))).items.map(({ name }) => name);
      expect(await found({})).toEqual(['a_b', 'axb', 'Default', 'İzmir', 'Straße', 'ΣΊΣΥΦΟΣ']);
      expect(await found({ name: '_' })).toEqual(['a_b']);
      expect(await found({ name: '%' })).toEqual([]);
      expect(await found({ name: 'A_B' })).toEqual(['a_b']);
      expect(await found({ name: 'STRASSE' })).toEqual(['Straße']);
      expect(await found({ name: 'σίσυφος' })).toEqual(['ΣΊΣΥΦΟΣ']);
      expect(await found({ name: 'İ' })).toEqual(['İzmir']);
      expect(await found({ name: 'e' })).toEqual(['Default', 'Straße'].filter((name) => name.includes('e')));
      expect(await found({ variableKey: 'HOST' })).toEqual(['a_b', 'ΣΊΣΥΦΟΣ']);
      expect(await found({ variableKey: 'OTHER' })).toEqual([]);
      expect(await found({ variableKey: 'A', name: 'i' })).toEqual(['İzmir']);
      expect(await found({ variableKey: 'key' })).toEqual([]);
    });

    test('no character of a search is a wildcard or an escape', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'Default' }] }));
      const made: Record<string, readonly string[]> = {
        'Blue 1': ['API_KEY2', 'A-Z-', '-'],
        'Blue-1': ['API-KEY', 'AxZ', '__'],
        Blue_1: ['API_KEY', 'A-Z', '_'],
        Bluex1: ['APIxKEY', 'A_Z', 'x'],
      };
      for (const [name, keys] of Object.entries(made)) {
        const variables = keys.map((key) => ({ key, value: '_ % \\ API_KEY "key":"A%Z"' }));
        await unwrap(ada.environments.create({ projectId: project.id, name, variables }));
      }
      const search = (filter: { name?: string; variableKey?: string }) =>
        ada.environments.search({ projectId: project.id, ...filter });
      const found = async (filter: { name?: string; variableKey?: string }) =>
        (await unwrap(search(filter))).items.map(({ name }) => name);
      const holding = (key: string) => Object.keys(made).filter((name) => made[name]!.includes(key));

      expect(await found({ name: 'e_1' })).toEqual(['Blue_1']);
      expect(await found({ name: '_' })).toEqual(['Blue_1']);
      expect(await found({ name: '__' })).toEqual([]);
      for (const name of [
        '%',
        'Blue%1',
        'b%',
        '%1',
        '\\',
        '\\_',
        'Blue\\_1',
        '*',
        '?',
        '.',
        '[b]',
        '^b',
        "'",
        '"',
        '$',
      ]) {
        expect(await found({ name }), name).toEqual([]);
      }
      for (const variableKey of [
        'API_KEY',
        'API-KEY',
        'APIxKEY',
        'A-Z',
        'A_Z',
        '_',
        '__',
        '-',
        'x',
        'API_KE',
        'PI_KEY',
        '___',
      ]) {
        expect(await found({ variableKey }), variableKey).toEqual(holding(variableKey));
        expect(await found({ variableKey, name: '_' }), variableKey).toEqual(
          holding(variableKey).filter((name) => name.includes('_')),
        );
      }
      for (const variableKey of ['%', 'API%', '\\', 'API\\_KEY', 'A?Z', 'A*Z', '"', "'"]) {
        expect(await codeOf(search({ variableKey })), variableKey).toBe('invalid_input');
      }
    });

    test('summaries count variables and bytes, and follow every change', async () => {
      const { ada } = suite.inNewOrg();
      const { projectId, a } = await three(ada);
      const summary = async () => (await unwrap(ada.environments.list({ projectId }))).items[0];
      expect(await summary()).toMatchObject({ name: 'A', variableCount: 0, variableBytes: 2 });
      await unwrap(ada.environments.setVariables(a.ref, { variables: [{ key: 'K', value: '語' }] }));
      const set = { variableCount: 1, variableBytes: Buffer.byteLength('[{"key":"K","value":"語"}]'), version: 2 };
      expect(await summary()).toMatchObject(set);
      expect((await unwrap(ada.environments.search({ projectId, variableKey: 'K' }))).items).toMatchObject([set]);
      await unwrap(ada.environments.patchVariables(a.ref, { set: [{ key: 'L', value: '' }] }));
      expect(await summary()).toMatchObject({ variableCount: 2 });
      await unwrap(ada.environments.update(a.ref, { name: 'A', description: null }));
      expect(await summary()).toMatchObject({ variableCount: 2, version: 4 });
      await unwrap(ada.environments.patchVariables(a.ref, { unset: ['K', 'L'] }));
      expect(await summary()).toMatchObject({ variableCount: 0, variableBytes: 2, version: 5 });
      expect(Object.keys((await summary())!).sort()).toEqual([
        'createdAt',
        'id',
        'isDefault',
        'name',
        'projectId',
        'ref',
        'updatedAt',
        'variableBytes',
        'variableCount',
        'version',
      ]);
    });

    test('stats are of the whole project', async () => {
      const { ada } = suite.inNewOrg();
      const { projectId, a, b } = await three(ada);
      const empty = { total: 0, mean: 0, largest: 0 };
      expect(await unwrap(ada.environments.stats(projectId))).toEqual({
        environments: 3,
        variables: empty,
        bytes: { total: 6, mean: 2, largest: 2 },
      });
      const variables = Array.from({ length: 7 }, (_, index) => ({ key: `K${index}`, value: 'é' }));
      await unwrap(ada.environments.setVariables(a.ref, { variables }));
      await unwrap(ada.environments.setVariables(b.ref, { variables: variables.slice(0, 1) }));
      const bytes = [variables.length, 1].map((count) =>
        Buffer.byteLength(JSON.stringify(variables.slice(0, count))),
      ) as [number, number];
      const total = bytes[0] + bytes[1] + 2;
      expect(await unwrap(ada.environments.stats(projectId))).toEqual({
        environments: 3,
        variables: { total: 8, mean: expect.closeTo(8 / 3, 9), largest: 7 },
        bytes: { total, mean: expect.closeTo(total / 3, 9), largest: bytes[0] },
      });
    });

    test('diff names what was added, removed and changed, also between projects', async () => {
      const { ada } = suite.inNewOrg();
      const { a } = await three(ada);
      const other = await unwrap(
        ada.projects.create({
          name: 'Q',
          environments: [
            { name: 'E', variables: ['B', 'C', 'D'].map((key) => ({ key, value: key === 'C' ? 'new' : key })) },
          ],
        }),
      );
      await unwrap(
        ada.environments.setVariables(a.ref, { variables: ['A', 'B', 'C'].map((key) => ({ key, value: key })) }),
      );
      const { ref } = await unwrap(ada.environments.getDefault(other.id));
      const differences = await unwrap(ada.environments.diff(a.ref, ref));
      expect(differences).toMatchObject({
        same: 1,
        differences: [
          { key: 'A', change: 'removed', before: { value: 'A' }, after: null },
          { key: 'C', change: 'changed', before: { value: 'C' }, after: { value: 'new' } },
          { key: 'D', change: 'added', before: null, after: { value: 'D' } },
        ],
      });
      const backwards = await unwrap(ada.environments.diff(ref, a.ref));
      expect(backwards.differences.map(({ change }) => change)).toEqual(['added', 'changed', 'removed']);
    });
  });
}

/** A project with the environments A, the default, B and C. */
async function three(
  client: Client<unknown>,
): Promise<{ readonly projectId: string; readonly a: Environment; readonly b: Environment; readonly c: Environment }> {
  const environments = [{ name: 'A' }, { name: 'B' }, { name: 'C' }];
  const { id: projectId } = await unwrap(client.projects.create({ name: 'Three', environments }));
  const [a, b, c] = [
    await unwrap(client.environments.getByName(projectId, 'A')),
    await unwrap(client.environments.getByName(projectId, 'B')),
    await unwrap(client.environments.getByName(projectId, 'C')),
  ];
  return { projectId, a, b, c };
}
