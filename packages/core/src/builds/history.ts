/** A history made elsewhere, held against the same rules as one made here: it is replayed, and what does not follow is named. */
import type { Actor } from '../kernel/actor.ts';
import { InvalidInput } from '../kernel/errors.ts';
import type { InputIssue } from '../kernel/errors.ts';
import type { JsonObject } from '../kernel/json.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import type { AttemptStatus, BuildFailure, BuildMove, StoredBuild, StoredBuildState } from './model.ts';
import type { BuildStatus } from './lifecycle.ts';
import { cancel, complete, enter, fail, newBuild, resume } from './rules.ts';
import type { NewBuild } from './rules.ts';

/** An attempt in a history. Its `retryCount` is counted when not given, and checked when it is. */
export interface ImportedState {
  readonly state: number;
  readonly status: AttemptStatus;
  readonly startTime: Date;
  /** Needed unless the attempt is still under way. */
  readonly endTime?: Date | null | undefined;
  readonly errorMessage?: string | null | undefined;
  readonly retryCount?: number | undefined;
}

/** A failure in a history: of the attempt at `state` with this `retryCount` (0 when not given). */
export interface ImportedFailure {
  readonly state: number;
  readonly retryAttempt?: number | undefined;
  readonly failureType: string;
  readonly errorMessage: string;
  readonly component?: string | null | undefined;
  readonly errorDetails?: JsonObject | null | undefined;
  readonly createdAt: Date;
  readonly resolved?: boolean | undefined;
  readonly resolutionNotes?: string | null | undefined;
  readonly resolvedAt?: Date | null | undefined;
}

/** A build that was run elsewhere: its times are its own, its order is that of `states`. */
export interface BuildHistory extends NewBuild {
  readonly status: BuildStatus;
  readonly createdAt: Date;
  /** Needed for a build that was canceled while no attempt was under way; checked where it is given. */
  readonly endTime?: Date | null | undefined;
  /** In the order in which they happened; at most 1,000. */
  readonly states: readonly ImportedState[];
  /** At most 1,000. */
  readonly failures?: readonly ImportedFailure[] | undefined;
}

/** What a history comes to. */
export interface ReplayedHistory {
  readonly build: StoredBuild;
  readonly states: readonly StoredBuildState[];
  readonly failures: readonly BuildFailure[];
}

/** The clocks of two hosts may differ by this much before a time counts as being in the future. */
const clockSkewMs = 60_000;

export function replayHistory(
  history: BuildHistory,
  plan: { readonly version: number; readonly milestones: readonly { readonly state: number }[] },
  by: Actor,
  { id, ids, at }: { readonly id: string; readonly ids: { next(): string }; readonly at: Date },
): Result<ReplayedHistory, InvalidInput> {
  const failures = (history.failures ?? []).map((given) => toFailure(given, id, ids.next()));
  const replay = new Replay(newBuild(history, plan, by, { id, at: history.createdAt }), failures, at);
  const impossible = replay.begin() ?? unresolvedWithNotes(history.failures ?? []);
  if (impossible !== null) return err(new InvalidInput([impossible]));

  for (const [index, attempt] of history.states.entries()) {
    const issue = replay.attempt(attempt, `states[${index}]`, ids.next());
    if (issue !== null) return err(new InvalidInput([issue]));
  }
  const issue = replay.end(history) ?? replay.unmatched();
  if (issue !== null) return err(new InvalidInput([issue]));
  return ok(replay.outcome());
}

/** Notes on a failure that nobody has resolved would be lost. */
function unresolvedWithNotes(failures: readonly ImportedFailure[]): InputIssue | null {
  for (const [index, { resolved = false, resolutionNotes, resolvedAt }] of failures.entries()) {
    const field = resolutionNotes != null ? 'resolutionNotes' : resolvedAt != null ? 'resolvedAt' : null;
    if (resolved || field === null) continue;
    return { path: `failures[${index}].${field}`, message: 'must not be given for a failure that is not resolved' };
  }
  return null;
}

