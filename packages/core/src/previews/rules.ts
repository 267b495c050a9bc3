import { IllegalTransition } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { busyPreviewStatuses, legalPreviewCommands, previewLifecycle } from './lifecycle.ts';
import type { PreviewEvent, PreviewState } from './lifecycle.ts';
import { defaultPreviewTimeoutMs } from './model.ts';
import type { PendingCommand, Preview, RuntimeReport, StoredPreview } from './model.ts';

/** What becomes of a preview at once. */
export interface PreviewChange {
  readonly preview: StoredPreview;
  /** What becomes of the deployment of the run that was current before, in this order. */
  readonly run: readonly RunEvent[];
  /** Whether a run of its own has begun. */
  readonly begun: boolean;
  /** Whether a worker has something to do now. */
  readonly work: boolean;
}

/** What can become of the deployment of a run. */
export type RunEvent = 'running' | 'success' | 'failed' | 'canceled';

/** What is asked for of a preview: applied at once, kept until it settles, or nothing new (`null`). */
export function ask(
  preview: StoredPreview,
  command: PendingCommand,
  at: Date,
): Result<PreviewChange | null, IllegalTransition> {
  const told = withHead(preview, command);
  const event = eventFor(told, command);
  if (event === null) return ok(told === preview ? null : only(numbered(told, at)));
  const { from, waits = [] } = previewLifecycle[event];
  if (from.includes(told.status)) return ok(apply(numbered(told, at), event, command.sha, at));
  if (!(waits as readonly PreviewState[]).includes(told.status)) return err(illegal(told, event));
  return ok(only({ ...numbered(told, at), pendingCommand: { ...command, type: event as PendingCommand['type'] } }));
}

/**
 * A commit of a fork that nobody has approved: it is kept as the one that waits, and nothing runs. Whatever runs of it already goes on.
 */
export function hold(preview: StoredPreview, sha: string, at: Date): PreviewChange | null {
  return preview.waitingSha === sha ? null : only(numbered({ ...preview, waitingSha: sha }, at));
}

/** A person's word on a commit of a fork: it runs, as soon as it can. Errors: `illegal_transition` for one that does not wait. */
export function approve(
  preview: StoredPreview,
  sha: string,
  at: Date,
): Result<PreviewChange | null, IllegalTransition> {
  if (preview.waitingSha !== sha) return err(illegal(preview, 'create'));
  const approved = { ...preview, approvedSha: sha, waitingSha: null };
  return ask(approved, { type: 'create', sha }, at).map((change) => change ?? only(numbered(approved, at)));
}

/** A command tells where the branch is. */
function withHead(preview: StoredPreview, { sha }: PendingCommand): StoredPreview {
  return sha === null || sha === preview.headSha ? preview : { ...preview, headSha: sha };
}

/**
 * What a command comes to where the preview is now: `create` of one that is there is a restart with what is new, and nothing where nothing is. A head that is
 * told while a run is under way starts another one when that ends.
 */
function eventFor(
  { status, sha, headSha, pendingCommand }: StoredPreview,
  { type }: PendingCommand,
): PreviewEvent | null {
  const busy = busyPreviewStatuses.has(status) && status !== 'stopping';
  if (type !== 'create') return type;
  if (status === 'stopped' || status === 'deleted' || status === 'stopping') return 'create';
  if (status === 'error' || status === 'stop_error') return 'restart';
  if (busy) return pendingCommand?.type === 'stop' ? 'restart' : null;
  return sha === headSha ? null : 'restart';
}

/** The runtime has taken a run on. */
export function runtimeAccepted(
  preview: StoredPreview,
  generation: number,
  runtimeId: string | null,
  at: Date,
): PreviewChange | null {
  if (preview.generation !== generation || preview.status !== 'initializing') return null;
  return apply({ ...preview, runtimeId, hasRuntime: true }, 'runtime_accepted', null, at);
}

/** Whether a report counts, and what it changes. One that is out of date, out of order or out of place is recorded, and changes nothing. */
export function reported(
  preview: StoredPreview,
  report: RuntimeReport,
  at: Date,
): { readonly applied: PreviewChange } | { readonly ignored: 'older_run' | 'older_report' | 'out_of_place' } {
  if (report.generation !== preview.generation) return { ignored: 'older_run' };
  if (report.sequence <= preview.reportSequence) return { ignored: 'older_report' };
  if (!previewLifecycle[report.status].from.includes(preview.status)) return { ignored: 'out_of_place' };
  const told: StoredPreview = {
    ...preview,
    reportSequence: report.sequence,
    url: report.url ?? preview.url,
    tests: report.tests ?? preview.tests,
    reason: report.status === 'error' ? (report.reason ?? 'the runtime reported an error') : null,
  };
  return { applied: apply(told, report.status, null, at) };
}

