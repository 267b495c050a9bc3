/**
 * Passes over what cannot hold a pattern, most of a text, without reading it character by character.
 *
 * Every pattern begins with a window of the same length. Grams of four characters are looked at, so far apart that exactly one of them lies in the
 * window wherever a pattern may stand. One that is in no pattern's window rules out all the places around it. One that is must have
 * neighbours that are, as many in a row as a window holds, which weeds out what is there by chance. The grams of all windows are kept by hash in a
 * set of bits, so that one may be taken for another: the answer is "maybe" or "surely not", as a Bloom filter's.
 *
 * Reading four characters of a text one by one takes longer than all the rest, so that what is ASCII is copied first, as UTF-8, in which a gram is
 * one number. What is not is read as it stands.
 */

/** No window is shorter than this. */
export const GRAM = 4;
const LONGEST_WINDOW = 255;
/** Logarithm of the number of bits in the set: 64 KiB. It weeds out nearly everything up to about a thousand secrets. */
const SET_BITS = 19;
/** 2^32 divided by the golden ratio: scatters what differs in any character over the highest bits (Knuth, The Art of Computer Programming, 6.4). */
const MULTIPLIER = 0x9e3779b1;
/** How many characters are copied at a time: a few at first, as the next may not be ASCII; never more than a processor keeps at hand. */
const FIRST_COPY = 1_024;
const LARGEST_COPY = 16_384;

const encoder = new TextEncoder();

export class Sieve {
  /** The length of every pattern's beginning that is looked for. */
  readonly window: number;
  /** How far apart grams are looked at. */
  readonly #stride: number;
  /** How far from one another the grams of a row are, and how many of a row are in a window at least, wherever it begins. */
  readonly #apart: number;
  readonly #row: number;
  readonly #grams = new Uint32Array(2 ** SET_BITS / 32);
  readonly #copy = new Uint8Array(LARGEST_COPY);
  readonly #view = new DataView(this.#copy.buffer);
  /** The part of the text that is copied. */
  #start = 0;
  #end = 0;
  /** How much to copy next; 0 once the text turned out to be more than ASCII. */
  #nextCopy = FIRST_COPY;

  /** Patterns of at least four characters. */
  constructor(patterns: readonly string[]) {
    this.window = patterns.reduce((length, pattern) => Math.min(length, pattern.length), LONGEST_WINDOW);
    this.#stride = this.window - GRAM + 1;
    this.#apart = Math.max(1, Math.min(GRAM, this.#stride >> 1));
    this.#row = Math.floor(this.#stride / this.#apart);
    for (const pattern of patterns) {
      for (let at = 0; at < this.#stride; at++) {
        const hash = hashOf(gramOf(pattern, at));
        this.#grams[hash >>> 5]! |= 1 << hash;
      }
    }
  }

  #has(gram: number): boolean {
    const hash = hashOf(gram);
    return ((this.#grams[hash >>> 5]! >>> hash) & 1) === 1;
  }

  /** In the text, or in the copy. */
  #hasAt(text: string | null, at: number): boolean {
    return this.#has(text === null ? this.#view.getUint32(at, true) : gramOf(text, at));
  }

  /** Must be called before another text is skipped through. */
  reset(): void {
    this.#end = 0;
    this.#nextCopy = FIRST_COPY;
  }

  /** The first place from `from` on where a pattern may begin, or one too near to the end of the text to tell. Goes through a text only forwards. */
  skip(text: string, from: number): number {
    let at = from;
    if (at >= this.#end) this.#copyFrom(text, at);
    for (;;) {
      const copied = at < this.#end;
      const end = copied ? this.#end : text.length;
      const gram = copied ? this.#start + this.#findInCopy(at - this.#start) : this.#findInText(text, at);
      // A pattern that begins before these would have had another gram looked at in its window.
      if (gram > at) at = gram - this.#stride + 1;
      if (gram + GRAM <= end || end === text.length) return at;
      this.#copyFrom(text, at);
    }
  }

  #copyFrom(text: string, start: number): void {
    this.#start = start;
    this.#end = start;
    if (this.#nextCopy === 0) return;
    const part = text.slice(start, start + this.#nextCopy);
    const { read, written } = encoder.encodeInto(part, this.#copy);
    const ascii = read === part.length && written === part.length;
    if (ascii) this.#end += part.length;
    this.#nextCopy = ascii ? Math.min(2 * this.#nextCopy, LARGEST_COPY) : 0;
  }

  /** The first gram that may be in a pattern, or the first that is not all in the copy. */
  #findInCopy(from: number): number {
    const last = this.#end - this.#start - GRAM;
    let at = this.#nextInCopy(from, last);
    while (at <= last && !this.#hasNeighbours(null, at, last)) at = this.#nextInCopy(at + this.#stride, last);
    return at;
  }

  /** The first gram that is in the set, or the first behind the last one. Here goes the time: nothing else belongs into this loop. */
  #nextInCopy(from: number, last: number): number {
    const view = this.#view;
    const grams = this.#grams;
    const stride = this.#stride;
    let at = from;
    for (; at <= last; at += stride) {
      const hash = hashOf(view.getUint32(at, true));
      if (((grams[hash >>> 5]! >>> hash) & 1) === 1) break;
    }
    return at;
  }

  /** The same as `#findInCopy` in the text itself. */
  #findInText(text: string, from: number): number {
    const last = text.length - GRAM;
    let at = from;
    for (; at <= last; at += this.#stride) {
      if (this.#hasAt(text, at) && this.#hasNeighbours(text, at, last)) break;
    }
    return at;
  }

  /** Whether the gram is one of as many in a row as a window holds. What is not there to be looked at may be. */
  #hasNeighbours(text: string | null, gram: number, last: number): boolean {
    const apart = this.#apart;
    let missing = this.#row - 1;
    for (let at = gram - apart; missing > 0; at -= apart, missing--) {
      if (at < 0) return true;
      if (!this.#hasAt(text, at)) break;
    }
    for (let at = gram + apart; missing > 0; at += apart, missing--) {
      if (at > last) return true;
      if (!this.#hasAt(text, at)) return false;
    }
    return true;
  }
}

/** Four characters as a number: the one that their bytes are, the least first, where they are ASCII. */
function gramOf(text: string, at: number): number {
  return (
    text.charCodeAt(at) ^
    (text.charCodeAt(at + 1) << 8) ^
    (text.charCodeAt(at + 2) << 16) ^
    (text.charCodeAt(at + 3) << 24)
  );
}

/** Which of the set's bits tells of a gram. */
function hashOf(gram: number): number {
  return Math.imul(gram, MULTIPLIER) >>> (32 - SET_BITS);
}
