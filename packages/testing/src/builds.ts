import { buildEvents, buildLifecycle, buildStatuses, legalBuildEvents, unwrap } from '@vivarium/core';
import type {
  Build,
  BuildEvent,
  BuildStatus,
  Client,
  Outcome,
  Page,
  PageInput,
  Project,
  ResultAsync,
  VivariumError,
} from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { failuresOf, makeReferences, statesOf } from './builds-making.ts';
import { packerManifest } from './every-build-call.ts';
import { malformedManifests } from './malformed-build-calls.ts';
import { fakeClock } from './fake-clock.ts';
import { allPages, everything, filledAlike } from './paging.ts';
import type { Suite } from './suite.ts';

const minute = 60_000;
const failure = { failureType: 'provisioner', errorMessage: 'exit status 1' };

/** The life of a build, from outside. */
export function testBuilds(suite: Suite): void {
  describe('builds', () => {
    test('pass the milestones of their plan, each as long as it took, and are completed with the last one', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { builds } = ada;
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      await unwrap(builds.milestonePlans.define({ projectId, milestones: [0, 10, 20, 100] }));
      const created = clock.now();
      const build = await unwrap(
        builds.start({ buildNumber: ' image 1 ', projectId, ...given, heartbeatTimeoutMs: minute }),
      );
      expect(build).toEqual({
        id: build.id,
        buildNumber: 'image 1',
        projectId,
        ...given,
        currentState: 0,
        status: 'pending',
        retryCount: 0,
        planVersion: 1,
        milestones: [0, 10, 20, 100],
        attempts: 0,
        startTime: null,
        endTime: null,
        durationMs: null,
        heartbeatTimeoutMs: minute,
        heartbeatAt: null,
        deadline: null,
        createdBy: { type: 'user', id: 'ada' },
        version: 1,
        createdAt: created,
        updatedAt: created,
      });
      expect(await unwrap(builds.get(build.id))).toEqual({ ...build, packerManifest: null });
      expect(await statesOf(ada, build.id)).toEqual([]);

      clock.advance(500);
      const startTime = clock.now();
      const entered = await unwrap(builds.states.enter(build.id, { state: 0 }));
      expect(entered).toEqual({
        ...build,
        status: 'running',
        attempts: 1,
        startTime,
        heartbeatAt: startTime,
        deadline: new Date(startTime.getTime() + minute),
        version: 2,
        updatedAt: startTime,
      });
      clock.advance(1_000);
      const completed = await unwrap(builds.states.complete(build.id, { state: 0 }));
      expect(completed).toMatchObject({ status: 'running', currentState: 0, attempts: 1, version: 3, endTime: null });
      expect(completed.heartbeatAt).toEqual(clock.now());
      clock.advance(20);
      await unwrap(builds.states.enter(build.id, { state: 10 }));
      clock.advance(3_000);
      // 20 is passed over, and 10 completed by going on.
      const passed = await unwrap(builds.states.enter(build.id, { state: 100 }));
      expect(passed).toMatchObject({ status: 'running', currentState: 100, attempts: 3, retryCount: 0 });
      clock.advance(7);
      const ended = await unwrap(builds.states.complete(build.id, { state: 100 }));
      expect(ended).toMatchObject({
        status: 'completed',
        currentState: 100,
        startTime,
        endTime: clock.now(),
        durationMs: 4_027,
        deadline: null,
        version: 6,
      });
      expect(await unwrap(builds.getByNumber('image 1'))).toEqual({ ...ended, packerManifest: null });

      const states = await statesOf(ada, build.id);
      const at = (ms: number) => new Date(startTime.getTime() + ms);
      const row = (sequence: number, state: number, from: number, to: number) => ({
        id: states[sequence - 1]!.id,
        buildId: build.id,
        sequence,
        state,
        status: 'completed',
        startTime: at(from),
        endTime: at(to),
        durationMs: to - from,
        errorMessage: null,
        retryCount: 0,
      });
      expect(states).toEqual([row(1, 0, 0, 1_000), row(2, 10, 1_020, 4_020), row(3, 100, 4_020, 4_027)]);
      expect(await failuresOf(ada, build.id)).toEqual([]);
    });

    test('a milestone that fails is tried again where it failed, and every attempt is kept', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { builds } = ada;
      const { id } = await unwrap(builds.start({ buildNumber: '1', ...given }));
      await unwrap(builds.states.enter(id, { state: 25 }));
      const errorDetails = { exit: 1, nested: { list: [null, true, 0.1, 'ä "🧪"\\ \n'], empty: {} }, '': '' };
      for (let attempt = 0; attempt < 3; attempt++) {
        clock.advance(1_000);
        const errorMessage = `attempt ${attempt}: no space left\n on "device" 🧪 `;
        const failed = await unwrap(
          builds.states.fail(id, {
            state: 25,
            failureType: 'provisioner',
            errorMessage,
            ...(attempt === 0 ? {} : { component: 'disk', errorDetails }),
          }),
        );
        expect(failed).toMatchObject({
          status: 'failed',
          currentState: 25,
          retryCount: attempt,
          attempts: attempt + 1,
        });
        expect([failed.endTime, failed.deadline]).toEqual([clock.now(), null]);
        clock.advance(100);
        const resumed = await unwrap(builds.resume(id));
        expect(resumed).toMatchObject({ status: 'running', currentState: 25, retryCount: attempt + 1, endTime: null });
        expect([resumed.attempts, resumed.startTime, resumed.heartbeatAt]).toEqual([
          attempt + 2,
          failed.startTime,
          clock.now(),
        ]);
      }
      clock.advance(1);
      await unwrap(builds.states.complete(id, { state: 25 }));
      expect(await unwrap(builds.states.enter(id, { state: 30 }))).toMatchObject({ retryCount: 0, attempts: 5 });
      await unwrap(builds.states.fail(id, failure));
      expect(await unwrap(builds.resume(id))).toMatchObject({ currentState: 30, retryCount: 1, attempts: 6 });

      const states = await statesOf(ada, id);
      expect(
        states.map(({ sequence, state, status, retryCount, durationMs }) => [
          sequence,
          state,
          status,
          retryCount,
          durationMs,
        ]),
      ).toEqual([
        [1, 25, 'failed', 0, 1_000],
        [2, 25, 'failed', 1, 1_000],
        [3, 25, 'failed', 2, 1_000],
        [4, 25, 'completed', 3, 1],
        [5, 30, 'failed', 0, 0],
        [6, 30, 'started', 1, null],
      ]);
      expect(states[1]!.errorMessage).toBe('attempt 1: no space left\n on "device" 🧪 ');
      const failures = await failuresOf(ada, id);
      expect(
        failures
          .map(({ state, retryAttempt }) => [state, retryAttempt])
          .toSorted(([a, b], [c, d]) => a! - c! || b! - d!),
      ).toEqual([
        [25, 0],
        [25, 1],
        [25, 2],
        [30, 0],
      ]);
      expect(failures.find(({ retryAttempt }) => retryAttempt === 2)).toEqual({
        id: expect.any(String),
        buildId: id,
        state: 25,
        failureType: 'provisioner',
        errorMessage: 'attempt 2: no space left\n on "device" 🧪 ',
        errorDetails,
        component: 'disk',
        retryAttempt: 2,
        resolved: false,
        resolutionNotes: null,
        createdAt: states[2]!.endTime,
        resolvedAt: null,
      });
      expect(failures.at(-1)).toMatchObject({ component: null, errorDetails: null });
    });

    test('a build that fails after its milestone was completed keeps that, and tries it again', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { builds } = ada;
      const { id } = await unwrap(builds.start({ buildNumber: '1', ...given }));
      await unwrap(builds.states.enter(id, { state: 5 }));
      clock.advance(10);
      await unwrap(builds.states.complete(id, { state: 5 }));
      clock.advance(10);
      expect(await unwrap(builds.states.fail(id, failure))).toMatchObject({
        status: 'failed',
        currentState: 5,
        attempts: 1,
      });
      expect(await statesOf(ada, id)).toMatchObject([{ status: 'completed', durationMs: 10, errorMessage: null }]);
      expect(await failuresOf(ada, id)).toMatchObject([{ state: 5, retryAttempt: 0, createdAt: clock.now() }]);
      expect(await unwrap(builds.resume(id))).toMatchObject({ currentState: 5, retryCount: 1, attempts: 2 });
      expect(await statesOf(ada, id)).toMatchObject([{ status: 'completed' }, { status: 'started', retryCount: 1 }]);
    });

    describe('what is legal is what the table says', () => {
      const make: Readonly<Record<BuildStatus, (client: Client<unknown>, id: string) => Promise<unknown>>> = {
        pending: async () => undefined,
        running: (client, id) => unwrap(client.builds.states.enter(id, { state: 5 })),
        failed: async (client, id) => {
          await make.running(client, id);
          await unwrap(client.builds.states.fail(id, failure));
        },
        completed: async (client, id) => {
          await unwrap(client.builds.states.enter(id, { state: 100 }));
          await unwrap(client.builds.states.complete(id, { state: 100 }));
        },
        canceled: async (client, id) => {
          await make.running(client, id);
          await unwrap(client.builds.cancel(id));
        },
      };
      const events: Readonly<
        Record<BuildEvent, (client: Client<unknown>, id: string) => Outcome<'builds.states.enter', Build>>
      > = {
        enter: (client, id) => client.builds.states.enter(id, { state: 10 }),
        complete: (client, id) => client.builds.states.complete(id, { state: 5 }),
        fail: (client, id) => client.builds.states.fail(id, failure),
        resume: (client, id) => client.builds.resume(id),
        cancel: (client, id) => client.builds.cancel(id),
      };
      const pairs = buildStatuses.flatMap((status) => buildEvents.map((event) => [status, event] as const));

      test.each(pairs)('a build that is %s: %s', async (status, event) => {
        const { ada, org, given } = await inNewOrg();
        const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
        await make[status](ada, id);
        const before = {
          build: await unwrap(ada.builds.get(id)),
          states: await statesOf(ada, id),
          failures: await failuresOf(ada, id),
        };
        expect(before.build.status).toBe(status);
        const entries = await suite.harness.raw.count('journal', org);
        const { from, to } = buildLifecycle[event];
        if (from.includes(status)) {
          const after = await unwrap(events[event](ada, id));
          expect(after).toMatchObject({ status: to, version: before.build.version + 1 });
          expect(await unwrap(ada.builds.get(id))).toEqual({ ...after, packerManifest: null });
          return;
        }
        const error = await refused(events[event](ada, id), 'illegal_transition');
        expect(error).toMatchObject({ resource: 'build', legal: legalBuildEvents(status) });
        expect(error.state).toMatch(new RegExp(`^${status}`));
        expect(error.change).toMatch(new RegExp(`^${event}`));
        expect(await unwrap(ada.builds.get(id))).toEqual(before.build);
        expect(await statesOf(ada, id)).toEqual(before.states);
        expect(await failuresOf(ada, id)).toEqual(before.failures);
        expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      });

      test.each(buildStatuses.filter((status) => status !== 'running'))(
        'a build that is %s: heartbeat',
        async (status) => {
          const { ada, given } = await inNewOrg();
          const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
          await make[status](ada, id);
          const before = await unwrap(ada.builds.get(id));
          const error = await refused(ada.builds.heartbeat(id), 'illegal_transition');
          expect(error).toMatchObject({ change: 'heartbeat', state: status, legal: legalBuildEvents(status) });
          expect(await unwrap(ada.builds.get(id))).toEqual(before);
        },
      );
    });

    test('a build never goes back, nor anywhere twice: what lies ahead is named', async () => {
      const { ada, given } = await inNewOrg();
      const { builds } = ada;
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      await unwrap(builds.milestonePlans.define({ projectId, milestones: [0, 10, 20, 100] }));
      const { id } = await unwrap(builds.start({ buildNumber: '1', projectId, ...given }));
      const enter = (state: number) => builds.states.enter(id, { state });
      await unwrap(enter(10));
      const before = await unwrap(builds.get(id));
      const ahead = ['enter 20', 'enter 100'];
      for (const state of [0, 10]) {
        const error = await refused(enter(state), 'illegal_transition');
        expect(error).toMatchObject({
          change: `enter ${state}`,
          state: 'running at 10',
          legal: ['complete 10', ...ahead],
        });
      }
      for (const state of [1, 5, 9, 11, 99]) {
        const error = await refused(enter(state), 'invalid_input');
        expect(error.issues).toEqual([
          { path: 'state', message: "must be a milestone of the build's plan: 0, 10, 20, 100" },
        ]);
      }
      for (const state of [0, 20, 100, 11]) {
        const error = await refused(builds.states.complete(id, { state }), 'illegal_transition');
        expect(error.legal).toEqual(['complete 10', ...ahead]);
      }
      const elsewhere = await refused(builds.states.fail(id, { ...failure, state: 20 }), 'illegal_transition');
      expect(elsewhere.legal).toEqual(['fail 10']);
      expect(await unwrap(builds.get(id))).toEqual(before);

      await unwrap(builds.states.complete(id, { state: 10 }));
      expect((await refused(builds.states.complete(id, { state: 10 }), 'illegal_transition')).legal).toEqual(ahead);
      expect((await refused(enter(10), 'illegal_transition')).legal).toEqual(ahead);
      await unwrap(enter(100));
      expect((await refused(enter(20), 'illegal_transition')).legal).toEqual(['complete 100']);
      expect((await refused(enter(100), 'illegal_transition')).legal).toEqual(['complete 100']);
      expect((await statesOf(ada, id)).map(({ state, status }) => [state, status])).toEqual([
        [10, 'completed'],
        [100, 'started'],
      ]);
    });

    test('the first milestone need not be the lowest, and a clock that goes back makes no attempt end before it began', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
      const started = clock.now();
      clock.advance(-minute);
      const entered = await unwrap(ada.builds.states.enter(id, { state: 95 }));
      expect([entered.startTime, entered.updatedAt]).toEqual([started, started]);
      clock.advance(-minute);
      await unwrap(ada.builds.states.enter(id, { state: 100 }));
      const ended = await unwrap(ada.builds.states.complete(id, { state: 100 }));
      expect(ended.durationMs).toBe(0);
      expect((await statesOf(ada, id)).map(({ durationMs }) => durationMs)).toEqual([0, 0]);
    });

    test('canceling ends the attempt under way, and leaves what has failed or never began as it was', async () => {
      const { ada, clock, given } = await inNewOrg();
      const make = async (buildNumber: string) => (await unwrap(ada.builds.start({ buildNumber, ...given }))).id;
      const [pending, running, failed] = [await make('1'), await make('2'), await make('3')];
      for (const id of [running, failed]) await unwrap(ada.builds.states.enter(id, { state: 0 }));
      await unwrap(ada.builds.states.fail(failed, failure));
      clock.advance(50);
      for (const id of [pending, running, failed]) {
        expect(await unwrap(ada.builds.cancel(id))).toMatchObject({
          status: 'canceled',
          endTime: clock.now(),
          deadline: null,
        });
      }
      expect(await statesOf(ada, pending)).toEqual([]);
      expect(await statesOf(ada, running)).toMatchObject([{ status: 'canceled', durationMs: 50, errorMessage: null }]);
      expect(await statesOf(ada, failed)).toMatchObject([{ status: 'failed', durationMs: 0 }]);
      expect((await unwrap(ada.builds.get(pending))).durationMs).toBe(null);
    });

    test('numbers are unique in the org as they are: case, accents and spaces inside count', async () => {
      const { ada, given } = await inNewOrg();
      const numbers = [
        'b-1',
        'B-1',
        'b 1',
        'b  1',
        'é',
        'e',
        '1',
        '01',
        '1.0',
        'ß',
        'ss',
        "b'",
        'b%',
        '🧪',
        'x'.repeat(100),
      ];
      for (const buildNumber of numbers) await unwrap(ada.builds.start({ buildNumber, ...given }));
      for (const buildNumber of [...numbers, ' b-1 ', 'e\u0301']) {
        await refused(ada.builds.start({ buildNumber, ...given }), 'build_number_taken');
        expect((await unwrap(ada.builds.getByNumber(buildNumber))).buildNumber).toBe(
          buildNumber.trim().normalize('NFC'),
        );
      }
      expect(await codeOf(ada.builds.getByNumber('b-2'))).toBe('not_found');
    });

    test('a build of a project that is deleted is there with all of its history, and goes on', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { builds } = ada;
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      const build = await unwrap(builds.start({ buildNumber: '1', projectId: project.id, ...given }));
      await unwrap(builds.states.enter(build.id, { state: 5 }));
      await unwrap(builds.states.fail(build.id, failure));
      await unwrap(builds.attachPackerManifest(build.id, packerManifest));
      const other = await unwrap(ada.projects.create({ name: 'Q' }));
      const neighbour = await unwrap(builds.start({ buildNumber: '2', projectId: other.id, ...given }));
      const before = await unwrap(builds.get(build.id));
      const [states, failures] = [await statesOf(ada, build.id), await failuresOf(ada, build.id)];
      clock.advance(minute);
      await unwrap(ada.projects.delete(project.id));

      expect(await unwrap(builds.get(build.id))).toEqual({ ...before, projectId: null });
      expect([await statesOf(ada, build.id), await failuresOf(ada, build.id)]).toEqual([states, failures]);
      expect((await unwrap(builds.list({ projectId: project.id }))).items).toEqual([]);
      expect((await unwrap(builds.list())).items.map(({ projectId }) => projectId)).toEqual([other.id, null]);
      expect((await unwrap(builds.get(neighbour.id))).projectId).toBe(other.id);
      expect((await unwrap(builds.stats({ projectId: project.id }))).total).toBe(0);
      expect((await unwrap(builds.stats())).total).toBe(2);
      await refused(builds.start({ buildNumber: '3', projectId: project.id, ...given }), 'not_found');
      expect(await unwrap(builds.resume(build.id, { expectedVersion: before.version }))).toMatchObject({
        projectId: null,
        version: before.version + 1,
      });
    });

    test('what was decided before the project was deleted does not bring it back', async () => {
      const { ada, org, given } = await inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', projectId: project.id, ...given }));
      const { builds } = suite.harness.storage;
      const storage = {
        ...suite.harness.storage,
        builds: {
          ...builds,
          get: (...args: Parameters<typeof builds.get>) =>
            builds.get(...args).map(async (facts) => {
              await ada.projects.delete(project.id);
              return facts;
            }),
        },
      };
      const slow = suite.vivarium({ storage }).as({ org, type: 'user', id: 'slow' });
      await unwrap(slow.builds.states.enter(id, { state: 5 }));
      expect(await unwrap(ada.builds.get(id))).toMatchObject({ projectId: null, status: 'running', currentState: 5 });
      expect((await unwrap(ada.builds.list({ projectId: project.id }))).items).toEqual([]);
    });
  });

  describe('signs of life of builds', () => {
    test('a heartbeat moves the deadline and nothing else, as often as it is said', async () => {
      const { ada, org, clock, given } = await inNewOrg();
      const build = await unwrap(ada.builds.start({ buildNumber: '1', ...given, heartbeatTimeoutMs: 1_000 }));
      const running = await unwrap(ada.builds.states.enter(build.id, { state: 0 }));
      const entries = await suite.harness.raw.count('journal', org);
      for (let beat = 0; beat < 3; beat++) {
        clock.advance(900);
        expect(await unwrap(ada.builds.heartbeat(build.id))).toBeUndefined();
        expect(await unwrap(ada.builds.get(build.id))).toEqual({
          ...running,
          heartbeatAt: clock.now(),
          deadline: new Date(clock.now().getTime() + 1_000),
          packerManifest: null,
        });
        expect(await unwrap(ada.builds.sweep())).toEqual([]);
      }
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await unwrap(ada.builds.states.complete(build.id, { state: 0, expectedVersion: 2 }))).toMatchObject({
        version: 3,
      });
    });

    test('a build that is silent past its deadline is failed by sweep, once, and says why', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { id, buildNumber } = await unwrap(
        ada.builds.start({ buildNumber: '1', ...given, heartbeatTimeoutMs: minute }),
      );
      await unwrap(ada.builds.states.enter(id, { state: 5 }));
      clock.advance(10_000);
      await unwrap(ada.builds.heartbeat(id));
      const beat = clock.now();
      clock.advance(minute - 1);
      expect(await unwrap(ada.builds.sweep())).toEqual([]);
      clock.advance(1);
      const why = `no sign of life since ${beat.toISOString()}, for more than 60000 ms`;
      const found = { buildId: id, buildNumber, action: 'fail', why };
      const before = await unwrap(ada.builds.get(id));
      expect(await unwrap(ada.builds.sweep({ dryRun: true }))).toEqual([{ ...found, outcome: 'planned' }]);
      expect(await unwrap(ada.builds.get(id))).toEqual(before);
      expect(await unwrap(ada.builds.sweep())).toEqual([{ ...found, outcome: 'done' }]);
      expect(await unwrap(ada.builds.sweep())).toEqual([]);
      expect(await unwrap(ada.builds.get(id))).toMatchObject({
        status: 'failed',
        currentState: 5,
        endTime: clock.now(),
        version: 3,
      });
      expect(await statesOf(ada, id)).toMatchObject([
        { status: 'failed', errorMessage: why, durationMs: 10_000 + minute },
      ]);
      expect(await failuresOf(ada, id)).toMatchObject([
        { failureType: 'heartbeat_missed', errorMessage: why, component: null },
      ]);
      const [entry] = (await unwrap(ada.journal.list({ limit: 1 }))).items;
      expect(entry).toMatchObject({ action: 'build.failed', sequence: 3, data: { failureType: 'heartbeat_missed' } });
      expect(await unwrap(ada.builds.resume(id))).toMatchObject({ retryCount: 1, heartbeatAt: clock.now() });
      expect(await unwrap(ada.builds.sweep())).toEqual([]);
    });

    test('sweep takes what is due and nothing else, up to its limit', async () => {
      const { ada, clock, given } = await inNewOrg();
      const ids: string[] = [];
      for (let index = 0; index < 7; index++) {
        const heartbeatTimeoutMs = index === 6 ? 10 * minute : minute;
        const build = await unwrap(ada.builds.start({ buildNumber: `${index}`, ...given, heartbeatTimeoutMs }));
        ids.push(build.id);
        // The first stays pending.
        if (index > 0) await unwrap(ada.builds.states.enter(build.id, { state: 0 }));
      }
      await unwrap(ada.builds.states.fail(ids[1]!, failure));
      await unwrap(ada.builds.cancel(ids[2]!));
      clock.advance(minute);
      const swept = async (limit?: number) =>
        (await unwrap(ada.builds.sweep({ limit }))).map(({ buildId, outcome }) => [buildId, outcome]);
      const due = ids.slice(3, 6).toSorted();
      expect((await unwrap(ada.builds.sweep({ dryRun: true }))).map(({ buildId }) => buildId)).toEqual(due);
      expect(await swept(2)).toEqual(due.slice(0, 2).map((id) => [id, 'done']));
      expect(await swept()).toEqual([[due[2], 'done']]);
      expect(await swept()).toEqual([]);
      clock.advance(9 * minute);
      expect(await swept()).toEqual([[ids[6], 'done']]);
    });

    test('more than 100 builds that are due are all found', async () => {
      const { ada, clock, given } = await inNewOrg();
      const numbers = Array.from({ length: 130 }, (_, index) => `${index}`);
      const run = {
        status: 'running',
        createdAt: clock.now(),
        states: [{ state: 0, status: 'started', startTime: clock.now() }],
      } as const;
      for (const buildNumber of numbers)
        await unwrap(ada.builds.import({ buildNumber, ...given, ...run, heartbeatTimeoutMs: 1_000 }));
      clock.advance(1_000);
      const swept = await unwrap(ada.builds.sweep({ limit: 1_000, dryRun: true }));
      expect(new Set(swept.map(({ buildNumber }) => buildNumber))).toEqual(new Set(numbers));
      expect(swept).toHaveLength(130);
      expect(await unwrap(ada.builds.sweep({ dryRun: true }))).toEqual(swept.slice(0, 100));
    });

    test('a sign of life, or an end, that came in between saves a build from sweep', async () => {
      const { ada, org, clock, given } = await inNewOrg();
      const make = async (buildNumber: string) => {
        const { id } = await unwrap(ada.builds.start({ buildNumber, ...given, heartbeatTimeoutMs: minute }));
        await unwrap(ada.builds.states.enter(id, { state: 0 }));
        return id;
      };
      const [beating, ending] = [await make('1'), await make('2')];
      clock.advance(minute);
      const { builds } = suite.harness.storage;
      let calls = 0;
      const storage = {
        ...suite.harness.storage,
        builds: {
          ...builds,
          // After what sweep decides on was read: a heartbeat, and a cancel.
          get: (...args: Parameters<typeof builds.get>) =>
            builds.get(...args).map(async (facts) => {
              calls++;
              if (args[1] === beating) await unwrap(ada.builds.heartbeat(beating));
              if (args[1] === ending) await unwrap(ada.builds.cancel(ending));
              return facts;
            }),
        },
      };
      const sweeper = suite.vivarium({ storage, clock }).as({ org, type: 'system', id: 'sweeper' });
      const swept = await unwrap(sweeper.builds.sweep());
      expect(swept.map(({ outcome }) => outcome)).toEqual(['settled', 'settled']);
      expect(calls).toBe(2);
      expect(await unwrap(ada.builds.get(beating))).toMatchObject({
        status: 'running',
        version: 2,
        heartbeatAt: clock.now(),
      });
      expect((await unwrap(ada.builds.get(ending))).status).toBe('canceled');
      expect([await failuresOf(ada, beating), await failuresOf(ada, ending)]).toEqual([[], []]);
      expect((await unwrap(ada.journal.list({ action: 'build.failed' }))).items).toEqual([]);
    });
  });

  describe('failures of builds', () => {
    test('are resolved once, with notes and time', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
      await unwrap(ada.builds.states.enter(id, { state: 5 }));
      await unwrap(ada.builds.states.fail(id, { ...failure, component: 'disk', errorDetails: { a: [1] } }));
      const before = await unwrap(ada.builds.get(id));
      const [open] = await failuresOf(ada, id);
      clock.advance(5);
      const notes = ' a larger disk: 200 GB 語\n';
      const resolved = await unwrap(ada.builds.resolveFailure(open!.id, { notes }));
      expect(resolved).toEqual({ ...open, resolved: true, resolutionNotes: notes, resolvedAt: clock.now() });
      clock.advance(5);
      const error = await refused(ada.builds.resolveFailure(open!.id, { notes: 'again' }), 'illegal_transition');
      expect(error).toMatchObject({ resource: 'failure', state: 'resolved', legal: [] });
      expect(await failuresOf(ada, id)).toEqual([resolved]);
      expect(await unwrap(ada.builds.get(id))).toEqual(before);
    });

    test('planResume says where it would go on, what is missing and what stands open', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { builds } = ada;
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      await unwrap(builds.milestonePlans.define({ projectId, milestones: [0, 10, 20, 30, 40, 100] }));
      const { id } = await unwrap(builds.start({ buildNumber: '1', projectId, ...given }));
      const nothing = { buildId: id, completed: [], skipped: [], unresolvedFailures: 0, lastFailure: null };
      const all = [0, 10, 20, 30, 40, 100];
      expect(await unwrap(builds.planResume(id))).toEqual({
        ...nothing,
        resumable: false,
        why: 'the build is pending; only a failed one resumes',
        state: 0,
        retryCount: 0,
        remaining: all,
      });
      await unwrap(builds.states.enter(id, { state: 0 }));
      await unwrap(builds.states.enter(id, { state: 20 }));
      await unwrap(builds.states.enter(id, { state: 30 }));
      const ran = { ...nothing, completed: [0, 20], skipped: [10], state: 30, retryCount: 1, remaining: [30, 40, 100] };
      expect(await unwrap(builds.planResume(id))).toEqual({
        ...ran,
        resumable: false,
        why: 'the build is running; only a failed one resumes',
      });
      for (let attempt = 0; attempt < 2; attempt++) {
        clock.advance(10);
        await unwrap(builds.states.fail(id, { ...failure, errorMessage: `attempt ${attempt}` }));
        const failures = await failuresOf(ada, id);
        expect(await unwrap(builds.planResume(id))).toEqual({
          ...ran,
          resumable: true,
          why: null,
          retryCount: attempt + 1,
          unresolvedFailures: attempt + 1,
          lastFailure: failures[0],
        });
        expect(failures[0]!.errorMessage).toBe(`attempt ${attempt}`);
        if (attempt === 0) await unwrap(builds.resume(id));
      }
      const [last, first] = await failuresOf(ada, id);
      await unwrap(builds.resolveFailure(first!.id, { notes: 'done' }));
      expect(await unwrap(builds.planResume(id))).toMatchObject({ unresolvedFailures: 1, lastFailure: last });
      const resolved = await unwrap(builds.resolveFailure(last!.id, { notes: 'done' }));
      expect(await unwrap(builds.planResume(id))).toMatchObject({ unresolvedFailures: 0, lastFailure: resolved });

      await unwrap(builds.resume(id));
      await unwrap(builds.states.complete(id, { state: 30 }));
      await unwrap(builds.states.fail(id, failure));
      expect(await unwrap(builds.planResume(id))).toMatchObject({
        resumable: true,
        state: 30,
        completed: [0, 20, 30],
        remaining: [40, 100],
      });
      await unwrap(builds.cancel(id));
      expect(await unwrap(builds.planResume(id))).toMatchObject({
        resumable: false,
        why: 'the build is canceled; only a failed one resumes',
      });
    });
  });

  describe('lists of builds', () => {
    type Lists = Readonly<
      Record<
        string,
        (client: Client<unknown>, made: Made) => (page: PageInput) => ResultAsync<Page<unknown>, VivariumError>
      >
    >;
    const lists: Lists = {
      'list of all':
        ({ builds }) =>
        (page) =>
          builds.list(page),
      'list of a project':
        ({ builds }, { projectIds }) =>
        (page) =>
          builds.list({ projectId: projectIds[0]!, ...page }),
      'list of a project and a status':
        ({ builds }, { projectIds }) =>
        (page) =>
          builds.list({ projectId: projectIds[0]!, status: 'failed', ...page }),
      'list of a status':
        ({ builds }) =>
        (page) =>
          builds.list({ status: 'running', ...page }),
      'list of a platform':
        ({ builds }, { references: [one] }) =>
        (page) =>
          builds.list({ platformId: one!.platformId, ...page }),
      'list of an OS version':
        ({ builds }, { references: [, two] }) =>
        (page) =>
          builds.list({ osVersionId: two!.osVersionId, ...page }),
      'list of an image type and a status':
        ({ builds }, { references: [one] }) =>
        (page) =>
          builds.list({ imageTypeId: one!.imageTypeId, status: 'running', ...page }),
      'list of everything at once':
        ({ builds }, { references: [one], projectIds }) =>
        (page) =>
          builds.list({ projectId: projectIds[0]!, ...one!, status: 'failed', ...page }),
      'list of a project that is gone':
        ({ builds }, { gone }) =>
        (page) =>
          builds.list({ projectId: gone, ...page }),
      listStates:
        ({ builds }, { longest }) =>
        (page) =>
          builds.listStates(longest, page),
      'listFailures of all':
        ({ builds }) =>
        (page) =>
          builds.listFailures(page),
      'listFailures of a build':
        ({ builds }, { longest }) =>
        (page) =>
          builds.listFailures({ buildId: longest, ...page }),
      'listFailures that are open':
        ({ builds }) =>
        (page) =>
          builds.listFailures({ resolved: false, ...page }),
      'listFailures that are resolved, of a build':
        ({ builds }, { longest }) =>
        (page) =>
          builds.listFailures({ buildId: longest, resolved: true, ...page }),
      'listFailures of a type':
        ({ builds }) =>
        (page) =>
          builds.listFailures({ failureType: 'type 1', ...page }),
      'listFailures of a component':
        ({ builds }) =>
        (page) =>
          builds.listFailures({ component: 'Disk', ...page }),
      'listFailures of everything at once':
        ({ builds }, { longest }) =>
        (page) =>
          builds.listFailures({ buildId: longest, resolved: false, failureType: 'type 0', component: 'disk', ...page }),
    };
    /** What memory storage gives is taken for granted here; that each filter gives something, and not everything, is not. */
    const some: Readonly<Record<string, number>> = { 'list of a project that is gone': 0 };
    const filled = filledAlike(suite, fill);

    test.each(Object.keys(lists))(
      '%s: in pages of every size, with the same cursors as memory storage',
      async (name) => {
        const [tested, reference] = (await filled()).map(({ client, made }) => lists[name]!(client, made));
        const whole = (await allPages(reference!, 100)).flatMap(({ items }) => items);
        expect(whole.length).toBeGreaterThanOrEqual(some[name] ?? 2);
        for (const limit of new Set([1, 2, 3, 5, whole.length, whole.length + 1])) {
          if (limit === 0) continue;
          const pages = await allPages(tested!, limit);
          expect(pages).toEqual(await allPages(reference!, limit));
          expect(pages.flatMap(({ items }) => items)).toEqual(whole);
          expect(pages.slice(0, -1).every(({ items }) => items.length === limit)).toBe(true);
        }
      },
    );

    test('come newest first; those of one millisecond by their ids, the highest first', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      await fill(ada, clock.advance);
      const newestFirst = (a: { createdAt: Date; id: string }, b: { createdAt: Date; id: string }) =>
        b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1);
      const builds = await everything((page) => ada.builds.list(page));
      expect(builds).toEqual(builds.toSorted(newestFirst));
      expect(builds).toHaveLength(22);
      const failures = await everything((page) => ada.builds.listFailures(page));
      expect(failures).toEqual(failures.toSorted(newestFirst));
      expect(new Set(failures.map(({ createdAt }) => createdAt.getTime())).size).toBeLessThan(failures.length);
      for (const { id } of builds) {
        const states = await statesOf(ada, id);
        expect(states.map(({ sequence }) => sequence)).toEqual(states.map((_, index) => index + 1));
      }
    });

    test('a build that moves between two pages is neither hidden nor shown twice', async () => {
      const { ada, given } = await inNewOrg();
      for (let index = 0; index < 6; index++) await unwrap(ada.builds.start({ buildNumber: `${index}`, ...given }));
      const first = await unwrap(ada.builds.list({ limit: 3 }));
      for (const { id } of (await unwrap(ada.builds.list())).items)
        await unwrap(ada.builds.states.enter(id, { state: 0 }));
      await unwrap(ada.builds.start({ buildNumber: 'new', ...given }));
      const rest = await unwrap(ada.builds.list({ cursor: first.nextCursor! }));
      const ids = [...first.items, ...rest.items].map(({ id }) => id);
      expect(new Set(ids).size).toBe(6);
      expect(rest.items).toHaveLength(3);
      expect(rest.items.every(({ status }) => status === 'running')).toBe(true);
    });

    test('an empty list is one empty page', async () => {
      const { ada, given } = await inNewOrg();
      const empty = { items: [], nextCursor: null };
      expect(await unwrap(ada.builds.list())).toEqual(empty);
      expect(await unwrap(ada.builds.listFailures())).toEqual(empty);
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
      expect(await unwrap(ada.builds.listStates(id))).toEqual(empty);
      expect(await unwrap(ada.builds.listFailures({ buildId: id }))).toEqual(empty);
    });
  });

  describe('manifests of Packer', () => {
    test('are kept as they are, with everything that is not known here, in place of an earlier one', async () => {
      const { ada, clock, given } = await inNewOrg();
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
      await unwrap(ada.builds.states.enter(id, { state: 5 }));
      const before = await unwrap(ada.builds.get(id));
      const unknown = {
        zebra: 1,
        '': [],
        constructor: { prototype: null },
        toString: 'x',
        'a.b': { $ref: '#', nested: [[], [{}], [null, true, 0.5, -1, 1e-7, Number.MAX_SAFE_INTEGER]] },
        'ключ 🧪': 'ä "quoted"\\ \u2028\n\t',
        apple: false,
      };
      const [artifact] = packerManifest.builds;
      const manifest = {
        ...unknown,
        builds: [
          { ...artifact, ...unknown, files: [{ name: 'disk.vmdk', size: 4_000_000_000, checksum: 'abc' }] },
          { ...artifact, name: '', artifact_id: '', custom_data: null, packer_run_uuid: 'an earlier run' },
        ],
        last_run_uuid: artifact.packer_run_uuid,
      };
      clock.advance(5);
      const attached = await unwrap(
        ada.builds.attachPackerManifest(id, `\uFEFF${JSON.stringify(manifest, null, 2)}\n`),
      );
      expect(attached).toEqual({ ...before, packerManifest: manifest, version: 3, updatedAt: clock.now() });
      expect(await unwrap(ada.builds.get(id))).toEqual(attached);
      expect(await unwrap(ada.builds.getByNumber('1'))).toEqual(attached);
      expect((await unwrap(ada.builds.list())).items).toEqual([{ ...attached, packerManifest: undefined }]);

      await unwrap(ada.builds.states.complete(id, { state: 5 }));
      await unwrap(ada.builds.heartbeat(id));
      expect((await unwrap(ada.builds.get(id))).packerManifest).toEqual(manifest);
      const replaced = await unwrap(ada.builds.attachPackerManifest(id, packerManifest));
      expect(replaced).toMatchObject({ version: 5, status: 'running', heartbeatAt: clock.now() });
      expect((await unwrap(ada.builds.get(id))).packerManifest).toEqual(packerManifest);
      await unwrap(ada.builds.cancel(id));
      expect(await unwrap(ada.builds.attachPackerManifest(id, manifest))).toMatchObject({
        version: 7,
        status: 'canceled',
      });
    });

    test('of up to 262,144 bytes are held, whatever their script', async () => {
      const { ada, given } = await inNewOrg();
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
      const room = 262_144 - Buffer.byteLength(JSON.stringify({ ...packerManifest, padding: '' }));
      for (const padding of ['x'.repeat(room), '語'.repeat(Math.floor(room / 3)), '🧪'.repeat(Math.floor(room / 4))]) {
        const manifest = { ...packerManifest, padding };
        await unwrap(ada.builds.attachPackerManifest(id, manifest));
        expect((await unwrap(ada.builds.get(id))).packerManifest).toEqual(manifest);
      }
      await refused(
        ada.builds.attachPackerManifest(id, { ...packerManifest, padding: 'x'.repeat(room + 1) }),
        'invalid_input',
      );
    });

    test('that are malformed, cut off, enormous or of an unknown version are refused, and change nothing', async () => {
      const { ada, org, given } = await inNewOrg();
      const { id } = await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
      const before = await unwrap(ada.builds.attachPackerManifest(id, packerManifest));
      const entries = await suite.harness.raw.count('journal', org);
      for (const [index, [manifest, path]] of malformedManifests.entries()) {
        const answer = ada.builds.attachPackerManifest(id, manifest, { idempotencyKey: `${index}` });
        const error = await refused(answer, 'invalid_input');
        expect(
          error.issues.map((issue) => issue.path),
          `manifest ${index}`,
        ).toContain(path);
        expect(error.message.length).toBeLessThan(1_000);
      }
      expect(await unwrap(ada.builds.get(id))).toEqual(before);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    });
  });

  /** A fake clock, and one entry of each kind of the catalog. */
  async function inNewOrg() {
    const clock = fakeClock();
    const { org, ada } = suite.inNewOrg({ clock });
    return { org, ada, clock, given: await makeReferences(ada) };
  }
}

