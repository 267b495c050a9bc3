import * as z from 'zod';

import { branchName, fullName, pullRequest, sha } from '../deployments/model.ts';
import { InvalidInput, NotFound } from '../kernel/errors.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { parse } from '../kernel/input.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, errAsync, ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import { writtenTime } from '../kernel/time.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { changeOf } from '../command.ts';
import { currentOf, follow } from './changing.ts';
import { askOf } from './commands.ts';
import { create } from './creating.ts';
import { InvalidSignature } from './errors.ts';
import { handleEvent, sourceEvent } from './events.ts';
import type { HandledEvent, SourceEvent } from './events.ts';
import { previewStatuses } from './lifecycle.ts';
import type { PreviewStatus } from './lifecycle.ts';
import { previewCommand, queueMessage, reason, runtimeReport } from './model.ts';
import type { Preview, PreviewCommand, QueueMessage, RuntimeReport } from './model.ts';
import { reconcile } from './reconciling.ts';
import { isSignedWith, keyOfRun } from './reports.ts';
import type { SignedReport } from './reports.ts';
import type { PreviewPosition } from './repository.ts';
import { approve, ask, forget, remove, reported, toPreview } from './rules.ts';
import { AppSecrets } from './secrets.ts';
import { sweep } from './sweep.ts';
import type { SweptPreview } from './sweep.ts';
import type { HandledPreview, OpenPullRequest } from './wishes.ts';
import { openReportKey, withoutPorts, work } from './worker.ts';
import type { Worked } from './worker.ts';

const createInput = previewCommand.safeExtend(commandOptions);
const approveInput = z.strictObject({ projectEnvironmentId: id, sha, ...changeOptions });
const note = reason.refine((text) => text.trim() !== '', 'must say what was done');
const forgetInput = z.strictObject({ note, ...changeOptions });
const listInput = z.strictObject({ appId: id, status: z.enum(previewStatuses).optional(), ...pageInput });
const handleOptions = z.strictObject({ signal: z.instanceof(AbortSignal).optional() });
const reportInput = z.strictObject({ body: z.string().max(65_536), signature: z.string().max(200) });
const reconcileInput = z.strictObject({
  appId: id,
  openPullRequests: z
    .array(z.strictObject({ pullRequest, branch: branchName, headRepo: fullName.optional(), sha }))
    .max(1_000)
    .refine(
      (all) => new Set(all.map((one) => one.pullRequest)).size === all.length,
      'must name each pull request once',
    ),
});
const sweepInput = z.strictObject({
  olderThanMs: z.int().min(60_000).max(31_536_000_000).optional(),
  limit: z.int().min(1).max(1_000).default(100),
  dryRun: z.boolean().default(false),
});

const thePreview = ([previewId]: readonly [string, ...unknown[]]) => [{ type: 'preview', id: previewId }];
const ofTheApp = ([{ appId }]: readonly [{ readonly appId: string }]) => [{ type: 'app', id: appId }];
const theEnvironment = ([{ projectEnvironmentId }]: readonly [
  { readonly projectEnvironmentId: string },
  ...unknown[],
]) => [{ type: 'preview', id: projectEnvironmentId }];
const previewsOfTheOrg = () => [{ type: 'preview' }];
const options = z.strictObject(changeOptions);

const methods = {
  create: method('previews.create', [''], z.tuple([createInput]), ofTheApp),
  restart: method('previews.restart', ['id', ''], z.tuple([id, options]), thePreview),
  stop: method('previews.stop', ['id', ''], z.tuple([id, options]), thePreview),
  remove: method('previews.remove', ['id', ''], z.tuple([id, options]), thePreview),
  approve: method('previews.approve', [''], z.tuple([approveInput]), theEnvironment),
  forget: method('previews.forget', ['id', ''], z.tuple([id, forgetInput]), thePreview),
  get: method('previews.get', ['id'], z.tuple([id]), thePreview),
  list: method('previews.list', [''], z.tuple([listInput]), ofTheApp),
  handle: method('previews.handle', ['message', ''], z.tuple([queueMessage, handleOptions]), theEnvironment),
  report: method('previews.report', [''], z.tuple([reportInput]), previewsOfTheOrg),
  onEvent: method('previews.onEvent', [''], z.tuple([sourceEvent]), previewsOfTheOrg),
  reconcile: method('previews.reconcile', [''], z.tuple([reconcileInput]), ofTheApp),
  sweep: method('previews.sweep', [''], z.tuple([sweepInput]), previewsOfTheOrg),
};

