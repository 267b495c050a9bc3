import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { replayHistory } from '../../src/builds/history.ts';
import type { BuildHistory } from '../../src/builds/history.ts';
import type { Build, BuildFailure, BuildState } from '../../src/builds/model.ts';
import { memoryStorage } from '../../src/storage/memory/index.ts';
import { createVivarium, unwrap } from '../../src/index.ts';
import type { Client } from '../../src/index.ts';
import { after, at, refusal } from './building.ts';

const references = { platformId: 'platform', osVersionId: 'os', imageTypeId: 'type' };
const plan = { version: 0, milestones: [{ state: 0 }, { state: 50 }, { state: 100 }] };

function replay(history: Omit<BuildHistory, 'buildNumber' | keyof typeof references>) {
  let ids = 0;
  const next = { next: () => `id ${++ids}` };
  return replayHistory(
    { buildNumber: '1', ...references, ...history },
    plan,
    { type: 'user', id: 'ada' },
    { id: 'build', ids: next, at: after(1e6) },
  );
}

describe('a history that is replayed', () => {
  it('comes to a build with its attempts and failures, at its first version', () => {
    const states = [
      { state: 0, status: 'completed', startTime: after(1), endTime: after(2) },
      { state: 50, status: 'failed', startTime: after(3), endTime: after(4), errorMessage: 'x' },
      { state: 50, status: 'started', startTime: after(5) },
    ] as const;
    const failures = [{ state: 50, failureType: 'quota', errorMessage: 'x', createdAt: after(4) }];
    const { build, ...history } = replay({ status: 'running', createdAt: at, states, failures })._unsafeUnwrap();
    expect(build).toMatchObject({
      id: 'build',
      status: 'running',
      currentState: 50,
      retryCount: 1,
      attempts: 3,
      attemptStartedAt: after(5),
      startTime: after(1),
      endTime: null,
      heartbeatAt: after(1e6),
      version: 1,
      createdAt: at,
      updatedAt: after(1e6),
    });
    expect(
      history.states.map(({ sequence, state, status, retryCount }) => [sequence, state, status, retryCount]),
    ).toEqual([
      [1, 0, 'completed', 0],
      [2, 50, 'failed', 0],
      [3, 50, 'started', 1],
    ]);
    expect(history.failures).toEqual([
      {
        id: 'id 1',
        buildId: 'build',
        state: 50,
        failureType: 'quota',
        errorMessage: 'x',
        errorDetails: null,
        component: null,
        retryAttempt: 0,
        resolved: false,
        resolutionNotes: null,
        createdAt: after(4),
        resolvedAt: null,
      },
    ]);
  });

  it('tells by a failure that a completed milestone was tried again, or the build canceled after it', () => {
    const completed = { state: 50, status: 'completed', startTime: after(1), endTime: after(2) } as const;
    const failures = [{ state: 50, failureType: 'quota', errorMessage: 'x', createdAt: after(3) }];
    const again = { ...completed, startTime: after(4), endTime: after(5) };
    const base = { createdAt: at, failures };
    expect(replay({ ...base, status: 'running', states: [completed, again] })._unsafeUnwrap().build.retryCount).toBe(1);
    expect(replay({ ...base, status: 'failed', states: [completed] })._unsafeUnwrap().build.endTime).toEqual(after(3));
    const canceled = replay({ ...base, status: 'canceled', endTime: after(9), states: [completed] })._unsafeUnwrap();
    expect([canceled.build.status, canceled.build.endTime]).toEqual(['canceled', after(9)]);
    for (const [status, states] of [
      ['running', [completed, again]],
      ['failed', [completed]],
    ] as const) {
      expect(refusal(replay({ createdAt: at, status, states })).issues).toHaveLength(1);
    }
    const early = { ...completed, startTime: after(2), endTime: after(5) };
    const tooEarly = replay({ ...base, status: 'running', states: [completed, early] });
    expect(refusal(tooEarly).issues[0]!.path).toBe('states[1].startTime');
    expect(
      refusal(replay({ ...base, status: 'canceled', endTime: after(2), states: [completed] })).issues[0]!.path,
    ).toBe('endTime');
    expect(refusal(replay({ ...base, status: 'running', states: [completed] })).issues[0]!.path).toBe('failures[0]');
  });

  it('refuses the first thing that does not follow, and only that', () => {
    const states = [
      { state: 50, status: 'completed', startTime: after(5), endTime: after(4) },
      { state: 0, status: 'completed', startTime: after(1), endTime: null },
    ] as const;
    expect(refusal(replay({ status: 'pending', createdAt: at, states })).issues).toEqual([
      { path: 'states[0].endTime', message: 'must not be before startTime' },
    ]);
  });
});

