/** The calls about builds whose round trips the adapters promise, in a world of a catalog, a project with a plan, a running build and one that has failed. */
import { createVivarium, unwrap } from '@vivarium/core';
import { nearestRank } from '@vivarium/core/storage';
import type {
  BuildFailure,
  BuildRepository,
  BuildStats,
  Change,
  KeyWrite,
  Storage,
  StoredBuild,
  StoredBuildState,
} from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';

import type { Call, Write } from './ephemeral-calls.ts';

const org = 'build budget';
export const orgOfBuilds = org;
const at = new Date('2026-03-01T12:00:00.123Z');

/** A change with a journal entry that is a stream of its own. */
export function changeOfBuilds(key: KeyWrite | null = null): Change {
  const id = randomUUID();
  const about = { subject: { type: 'test', id }, stream: id, sequence: 1, action: 'tested', at, data: {} };
  return { orgId: org, at, key, entry: { id, orgId: org, ...about, actor: { type: 'user', id: 'ada' } } };
}

const newKey = (): KeyWrite => ({
  id: randomUUID(),
  fingerprint: 'print',
  result: { id: 'made' },
  expiresAt: new Date('2099-01-01'),
});

export async function makeBuilds(storage: Storage) {
  const { builds, projects } = createVivarium({ storage }).as({ org, type: 'user', id: 'ada' });
  const { catalog } = builds;
  const named = () => ({ name: randomUUID() });
  const platform = await unwrap(catalog.platforms.create({ ...named(), cloudProvider: 'aws' }));
  const osVersion = await unwrap(catalog.osVersions.create({ ...named(), osFamily: 'rhel', majorVersion: 9 }));
  const imageType = await unwrap(catalog.imageTypes.create(named()));
  const unused = await unwrap(catalog.platforms.create({ ...named(), cloudProvider: 'gcp' }));
  const { id: projectId } = await unwrap(projects.create(named()));
  await unwrap(builds.milestonePlans.define({ projectId, milestones: [0, 50, 100] }));
  const references = { projectId, platformId: platform.id, osVersionId: osVersion.id, imageTypeId: imageType.id };
  const start = () => unwrap(builds.start({ buildNumber: randomUUID(), ...references }));

  const [pending, running, failed] = [await start(), await start(), await start()];
  await unwrap(builds.states.enter(running.id, { state: 0 }));
  await unwrap(builds.states.enter(failed.id, { state: 50 }));
  await unwrap(builds.states.fail(failed.id, { failureType: 'boot', errorMessage: 'no', component: 'kernel' }));
  const stored = async (id: string) => (await unwrap(storage.builds.get(org, id))).found!;
  const { items: failures } = (await unwrap(storage.builds.listFailures(org, { buildId: failed.id }, page)))!;
  return {
    references,
    unused: (await unwrap(storage.catalog.get(org, 'platform', unused.id))).found!,
    osVersion: (await unwrap(storage.catalog.get(org, 'os_version', osVersion.id))).found!,
    imageType: (await unwrap(storage.catalog.get(org, 'image_type', imageType.id))).found!,
    plan: (await unwrap(storage.builds.plan(org, projectId))).found!,
    pending: await stored(pending.id),
    running: await stored(running.id),
    failed: await stored(failed.id),
    failure: failures[0]!,
  };
}

export type Builds = Awaited<ReturnType<typeof makeBuilds>>;

/** A build with so many attempts, each a second and a half, of which so many have failed. */
export function historyOf({ pending }: Builds, attempts: number, failures: number) {
  const later = (ms: number) => new Date(at.getTime() + ms);
  const build: StoredBuild = {
    ...pending,
    id: randomUUID(),
    buildNumber: randomUUID(),
    status: 'failed',
    attempts,
    startTime: at,
    endTime: later(attempts * 1_500),
  };
  const states = Array.from({ length: attempts }, (_none, index): StoredBuildState => ({
    id: randomUUID(),
    buildId: build.id,
    sequence: index + 1,
    state: 50,
    status: 'failed',
    startTime: later(index * 1_500),
    endTime: later((index + 1) * 1_500),
    errorMessage: `it's "no" 🧪 ${index}`,
    retryCount: index,
  }));
  const failed = Array.from({ length: failures }, (_none, index): BuildFailure => ({
    id: randomUUID(),
    buildId: build.id,
    state: 50,
    failureType: 'boot',
    errorMessage: `it's "no" 🧪 ${index}`,
    errorDetails: { index },
    component: index % 2 === 0 ? null : 'kernel',
    retryAttempt: index,
    resolved: false,
    resolutionNotes: null,
    createdAt: later(index * 1_500),
    resolvedAt: null,
  }));
  return { build, states, failures: failed };
}

