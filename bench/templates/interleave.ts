/**
 * Compares contestants in one process, in short turns: whatever the machine does meanwhile, it does to all of them. The
 * figure of a contestant is the median over the rounds of its time divided by the reference's in the same round.
 */
export interface Contestant {
  readonly name: string;
  /** One unit of work. The number it returns comes out of every text it made (`touch`), so that no work can be left undone. */
  readonly work: () => number;
}

export interface Measured {
  readonly name: string;
  /** Median time of one unit of work. */
  readonly nanoseconds: number;
  /** Its time divided by the time of each other contestant, by name: the median of the rounds. */
  readonly against: ReadonlyMap<string, number>;
}

/** How long a turn takes. Contestants that leave much garbage behind need turns so long that they clear it away in their own. */
const SHORT_TURN = 1;
export const TURN_WITH_GARBAGE = 20;
const WARM_UP_MILLISECONDS = 80;

/** Reads one character, which makes the engine join the pieces of a text as sending it would. */
export function touch(text: string): number {
  return text.charCodeAt(text.length >> 1);
}

export function interleave(contestants: readonly Contestant[], rounds: number, milliseconds = SHORT_TURN): Measured[] {
  // Twice: what was compiled for the first contestant alone is thrown away when the second comes.
  for (const contestant of contestants) calibrate(contestant, milliseconds);
  const calls = contestants.map((contestant) => calibrate(contestant, milliseconds));
  const times: number[][] = contestants.map(() => []);
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another contestant, so that none always runs on what its neighbour left in the caches.
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (turn + round) % contestants.length;
      times[index]!.push(time(contestants[index]!, calls[index]!) / calls[index]!);
    }
  }
  return contestants.map(({ name }, index) => ({
    name,
    nanoseconds: median(times[index]!),
    against: new Map(
      contestants.map((other, at) => [other.name, median(times[index]!.map((own, round) => own / times[at]![round]!))]),
    ),
  }));
}

/** How many calls make up a turn; doubles as the warm-up. */
function calibrate(contestant: Contestant, turn: number): number {
  const warmUntil = performance.now() + WARM_UP_MILLISECONDS;
  let calls = 1;
  for (;;) {
    const milliseconds = time(contestant, calls) / 1e6;
    if (milliseconds < turn / 2) calls *= 2;
    else if (performance.now() > warmUntil) return Math.max(1, Math.round((calls * turn) / milliseconds));
  }
}

let touched = 0;

function time({ work }: Contestant, calls: number): number {
  const start = process.hrtime.bigint();
  for (let call = 0; call < calls; call++) touched += work();
  return Number(process.hrtime.bigint() - start);
}

/** The sum of everything that was touched: something to print, so that nothing is optimised away. */
export function everythingTouched(): number {
  return touched;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
