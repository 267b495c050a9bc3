/** What a value refers to without finding it: the missing key, and the keys on the way to it. */
export type Gaps = ReadonlyMap<string, readonly string[]>;

/** Of a value that lacks nothing. */
export const COMPLETE: Gaps = new Map();

/** What stands in for a variable: its text with references followed, and whether something secret is in it. */
export class Value {
  readonly text: string;
  readonly secret: boolean;
  /** The references inside that led to nothing. Their slots are kept in `text` as they were written. */
  readonly gaps: Gaps;
  /** The same value with nothing in place of the references that led to nothing. */
  readonly emptied: Value;

  constructor(text: string, secret: boolean, incomplete?: { gaps: Gaps; emptied: string }) {
    this.text = text;
    this.secret = secret;
    this.gaps = incomplete?.gaps ?? COMPLETE;
    this.emptied = incomplete === undefined ? this : new Value(incomplete.emptied, secret);
  }
}

/** What stands in for a missing variable where the caller asked for nothing. */
export const NOTHING = new Value('', false);
