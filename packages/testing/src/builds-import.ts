import { unwrap } from '@vivarium/core';
import type { BuildHistory, Client, ImportedFailure, ImportedState } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { buildsSnapshot, failuresOf, makeReferences, second, statesOf } from './builds-making.ts';
import { fakeClock } from './fake-clock.ts';
import type { Suite } from './suite.ts';

type History = Pick<BuildHistory, 'status' | 'createdAt' | 'endTime' | 'states' | 'failures'>;

/** An attempt of 10 seconds. */
const attempt = (state: number, at: number, differing: Partial<ImportedState> = {}): ImportedState => ({
  state,
  status: 'completed',
  startTime: second(at),
  endTime: second(at + 10),
  ...differing,
});
const failed = (state: number, at: number, retryCount: number): ImportedState =>
  attempt(state, at, { status: 'failed', errorMessage: `attempt ${retryCount} at ${state}`, retryCount });
const underWay = (state: number, at: number): ImportedState => attempt(state, at, { status: 'started', endTime: null });
const failure = (
  state: number,
  at: number,
  retryAttempt: number,
  differing: Partial<ImportedFailure> = {},
): ImportedFailure => ({
  state,
  retryAttempt,
  failureType: 'provisioner',
  errorMessage: `attempt ${retryAttempt} at ${state}`,
  component: 'disk',
  errorDetails: { exit: retryAttempt, list: [null, 'ä'] },
  createdAt: second(at),
  ...differing,
});

/** Histories that could have been made here, and what their builds are then. */
const sound: Readonly<Record<string, readonly [History, object]>> = {
  'a build that has not begun': [
    { status: 'pending', createdAt: second(0), states: [] },
    { currentState: 0, attempts: 0, startTime: null, endTime: null, durationMs: null, heartbeatAt: null },
  ],
  'milestones that were passed over, of different lengths': [
    {
      status: 'completed',
      createdAt: second(0),
      endTime: second(120),
      states: [
        attempt(5, 1, { endTime: new Date(second(1).getTime() + 1) }),
        attempt(40, 20, { endTime: second(20) }),
        attempt(45, 20),
        attempt(100, 100, { endTime: second(120) }),
      ],
    },
    { currentState: 100, attempts: 4, retryCount: 0, startTime: second(1), endTime: second(120), durationMs: 119_000 },
  ],
  'several failed attempts at one state, and at another': [
    {
      status: 'failed',
      createdAt: second(0),
      states: [
        attempt(0, 0),
        failed(25, 10, 0),
        failed(25, 30, 1),
        failed(25, 50, 2),
        attempt(25, 70, { retryCount: 3 }),
        failed(30, 90, 0),
      ],
      failures: [
        failure(25, 20, 0, { resolved: true, resolutionNotes: 'a larger disk', resolvedAt: second(25) }),
        failure(25, 40, 1),
        failure(25, 60, 2, { component: null, errorDetails: null }),
        failure(30, 100, 0, { failureType: 'timeout' }),
        failure(30, 100, 0, { failureType: 'again, of the same attempt' }),
      ],
    },
    { currentState: 30, attempts: 6, retryCount: 0, endTime: second(100) },
  ],
  'a build that is still running': [
    {
      status: 'running',
      createdAt: second(0),
      endTime: null,
      states: [attempt(0, 0), failed(10, 10, 0), { ...underWay(10, 30), retryCount: 1 }],
    },
    { currentState: 10, attempts: 3, retryCount: 1, endTime: null, durationMs: null },
  ],
  'a build that runs between two milestones': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 0)] },
    { currentState: 0, attempts: 1, endTime: null },
  ],
  'a build that was canceled at work': [
    { status: 'canceled', createdAt: second(0), states: [attempt(0, 0), attempt(5, 20, { status: 'canceled' })] },
    { currentState: 5, attempts: 2, endTime: second(30), durationMs: 30_000 },
  ],
  'a build that was canceled between two milestones': [
    { status: 'canceled', createdAt: second(0), endTime: second(50), states: [attempt(0, 0)] },
    { currentState: 0, attempts: 1, endTime: second(50), durationMs: 50_000 },
  ],
  'a build that was canceled after it had failed': [
    { status: 'canceled', createdAt: second(0), endTime: second(50), states: [failed(0, 0, 0)] },
    { currentState: 0, attempts: 1, endTime: second(50) },
  ],
  'a build that was canceled before it began': [
    { status: 'canceled', createdAt: second(0), endTime: second(50), states: [] },
    { currentState: 0, attempts: 0, startTime: null, endTime: second(50), durationMs: null },
  ],
  'a build that failed after its milestone was completed': [
    { status: 'failed', createdAt: second(0), states: [attempt(0, 0), attempt(5, 10)], failures: [failure(5, 25, 0)] },
    { currentState: 5, attempts: 2, retryCount: 0, endTime: second(25) },
  ],
  'a build that failed after completion, and was canceled then': [
    {
      status: 'canceled',
      createdAt: second(0),
      endTime: second(30),
      states: [attempt(5, 10)],
      failures: [failure(5, 25, 0)],
    },
    { currentState: 5, attempts: 1, retryCount: 0, endTime: second(30) },
  ],
  'a build that failed after completion, was tried again and went on': [
    {
      status: 'completed',
      createdAt: second(0),
      states: [attempt(5, 0), attempt(5, 40, { retryCount: 1 }), attempt(100, 60)],
      failures: [failure(5, 20, 0)],
    },
    { currentState: 100, attempts: 3, retryCount: 0, endTime: second(70) },
  ],
  'a failed attempt without a failure, and counts that are not given': [
    {
      status: 'failed',
      createdAt: second(0),
      states: [failed(5, 0, 0), { ...failed(5, 20, 1), retryCount: undefined, errorMessage: undefined }],
    },
    { currentState: 5, attempts: 2, retryCount: 1 },
  ],
  '400 attempts': [
    {
      status: 'failed',
      createdAt: second(0),
      states: Array.from({ length: 400 }, (_, index) => failed(Math.floor(index / 20) * 5, index * 20, index % 20)).map(
        (one, index) => (index % 20 === 19 && index < 399 ? { ...one, status: 'completed' as const } : one),
      ),
      failures: Array.from({ length: 400 }, (_, index) => index)
        .filter((index) => index % 20 !== 19)
        .map((index) => failure(Math.floor(index / 20) * 5, index * 20 + 10, index % 20)),
    },
    { currentState: 95, attempts: 400, retryCount: 19, endTime: second(399 * 20 + 10) },
  ],
};

