import { VivariumError } from '../kernel/errors.ts';

/** A report is unsigned, or signed with another key than its run's. Nothing was recorded. */
export class InvalidSignature extends VivariumError {
  readonly code = 'invalid_signature';

  constructor() {
    super('the signature is not one of the key that was handed to this run');
  }
}

/** A step of a preview's run did not succeed. Give the message back to the queue: it goes on where this try ended. */
export class PreviewStepFailed extends VivariumError {
  readonly code = 'preview_step_failed';
  readonly step: string;
  /** Milliseconds before trying again is of use; `null` when nobody said. */
  readonly retryAfterMs: number | null;

  constructor(step: string, retryAfterMs: number | null, options?: { cause?: unknown }) {
    super(`the step ${step} did not succeed; deliver the message again`, options);
    this.step = step;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The pull request comes from a fork, and the host's rule for forks does not let it run, or not before a person has approved the commit. */
export class ForkNotAllowed extends VivariumError {
  readonly code = 'fork_not_allowed';
  readonly forks: string;

  constructor(forks: string) {
    super(
      forks === 'approve'
        ? 'the commit comes from a fork: a person has to approve it first'
        : 'pull requests from forks get no preview here',
    );
    this.forks = forks;
  }
}
/** There is a project environment of this name that the preview manager does not drive: deployments are reported to it by others. */
export class ManagedElsewhere extends VivariumError {
  readonly code = 'managed_elsewhere';
  readonly environment: string;

  constructor(environment: string) {
    super(`${JSON.stringify(environment)} is an environment whose deployments are reported by others; delete it, or take another name`);
    this.environment = environment;
  }
}
