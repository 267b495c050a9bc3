/** How workers are told that there is something to do: the message was written with the change; here it is sent, and forgotten once it was. */
import { notify } from '../kernel/observability.ts';
import { system } from '../kernel/actor.ts';
import type { Scope } from '../operation.ts';
import type { QueueMessage } from './model.ts';
import { work } from './worker.ts';

/**
 * Sends a message, or, without a queue, does the work in this process, behind the caller's back. What cannot be sent now is sent by `sweep`: it is kept in storage
 * until then.
 */
export async function send(scope: Scope, message: QueueMessage | null): Promise<void> {
  if (message === null) return;
  const { storage, previews, hooks } = scope.ports;
  const { orgId, projectEnvironmentId } = message;
  if (previews?.queue === undefined) {
    void Promise.resolve().then(() => work(system(scope), message));
    return;
  }
  try {
    await previews.queue.send(message);
    await storage.previews.sent(orgId, message);
  } catch (error) {
    notify(() => hooks.onPreviewFailure?.({ orgId, projectEnvironmentId, step: 'send', error }));
  }
}
