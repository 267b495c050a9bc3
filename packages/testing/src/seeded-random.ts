import type { Random } from '@vivarium/core';

/** Random numbers that a seed repeats. */
export interface SeededRandom extends Random {
  /** A whole number from 0 up to, but not including, `below`. */
  integer(below: number): number;
  /** One of the items. */
  pick<T>(items: readonly T[]): T;
}

/**
 * Randomness for tests and simulations: the same seed gives the same numbers on every machine. (A 32-bit counter, mixed; good enough to spread
 * choices, never for secrets.)
 */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
  const integer = (below: number) => Math.floor(next() * below);
  return {
    next,
    integer,
    pick: (items) => {
      if (items.length === 0) throw new RangeError('nothing to pick from');
      return items[integer(items.length)]!;
    },
  };
}
