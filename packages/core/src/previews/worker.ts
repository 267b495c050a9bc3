/**
 * The worker's side: does what a preview is waiting for, step by step. Each step that leaves something outside is kept, so that a message which is delivered again goes on
 * where the last try ended; and each can be found again outside, so that one which was cut off between its effect and its record does not happen twice: the comment by its
 * marker, the runtime by its key.
 */
import { randomBytes } from 'node:crypto';

import { DataKeys } from '../keys/data-keys.ts';
import type { KeyFailure } from '../keys/data-keys.ts';
import { NotConfigured, StorageFailure } from '../kernel/errors.ts';
import { notify } from '../kernel/observability.ts';
import { err, ok, okAsync, ResultAsync, safeTry } from '../kernel/result.ts';
import { SecretText } from '../kernel/secret-text.ts';
import type { Scope } from '../operation.ts';
import { follow } from './changing.ts';
import { commentOf, markerOf } from './comment.ts';
import { PreviewStepFailed } from './errors.ts';
import { maximumTries } from './model.ts';
import type { PreviewStep, QueueMessage, StoredPreview } from './model.ts';
import type { ReadyPreviews } from './ports.ts';
import { keyOfRun } from './reports.ts';
import type { PreviewFacts } from './repository.ts';
import {
  failed,
  overtaken,
  prepared,
  runtimeAccepted,
  runtimeGone,
  stopFailed,
  toPreview,
  wantsRuntime,
} from './rules.ts';
import { sealedSecretOf } from './secrets.ts';

export type WorkFailure = PreviewStepFailed | NotConfigured | KeyFailure;

/** What a message came to: `idle` when there was nothing to do, or not any more; `told` when only its comment was brought up to date. */
export type Worked = 'idle' | 'told' | 'deploying' | 'overtaken' | 'stopped' | 'given_up';

/** Looks at the environment of a message, and does what it is waiting for. */
export function work(
  scope: Scope,
  { projectEnvironmentId }: Pick<QueueMessage, 'projectEnvironmentId'>,
  signal?: AbortSignal,
): ResultAsync<Worked, WorkFailure | StorageFailure> {
  const { storage, previews } = scope.ports;
  return safeTry(async function* () {
    if (previews === null) return err(withoutPorts());
    let looked: { readonly found: PreviewFacts; readonly tries: number } | null = null;
    for (let look = 0; looked === null; look++) {
      if (look === attempts) return err(overtakenAgain(projectEnvironmentId));
      const { found } = yield* storage.previews.facts(scope.caller.org, projectEnvironmentId);
      if (found === null) return ok('idle' as const);
      const tries = yield* storage.previews.countTry(scope.caller.org, projectEnvironmentId, found.preview.version);
      // Somebody was quicker, perhaps with what no worker is told of: a command that waits, a head that is new.
      if (tries !== null) looked = { found, tries };
    }
    const { found, tries } = looked;
    const { status, generation } = found.preview;
    const job = new Job(scope, previews, found, signal);
    const done = await (status === 'initializing' ? job.run() : status === 'stopping' ? job.stop() : job.tell());
    if (done.isOk()) return ok(done.value);
    const { error } = done;
    if (signal?.aborted === true || error.code === 'storage_failure') return err(error);
    const isHopeless = error.code === 'preview_step_failed' && error.refused;
    if (tries < maximumTries && !isHopeless) return err(error);

    const reason = `${error.message}${isHopeless ? '' : `, in ${maximumTries} tries`}`.slice(0, 1_000);
    yield* follow(
      scope,
      projectEnvironmentId,
      'preview.given_up',
      (now, at) => failed(now, generation, reason, at) ?? stopFailed(now, generation, reason, at),
    );
    return ok('given_up' as const);
  });
}

/** How often a worker looks anew while others are quicker: then the message has to come again. */
const attempts = 16;

function overtakenAgain(id: string): StorageFailure {
  return new StorageFailure(`preview ${id} keeps being changed by others`, { retryable: true, outcome: 'none' });
}

export function withoutPorts(): NotConfigured {
  return new NotConfigured('previews', 'previews need a source control and a runtime');
}

/** What a runtime is found again by: one for each run. */
export function runtimeKey({ id }: Pick<StoredPreview, 'id'>, generation: number): string {
  return `${id}-${generation}`;
}

/** What the keys of the runs are derived from, which reports are signed with; `null` before the first run. */
export function openReportKey(
  { ports, caller }: Scope,
  { id, appId, reportKey }: StoredPreview,
): ResultAsync<string | null, KeyFailure> {
  if (reportKey === null) return okAsync(null);
  return new DataKeys(ports, ports.storage.dataKeys, caller.org)
    .openAll({ type: 'app', id: appId }, [{ place: reportKeyPlace(id), sealed: reportKey }])
    .map(([key]) => key ?? null);
}

const reportKeyPlace = (ownerId: string) => ({ ownerId, name: 'report', sealVersion: 1 });

/** More runs than these are not looked for when runtimes are removed: a runtime survives its run only when a person has restarted one that could not be removed. */
const runtimesKept = 20;

