import { readFileSync } from 'node:fs';

import { unwrap } from '@vivarium/core';
import type { Build, BuildFailure, Client, Method } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

type BuildMethod = Extract<Method, `builds.${string}`>;

/**
 * One entry of each kind that has builds, and a spare platform; a project with a plan of its own and three builds: a pending one, one that runs and has
 * completed a milestone, and one that has failed at the next; the process has started a build before.
 */
interface World {
  readonly ada: Client;
  readonly builds: Client['builds'];
  readonly spareId: string;
  readonly references: {
    readonly projectId: string;
    readonly platformId: string;
    readonly osVersionId: string;
    readonly imageTypeId: string;
  };
  readonly pending: Build;
  readonly running: Build;
  readonly failed: Build;
  readonly failure: BuildFailure;
}

type Calls<M extends string> = Readonly<Record<M, (world: World) => Answer>>;
type List = 'platforms' | 'osVersions' | 'imageTypes';
type CatalogMethod<L extends List> = Extract<BuildMethod, `builds.catalog.${L}.${string}`>;

/** The three lists of the catalog cost the same. */
function catalogCalls<L extends List>(list: L, id: (world: World) => string): Calls<CatalogMethod<L>> {
  const calls = {
    create: ({ builds }) =>
      ({
        platforms: () => builds.catalog.platforms.create({ name: 'new', cloudProvider: 'aws' }),
        osVersions: () => builds.catalog.osVersions.create({ name: 'new', osFamily: 'rhel', majorVersion: 8 }),
        imageTypes: () => builds.catalog.imageTypes.create({ name: 'new' }),
      })[list](),
    get: (world) => world.builds.catalog[list].get(id(world)),
    getByName: ({ builds }) => builds.catalog[list].getByName('one'),
    list: ({ builds }) => builds.catalog[list].list(),
    update: (world) => world.builds.catalog[list].update(id(world), { displayName: 'One' }),
    delete: ({ builds, spareId }) => builds.catalog[list].delete(spareId),
  } satisfies Calls<string>;
  return Object.fromEntries(
    Object.entries(calls).map(([name, call]) => [`builds.catalog.${list}.${name}`, call]),
  ) as unknown as Calls<CatalogMethod<L>>;
}

const at = (second: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, second));
const history = {
  status: 'failed',
  createdAt: at(0),
  states: [{ state: 0, status: 'failed', startTime: at(1), endTime: at(2), errorMessage: 'no' }],
  failures: [{ state: 0, failureType: 'provisioner', errorMessage: 'no', createdAt: at(2) }],
} as const;
const failure = { failureType: 'provisioner', errorMessage: 'exit status 1', component: 'ansible' };
const manifest = {
  builds: [{ name: 'ami', builder_type: 'amazon-ebs', artifact_id: 'ami-1', packer_run_uuid: 'run' }],
  last_run_uuid: 'run',
};