/** A command as one would send it, and how long after the one before it. */
const command = fc.record({
  does: fc.constantFrom(
    'enter',
    'enter',
    'complete',
    'complete',
    'fail',
    'resume',
    'cancel',
    'resolve',
    'heartbeat',
    'attach',
  ),
  ahead: fc.nat({ max: 3 }),
  passes: fc.constantFrom(0, 0, 1, 1_000, 60_001),
  told: fc.boolean(),
});

type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

const one = (does: Command['does'], ahead = 1): Command => ({ does, ahead, passes: 1, told: true });
const oneOfEachStatus: [Command[]][] = [
  [[]],
  [[one('enter')]],
  [[one('enter'), one('fail')]],
  [[one('enter', 3), one('enter', 3), one('complete')]],
  [[one('enter'), one('cancel', 0)]],
];

const packerManifest = {
  builds: [{ name: 'a', builder_type: 'b', artifact_id: '', packer_run_uuid: 'run' }],
  last_run_uuid: 'run',
};

describe('a build that was run here', () => {
  it('can be exported, and imported under another number with the same history', { timeout: 120_000 }, async () => {
    const runs = fc.array(command, { maxLength: 30 });
    const counted = { runs: 0, refused: 0, statuses: new Set<string>() };
    await fc.assert(
      fc.asyncProperty(runs, async (commands) => {
        const { client, given, milestones, clock } = await begin();
        const { id } = await unwrap(client.builds.start({ buildNumber: 'here', ...given }));
        for (const next of commands) {
          clock.time += next.passes;
          const sent = await carryOut(client, id, milestones, next);
          counted.refused += sent ? 0 : 1;
        }
        const here = await wholeOf(client, 'here');
        counted.statuses.add(here.build.status);
        clock.time += 5;
        await unwrap(client.builds.import({ buildNumber: 'there', ...given, ...exported(here) }));
        const there = await wholeOf(client, 'there');
        expect(comparable(there)).toEqual(comparable(here));
        expect(there.build).toMatchObject({ version: 1, attempts: here.states.length });
        counted.runs++;
      }),
      { numRuns: 300, examples: oneOfEachStatus },
    );
    expect(counted.runs).toBe(300);
    expect(counted.statuses).toEqual(new Set(['pending', 'running', 'failed', 'completed', 'canceled']));
  });

  it('is refused when anything in its history is bent', async () => {
    const { client, given, clock } = await begin();
    const { id } = await unwrap(client.builds.start({ buildNumber: 'here', ...given }));
    const step = async (sent: PromiseLike<unknown>) => {
      await sent;
      clock.time += 10;
    };
    await step(unwrap(client.builds.states.enter(id, { state: 10 })));
    await step(unwrap(client.builds.states.fail(id, { failureType: 'x', errorMessage: 'x' })));
    await step(unwrap(client.builds.resume(id)));
    await step(unwrap(client.builds.states.enter(id, { state: 20 })));
    await step(unwrap(client.builds.states.fail(id, { failureType: 'x', errorMessage: 'x' })));
    const history = exported(await wholeOf(client, 'here'));
    const [first, ...others] = history.states;
    const bent: readonly Partial<BuildHistory>[] = [
      { states: history.states.toReversed() },
      { states: others },
      { states: history.states.slice(0, -1) },
      { states: [...history.states, history.states.at(-1)!] },
      { states: [{ ...first!, state: 20 }, ...others] },
      { states: [{ ...first!, status: 'canceled' }, ...others] },
      { states: [{ ...first!, retryCount: 1 }, ...others] },
      { states: [{ ...first!, startTime: new Date(first!.startTime.getTime() - 1e9) }, ...others] },
      { states: [{ ...first!, endTime: new Date(first!.endTime!.getTime() + 11) }, ...others] },
      { status: 'running' },
      { status: 'completed' },
      { createdAt: new Date(history.createdAt.getTime() + 1) },
      { endTime: new Date(history.endTime!.getTime() + 1) },
      { failures: history.failures!.map((failure) => ({ ...failure, retryAttempt: 1 })) },
    ];
    for (const [index, change] of bent.entries()) {
      const answer = await client.builds.import({ buildNumber: 'there', ...given, ...history, ...change });
      expect([index, answer.isErr() && answer.error.code]).toEqual([index, 'invalid_input']);
    }
    await unwrap(client.builds.import({ buildNumber: 'there', ...given, ...history }));
  });
});

