import { IllegalTransition } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { busyPreviewStatuses, legalPreviewCommands, previewLifecycle } from './lifecycle.ts';
import type { PreviewEvent, PreviewState, PreviewStatus } from './lifecycle.ts';
import { defaultPreviewTimeoutMs } from './model.ts';
import type { PendingCommand, Preview, RuntimeReport, StoredPreview } from './model.ts';

/** What becomes of a preview at once. */
export interface PreviewChange {
  readonly preview: StoredPreview;
  /** What becomes of the deployment of the run that was current before, in this order. */
  readonly run: readonly RunEvent[];
  /** Whether a run of its own has begun. */
  readonly begun: boolean;
  /** Whether a worker has something to do, or to tell people. */
  readonly work: boolean;
}

/** What can become of the deployment of a run. */
export type RunEvent = 'running' | 'success' | 'failed' | 'canceled';

/** Asked for again with nothing new, it is younger for `sweep`; but many who ask at the same time are one. Shorter than any age that `sweep` takes. */
const askedAnewMs = 30_000;

/** What is asked for of a preview: applied at once, kept until it settles, or nothing new (`null`). */
export function ask(
  preview: StoredPreview,
  command: PendingCommand,
  at: Date,
): Result<PreviewChange | null, IllegalTransition> {
  const told = withHead(preview, command);
  const event = eventFor(told, command);
  if (event === 'carry_on') {
    const asked = told.pendingCommand?.type === 'stop' ? { ...told, pendingCommand: null } : told;
    const isNews = asked !== preview || at.getTime() - preview.requestedAt.getTime() >= askedAnewMs;
    return ok(isNews ? only({ ...asked, requestedAt: at }, at) : null);
  }
  if (event === 'withdraw') return ok(only({ ...told, pendingCommand: null, stopCause: command.cause }, at));

  const { from, waits = [] } = previewLifecycle[event];
  if (from.includes(told.status)) {
    return ok(apply(wanted({ ...told, pendingCommand: null }, command, at), event, command.sha, at));
  }
  if (!(waits as readonly PreviewState[]).includes(told.status)) return err(illegal(told, event));
  const pendingCommand = { ...command, type: event as PendingCommand['type'] };
  return ok(only({ ...told, pendingCommand, ...(event !== 'stop' && { requestedAt: at }) }, at));
}

/** A commit of a fork that nobody has approved: it is kept as the one that waits, and nothing runs. Whatever runs already goes on. */
export function hold(preview: StoredPreview, sha: string, at: Date): PreviewChange | null {
  if (preview.waitingSha === sha) return null;
  return { ...only({ ...preview, waitingSha: sha }, at), work: tellsPeople(preview) };
}

/** A person's word on a commit of a fork: it runs, as soon as it can. Errors: `illegal_transition` for one that does not wait. */
export function approve(
  preview: StoredPreview,
  sha: string,
  at: Date,
): Result<PreviewChange | null, IllegalTransition> {
  if (preview.waitingSha !== sha) return err(illegal(preview, 'approve'));
  const approved = { ...preview, approvedSha: sha, waitingSha: null };
  return ask(approved, { type: 'create', sha, cause: null }, at).map((change) => change ?? only(approved, at));
}

/** A command tells where the branch is. */
function withHead(preview: StoredPreview, { sha }: PendingCommand): StoredPreview {
  return sha === null || sha === preview.headSha ? preview : { ...preview, headSha: sha };
}

/**
 * What a command comes to where the preview is now. `create` of one that is under way or runs already carries on, unless its commit is new; a stop of one that waits to be
 * started again withdraws that.
 */
function eventFor(
  { status, sha, headSha, pendingCommand }: StoredPreview,
  { type }: PendingCommand,
): PreviewEvent | 'carry_on' | 'withdraw' {
  if (type === 'stop') return status === 'stopping' && pendingCommand !== null ? 'withdraw' : 'stop';
  if (type === 'restart') return 'restart';
  switch (status) {
    case 'stopped':
    case 'deleted':
    case 'stopping':
      return 'create';
    case 'error':
    case 'stop_error':
      return 'restart';
    case 'running':
      return sha === headSha ? 'carry_on' : 'restart';
    default:
      // A head that is told while a run is under way starts another one when that ends.
      return 'carry_on';
  }
}

/** The runtime has taken a run on. It may have reported already, which says the same. */
export function runtimeAccepted(
  preview: StoredPreview,
  generation: number,
  runtimeId: string | null,
  at: Date,
): PreviewChange | null {
  if (preview.generation !== generation) return null;
  if (preview.status === 'initializing') return apply({ ...preview, runtimeId }, 'runtime_accepted', null, at);
  if (!preview.hasRuntime || preview.runtimeId === runtimeId) return null;
  return only({ ...preview, runtimeId }, at);
}

