/**
 * The worker's side: does what a preview is waiting for, step by step. Each step that leaves something outside is kept, so that a message which is delivered again goes on
 * where the last try ended; and each can be found again outside, so that one which was cut off between its effect and its record does not happen twice: the comment by its
 * marker, the runtime by its key.
 */
import { randomBytes } from 'node:crypto';

import { DataKeys } from '../keys/data-keys.ts';
import type { KeyFailure } from '../keys/data-keys.ts';
import { NotConfigured } from '../kernel/errors.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { notify } from '../kernel/observability.ts';
import { err, ok, ResultAsync, safeTry } from '../kernel/result.ts';
import { SecretText } from '../kernel/secret-text.ts';
import type { Scope } from '../operation.ts';
import { follow } from './asking.ts';
import { commentOf, markerOf } from './comment.ts';
import { PreviewStepFailed } from './errors.ts';
import { maximumTries } from './model.ts';
import type { PreviewStep, QueueMessage, StoredPreview } from './model.ts';
import type { PreviewPorts } from './ports.ts';
import type { PreviewFacts } from './repository.ts';
import { failed, runtimeAccepted, runtimeGone, stopFailed, toPreview } from './rules.ts';

export type WorkFailure = PreviewStepFailed | NotConfigured | KeyFailure;

/** What a message came to: there was nothing to do any more, or it was done. */
export type Worked = 'nothing_to_do' | 'deployed' | 'stopped' | 'failed';

/** Looks at the environment of a message, and does what it is waiting for. */
export function work(
  scope: Scope,
  { projectEnvironmentId }: Pick<QueueMessage, 'projectEnvironmentId'>,
  signal?: AbortSignal,
): ResultAsync<Worked, WorkFailure | StorageFailure> {
  const { storage, previews } = scope.ports;
  return safeTry(async function* () {
    if (previews === null) return err(withoutPorts());
    const { found } = yield* storage.previews.facts(scope.caller.org, projectEnvironmentId);
    if (found === null) return ok('nothing_to_do' as const);
    const { status, generation } = found.preview;
    if (status !== 'initializing' && status !== 'stopping') return ok('nothing_to_do' as const);

    const tries = yield* storage.previews.countTry(scope.caller.org, projectEnvironmentId, generation);
    if (tries === null) return ok('nothing_to_do' as const);
    const job = new Job(scope, previews, found, signal);
    const done = await (status === 'initializing' ? job.start() : job.stop());
    if (done.isOk()) return ok(done.value);
    if (tries < maximumTries || done.error.code === 'storage_failure') return err(done.error);
    return giveUp(scope, found.preview, done.error);
  });
}

export function withoutPorts(): NotConfigured {
  return new NotConfigured('previews', 'previews need a source control and a runtime');
}

/** The steps of one run, or of one stop. */
class Job {
  readonly #scope: Scope;
  readonly #ports: PreviewPorts;
  readonly #facts: PreviewFacts;
  readonly #signal: { readonly signal?: AbortSignal };

  constructor(scope: Scope, ports: PreviewPorts, facts: PreviewFacts, signal: AbortSignal | undefined) {
    this.#scope = scope;
    this.#ports = ports;
    this.#facts = facts;
    this.#signal = signal === undefined ? {} : { signal };
  }

