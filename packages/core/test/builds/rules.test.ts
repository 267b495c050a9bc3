import { describe, expect, it } from 'vitest';

import { maximumAttempts } from '../../src/builds/model.ts';
import {
  isOverdue,
  nextPlan,
  planResume,
  resolveFailure,
  toBuild,
  toBuildState,
  touched,
} from '../../src/builds/rules.ts';
import {
  after,
  at,
  buildThatIs,
  cancel,
  complete,
  done,
  enter,
  fail,
  failure,
  made,
  pending,
  refusal,
  resume,
} from './building.ts';

describe('entering a milestone', () => {
  it('begins an attempt, and the build with the first one', () => {
    const { build, begun, ended, failure: none } = done(enter(pending, 0, made('row', 10)));
    expect(begun).toEqual({
      id: 'row',
      buildId: 'build',
      sequence: 1,
      state: 0,
      status: 'started',
      startTime: after(10),
      endTime: null,
      errorMessage: null,
      retryCount: 0,
    });
    expect([ended, none]).toEqual([null, null]);
    expect(build).toEqual({
      ...pending,
      status: 'running',
      attempts: 1,
      attemptStartedAt: after(10),
      startTime: after(10),
      heartbeatAt: after(10),
      version: 2,
      updatedAt: after(10),
    });
  });

  it('completes what is under way, and nothing where that was completed already', () => {
    const { running } = buildThatIs;
    const through = done(enter(running, 100, made('row', 30)));
    expect(through.ended).toEqual({
      sequence: 1,
      state: 50,
      status: 'completed',
      startTime: after(10),
      endTime: after(30),
      errorMessage: null,
    });
    expect(through.build).toMatchObject({ startTime: after(10), attemptStartedAt: after(30), attempts: 2 });
    const rested = done(complete(running, 50, after(20))).build;
    expect(done(enter(rested, 100, made('row', 30))).ended).toBe(null);
  });

  it.each([
    [0, 'illegal_transition', ['complete 50', 'enter 100']],
    [50, 'illegal_transition', ['complete 50', 'enter 100']],
    [25, 'invalid_input', undefined],
    [101, 'invalid_input', undefined],
  ])('never leads to %i from 50: %s', (state, code, legal) => {
    const error = refusal(enter(buildThatIs.running, state, made('row', 30)));
    expect(error).toMatchObject({ code, ...(legal && { legal, state: 'running at 50' }) });
  });

  it('says that it is no milestone whatever the status', () => {
    for (const build of Object.values(buildThatIs))
      expect(refusal(enter(build, 25, made('row', 30))).code).toBe('invalid_input');
  });

  it('is limited to so many attempts, as resuming is', () => {
    const full = { attempts: maximumAttempts };
    for (const refused of [
      enter({ ...buildThatIs.running, ...full }, 100, made('row', 30)),
      resume({ ...buildThatIs.failed, ...full }, made('row', 30)),
    ]) {
      expect(refusal(refused)).toMatchObject({ code: 'limit_reached', limit: 'attemptsPerBuild', maximum: 1_000 });
    }
    expect(done(resume({ ...buildThatIs.failed, attempts: maximumAttempts - 1 }, made('row', 30))).build.attempts).toBe(
      1_000,
    );
  });
});

describe('failing', () => {
  it('ends the attempt under way and says why', () => {
    const told = { ...failure, component: 'disk', errorDetails: { exit: 1 } };
    const { build, ended, begun, failure: written } = done(fail(buildThatIs.running, told, made('failure', 30)));
    expect(build).toMatchObject({
      status: 'failed',
      currentState: 50,
      attemptStartedAt: null,
      endTime: after(30),
      heartbeatAt: after(10),
    });
    expect(ended).toMatchObject({ sequence: 1, status: 'failed', errorMessage: 'exit status 1', endTime: after(30) });
    expect(begun).toBe(null);
    expect(written).toEqual({
      id: 'failure',
      buildId: 'build',
      state: 50,
      ...told,
      retryAttempt: 0,
      resolved: false,
      resolutionNotes: null,
      createdAt: after(30),
      resolvedAt: null,
    });
  });

  it('leaves a milestone that was completed as it is', () => {
    const rested = done(complete(buildThatIs.running, 50, after(20))).build;
    const { ended, failure: written, build } = done(fail(rested, failure, made('failure', 30)));
    expect([ended, written?.state, build.endTime]).toEqual([null, 50, after(30)]);
    expect(done(resume(build, made('row', 40))).begun).toMatchObject({ state: 50, retryCount: 1, sequence: 2 });
  });

  it('is refused at another milestone than the one that is meant', () => {
    expect(refusal(fail(buildThatIs.running, { ...failure, state: 100 }, made('failure', 30)))).toMatchObject({
      code: 'illegal_transition',
      change: 'fail 100',
      legal: ['fail 50'],
    });
    expect(fail(buildThatIs.running, { ...failure, state: 50 }, made('failure', 30)).isOk()).toBe(true);
  });
});

