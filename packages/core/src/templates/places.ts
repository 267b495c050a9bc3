import { inspectBase } from './url-base.ts';
import type { UnsafeReason } from './errors.ts';

/**
 * A place is what a slot's surroundings demand of a value: how it is written there, and what is refused there.
 */
export interface Place {
  /** What is said of a value that is refused. */
  readonly reason: UnsafeReason;
  /** The value as it stands in this place, or null where it is refused. */
  readonly write: (text: string) => string | null;
}

const verbatim = (text: string) => text;

/** Text, and raw slots of forms: anything, as it is. */
export const TEXT: Place = { reason: 'url_character', write: verbatim };

/** A header's value. Node and fetch refuse the same characters when they send; here it is said which variable holds them. */
export const HEADER: Place = {
  reason: 'header_character',
  write: (text) => (isHeaderText(text) ? text : null),
};

/** Inside the quotes of a JSON string. */
export const JSON_STRING: Place = {
  reason: 'json_string',
  write: (text) => (NEEDS_JSON_ESCAPE.test(text) ? JSON.stringify(text).slice(1, -1) : text),
};

/** Inside the quotes of a JSON string, escaped by whoever made the value. */
export const RAW_JSON_STRING: Place = {
  reason: 'json_string',
  write: (text) => (typeof parsedJson(`"${text}"`) === 'string' ? text : null),
};

/** Outside the quotes: one whole scalar, so that the value cannot add members or close an object. */
export const JSON_SCALAR: Place = {
  reason: 'json_scalar',
  write: (text) => (isJsonScalar(text) ? text : null),
};

/** A part of a path, query, fragment or form: what is not unreserved is percent-encoded, `/`, `?`, `&`, `=` and `+` too. */
export const COMPONENT: Place = { reason: 'url_dot_segment', write: encodeURIComponent };

/** A whole path segment, which may not be `.` or `..`. (`%2e` is not among them: a value's `%` is written `%25`.) */
export const SEGMENT: Place = {
  reason: 'url_dot_segment',
  write: (text) => (text === '.' || text === '..' ? null : encodeURIComponent(text)),
};

/** The beginning of a URL, up to the text's `/`, `?` or `#`. */
export const BASE: Place = {
  reason: 'url_base',
  write: (text) => (inspectBase(text) === null ? null : text),
};

const NEEDS_JSON_ESCAPE = /["\\\u0000-\u001f]/;
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Tab and everything visible in latin1: no CR, LF, NUL or other control character. */
export function isHeaderText(text: string): boolean {
  return HEADER_TEXT.test(text);
}

function isJsonScalar(text: string): boolean {
  if (text === 'true' || text === 'false' || text === 'null' || JSON_NUMBER.test(text)) return true;
  return text.startsWith('"') && text.endsWith('"') && typeof parsedJson(text) === 'string';
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
