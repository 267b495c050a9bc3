import type { Item } from './attributes.ts';
import type { Key } from './keys.ts';

/** Entries that are remembered, in some hundred KB. */
const maximum = 10_000;

/**
 * Entries of the catalog that are known to have builds. Such an entry can never be deleted, so that a build need neither mark it nor ask whether it is there:
 * otherwise every start of a build would write the same three items, and starts would be in each other's way.
 */
export class UsedEntries {
  readonly #known = new Set<string>();

  /** An entry as it was read. Tables may be emptied by hand: what is read counts for more than what was known. */
  note(key: Key, item: Item | null): void {
    if (item?.['used'] === undefined) this.#known.delete(nameOf(key));
    else this.add(key);
  }

  add(key: Key): void {
    if (this.#known.size >= maximum) this.#known.clear();
    this.#known.add(nameOf(key));
  }

  has(key: Key): boolean {
    return this.#known.has(nameOf(key));
  }
}

const nameOf = ({ pk, sk }: Key) => `${pk}\0${sk}`;
