/** What the tests of builds begin with. */
import type { BuildMove, StoredBuild } from '../../src/builds/model.ts';
import { cancel, complete, enter, fail, newBuild, resume } from '../../src/builds/rules.ts';
import type { BuildStatus } from '../../src/builds/lifecycle.ts';
import type { Result } from '../../src/kernel/result.ts';

export const at = new Date('2026-01-01T00:00:00.000Z');
export const after = (ms: number) => new Date(at.getTime() + ms);
export const made = (id: string, ms: number) => ({ id, at: after(ms) });
export const failure = { failureType: 'provisioner', errorMessage: 'exit status 1' };

export const pending: StoredBuild = newBuild(
  { buildNumber: '1', platformId: 'platform', osVersionId: 'os', imageTypeId: 'type', heartbeatTimeoutMs: 1_000 },
  { version: 2, milestones: [{ state: 0 }, { state: 50 }, { state: 100 }] },
  { type: 'user', id: 'ada' },
  made('build', 0),
);

/** The move, where it is legal. */
export function done(result: Result<BuildMove, unknown>): BuildMove {
  return result._unsafeUnwrap();
}

export function refusal<E>(result: Result<unknown, E>): E {
  return result._unsafeUnwrapErr();
}

const entered = done(enter(pending, 50, made('first', 10))).build;

/** A build of each status, at 50 where it has been anywhere; the completed one at 100. */
export const buildThatIs: Readonly<Record<BuildStatus, StoredBuild>> = {
  pending,
  running: entered,
  failed: done(fail(entered, failure, made('failure', 20))).build,
  completed: done(complete(done(enter(entered, 100, made('second', 20))).build, 100, after(30))).build,
  canceled: done(cancel(entered, after(20))).build,
};

export { cancel, complete, enter, fail, resume };
