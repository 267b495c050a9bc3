/**
 * A pipeline was not started, or not cancelled, or nobody knows. Holds nothing of what was sent.
 *
 * `refused`: the server has said no, and would say it again (a status of 400 to 499 other than 408 and 429): the change has failed. Otherwise the
 * change stays pending and `sweep` calls again, under the same idempotency key.
 */
export class PipelineRequestFailed extends Error {
  override readonly name = 'PipelineRequestFailed';
  readonly refused: boolean;
  /** What the server answered last; `null` when it did not. */
  readonly status: number | null;
  /** How often it was asked in this call. */
  readonly attempts: number;
  /** What the server asked for in its last answer; `null` when it did not say. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    details: {
      readonly refused: boolean;
      readonly status: number | null;
      readonly attempts: number;
      readonly retryAfterMs?: number | null;
    },
  ) {
    super(message);
    this.refused = details.refused;
    this.status = details.status;
    this.attempts = details.attempts;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }
}