/** Histories that break a rule, and the place that is named. */
const unsound: Readonly<Record<string, readonly [History, string]>> = {
  'no milestone of the plan': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 0), attempt(7, 20)] },
    'states[1].state',
  ],
  'back to a lower milestone': [
    { status: 'running', createdAt: second(0), states: [attempt(10, 0), attempt(5, 20)] },
    'states[1].state',
  ],
  'the same milestone again, though nothing has failed': [
    { status: 'running', createdAt: second(0), states: [attempt(10, 0), attempt(10, 20)] },
    'states[1].state',
  ],
  'a lower milestone after a failure': [
    { status: 'running', createdAt: second(0), states: [failed(10, 0, 0), attempt(5, 20)] },
    'states[1].state',
  ],
  'a higher milestone after a failure, without a new try': [
    { status: 'running', createdAt: second(0), states: [failed(10, 0, 0), attempt(15, 20)] },
    'states[1].state',
  ],
  'a retryCount that skips one': [
    { status: 'running', createdAt: second(0), states: [failed(10, 0, 0), attempt(10, 20, { retryCount: 2 })] },
    'states[1].retryCount',
  ],
  'a retryCount at the first try': [
    { status: 'running', createdAt: second(0), states: [attempt(10, 0, { retryCount: 1 })] },
    'states[0].retryCount',
  ],
  'a retryCount that is kept at the next milestone': [
    {
      status: 'running',
      createdAt: second(0),
      states: [failed(10, 0, 0), attempt(10, 20), attempt(15, 40, { retryCount: 1 })],
    },
    'states[2].retryCount',
  ],
  'an attempt before the build': [
    { status: 'running', createdAt: second(5), states: [attempt(0, 4)] },
    'states[0].startTime',
  ],
  'attempts that overlap': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 0), attempt(5, 9)] },
    'states[1].startTime',
  ],
  'a new try before the failure that it is for': [
    {
      status: 'running',
      createdAt: second(0),
      states: [attempt(5, 0), attempt(5, 15)],
      failures: [failure(5, 20, 0)],
    },
    'states[1].startTime',
  ],
  'attempts in another order than their times': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 20), attempt(5, 0)] },
    'states[1].startTime',
  ],
  'an end before its beginning': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 10, { endTime: second(9) })] },
    'states[0].endTime',
  ],
  'no end': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 10, { endTime: null })] },
    'states[0].endTime',
  ],
  'an end of what is under way': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 10, { status: 'started' })] },
    'states[0].endTime',
  ],
  'an error of what is under way': [
    { status: 'running', createdAt: second(0), states: [{ ...underWay(0, 10), errorMessage: 'x' }] },
    'states[0].errorMessage',
  ],
  'two attempts under way': [
    { status: 'running', createdAt: second(0), states: [underWay(0, 0), underWay(5, 20)] },
    'states[1]',
  ],
  'an attempt that is under way before the last': [
    { status: 'running', createdAt: second(0), states: [underWay(0, 0), attempt(5, 20)] },
    'states[1]',
  ],
  'an attempt after the build was canceled': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 0, { status: 'canceled' }), attempt(5, 20)] },
    'states[1]',
  ],
  'an attempt after the build was completed': [
    { status: 'completed', createdAt: second(0), states: [attempt(100, 0), attempt(100, 20)] },
    'states[1]',
  ],
  'a build in the future': [{ status: 'pending', createdAt: second(1e8), states: [] }, 'createdAt'],
  'an attempt in the future': [
    { status: 'running', createdAt: second(0), states: [underWay(0, 1e8)] },
    'states[0].startTime',
  ],
  'an end in the future': [
    { status: 'running', createdAt: second(0), states: [attempt(0, 0, { endTime: second(1e8) })] },
    'states[0].endTime',
  ],
  'pending, with an attempt': [{ status: 'pending', createdAt: second(0), states: [attempt(0, 0)] }, 'status'],
  'running, without one': [{ status: 'running', createdAt: second(0), states: [] }, 'status'],
  'running, though the last has failed': [
    { status: 'running', createdAt: second(0), states: [failed(0, 0, 0)] },
    'status',
  ],
  'running, though 100 was completed': [
    { status: 'running', createdAt: second(0), states: [attempt(100, 0)] },
    'status',
  ],
  'failed, though nothing has': [{ status: 'failed', createdAt: second(0), states: [attempt(0, 0)] }, 'status'],
  'failed, though it was tried again': [
    { status: 'failed', createdAt: second(0), states: [failed(0, 0, 0), underWay(0, 20)] },
    'status',
  ],
  'completed before 100': [{ status: 'completed', createdAt: second(0), states: [attempt(95, 0)] }, 'status'],
  'completed, though 100 is under way': [
    { status: 'completed', createdAt: second(0), states: [underWay(100, 0)] },
    'status',
  ],
  'canceled, though it was completed': [
    { status: 'canceled', createdAt: second(0), endTime: second(50), states: [attempt(100, 0)] },
    'status',
  ],
  'canceled, though an attempt is under way': [
    { status: 'canceled', createdAt: second(0), endTime: second(50), states: [underWay(0, 0)] },
    'status',
  ],
  'canceled, nobody knows when': [{ status: 'canceled', createdAt: second(0), states: [attempt(0, 0)] }, 'endTime'],
  'canceled before its last attempt ended': [
    { status: 'canceled', createdAt: second(0), endTime: second(9), states: [attempt(0, 0)] },
    'endTime',
  ],
  'canceled in the future': [
    { status: 'canceled', createdAt: second(0), endTime: second(1e8), states: [attempt(0, 0)] },
    'endTime',
  ],
  'an end that is not that of the last attempt': [
    { status: 'failed', createdAt: second(0), endTime: second(11), states: [failed(0, 0, 0)] },
    'endTime',
  ],
  'an end of a build that runs': [
    { status: 'running', createdAt: second(0), endTime: second(10), states: [attempt(0, 0)] },
    'endTime',
  ],
  'a failure of an attempt that was completed': [
    {
      status: 'running',
      createdAt: second(0),
      states: [failed(0, 0, 0), attempt(0, 20), attempt(5, 40)],
      failures: [failure(0, 10, 0), failure(0, 30, 1)],
    },
    'failures[1]',
  ],
  'a failure of an attempt that was never made': [
    { status: 'failed', createdAt: second(0), states: [failed(0, 0, 0)], failures: [failure(0, 10, 1)] },
    'failures[0]',
  ],
  'a failure at a milestone that was never entered': [
    {
      status: 'failed',
      createdAt: second(0),
      states: [failed(0, 0, 0)],
      failures: [failure(0, 10, 0), failure(5, 10, 0)],
    },
    'failures[1]',
  ],
  'a failure before the build': [
    { status: 'failed', createdAt: second(5), states: [failed(0, 5, 0)], failures: [failure(0, 4, 0)] },
    'failures[0].createdAt',
  ],
  'a failure in the future': [
    { status: 'failed', createdAt: second(0), states: [failed(0, 0, 0)], failures: [failure(0, 1e8, 0)] },
    'failures[0].createdAt',
  ],
  'a failure that was resolved before it happened': [
    {
      status: 'failed',
      createdAt: second(0),
      states: [failed(0, 0, 0)],
      failures: [failure(0, 10, 0, { resolved: true, resolvedAt: second(9) })],
    },
    'failures[0].resolvedAt',
  ],
  'a failure that will be resolved': [
    {
      status: 'failed',
      createdAt: second(0),
      states: [failed(0, 0, 0)],
      failures: [failure(0, 10, 0, { resolved: true, resolvedAt: second(1e8) })],
    },
    'failures[0].resolvedAt',
  ],
  'notes on a failure that is not resolved': [
    {
      status: 'failed',
      createdAt: second(0),
      states: [failed(0, 0, 0)],
      failures: [failure(0, 10, 0, { resolutionNotes: 'x' })],
    },
    'failures[0].resolutionNotes',
  ],
  'a time of resolution of a failure that is not resolved': [
    {
      status: 'failed',
      createdAt: second(0),
      states: [failed(0, 0, 0)],
      failures: [failure(0, 10, 0, { resolved: false, resolvedAt: second(20) })],
    },
    'failures[0].resolvedAt',
  ],
};

