import { factsOf } from '../aws/service-error.ts';

/**
 * SQS did not do what it was asked for. `name` is what SQS or its client calls the error (`QueueDoesNotExist`, `RequestThrottled`, `TimeoutError`, …). Nothing else
 * of that error is kept.
 */
export class AwsSqsFailure extends Error {
  readonly operation: string;
  /** Whether the same call may succeed later: SQS was busy, ill, or out of reach. */
  readonly retryable: boolean;
  /** What AWS support asks for; `null` where SQS did not answer. */
  readonly requestId: string | null;

  constructor(
    operation: string,
    details: { readonly name: string; readonly retryable: boolean; readonly requestId: string | null },
  ) {
    const { name, retryable, requestId } = details;
    super(`${operation}: ${name}${requestId === null ? '' : ` (request ${requestId})`}`);
    this.name = name;
    this.operation = operation;
    this.retryable = retryable;
    this.requestId = requestId;
  }

  static from(operation: string, cause: unknown): AwsSqsFailure {
    return new AwsSqsFailure(operation, factsOf(cause));
  }
}
