import { builtInMilestones, unwrap } from '@vivarium/core';
import type { CatalogLists, Milestone } from '@vivarium/core';
import { compareBytes } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { makeReferences } from './builds-making.ts';
import { catalogEntries, catalogOf } from './every-build-call.ts';
import { fakeClock } from './fake-clock.ts';
import { allPages } from './paging.ts';
import type { Suite } from './suite.ts';

type List = CatalogLists[keyof CatalogLists];
interface Entry {
  readonly id: string;
  readonly name: string;
}

const lists: readonly List[] = ['platforms', 'osVersions', 'imageTypes'];
const references = { platforms: 'platformId', osVersions: 'osVersionId', imageTypes: 'imageTypeId' } as const;
/** What an entry holds that was made of its name and what it cannot be without. */
const smallest: Readonly<Record<List, { readonly given: object; readonly read: object }>> = {
  platforms: { given: { cloudProvider: 'ovh' }, read: { cloudProvider: 'ovh', region: null } },
  osVersions: {
    given: { osFamily: 'alpine', majorVersion: 0 },
    read: { osFamily: 'alpine', majorVersion: 0, minorVersion: null },
  },
  imageTypes: { given: {}, read: { description: null } },
};
const changes: Readonly<Record<List, object>> = {
  platforms: { cloudProvider: 'azure 語', region: null },
  osVersions: { osFamily: 'ubuntu', majorVersion: 1_000_000, minorVersion: 0 },
  imageTypes: { description: ' as it is: "🧪"\\ \n' },
};

