import { isVivariumError } from '@vivarium/core';
import type { ResultAsync } from '@vivarium/core';
import { checkOptions, hasMethods, may, must } from '@vivarium/core/storage';

import { problem, problemOf } from '../http/problem.ts';
import { objectOf, receiveText, refusalOf } from '../http/receiving.ts';

/** The part of a `Vivarium` that the handler uses. */
export interface CompletingVivarium {
  system(org: string): {
    readonly ephemeral: {
      readonly stateChanges: {
        complete(completion: Completion): ResultAsync<unknown, { readonly code: string; readonly message: string }>;
      };
    };
  };
}

/** A pipeline's word on how its change went. */
export interface Completion {
  readonly stateChangeId: string;
  readonly token: string;
  readonly result: 'passed' | 'failed';
  readonly reason?: string | undefined;
}

/** What completions are handed to. */
export interface CompletionHandlerOptions {
  readonly vivarium: CompletingVivarium;
  /** Serves this org alone, and the body need not name one. */
  readonly org?: string;
}

const longestBody = 65_536;

/**
 * Lets pipelines complete their changes over HTTP: a handler on the web's standard `Request` and `Response`, for the host to mount in its own server,
 * where it likes, in front of anything that reads bodies or asks for a session.
 *
 * It takes a POST of JSON `{ stateChangeId, org, result, reason? }` (at most 64 KiB) with `Authorization: Bearer <token>`, and answers 204, also when the
 * same was said before. Otherwise it answers with problem details (RFC 9457), whose `code` is Vivarium's: 400 `invalid_input`, 401 `invalid_token`, 403
 * `access_denied`, 409 `change_superseded`, 503 `storage_failure` and whatever else may pass; a pipeline tries again on 503 and 429, and on nothing else.
 *
 * Throws `InvalidInput` on a wrong configuration.
 *
 * A change that does not exist, and one of another org, are answered like a wrong token: only who has a change's token learns anything about it.
 *
 * @example
 * app.post('/vivarium/complete', (context) => complete(context.req.raw)) // Hono
 */
export function completionHandler(options: CompletionHandlerOptions): (request: Request) => Promise<Response> {
  checkOptions(options, {
    vivarium: must(hasMethods('system'), 'must be what createVivarium returned'),
    org: may((org) => typeof org === 'string' && org !== '', 'must be the id of an org'),
  });
  const { vivarium, org: onlyOrg } = options;

  return async (request) => {
    const refusal = refusalOf(request);
    if (refusal !== null) return refusal;
    const token = bearerOf(request.headers.get('authorization'));
    if (token === null) {
      const detail = 'the header Authorization: Bearer <token> is missing or malformed';
      return problem(401, 'invalid_token', detail, { 'www-authenticate': 'Bearer realm="vivarium"' });
    }

    const read = await receiveText(request, { maximumBytes: longestBody });
    if (read instanceof Response) return read;
    const body = objectOf(read);
    if (body === null) return problem(400, 'invalid_input', 'the body has to be a JSON object');
    const { org = onlyOrg, stateChangeId, result, reason } = body;
    if (typeof org !== 'string') return problem(400, 'invalid_input', 'org: must be a text');
    if (onlyOrg !== undefined && org !== onlyOrg) return unauthorized();

    const completion = { stateChangeId, token, result, ...(reason === undefined ? {} : { reason }) } as Completion;
    try {
      const completed = await vivarium.system(org).ephemeral.stateChanges.complete(completion);
      return completed.match(
        () => new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } }),
        (error) => answerTo(error, token),
      );
    } catch (thrown) {
      // A malformed org is thrown, not returned. Anything else is a defect, and the host's own error handling is to see it.
      if (isVivariumError(thrown)) return answerTo(thrown, token);
      throw thrown;
    }
  };
}

function answerTo(error: { readonly code: string; readonly message: string }, token: string): Response {
  if (error.code === 'invalid_token' || error.code === 'not_found') return unauthorized();
  return problemOf(error, token);
}

/** The same for a wrong token, an unknown change and a foreign org. */
function unauthorized(): Response {
  const detail = 'the token is not one of this state change, or the change has ended';
  return problem(401, 'invalid_token', detail, {
    'www-authenticate': 'Bearer realm="vivarium", error="invalid_token"',
  });
}

/** RFC 6750, 2.1. */
function bearerOf(authorization: string | null): string | null {
  return /^Bearer +([\w.~+/-]{1,512}=*)$/i.exec(authorization ?? '')?.[1] ?? null;
}
