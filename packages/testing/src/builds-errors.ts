import { unwrap } from '@vivarium/core';
import type { CatalogLists, Client, ResultAsync, VivariumError } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { buildsSnapshot, longHistory } from './builds-making.ts';
import { catalogEntries, catalogOf, failedHistory, packerManifest, referencesIn } from './every-build-call.ts';
import type { Suite } from './suite.ts';
import { makeWorldOf } from './world.ts';
import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;

const lists = { platforms: 'platform', osVersions: 'osVersion', imageTypes: 'imageType' } as const;
const everyList = Object.keys(lists) as readonly CatalogLists[keyof CatalogLists][];
const failure = { failureType: 'provisioner', errorMessage: 'exit status 1' };

/** Every call of something that is not there, of builds. */
export function nowhereBuilds(client: Client<unknown>, world: World, nowhere: string): readonly Answer[] {
  const { builds } = client;
  const references = referencesIn(world);
  return [
    ...everyList.flatMap((list) => [
      catalogOf(client, list).get(nowhere),
      catalogOf(client, list).getByName('nowhere'),
      catalogOf(client, list).update(nowhere, { name: 'x' }),
      catalogOf(client, list).delete(nowhere),
      // Of another kind, and so not there either.
      catalogOf(client, list).get(world.failed.id),
      catalogOf(client, list).get(list === 'platforms' ? world.imageType.id : world.platform.id),
    ]),
    builds.milestonePlans.define({ projectId: nowhere, milestones: [100] }),
    builds.milestonePlans.get({ projectId: nowhere }),
    builds.milestonePlans.get({ projectId: world.project.id, version: 2 }),
    builds.milestonePlans.get({ projectId: world.child.id, version: 1 }),
    ...(['projectId', 'platformId', 'osVersionId', 'imageTypeId'] as const).flatMap((reference) => [
      builds.start({ buildNumber: 'x', ...references, [reference]: nowhere }),
      builds.import({ buildNumber: 'x', ...references, [reference]: nowhere, ...failedHistory() }),
    ]),
    builds.cancel(nowhere),
    builds.resume(nowhere),
    builds.planResume(nowhere),
    builds.heartbeat(nowhere),
    builds.states.enter(nowhere, { state: 5 }),
    builds.states.complete(nowhere, { state: 5 }),
    builds.states.fail(nowhere, failure),
    builds.get(nowhere),
    builds.getByNumber('nowhere'),
    builds.getByNumber('FAILED-1'),
    builds.listStates(nowhere),
    builds.listFailures({ buildId: nowhere }),
    builds.resolveFailure(nowhere, { notes: 'x' }),
    builds.attachPackerManifest(nowhere, packerManifest),
  ];
}

