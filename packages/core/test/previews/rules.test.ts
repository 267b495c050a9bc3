import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { previewLifecycle, previewStatuses } from '../../src/previews/lifecycle.ts';
import { isOverdue } from '../../src/previews/model.ts';
import type { PendingCommand, RuntimeReport, StoredPreview } from '../../src/previews/model.ts';
import {
  approve,
  ask,
  failed,
  followsBranch,
  forget,
  hold,
  isStoppable,
  missesEvent,
  overtaken,
  prepared,
  remove,
  reported,
  runtimeAccepted,
  runtimeGone,
  stopFailed,
  wantsRuntime,
} from '../../src/previews/rules.ts';
import type { PreviewChange } from '../../src/previews/rules.ts';
import { at, first, preview, second, third } from './making.ts';

const later = new Date(at.getTime() + 60_000);
const create = (sha: string): PendingCommand => ({ type: 'create', sha, cause: null });
const restart: PendingCommand = { type: 'restart', sha: null, cause: null };
const stop = (cause: 'asked' | 'closed' | 'aged' = 'asked'): PendingCommand => ({ type: 'stop', sha: null, cause });
const report = (fields: Partial<RuntimeReport>): RuntimeReport => ({
  version: 1,
  orgId: 'acme',
  projectEnvironmentId: preview().id,
  generation: 1,
  sequence: 1,
  status: 'running',
  ...fields,
});
const after = (before: StoredPreview, ...commands: readonly PendingCommand[]) =>
  commands.reduce((now, command) => ask(now, command, at)._unsafeUnwrap()?.preview ?? now, before);

describe('what is asked for while something is under way', () => {
  test('a stop waits while the runtime is being made, and comes as soon as it is', () => {
    const waiting = after(preview(), stop());
    expect(waiting).toMatchObject({ status: 'initializing', pendingCommand: { type: 'stop' }, stopCause: null });
    const accepted = runtimeAccepted(waiting, 1, 'r', at)!;
    expect(accepted.preview).toMatchObject({
      status: 'stopping',
      pendingCommand: null,
      stopCause: 'asked',
      version: 3,
    });
    expect(accepted.run).toEqual(['running', 'canceled']);
  });

  test('a stop that waits is withdrawn by whoever wants it to run again, and the run goes on', () => {
    const again = after(preview(), stop('closed'), create(first));
    expect(again).toMatchObject({ status: 'initializing', pendingCommand: null });
    expect(runtimeAccepted(again, 1, 'r', at)!.preview.status).toBe('deploying');
  });

  test('a reopening waits while it is being stopped, and is withdrawn by a stop', () => {
    const stopping = preview({ status: 'stopping', stopCause: 'closed' });
    const reopened = after(stopping, create(second));
    expect(reopened).toMatchObject({ status: 'stopping', pendingCommand: { type: 'create' }, headSha: second });
    expect(runtimeGone(reopened, 1, at)!.preview).toMatchObject({
      status: 'initializing',
      generation: 2,
      sha: second,
      stopCause: null,
    });
    expect(runtimeGone(after(reopened, stop()), 1, at)!.preview).toMatchObject({
      status: 'stopped',
      stopCause: 'asked',
    });
  });

  test('the most recent command wins, however many there were', () => {
    const deploying = preview({ status: 'deploying' });
    expect(after(deploying, restart, stop())).toMatchObject({ status: 'stopping', pendingCommand: null });
    expect(runtimeGone(after(deploying, restart, stop()), 1, at)!.preview.status).toBe('stopped');
    expect(runtimeGone(after(deploying, stop(), restart, stop(), restart), 1, at)!.preview.status).toBe('initializing');
  });

  test('a new head waits for the run to end, whichever way, and the newest is what then runs', () => {
    const told = after(preview({ status: 'deploying', hasRuntime: true }), create(second), create(third));
    expect(told).toMatchObject({ status: 'deploying', sha: first, headSha: third, pendingCommand: null });
    const ran = reported(told, report({}), at);
    expect(ran).toMatchObject({ applied: { preview: { status: 'initializing', sha: third, generation: 2 } } });
    expect(ran).toMatchObject({ applied: { run: ['success'], begun: true, work: true } });
    expect(failed(told, 1, 'why', at)!.preview).toMatchObject({ status: 'initializing', sha: third, generation: 2 });
  });

  test('a run of its own has nothing of the one before it', () => {
    const running = preview({
      status: 'running',
      url: 'https://old.example',
      tests: 'failed',
      reportSequence: 3,
      tries: 2,
    });
    expect(after(running, restart)).toMatchObject({
      url: null,
      tests: null,
      reportSequence: 0,
      tries: 0,
      generation: 2,
    });
  });

  test('asking again for what is there changes nothing', () => {
    for (const status of ['initializing', 'deploying', 'running_tests', 'running'] as const) {
      expect(ask(preview({ status }), create(first), at)._unsafeUnwrap()).toBeNull();
    }
  });

  test('a stop is not for what is stopped or stopping', () => {
    for (const status of ['stopping', 'stopped', 'deleted'] as const) {
      expect(isStoppable(preview({ status }))).toBe(false);
      expect(ask(preview({ status }), stop(), at).isErr()).toBe(true);
    }
    expect(isStoppable(after(preview(), stop()))).toBe(false);
  });
});

