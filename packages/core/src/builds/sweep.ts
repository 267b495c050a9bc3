import type { StorageFailure } from '../kernel/errors.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import { sweepThrough } from '../sweeping.ts';
import type { StoredBuild } from './model.ts';
import { failSilent, silence } from './moving.ts';
import { isOverdue } from './rules.ts';

/** What `sweep` did to one build, or would do, and why. */
export interface SweptBuild {
  readonly buildId: string;
  readonly buildNumber: string;
  readonly action: 'fail';
  readonly why: string;
  /** `done`; `planned` in a dry run; `settled` when the build had shown itself or ended in between; or the code of an error. */
  readonly outcome: string;
}

export function sweep(
  scope: Scope,
  { limit, dryRun }: { readonly limit: number; readonly dryRun: boolean },
): ResultAsync<readonly SweptBuild[], StorageFailure> {
  const { storage, clock } = scope.ports;
  return sweepThrough(
    limit,
    (request) => storage.builds.due(scope.caller.org, { now: clock.now(), ...request }),
    ({ id }) => id,
    async (build) => {
      if (!isOverdue(build, clock.now())) return null;
      const outcome = dryRun ? 'planned' : await outcomeOf(scope, build);
      const { id: buildId, buildNumber } = build;
      return { buildId, buildNumber, action: 'fail', why: silence(build).errorMessage, outcome };
    },
  );
}

async function outcomeOf(scope: Scope, build: StoredBuild): Promise<string> {
  const failed = await failSilent(scope, build);
  if (failed.isErr()) return failed.error.code;
  return failed.value === null ? 'settled' : 'done';
}