/** A build whose attempts have taken so many milliseconds, every tenth at its second milestone, and every seventh in vain. */
export function historyOfDurations(made: Builds, durations: readonly number[]) {
  const { build, states } = historyOf(made, durations.length, 0);
  const taken = states.map((state, index): StoredBuildState => {
    const endTime = new Date(state.startTime.getTime() + durations[index]!);
    const status = index % 7 === 6 ? 'failed' : 'completed';
    return { ...state, state: index % 10 === 9 ? 50 : 0, status, endTime };
  });
  return { build, states: taken, failures: [], change: changeOfBuilds() };
}

/** What figures by state have to say of attempts. */
export function figuresOf(
  attempts: readonly { readonly state: number; readonly status: string; readonly ms: number | null }[],
): BuildStats['states'] {
  return [...Map.groupBy(attempts, ({ state }) => state)]
    .sort(([a], [b]) => a - b)
    .map(([state, all]) => {
      const completed = all.filter(({ status }) => status === 'completed').map(({ ms }) => Number(ms));
      const sorted = completed.sort((a, b) => a - b);
      return {
        state,
        attempts: all.length,
        completed: sorted.length,
        failed: all.filter(({ status }) => status === 'failed').length,
        p50Ms: nearestRank(sorted, 50),
        p95Ms: nearestRank(sorted, 95),
      };
    });
}

/** Lengths that lie close together, that are the same, that are far apart, and that end at a rank. */
export const durations: Readonly<Record<string, readonly number[]>> = {
  none: [],
  'a single one': [1_234],
  'of less than a second': Array.from({ length: 100 }, (_none, index) => (index * 37) % 100),
  'in a few seconds': Array.from({ length: 500 }, (_none, index) => 5_000 + ((index * 7_919) % 3_000)),
  'that are the same': Array.from({ length: 60 }, () => 61_001),
  'of seconds and days': Array.from({ length: 200 }, (_none, index) => 1_000 + index ** 4),
};

export function nested(levels: number): NonNullable<BuildFailure['errorDetails']> {
  return levels === 0 ? { end: true } : { in: nested(levels - 1) };
}

const page = { limit: 50, after: null };
const further = { limit: 50, after: { createdAt: at, id: randomUUID() } };

const inBuilds =
  (call: (storage: Storage, made: Builds) => PromiseLike<unknown>): Call =>
  async (storage) => {
    const made = await makeBuilds(storage);
    return () => call(storage, made);
  };
const onBuilds = (call: (port: BuildRepository, made: Builds) => PromiseLike<unknown>) =>
  inBuilds(({ builds }, made) => call(builds, made));

export const buildReads: Readonly<Record<string, Call>> = {
  'catalog.get': inBuilds(({ catalog }, { unused: { id } }) => unwrap(catalog.get(org, 'platform', id, 'k'))),
  'catalog.getByName': inBuilds(({ catalog }, { osVersion: { nameKey } }) =>
    unwrap(catalog.getByName(org, 'os_version', nameKey)),
  ),
  'catalog.list': inBuilds(({ catalog }) => unwrap(catalog.list(org, 'image_type', page))),
  'builds.plan': onBuilds((port, { plan }) => unwrap(port.plan(org, plan.projectId, undefined, 'k'))),
  'builds.plan of a version': onBuilds((port, { plan }) => unwrap(port.plan(org, plan.projectId, 1))),
  'builds.startFacts': onBuilds((port, { references }) => unwrap(port.startFacts(org, references, 'k'))),
  'builds.get': onBuilds((port, { running: { id } }) => unwrap(port.get(org, id, 'k'))),
  'builds.getWithManifest': onBuilds((port, { running: { id } }) => unwrap(port.getWithManifest(org, { id }))),
  'builds.getWithManifest by its number': onBuilds((port, { running: { buildNumber } }) =>
    unwrap(port.getWithManifest(org, { buildNumber })),
  ),
  'builds.list': onBuilds((port) => unwrap(port.list(org, {}, page))),
  'builds.list of a project and status, further': onBuilds((port, { references: { projectId } }) =>
    unwrap(port.list(org, { projectId, status: 'failed' }, further)),
  ),
  'builds.list of everything': onBuilds((port, { references }) =>
    unwrap(port.list(org, { ...references, status: 'failed' }, page)),
  ),
  'builds.listStates': onBuilds((port, { failed: { id } }) => unwrap(port.listStates(org, id, page))),
  'builds.listFailures': onBuilds((port) => unwrap(port.listFailures(org, {}, page))),
  'builds.listFailures of a build, further': onBuilds((port, { failed: { id } }) =>
    unwrap(port.listFailures(org, { buildId: id, resolved: false, failureType: 'boot', component: 'kernel' }, further)),
  ),
  'builds.getFailure': onBuilds((port, { failure: { id } }) => unwrap(port.getFailure(org, id, 'k'))),
  'builds.resumeFacts': onBuilds((port, { failed: { id } }) => unwrap(port.resumeFacts(org, id))),
  'builds.stats': onBuilds((port) => unwrap(port.stats(org, {}))),
  'builds.stats of a project and a time': onBuilds((port, { references: { projectId } }) =>
    unwrap(port.stats(org, { projectId, from: at, to: at })),
  ),
  'builds.due': onBuilds((port) => unwrap(port.due(org, { now: at, limit: 100, after: null }))),
};