describe('reports', () => {
  test('move on only the run that they are of, and only forward', () => {
    const deploying = preview({ status: 'deploying', generation: 3, reportSequence: 4 });
    expect(reported(deploying, report({ generation: 2, sequence: 9 }), at)).toEqual({ ignored: 'older_run' });
    expect(reported(deploying, report({ generation: 4, sequence: 9 }), at)).toEqual({ ignored: 'out_of_place' });
    expect(reported(deploying, report({ generation: 3, sequence: 4 }), at)).toEqual({ ignored: 'older_report' });
    expect(reported(deploying, report({ generation: 3, sequence: 5 }), at)).toHaveProperty('applied');
    expect(reported(preview({ status: 'stopping' }), report({}), at)).toEqual({ ignored: 'out_of_place' });
  });

  test('say what the address, the tests and the reason are', () => {
    const said = { url: 'https://pr-7.example.com', tests: 'passed' } as const;
    expect(reported(preview({ status: 'running_tests' }), report(said), at)).toMatchObject({
      applied: { preview: { ...said, status: 'running', reason: null }, run: ['success'] },
    });
    expect(
      reported(preview({ status: 'deploying' }), report({ status: 'error', reason: 'no memory' }), at),
    ).toMatchObject({
      applied: { preview: { status: 'error', reason: 'no memory' }, run: ['failed'] },
    });
  });

  test('may come before it is written down that the run was taken on: it has been, then', () => {
    const early = reported(preview({ hasRuntime: true }), report({}), at);
    expect(early).toMatchObject({
      applied: { preview: { status: 'running', version: 2 }, run: ['running', 'success'] },
    });
    const running = 'applied' in early ? early.applied.preview : preview();
    expect(runtimeAccepted(running, 1, 'r', at)!.preview).toMatchObject({ status: 'running', runtimeId: 'r' });
    const toStop = reported(after(preview({ hasRuntime: true }), stop()), report({}), at);
    expect(toStop).toMatchObject({ applied: { preview: { status: 'stopping', version: 3 } } });
  });
});

describe('runtimes', () => {
  test('are expected before they are asked for, once for each run', () => {
    const expected = prepared(preview(), 1, 'sealed', at)!.preview;
    expect(expected).toMatchObject({ hasRuntime: true, reportKey: 'sealed', version: 2 });
    expect(prepared(expected, 1, 'another', at)).toBeNull();
    expect(prepared(preview({ status: 'error' }), 1, 'sealed', at)).toBeNull();
    expect(prepared(preview({ generation: 2 }), 1, 'sealed', at)).toBeNull();
    expect(prepared(preview({ reportKey: 'kept' }), 1, 'another', at)!.preview.reportKey).toBe('kept');
  });

  test('that were made for a run which has ended are not wanted', () => {
    expect(wantsRuntime(preview({ hasRuntime: true }), 1)).toBe(true);
    expect(wantsRuntime(preview({ hasRuntime: true, generation: 2 }), 1)).toBe(false);
    expect(wantsRuntime(preview({ status: 'stopped' }), 1)).toBe(false);
  });

  test('a run that the branch has left behind ends before anything is made for it', () => {
    const left = overtaken(preview(), 1, second, at)!;
    expect(left).toMatchObject({
      preview: { status: 'initializing', generation: 2, sha: second },
      run: ['failed'],
      begun: true,
    });
    expect(overtaken(preview(), 1, first, at)).toBeNull();
    expect(overtaken(preview({ status: 'deploying' }), 1, second, at)).toBeNull();
  });
});

describe('forks', () => {
  const fork = preview({ fork: true, status: 'stopped', generation: 0, version: 0 });

  test('wait with each commit for somebody to approve it', () => {
    const held = hold(fork, first, at)!;
    expect(held).toMatchObject({ preview: { status: 'stopped', waitingSha: first }, begun: false, work: true });
    expect(hold(held.preview, first, at)).toBeNull();
    const approved = approve(held.preview, first, at)._unsafeUnwrap()!;
    expect(approved.preview).toMatchObject({
      status: 'initializing',
      sha: first,
      approvedSha: first,
      waitingSha: null,
    });
    expect(approve(approved.preview, second, at)._unsafeUnwrapErr()).toMatchObject({
      code: 'illegal_transition',
      change: 'approve',
    });

    const running = { ...approved.preview, status: 'running' as const };
    const heldAgain = hold(running, second, at)!;
    expect(heldAgain.preview).toMatchObject({ status: 'running', sha: first, waitingSha: second });
    expect(approve(heldAgain.preview, first, at).isErr()).toBe(true);
    expect(approve(heldAgain.preview, second, at)._unsafeUnwrap()!.preview).toMatchObject({
      sha: second,
      generation: 2,
    });
  });
});

