import { factsOf } from '../aws/service-error.ts';

/**
 * Why KMS gave no key. `name` is what KMS or its client calls the error (`AccessDeniedException`, `ThrottlingException`, `TimeoutError`, …). Nothing
 * else of that error is kept: its text may repeat a part of what was sent or answered.
 */
export class AwsKmsFailure extends Error {
  readonly operation: string;
  /** Whether the same call may succeed later: KMS was busy, ill, or out of reach. */
  readonly retryable: boolean;
  /** What AWS support asks for; `null` where KMS did not answer. */
  readonly requestId: string | null;

  constructor(
    operation: string,
    details: { readonly name: string; readonly retryable?: boolean; readonly requestId?: string | null },
  ) {
    const { name, retryable = false, requestId = null } = details;
    super(`${operation}: ${name}${requestId === null ? '' : ` (request ${requestId})`}`);
    this.name = name;
    this.operation = operation;
    this.retryable = retryable;
    this.requestId = requestId;
  }

  static from(operation: string, cause: unknown): AwsKmsFailure {
    if (cause instanceof AwsKmsFailure) return cause;
    return new AwsKmsFailure(operation, factsOf(cause));
  }
}
