import { buildStatuses, unwrap } from '@vivarium/core';
import type { Build, BuildFailure, BuildHistory, BuildState, BuildStats, Client, StatsFilter } from '@vivarium/core';
import { compareBytes } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { failuresOf, makeReferences, second, statesOf } from './builds-making.ts';
import type { References } from './builds-making.ts';
import { fakeClock } from './fake-clock.ts';
import { everything } from './paging.ts';
import { seededRandom } from './seeded-random.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

/** A build with everything that the lists say of it. */
export interface Whole {
  readonly build: Build;
  readonly states: readonly BuildState[];
  readonly failures: readonly BuildFailure[];
}

const components = [null, 'disk', 'Disk', 'network', 'ｦ', '𐐨'];
const failureTypes = ['provisioner', 'timeout', 'Timeout', 'quota'];
const hour = 3_600;

/** What can be learnt from many builds: always what a reader of the lists would count. */
export function testBuildStats(suite: Suite): void {
  describe('figures about builds', () => {
    test('are what the lists say, with every filter by itself and together', async () => {
      const clock = fakeClock('2025-01-01T00:00:00.000Z');
      const { ada } = suite.inNewOrg({ clock });
      const random = seededRandom(suite.size.seed);
      const references = [await makeReferences(ada, 'one'), await makeReferences(ada, 'two')];
      const projects = [];
      for (const name of ['P', 'Q']) projects.push(await unwrap(ada.projects.create({ name })));
      for (let index = 0; index < 60; index++) {
        const [one, two, three] = [0, 1, 2].map((bit) => references[(index >> bit) % 2]!) as [
          References,
          References,
          References,
        ];
        const projectId = [...projects.map(({ id }) => id), null][index % 3]!;
        const from = { platformId: one.platformId, osVersionId: two.osVersionId, imageTypeId: three.imageTypeId };
        const history = randomHistory(random, second(index * hour));
        await unwrap(ada.builds.import({ buildNumber: `old ${index}`, projectId, ...from, ...history }));
      }
      for (let index = 0; index < 12; index++) {
        const { id } = await unwrap(
          ada.builds.start({ buildNumber: `new ${index}`, projectId: projects[0]!.id, ...references[0]! }),
        );
        await liveFor(ada, id, index, clock.advance);
      }
      for (const [index, { id }] of (await everything((page) => ada.builds.listFailures(page))).entries()) {
        if (index % 3 === 0) await unwrap(ada.builds.resolveFailure(id, { notes: 'done' }));
      }

      const all = await wholeOf(ada);
      expect(new Set(all.map(({ build }) => build.status))).toEqual(new Set(buildStatuses));
      const [one, two] = references;
      const middle = second(30 * hour);
      const filters: readonly StatsFilter[] = [
        {},
        { projectId: projects[0]!.id },
        { projectId: projects[1]!.id },
        { platformId: one!.platformId },
        { osVersionId: two!.osVersionId },
        { imageTypeId: one!.imageTypeId },
        // `from` is in it, `to` is not: there is a build of exactly this time.
        { from: middle },
        { to: middle },
        { from: middle, to: middle },
        { from: middle, to: new Date(middle.getTime() + 1) },
        { from: second(10 * hour), to: second(50 * hour) },
        { from: second(1e6), to: second(2e6) },
        { platformId: one!.platformId, osVersionId: one!.osVersionId },
        { projectId: projects[0]!.id, ...one!, from: second(0), to: second(40 * hour) },
        { platformId: projects[0]!.id },
      ];
      for (const filter of filters) {
        const expected = counted(all.filter(({ build }) => isMeant(build, filter)));
        expectFigures(await unwrap(ada.builds.stats(filter)), expected, JSON.stringify(filter));
      }
      const sizes = filters.map((filter) => all.filter(({ build }) => isMeant(build, filter)).length);
      expect(sizes[6]! + sizes[7]!).toBe(all.length);
      expect(sizes[8]).toBe(0);
      expect(sizes[9]).toBe(1);
      expect(sizes.filter((size) => size === 0)).toHaveLength(3);
    });

    test('move with every change of a build, and with nothing else', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      const given = await makeReferences(ada);
      const check = async () => expectFigures(await unwrap(ada.builds.stats()), counted(await wholeOf(ada)), 'all');
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
      const steps: readonly (() => PromiseLike<unknown>)[] = [
        () => unwrap(ada.builds.states.enter(id, { state: 5 })),
        () => unwrap(ada.builds.heartbeat(id)),
        () => unwrap(ada.builds.states.fail(id, { failureType: 'timeout', errorMessage: 'x', component: 'disk' })),
        () => unwrap(ada.builds.resume(id)),
        () => unwrap(ada.builds.states.complete(id, { state: 5 })),
        () => unwrap(ada.builds.states.fail(id, { failureType: 'timeout', errorMessage: 'x', component: 'disk' })),
        async () => unwrap(ada.builds.resolveFailure((await failuresOf(ada, id))[0]!.id, { notes: 'x' })),
        () => unwrap(ada.builds.resume(id)),
        () => unwrap(ada.builds.states.enter(id, { state: 100 })),
        () => unwrap(ada.builds.states.complete(id, { state: 100 })),
      ];
      await check();
      for (const step of steps) {
        clock.advance(1_000);
        await step();
        await check();
      }
      expect(await unwrap(ada.builds.stats())).toMatchObject({
        total: 1,
        successRate: 1,
        byStatus: { completed: 1 },
        states: [
          { state: 5, attempts: 3, completed: 2, failed: 1 },
          { state: 100, attempts: 1, completed: 1, failed: 0 },
        ],
        failures: [{ component: 'disk', failureType: 'timeout', count: 2, unresolved: 1 }],
      });
    });

    test('percentiles are of the nearest rank, from one value to hundreds', async () => {
      const { ada } = suite.inNewOrg();
      const given = await makeReferences(ada);
      const random = seededRandom(suite.size.seed);
      const durations = Array.from({ length: 311 }, (_, index) =>
        index < 3 ? [0, 1, 86_400_000][index]! : Math.floor(10 ** (random.next() * 7)),
      );
      let taken = 0;
      for (const count of [1, 1, 18, 1, 79, 211]) {
        // One build's attempts at 0, all of which but the last are tried again though they were completed.
        const mine = durations.slice(taken, (taken += count));
        let at = second(0).getTime();
        const states = mine.map((duration, retryCount) => {
          const startTime = new Date(at);
          at += duration;
          return { state: 0, status: 'completed', startTime, endTime: new Date(at), retryCount } as const;
        });
        const failures = states.slice(0, -1).map(({ endTime, retryCount }) => ({
          state: 0,
          retryAttempt: retryCount,
          failureType: 'x',
          errorMessage: 'x',
          createdAt: endTime,
        }));
        const whole = { status: 'running', createdAt: second(0), states, failures } as const;
        await unwrap(ada.builds.import({ buildNumber: `${taken}`, ...given, ...whole }));
        const stats = await unwrap(ada.builds.stats());
        const sorted = durations.slice(0, taken).toSorted((a, b) => a - b);
        const near = (percent: number) => sorted[Math.ceil((percent / 100) * sorted.length) - 1]!;
        expect(stats.states).toHaveLength(1);
        expect(stats.states[0]).toMatchObject({ state: 0, attempts: taken, completed: taken, failed: 0 });
        expectNear(stats.states[0]!.p50Ms, near(50), stats.approximate);
        expectNear(stats.states[0]!.p95Ms, near(95), stats.approximate);
      }
    });

    test('of failures the 100 most frequent kinds are told, those of one count by their bytes', async () => {
      const { ada } = suite.inNewOrg();
      const given = await makeReferences(ada);
      const kinds = Array.from({ length: 120 }, (_, index) => ({
        component: index % 4 === 0 ? null : `component ${(index * 7) % 30}`,
        failureType: `type ${index}`,
        count: index % 11 === 0 ? 3 : 1 + (index % 2),
      }));
      const failures = kinds.flatMap(({ component, failureType, count }) =>
        Array.from({ length: count }, () => ({
          state: 0,
          component,
          failureType,
          errorMessage: 'x',
          createdAt: second(1),
        })),
      );
      const states = [{ state: 0, status: 'failed', startTime: second(0), endTime: second(1) }] as const;
      await unwrap(
        ada.builds.import({ buildNumber: '1', ...given, status: 'failed', createdAt: second(0), states, failures }),
      );
      const stats = await unwrap(ada.builds.stats());
      expectFigures(stats, counted(await wholeOf(ada)), 'all');
      expect(stats.failures).toHaveLength(100);
      expect(stats.failures[0]).toMatchObject({ count: 3 });
      expect(stats.failures.at(-1)).toMatchObject({ count: 1 });
    });
  });
}

