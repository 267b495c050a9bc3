import { SecretText } from '@vivarium/core';
import type { Runtime } from '@vivarium/core';
import { checkOptions, may, must } from '@vivarium/core/storage';

import { longestCallMs, post } from '../pipeline-http/exchange.ts';
import type { Answer } from '../pipeline-http/exchange.ts';
import { PipelineRequestFailed } from '../pipeline-http/failure.ts';
import { minimumSecretBytes, signatureHeader, signatureOf, timestampHeader } from '../pipeline-http/signature.ts';
import { privateUrl } from '../private-url.ts';
import { wholeNumber } from '../whole-number.ts';
import { RuntimeRequestFailed } from './failure.ts';
import { createRequest, idempotencyKeyOf, removeRequest } from './request.ts';
import type { RuntimeServiceRequest } from './request.ts';

/** Where runtimes are asked for, and how patiently. */
export interface HttpRuntimeOptions {
  /** Where requests are posted. `https:`, or `http:` to this machine itself. */
  readonly url: string;
  /** Signs the requests; the server has it, too. At least 32 bytes. */
  readonly secret: SecretText | string;
  /** Told to the runtime: where the host has mounted `reportHandler`. */
  readonly reportUrl?: string | undefined;
  /** For a proxy, client certificates, tracing. Has to leave redirects alone (`redirect: 'manual'`). */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** How long one try may take: 10,000 when not given, at most 25,000. All tries together take at most 25 seconds. */
  readonly timeoutMs?: number | undefined;
  /** How often a request is tried again: twice when not given, at most 10 times. */
  readonly retries?: number | undefined;
  /** Lets `url` be `http:` on another machine: secrets then travel in the clear. */
  readonly allowPlainHttp?: boolean | undefined;
}

/**
 * Runs previews behind an HTTP endpoint: each creation and each removal is one signed POST of JSON, tried again after network errors, timeouts and the statuses 408, 429 and 500 to
 * 599 (after `Retry-After`), under the same `idempotency-key`. Redirects are not followed. Secrets and the token are in the body, and nowhere else.
 *
 * To a creation the server answers 200 to 299 once it has taken the run on, with nothing or with JSON `{ runtimeId? }`. To a removal 404 and 410 are an answer as good as 200: it
 * is gone.
 *
 * Rejects with {@link RuntimeRequestFailed}. Throws `InvalidInput` on a wrong configuration.
 */
export function httpRuntime(options: HttpRuntimeOptions): Runtime {
  check(options);
  const { reportUrl = null, fetch = globalThis.fetch, timeoutMs = 10_000, retries = 2 } = options;
  const url = new URL(options.url).href;
  const secret = typeof options.secret === 'string' ? new SecretText(options.secret) : options.secret;

  const send = async (request: RuntimeServiceRequest, signal: AbortSignal | undefined): Promise<Answer> => {
    const body = JSON.stringify(request);
    const settings = { url, fetch: stoppedBy(signal, fetch), timeoutMs, retries, server: 'the runtime server' };
    try {
      return await post(settings, () => {
        // Signed at each try, so that none is outside the window of the receiver.
        const timestamp = String(Math.floor(Date.now() / 1_000));
        const headers = {
          accept: 'application/json',
          'content-type': 'application/json',
          'idempotency-key': idempotencyKeyOf(request),
          [timestampHeader]: timestamp,
          [signatureHeader]: signatureOf(secret.reveal(), timestamp, body),
        };
        return { headers, body };
      });
    } catch (cause) {
      if (cause instanceof PipelineRequestFailed) throw new RuntimeRequestFailed(cause.message, cause);
      throw cause;
    }
  };

  return {
    create: async (creation) => created(await send(createRequest(creation, reportUrl), creation.signal)),
    remove: async (removal) => {
      try {
        await send(removeRequest(removal), removal.signal);
      } catch (cause) {
        const isGone = cause instanceof RuntimeRequestFailed && (cause.status === 404 || cause.status === 410);
        if (!isGone) throw cause;
      }
    },
  };
}

/** Ends a try when the caller gives up; another one then ends before it has sent anything. */
function stoppedBy(signal: AbortSignal | undefined, fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  if (signal === undefined) return fetch;
  return (input, init) => {
    const patience = init?.signal;
    return fetch(input, { ...init, signal: patience == null ? signal : AbortSignal.any([signal, patience]) });
  };
}

/** Something that is no JSON, behind a 200, is a login page or a default page: nobody has taken anything on. */
function created({ status, contentType, text, attempts }: Answer): { readonly runtimeId: string | null } {
  if (text.trim() === '') return { runtimeId: null };
  const answer = /^application\/(.+\+)?json$/.test(contentType) ? parsed(text) : null;
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) {
    const why = `the runtime server answered ${status} with something that is no JSON object`;
    throw new RuntimeRequestFailed(why, { refused: false, status, attempts });
  }
  const { runtimeId } = answer as { readonly runtimeId?: unknown };
  if (Number.isSafeInteger(runtimeId)) return { runtimeId: String(runtimeId) };
  return { runtimeId: typeof runtimeId === 'string' && runtimeId !== '' ? runtimeId : null };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function check(options: HttpRuntimeOptions): void {
  checkOptions(options, {
    url: (url) => privateUrl(url, options.allowPlainHttp === true),
    secret: must((secret) => {
      const text = secret instanceof SecretText ? secret.reveal() : secret;
      return typeof text === 'string' && Buffer.byteLength(text) >= minimumSecretBytes;
    }, `must have at least ${minimumSecretBytes} bytes`),
    reportUrl: may((url) => typeof url === 'string' && URL.canParse(url), 'must be a URL'),
    fetch: may((fetch) => typeof fetch === 'function', 'must be a function'),
    timeoutMs: wholeNumber(1, longestCallMs),
    retries: wholeNumber(0, 10),
    allowPlainHttp: may((allowed) => typeof allowed === 'boolean', 'must be true or false'),
  });
}
