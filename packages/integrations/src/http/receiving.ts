/** What every handler does with a request before it looks at what it says. */
import { readText } from './body.ts';
import { mediaType } from './media-type.ts';
import { problem } from './problem.ts';

/** A client that sends slowly, or stops in the middle, is not waited for. */
const bodyTimeoutMs = 10_000;

/** The answer to a request that is not a POST of JSON; `null` to one that is. */
export function refusalOf(request: Request): Response | null {
  if (request.method !== 'POST') {
    return problem(405, 'method_not_allowed', 'only POST is answered here', { allow: 'POST' });
  }
  if (mediaType(request.headers) !== 'application/json') {
    return problem(415, 'unsupported_media_type', 'the body has to be application/json');
  }
  return null;
}

/** The body as text, or the answer to one that cannot be read. With `keepMark`, the text has exactly the bytes that came, for whoever verifies them. */
export async function receiveText(
  request: Request,
  { maximumBytes, keepMark = false }: { readonly maximumBytes: number; readonly keepMark?: boolean },
): Promise<string | Response> {
  if (Number(request.headers.get('content-length')) > maximumBytes) return tooLarge(maximumBytes);
  try {
    const signal = AbortSignal.timeout(bodyTimeoutMs);
    const read = await readText(request.body, { maximumBytes, signal, keepMark });
    if ('text' in read) return read.text;
    switch (read.fault) {
      case 'too long':
        return tooLarge(maximumBytes);
      case 'too late':
        return problem(408, 'request_timeout', 'the body did not arrive in time');
      case 'not UTF-8':
        return problem(400, 'invalid_input', 'the body has to be UTF-8');
    }
  } catch {
    return problem(400, 'invalid_input', 'the body broke off, or was read before this handler');
  }
}

/** What the text says, provided that it is a JSON object. */
export function objectOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function tooLarge(maximumBytes: number): Response {
  return problem(413, 'content_too_large', `the body may have ${maximumBytes} bytes`);
}