/** The figures, counted by hand. */
export function counted(all: readonly Whole[]): Omit<BuildStats, 'approximate'> {
  const byStatus = Object.fromEntries(
    buildStatuses.map((status) => [status, all.filter(({ build }) => build.status === status).length]),
  ) as unknown as BuildStats['byStatus'];
  const attempts = all.flatMap(({ states }) => states);
  const failures = all.flatMap((one) => one.failures);
  const states = [...new Set(attempts.map(({ state }) => state))]
    .toSorted((a, b) => a - b)
    .map((state) => {
      const here = attempts.filter((attempt) => attempt.state === state);
      const durations = here
        .filter(({ status }) => status === 'completed')
        .map(({ durationMs }) => durationMs!)
        .toSorted((a, b) => a - b);
      const near = (percent: number) => durations[Math.ceil((percent / 100) * durations.length) - 1] ?? null;
      return {
        state,
        attempts: here.length,
        completed: durations.length,
        failed: here.filter(({ status }) => status === 'failed').length,
        p50Ms: near(50),
        p95Ms: near(95),
      };
    });
  const kinds = Map.groupBy(failures, ({ component, failureType }) => JSON.stringify([component, failureType]));
  const ended = byStatus.completed + byStatus.failed;
  return {
    total: all.length,
    byStatus,
    successRate: ended === 0 ? null : byStatus.completed / ended,
    states,
    failures: [...kinds.values()]
      .map((group) => ({
        component: group[0]!.component,
        failureType: group[0]!.failureType,
        count: group.length,
        unresolved: group.filter(({ resolved }) => !resolved).length,
      }))
      .toSorted(
        (a, b) =>
          b.count - a.count ||
          compareBytes(a.component ?? '', b.component ?? '') ||
          compareBytes(a.failureType, b.failureType),
      )
      .slice(0, 100),
  };
}