/** Each method as the table in the README measures it. */
const calls: Calls<BuildMethod> = {
  ...catalogCalls('platforms', ({ references }) => references.platformId),
  ...catalogCalls('osVersions', ({ references }) => references.osVersionId),
  ...catalogCalls('imageTypes', ({ references }) => references.imageTypeId),
  'builds.milestonePlans.define': ({ builds, references: { projectId } }) =>
    builds.milestonePlans.define({ projectId, milestones: [0, 100] }),
  'builds.milestonePlans.get': ({ builds, references: { projectId } }) => builds.milestonePlans.get({ projectId }),
  'builds.start': ({ builds, references }) => builds.start({ buildNumber: 'new', ...references }),
  'builds.import': ({ builds, references }) => builds.import({ buildNumber: 'new', ...references, ...history }),
  'builds.cancel': ({ builds, running }) => builds.cancel(running.id),
  'builds.resume': ({ builds, failed }) => builds.resume(failed.id),
  'builds.planResume': ({ builds, failed }) => builds.planResume(failed.id),
  'builds.heartbeat': ({ builds, running }) => builds.heartbeat(running.id),
  'builds.states.enter': ({ builds, running }) => builds.states.enter(running.id, { state: 100 }),
  'builds.states.complete': ({ builds, running }) => builds.states.complete(running.id, { state: 50 }),
  'builds.states.fail': ({ builds, running }) => builds.states.fail(running.id, failure),
  'builds.get': ({ builds, failed }) => builds.get(failed.id),
  'builds.getByNumber': ({ builds, failed }) => builds.getByNumber(failed.buildNumber),
  'builds.list': ({ builds }) => builds.list(),
  'builds.listStates': ({ builds, failed }) => builds.listStates(failed.id),
  'builds.listFailures': ({ builds }) => builds.listFailures(),
  'builds.resolveFailure': ({ builds, failure: { id } }) => builds.resolveFailure(id, { notes: 'more of it' }),
  'builds.attachPackerManifest': ({ builds, failed }) => builds.attachPackerManifest(failed.id, manifest),
  'builds.stats': ({ builds }) => builds.stats(),
  'builds.sweep': ({ builds }) => builds.sweep(),
};

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] the table of the README, of builds', () => {
    let bench: Bench;
    let orgs = 0;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    const makeWorld = async (method: BuildMethod): Promise<World> => {
      const ada = bench.as(`org-${++orgs}`);
      const { builds } = ada;
      const { platforms, osVersions, imageTypes } = builds.catalog;
      const platform = unwrap(await platforms.create({ name: 'one', cloudProvider: 'aws' }));
      const osVersion = unwrap(await osVersions.create({ name: 'one', osFamily: 'rhel', majorVersion: 8 }));
      const imageType = unwrap(await imageTypes.create({ name: 'one' }));
      const spares = {
        platforms: () => platforms.create({ name: 'spare', cloudProvider: 'aws' }),
        osVersions: () => osVersions.create({ name: 'spare', osFamily: 'rhel', majorVersion: 8 }),
        imageTypes: () => imageTypes.create({ name: 'spare' }),
      };
      const list = (Object.keys(spares) as List[]).find((name) => method.includes(name)) ?? 'platforms';
      const { id: spareId } = unwrap<{ readonly id: string }, Error>(await spares[list]());
      const project = unwrap(await ada.projects.create({ name: 'Shop' }));
      const references = {
        projectId: project.id,
        platformId: platform.id,
        osVersionId: osVersion.id,
        imageTypeId: imageType.id,
      };
      unwrap(await builds.milestonePlans.define({ projectId: project.id, milestones: [0, 50, 100] }));
      const start = async (buildNumber: string) => unwrap(await builds.start({ buildNumber, ...references }));
      const [pending, running, failed] = [await start('p-1'), await start('r-1'), await start('f-1')];
      for (const { id } of [running, failed]) {
        for (const state of [0, 50]) unwrap(await builds.states.enter(id, { state }));
      }
      unwrap(await builds.states.fail(failed.id, failure));
      const { items } = unwrap(await builds.listFailures());
      return { ada, builds, spareId, references, pending, running, failed, failure: items[0]! };
    };

    test.each(Object.keys(calls) as BuildMethod[])('%s', async (method) => {
      const world = await makeWorld(method);
      const { operations, readUnits, writeUnits, value } = await bench.traffic(async () => await calls[method](world));
      expect(value.isOk()).toBe(true);
      const counted = Object.entries(Object.groupBy(operations, (operation) => operation)).map(([operation, all]) =>
        all!.length === 1 ? operation : `${all!.length} ${operation}`,
      );
      const named = method.replace(/^builds\.catalog\.\w+/, 'builds.catalog.*');
      const line = readme.split('\n').find((row) => row.startsWith(`| \`${named}\` `)) ?? '';
      const cells = line.split('|').map((cell) => cell.trim());
      expect([cells[2], cells[4], cells[5]]).toEqual([counted.join(' + '), `${readUnits}`, `${writeUnits}`]);
    });
  });
});
