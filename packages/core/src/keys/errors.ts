import { VivariumError } from '../kernel/errors.ts';

/** The key management did not do its work: it could not be reached, or it refused. Nothing was written. */
export class KeyManagementFailure extends VivariumError {
  readonly code = 'key_management_failure';
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;

  constructor(message: string, details: { readonly retryable: boolean; readonly cause?: unknown }) {
    super(message, { cause: details.cause });
    this.retryable = details.retryable;
  }
}

/**
 * A sealed value, or the data key that it was sealed with, does not open: it was changed, moved here from another row, or sealed under a key
 * that is gone. `variable` says which value; what is in it stays unknown.
 */
export class UnsealingFailed extends VivariumError {
  readonly code = 'unsealing_failed';
  readonly variable: string;

  constructor(variable: string) {
    super(`the sealed value of ${variable} does not open: it is not what was sealed for this place`);
    this.variable = variable;
  }
}