export function expectFigures(stats: BuildStats, expected: Omit<BuildStats, 'approximate'>, about: string): void {
  const withoutTimes = (one: Omit<BuildStats, 'approximate'>) => ({
    ...one,
    approximate: undefined,
    states: one.states.map((state) => ({ ...state, p50Ms: null, p95Ms: null })),
  });
  expect(withoutTimes(stats), about).toEqual(withoutTimes(expected));
  for (const [index, { p50Ms, p95Ms }] of expected.states.entries()) {
    expectNear(stats.states[index]!.p50Ms, p50Ms, stats.approximate, about);
    expectNear(stats.states[index]!.p95Ms, p95Ms, stats.approximate, about);
  }
}

/** Exact, or where it is read off a histogram at most 1.1 % off. */
function expectNear(actual: number | null, exact: number | null, approximate: boolean, about = ''): void {
  if (!approximate || exact === null || actual === null) expect(actual, about).toBe(exact);
  else expect(Math.abs(actual - exact), `${about}: ${actual} for ${exact}`).toBeLessThanOrEqual(exact * 0.011);
}

function isMeant(build: Build, { from, to, ...references }: StatsFilter): boolean {
  const wanted = Object.entries(references) as [keyof Build, string][];
  if (!wanted.every(([field, value]) => build[field] === value)) return false;
  return (from === undefined || build.createdAt >= from) && (to === undefined || build.createdAt < to);
}

export async function wholeOf(client: Client<unknown>): Promise<Whole[]> {
  const whole: Whole[] = [];
  for (const build of await everything((page) => client.builds.list(page))) {
    whole.push({ build, states: await statesOf(client, build.id), failures: await failuresOf(client, build.id) });
  }
  return whole;
}

/** A history from this time on: some milestones, some of them with failed attempts, ended or not. */
function randomHistory(
  random: SeededRandom,
  createdAt: Date,
): Pick<BuildHistory, 'status' | 'createdAt' | 'endTime' | 'states' | 'failures'> {
  const states: BuildHistory['states'][number][] = [];
  const failures: NonNullable<BuildHistory['failures']>[number][] = [];
  let at = createdAt.getTime();
  const add = (state: number, status: 'completed' | 'failed' | 'canceled' | 'started', retryCount: number) => {
    const startTime = new Date(at);
    at += random.pick([0, 1, random.integer(1_000), random.integer(300_000)]);
    const endTime = status === 'started' ? null : new Date(at);
    states.push({ state, status, startTime, endTime, retryCount });
    if (status !== 'failed') return;
    for (let count = random.integer(3); count > 0; count--) {
      const kind = { failureType: random.pick(failureTypes), component: random.pick(components) };
      failures.push({ state, retryAttempt: retryCount, ...kind, errorMessage: 'x', createdAt: new Date(at) });
    }
  };
  const ending = random.pick(['pending', 'running', 'started', 'failed', 'canceled', 'completed', 'completed']);
  if (ending === 'pending') return { status: 'pending', createdAt, states };
  const passed = [0, 5, 50, 55].filter(() => random.next() < 0.7);
  for (const state of passed) {
    let retryCount = 0;
    while (random.next() < 0.3) add(state, 'failed', retryCount++);
    add(state, 'completed', retryCount);
  }
  if (ending === 'running' && passed.length > 0) return { status: 'running', createdAt, states, failures };
  if (ending === 'completed') add(100, 'completed', 0);
  else add(100, ending === 'started' || ending === 'running' ? 'started' : (ending as 'failed' | 'canceled'), 0);
  const status = ending === 'started' ? 'running' : (ending as BuildHistory['status']);
  return { status, createdAt, states, failures };
}

/** Some life of a build that is run here. */
async function liveFor(
  { builds }: Client<unknown>,
  id: string,
  index: number,
  advance: (ms: number) => void,
): Promise<void> {
  advance(index * 10);
  if (index % 4 === 0) return;
  await unwrap(builds.states.enter(id, { state: 5 }));
  advance(index * 1_000);
  if (index % 4 === 1) return;
  await unwrap(builds.states.fail(id, { failureType: 'timeout', errorMessage: 'x', component: 'disk' }));
  if (index % 4 === 2) return;
  await unwrap(builds.resume(id));
  advance(index);
  await unwrap(builds.states.enter(id, { state: 50 }));
  await unwrap(builds.cancel(id));
}
