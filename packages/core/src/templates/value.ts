import { PLACE_COUNT, TEXT } from './places.ts';
import type { Place } from './places.ts';

/** The values of a set of variables, in their order, and where each key is among them. */
export interface Snapshot {
  readonly list: readonly Value[];
  readonly positions: ReadonlyMap<string, number>;
}

/** A longer form is written anew each time it is needed, so that the forms kept with a set of variables stay small. */
const LONGEST_KEPT_FORM = 4096;

/** What a value refers to without finding it: the missing key, and the keys on the way to it. */
export type Gaps = ReadonlyMap<string, readonly string[]>;

const COMPLETE: Gaps = new Map();

/** What stands in for a variable: its text with references followed, whether it is secret, and the forms it was written in so far. */
export class Value {
  readonly key: string;
  readonly text: string;
  readonly secret: boolean;
  /** The references inside that led to nothing. Their slots are kept in `text` as they were written. */
  readonly gaps: Gaps;
  /** The same value with nothing in place of the references that led to nothing. */
  readonly emptied: Value;
  /** By `Place.index`. Only complete values keep forms, so that a form found here never needs another look. */
  readonly forms: (string | undefined)[];

  constructor(key: string, text: string, secret: boolean, incomplete?: { gaps: Gaps; emptied: string }) {
    this.key = interned(key);
    this.text = text;
    this.secret = secret;
    this.gaps = incomplete?.gaps ?? COMPLETE;
    this.emptied = incomplete === undefined ? this : new Value(key, incomplete.emptied, secret);
    this.forms = new Array<string | undefined>(PLACE_COUNT).fill(undefined);
    if (incomplete === undefined) this.forms[TEXT.index] = text;
  }

  /** The value as it stands in a place, or null where it is refused there. */
  at(place: Place): string | null {
    const kept = this.forms[place.index];
    if (kept !== undefined) return kept;
    const form = place.write(this.text);
    const keep = form !== null && this.gaps.size === 0 && (form === this.text || form.length <= LONGEST_KEPT_FORM);
    if (keep) this.forms[place.index] = form;
    return form;
  }
}

/** What stands in for a missing variable where the caller asked for nothing. */
export const NOTHING = new Value('', '', false);

/**
 * The same text as the engine keeps it for property names: one object for all that are equal, so that comparing two keys is comparing two
 * pointers.
 */
export function interned(key: string): string {
  return Object.keys({ [key]: key })[0]!;
}