/** The runs up to this one, oldest first. */
function runs(newest: number): readonly number[] {
  const first = Math.max(1, newest - runtimesKept + 1);
  return Array.from({ length: newest - first + 1 }, (_, index) => first + index);
}

/** How often the comment is written while the preview moves on: whoever moves it on tells, too. */
const looks = 3;

/** The steps of one run, or of one stop. */
class Job {
  readonly #scope: Scope;
  readonly #ports: ReadyPreviews;
  readonly #facts: PreviewFacts;
  readonly #signal: { readonly signal?: AbortSignal };

  constructor(scope: Scope, ports: ReadyPreviews, facts: PreviewFacts, signal: AbortSignal | undefined) {
    this.#scope = scope;
    this.#ports = ports;
    this.#facts = facts;
    this.#signal = signal === undefined ? {} : { signal };
  }

  /** head → secrets → comment → runtimes before → token → runtime → deploying. */
  run(): ResultAsync<Worked, WorkFailure | StorageFailure> {
    const { preview } = this.#facts;
    const { id, generation } = preview;
    const kept = this.#kept('runtime');
    const [scope, head, create] = [this.#scope, () => this.#head(), () => this.#runtime()];
    const remove = (runtimeId: string | null) => this.#remove([generation], runtimeId);
    return safeTry(async function* () {
      if (kept === null) {
        const newest = yield* head();
        if (newest !== null && newest !== preview.sha) {
          yield* follow(scope, id, 'preview.overtaken', (now, at) => overtaken(now, generation, newest, at));
          return ok('overtaken' as const);
        }
      }
      const { result: runtimeId } = kept ?? (yield* create());
      yield* follow(scope, id, 'preview.deploying', (now, at) => runtimeAccepted(now, generation, runtimeId, at));
      // The run may have ended while the runtime was made, and whoever removed what there was came too early.
      const { found } = yield* scope.ports.storage.previews.facts(scope.caller.org, id);
      if (found === null || !wantsRuntime(found.preview, generation)) {
        yield* remove(runtimeId);
        return ok('overtaken' as const);
      }
      return ok('deploying' as const);
    });
  }

  /** runtimes → stopped. Every run may have left one: all of them go. */
  stop(): ResultAsync<Worked, WorkFailure | StorageFailure> {
    const { id, generation } = this.#facts.preview;
    const [scope, remove] = [this.#scope, () => this.#remove(runs(generation), this.#facts.preview.runtimeId)];
    return safeTry(async function* () {
      yield* remove();
      yield* follow(scope, id, 'preview.stopped', (now, at) => runtimeGone(now, generation, at));
      return ok('stopped' as const);
    });
  }

  /**
   * Brings the comment up to date with where the preview is now. Of two workers that tell at the same time the later one may have looked earlier: so each looks again
   * afterwards.
   */
  tell(): ResultAsync<Worked, WorkFailure | StorageFailure> {
    const { storage } = this.#scope.ports;
    const { caller } = this.#scope;
    const comment = (facts: PreviewFacts) => this.#comment(facts);
    let facts = this.#facts;
    return safeTry(async function* () {
      for (let look = 0; look < looks; look++) {
        const told = yield* comment(facts);
        if (!told) return ok('idle' as const);
        const { found } = yield* storage.previews.facts(caller.org, facts.preview.id);
        if (found === null || found.preview.version === facts.preview.version) break;
        facts = found;
      }
      return ok('told' as const);
    });
  }

  /**
   * The commit that the branch is at now; `null` where there is nothing to move on to: the branch is gone, or it is a fork's, of which only what was approved
   * or asked for may run.
   */
  #head(): ResultAsync<string | null, PreviewStepFailed> {
    const { preview, repo } = this.#facts;
    if (preview.fork) return okAsync(null);
    const { branch, headRepo } = preview;
    return this.#step('head', () => this.#ports.sourceControl.head({ repo, headRepo, branch, ...this.#signal })).map(
      (head) => head?.sha ?? null,
    );
  }

