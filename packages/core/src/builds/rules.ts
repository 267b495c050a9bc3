import type { Actor } from '../kernel/actor.ts';
import { IllegalTransition, InvalidInput, LimitReached } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { buildLifecycle, legalBuildEvents } from './lifecycle.ts';
import type { BuildEvent } from './lifecycle.ts';
import { deadlineOf, defaultHeartbeatTimeoutMs, lastMilestone, maximumAttempts } from './model.ts';
import type {
  Build,
  BuildFailure,
  BuildMove,
  BuildState,
  EndedAttempt,
  StoredBuild,
  StoredBuildState,
  StoredPlan,
} from './model.ts';

/** What a build is started with. */
export interface NewBuild {
  readonly buildNumber: string;
  readonly projectId?: string | null | undefined;
  readonly platformId: string;
  readonly osVersionId: string;
  readonly imageTypeId: string;
  /** How long it may be silent while it runs, 1,000–604,800,000 (a week); 1,800,000 (30 minutes) when not given. */
  readonly heartbeatTimeoutMs?: number | undefined;
}

/** Why an attempt fails. */
export interface FailureInput {
  readonly failureType: string;
  readonly errorMessage: string;
  readonly component?: string | null | undefined;
  readonly errorDetails?: JsonObject | null | undefined;
}

interface Made {
  readonly id: string;
  readonly at: Date;
}