const done = { done: true };
const next = <T extends { readonly version: number }>(one: T, differing: Partial<T> = {}): T => {
  return { ...one, version: one.version + 1, ...differing };
};
const nothing = { ended: null, begun: null, failure: null };
const attempt = ({ id: buildId, attempts }: Builds['running']): StoredBuildState => {
  const open = { status: 'started', startTime: at, endTime: null, errorMessage: null, retryCount: 0 } as const;
  return { id: randomUUID(), buildId, sequence: attempts + 1, state: 50, ...open };
};
const endedAttempt = ({ attempts: sequence }: Builds['running']) => {
  const over = { status: 'completed', startTime: at, endTime: at, errorMessage: null } as const;
  return { sequence, state: 0, ...over };
};

export const buildWrites: Readonly<Record<string, Write>> = {
  'catalog.create': [
    4,
    inBuilds(async ({ catalog }, { unused }) => {
      const entry = { ...unused, id: randomUUID(), name: randomUUID(), nameKey: randomUUID() };
      const command = { kind: 'platform', entry, change: changeOfBuilds(newKey()) } as const;
      expect(await unwrap(catalog.create(command))).toEqual(done);
    }),
  ],
  'catalog.update': [
    3,
    inBuilds(async ({ catalog }, { imageType }) => {
      const entry = next(imageType, { description: 'other' });
      const command = { kind: 'image_type', entry, previousNameKey: entry.nameKey, expectedVersion: 1 } as const;
      expect(await unwrap(catalog.update({ ...command, change: changeOfBuilds() }))).toEqual(done);
    }),
  ],
  'catalog.delete': [
    3,
    inBuilds(async ({ catalog }, { unused: entry }) => {
      expect(await unwrap(catalog.delete({ kind: 'platform', entry, change: changeOfBuilds() }))).toEqual(done);
    }),
  ],
  'builds.addPlan': [
    5,
    onBuilds(async (port, { plan }) => {
      const command = { plan: next(plan, { id: randomUUID() }), change: changeOfBuilds() };
      expect(await unwrap(port.addPlan(command))).toEqual(done);
    }),
  ],
  'builds.add': [
    4,
    onBuilds(async (port, { pending }) => {
      const build = { ...pending, id: randomUUID(), buildNumber: randomUUID() };
      const command = { build, states: [], failures: [], change: changeOfBuilds(newKey()) };
      expect(await unwrap(port.add(command))).toEqual(done);
    }),
  ],
  'builds.move into the first milestone': [
    4,
    onBuilds(async (port, { pending }) => {
      const build = next(pending, { status: 'running', attempts: 1 });
      const command = { build, ...nothing, begun: attempt(pending), expectedVersion: 1, change: changeOfBuilds() };
      expect(await unwrap(port.move(command))).toEqual(done);
    }),
  ],
  'builds.move into the next one': [
    6,
    onBuilds(async (port, { running }) => {
      const steps = { ended: endedAttempt(running), begun: attempt(running), failure: null };
      const build = next(running, { currentState: 50, attempts: 2 });
      const command = { build, ...steps, expectedVersion: running.version, change: changeOfBuilds(newKey()) };
      expect(await unwrap(port.move(command))).toEqual(done);
    }),
  ],
  'builds.move of one that was silent': [
    5,
    onBuilds(async (port, { running, failure }) => {
      const ended = { ...endedAttempt(running), status: 'failed' } as const;
      const steps = { ended, begun: null, failure: { ...failure, id: randomUUID(), buildId: running.id } };
      const silentSince = running.heartbeatAt;
      const command = { build: next(running, { status: 'failed' }), ...steps, silentSince, change: changeOfBuilds() };
      expect(await unwrap(port.move({ ...command, expectedVersion: running.version }))).toEqual(done);
    }),
  ],
  'builds.move of one that ends': [
    3,
    onBuilds(async (port, { pending }) => {
      const build = next(pending, { status: 'canceled' });
      const command = { build, ...nothing, expectedVersion: 1, change: changeOfBuilds() };
      expect(await unwrap(port.move(command))).toEqual(done);
    }),
  ],
  'builds.attachManifest': [
    3,
    onBuilds(async (port, { running }) => {
      const command = { build: next(running), manifest: '{"builds":[]}', expectedVersion: running.version };
      expect(await unwrap(port.attachManifest({ ...command, change: changeOfBuilds() }))).toEqual(done);
    }),
  ],
  'builds.beat': [
    1,
    onBuilds(async (port, { running: { id } }) => {
      expect(await unwrap(port.beat(org, id, at))).toBe(true);
    }),
  ],
  'builds.resolveFailure': [
    3,
    onBuilds(async (port, { failure }) => {
      const resolved = { ...failure, resolved: true, resolutionNotes: 'done', resolvedAt: at };
      expect(await unwrap(port.resolveFailure({ failure: resolved, change: changeOfBuilds() }))).toEqual(done);
    }),
  ],
};