/** Every error that only builds have. */
export function testBuildErrors(suite: Suite): void {
  describe('errors of builds', () => {
    test.each(everyList)('%s: a name that is taken, and an entry that builds refer to, say so', async (list) => {
      const { ada, org, world } = await inNewWorld();
      const before = await buildsSnapshot(ada);
      const catalog = catalogOf(ada, list);
      const used = world[lists[list]];
      const spare = world.spare[lists[list]];
      const name = used.name.toUpperCase();
      await refused(catalog.create({ name, ...catalogEntries[list] }), 'catalog_name_taken');
      await refused(catalog.update(spare.id, { name }), 'catalog_name_taken');
      const inUse = await refused(catalog.delete(used.id), 'in_use');
      expect(inUse).toMatchObject({ id: used.id });
      expect(await buildsSnapshot(ada)).toEqual(before);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
    });

    test('a number that is taken is taken for builds that are started and for those that are imported', async () => {
      const { ada, world } = await inNewWorld();
      const before = await buildsSnapshot(ada);
      for (const { buildNumber } of [world.running, world.failed]) {
        const wanted = { buildNumber, ...referencesIn(world) };
        await refused(ada.builds.start(wanted), 'build_number_taken');
        await refused(ada.builds.import({ ...wanted, ...failedHistory() }), 'build_number_taken');
      }
      expect(await buildsSnapshot(ada)).toEqual(before);
    });

    test('what a build that has ended cannot do any more is illegal_transition', async () => {
      const { ada, world } = await inNewWorld();
      const { builds } = ada;
      await unwrap(builds.cancel(world.running.id));
      await unwrap(builds.resolveFailure(world.failure.id, { notes: 'done' }));
      const before = await buildsSnapshot(ada);
      const { id } = world.running;
      for (const answer of [
        builds.cancel(id),
        builds.resume(id),
        builds.heartbeat(id),
        builds.states.enter(id, { state: 10 }),
        builds.states.complete(id, { state: 5 }),
        builds.states.fail(id, failure),
      ]) {
        expect((await refused(answer, 'illegal_transition')).legal).toEqual([]);
      }
      await refused(builds.resolveFailure(world.failure.id, { notes: 'done again' }), 'illegal_transition');
      expect(await buildsSnapshot(ada)).toEqual(before);
    });

    test('1,000 attempts are held, one more is limit_reached', async () => {
      const { ada, world } = await inNewWorld();
      const { builds } = ada;
      const full = { limit: 'attemptsPerBuild', maximum: 1_000 };
      const make = (buildNumber: string, last: 'failed' | 'completed') =>
        unwrap(builds.import({ buildNumber, ...referencesIn(world), ...longHistory(1_000, last) }));
      const failed = await make('long-1', 'failed');
      expect(await refused(builds.resume(failed.id), 'limit_reached')).toMatchObject(full);
      const running = await make('long-2', 'completed');
      expect(await refused(builds.states.enter(running.id, { state: 5 }), 'limit_reached')).toMatchObject(full);
      expect(await unwrap(builds.get(failed.id))).toMatchObject({ status: 'failed', attempts: 1_000, version: 1 });
      expect(await unwrap(builds.get(running.id))).toMatchObject({ status: 'running', attempts: 1_000, version: 1 });
    });

    test('a command that loses the race eight times is stale_version and has changed nothing', async () => {
      const { ada, org, world } = await inNewWorld();
      const projectId = world.child.id;
      let races = 0;
      const rival = async () => {
        races++;
        await unwrap(ada.builds.milestonePlans.define({ projectId, milestones: [races, 100] }));
      };
      const slow = clientOn(org, overtaken(suite.harness.storage, rival));
      await refused(slow.builds.milestonePlans.define({ projectId, milestones: [100] }), 'stale_version');
      expect(races).toBe(8);
      const { version, milestones } = await unwrap(ada.builds.milestonePlans.get({ projectId }));
      expect([version, milestones[0]]).toEqual([8, { state: 8, name: null }]);
    });

    test('what is gone when it is written is never written: a reference, and a failure that nobody has resolved', async () => {
      const { ada, org, world } = await inNewWorld();
      const believing = clientOn(org, credulous(suite.harness.storage));
      const nowhere = '00000000-0000-7000-8000-00000000dead';
      const before = await buildsSnapshot(ada);
      for (const reference of ['projectId', 'platformId', 'osVersionId', 'imageTypeId'] as const) {
        const wanted = { buildNumber: 'x', ...referencesIn(world), [reference]: nowhere };
        await refused(believing.builds.start(wanted), 'stale_version');
        await refused(believing.builds.import({ ...wanted, ...failedHistory() }), 'stale_version');
      }
      expect(await buildsSnapshot(ada)).toEqual(before);

      await unwrap(ada.builds.resolveFailure(world.failure.id, { notes: 'first' }));
      await refused(believing.builds.resolveFailure(world.failure.id, { notes: 'late' }), 'stale_version');
      const { items } = await unwrap(ada.builds.listFailures({ buildId: world.failed.id }));
      expect(items.map(({ resolutionNotes }) => resolutionNotes)).toEqual(['first']);
    });
  });

  async function inNewWorld() {
    const { org, ada } = suite.inNewOrg();
    return { org, ada, world: await makeWorldOf('builds', ada) };
  }

  function clientOn(org: string, storage: Storage<unknown>): Client<unknown> {
    return suite.vivarium({ storage }).as({ org, type: 'user', id: 'slow' });
  }
}

/** The same storage, where somebody else is quicker between each load of a plan and the write that follows. */
function overtaken(storage: Storage<unknown>, rival: () => Promise<void>): Storage<unknown> {
  const { builds } = storage;
  return {
    ...storage,
    builds: {
      ...builds,
      plan: (...args) =>
        builds.plan(...args).map(async (facts) => {
          await rival();
          return facts;
        }),
    },
  };
}

/** The same storage, which believes that everything is there that is asked for, and that no failure is resolved. */
function credulous(storage: Storage<unknown>): Storage<unknown> {
  const { builds } = storage;
  return {
    ...storage,
    builds: {
      ...builds,
      startFacts: (...args) =>
        builds
          .startFacts(...args)
          .map((facts) => ({ ...facts, project: true, platform: true, osVersion: true, imageType: true })),
      getFailure: (...args) =>
        builds.getFailure(...args).map((facts) => ({
          ...facts,
          found: facts.found && { ...facts.found, resolved: false, resolutionNotes: null, resolvedAt: null },
        })),
    },
  };
}
