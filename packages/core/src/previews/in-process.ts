/** The queue that previews have without one: messages stay in storage until they were worked off in this process. */
import { notify } from '../kernel/observability.ts';
import type { Scope } from '../operation.ts';
import { maximumTries } from './model.ts';
import type { QueueMessage } from './model.ts';
import { work } from './worker.ts';

const [firstPauseMs, longestPauseMs] = [1_000, 60_000];

/** Works a message off behind the caller's back: again after a pause, until it was done or given up. What this process does not get to is `sweep`'s. */
export async function workBehind(scope: Scope, message: QueueMessage): Promise<void> {
  const { orgId, projectEnvironmentId } = message;
  for (let tried = 1; tried <= maximumTries; tried++) {
    const retryAfterMs = await workOff(scope, message).catch((error: unknown) => {
      notify(() => scope.ports.hooks.onPreviewFailure?.({ orgId, projectEnvironmentId, step: 'work', error }));
      return null;
    });
    if (retryAfterMs === 'done') return;
    await pause(retryAfterMs ?? Math.min(longestPauseMs, firstPauseMs * 2 ** (tried - 1)));
  }
}

/** Works a message off once. Answers `done`, or how long to wait before the next try (`null`: nobody has said). */
export async function workOff(scope: Scope, message: QueueMessage): Promise<'done' | number | null> {
  const worked = await work(scope, message);
  if (worked.isErr()) return worked.error.code === 'preview_step_failed' ? worked.error.retryAfterMs : null;
  const sent = await scope.ports.storage.previews.sent(message.orgId, message);
  return sent.isOk() ? 'done' : null;
}

/** A process that has nothing else to do need not stay for it. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
