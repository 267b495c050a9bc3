import type { Value } from './value.ts';

/** A template with its slots filled, before it is put together. */
export interface Filling {
  /** The template's text and the values as they are written in their places, in order: each value with the text behind it, so that there is less to put together. */
  readonly pieces: readonly string[];
  /** How many characters the template's output has with these. */
  readonly length: number;
  readonly secret: boolean;
  readonly used: readonly string[];
}

/** All texts of a deep template with their slots filled. */
export interface DeepFilling extends Omit<Filling, 'pieces'> {
  /** The pieces of each text that is a template, in their order. */
  readonly texts: readonly (readonly string[])[];
}

/** Characters of written values and templates that a snapshot remembers at most. */
const ROOM = 1_048_576;
/** What an entry costs besides its characters, so that very many small ones are bounded, too. */
const ENTRY = 64;

/**
 * The values of resolved variables. It remembers how the slots of templates were filled with them (never what came out), so that whoever
 * renders the same templates with the same variables again only pays for putting the pieces together. What it remembers goes when it goes:
 * nothing secret outlives the variables that it came from.
 */
export class Snapshot {
  readonly values: ReadonlyMap<string, Value>;
  /** How templates were filled before, by the template's number. */
  readonly fillings: ReadonlyMap<number, Filling>;
  /** The same for deep templates, which have numbers of their own. */
  readonly deepFillings: ReadonlyMap<number, DeepFilling>;
  readonly #fillings = new Map<number, Filling>();
  readonly #deepFillings = new Map<number, DeepFilling>();
  #room = ROOM;

  constructor(values: ReadonlyMap<string, Value>) {
    this.values = values;
    this.fillings = this.#fillings;
    this.deepFillings = this.#deepFillings;
  }

  remember(template: number, source: string, filling: Filling): void {
    const cost = ENTRY + source.length + filling.length;
    if (cost > this.#room) return;
    this.#room -= cost;
    this.#fillings.set(template, filling);
  }

  rememberDeep(template: number, filling: DeepFilling): void {
    const cost = ENTRY + filling.texts.length * ENTRY + filling.length;
    if (cost > this.#room) return;
    this.#room -= cost;
    this.#deepFillings.set(template, filling);
  }

  /** How many characters may still be remembered. */
  get room(): number {
    return this.#room;
  }
}
