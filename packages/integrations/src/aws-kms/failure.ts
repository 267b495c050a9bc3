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
    const error = (typeof cause === 'object' && cause !== null ? cause : {}) as ServiceError;
    return new AwsKmsFailure(operation, {
      name: plainName(error.name),
      retryable: isRetryable(error),
      requestId: error.$metadata?.requestId ?? null,
    });
  }
}

/** What the AWS clients put on their errors. */
interface ServiceError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly $fault?: unknown;
  readonly $retryable?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

const busyOrIll = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'LimitExceededException',
  'DependencyTimeoutException',
  'KeyUnavailableException',
  'KMSInternalException',
  'ServiceUnavailable',
  'RequestTimeout',
  'TimeoutError',
  'AbortError',
]);

/** What Node says when a connection does not come about or breaks. */
const outOfReach =
  /^(ECONN(REFUSED|RESET|ABORTED)|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|E(HOST|NET)(UNREACH|DOWN)|ERR_SOCKET_.*|ERR_STREAM_PREMATURE_CLOSE|ERR_HTTP2_.*)$/;

function isRetryable({ name, code, $fault, $retryable, $metadata }: ServiceError): boolean {
  const status = $metadata?.httpStatusCode ?? 0;
  if ($retryable !== undefined || $fault === 'server' || status === 429 || status >= 500) return true;
  return busyOrIll.has(String(name)) || outOfReach.test(String(code));
}

function plainName(name: unknown): string {
  return typeof name === 'string' && /^\w{1,100}$/.test(name) ? name : 'Error';
}
