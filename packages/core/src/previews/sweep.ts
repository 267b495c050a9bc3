import { ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import type { Scope } from '../operation.ts';
import { sweepThrough } from '../sweeping.ts';
import { follow, send } from './changing.ts';
import { workOff } from './in-process.ts';
import { isOverdue } from './model.ts';
import type { QueueMessage, StoredPreview } from './model.ts';
import { ask, failed, isStoppable, stopFailed } from './rules.ts';

/** What `sweep` did to one preview, or would do, and why. */
export interface SweptPreview {
  readonly projectEnvironmentId: string;
  /** `give_up`: what was under way took too long; `stop`: it is past its age; `send`: a worker had not been told. */
  readonly action: 'give_up' | 'stop' | 'send';
  readonly why: string;
  /** `done`; `planned` in a dry run; `settled` when that was not needed any more; `not_sent` where the queue did not take it, or the host has not committed; or the code of an error. */
  readonly outcome: string;
}

/** How many deliveries one sweep forgets at the most. */
const deliveriesAtOnce = 1_000;

export function sweep(
  scope: Scope,
  {
    olderThanMs,
    limit,
    dryRun,
  }: { readonly olderThanMs?: number | undefined; readonly limit: number; readonly dryRun: boolean },
): ResultAsync<readonly SweptPreview[], StorageFailure> {
  const { storage, clock } = scope.ports;
  const { org } = scope.caller;
  const now = clock.now();
  const askedBy = olderThanMs === undefined ? null : new Date(now.getTime() - olderThanMs);
  return safeTry(async function* () {
    const late = yield* sweepThrough(
      limit,
      (request) => storage.previews.due(org, { now, askedBy, ...request }),
      (preview) => preview.id,
      (preview) => moveOn(scope, preview, { now, askedBy, dryRun }),
    );
    const left = limit - late.length;
    const told =
      left === 0
        ? []
        : yield* sweepThrough(
            left,
            (request) => storage.previews.unsent(org, request),
            (message) => message.projectEnvironmentId,
            (message) => tell(scope, message, dryRun),
          );
    if (!dryRun) yield* storage.previews.pruneDeliveries(org, { now, limit: deliveriesAtOnce });
    return ok([...late, ...told]);
  });
}

async function moveOn(
  scope: Scope,
  preview: StoredPreview,
  { now, askedBy, dryRun }: { readonly now: Date; readonly askedBy: Date | null; readonly dryRun: boolean },
): Promise<SweptPreview | null> {
  const { id: projectEnvironmentId, generation, status, deadline, requestedAt } = preview;
  if (isOverdue(preview, now)) {
    const why = `${status} did not end by ${deadline!.toISOString()}`;
    const outcome = dryRun
      ? 'planned'
      : await outcomeOf(
          follow(scope, projectEnvironmentId, 'preview.timed_out', (then, at) => {
            if (!isOverdue(then, at)) return null;
            return failed(then, generation, why, at) ?? stopFailed(then, generation, why, at);
          }),
        );
    return { projectEnvironmentId, action: 'give_up', why, outcome };
  }
  if (askedBy === null || requestedAt > askedBy || preview.type === 'production' || !isStoppable(preview)) return null;
  const why = `it was last asked for on ${requestedAt.toISOString()}`;
  const outcome = dryRun
    ? 'planned'
    : await outcomeOf(
        follow(scope, projectEnvironmentId, 'preview.asked_to_stop', (then, at) =>
          then.requestedAt > askedBy ? null : ask(then, { type: 'stop', sha: null, cause: 'aged' }, at).unwrapOr(null),
        ),
      );
  return { projectEnvironmentId, action: 'stop', why, outcome };
}

async function tell(scope: Scope, message: QueueMessage, dryRun: boolean): Promise<SweptPreview | null> {
  const { projectEnvironmentId } = message;
  const { previews } = scope.ports;
  const swept = { projectEnvironmentId, action: 'send', why: 'a worker was not told, or has not finished' } as const;
  if (dryRun) return { ...swept, outcome: 'planned' };
  if (previews === null) return { ...swept, outcome: 'not_configured' };
  // Nothing is done outside before the host has committed, no more than anything is sent.
  if (previews.queue !== undefined || scope.ports.inTransaction) {
    return { ...swept, outcome: (await send(scope, message)) ? 'done' : 'not_sent' };
  }
  return { ...swept, outcome: (await workOff(scope, message)) === 'done' ? 'done' : 'preview_step_failed' };
}

async function outcomeOf(followed: ResultAsync<StoredPreview | null, StorageFailure>): Promise<string> {
  return followed.match(
    (moved) => (moved === null ? 'settled' : 'done'),
    ({ code }) => code,
  );
}