  #runtime(): ResultAsync<PreviewStep, WorkFailure | StorageFailure> {
    const { preview, repo, app } = this.#facts;
    const { sourceControl, runtime } = this.#ports;
    const { generation, type, sha } = preview;
    const [scope, signal] = [this.#scope, this.#signal];
    const step = <T>(name: string, effect: () => Promise<T>) => this.#step(name, effect);
    const keep = (name: PreviewStep['step'], result: string | null) => this.#keep(name, result);
    const before = this.#kept('clearing') === null && preview.hasRuntime && generation > 1;
    const [secrets, reportKey] = [() => this.#secrets(), () => this.#prepare()];
    const [comment, clear] = [
      () => this.#comment(this.#facts),
      () => this.#remove(runs(generation - 1), preview.runtimeId),
    ];
    return safeTry(async function* () {
      const opened = yield* secrets();
      const key = yield* reportKey();
      yield* comment();
      if (before) {
        yield* clear();
        yield* keep('clearing', null);
      }
      const { token } = yield* step('token', () => sourceControl.token({ repo, ...signal }));
      const made = yield* step('runtime', () =>
        runtime.create({
          key: runtimeKey(preview, generation),
          orgId: scope.caller.org,
          preview: toPreview(preview),
          repo: { provider: repo.provider, fullName: repo.fullName },
          entrypoint: app.entrypoint,
          type,
          sha,
          token,
          secrets: opened,
          reportKey: key,
          ...signal,
        }),
      );
      return keep('runtime', made.runtimeId);
    });
  }

  #remove(generations: readonly number[], runtimeId: string | null): ResultAsync<void, PreviewStepFailed> {
    if (generations.length === 0) return okAsync(undefined);
    const keys = generations.map((generation) => runtimeKey(this.#facts.preview, generation));
    const request = { orgId: this.#scope.caller.org, keys, runtimeId, ...this.#signal };
    return this.#step('removal', () => this.#ports.runtime.remove(request));
  }

  /** The app's secrets for the type of this environment. Code from a fork gets none, unless a person has approved this commit. */
  #secrets(): ResultAsync<Readonly<Record<string, SecretText>>, KeyFailure> {
    const { preview } = this.#facts;
    const { ports, caller } = this.#scope;
    const { appId, type, fork, approvedSha, sha } = preview;
    if (fork && approvedSha !== sha) return okAsync({});
    return safeTry(async function* () {
      const stored = yield* ports.storage.previews.secrets(caller.org, { appId, type });
      const opened = yield* new DataKeys(ports, ports.storage.dataKeys, caller.org).openAll(
        { type: 'app', id: appId },
        stored.map(sealedSecretOf),
      );
      return ok(Object.fromEntries(stored.map(({ name }, index) => [name, new SecretText(opened[index]!)])));
    });
  }

  /** The key that this run signs its reports with. From now on there may be a runtime. */
  #prepare(): ResultAsync<SecretText, WorkFailure> {
    const { preview } = this.#facts;
    const { id, appId, generation } = preview;
    const scope = this.#scope;
    const { ports, caller } = scope;
    return safeTry(async function* () {
      let sealed = preview.reportKey;
      if (sealed === null) {
        const keys = new DataKeys(ports, ports.storage.dataKeys, caller.org);
        const seal = yield* keys.sealer({ type: 'app', id: appId });
        sealed = seal(reportKeyPlace(id), randomBytes(32).toString('base64url'));
      }
      // Another worker may have been quicker, and then it is its key that was kept.
      const made = sealed;
      yield* follow(scope, id, 'preview.preparing', (now, at) => prepared(now, generation, made, at));
      const { found } = yield* ports.storage.previews.facts(caller.org, id);
      const environmentKey = found === null ? null : yield* openReportKey(scope, found.preview);
      // Where the run is over, the next look at it finds that.
      if (environmentKey === null) return err(new PreviewStepFailed('runtime'));
      return ok(new SecretText(keyOfRun(environmentKey, generation)));
    });
  }

  /** Whether there was anybody to tell. */
  #comment({ preview, repo, app }: PreviewFacts): ResultAsync<boolean, WorkFailure | StorageFailure> {
    const { pullRequest, commentId } = preview;
    if (pullRequest === null) return okAsync(false);
    const { provider, fullName } = repo;
    return this.#step('comment', () =>
      this.#ports.sourceControl.comment({
        repo: { provider, fullName },
        pullRequest,
        commentId,
        marker: markerOf(preview),
        body: commentOf(preview, app.name),
        ...this.#signal,
      }),
    )
      .andThen((made) => this.#keep('comment', made.commentId))
      .map(() => true);
  }

  #kept(step: PreviewStep['step']): PreviewStep | null {
    return this.#facts.steps.find((done) => done.step === step) ?? null;
  }

  #keep(step: PreviewStep['step'], result: string | null): ResultAsync<PreviewStep, StorageFailure> {
    const { storage, clock } = this.#scope.ports;
    const { id: projectEnvironmentId, generation } = this.#facts.preview;
    const done = { projectEnvironmentId, generation, step, at: new Date(clock.now().getTime()), result };
    return storage.previews.keepStep(this.#scope.caller.org, done).map(() => done);
  }

  /** Of what a port rejects with, only what cannot hold a secret becomes part of anything: the rest is for the host's hook. */
  #step<T>(step: string, effect: () => Promise<T>): ResultAsync<T, PreviewStepFailed> {
    return ResultAsync.fromPromise(attempt(effect), (error) =>
      failureOf(this.#scope, this.#facts.preview.id, step, error),
    );
  }
}

export function failureOf(scope: Scope, projectEnvironmentId: string, step: string, error: unknown): PreviewStepFailed {
  const { ports, caller } = scope;
  notify(() => ports.hooks.onPreviewFailure?.({ orgId: caller.org, projectEnvironmentId, step, error }));
  const given = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const { retryAfterMs, refused, status } = given;
  return new PreviewStepFailed(step, {
    retryAfterMs: typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : null,
    refused: refused === true,
    status: typeof status === 'number' && status >= 100 && status <= 599 ? status : null,
  });
}

/** A port that throws instead of rejecting rejects. */
async function attempt<T>(effect: () => Promise<T>): Promise<T> {
  return effect();
}
