/** How a preview is asked for: by a person, by an event, by reconciling. It may be there or not. */
import { again, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf } from '../errors.ts';
import { NotFound } from '../kernel/errors.ts';
import type { IllegalTransition } from '../kernel/errors.ts';
import type { CommandOptions, KeyRecord } from '../kernel/idempotency.ts';
import { err, ok, ResultAsync, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import type { Eventually, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { currentOf, expecting, noteOf, send, writeOf } from './changing.ts';
import { ForkNotAllowed, ManagedElsewhere } from './errors.ts';
import type { PreviewStepFailed } from './errors.ts';
import { environmentNameOf, notYet, trackedBy } from './first.ts';
import type { ParsedPreviewCommand, Preview, StoredPreview } from './model.ts';
import type { ForkPolicy, ReadyPreviews } from './ports.ts';
import type { AskFacts } from './repository.ts';
import { ask, hold, toPreview } from './rules.ts';
import type { PreviewChange } from './rules.ts';
import { environmentOf } from './story.ts';
import { track } from './tracking.ts';
import { failureOf } from './worker.ts';

/** What creating a preview can answer with instead. */
export type CreateFailure = ErrorOf<'previews.create'>;

type Facts = AskFacts & Pick<Loaded<never>, 'key'>;

/** authenticate → record → track → enqueue (seed 002). */
export function create(
  scope: Scope,
  ports: ReadyPreviews,
  wanted: ParsedPreviewCommand,
  options: CommandOptions,
): ResultAsync<Preview, CreateFailure> {
  const { storage, ids } = scope.ports;
  const environment = environmentNameOf(wanted);
  let authenticated = false;

  const attempt = ({ at, change }: Attempt, facts: Facts) =>
    safeTry(async function* () {
      const { app, repo } = facts;
      if (app === null || repo === null) return err(new NotFound('app', wanted.appId));
      if (facts.environment !== null && facts.preview === null) return err(new ManagedElsewhere(environment));
      const known = facts.preview ?? notYet(app, repo, wanted, { id: ids.next(), at });
      const tracked = trackedBy(wanted, repo);
      if (tracked.fork && ports.forks === 'ignore') return err(new ForkNotAllowed(tracked.headRepo));
      if (!authenticated) yield* await authenticate(scope, ports, known.id, repo);
      authenticated = true;

      const now = { ...known, ...tracked, pullRequest: wanted.pullRequest ?? known.pullRequest };
      const decided = yield* decide(now, wanted.sha, ports.forks, at);
      if (decided === null) return ok(toPreview(known));

      const before = {
        environment: facts.environment ?? environmentOf(now, at),
        run: facts.run,
        active: facts.active,
      };
      const write = writeOf(scope, before, decided, at, (preview) =>
        change(noteOf(facts.preview === null ? 'preview.created' : 'preview.asked_for', preview), { id: preview.id }),
      );
      const written = yield* facts.preview === null
        ? storage.previews.create(write)
        : storage.previews.write({ ...write, ...expecting({ preview: known, environment: before.environment }) });
      if (!written.done) return ok(written.refused === 'key_taken' ? written.record : again);
      track(scope, known, write.preview);
      await send(scope, write.message);
      return ok(toPreview(write.preview));
    }) as Eventually<Preview | Again | KeyRecord, CreateFailure>;

  const created = command<'previews.create', Facts, Preview>(
    scope,
    { method: 'previews.create', target: { type: 'preview', id: environment }, options, input: wanted },
    {
      load: (keyId) => storage.previews.askFacts(scope.caller.org, { appId: wanted.appId, environment }, keyId),
      replay: (kept) => currentOf(scope, kept['id'] as string),
      attempt,
    },
  );
  return new ResultAsync(created);
}

/** Untrusted code runs by the host's rule for forks. */
function decide(
  preview: StoredPreview,
  sha: string,
  forks: ForkPolicy,
  at: Date,
): Result<PreviewChange | null, IllegalTransition> {
  const needsApproval = preview.fork && forks === 'approve' && preview.approvedSha !== sha;
  return needsApproval ? ok(hold(preview, sha, at)) : ask(preview, { type: 'create', sha, cause: null }, at);
}

async function authenticate(
  scope: Scope,
  { sourceControl }: ReadyPreviews,
  previewId: string,
  { provider, fullName }: { readonly provider: string; readonly fullName: string },
): Promise<Result<void, PreviewStepFailed>> {
  try {
    await sourceControl.authenticate({ repo: { provider, fullName } });
    return ok(undefined);
  } catch (error) {
    return err(failureOf(scope, previewId, 'authenticate', error));
  }
}
