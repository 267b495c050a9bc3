/**
 * Counts durations in buckets whose bounds grow by a hundredth, so that a percentile is told from a few thousand counts, however many durations there are.
 * What is told of a bucket is at most half a percent off; rounded to a millisecond, which below 100 ms is exact, at most 1 %.
 */
const accuracy = 0.005;
const growth = (1 + accuracy) / (1 - accuracy);
const logGrowth = Math.log(growth);

export class DurationHistogram {
  readonly #buckets = new Map<number, number>();
  #count = 0;

  add(durationMs: number): void {
    // Nothing at all has a bucket of its own, before that of a millisecond.
    const bucket = durationMs === 0 ? -1 : Math.ceil(Math.log(durationMs) / logGrowth);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.#count++;
  }

  get count(): number {
    return this.#count;
  }

  /** About the smallest duration that is not below so many percent of them (1–100); `null` without durations. */
  nearestRank(percent: number): number | null {
    let left = Math.ceil((percent / 100) * this.#count);
    for (const bucket of [...this.#buckets.keys()].sort((a, b) => a - b)) {
      left -= this.#buckets.get(bucket)!;
      if (left <= 0) return valueOf(bucket);
    }
    return null;
  }
}

/** As far from the lower bound of the bucket as from the upper one, in proportion. */
function valueOf(bucket: number): number {
  return bucket < 0 ? 0 : Math.round((2 * growth ** bucket) / (growth + 1));
}