/** A build that has entered nothing yet. It pins the plan: later versions are not for it. */
export function newBuild(
  wanted: NewBuild,
  plan: { readonly version: number; readonly milestones: readonly { readonly state: number }[] },
  by: Actor,
  { id, at }: Made,
): StoredBuild {
  return {
    id,
    buildNumber: wanted.buildNumber,
    projectId: wanted.projectId ?? null,
    platformId: wanted.platformId,
    osVersionId: wanted.osVersionId,
    imageTypeId: wanted.imageTypeId,
    currentState: 0,
    status: 'pending',
    retryCount: 0,
    planVersion: plan.version,
    milestones: plan.milestones.map(({ state }) => state),
    attempts: 0,
    attemptStartedAt: null,
    startTime: null,
    endTime: null,
    heartbeatTimeoutMs: wanted.heartbeatTimeoutMs ?? defaultHeartbeatTimeoutMs,
    heartbeatAt: null,
    createdBy: by,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

/**
 * Goes forward to a milestone of the plan, perhaps past others. What was under way is completed with it. Never to where the build has been: a failed
 * milestone is tried again by `resume`.
 */
export function enter(
  build: StoredBuild,
  state: number,
  made: Made,
): Result<BuildMove, IllegalTransition | InvalidInput | LimitReached> {
  if (!build.milestones.includes(state)) {
    const message = `must be a milestone of the build's plan: ${build.milestones.join(', ')}`;
    return err(new InvalidInput([{ path: 'state', message }]));
  }
  if (!isLegal(build, 'enter')) return err(illegal(build, `enter ${state}`));
  if (!milestonesAhead(build).includes(state)) return err(illegal(build, `enter ${state}`, waysOn(build)));
  return begin(build, state, 0, made);
}

/** Tries the failed milestone again. */
export function resume(build: StoredBuild, made: Made): Result<BuildMove, IllegalTransition | LimitReached> {
  if (!isLegal(build, 'resume')) return err(illegal(build, 'resume'));
  return begin(build, build.currentState, build.retryCount + 1, made);
}

function begin(
  build: StoredBuild,
  state: number,
  retryCount: number,
  { id, at: now }: Made,
): Result<BuildMove, LimitReached> {
  if (build.attempts >= maximumAttempts) return err(new LimitReached('attemptsPerBuild', maximumAttempts));
  const at = notBefore(build, now);
  const sequence = build.attempts + 1;
  const begun = {
    id,
    buildId: build.id,
    sequence,
    state,
    status: 'started',
    startTime: at,
    endTime: null,
    errorMessage: null,
    retryCount,
  } as const;
  const moved = changed(build, at, {
    status: 'running',
    currentState: state,
    retryCount,
    attempts: sequence,
    attemptStartedAt: at,
    startTime: build.startTime ?? at,
    endTime: null,
    heartbeatAt: at,
  });
  return ok({ build: moved, ended: ended(build, 'completed', at), begun, failure: null });
}

/** The milestone that was entered has been passed; with the last one, the build is completed. */
export function complete(build: StoredBuild, state: number, now: Date): Result<BuildMove, IllegalTransition> {
  const change = `complete ${state}`;
  if (!isLegal(build, 'complete')) return err(illegal(build, change));
  if (build.attemptStartedAt === null || build.currentState !== state) {
    return err(illegal(build, change, waysOn(build)));
  }
  const at = notBefore(build, now);
  const { to, atLast = to } = buildLifecycle.complete;
  const last = state === lastMilestone;
  const moved = changed(build, at, {
    status: last ? atLast : to,
    attemptStartedAt: null,
    endTime: last ? at : null,
    heartbeatAt: at,
  });
  return ok({ build: moved, ended: ended(build, 'completed', at), begun: null, failure: null });
}

/**
 * The build has failed and stays at its state. Usually the attempt under way has; where the milestone was completed and the next one not yet entered,
 * the failure is its alone, and the history keeps what was completed.
 */
export function fail(
  build: StoredBuild,
  { state, ...wanted }: FailureInput & { readonly state?: number | undefined },
  { id, at: now }: Made,
): Result<BuildMove, IllegalTransition> {
  if (!isLegal(build, 'fail')) return err(illegal(build, 'fail'));
  if (state !== undefined && state !== build.currentState) {
    return err(illegal(build, `fail ${state}`, [`fail ${build.currentState}`]));
  }
  const at = notBefore(build, now);
  const failure: BuildFailure = {
    id,
    buildId: build.id,
    state: build.currentState,
    failureType: wanted.failureType,
    errorMessage: wanted.errorMessage,
    errorDetails: wanted.errorDetails ?? null,
    component: wanted.component ?? null,
    retryAttempt: build.retryCount,
    resolved: false,
    resolutionNotes: null,
    createdAt: at,
    resolvedAt: null,
  };
  const moved = changed(build, at, { status: 'failed', attemptStartedAt: null, endTime: at });
  return ok({ build: moved, ended: ended(build, 'failed', at, wanted.errorMessage), begun: null, failure });
}

/** Ends a build that is not to go on. */
export function cancel(build: StoredBuild, now: Date): Result<BuildMove, IllegalTransition> {
  if (!isLegal(build, 'cancel')) return err(illegal(build, 'cancel'));
  const at = notBefore(build, now);
  const moved = changed(build, at, { status: 'canceled', attemptStartedAt: null, endTime: at });
  return ok({ build: moved, ended: ended(build, 'canceled', at), begun: null, failure: null });
}

/** The build with something said about it that moves neither its state nor its status. */
export function touched(build: StoredBuild, now: Date): StoredBuild {
  return changed(build, notBefore(build, now), {});
}

/** Whether a running build has been silent for too long. */
export function isOverdue(build: StoredBuild, now: Date): boolean {
  const deadline = deadlineOf(build);
  return deadline !== null && deadline <= now;
}

/** The milestones that the build may enter next. */
export function milestonesAhead(build: StoredBuild): readonly number[] {
  return build.milestones.filter((state) => build.attempts === 0 || state > build.currentState);
}

/** What a build that may move on can complete or enter. */
function waysOn(build: StoredBuild): readonly string[] {
  const underWay = build.attemptStartedAt === null ? [] : [`complete ${build.currentState}`];
  return [...underWay, ...milestonesAhead(build).map((next) => `enter ${next}`)];
}

/** Where `resume` would go on, and what is missing until the build is completed. */
export interface ResumePlan {
  readonly buildId: string;
  /** Whether `resume` is legal now: only a failed build resumes. */
  readonly resumable: boolean;
  /** What stands against it; `null` when it is resumable. */
  readonly why: string | null;
  /** The milestone that would be tried again. */
  readonly state: number;
  /** The `retryCount` that the try would have. */
  readonly retryCount: number;
  /** Milestones that have been completed. */
  readonly completed: readonly number[];
  /** Milestones below `state` that never were: passed over, or entered and not completed. */
  readonly skipped: readonly number[];
  /** Milestones that are still to be completed, `state` among them where it is. */
  readonly remaining: readonly number[];
  /** Failures that nobody has resolved. */
  readonly unresolvedFailures: number;
  /** The newest one. */
  readonly lastFailure: BuildFailure | null;
}

export function planResume(
  build: StoredBuild,
  completedStates: readonly number[],
  failures: { readonly last: BuildFailure | null; readonly unresolved: number },
): ResumePlan {
  const resumable = isLegal(build, 'resume');
  const completed = new Set(completedStates);
  return {
    buildId: build.id,
    resumable,
    why: resumable ? null : `the build is ${build.status}; only a failed one resumes`,
    state: build.currentState,
    retryCount: build.attempts === 0 ? 0 : build.retryCount + 1,
    completed: build.milestones.filter((state) => completed.has(state)),
    skipped: build.milestones.filter((state) => state < build.currentState && !completed.has(state)),
    remaining: build.milestones.filter((state) => state >= build.currentState && !completed.has(state)),
    unresolvedFailures: failures.unresolved,
    lastFailure: failures.last,
  };
}

/** A failure about which something was done. */
export function resolveFailure(
  failure: BuildFailure,
  notes: string,
  at: Date,
): Result<BuildFailure, IllegalTransition> {
  if (failure.resolved) return err(new IllegalTransition('failure', 'resolved', 'resolveFailure', []));
  return ok({ ...failure, resolved: true, resolutionNotes: notes, resolvedAt: at });
}

/** The next version of a project's plan. */
export function nextPlan(
  projectId: string,
  current: number,
  milestones: readonly (number | { readonly state: number; readonly name?: string | null | undefined })[],
  { id, at }: Made,
): StoredPlan {
  const named = milestones.map((given) => (typeof given === 'number' ? { state: given } : given));
  return {
    id,
    projectId,
    version: current + 1,
    milestones: named
      .map(({ state, name = null }: { readonly state: number; readonly name?: string | null | undefined }) => ({
        state,
        name,
      }))
      .sort((a, b) => a.state - b.state),
    createdAt: at,
  };
}

export function toBuild({ attemptStartedAt: _attemptStartedAt, ...build }: StoredBuild): Build {
  const { startTime, endTime } = build;
  return { ...build, durationMs: durationOf(startTime, endTime), deadline: deadlineOf(build) };
}

export function toBuildState(state: StoredBuildState): BuildState {
  return { ...state, durationMs: durationOf(state.startTime, state.endTime) };
}

function durationOf(start: Date | null, end: Date | null): number | null {
  return start === null || end === null ? null : end.getTime() - start.getTime();
}

function isLegal(build: StoredBuild, event: BuildEvent): boolean {
  return buildLifecycle[event].from.includes(build.status);
}

function illegal(
  build: StoredBuild,
  change: string,
  legal: readonly string[] = legalBuildEvents(build.status),
): IllegalTransition {
  const at = build.attempts === 0 ? '' : ` at ${build.currentState}`;
  return new IllegalTransition('build', `${build.status}${at}`, change, legal);
}

/** The attempt that is under way, as it ends; `null` when none is. */
function ended(
  build: StoredBuild,
  status: EndedAttempt['status'],
  at: Date,
  errorMessage: string | null = null,
): EndedAttempt | null {
  if (build.attemptStartedAt === null) return null;
  const { attempts: sequence, currentState: state, attemptStartedAt: startTime } = build;
  return { sequence, state, status, startTime, endTime: at, errorMessage };
}

function changed(build: StoredBuild, at: Date, fields: Partial<StoredBuild>): StoredBuild {
  return { ...build, ...fields, version: build.version + 1, updatedAt: at };
}

/** Clocks of several hosts differ: a build's time does not go back, so that no attempt ends before it began. */
function notBefore(build: StoredBuild, at: Date): Date {
  return at < build.updatedAt ? build.updatedAt : at;
}
