import type { Clock } from '@vivarium/core';

/** A clock that stands still until it is told to move. */
export interface FakeClock extends Clock {
  /** Moves on by so many milliseconds. */
  advance(ms: number): void;
  set(time: Date | string): void;
}

/**
 * A clock for tests; it begins at `start`.
 *
 * @example
 * const clock = fakeClock('2025-01-01T00:00:00Z');
 * const vivarium = createVivarium({ storage: memoryStorage(), clock });
 * clock.advance(60_000);
 */
export function fakeClock(start: Date | string = '2025-01-01T00:00:00.000Z'): FakeClock {
  let time = timeOf(start);
  return {
    now: () => new Date(time),
    advance: (ms) => void (time += ms),
    set: (to) => void (time = timeOf(to)),
  };
}

function timeOf(date: Date | string): number {
  const time = new Date(date).getTime();
  if (Number.isNaN(time)) throw new RangeError(`not a time: ${String(date)}`);
  return time;
}