async function begin() {
  const clock = { time: at.getTime(), now: () => new Date(clock.time) };
  const client: Client = createVivarium({ storage: memoryStorage(), clock }).as({
    org: 'acme',
    type: 'user',
    id: 'ada',
  });
  const { platforms, osVersions, imageTypes } = client.builds.catalog;
  const { id: projectId } = await unwrap(client.projects.create({ name: 'P' }));
  const milestones = [0, 10, 20, 100];
  await unwrap(client.builds.milestonePlans.define({ projectId, milestones }));
  const given = {
    projectId,
    platformId: (await unwrap(platforms.create({ name: 'a', cloudProvider: 'aws' }))).id,
    osVersionId: (await unwrap(osVersions.create({ name: 'a', osFamily: 'rhel', majorVersion: 8 }))).id,
    imageTypeId: (await unwrap(imageTypes.create({ name: 'a' }))).id,
  };
  return { client, given, milestones, clock };
}

/** Sends the command; whether it was done. */
async function carryOut(
  { builds }: Client,
  id: string,
  milestones: readonly number[],
  { does, ahead, told }: Command,
): Promise<boolean> {
  const { currentState, attempts } = await unwrap(builds.get(id));
  const next =
    milestones[Math.min(milestones.length - 1, milestones.indexOf(currentState) + ahead - (attempts === 0 ? 1 : 0))] ??
    0;
  const failure = {
    failureType: 'quota',
    errorMessage: `attempt ${attempts}`,
    ...(told && { component: 'disk', errorDetails: { attempts } }),
  };
  switch (does) {
    case 'enter':
      return (await builds.states.enter(id, { state: next })).isOk();
    case 'complete':
      return (await builds.states.complete(id, { state: currentState })).isOk();
    case 'fail':
      return (await builds.states.fail(id, failure)).isOk();
    case 'resume':
      return (await builds.resume(id)).isOk();
    case 'cancel':
      // Only now and then: nothing comes after it.
      return told && ahead === 0 && (await builds.cancel(id)).isOk();
    case 'heartbeat':
      return (await builds.heartbeat(id)).isOk();
    case 'attach':
      return (await builds.attachPackerManifest(id, packerManifest)).isOk();
    case 'resolve': {
      const { items } = await unwrap(builds.listFailures({ buildId: id, resolved: false }));
      return items.length > 0 && (await builds.resolveFailure(items.at(-1)!.id, { notes: 'done' })).isOk();
    }
  }
}

interface Whole {
  readonly build: Build;
  readonly states: readonly BuildState[];
  readonly failures: readonly BuildFailure[];
}

async function wholeOf({ builds }: Client, buildNumber: string): Promise<Whole> {
  const { packerManifest: _packerManifest, ...build } = await unwrap(builds.getByNumber(buildNumber));
  const states = (await unwrap(builds.listStates(build.id, { limit: 100 }))).items;
  const failures = (await unwrap(builds.listFailures({ buildId: build.id, limit: 100 }))).items;
  return { build, states, failures };
}

/** The build as another host would hand it over. */
function exported({ build, states, failures }: Whole): Omit<BuildHistory, 'buildNumber' | keyof typeof references> {
  const { status, createdAt, endTime } = build;
  return {
    status,
    createdAt,
    endTime,
    states: states.map(({ state, status: how, startTime, endTime: end, errorMessage, retryCount }) => ({
      state,
      status: how,
      startTime,
      endTime: end,
      errorMessage,
      retryCount,
    })),
    failures: failures.map(({ id: _id, buildId: _buildId, ...failure }) => failure),
  };
}

/** What has to be equal: all but ids, the number, and what importing is itself a change of. */
function comparable({ build, states, failures }: Whole) {
  const {
    id: _id,
    buildNumber: _number,
    version: _version,
    updatedAt: _at,
    heartbeatAt: _beat,
    deadline: _deadline,
    ...rest
  } = build;
  return {
    build: rest,
    states: states.map(({ id: _row, buildId: _of, ...attempt }) => attempt),
    failures: failures
      .map(({ id: _row, buildId: _of, ...failure }) => failure)
      .toSorted((a, b) => a.state - b.state || a.retryAttempt - b.retryAttempt),
  };
}