describe('events that come late', () => {
  test('do not bring back what was closed, nor what somebody has removed', () => {
    expect(followsBranch(preview({ status: 'running' }), second)).toBe(true);
    expect(followsBranch(preview({ status: 'running' }), first)).toBe(false);
    expect(followsBranch(preview({ status: 'stopped', stopCause: 'asked' }), second)).toBe(true);
    expect(followsBranch(preview({ status: 'stopped', stopCause: 'closed' }), second)).toBe(false);
    expect(followsBranch(after(preview(), stop('closed')), second)).toBe(false);
    expect(followsBranch(preview({ status: 'deleted' }), second)).toBe(false);
  });

  test('that were missed are found by the pull requests that are open', () => {
    expect(missesEvent(preview({ status: 'stopped', stopCause: 'closed' }), first)).toBe(true);
    expect(missesEvent(preview({ status: 'stopped', stopCause: 'asked' }), first)).toBe(false);
    expect(missesEvent(preview({ status: 'running' }), second)).toBe(true);
    expect(missesEvent(preview({ status: 'deleted' }), second)).toBe(false);
  });
});

test('only what is under way is overdue', () => {
  for (const status of previewStatuses) {
    const busy = ['initializing', 'deploying', 'running_tests', 'stopping'].includes(status);
    expect(isOverdue(preview({ status, deadline: at }), later)).toBe(busy);
    expect(isOverdue(preview({ status, deadline: later }), at)).toBe(false);
  }
});

describe('any sequence of what can happen', () => {
  const sha = fc.constantFrom(first, second, third);
  type Step = (now: StoredPreview) => PreviewChange | null;
  const status = fc.constantFrom('tests_started' as const, 'running' as const, 'error' as const);
  const generation = fc.integer({ min: 0, max: 2 });
  const step = fc.oneof(
    sha.map(
      (head): Step =>
        (now) =>
          ask(now, create(head), at).unwrapOr(null),
    ),
    fc.constant<Step>((now) => ask(now, restart, at).unwrapOr(null)),
    fc.constant<Step>((now) => ask(now, stop(), at).unwrapOr(null)),
    fc.constant<Step>((now) => remove(now, at).unwrapOr(null as never)),
    fc.constant<Step>((now) => forget(now, 'note', at).unwrapOr(null as never)),
    generation.map(
      (old): Step =>
        (now) =>
          prepared(now, now.generation - old, 'key', at),
    ),
    generation.map(
      (old): Step =>
        (now) =>
          runtimeAccepted(now, now.generation - old, 'r', at),
    ),
    generation.map(
      (old): Step =>
        (now) =>
          runtimeGone(now, now.generation - old, at),
    ),
    generation.map(
      (old): Step =>
        (now) =>
          stopFailed(now, now.generation - old, 'why', at),
    ),
    generation.map(
      (old): Step =>
        (now) =>
          failed(now, now.generation - old, 'why', at),
    ),
    sha.map(
      (head): Step =>
        (now) =>
          overtaken(now, now.generation, head, at),
    ),
    fc.tuple(status, generation, fc.integer({ min: 1, max: 5 })).map(([said, old, sequence]): Step => (now) => {
      const outcome = reported(
        now,
        report({ status: said, generation: Math.max(1, now.generation - old), sequence }),
        at,
      );
      return 'applied' in outcome ? outcome.applied : null;
    }),
  );

  test('goes by the table, forgets no runtime, and never goes back', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = preview();
        for (const take of steps) {
          const change = take(now);
          if (change === null) continue;
          const next = change.preview;
          expect(next.version).toBeGreaterThan(now.version);
          expect(next.generation - now.generation).toBe(change.begun ? 1 : 0);
          const reachable = Object.values(previewLifecycle).some(
            ({ from, to }) => from.includes(now.status) && to === next.status,
          );
          if (next.status !== now.status) expect(reachable || change.run.length > 0 || change.begun).toBe(true);
          // A runtime is only forgotten when it was removed, or when a person has said so.
          if (now.hasRuntime && !next.hasRuntime) expect(['stopping', 'stop_error']).toContain(now.status);
          if (next.status === 'stopped' || next.status === 'deleted') expect(next.hasRuntime).toBe(false);
          // A settled preview runs the newest commit that it was told of, and lets nothing wait that could be done.
          if (next.status === 'running' && next.pendingCommand === null) expect(next.sha).toBe(next.headSha);
          if (next.pendingCommand !== null) {
            expect(previewLifecycle[next.pendingCommand.type].from).not.toContain(next.status);
          }
          now = next;
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