function toFailure(given: ImportedFailure, buildId: string, id: string): BuildFailure {
  const resolved = given.resolved ?? false;
  return {
    id,
    buildId,
    state: given.state,
    failureType: given.failureType,
    errorMessage: given.errorMessage,
    errorDetails: given.errorDetails ?? null,
    component: given.component ?? null,
    retryAttempt: given.retryAttempt ?? 0,
    resolved,
    resolutionNotes: resolved ? (given.resolutionNotes ?? null) : null,
    createdAt: given.createdAt,
    resolvedAt: resolved ? (given.resolvedAt ?? given.createdAt) : null,
  };
}

class Replay {
  #build: StoredBuild;
  readonly #states: StoredBuildState[] = [];
  readonly #failures: readonly BuildFailure[];
  readonly #now: Date;
  /** Attempts that failed, as `state/retryCount`: what failures may belong to. */
  readonly #failed = new Set<string>();

  constructor(build: StoredBuild, failures: readonly BuildFailure[], now: Date) {
    this.#build = build;
    this.#failures = failures;
    this.#now = now;
  }

  begin(): InputIssue | null {
    return this.#isFuture(this.#build.createdAt) ? { path: 'createdAt', message: 'must not be in the future' } : null;
  }

  attempt(given: ImportedState, path: string, id: string): InputIssue | null {
    const untimely = this.#checkTimes(given, path);
    if (untimely !== null) return untimely;
    if (this.#build.status === 'canceled' || this.#build.status === 'completed') {
      return { path, message: `must not come after the build was ${this.#build.status}` };
    }
    // Completed, and tried again: then the build has failed in between, of which only a failure tells.
    const again = this.#build.attempts > 0 && given.state === this.#build.currentState;
    if (again && this.#build.status === 'running') this.#failAfterCompletion();
    if (given.startTime < this.#build.updatedAt) return this.#tooEarly(path);

    const made = { id, at: given.startTime };
    const begun = again ? resume(this.#build, made) : enter(this.#build, given.state, made);
    if (begun.isErr()) return { path: `${path}.state`, message: this.#refusal(begun.error) };
    const wrong = this.#apply(begun.value, path, given);
    return wrong ?? this.#endOf(given, path);
  }

  /** What the attempts lead to has to be what the history says that it is. */
  end({ status, endTime }: BuildHistory): InputIssue | null {
    if (this.#build.status === 'running' && (status === 'failed' || status === 'canceled')) this.#failAfterCompletion();
    if (status === 'canceled' && this.#build.status !== 'canceled') {
      if (this.#build.status === 'completed') return { path: 'status', message: 'must be completed: 100 was' };
      if (endTime == null) return { path: 'endTime', message: 'must be given: when was the build canceled?' };
      if (this.#build.attemptStartedAt !== null) {
        return { path: 'status', message: 'must be running: an attempt is still under way' };
      }
      if (endTime < this.#build.updatedAt || this.#isFuture(endTime)) {
        return { path: 'endTime', message: 'must be after the last attempt, and not in the future' };
      }
      this.#build = unwrapped(cancel(this.#build, endTime)).build;
    }
    if (this.#build.status !== status) {
      return { path: 'status', message: `must be ${this.#build.status}: that is what the attempts lead to` };
    }
    if (endTime != null && this.#build.endTime?.getTime() !== endTime.getTime()) {
      const ended = this.#build.endTime === null ? 'none: the build has not ended' : this.#build.endTime.toISOString();
      return { path: 'endTime', message: `must be ${ended}` };
    }
    return null;
  }

  /** A failure of an attempt that did not fail. */
  unmatched(): InputIssue | null {
    for (const [index, { state, retryAttempt, createdAt, resolvedAt }] of this.#failures.entries()) {
      const path = `failures[${index}]`;
      if (!this.#failed.has(`${state}/${retryAttempt}`)) {
        return { path, message: `no attempt at ${state} with retryCount ${retryAttempt} has failed` };
      }
      if (createdAt < this.#build.createdAt || this.#isFuture(createdAt)) {
        return { path: `${path}.createdAt`, message: 'must be after the build was created, and not in the future' };
      }
      if (resolvedAt !== null && (resolvedAt < createdAt || this.#isFuture(resolvedAt))) {
        return { path: `${path}.resolvedAt`, message: 'must be after createdAt, and not in the future' };
      }
    }
    return null;
  }

  /** One write makes it, at its first version. A running build shows its sign of life with it. */
  outcome(): ReplayedHistory {
    const heartbeatAt = this.#build.status === 'running' ? this.#now : this.#build.heartbeatAt;
    // What happens next must not come before what has happened here: the other host's clock may be ahead.
    const updatedAt = this.#build.updatedAt > this.#now ? this.#build.updatedAt : this.#now;
    const build = { ...this.#build, heartbeatAt, version: 1, updatedAt };
    return { build, states: this.#states, failures: this.#failures };
  }

  #checkTimes({ status, startTime, endTime, errorMessage }: ImportedState, path: string): InputIssue | null {
    if (startTime < this.#build.updatedAt) return this.#tooEarly(path);
    if (this.#isFuture(startTime)) return { path: `${path}.startTime`, message: 'must not be in the future' };
    if (status === 'started') {
      if (errorMessage != null) return { path: `${path}.errorMessage`, message: 'must not be given: it is under way' };
      return endTime == null ? null : { path: `${path}.endTime`, message: 'must not be given: it is under way' };
    }
    if (endTime == null) return { path: `${path}.endTime`, message: 'must be given for an attempt that has ended' };
    if (endTime < startTime) return { path: `${path}.endTime`, message: 'must not be before startTime' };
    return this.#isFuture(endTime) ? { path: `${path}.endTime`, message: 'must not be in the future' } : null;
  }

  #endOf({ state, status, endTime, errorMessage }: ImportedState, path: string): InputIssue | null {
    if (status === 'started' || endTime == null) return null;
    const { retryCount } = this.#build;
    const ended =
      status === 'completed'
        ? complete(this.#build, state, endTime)
        : status === 'canceled'
          ? cancel(this.#build, endTime)
          : fail(this.#build, { failureType: '', errorMessage: errorMessage ?? '' }, { id: '', at: endTime });
    if (status === 'failed') this.#failed.add(`${state}/${retryCount}`);
    if (ended.isErr()) return { path: `${path}.status`, message: this.#refusal(ended.error) };
    this.#build = ended.value.build;
    const last = this.#states.length - 1;
    this.#states[last] = { ...this.#states[last]!, status, endTime, errorMessage: errorMessage ?? null };
    return null;
  }

  #apply({ build, begun, ended }: BuildMove, path: string, given: ImportedState): InputIssue | null {
    // Entering completes what is under way; in a history it has to say when it ended.
    if (ended !== null) {
      return { path, message: 'must not begin while the attempt before it is under way: give that one its end' };
    }
    if (given.retryCount !== undefined && given.retryCount !== begun!.retryCount) {
      return { path: `${path}.retryCount`, message: `must be ${begun!.retryCount}` };
    }
    this.#build = build;
    this.#states.push(begun!);
    return null;
  }

  #failAfterCompletion(): void {
    const { currentState, retryCount, attemptStartedAt, updatedAt } = this.#build;
    const failure = this.#failures.find(
      ({ state, retryAttempt, createdAt }) =>
        state === currentState && retryAttempt === retryCount && createdAt >= updatedAt,
    );
    if (failure === undefined || attemptStartedAt !== null) return;
    this.#build = unwrapped(fail(this.#build, failure, { id: failure.id, at: failure.createdAt })).build;
    this.#failed.add(`${currentState}/${retryCount}`);
  }

  #tooEarly(path: string): InputIssue {
    return { path: `${path}.startTime`, message: `must not be before ${this.#build.updatedAt.toISOString()}` };
  }

  #isFuture(time: Date): boolean {
    return time.getTime() > this.#now.getTime() + clockSkewMs;
  }

  #refusal(error: { readonly message: string; readonly issues?: readonly InputIssue[] }): string {
    return error.issues?.[0]?.message ?? error.message;
  }
}

function unwrapped<T>(result: Result<T, unknown>): T {
  return result._unsafeUnwrap();
}
