/** What is kept of an error of the AWS clients: nothing of its text, which may repeat a part of what was sent or answered. */
export interface ServiceErrorFacts {
  /** What the service or its client calls it: `AccessDeniedException`, `ThrottlingException`, `TimeoutError`, … */
  readonly name: string;
  /** Whether the same call may succeed later: the service was busy, ill, or out of reach. */
  readonly retryable: boolean;
  /** What AWS support asks for; `null` where the service did not answer. */
  readonly requestId: string | null;
}

export function factsOf(cause: unknown): ServiceErrorFacts {
  const error = (typeof cause === 'object' && cause !== null ? cause : {}) as ServiceError;
  return {
    name: plainName(error.name),
    retryable: isRetryable(error),
    requestId: error.$metadata?.requestId ?? null,
  };
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
  'RequestThrottled',
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