  /** secrets → comment → token → runtime → deploying. */
  start(): ResultAsync<Worked, WorkFailure | StorageFailure> {
    const { preview, repo, app } = this.#facts;
    const { sourceControl, runtime } = this.#ports;
    const [scope, signal] = [this.#scope, this.#signal];
    const self = { secrets: () => this.#secrets(), comment: () => this.#comment(), key: () => this.#reportKey() };
    const step = <T>(name: string, effect: () => Promise<T>) => this.#step(name, effect);
    const keep = (name: PreviewStep['step'], result: string | null) => this.#keep(name, result);
    const done = this.#facts.steps.find((kept) => kept.step === 'runtime');

    return safeTry(async function* () {
      let runtimeId = done?.result ?? null;
      if (done === undefined) {
        const secrets = yield* self.secrets();
        const reportKey = yield* self.key();
        yield* self.comment();
        const { token } = yield* step('token', () => sourceControl.token({ repo, ...signal }));
        const made = yield* step('runtime', () =>
          runtime.create({
            key: runtimeKey(preview, preview.generation),
            orgId: scope.caller.org,
            preview: toPreview(preview),
            repo: { provider: repo.provider, fullName: repo.fullName },
            entrypoint: app.entrypoint,
            type: preview.type,
            sha: preview.sha,
            token,
            secrets,
            reportKey,
            ...signal,
          }),
        );
        runtimeId = made.runtimeId;
        yield* keep('runtime', runtimeId);
      }
      const { generation } = preview;
      const moved = yield* follow(scope, preview.id, 'preview.deploying', (now, at) =>
        runtimeAccepted(now, generation, runtimeId, at),
      );
      return ok(moved === null ? ('nothing_to_do' as const) : ('deployed' as const));
    });
  }

  /** runtime → stopped → comment. Every run may have left a runtime: all of them go. */
  stop(): ResultAsync<Worked, WorkFailure | StorageFailure> {
    const { preview } = this.#facts;
    const [scope, ports, signal] = [this.#scope, this.#ports, this.#signal];
    const step = <T>(name: string, effect: () => Promise<T>) => this.#step(name, effect);
    const keys = Array.from({ length: preview.generation }, (_, i) => runtimeKey(preview, i + 1)).slice(-10);
    return safeTry(async function* () {
      const { runtimeId, generation } = preview;
      const request = { orgId: scope.caller.org, keys, runtimeId, ...signal };
      yield* step('removal', () => ports.runtime.remove(request));
      const moved = yield* follow(scope, preview.id, 'preview.stopped', (now, at) => runtimeGone(now, generation, at));
      if (moved !== null) await tellPeople(scope, preview.id);
      return ok(moved === null ? ('nothing_to_do' as const) : ('stopped' as const));
    });
  }

  /** The app's secrets for the type of this environment. Code from a fork gets none, unless a person has approved it. */
  #secrets(): ResultAsync<Readonly<Record<string, SecretText>>, KeyFailure> {
    const { preview } = this.#facts;
    const { ports, caller } = this.#scope;
    return safeTry(async function* () {
      if (preview.fork && preview.approvedSha !== preview.sha) return ok({});
      const stored = yield* ports.storage.previews.secrets(caller.org, { appId: preview.appId, type: preview.type });
      const sealed = stored.map(({ appId, type, name, sealVersion, sealed: text }) => ({
        place: { ownerId: appId, name: `${type}/${name}`, sealVersion },
        sealed: text,
      }));
      const scope = { type: 'app', id: preview.appId } as const;
      const opened = yield* new DataKeys(ports, ports.storage.dataKeys, caller.org).openAll(scope, sealed);
      return ok(Object.fromEntries(stored.map(({ name }, index) => [name, new SecretText(opened[index]!)])));
    });
  }

  /** The key that this run signs its reports with: made once, sealed, and the same for every try. */
  #reportKey(): ResultAsync<SecretText, KeyFailure> {
    const { preview } = this.#facts;
    const [scope] = [this.#scope];
    return safeTry(async function* () {
      const kept = yield* openReportKey(scope, preview);
      if (kept !== null) return ok(new SecretText(kept));
      const made = randomBytes(32).toString('base64url');
      const place = { ownerId: preview.id, name: 'report', sealVersion: preview.generation };
      const seal = yield* new DataKeys(scope.ports, scope.ports.storage.dataKeys, scope.caller.org).sealer({
        type: 'app',
        id: preview.appId,
      });
      const set = yield* scope.ports.storage.previews.keepReportKey(
        scope.caller.org,
        { id: preview.id, generation: preview.generation },
        seal(place, made),
      );
      return ok(
        new SecretText(set === null ? made : ((yield* openReportKey(scope, { ...preview, reportKey: set })) ?? made)),
      );
    });
  }

  #comment(): ResultAsync<void, WorkFailure | StorageFailure> {
    const { preview, repo, app } = this.#facts;
    const { pullRequest } = preview;
    if (pullRequest === null) return new ResultAsync(Promise.resolve(ok(undefined)));
    const keep = (result: string) => this.#keep('comment', result);
    return this.#step('comment', () =>
      this.#ports.sourceControl.comment({
        repo,
        pullRequest,
        commentId: preview.commentId,
        marker: markerOf(preview),
        body: commentOf(preview, app.name),
        ...this.#signal,
      }),
    ).andThen(({ commentId }) => keep(commentId));
  }

  #keep(step: PreviewStep['step'], result: string | null): ResultAsync<void, StorageFailure> {
    const { storage, clock } = this.#scope.ports;
    const { id: projectEnvironmentId, generation } = this.#facts.preview;
    const at = new Date(clock.now().getTime());
    return storage.previews
      .keepStep(this.#scope.caller.org, { projectEnvironmentId, generation, step, at, result })
      .map(() => undefined);
  }

  #step<T>(step: string, effect: () => Promise<T>): ResultAsync<T, PreviewStepFailed> {
    return ResultAsync.fromPromise(attempt(effect), (error) => {
      const { id: projectEnvironmentId } = this.#facts.preview;
      const { ports, caller } = this.#scope;
      notify(() => ports.hooks.onPreviewFailure?.({ orgId: caller.org, projectEnvironmentId, step, error }));
      const wait = (error as { retryAfterMs?: unknown } | null)?.retryAfterMs;
      return new PreviewStepFailed(step, typeof wait === 'number' && wait >= 0 ? wait : null);
    });
  }
}