/** From now on there may be a runtime of this run; with the key that its reports are signed with, unless there is one. `null` when it is so already, or the run is over. */
export function prepared(
  preview: StoredPreview,
  generation: number,
  reportKey: string,
  at: Date,
): PreviewChange | null {
  if (preview.generation !== generation || preview.status !== 'initializing') return null;
  if (preview.hasRuntime && preview.reportKey !== null) return null;
  return only({ ...preview, hasRuntime: true, reportKey: preview.reportKey ?? reportKey }, at);
}

/** Whether a runtime of this run is wanted. One that was made for a run which has ended meanwhile has to go. */
export function wantsRuntime(preview: StoredPreview, generation: number): boolean {
  return preview.generation === generation && preview.hasRuntime;
}

/** The branch has moved on before anything was done for this run: it ends here, and one of the newest commit begins. */
export function overtaken(preview: StoredPreview, generation: number, head: string, at: Date): PreviewChange | null {
  if (preview.generation !== generation || preview.status !== 'initializing' || preview.sha === head) return null;
  return apply({ ...preview, headSha: head, reason: 'the branch has moved on' }, 'error', null, at);
}

/** Whether a report counts, and what it changes. One that is out of date, out of order or out of place is recorded, and changes nothing. */
export function reported(
  preview: StoredPreview,
  report: RuntimeReport,
  at: Date,
): { readonly applied: PreviewChange } | { readonly ignored: 'older_run' | 'older_report' | 'out_of_place' } {
  if (report.generation < preview.generation) return { ignored: 'older_run' };
  if (report.generation > preview.generation || preview.generation === 0) return { ignored: 'out_of_place' };
  if (report.sequence <= preview.reportSequence) return { ignored: 'older_report' };
  const told: StoredPreview = {
    ...preview,
    reportSequence: report.sequence,
    url: report.url ?? preview.url,
    tests: report.tests ?? preview.tests,
    reason: report.status === 'error' ? (report.reason ?? 'the runtime reported an error') : null,
  };
  if (previewLifecycle[report.status].from.includes(preview.status)) {
    return { applied: apply(told, report.status, null, at) };
  }
  // Whoever can sign for this run has taken it on, also where that has not been written down yet.
  if (preview.status !== 'initializing') return { ignored: 'out_of_place' };
  const accepted = moveOn(told, 'runtime_accepted', null, at);
  if (told.pendingCommand?.type === 'stop') return { applied: apply(told, 'runtime_accepted', null, at) };
  const moved = apply({ ...accepted.preview, version: preview.version }, report.status, null, at);
  return { applied: { ...moved, run: [...accepted.run, ...moved.run] } };
}

/** Whether a new commit of its branch is for this preview: not once it was removed, or while its pull request is closed, whose events may come late. */
export function followsBranch(preview: StoredPreview, sha: string): boolean {
  const { status, headSha, waitingSha } = preview;
  return status !== 'deleted' && !isClosed(preview) && sha !== headSha && sha !== waitingSha;
}

/** Whether the preview of a pull request that is open has to be asked for again: the branch has moved on, or it was reopened. One that somebody has stopped or removed stays so. */
export function missesEvent(preview: StoredPreview, sha: string): boolean {
  return preview.status !== 'deleted' && (isClosed(preview) || followsBranch(preview, sha));
}

/** Whether there is something to stop. */
export function isStoppable({ status, pendingCommand }: StoredPreview): boolean {
  if (pendingCommand !== null) return pendingCommand.type !== 'stop';
  const { from, waits = [] } = previewLifecycle.stop;
  return [...from, ...waits].includes(status);
}

function isClosed({ stopCause, pendingCommand }: StoredPreview): boolean {
  return pendingCommand === null ? stopCause === 'closed' : pendingCommand.cause === 'closed';
}

/** A run that will not come to its end: its steps have been tried often enough, or its deadline has passed. */
export function failed(preview: StoredPreview, generation: number, reason: string, at: Date): PreviewChange | null {
  if (preview.generation !== generation || !previewLifecycle.error.from.includes(preview.status)) return null;
  return apply({ ...preview, reason }, 'error', null, at);
}

/** The runtime is gone. */
export function runtimeGone(preview: StoredPreview, generation: number, at: Date): PreviewChange | null {
  if (preview.generation !== generation || preview.status !== 'stopping') return null;
  return apply(withoutRuntime({ ...preview, reason: null }), 'runtime_gone', null, at);
}

