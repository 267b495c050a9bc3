import type { InputIssue } from '../kernel/errors.ts';
import type { SlotSyntax } from './grammar.ts';
import { BASE, COMPONENT, SEGMENT } from './places.ts';
import type { Place } from './places.ts';
import { parses } from './url-base.ts';

/**
 * What can be said of a URL template before any value is known.
 *
 * Most templates are plain: the host is in the text or in one leading slot that the text's `/` ends, and every other slot is a path
 * segment or a part that no neighbour can turn into `..`. Their slots can be filled one by one. All others are careful: the URL is
 * assembled by `UrlAssembler`, which looks at what comes together.
 */
export interface UrlPlan {
  readonly leading: 'text' | 'base' | 'scheme';
  readonly careful: boolean;
  /** For each slot; used where the template is plain. */
  readonly places: readonly Place[];
}

/** The beginning of an absolute URL, or of one that leaves the scheme to its base. */
export const ABSOLUTE = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?\/\//;

const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):/;
const KNOWN_SCHEME = /^(?:https?|wss?)$/i;
const UNREADABLE = /[\u0000-\u001f\u007f\\]/;
/** The characters that a dot segment can be made of; `%2` and `e` may come from two sides of a border. */
const NO_DOT_SEGMENT = /[^.%2eE]/;

/** Reads a URL template, or says why its own text cannot be one. */
export function planUrl(literals: readonly string[], slots: readonly SlotSyntax[]): UrlPlan | InputIssue {
  const first = literals[0]!;
  const afterFirst = literals[1] ?? '';
  const issue = textIssue(literals, slots);
  if (issue !== null) return { path: 'source', message: issue };

  const raw = slots.some((slot) => slot.raw);
  if (first === '' && slots.length > 0) {
    const leading = afterFirst.startsWith('://') ? 'scheme' : 'base';
    const ends = slots.length === 1 && afterFirst === '' ? true : /^[/?#]/.test(afterFirst);
    const { places, careful } = classify(literals, slots, 1, '');
    return { leading, careful: raw || careful || leading === 'scheme' || !ends, places: [BASE, ...places] };
  }

  const absolute = ABSOLUTE.exec(first);
  const start = absolute === null ? 0 : authorityEnd(first, absolute[0].length);
  const { places, careful } = classify(literals, slots, 0, first.slice(start));
  const openAuthority = absolute !== null && start === first.length && slots.length > 0;
  const openReference = absolute === null && slots.length > 0 && (first === '/' || !/[/?#]/.test(first));
  return { leading: 'text', careful: raw || careful || openAuthority || openReference, places };
}

function textIssue(literals: readonly string[], slots: readonly SlotSyntax[]): string | null {
  const first = literals[0]!;
  if (literals.some((literal) => UNREADABLE.test(literal)))
    return 'a URL may not hold control characters or backslashes';
  if (first.startsWith(' ') || literals.at(-1)!.endsWith(' ')) return 'a URL may not begin or end with a space';
  if (first === '' && slots.length > 0) return literals[1]!.startsWith(':///') ? 'the URL has no host' : null;

  const scheme = SCHEME.exec(first)?.[1];
  if (scheme !== undefined && !KNOWN_SCHEME.test(scheme)) return 'a URL must be http, https, ws, wss or relative';
  const absolute = ABSOLUTE.exec(first);
  if (absolute === null) return scheme === undefined ? null : 'after the scheme of a URL comes "//"';

  const end = authorityEnd(first, absolute[0].length);
  const authority = first.slice(absolute[0].length, end);
  if (end === first.length && slots.length > 0) return null;
  if (authority === '') return 'the URL has no host';
  return parses('http', authority) ? null : 'the host in the URL is not valid';
}

/** Where the authority that begins at `from` ends. */
export function authorityEnd(text: string, from: number): number {
  const length = text.slice(from).search(/[/?#]/);
  return length === -1 ? text.length : from + length;
}

/** Gives each slot from `from` on its place, segment by segment; careful where neighbours could make a dot segment together. */
function classify(literals: readonly string[], slots: readonly SlotSyntax[], from: number, firstText: string) {
  const places: Place[] = [];
  let careful = false;
  let inPath = true;
  let segmentText = '';
  let segmentSlots = 0;
  const endSegment = () => {
    if (segmentSlots === 1 && segmentText === '') places[places.length - 1] = SEGMENT;
    else if (segmentSlots > 0 && !NO_DOT_SEGMENT.test(segmentText)) careful = true;
    segmentText = '';
    segmentSlots = 0;
  };
  for (let index = from; index < literals.length; index++) {
    const text = index === 0 ? firstText : literals[index]!;
    for (const part of inPath ? text.split(/([/?#])/) : []) {
      if (part === '/' || part === '?' || part === '#') {
        if (inPath) endSegment();
        if (part !== '/') inPath = false;
      } else if (inPath) segmentText += part;
    }
    if (index === slots.length) break;
    places.push(COMPONENT);
    if (inPath) segmentSlots++;
  }
  if (inPath) endSegment();
  return { places, careful };
}
