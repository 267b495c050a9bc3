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

  /** Whether trying again is of no use. */
  readonly refused: boolean;
  /** The HTTP status that the port was answered with; `null` when it did not say. */
  readonly status: number | null;

  constructor(
    step: string,
    {
      retryAfterMs = null,
      refused = false,
      status = null,
    }: { readonly retryAfterMs?: number | null; readonly refused?: boolean; readonly status?: number | null } = {},
  ) {
    const answered = status === null ? '' : ` (HTTP ${status})`;
    super(`the step ${step} ${refused ? 'was refused' : 'did not succeed'}${answered}`);
    this.step = step;
    this.retryAfterMs = retryAfterMs;
    this.refused = refused;
    this.status = status;
  }
}

/** The pull request comes from a fork, and the host's rule for forks is to ignore these. */
export class ForkNotAllowed extends VivariumError {
  readonly code = 'fork_not_allowed';
  /** Whose branch it is. */
  readonly headRepo: string;

  constructor(headRepo: string) {
    super(`the branch is one of the fork ${headRepo}, and pull requests from forks get no preview here`);
    this.headRepo = headRepo;
  }
}

/** There is a project environment of this name that the preview manager does not drive: deployments are reported to it by others. */
export class ManagedElsewhere extends VivariumError {
  readonly code = 'managed_elsewhere';
  readonly environment: string;

  constructor(environment: string) {
    super(
      `${JSON.stringify(environment)} is an environment whose deployments are reported by others; delete it, or take another name`,
    );
    this.environment = environment;
  }
}
