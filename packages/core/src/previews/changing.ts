/** How a preview changes, whoever asks: what is written with it, and who is told. */
import { changeOf } from '../command.ts';
import { NotFound, StorageFailure } from '../kernel/errors.ts';
import { notify } from '../kernel/observability.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result, ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import type { Change } from '../storage/port.ts';
import type { Preview, QueueMessage, StoredPreview } from './model.ts';
import type { PreviewFacts, PreviewWrite } from './repository.ts';
import { toPreview } from './rules.ts';
import type { PreviewChange } from './rules.ts';
import { tell } from './story.ts';
import { track } from './tracking.ts';

/** How often a change that follows from what has happened is decided anew while others are quicker. */
const attempts = 16;

/**
 * A change that follows from what has happened outside: what a worker did, what a runtime reported, what time has brought. `null` when there was nothing to
 * change.
 */
export function follow(
  scope: Scope,
  id: string,
  action: string,
  decide: (preview: StoredPreview, at: Date) => PreviewChange | null,
): ResultAsync<StoredPreview | null, StorageFailure> {
  const { storage, clock } = scope.ports;
  return safeTry(async function* () {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const { found } = yield* storage.previews.facts(scope.caller.org, id);
      const at = new Date(clock.now().getTime());
      const decided = found === null ? null : decide(found.preview, at);
      if (found === null || decided === null) return ok(null);
      const write = writeOf(scope, found, decided, at, (told) => changeOf(scope, at, noteOf(action, told), null));
      const written = yield* storage.previews.write({ ...write, ...expecting(found) });
      if (!written.done) continue;
      track(scope, found.preview, write.preview);
      await send(scope, write.message);
      return ok(write.preview);
    }
    return err(new StorageFailure(`preview ${id} keeps being changed by others`, { retryable: true, outcome: 'none' }));
  });
}

/** What is written when a preview changes. */
export function writeOf(
  { ports, caller }: Scope,
  before: Pick<PreviewFacts, 'environment' | 'run' | 'active'>,
  decided: PreviewChange,
  at: Date,
  change: (preview: StoredPreview) => Change,
): PreviewWrite {
  const by = { type: caller.type, id: caller.id };
  const story = tell(decided, before, by, { id: ports.ids.next(), at });
  const { id: projectEnvironmentId, version: sequence } = story.preview;
  const message: QueueMessage | null = decided.work
    ? { version: 1, orgId: caller.org, projectEnvironmentId, sequence }
    : null;
  return { ...story, message, change: change(story.preview) };
}

/** What a write replaces. */
export function expecting({ preview, environment }: Pick<PreviewFacts, 'preview' | 'environment'>) {
  return { expectedVersion: preview.version, previousBranch: environment.branch };
}

/**
 * Tells a worker. The message was written with the change: what cannot be sent now, or must not be because the host has not committed yet, is sent by
 * `sweep`. Answers whether somebody was told.
 */
export async function send({ ports }: Scope, message: QueueMessage | null): Promise<boolean> {
  const { storage, previews, hooks, inTransaction } = ports;
  if (message === null || previews === null || inTransaction) return false;
  const { orgId, projectEnvironmentId } = message;
  try {
    if ((await previews.dispatch(message)) === 'sent') await storage.previews.sent(orgId, message);
    return true;
  } catch (error) {
    notify(() => hooks.onPreviewFailure?.({ orgId, projectEnvironmentId, step: 'send', error }));
    return false;
  }
}

export function noteOf(action: string, preview: StoredPreview) {
  const { id, version, appId, projectId, environment, status, generation, sha, pullRequest } = preview;
  return {
    subject: { type: 'project_environment', id },
    action,
    sequence: version,
    data: { projectId, appId, environment, status, generation, sha, pullRequest },
  };
}

export function currentOf(scope: Scope, id: string): ResultAsync<Preview, NotFound | StorageFailure> {
  return scope.ports.storage.previews
    .facts(scope.caller.org, id)
    .andThen(({ found }) => present(found, id))
    .map(({ preview }) => toPreview(preview));
}

export function present<T>(found: T | null, id: string): Result<T, NotFound> {
  return found === null ? err(new NotFound('preview', id)) : ok(found);
}
