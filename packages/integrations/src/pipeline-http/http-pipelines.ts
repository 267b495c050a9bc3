import type { PipelineRunner, PipelineStarted } from '@vivarium/core';
import { checkOptions, may, must } from '@vivarium/core/storage';

import { privateUrl } from '../private-url.ts';
import { wholeNumber } from '../whole-number.ts';
import { longestCallMs, post } from './exchange.ts';
import type { Answer } from './exchange.ts';
import { PipelineRequestFailed } from './failure.ts';
import { cancelRequest, idempotencyKeyOf, startRequest } from './request.ts';
import type { PipelineRequest } from './request.ts';
import { minimumSecretBytes, signatureHeader, signatureOf, timestampHeader } from './signature.ts';

/** Where pipelines are asked for, and how patiently. */
export interface HttpPipelinesOptions {
  /** Where starts and cancellations are posted. `https:`, or `http:` to this machine itself. */
  readonly url: string;
  /** Signs the requests; the server has it, too. At least 32 bytes. */
  readonly secret: string;
  /** Told to the pipeline with each start: where the host has mounted `completionHandler`. */
  readonly completionUrl?: string;
  /** For a proxy, client certificates, tracing. Has to leave redirects alone (`redirect: 'manual'`). */
  readonly fetch?: typeof globalThis.fetch;
  /** How long one try may take: 10,000 when not given, at most 25,000. All tries together take at most 25 seconds. */
  readonly timeoutMs?: number;
  /** How often a request is tried again: twice when not given, at most 10 times. */
  readonly retries?: number;
  /** Lets `url` be `http:` on another machine: the token then travels in the clear. */
  readonly allowPlainHttp?: boolean;
}

/**
 * Runs pipelines that live behind an HTTP endpoint: each start and each cancellation is one signed POST of JSON ({@link PipelineRequest}), tried again
 * after network errors, timeouts and the statuses 408, 429 (after `Retry-After`) and 500 to 599, under the same `idempotency-key`. Redirects are not followed.
 *
 * To a start the server answers 200 to 299 once it has taken the pipeline on, with nothing or with JSON `{ executionPipelineId?, executionId? }`; 400 to
 * 499 refuse it, and fail the change. To a cancellation 404 and 410 are an answer as good as 200: nothing runs.
 *
 * Rejects with {@link PipelineRequestFailed}. Throws `InvalidInput` on a wrong configuration.
 *
 * @example
 * createVivarium({ storage, pipelines: httpPipelines({ url: 'https://ci.example.com/vivarium', secret: process.env.PIPELINE_SECRET }) })
 */
export function httpPipelines(options: HttpPipelinesOptions): PipelineRunner {
  check(options);
  const { secret, completionUrl = null, fetch = globalThis.fetch, timeoutMs = 10_000, retries = 2 } = options;
  const url = new URL(options.url).href;

  const send = (request: PipelineRequest): Promise<Answer> => {
    const body = JSON.stringify(request);
    return post({ url, fetch, timeoutMs, retries }, () => {
      // Signed at each try, so that none is outside the window of the receiver.
      const timestamp = String(Math.floor(Date.now() / 1_000));
      const headers = {
        accept: 'application/json',
        'content-type': 'application/json',
        'idempotency-key': idempotencyKeyOf(request),
        [timestampHeader]: timestamp,
        [signatureHeader]: signatureOf(secret, timestamp, body),
      };
      return { headers, body };
    });
  };

  return {
    start: async (start) => started(await send(startRequest(start, completionUrl))),
    cancel: async (cancel) => {
      try {
        await send(cancelRequest(cancel));
      } catch (cause) {
        const isGone = cause instanceof PipelineRequestFailed && (cause.status === 404 || cause.status === 410);
        if (!isGone) throw cause;
      }
    },
  };
}

/** Something that is no JSON, behind a 200, is a login page or a default page: nobody has taken anything on. */
function started({ status, contentType, text, attempts }: Answer): PipelineStarted {
  if (text.trim() === '') return {};
  const failed = (why: string) =>
    new PipelineRequestFailed(`the pipeline server answered ${status} ${why}`, { refused: false, status, attempts });
  if (!/^application\/(.+\+)?json$/.test(contentType)) throw failed('with something that is not JSON');
  const answer = parsed(text);
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer))
    throw failed('with JSON that is no object');
  const { executionPipelineId, executionId } = answer as Record<string, unknown>;
  return { executionPipelineId: nameOf(executionPipelineId), executionId: nameOf(executionId) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Many servers number what they run. */
function nameOf(value: unknown): string | null {
  if (Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' && value !== '' ? value : null;
}

function check(options: HttpPipelinesOptions): void {
  checkOptions(options, {
    url: (url) => privateUrl(url, options.allowPlainHttp === true),
    secret: must(
      (secret) => typeof secret === 'string' && Buffer.byteLength(secret) >= minimumSecretBytes,
      `must have at least ${minimumSecretBytes} bytes`,
    ),
    completionUrl: may((url) => typeof url === 'string' && URL.canParse(url), 'must be a URL'),
    fetch: may((fetch) => typeof fetch === 'function', 'must be a function'),
    timeoutMs: wholeNumber(1, longestCallMs),
    retries: wholeNumber(0, 10),
    allowPlainHttp: may((allowed) => typeof allowed === 'boolean', 'must be true or false'),
  });
}
