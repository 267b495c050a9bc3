/** Problem details (RFC 9457), with Vivarium's code in a member of its own. */

const statusOf: Readonly<Record<string, number>> = {
  invalid_input: 400,
  invalid_signature: 401,
  access_denied: 403,
  change_superseded: 409,
  idempotency_mismatch: 409,
  stale_version: 503,
  storage_failure: 503,
  key_management_failure: 503,
  preview_step_failed: 503,
};

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export function problem(
  status: number,
  code: string,
  detail: string | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = { type: 'about:blank', title: titles[status], status, code, ...(detail === null ? {} : { detail }) };
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
  });
}

/** An error of Vivarium as an answer. What went wrong inside is told by its code alone, and no answer repeats the token, if there is one. */
export function problemOf(
  { code, message }: { readonly code: string; readonly message: string },
  token: string | null = null,
): Response {
  const status = statusOf[code] ?? 500;
  const isCallersOwn = status < 500 && (token === null || !message.includes(token));
  return problem(status, code, isCallersOwn ? message : null, status === 503 ? { 'retry-after': '5' } : {});
}
