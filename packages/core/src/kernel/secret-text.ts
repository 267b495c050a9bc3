const MASK = '***';
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/**
 * A text that does not show itself: printed, logged, inspected, concatenated or turned into JSON it reads `***`. Only `reveal()` gives
 * the text.
 */
export class SecretText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    Object.freeze(this);
  }

  /** The text itself. Whoever calls this takes care of where it goes. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.toPrimitive](): string {
    return MASK;
  }

  [INSPECT](): string {
    return MASK;
  }
}
