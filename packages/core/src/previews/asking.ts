/** How something is asked of a preview: load, decide, write once, and tell a worker. */
import { again, changeOf, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf, Method } from '../errors.ts';
import { NotFound } from '../kernel/errors.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result, ResultAsync } from '../kernel/result.ts';
import type { Eventually, Scope } from '../operation.ts';
import type { Change, Loaded } from '../storage/port.ts';
import type { Preview, QueueMessage, StoredPreview } from './model.ts';
import type { PreviewFacts, PreviewWrite } from './repository.ts';
import { toPreview } from './rules.ts';
import type { PreviewChange } from './rules.ts';
import { send } from './queue.ts';
import { tell } from './story.ts';

export type Asks = Extract<Method, `previews.${'restart' | 'stop' | 'remove' | 'forget' | 'approve'}`>;

/** A command on a preview that is there. */
export function askOf<M extends Asks>(
  scope: Scope,
  called: { readonly method: M; readonly action: string; readonly target: string; readonly input: unknown },
  options: CommandOptions,
  decide: (preview: StoredPreview, at: Date) => Result<PreviewChange | null, ErrorOf<M>>,
): Promise<Result<Preview, ErrorOf<M>>> {
  const { storage } = scope.ports;
  const { target } = called;

  const attempt = ({ at, change }: Attempt, { found }: Loaded<PreviewFacts>) =>
    safeTry(async function* () {
      const facts = yield* present(found, target);
      const decided = yield* decide(facts.preview, at);
      if (decided === null) return ok(toPreview(facts.preview));
      const write = writeOf(scope, facts, decided, at, (told) =>
        change(noteOf(called.action, told), { id: target, version: told.version }),
      );
      const written = yield* storage.previews.write({ ...write, expectedVersion: facts.preview.version });
      if (!written.done) {
        if (written.refused === 'key_taken') return ok(written.record);
        return written.refused === 'not_found' ? err(new NotFound('preview', target)) : ok(again);
      }
      await send(scope, write.message);
      return ok(toPreview(write.preview));
    }) as Eventually<Preview | Again, ErrorOf<M>>;

  return command<M, Loaded<PreviewFacts>, Preview>(
    scope,
    { method: called.method, target: { type: 'preview', id: target }, options, input: [target, called.input] },
    {
      load: (keyId) => storage.previews.facts(scope.caller.org, target, keyId),
      replay: () => currentOf(scope, target) as Eventually<Preview, ErrorOf<M>>,
      attempt,
    },
  ) as Promise<Result<Preview, ErrorOf<M>>>;
}

/**
 * A change that follows from what has happened outside: what a worker did, what a runtime reported, what time has brought. Decided anew while others are quicker;
 * `null` when there was nothing to change.
 */
export function follow(
  scope: Scope,
  id: string,
  action: string,
  decide: (preview: StoredPreview, at: Date) => PreviewChange | null,
): ResultAsync<StoredPreview | null, StorageFailure> {
  const { storage, clock } = scope.ports;
  return safeTry(async function* () {
    for (let tries = 0; tries < 8; tries++) {
      const { found } = yield* storage.previews.facts(scope.caller.org, id);
      const at = new Date(clock.now().getTime());
      const decided = found === null ? null : decide(found.preview, at);
      if (found === null || decided === null) return ok(null);
      const write = writeOf(scope, found, decided, at, (told) => changeOf(scope, at, noteOf(action, told), null));
      const written = yield* storage.previews.write({ ...write, expectedVersion: found.preview.version });
      if (!written.done) continue;
      await send(scope, write.message);
      return ok(write.preview);
    }
    return ok(null);
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
  const { id: projectEnvironmentId, commandSequence: sequence } = story.preview;
  const message: QueueMessage | null = decided.work
    ? { version: 1, orgId: caller.org, projectEnvironmentId, sequence: Math.max(1, sequence) }
    : null;
  return { ...story, message, change: change(story.preview) };
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

export function present<T>(found: T | null | undefined, id: string): Result<T, NotFound> {
  return found == null ? err(new NotFound('preview', id)) : ok(found);
}
