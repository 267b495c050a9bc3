/** Several ways of doing the same, in turns: whatever the machine does meanwhile, it does to all of them. */
export interface Contest {
  readonly name: string;
  /** What the others are measured against. */
  readonly peer: () => Promise<unknown>;
  readonly ours: readonly (() => Promise<unknown>)[];
  readonly rounds: number;
}

/** One contestant's milliseconds per turn, and its time divided by the peer's in the same round: the median, and the middle half of the rounds. */
export interface Figures {
  readonly milliseconds: number;
  readonly ratio: number;
  readonly middleHalf: readonly [number, number];
}

/** The peer's milliseconds per turn, and the figures of the others. */
export interface Outcome {
  readonly name: string;
  readonly peer: number;
  readonly ours: readonly Figures[];
}

export async function interleave({ name, peer, ours, rounds }: Contest): Promise<Outcome> {
  const contestants = [peer, ...ours];
  const times: number[][] = contestants.map(() => []);
  const warmUp = Math.ceil(rounds / 5);
  for (let round = 0; round < warmUp + rounds; round++) {
    // Each round begins with another one, so that none always finds what its neighbour has just read.
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (turn + round) % contestants.length;
      const time = await timed(contestants[index]!);
      if (round >= warmUp) times[index]!.push(time);
    }
  }
  const [peerTimes, ...ourTimes] = times as [number[], ...number[][]];
  return {
    name,
    peer: quantile(peerTimes, 0.5),
    ours: ourTimes.map((mine) => {
      const ratios = mine.map((time, round) => time / peerTimes[round]!);
      return {
        milliseconds: quantile(mine, 0.5),
        ratio: quantile(ratios, 0.5),
        middleHalf: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
      };
    }),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}
