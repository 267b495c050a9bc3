/** How a build is moved: load, decide, write once. Every command that changes a build's state or status goes through here. */
import { again, changeOf, checkVersion, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf, Method } from '../errors.ts';
import { NotFound } from '../kernel/errors.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result, ResultAsync } from '../kernel/result.ts';
import type { Eventually, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import type { Build, BuildMove, StoredBuild } from './model.ts';
import { fail, isOverdue, toBuild } from './rules.ts';

export type Moves = Extract<Method, `builds.${'cancel' | 'resume' | `states.${string}`}`>;

export function move<M extends Moves>(
  scope: Scope,
  called: { readonly method: M; readonly action: string; readonly target: string; readonly input: unknown },
  options: CommandOptions,
  decide: (build: StoredBuild, made: { readonly id: string; readonly at: Date }) => Result<BuildMove, ErrorOf<M>>,
): Promise<Result<Build, ErrorOf<M>>> {
  const { storage, ids } = scope.ports;
  const { target } = called;

  const attempt = ({ at, change }: Attempt, { found }: Loaded<StoredBuild>) =>
    safeTry(async function* () {
      const before = yield* present(found, target);
      yield* checkVersion('build', before, options.expectedVersion);
      const moved = yield* decide(before, { id: ids.next(), at });
      const written = yield* storage.builds.move({
        ...moved,
        expectedVersion: before.version,
        change: change(noteOf(called.action, moved), { id: target, version: moved.build.version }),
      });
      if (written.done) return ok(toBuild(moved.build));
      switch (written.refused) {
        case 'key_taken':
          return ok(written.record);
        case 'not_found':
          return err(new NotFound('build', target));
        case 'stale':
          return ok(again);
      }
    }) as Eventually<Build | Again, ErrorOf<M>>;

  return command<M, Loaded<StoredBuild>, Build>(
    scope,
    { method: called.method, target: { type: 'build', id: target }, options, input: [target, called.input] },
    {
      load: (keyId) => storage.builds.get(scope.caller.org, target, keyId),
      replay: (_kept, facts) => current(scope, target, facts) as Eventually<Build, ErrorOf<M>>,
      attempt,
    },
  ) as Promise<Result<Build, ErrorOf<M>>>;
}

/** The build as it is now: what a replayed command answers. */
export function current(
  scope: Scope,
  target: string,
  facts: Loaded<StoredBuild> | null,
): Eventually<Build, NotFound | StorageFailure> {
  if (facts !== null) return Promise.resolve(present(facts.found, target).map(toBuild));
  return scope.ports.storage.builds
    .get(scope.caller.org, target)
    .andThen(({ found }) => present(found, target))
    .map(toBuild);
}

/**
 * Fails a build that has been silent for too long, unless it has shown itself in between. Answers whether it did: `null` when there was nothing to
 * do any more.
 */
export function failSilent(scope: Scope, found: StoredBuild): ResultAsync<Build | null, StorageFailure> {
  const { storage, clock, ids } = scope.ports;
  return safeTry(async function* () {
    const at = new Date(clock.now().getTime());
    const { found: build } = yield* storage.builds.get(scope.caller.org, found.id);
    if (build === null || !isOverdue(build, at)) return ok(null);
    const failed = fail(build, silence(build), { id: ids.next(), at });
    if (failed.isErr()) return ok(null);
    const written = yield* storage.builds.move({
      ...failed.value,
      expectedVersion: build.version,
      silentSince: build.heartbeatAt,
      change: changeOf(scope, at, noteOf('build.failed', failed.value), null),
    });
    return ok(written.done ? toBuild(failed.value.build) : null);
  });
}

/** The failure of a build that has been silent. */
export function silence({ heartbeatAt, heartbeatTimeoutMs }: StoredBuild) {
  const since = heartbeatAt?.toISOString() ?? 'its start';
  return {
    failureType: 'heartbeat_missed',
    errorMessage: `no sign of life since ${since}, for more than ${heartbeatTimeoutMs} ms`,
  };
}

function noteOf(action: string, { build, failure }: BuildMove) {
  const { buildNumber, currentState: state, status, retryCount } = build;
  const { failureType = null, component = null } = failure ?? {};
  return {
    subject: { type: 'build', id: build.id },
    action,
    sequence: build.version,
    data: { buildNumber, state, status, retryCount, ...(failure !== null && { failureType, component }) },
  };
}

export function present<T>(found: T | null | undefined, buildId: string): Result<T, NotFound> {
  return found == null ? err(new NotFound('build', buildId)) : ok(found);
}
