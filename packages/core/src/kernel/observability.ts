import type { Actor } from './actor.ts';

/** One finished call, for metrics and traces: which method, how long, and how it ended. */
export interface CallRecord {
  readonly method: string;
  readonly orgId: string;
  readonly durationMs: number;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
}

/** Receives every finished call. What it throws is ignored. */
export interface Telemetry {
  call(record: CallRecord): void;
}

/** Values of variables were handed out: whose, to whom, by which method. Keys only, never values. */
export interface VariableAccess {
  readonly method: string;
  readonly orgId: string;
  readonly actor: Actor;
  readonly projectId: string;
  readonly environmentId: string;
  readonly keys: readonly string[];
}

/** The pipeline runner rejected a start. */
export interface PipelineFailure {
  readonly orgId: string;
  readonly stateChangeId: string;
  /** Whether it refused, which fails the change; otherwise `sweep` will call again. */
  readonly refused: boolean;
  /** What it rejected with. */
  readonly error: unknown;
}

/** A port of previews rejected. */
export interface PreviewFailure {
  readonly orgId: string;
  readonly projectEnvironmentId: string;
  /** Which step: `authenticate`, `head`, `comment`, `token`, `runtime`, `removal`; `send` to the queue; or `work` in this process. */
  readonly step: string;
  /** What it rejected with. */
  readonly error: unknown;
}

/**
 * What a host can listen to. Reading plain values is not journalled, because every render would then be a write; a host that has to log it
 * does so here. What a hook throws is ignored.
 */
export interface Hooks {
  /** Values were handed out. Called before the caller has them. */
  onVariableAccess?(access: VariableAccess): void;
  /** A pipeline was not started. `error` is the runner's own, for the host's log. */
  onPipelineFailure?(failure: PipelineFailure): void;
  /** A step of a preview did not succeed. `error` is the port's own, for the host's log. */
  onPreviewFailure?(failure: PreviewFailure): void;
}

/** Calls a listener that must not be able to disturb the call it listens to. */
export function notify(listener: () => void): void {
  try {
    listener();
  } catch {
    // A broken listener is the host's to notice; the call it watched has succeeded or failed by itself.
  }
}