/** Builds that were run elsewhere: taken over as they were, or not at all. */
export function testBuildImport(suite: Suite): void {
  describe('builds that were run elsewhere', () => {
    test.each(Object.keys(sound))('are read back as they were: %s', async (name) => {
      const { ada, clock, given } = await inNewOrg();
      const [history, expected] = sound[name]!;
      const imported = await unwrap(
        ada.builds.import({ buildNumber: '1', ...given, ...history, heartbeatTimeoutMs: 5_000 }),
      );
      const now = clock.now();
      const running = history.status === 'running';
      expect(imported).toMatchObject({
        buildNumber: '1',
        projectId: null,
        ...given,
        status: history.status,
        createdAt: history.createdAt,
        createdBy: { type: 'user', id: 'ada' },
        planVersion: 0,
        version: 1,
        updatedAt: now,
        ...(running && { heartbeatAt: now, deadline: new Date(now.getTime() + 5_000) }),
        ...expected,
      });
      expect(await unwrap(ada.builds.get(imported.id))).toEqual({ ...imported, packerManifest: null });
      expect(await unwrap(ada.builds.getByNumber('1'))).toEqual({ ...imported, packerManifest: null });

      const states = await statesOf(ada, imported.id);
      expect(states).toEqual(
        history.states.map(({ state, status, startTime, endTime = null, errorMessage = null }, index) => ({
          id: states[index]!.id,
          buildId: imported.id,
          sequence: index + 1,
          state,
          status,
          startTime,
          endTime,
          durationMs: endTime === null ? null : endTime.getTime() - startTime.getTime(),
          errorMessage,
          retryCount: retriesBefore(history.states, index),
        })),
      );
      const failures = await failuresOf(ada, imported.id);
      const told = (failures_: readonly ImportedFailure[]) =>
        failures_.map(({ resolved = false, resolutionNotes = null, resolvedAt = null, ...rest }) => ({
          resolved,
          resolutionNotes,
          resolvedAt,
          ...rest,
        }));
      const inOrder = (a: { createdAt: Date; failureType: string }, b: { createdAt: Date; failureType: string }) =>
        b.createdAt.getTime() - a.createdAt.getTime() || (a.failureType < b.failureType ? -1 : 1);
      const read = failures.map(({ id: _id, buildId: _buildId, ...rest }) => rest);
      expect(read.toSorted(inOrder)).toEqual(told(history.failures ?? []).toSorted(inOrder));
      expect(new Set(failures.map(({ buildId }) => buildId)).size).toBeLessThanOrEqual(1);
    });

    test('go on as if they had been run here', async () => {
      const { ada, clock, given } = await inNewOrg();
      const make = async (name: string) =>
        (await unwrap(ada.builds.import({ buildNumber: name, ...given, ...sound[name]![0] }))).id;
      const failedOne = await make('several failed attempts at one state, and at another');
      clock.advance(1_000);
      expect(await unwrap(ada.builds.resume(failedOne))).toMatchObject({
        currentState: 30,
        retryCount: 1,
        attempts: 7,
        version: 2,
      });
      expect((await statesOf(ada, failedOne)).at(-1)).toMatchObject({
        sequence: 7,
        state: 30,
        retryCount: 1,
        startTime: clock.now(),
      });
      const runningOne = await make('a build that is still running');
      clock.advance(1_000);
      await unwrap(ada.builds.states.complete(runningOne, { state: 10 }));
      expect((await statesOf(ada, runningOne)).at(-1)).toMatchObject({
        status: 'completed',
        durationMs: clock.now().getTime() - second(30).getTime(),
      });
      const [open] = await failuresOf(ada, failedOne);
      expect(await unwrap(ada.builds.resolveFailure(open!.id, { notes: 'x' }))).toMatchObject({ resolved: true });
      for (const name of ['a build that was canceled at work', 'a build that was canceled before it began']) {
        await refused(ada.builds.resume(await make(name)), 'illegal_transition');
      }
    });

    test('are held against the newest plan of their project', async () => {
      const { ada, given } = await inNewOrg();
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      for (const milestones of [
        [0, 100],
        [3, 7, 100],
      ])
        await unwrap(ada.builds.milestonePlans.define({ projectId, milestones }));
      const history = { projectId, ...given, status: 'running', createdAt: second(0) } as const;
      const wrong = await refused(
        ada.builds.import({ buildNumber: '1', ...history, states: [attempt(0, 0)] }),
        'invalid_input',
      );
      expect(wrong.issues).toEqual([
        { path: 'states[0].state', message: "must be a milestone of the build's plan: 3, 7, 100" },
      ]);
      const build = await unwrap(ada.builds.import({ buildNumber: '1', ...history, states: [attempt(7, 0)] }));
      expect(build).toMatchObject({ planVersion: 2, milestones: [3, 7, 100], projectId });
    });

    test('may have a clock that is ahead by up to a minute: what happens next does not come before', async () => {
      const { ada, clock, given } = await inNewOrg();
      const now = clock.now().getTime();
      const [soon, sooner] = [new Date(now + 59_000), new Date(now + 60_000)];
      const states = [attempt(0, 0, { startTime: soon, endTime: sooner })];
      const imported = await unwrap(
        ada.builds.import({ buildNumber: '1', ...given, status: 'running', createdAt: new Date(now), states }),
      );
      expect(imported.updatedAt).toEqual(sooner);
      clock.advance(1_000);
      await unwrap(ada.builds.states.enter(imported.id, { state: 5 }));
      await unwrap(ada.builds.states.complete(imported.id, { state: 5 }));
      const [, next] = await statesOf(ada, imported.id);
      expect([next!.startTime, next!.durationMs]).toEqual([sooner, 0]);
      const later = [attempt(0, 0, { startTime: soon, endTime: new Date(clock.now().getTime() + 60_001) })];
      await refused(
        ada.builds.import({ buildNumber: '2', ...given, status: 'running', createdAt: soon, states: later }),
        'invalid_input',
      );
    });

    test.each(Object.keys(unsound))('are refused whole, with the place named: %s', async (name) => {
      const { ada, org, given } = await inNewOrg();
      const [history, path] = unsound[name]!;
      const [before, entries] = [await buildsSnapshot(ada), await suite.harness.raw.count('journal', org)];
      const answer = ada.builds.import({ buildNumber: '1', ...given, ...history, idempotencyKey: 'k' });
      const error = await refused(answer, 'invalid_input');
      expect(error.issues.map((issue) => issue.path)).toEqual([path]);
      expect(error.issues[0]!.message).not.toBe('');
      expect(await buildsSnapshot(ada)).toEqual(before);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      // The number is free.
      await unwrap(ada.builds.start({ buildNumber: '1', ...given }));
    });
  });

  /** A clock in 2025, when all of these histories are past, and one entry of each kind of the catalog. */
  async function inNewOrg(): Promise<{
    org: string;
    ada: Client<unknown>;
    clock: ReturnType<typeof fakeClock>;
    given: Awaited<ReturnType<typeof makeReferences>>;
  }> {
    const clock = fakeClock();
    const { org, ada } = suite.inNewOrg({ clock });
    return { org, ada, clock, given: await makeReferences(ada) };
  }
}

/** Which try of its state an attempt is. */
function retriesBefore(states: readonly ImportedState[], index: number): number {
  return states.slice(0, index).filter(({ state }) => state === states[index]!.state).length;
}