interface Made {
  readonly projectIds: readonly string[];
  readonly gone: string;
  readonly references: readonly Awaited<ReturnType<typeof makeReferences>>[];
  /** The build with the most attempts and failures. */
  readonly longest: string;
}

/** 20 builds, many of which share a time, in every status, with failures of several types and components. */
async function fill(client: Client<unknown>, advance: (ms: number) => void): Promise<Made> {
  const { builds, projects } = client;
  const references = [await makeReferences(client, 'one'), await makeReferences(client, 'two')];
  const made: Project[] = [];
  for (const name of ['P', 'Q', 'Gone']) made.push(await unwrap(projects.create({ name })));
  const [gone] = made.splice(2);
  const ids: string[] = [];
  for (let index = 0; index < 20; index++) {
    if (index % 4 === 3) advance(1);
    const projectId = index % 3 === 2 ? gone!.id : made[index % 3]!.id;
    const { id } = await unwrap(builds.start({ buildNumber: `${index}`, projectId, ...references[(index >> 1) % 2]! }));
    ids.push(id);
    if (index % 5 === 0) continue;
    await unwrap(builds.states.enter(id, { state: 5 * index }));
    for (let attempt = 0; attempt < (index === 13 ? 17 : index % 3); attempt++) {
      const component = [null, 'disk', 'Disk'][attempt % 3]!;
      await unwrap(
        builds.states.fail(id, { failureType: `type ${(attempt + index) % 2}`, errorMessage: 'x', component }),
      );
      if (attempt % 4 === 1) advance(1);
      await unwrap(builds.resume(id));
    }
    if (index % 4 === 0 || index === 13) continue;
    await unwrap(
      index % 4 === 1 ? builds.states.fail(id, { failureType: 'last', errorMessage: 'x' }) : builds.cancel(id),
    );
  }
  for (const index of [3, 9])
    await unwrap(builds.states.fail(await another(index), { failureType: 'type 1', errorMessage: 'x' }));
  const failures = await everything((page) => builds.listFailures(page));
  for (const [index, { id }] of failures.entries()) {
    if (index % 5 === 0) await unwrap(builds.resolveFailure(id, { notes: 'done' }));
  }
  await unwrap(projects.delete(gone!.id));
  return { projectIds: made.map(({ id }) => id), gone: gone!.id, references, longest: ids[13]! };

  /** One more build of the first project and the first references, in running. */
  async function another(index: number): Promise<string> {
    const { id } = await unwrap(builds.start({ buildNumber: `x${index}`, projectId: made[0]!.id, ...references[0]! }));
    await unwrap(builds.states.enter(id, { state: 0 }));
    return id;
  }
}
