/** Two ways of doing the same, in turns: whatever the machine does meanwhile, it does to both. */
export interface Contest {
  readonly name: string;
  /** One turn each. What it does beforehand, it does in `prepare`. */
  readonly ours: () => Promise<unknown>;
  readonly peer: () => Promise<unknown>;
  readonly rounds: number;
}

/** Milliseconds per turn, and our time divided by the peer's in the same round: the median, and the middle half of the rounds. */
export interface Figures {
  readonly name: string;
  readonly ours: number;
  readonly peer: number;
  readonly ratio: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
}

export async function interleave({ name, ours, peer, rounds }: Contest): Promise<Figures> {
  const warmUp = Math.ceil(rounds / 5);
  for (let round = 0; round < warmUp; round++) {
    await ours();
    await peer();
  }
  const times: { readonly ours: number; readonly peer: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    // Every other round begins with the peer, so that neither always finds what the other has just read.
    if (round % 2 === 0) {
      const first = await timed(ours);
      times.push({ ours: first, peer: await timed(peer) });
    } else {
      const first = await timed(peer);
      times.push({ peer: first, ours: await timed(ours) });
    }
  }
  const ratios = times.map((time) => time.ours / time.peer);
  return {
    name,
    ours: quantile(times.map((time) => time.ours), 0.5),
    peer: quantile(times.map((time) => time.peer), 0.5),
    ratio: quantile(ratios, 0.5),
    lowerQuartile: quantile(ratios, 0.25),
    upperQuartile: quantile(ratios, 0.75),
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