const newestFirst = cursorsOf<PreviewPosition>(
  'previews',
  z.strictObject({ createdAt: writtenTime.transform((text) => new Date(text)), id }),
);

/** What became of a report. */
export interface HandledReport {
  /** Whether it has moved the preview on. One that is older than what is known, or out of place, is journalled and changes nothing. */
  readonly applied: boolean;
  readonly why: 'applied' | 'older_run' | 'older_report' | 'out_of_place';
}

/**
 * Previews of pull requests, and the production environment of an app (seed 002): created, brought up to date, restarted, stopped and removed, once in effect
 * whatever is delivered twice, late or never. What needs the outside world answers `not_configured` unless `createVivarium` was given `previews`.
 */
export class Previews {
  readonly #scope: Scope;
  /** What the runtimes of an app's environments are handed. */
  readonly secrets: AppSecrets;

  constructor(scope: Scope) {
    this.#scope = scope;
    this.secrets = new AppSecrets(scope);
  }

  /**
   * Asks for the environment of an app that tracks a branch: the preview of a pull request (`pr-<n>`), or production. One that is there is brought up to date: it is restarted where the
   * commit is new, or where it had ended, and carries on where it has what is asked for. A worker does the rest.
   *
   * A pull request from a fork goes by `forks`: refused, without the app's secrets, or kept (`waitingSha`) until somebody approves the commit.
   *
   * Errors: `not_found` (the app), `fork_not_allowed`, `managed_elsewhere`, `preview_step_failed` (the source control does not let us), `not_configured`, `stale_version`.
   */
  create(input: PreviewCommand & Omit<CommandOptions, 'expectedVersion'>): Outcome<'previews.create', Preview> {
    const scope = this.#scope;
    return operation(scope, methods.create, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const { previews } = scope.ports;
      if (previews === null) return errAsync(withoutPorts());
      return create(scope, previews, wanted, { idempotencyKey, signal });
    });
  }

  /**
   * Runs a preview once more, with the newest commit that is known; after the run, or the stop, that is under way.
   *
   * Errors: `not_found`, `illegal_transition` (one that was removed), `stale_version`.
   */
  restart(previewId: string, options: CommandOptions = {}): Outcome<'previews.restart', Preview> {
    const scope = this.#scope;
    return operation(scope, methods.restart, [previewId, options], ([target, given]) =>
      askOf(scope, { method: methods.restart.name, action: 'preview.asked_to_restart', target }, given, (preview, at) =>
        ask(preview, { type: 'restart', sha: null, cause: null }, at),
      ),
    );
  }

  /**
   * Takes the runtime of a preview down; as soon as it can be, where it is only just being made. What waited to be started again is withdrawn.
   *
   * Errors: `not_found`, `illegal_transition` (it is stopping or stopped), `stale_version`.
   */
  stop(previewId: string, options: CommandOptions = {}): Outcome<'previews.stop', Preview> {
    const scope = this.#scope;
    return operation(scope, methods.stop, [previewId, options], ([target, given]) =>
      askOf(scope, { method: methods.stop.name, action: 'preview.asked_to_stop', target }, given, (preview, at) =>
        ask(preview, { type: 'stop', sha: null, cause: 'asked' }, at),
      ),
    );
  }

  /**
   * Marks a preview without a runtime as `deleted`: its history stays, and only `create` brings it back.
   *
   * Errors: `not_found`, `illegal_transition` (stop it first), `stale_version`.
   */
  remove(previewId: string, options: CommandOptions = {}): Outcome<'previews.remove', Preview> {
    const scope = this.#scope;
    return operation(scope, methods.remove, [previewId, options], ([target, given]) =>
      askOf(scope, { method: methods.remove.name, action: 'preview.removed', target }, given, remove),
    );
  }

  /**
   * A person's word on a commit of a fork (`forks: 'approve'`): this commit, and no other, runs, with the app's secrets. Give the right to do so only to people (`Policy`).
   *
   * Errors: `not_found`, `illegal_transition` (this commit does not wait), `stale_version`.
   */
  approve(
    input: { readonly projectEnvironmentId: string; readonly sha: string } & CommandOptions,
  ): Outcome<'previews.approve', Preview> {
    const scope = this.#scope;
    return operation(scope, methods.approve, [input], ([{ projectEnvironmentId: target, sha: commit, ...given }]) =>
      askOf(
        scope,
        { method: methods.approve.name, action: 'preview.approved', target, input: commit },
        given,
        (preview, at) => approve(preview, commit, at),
      ),
    );
  }

  /**
   * A person's word that a runtime which could not be removed (`stop_error`) is gone: the preview is `deleted`. `note` (1–1,000 characters) says why, and is kept.
   *
   * Errors: `not_found`, `illegal_transition`, `stale_version`.
   */
  forget(previewId: string, input: { readonly note: string } & CommandOptions): Outcome<'previews.forget', Preview> {
    const scope = this.#scope;
    return operation(scope, methods.forget, [previewId, input], ([target, { note, ...given }]) =>
      askOf(
        scope,
        { method: methods.forget.name, action: 'preview.forgotten', target, input: note },
        given,
        (preview, at) => forget(preview, note, at),
      ),
    );
  }

  /** The preview. Errors: `not_found`. */
  get(previewId: string): Outcome<'previews.get', Preview> {
    return operation(this.#scope, methods.get, [previewId], ([target]) => currentOf(this.#scope, target));
  }

  /** The previews of an app, newest first; perhaps only those of one status. Errors: `not_found` (the app). */
  list(
    input: { readonly appId: string; readonly status?: PreviewStatus | undefined } & PageInput,
  ): Outcome<'previews.list', Page<Preview>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ appId, status, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* newestFirst.read(paging);
        const filter = { appId, ...(status !== undefined && { status }) };
        const stored = yield* ports.storage.previews.list(caller.org, filter, page);
        if (stored === null) return err(new NotFound('app', appId));
        return ok(newestFirst.page(stored, ({ createdAt, id: last }) => ({ createdAt, id: last }), toPreview));
      }),
    );
  }

  /**
   * The worker's side: does what the preview of this message is waiting for. A message that is delivered twice, late or out of order does no harm. Give it back to the queue on an
   * error, after `retryAfterMs` where the error says so: the work goes on where this try ended. After 5 tries, or where a port refused, the preview is in `error` (or
   * `stop_error`) with the reason, and the message is done.
   *
   * Errors: `preview_step_failed`, `not_configured`, `key_management_failure`, `unsealing_failed`; `invalid_input` for a message of another org.
   */
  handle(
    message: QueueMessage,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Outcome<'previews.handle', Worked> {
    const scope = this.#scope;
    return operation(scope, methods.handle, [message, options], ([given, { signal }]) => {
      if (given.orgId !== scope.caller.org) return errAsync(ofAnotherOrg());
      return work(scope, given, signal).andThen((worked) =>
        scope.ports.storage.previews.sent(given.orgId, given).map(() => worked),
      );
    });
  }

  /**
   * What a runtime says of a run. The signature is one of the run's own key, which no other run has. A report that is older than what is known, or out of place, is
   * journalled and changes nothing.
   *
   * Errors: `invalid_signature` (also where there is no such preview), `invalid_input`, `not_configured`, `key_management_failure`, `unsealing_failed`.
   */
  report(signed: SignedReport): Outcome<'previews.report', HandledReport> {
    const scope = this.#scope;
    const { storage, clock } = scope.ports;
    return operation(scope, methods.report, [signed], ([given]) =>
      safeTry(async function* () {
        const said = parsedJson(given.body);
        if (said === undefined) return err(new InvalidInput([{ path: 'body', message: 'must be JSON' }]));
        const [report] = yield* parse(z.tuple([runtimeReport]), [said], ['body']);
        if (report.orgId !== scope.caller.org) return err(new InvalidSignature());
        const { found } = yield* storage.previews.facts(scope.caller.org, report.projectEnvironmentId);
        const key = found === null ? null : yield* openReportKey(scope, found.preview);
        if (key === null || !isSignedWith(given, keyOfRun(key, report.generation))) return err(new InvalidSignature());
        return ok(yield* handled(scope, report, clock.now()));
      }),
    );
  }

  /**
   * An event of the source control, for every app of the repository in this org: pull requests are previewed and stopped, and environments that track a branch themselves, production
   * among them, follow it. A delivery counts once.
   *
   * Errors, after which the provider should deliver again: `preview_step_failed`, `stale_version`, `storage_failure`. `not_configured`.
   */
  onEvent(event: SourceEvent): Outcome<'previews.onEvent', HandledEvent> {
    const scope = this.#scope;
    return operation(scope, methods.onEvent, [event], ([given]) => {
      const { previews } = scope.ports;
      return previews === null ? errAsync(withoutPorts()) : handleEvent(scope, previews, given);
    });
  }

  /**
   * Heals what webhooks have missed: given all open pull requests of an app (at most 1,000), asks for the previews that are missing, out of date or were reopened, and stops those whose pull
   * request is not among them. What somebody has stopped or removed stays so. Answers what it asked for.
   *
   * Errors: `not_found` (the app), `not_configured`, `preview_step_failed`, `stale_version`.
   */
  reconcile(input: {
    readonly appId: string;
    readonly openPullRequests: readonly OpenPullRequest[];
  }): Outcome<'previews.reconcile', readonly HandledPreview[]> {
    const scope = this.#scope;
    return operation(scope, methods.reconcile, [input], ([given]) => {
      const { previews } = scope.ports;
      return previews === null ? errAsync(withoutPorts()) : reconcile(scope, previews, given);
    });
  }

  /**
   * Does what time asks for: ends what is past its deadline (30 minutes for a run, and for a stop), stops previews that were last asked for more than `olderThanMs` ago (a minute to a
   * year; never production; none when not given), sends again what no worker was told of, and forgets old deliveries. Answers what it did, or with `dryRun` would do, and why; at most `limit`
   * (100). Call it every minute or so, from as many processes as you like.
   */
  sweep(
    input: {
      readonly olderThanMs?: number | undefined;
      readonly limit?: number | undefined;
      readonly dryRun?: boolean | undefined;
    } = {},
  ): Outcome<'previews.sweep', readonly SweptPreview[]> {
    return operation(this.#scope, methods.sweep, [input], ([given]) => sweep(this.#scope, given));
  }
}

/** A report that was signed as it has to be. */
function handled(scope: Scope, report: RuntimeReport, now: Date): ResultAsync<HandledReport, StorageFailure> {
  const { projectEnvironmentId, generation, sequence, status } = report;
  let why: HandledReport['why'] = 'out_of_place';
  return follow(scope, projectEnvironmentId, `preview.${status}`, (preview, at) => {
    const outcome = reported(preview, report, at);
    why = 'applied' in outcome ? 'applied' : outcome.ignored;
    return 'applied' in outcome ? outcome.applied : null;
  }).andThen((moved) => {
    if (moved !== null) return ok({ applied: true, why });
    const noted = {
      subject: { type: 'project_environment', id: projectEnvironmentId },
      action: 'preview.report_ignored',
      sequence: null,
      data: { generation, sequence, status, why },
    };
    const at = new Date(now.getTime());
    return scope.ports.storage.journal.append(changeOf(scope, at, noted, null)).map(() => ({ applied: false, why }));
  });
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function ofAnotherOrg(): InvalidInput {
  return new InvalidInput([{ path: 'message.orgId', message: 'must be the org of this client' }]);
}