/** A port that throws instead of rejecting rejects. */
async function attempt<T>(effect: () => Promise<T>): Promise<T> {
  return effect();
}

/** The steps have been tried often enough. */
function giveUp(scope: Scope, preview: StoredPreview, error: WorkFailure): ResultAsync<Worked, StorageFailure> {
  const { generation, id } = preview;
  const step = error.code === 'preview_step_failed' ? error.step : error.code;
  const reason = `the step ${step} did not succeed in ${maximumTries} tries`;
  return safeTry(async function* () {
    yield* follow(
      scope,
      id,
      'preview.given_up',
      (now, at) => failed(now, generation, reason, at) ?? stopFailed(now, generation, reason, at),
    );
    await tellPeople(scope, id);
    return ok('failed' as const);
  });
}

/** Brings the comment up to date with where the preview is now. Nobody waits for it: the next change tells again. */
export async function tellPeople(scope: Scope, id: string): Promise<void> {
  const { storage, previews, hooks } = scope.ports;
  const loaded = await storage.previews.facts(scope.caller.org, id);
  const found = loaded.isOk() ? loaded.value.found : null;
  if (found === null || previews === null || found.preview.pullRequest === null) return;
  const { preview, repo, app } = found;
  try {
    const { commentId } = await previews.sourceControl.comment({
      repo,
      pullRequest: found.preview.pullRequest,
      commentId: preview.commentId,
      marker: markerOf(preview),
      body: commentOf(preview, app.name),
    });
    if (commentId !== preview.commentId) {
      const at = new Date(scope.ports.clock.now().getTime());
      const { id: projectEnvironmentId, generation } = preview;
      await storage.previews.keepStep(scope.caller.org, {
        projectEnvironmentId,
        generation,
        step: 'comment',
        at,
        result: commentId,
      });
    }
  } catch (error) {
    notify(() =>
      hooks.onPreviewFailure?.({ orgId: scope.caller.org, projectEnvironmentId: id, step: 'comment', error }),
    );
  }
}

/** The key that the current run's reports are signed with; `null` while there is none. */
export function openReportKey(
  { ports, caller }: Scope,
  { id: ownerId, appId, generation: sealVersion, reportKey }: StoredPreview,
): ResultAsync<string | null, KeyFailure> {
  if (reportKey === null) return new ResultAsync(Promise.resolve(ok(null)));
  return new DataKeys(ports, ports.storage.dataKeys, caller.org)
    .openAll({ type: 'app', id: appId }, [{ place: { ownerId, name: 'report', sealVersion }, sealed: reportKey }])
    .map(([key]) => key ?? null);
}

/** What a runtime is found again by: one for each run. */
export function runtimeKey({ id }: Pick<StoredPreview, 'id'>, generation: number): string {
  return `${id}-${generation}`;
}
