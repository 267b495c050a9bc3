import type { StorageFailure } from '../kernel/errors.ts';
import { ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
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

/** How many builds one read of the sweep looks at. */
const batch = 100;

export function sweep(
  scope: Scope,
  { limit, dryRun }: { readonly limit: number; readonly dryRun: boolean },
): ResultAsync<readonly SweptBuild[], StorageFailure> {
  const { storage, clock } = scope.ports;
  return safeTry(async function* () {
    const swept: SweptBuild[] = [];
    let after: string | null = null;
    for (;;) {
      const now = clock.now();
      const due: readonly StoredBuild[] = yield* storage.builds.due(scope.caller.org, { now, limit: batch, after });
      for (const build of due) {
        if (!isOverdue(build, now)) continue;
        const outcome = dryRun ? 'planned' : await outcomeOf(scope, build);
        const { id: buildId, buildNumber } = build;
        swept.push({ buildId, buildNumber, action: 'fail', why: silence(build).errorMessage, outcome });
        if (swept.length >= limit) return ok(swept);
      }
      if (due.length < batch) return ok(swept);
      after = due.at(-1)!.id;
    }
  });
}

/** One build's trouble must not keep the sweep from the others: an error becomes the outcome. */
async function outcomeOf(scope: Scope, build: StoredBuild): Promise<string> {
  const failed = await failSilent(scope, build);
  if (failed.isErr()) return failed.error.code;
  return failed.value === null ? 'settled' : 'done';
}