/** What builds refer to: the catalog, and the milestones of a project's builds. */
export function testBuildCatalog(suite: Suite): void {
  describe('the catalog of builds', () => {
    test.each(lists)('%s: what is made is read back, changed, and gone when it was deleted', async (list) => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      const catalog = catalogOf(ada, list);
      const now = { createdAt: clock.now(), updatedAt: clock.now() };
      const small = await entry(catalog.create({ name: ' Small ', ...smallest[list].given }));
      const expected = {
        id: small.id,
        name: 'Small',
        displayName: 'Small',
        ...smallest[list].read,
        version: 1,
        ...now,
      };
      expect(small).toEqual(expected);
      const full = await entry(catalog.create({ name: 'full', displayName: 'Full 🧪', ...catalogEntries[list] }));
      expect(full).toEqual({
        id: full.id,
        name: 'full',
        displayName: 'Full 🧪',
        ...catalogEntries[list],
        version: 1,
        ...now,
      });
      for (const one of [small, full]) {
        expect(await entry(catalog.get(one.id))).toEqual(one);
        expect(await entry(catalog.getByName(one.name.toUpperCase()))).toEqual(one);
      }
      expect(await unwrap(catalog.list())).toEqual({ items: [full, small], nextCursor: null });

      clock.advance(1_001);
      const changed = await entry(catalog.update(full.id, { ...changes[list], expectedVersion: 1 }));
      expect(changed).toEqual({ ...full, ...changes[list], version: 2, updatedAt: clock.now() });
      expect(await entry(catalog.update(full.id, {}))).toEqual({ ...changed, version: 3 });
      const renamed = await entry(catalog.update(full.id, { name: 'FULL', displayName: 'x' }));
      expect(renamed).toEqual({ ...changed, name: 'FULL', displayName: 'x', version: 4 });
      expect(await entry(catalog.get(full.id))).toEqual(renamed);

      expect(await unwrap(catalog.delete(full.id))).toBeUndefined();
      for (const gone of [catalog.get(full.id), catalog.getByName('full'), catalog.delete(full.id)]) {
        expect(await codeOf(gone)).toBe('not_found');
      }
      expect(await unwrap(catalog.list())).toEqual({ items: [small], nextCursor: null });
      expect(await entry(catalog.getByName('SMALL'))).toEqual(small);
    });

    test.each(lists)('%s: names are unique whatever their case, script or normal form', async (list) => {
      const { ada } = suite.inNewOrg();
      const make = (name: string) => codeOf(catalogOf(ada, list).create({ name, ...smallest[list].given }));
      const same = [
        ['RHEL-8.8', 'rhel-8.8', ' Rhel-8.8 '],
        ['straße', 'STRASSE', 'straẞe'],
        ['\u00e9t\u00e9', 'e\u0301te\u0301', 'ÉTÉ'],
        ['ΟΔΟΣ', 'οδος', 'οδοσ'],
        ['语 image', '语 IMAGE'],
      ];
      for (const [first, ...others] of same) {
        expect([first, await make(first!)]).toEqual([first, 'ok']);
        for (const other of [first!, ...others])
          expect([other, await make(other)]).toEqual([other, 'catalog_name_taken']);
      }
      for (const name of [
        'rhel-8.88',
        'rhel-8',
        'rhel 8.8',
        'rhel_8.8',
        'rhel-8%',
        'ete',
        'strase',
        '🧪',
        "'",
        '\\',
        'İ',
        'i',
        'ﬁ',
        '𐐨',
      ]) {
        expect([name, await make(name)]).toEqual([name, 'ok']);
      }
      for (const [first, ...others] of same) {
        for (const other of others) {
          expect((await entry(catalogOf(ada, list).getByName(other))).name).toBe(first!.normalize('NFC'));
        }
      }
    });

    test.each(lists)('%s: a name is free again when it was given up, and never taken from another', async (list) => {
      const { ada } = suite.inNewOrg();
      const catalog = catalogOf(ada, list);
      const make = (name: string) => entry(catalog.create({ name, ...smallest[list].given }));
      const [one, two] = [await make('One'), await make('Two')];
      await refused(catalog.update(two.id, { name: 'ONE' }), 'catalog_name_taken');
      await refused(catalog.update(two.id, { name: 'ONE', expectedVersion: 1 }), 'catalog_name_taken');
      expect(await entry(catalog.get(two.id))).toEqual(two);
      await unwrap(catalog.update(one.id, { name: 'Third' }));
      expect(await entry(catalog.update(two.id, { name: 'one' }))).toMatchObject({ name: 'one', version: 2 });
      expect((await entry(catalog.getByName('One'))).id).toBe(two.id);
      expect(await codeOf(catalog.getByName('Two'))).toBe('not_found');
      await unwrap(catalog.delete(two.id));
      expect((await make('ONE')).id).not.toBe(two.id);
    });

    test('one name may be in each of the lists', async () => {
      const { ada } = suite.inNewOrg();
      const ids = await makeReferences(ada, 'the same');
      expect(new Set(Object.values(ids)).size).toBe(3);
      for (const list of lists)
        expect((await entry(catalogOf(ada, list).getByName('the same'))).id).toBe(ids[references[list]]);
    });

    test.each(lists)('%s: come by the bytes of their names, in pages of every size', async (list) => {
      const { ada } = suite.inNewOrg();
      const names = ['-', '0', '1', '10', '2', 'a', 'a b', 'a-b', 'aa', 'B', 'z', 'é', 'ω', '語', 'ｦ', '𐐨', '𠀀'];
      for (let index = 0; index < names.length; index++) {
        const name = names[(index * 7) % names.length]!;
        await unwrap(catalogOf(ada, list).create({ name, ...smallest[list].given }));
      }
      const inOrder = names.toSorted((a, b) => compareBytes(a.toLowerCase(), b.toLowerCase()));
      expect(inOrder).toEqual(names);
      for (const limit of [1, 2, 5, 16, 17, 18]) {
        const pages = await allPages((page) => catalogOf(ada, list).list(page) as never, limit);
        expect(pages.flatMap(({ items }) => (items as Entry[]).map(({ name }) => name))).toEqual(names);
        expect(pages).toHaveLength(Math.ceil(names.length / limit));
      }
    });

    test.each(lists)('%s: stay as long as a build refers to them, whatever has become of it', async (list) => {
      const { ada } = suite.inNewOrg();
      const catalog = catalogOf(ada, list);
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      const used = await makeReferences(ada);
      const id = used[references[list]];
      const build = await unwrap(ada.builds.start({ buildNumber: 'b-1', projectId: project.id, ...used }));
      const unused = await makeReferences(ada, 'unused');
      await refused(catalog.delete(id), 'in_use');
      await unwrap(ada.builds.cancel(build.id));
      await refused(catalog.delete(id), 'in_use');
      await unwrap(ada.projects.delete(project.id));
      await refused(catalog.delete(id), 'in_use');
      const renamed = await entry(catalog.update(id, { name: 'renamed' }));
      expect(await entry(catalog.get(id))).toEqual(renamed);
      expect((await unwrap(ada.builds.get(build.id)))[references[list]]).toBe(id);
      await refused(catalog.delete(id, { expectedVersion: renamed.version }), 'in_use');
      await unwrap(catalog.delete(unused[references[list]]));
    });
  });

  describe('plans of milestones', () => {
    test('a project without a plan has the built-in one: every 5, version 0', async () => {
      const { ada } = suite.inNewOrg();
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      const plan = await unwrap(ada.builds.milestonePlans.get({ projectId }));
      expect(plan).toEqual({ id: null, projectId, version: 0, milestones: builtInMilestones, createdAt: null });
      expect(plan.milestones.map(({ state }) => state)).toEqual(Array.from({ length: 21 }, (_, index) => index * 5));
      expect(await unwrap(ada.builds.milestonePlans.get({ projectId, version: 0 }))).toEqual(plan);
      expect(await codeOf(ada.builds.milestonePlans.get({ projectId, version: 1 }))).toBe('not_found');
    });

    test('every version stays as it was defined, in ascending order and with its names', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      const given = [
        [100],
        [100, 0, { state: 50, name: 'half ✓' }, { state: 25, name: null }],
        Array.from({ length: 101 }, (_, index) => ({ state: 100 - index, name: `${'語'.repeat(90)} ${index}` })),
      ];
      const read: readonly (readonly Milestone[])[] = [
        [{ state: 100, name: null }],
        [
          { state: 0, name: null },
          { state: 25, name: null },
          { state: 50, name: 'half ✓' },
          { state: 100, name: null },
        ],
        Array.from({ length: 101 }, (_, state) => ({ state, name: `${'語'.repeat(90)} ${100 - state}` })),
      ];
      const defined = [];
      for (const [index, milestones] of given.entries()) {
        clock.advance(1);
        const plan = await unwrap(ada.builds.milestonePlans.define({ projectId, milestones }));
        expect(plan).toEqual({
          id: plan.id,
          projectId,
          version: index + 1,
          milestones: read[index],
          createdAt: clock.now(),
        });
        defined.push(plan);
        expect(await unwrap(ada.builds.milestonePlans.get({ projectId }))).toEqual(plan);
      }
      for (const plan of defined) {
        expect(await unwrap(ada.builds.milestonePlans.get({ projectId, version: plan.version }))).toEqual(plan);
      }
      expect((await unwrap(ada.builds.milestonePlans.get({ projectId, version: 0 }))).milestones).toEqual(
        builtInMilestones,
      );
      expect(await codeOf(ada.builds.milestonePlans.get({ projectId, version: 4 }))).toBe('not_found');
    });

    test('a build keeps the version that it was started with, whatever is defined later', async () => {
      const { ada } = suite.inNewOrg();
      const { builds } = ada;
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      const given = { projectId, ...(await makeReferences(ada)) };
      const define = (...milestones: number[]) => unwrap(builds.milestonePlans.define({ projectId, milestones }));
      const first = await unwrap(builds.start({ buildNumber: '1', ...given }));
      await define(0, 7, 100);
      const second = await unwrap(builds.start({ buildNumber: '2', ...given }));
      await define(9, 100);
      const third = await unwrap(builds.start({ buildNumber: '3', ...given }));
      const alone = await unwrap(builds.start({ buildNumber: '4', ...given, projectId: null }));
      expect([first, second, third, alone].map(({ planVersion }) => planVersion)).toEqual([0, 1, 2, 0]);
      expect([second, third].map(({ milestones }) => milestones)).toEqual([
        [0, 7, 100],
        [9, 100],
      ]);
      expect(alone.milestones).toEqual(builtInMilestones.map(({ state }) => state));

      const enter = (id: string, state: number) => builds.states.enter(id, { state });
      expect((await refused(enter(second.id, 9), 'invalid_input')).issues[0]!.path).toBe('state');
      await refused(enter(second.id, 5), 'invalid_input');
      await refused(enter(first.id, 7), 'invalid_input');
      await refused(enter(third.id, 7), 'invalid_input');
      expect((await unwrap(enter(first.id, 5))).currentState).toBe(5);
      expect((await unwrap(enter(second.id, 7))).currentState).toBe(7);
      expect((await unwrap(enter(third.id, 9))).currentState).toBe(9);
      const read = await unwrap(builds.get(second.id));
      expect([read.planVersion, read.milestones]).toEqual([1, [0, 7, 100]]);
    });

    test('plans go with their project; its builds stay with the milestones that they were started with', async () => {
      const { ada } = suite.inNewOrg();
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      await unwrap(ada.builds.milestonePlans.define({ projectId, milestones: [3, 100] }));
      const build = await unwrap(ada.builds.start({ buildNumber: '1', projectId, ...(await makeReferences(ada)) }));
      await unwrap(ada.projects.delete(projectId));
      for (const answer of [
        ada.builds.milestonePlans.get({ projectId }),
        ada.builds.milestonePlans.get({ projectId, version: 0 }),
        ada.builds.milestonePlans.get({ projectId, version: 1 }),
        ada.builds.milestonePlans.define({ projectId, milestones: [100] }),
      ]) {
        expect(await codeOf(answer)).toBe('not_found');
      }
      const { id: other } = await unwrap(ada.projects.create({ name: 'P' }));
      expect((await unwrap(ada.builds.milestonePlans.get({ projectId: other }))).version).toBe(0);
      expect(await unwrap(ada.builds.states.enter(build.id, { state: 3 }))).toMatchObject({
        projectId: null,
        planVersion: 1,
        milestones: [3, 100],
      });
    });
  });

  async function entry(answer: ReturnType<ReturnType<typeof catalogOf>['get']>) {
    return (await unwrap(answer)) as Entry & { readonly version: number };
  }
}
