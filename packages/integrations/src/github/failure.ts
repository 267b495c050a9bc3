/**
 * GitHub did not do what it was asked for. Holds nothing of what was sent or answered but the status and the id of the request, which GitHub's support asks for.
 */
export class GitHubFailure extends Error {
  override readonly name = 'GitHubFailure';
  /** What GitHub answered; `null` when it did not. */
  readonly status: number | null;
  /** Whether trying again is of no use. */
  readonly refused: boolean;
  /** When trying again may help; `null` where nobody can say. */
  readonly retryAfterMs: number | null;
  readonly requestId: string | null;

  constructor(
    message: string,
    details: {
      readonly status?: number | null;
      readonly refused?: boolean;
      readonly retryAfterMs?: number | null;
      readonly requestId?: string | null;
    } = {},
  ) {
    const { status = null, refused = false, retryAfterMs = null, requestId = null } = details;
    super(requestId === null ? message : `${message} (request ${requestId})`);
    this.status = status;
    this.refused = refused;
    this.retryAfterMs = retryAfterMs;
    this.requestId = requestId;
  }

  /** Of what the client has thrown. Its own message is a stranger's, and its request has the token in its headers: neither is kept. */
  static from(task: string, cause: unknown): GitHubFailure {
    if (cause instanceof GitHubFailure) return cause;
    const { response } = (cause ?? {}) as { readonly response?: Answer };
    if (response === undefined) {
      const code = codeOf(cause);
      const retryAfterMs = code === 'AbortError' ? null : pauses.unreachable;
      return new GitHubFailure(`${task}: GitHub could not be asked (${code})`, { retryAfterMs });
    }

    const { status, headers = {} } = response;
    const id = headers['x-github-request-id'];
    const requestId = typeof id === 'string' && /^[\w:.-]{1,100}$/.test(id) ? id : null;
    const limitedMs = rateLimit(response);
    if (limitedMs !== null) {
      const message = `${task}: GitHub answered ${status}: the rate limit is reached`;
      return new GitHubFailure(message, { status, retryAfterMs: limitedMs, requestId });
    }
    const message = `${task}: GitHub answered ${status}`;
    const mayPass = status >= 500 || status === 408 || status === 409;
    if (!mayPass) return new GitHubFailure(message, { status, refused: true, requestId });
    return new GitHubFailure(message, { status, retryAfterMs: retryAfter(headers) ?? pauses.ill, requestId });
  }
}

/** Something that is no answer of GitHub's, behind a 200: the page of a proxy, or of another server at this address. */
export function expectAnswer(holds: boolean, task: string): asserts holds {
  if (holds) return;
  const message = `${task}: what came is no answer of GitHub's`;
  throw new GitHubFailure(message, { status: 200, retryAfterMs: pauses.ill });
}

/** The part of an answer that is looked at. */
interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string | number | undefined>>;
  readonly data?: unknown;
}

/** Where GitHub does not say how long: in milliseconds. For a secondary limit its documentation says at least a minute. */
const pauses = { unreachable: 5_000, ill: 10_000, secondaryLimit: 60_000 };

/** How long a rate limit lasts; `null` when the answer speaks of none. A 403 without any sign of a limit is a refusal. */
function rateLimit({ status, headers = {}, data }: Answer): number | null {
  if (status !== 403 && status !== 429) return null;
  const pauseMs = retryAfter(headers);
  if (pauseMs !== null) return pauseMs;
  const reset = Number(headers['x-ratelimit-reset']);
  if (String(headers['x-ratelimit-remaining']) === '0' && Number.isFinite(reset)) {
    return Math.max(1_000, reset * 1_000 - Date.now());
  }
  const text = (data as { message?: unknown } | null | undefined)?.message;
  const isSecondary = typeof text === 'string' && /secondary rate limit|abuse detection/i.test(text);
  return status === 429 || isSecondary ? pauses.secondaryLimit : null;
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfter(headers: NonNullable<Answer['headers']>): number | null {
  const value = headers['retry-after'];
  if (value === undefined) return null;
  if (/^\d{1,9}$/.test(String(value))) return Number(value) * 1_000;
  const date = Date.parse(String(value));
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

function codeOf(cause: unknown): string {
  const { name, code, cause: inner } = (cause ?? {}) as { name?: unknown; code?: unknown; cause?: unknown };
  const nested = (inner ?? {}) as { name?: unknown; code?: unknown; cause?: { code?: unknown } };
  const names = [code, nested.cause?.code, nested.code, nested.name, name];
  return names.find((each): each is string => typeof each === 'string' && /^[A-Za-z_]\w{0,49}$/.test(each)) ?? 'Error';
}