/** The runtime could not be removed. A person has to look. */
export function stopFailed(preview: StoredPreview, generation: number, reason: string, at: Date): PreviewChange | null {
  if (preview.generation !== generation || preview.status !== 'stopping') return null;
  return apply({ ...preview, reason }, 'stop_failed', null, at);
}

/** Forgets a preview that has no runtime. Errors: `illegal_transition`. */
export function remove(preview: StoredPreview, at: Date): Result<PreviewChange, IllegalTransition> {
  const isLegal = previewLifecycle.remove.from.includes(preview.status) && !preview.hasRuntime;
  if (!isLegal) return err(illegal(preview, 'remove'));
  return ok(apply({ ...preview, waitingSha: null }, 'remove', null, at));
}

/** A person's word that a runtime which could not be removed is gone. Errors: `illegal_transition`. */
export function forget(preview: StoredPreview, note: string, at: Date): Result<PreviewChange, IllegalTransition> {
  if (!previewLifecycle.forget.from.includes(preview.status)) return err(illegal(preview, 'forget'));
  return ok(apply(withoutRuntime({ ...preview, note, waitingSha: null }), 'forget', null, at));
}

/** Moves a preview on, and then does what has been waiting for it, or for the branch. */
function apply(preview: StoredPreview, event: PreviewEvent, sha: string | null, at: Date): PreviewChange {
  const moved = moveOn(preview, event, sha, at);
  const next = waiting(moved.preview);
  if (next === null) return moved;
  const settled = wanted({ ...moved.preview, pendingCommand: null }, next, at);
  const { preview: then, run, ...work } = moveOn(settled, next.type, next.sha, at);
  return { preview: { ...then, version: moved.preview.version }, run: [...moved.run, ...run], ...work };
}

function moveOn(preview: StoredPreview, event: PreviewEvent, sha: string | null, at: Date): PreviewChange {
  const { to, newRun = false } = previewLifecycle[event];
  const deadline = isBusy(to) ? new Date(at.getTime() + defaultPreviewTimeoutMs) : null;
  const moved: StoredPreview = {
    ...preview,
    status: to,
    deadline,
    tries: 0,
    version: preview.version + 1,
    updatedAt: at,
    ...(newRun && {
      sha: sha ?? preview.headSha,
      generation: preview.generation + 1,
      reportSequence: 0,
      run: null,
      url: null,
      tests: null,
      reason: null,
      note: null,
      stopCause: null,
    }),
  };
  const work = to === 'initializing' || to === 'stopping' || tellsPeople(preview);
  return { preview: moved, run: runEvents(preview.status, to), begun: newRun, work };
}

/** What the deployment of the run comes to when its preview moves on. */
function runEvents(from: PreviewState, to: PreviewState): readonly RunEvent[] {
  if (to === 'deploying') return ['running'];
  if (to === 'running') return ['success'];
  if (to === 'error') return ['failed'];
  return to === 'stopping' && (from === 'deploying' || from === 'running_tests') ? ['canceled'] : [];
}

/** What can be done now that could not before: the pending command, or a run of a head that came while another was under way. */
function waiting({ status, pendingCommand, sha, headSha }: StoredPreview): PendingCommand | null {
  if (pendingCommand !== null) {
    return previewLifecycle[pendingCommand.type].from.includes(status) ? pendingCommand : null;
  }
  const ended = status === 'running' || status === 'error';
  return ended && sha !== headSha ? { type: 'restart', sha: headSha, cause: null } : null;
}

/** A command that takes effect says why it is stopped, or that it is to run. */
function wanted(preview: StoredPreview, { type, cause }: PendingCommand, at: Date): StoredPreview {
  return type === 'stop' ? { ...preview, stopCause: cause } : { ...preview, requestedAt: at };
}

function withoutRuntime(preview: StoredPreview): StoredPreview {
  return { ...preview, runtimeId: null, hasRuntime: false, url: null };
}

function only(preview: StoredPreview, at: Date): PreviewChange {
  const changed = { ...preview, version: preview.version + 1, updatedAt: at };
  return { preview: changed, run: [], begun: false, work: false };
}

function isBusy(status: PreviewStatus): boolean {
  return busyPreviewStatuses.has(status);
}

/** Whether there is a pull request whose comment shows where the preview is. */
function tellsPeople({ pullRequest }: StoredPreview): boolean {
  return pullRequest !== null;
}

function illegal(preview: StoredPreview, event: PreviewEvent | 'approve'): IllegalTransition {
  return new IllegalTransition('preview', preview.status, event, legalPreviewCommands(preview.status));
}

export function toPreview({ reportKey: _key, tries: _tries, ...preview }: StoredPreview): Preview {
  return preview;
}
