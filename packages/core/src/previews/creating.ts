/** How a preview is asked for: by a person, by an event, by reconciling. It may be there or not. */
import { again, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import { NotFound } from '../kernel/errors.ts';
import type { IdempotencyMismatch, IllegalTransition, StaleVersion, StorageFailure } from '../kernel/errors.ts';
import type { CommandOptions, KeyRecord } from '../kernel/idempotency.ts';
import { err, ok, ResultAsync, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { currentOf, noteOf, writeOf } from './asking.ts';
import { ForkNotAllowed, ManagedElsewhere, PreviewStepFailed } from './errors.ts';
import { environmentNameOf, notYet } from './first.ts';
import type { ParsedPreviewCommand, Preview, StoredPreview } from './model.ts';
import type { ForkPolicy, PreviewPorts } from './ports.ts';
import { send } from './queue.ts';
import type { AskFacts } from './repository.ts';
import { ask, hold, toPreview } from './rules.ts';
import type { PreviewChange } from './rules.ts';
import { environmentOf } from './story.ts';
import { notify } from '../kernel/observability.ts';

export type CreateFailure =
  | NotFound
  | ForkNotAllowed
  | ManagedElsewhere
  | PreviewStepFailed
  | IllegalTransition
  | IdempotencyMismatch
  | StaleVersion
  | StorageFailure;

type Facts = AskFacts & Pick<Loaded<never>, 'key'>;

/** authenticate → record → track → enqueue (seed 002). */
export function create(
  scope: Scope,
  ports: PreviewPorts,
  wanted: ParsedPreviewCommand,
  options: CommandOptions,
): ResultAsync<Preview, CreateFailure> {
  const { storage, ids } = scope.ports;
  const environment = environmentNameOf(wanted);
  let told: StoredPreview | null = null;

  const attempt = ({ at, change }: Attempt, facts: Facts) =>
    safeTry(async function* () {
      const { app, repo } = facts;
      if (app === null || repo === null) return err(new NotFound('app', wanted.appId));
      if (facts.environment !== null && facts.preview === null) return err(new ManagedElsewhere(environment));
      yield* await authenticated(scope, ports, repo);

      const before = facts.preview ?? notYet(app, repo, wanted, { id: ids.next(), at });
      const known = { ...before, branch: wanted.branch, pullRequest: wanted.pullRequest ?? before.pullRequest };
      const decided = yield* decide(known, wanted.sha, ports.forks ?? 'ignore', at);
      if (decided === null) return ok(toPreview(before));

      const around = { environment: facts.environment ?? environmentOf(before, at), run: facts.run, active: facts.active };
      const write = writeOf(scope, around, decided, at, (preview) =>
        change(noteOf(facts.preview === null ? 'preview.created' : 'preview.asked', preview), { id: preview.id }),
      );
      const written = yield* facts.preview === null
        ? storage.previews.create({ ...write, expectedVersion: facts.environment?.version ?? null })
        : storage.previews.write({ ...write, expectedVersion: before.version });
      if (!written.done) return ok(written.refused === 'key_taken' ? written.record : again);
      told = write.preview;
      await send(scope, write.message);
      return ok(toPreview(write.preview));
    }) as ResultAsync<Preview | Again | KeyRecord, CreateFailure>;

  const asked = command<'previews.create', Facts, Preview>(
    scope,
    { method: 'previews.create', target: { type: 'preview', id: environment }, options, input: wanted },
    {
      load: (keyId) => storage.previews.askFacts(scope.caller.org, { appId: wanted.appId, environment }, keyId),
      replay: (kept) => currentOf(scope, kept['id'] as string) as never,
      attempt: attempt as never,
    },
  ) as Promise<Result<Preview, CreateFailure>>;
  return new ResultAsync(asked).andTee(() => {
    if (told !== null) track(scope, ports, told);
  });
}

/** Untrusted code runs by the host's rule for forks. */
function decide(
  preview: StoredPreview,
  sha: string,
  forks: ForkPolicy,
  at: Date,
): Result<PreviewChange | null, ForkNotAllowed | IllegalTransition> {
  if (!preview.fork || forks === 'without_secrets' || preview.approvedSha === sha) {
    return ask(preview, { type: 'create', sha }, at);
  }
  return forks === 'ignore' ? err(new ForkNotAllowed(forks)) : ok(hold(preview, sha, at));
}

async function authenticated(
  { ports, caller }: Scope,
  { sourceControl }: PreviewPorts,
  repo: { readonly provider: string; readonly fullName: string },
): Promise<Result<void, PreviewStepFailed>> {
  try {
    await sourceControl.authenticate({ repo: { provider: repo.provider, fullName: repo.fullName } });
    return ok(undefined);
  } catch (error) {
    notify(() => ports.hooks.onPreviewFailure?.({ orgId: caller.org, projectEnvironmentId: '', step: 'authenticate', error }));
    return err(new PreviewStepFailed('authenticate', null));
  }
}

function track({ caller }: Scope, { analytics }: PreviewPorts, preview: StoredPreview): void {
  const { id, appId, type, environment, generation, requestedAt } = preview;
  void analytics
    ?.track({
      name: 'environment_created',
      orgId: caller.org,
      actor: { type: caller.type, id: caller.id },
      properties: { environmentId: id, appId, type, environment, generation },
      messageId: `${id}-${generation}`,
      at: requestedAt,
    })
    .catch(() => undefined);
}