/** A run that will not come to its end: its steps have been tried often enough, or its deadline has passed. */
export function failed(preview: StoredPreview, generation: number, reason: string, at: Date): PreviewChange | null {
  if (preview.generation !== generation || !previewLifecycle.error.from.includes(preview.status)) return null;
  return apply({ ...preview, reason }, 'error', null, at);
}

/** The runtime is gone. */
export function runtimeGone(preview: StoredPreview, generation: number, at: Date): PreviewChange | null {
  if (preview.generation !== generation || preview.status !== 'stopping') return null;
  return apply({ ...preview, runtimeId: null, hasRuntime: false, url: null, reason: null }, 'runtime_gone', null, at);
}

/** The runtime could not be removed. A person has to look. */
export function stopFailed(preview: StoredPreview, generation: number, reason: string, at: Date): PreviewChange | null {
  if (preview.generation !== generation || preview.status !== 'stopping') return null;
  return apply({ ...preview, reason }, 'stop_failed', null, at);
}

/** Forgets a preview that has no runtime. Errors: `illegal_transition`. */
export function remove(preview: StoredPreview, at: Date): Result<PreviewChange, IllegalTransition> {
  if (!previewLifecycle.remove.from.includes(preview.status) || preview.hasRuntime)
    return err(illegal(preview, 'remove'));
  return ok(apply(preview, 'remove', null, at));
}

/** A person's word that a runtime which could not be removed is gone. Errors: `illegal_transition`. */
export function forget(preview: StoredPreview, note: string, at: Date): Result<PreviewChange, IllegalTransition> {
  if (!previewLifecycle.forget.from.includes(preview.status)) return err(illegal(preview, 'forget'));
  return ok(apply({ ...preview, note, runtimeId: null, hasRuntime: false, url: null }, 'forget', null, at));
}

/** Whether something has been under way for too long. */
export function isOverdue({ status, deadline }: StoredPreview, now: Date): boolean {
  return busyPreviewStatuses.has(status) && deadline !== null && deadline <= now;
}

/** Moves a preview on, and then does what has been waiting for it, or for the branch. */
function apply(preview: StoredPreview, event: PreviewEvent, sha: string | null, at: Date): PreviewChange {
  const moved = moveOn(preview, event, sha, at);
  const next = waiting(moved.preview);
  if (next === null) return moved;
  const { type, sha: wanted } = next;
  const { preview: settled, run, ...work } = moveOn({ ...moved.preview, pendingCommand: null }, type, wanted, at);
  return { preview: { ...settled, version: moved.preview.version }, run: [...moved.run, ...run], ...work };
}

function moveOn(preview: StoredPreview, event: PreviewEvent, sha: string | null, at: Date): PreviewChange {
  const { to, newRun = false } = previewLifecycle[event];
  const deadline = busyPreviewStatuses.has(to) ? new Date(at.getTime() + defaultPreviewTimeoutMs) : null;
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
      reportKey: null,
      run: null,
      tests: null,
      reason: null,
      note: null,
    }),
  };
  return {
    preview: moved,
    run: runEvents(preview.status, to),
    begun: newRun,
    work: to === 'initializing' || to === 'stopping',
  };
}

function runEvents(from: PreviewState, to: PreviewState): readonly RunEvent[] {
  if (to === 'deploying') return ['running'];
  if (to === 'running') return ['success'];
  if (to === 'error') return ['failed'];
  return to === 'stopping' && (from === 'deploying' || from === 'running_tests') ? ['canceled'] : [];
}

/** What can be done now that could not before: the pending command, or a run of a head that came while another was under way. */
function waiting({ status, pendingCommand, sha, headSha }: StoredPreview): PendingCommand | null {
  if (pendingCommand !== null && previewLifecycle[pendingCommand.type].from.includes(status)) return pendingCommand;
  const moved = (status === 'running' || status === 'error') && sha !== headSha;
  return moved && pendingCommand === null ? { type: 'restart', sha: headSha } : null;
}

function numbered(preview: StoredPreview, at: Date): StoredPreview {
  return { ...preview, commandSequence: preview.commandSequence + 1, requestedAt: at };
}

function only(preview: StoredPreview): PreviewChange {
  const changed = { ...preview, version: preview.version + 1, updatedAt: preview.requestedAt };
  return { preview: changed, run: [], begun: false, work: false };
}

function illegal(preview: StoredPreview, event: PreviewEvent): IllegalTransition {
  return new IllegalTransition('preview', preview.status, event, legalPreviewCommands(preview.status));
}

export function toPreview({ reportKey: _key, tries: _tries, hasRuntime: _has, ...preview }: StoredPreview): Preview {
  return preview;
}