describe('a retry', () => {
  it('is counted at its milestone, and from 0 at the next', () => {
    let { failed } = buildThatIs;
    for (let retry = 1; retry <= 3; retry++) {
      const { build, begun } = done(resume(failed, made(`row ${retry}`, 10 * retry)));
      expect(build).toMatchObject({
        retryCount: retry,
        currentState: 50,
        endTime: null,
        startTime: after(10),
        attempts: retry + 1,
      });
      expect(begun).toMatchObject({ retryCount: retry, sequence: retry + 1 });
      const again = done(fail(build, failure, made(`failure ${retry}`, 10 * retry + 5)));
      expect(again.failure?.retryAttempt).toBe(retry);
      failed = again.build;
    }
    const resumed = done(resume(failed, made('row', 90))).build;
    expect(done(enter(resumed, 100, made('next', 95))).begun).toMatchObject({ retryCount: 0, sequence: 6 });
  });
});

describe('a clock that goes back', () => {
  it('never takes a build with it', () => {
    const entered = done(enter(pending, 50, made('row', -500)));
    expect([entered.build.updatedAt, entered.begun?.startTime]).toEqual([at, at]);
    const { running } = buildThatIs;
    expect(done(complete(running, 50, after(-1))).ended?.endTime).toEqual(after(10));
    expect(done(cancel(running, after(-1))).build.endTime).toEqual(after(10));
    expect(done(fail(running, failure, made('failure', -1))).failure?.createdAt).toEqual(after(10));
    expect(touched(running, after(-1)).updatedAt).toEqual(after(10));
  });
});

describe('what is overdue', () => {
  it('is a running build that was silent for as long as it may be', () => {
    expect(isOverdue(buildThatIs.running, after(1_009))).toBe(false);
    expect(isOverdue(buildThatIs.running, after(1_010))).toBe(true);
    for (const status of ['pending', 'failed', 'completed', 'canceled'] as const) {
      expect(isOverdue(buildThatIs[status], after(1e9))).toBe(false);
    }
  });
});

describe('what is shown of a build', () => {
  it('has its duration and its deadline, and not when the attempt began', () => {
    const { attemptStartedAt: _attemptStartedAt, ...rest } = buildThatIs.running;
    expect(toBuild(buildThatIs.running)).toEqual({ ...rest, durationMs: null, deadline: after(1_010) });
    expect(toBuild(buildThatIs.failed)).toMatchObject({ durationMs: 10, deadline: null });
    expect(toBuild(pending)).toMatchObject({ durationMs: null, deadline: null });
    const row = done(enter(pending, 0, made('row', 10))).begun!;
    expect(toBuildState(row).durationMs).toBe(null);
    expect(toBuildState({ ...row, endTime: after(25) }).durationMs).toBe(15);
  });
});

describe('a plan of resuming', () => {
  const none = { last: null, unresolved: 0 };

  it('splits the milestones into completed, skipped and remaining, each once', () => {
    const plan = planResume(buildThatIs.failed, [], none);
    expect(plan).toMatchObject({
      resumable: true,
      why: null,
      state: 50,
      retryCount: 1,
      completed: [],
      skipped: [0],
      remaining: [50, 100],
    });
    for (const completed of [[], [0], [50], [0, 50], [0, 50, 100]]) {
      for (const build of Object.values(buildThatIs)) {
        const parts = planResume(build, completed, none);
        const all = [...parts.completed, ...parts.skipped, ...parts.remaining];
        expect(all.toSorted((a, b) => a - b)).toEqual([0, 50, 100]);
      }
    }
  });

  it('says what stands against it', () => {
    for (const status of ['pending', 'running', 'completed', 'canceled'] as const) {
      expect(planResume(buildThatIs[status], [], none)).toMatchObject({
        resumable: false,
        why: `the build is ${status}; only a failed one resumes`,
      });
    }
  });
});

describe('a failure', () => {
  const open = done(fail(buildThatIs.running, failure, made('failure', 30))).failure!;

  it('is resolved once', () => {
    const resolved = resolveFailure(open, 'a larger disk', after(50))._unsafeUnwrap();
    expect(resolved).toEqual({ ...open, resolved: true, resolutionNotes: 'a larger disk', resolvedAt: after(50) });
    expect(refusal(resolveFailure(resolved, 'again', after(60)))).toMatchObject({
      code: 'illegal_transition',
      legal: [],
    });
  });
});

describe('a plan of milestones', () => {
  it('is in ascending order, with or without names, one version on', () => {
    expect(nextPlan('project', 4, [100, { state: 5, name: 'booted' }, { state: 50 }], made('plan', 0))).toEqual({
      id: 'plan',
      projectId: 'project',
      version: 5,
      milestones: [
        { state: 5, name: 'booted' },
        { state: 50, name: null },
        { state: 100, name: null },
      ],
      createdAt: at,
    });
  });
});
