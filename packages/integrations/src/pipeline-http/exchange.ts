import { readText } from '../http/body.ts';
import { mediaType } from '../http/media-type.ts';
import { PipelineRequestFailed } from './failure.ts';

/** How requests are sent, tried again and given up. */
export interface ExchangeSettings {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
  readonly retries: number;
  /** What messages call the server: `the pipeline server` when not given. */
  readonly server?: string;
}

/** What a server that took the request on has answered. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  /** How many tries it took. */
  readonly attempts: number;
}

/**
 * The longest that all tries of one call take. Vivarium calls again for a change that nobody has taken on within 30 seconds: by then, this call is
 * to be over.
 */
export const longestCallMs = 25_000;

const longestAnswer = 65_536;

/** With less time left, a try is not worth its while. */
const shortestTryMs = 1_000;
const [firstPauseMs, longestPauseMs] = [250, 4_000];

/** How one try ended: with an answer, or with why not and what to do about it. */
type Attempt =
  | { readonly end: 'answered'; readonly answer: Omit<Answer, 'attempts'> }
  | { readonly end: 'try again'; readonly why: string; readonly status: number | null; readonly afterMs: number | null }
  | { readonly end: 'refused' | 'failed'; readonly why: string; readonly status: number };

/** Posts until the server says yes or no, or until time or tries are up. Rejects with `PipelineRequestFailed`. */
export async function post(
  settings: ExchangeSettings,
  request: () => { readonly headers: Readonly<Record<string, string>>; readonly body: string },
): Promise<Answer> {
  const until = performance.now() + longestCallMs;
  const remaining = () => until - performance.now();
  let mayHaveArrived = false;

  for (let attempts = 1; ; attempts++) {
    const outcome = await attempt(
      { ...settings, timeoutMs: Math.min(settings.timeoutMs, remaining()) },
      request(),
      mayHaveArrived,
    );
    if (outcome.end === 'answered') return { ...outcome.answer, attempts };

    const { why, status, end } = outcome;
    const retryAfterMs = outcome.end === 'try again' ? outcome.afterMs : null;
    const failure = new PipelineRequestFailed(why, { refused: end === 'refused', status, attempts, retryAfterMs });
    if (outcome.end !== 'try again' || attempts > settings.retries) throw failure;
    const pauseMs = outcome.afterMs ?? jitter(attempts);
    if (pauseMs + shortestTryMs > remaining()) throw failure;
    mayHaveArrived ||= status !== 429;
    await pause(pauseMs);
  }
}

async function attempt(
  { url, fetch, timeoutMs, server = 'the pipeline server' }: ExchangeSettings,
  request: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  mayHaveArrived: boolean,
): Promise<Attempt> {
  const patience = new AbortController();
  const expiry = setTimeout(() => patience.abort(), timeoutMs);
  // A `fetch` of the host's own may not listen to the signal.
  const expired = new Promise<never>((_, reject) => {
    patience.signal.addEventListener('abort', () => reject(new Error('timeout')), { once: true });
  });
  const exchange = async (): Promise<Attempt> => {
    const response = await fetch(url, { ...request, method: 'POST', redirect: 'manual', signal: patience.signal });
    if (!response.ok || response.redirected) {
      void response.body?.cancel().catch(() => {});
      return notTakenOn(response, mayHaveArrived);
    }
    const read = await readText(response.body, { maximumBytes: longestAnswer, signal: patience.signal });
    if ('fault' in read)
      return { end: 'failed', why: `answered with a body that is ${read.fault}`, status: response.status };
    return {
      end: 'answered',
      answer: { status: response.status, contentType: mediaType(response.headers), text: read.text },
    };
  };

  try {
    const outcome = await Promise.race([exchange(), expired]);
    return 'why' in outcome ? { ...outcome, why: `${server} ${outcome.why}` } : outcome;
  } catch (cause) {
    const why = patience.signal.aborted
      ? `${server} did not answer within ${Math.round(timeoutMs)} ms`
      : `${server} could not be asked (${codeOf(cause)})`;
    return { end: 'try again', why, status: null, afterMs: null };
  } finally {
    clearTimeout(expiry);
  }
}

function notTakenOn({ status, redirected, headers, type }: Response, mayHaveArrived: boolean): Attempt {
  if (redirected || type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    return {
      end: 'failed',
      why: `answered with a redirect (${status}), which is not followed: the token would go along`,
      status,
    };
  }
  const why = `answered ${status}`;
  // A try before this one may still be at work: that is what some servers say to a second request with the same idempotency key.
  const isBusyWithIt = status === 409 && mayHaveArrived;
  if (status >= 500 || status === 408 || status === 429 || isBusyWithIt) {
    return { end: 'try again', why, status, afterMs: retryAfter(headers.get('retry-after')) };
  }
  return { end: status >= 400 ? 'refused' : 'failed', why, status };
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfter(value: string | null): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

/** Full jitter: a random time up to a bound that doubles, so that those who failed together do not come back together. */
function jitter(attempts: number): number {
  return Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** (attempts - 1));
}

/** `ECONNREFUSED` and its like. The message is left out: it is a stranger's. */
function codeOf(cause: unknown): string {
  const { code, cause: inner, name } = (cause ?? {}) as { code?: unknown; cause?: unknown; name?: unknown };
  const nested = (inner as { code?: unknown } | undefined)?.code;
  return (
    [code, nested, name].find((each): each is string => typeof each === 'string' && /^\w{1,50}$/.test(each)) ?? 'Error'
  );
}
