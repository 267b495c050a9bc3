import { isVivariumError, signReport } from '@vivarium/core';
import type { ResultAsync, RuntimeReport, SignedReport } from '@vivarium/core';
import { checkOptions, hasMethods, may, must } from '@vivarium/core/storage';

import { problem, problemOf } from '../http/problem.ts';
import { objectOf, receiveText, refusalOf } from '../http/receiving.ts';
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
    const refusal = refusalOf(request);
    if (refusal !== null) return refusal;
    const signature = request.headers.get(signatureHeader);
    if (signature === null || !/^sha256=[0-9a-f]{64}$/.test(signature)) return unauthorized();

    const body = await receiveText(request, { maximumBytes: longestBody, keepMark: true });
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

/** Whom it says that it is for. Core believes it once it knows the signature. */
function orgOf(body: string): string | null {
  const orgId = objectOf(body)?.['orgId'];
  return typeof orgId === 'string' ? orgId : null;
}
