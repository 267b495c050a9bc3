import type { Instance, StateChange, StateChangeAction } from './model.ts';

/** What a runner is given to start a change. */
export interface PipelineStart {
  readonly orgId: string;
  readonly action: StateChangeAction;
  readonly instance: Instance;
  /** Its id is the idempotency key: the same change may be started again when nobody knows whether it was. */
  readonly stateChange: StateChange;
  /**
   * 256 random bits in base64url. Whoever has it may complete the change and use the secrets that the change may use, until the change ends. Hand
   * it to the pipeline as a secret. Another call for the same change brings another token; all of them hold.
   */
  readonly token: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The runner's own names for what it started. */
export interface PipelineStarted {
  readonly executionPipelineId?: string | null | undefined;
  readonly executionId?: string | null | undefined;
}

/** What a runner is given to stop what it has started. */
export type PipelineCancel = Omit<PipelineStart, 'token' | 'parameters'>;

/**
 * Starts pipelines: the port to a CI system. `@vivarium/integrations/pipeline-http` calls one over HTTP; a function in the same process will do, too.
 *
 * `start` answers once the pipeline has been taken on, not when it is done: the pipeline says so itself with `stateChanges.complete`. Rejecting
 * with an error whose `refused` is true fails the change; with any other error it stays pending, and `sweep` calls again.
 */
export interface PipelineRunner {
  /** Starts the pipeline of a change, at most once for each `stateChange.id`. */
  start(start: PipelineStart): Promise<PipelineStarted | void>;
  /** Stops what was started; the change has ended already. What it rejects with is ignored. */
  cancel(cancel: PipelineCancel): Promise<void>;
}
