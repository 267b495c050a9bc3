/** What is known of a request to a server of the host's that did not succeed. */
export interface FailedRequest {
  /** The server has said no, and would say it again. */
  readonly refused: boolean;
  readonly status: number | null;
  readonly attempts: number;
  readonly retryAfterMs?: number | null;
}

/** A server of the host's did not do what it was asked for, or nobody knows. Holds nothing of what was sent. */
export abstract class RequestFailed extends Error {
  /** The server has said no, and would say it again: a status of 400 to 499 other than 408 and 429. */
  readonly refused: boolean;
  /** What the server answered last; `null` when it did not. */
  readonly status: number | null;
  /** How often it was asked in this call. */
  readonly attempts: number;
  /** What the server asked for in its last answer; `null` when it did not say. */
  readonly retryAfterMs: number | null;

  constructor(message: string, { refused, status, attempts, retryAfterMs = null }: FailedRequest) {
    super(message);
    this.refused = refused;
    this.status = status;
    this.attempts = attempts;
    this.retryAfterMs = retryAfterMs;
  }
}
