/** Where core takes the time from, so that a test or a simulation can set it. */
export interface Clock {
  now(): Date;
}

/** Where core takes randomness from: numbers in [0, 1), as `Math.random` gives. Never used for secrets. */
export interface Random {
  next(): number;
}

export const systemClock: Clock = { now: () => new Date() };

export const systemRandom: Random = { next: () => Math.random() };
