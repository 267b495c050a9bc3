/**
 * The pieces of a URL that decide where a request goes, checked the way the WHATWG parser would read them. That parser drops tabs and
 * line breaks, reads a backslash as a slash, skips extra slashes before the host, decodes `%2e` in dot segments and maps look-alike
 * characters in hosts; whatever it would read differently from how it is written is refused here.
 */

/** A URL that others are built on, taken apart. */
export interface UrlBase {
  readonly scheme: string;
  readonly authority: string;
  /** With its leading slash; empty where the URL ends with the authority. */
  readonly path: string;
}

const BASE = /^(https?):\/\/([^/]+)(\/.*)?$/is;
const DISTURBING = /[\u0000-\u0020\u007f\\]/;
const DOT_SEGMENT = /^(?:\.|%2e){1,2}$/i;
const ASCII_HOST = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;
const BRACKETED = /^\[[0-9A-Fa-f:.]+\]$/;

/** What the URL parser would drop or read as something else: control characters, spaces, backslashes. */
export function isDisturbing(text: string): boolean {
  return DISTURBING.test(text);
}

/** Whether a path segment means "here" or "one up", written in any of the ways that the URL parser knows. */
export function isDotSegment(segment: string): boolean {
  return DOT_SEGMENT.test(segment);
}

/** An http or https URL of authority and path alone, without user name, query, fragment or dot segments; null for anything else. */
export function inspectBase(text: string): UrlBase | null {
  if (isDisturbing(text) || text.includes('?') || text.includes('#')) return null;
  const [, scheme, authority, path = ''] = BASE.exec(text) ?? [];
  if (scheme === undefined || authority === undefined) return null;
  if (authority.includes('@') || authority.includes('%') || !parses(scheme, authority)) return null;
  return path.split('/').some(isDotSegment) ? null : { scheme, authority, path };
}

/** Whether the URL parser takes this authority. Everything after an authority it takes in any case. */
export function parses(scheme: string, authority: string): boolean {
  return URL.canParse(`${scheme}://${authority}/`);
}

/** A host with the port after it, if there is one (`:8080`). */
export interface HostAndPort {
  readonly host: string;
  readonly port: string;
}

/**
 * A value as `host` or `host:port`, the host in its ASCII form; null for anything else.
 *
 * A host of other characters is written as the URL parser would read it (`münchen.de` as `xn--mnchen-3ya.de`, `evil。com` as
 * `evil.com`), so that what is checked is what is requested.
 */
export function inspectHost(text: string): HostAndPort | null {
  const colon = text.startsWith('[') ? text.indexOf(':', text.indexOf(']')) : text.indexOf(':');
  const host = colon === -1 ? text : text.slice(0, colon);
  const port = colon === -1 ? '' : text.slice(colon);
  if (port !== '' && !/^:\d{1,5}$/.test(port)) return null;
  if (ASCII_HOST.test(host)) return { host, port };
  if (BRACKETED.test(host)) return parses('http', host) ? { host, port } : null;
  // Only hosts with something outside ASCII are left; of ASCII itself no other character belongs into a host.
  if (!/^(?:[A-Za-z0-9_.-]|[^\u0000-\u007f])+$/.test(host) || !parses('http', host)) return null;
  const ascii = new URL(`http://${host}/`).hostname;
  return ASCII_HOST.test(ascii) ? { host: ascii, port } : null;
}
