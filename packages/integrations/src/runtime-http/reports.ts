import { isVivariumError, signReport } from '@vivarium/core';
import type { ResultAsync, RuntimeReport, SignedReport } from '@vivarium/core';
import { checkOptions, hasMethods, may, must } from '@vivarium/core/storage';

import { readText } from '../pipeline-http/body.ts';
import { mediaType } from '../pipeline-http/exchange.ts';
import { problem, problemOf } from '../pipeline-http/problem.ts';
import { signatureHeader } from '../pipeline-http/signature.ts';

/** The part of a `Vivarium` that reports are handed to. */
export interface ReportedVivarium {
  system(org: string): {
    readonly previews: {
      report(report: SignedReport): ResultAsync<unknown, { readonly code: string; readonly message: string }>;
    };
  };
}

/** What reports are handed to. */
export interface ReportHandlerOptions {
  readonly vivarium: ReportedVivarium;
  /** Serves this org alone. */
  readonly org?: string | undefined;
}

const longestBody = 65_536;
const bodyTimeoutMs = 15_000;

/**
 * For the runtime's side: what to send to the report URL.
 *
 * @example
 * await fetch(reportUrl, signedReport({ version: 1, orgId, projectEnvironmentId, generation, sequence: 1, status: 'running', url }, reportKey));
 */
export function signedReport(
  report: RuntimeReport,
  reportKey: string,
): { readonly method: 'POST'; readonly headers: Record<string, string>; readonly body: string } {
  const { body, signature } = signReport(JSON.stringify(report), reportKey);
  return { method: 'POST', headers: { 'content-type': 'application/json', [signatureHeader]: signature }, body };
}

/**
 * Takes the reports of runtimes over HTTP: a handler on the web's standard `Request` and `Response`, for the host to mount in front of anything that reads bodies or asks
 * for a session. It takes a POST of JSON (at most 64 KiB) with `vivarium-signature: sha256=<HMAC-SHA-256 of the body by the run's key>`, and answers 204, also to a report that is
 * older than what is known. Otherwise it answers with problem details (RFC 9457): 401 for a wrong signature and for an environment that does not exist, which look the same; a
 * runtime tries again on 503 and 429, and on nothing else.
 *
 * Throws `InvalidInput` on a wrong configuration.
 */
export function reportHandler(options: ReportHandlerOptions): (request: Request) => Promise<Response> {
  checkOptions(options, {
    vivarium: must(hasMethods('system'), 'must be what createVivarium returned'),
    org: may((org) => typeof org === 'string' && org !== '', 'must be the id of an org'),
  });
  const { vivarium, org: onlyOrg } = options;

  return async (request) => {
    if (request.method !== 'POST')
      return problem(405, 'method_not_allowed', 'only POST is answered here', { allow: 'POST' });
    if (mediaType(request.headers) !== 'application/json') {
      return problem(415, 'unsupported_media_type', 'the body has to be application/json');
    }
    const signature = request.headers.get(signatureHeader);
    if (signature === null || !/^sha256=[0-9a-f]{64}$/.test(signature)) return unauthorized();
    if (Number(request.headers.get('content-length')) > longestBody) return tooLarge();

    const body = await readBody(request);
    if (body instanceof Response) return body;
    const org = orgOf(body);
    if (org === null) return problem(400, 'invalid_input', 'orgId: must be a text');
    if (onlyOrg !== undefined && org !== onlyOrg) return unauthorized();

    try {
      const reported = await vivarium.system(org).previews.report({ body, signature });
      return reported.match(
        () => new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } }),
        answerTo,
      );
    } catch (thrown) {
      // A malformed org is thrown, not returned. Anything else is a defect, and the host's own error handling is to see it.
      if (isVivariumError(thrown)) return answerTo(thrown);
      throw thrown;
    }
  };
}

function answerTo(error: { readonly code: string; readonly message: string }): Response {
  if (error.code === 'invalid_signature' || error.code === 'not_found') return unauthorized();
  return problemOf(error);
}

function unauthorized(): Response {
  return problem(401, 'invalid_signature', `the header ${signatureHeader} is missing, or not of the key of this run`);
}

function tooLarge(): Response {
  return problem(413, 'content_too_large', `the body may have ${longestBody} bytes`);
}

/** The text has exactly the bytes that were signed. */
async function readBody(request: Request): Promise<string | Response> {
  try {
    const signal = AbortSignal.timeout(bodyTimeoutMs);
    const read = await readText(request.body, { maximumBytes: longestBody, signal, keepMark: true });
    if ('text' in read) return read.text;
    if (read.fault === 'too long') return tooLarge();
    if (read.fault === 'too late') return problem(408, 'request_timeout', 'the body did not arrive in time');
    return problem(400, 'invalid_input', 'the body has to be UTF-8');
  } catch {
    return problem(400, 'invalid_input', 'the body broke off, or was read before this handler');
  }
}

/** Whom it says that it is for. Core believes it once it knows the signature. */
function orgOf(body: string): string | null {
  try {
    const { orgId } = JSON.parse(body) as { readonly orgId?: unknown };
    return typeof orgId === 'string' ? orgId : null;
  } catch {
    return null;
  }
}
