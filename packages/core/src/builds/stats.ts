import { compareBytes } from '../kernel/text.ts';
import { buildStatuses } from './lifecycle.ts';
import type { BuildStatus } from './lifecycle.ts';
import { maximumFailureGroups } from './model.ts';
import type { BuildStats, FailureStats, StateStats } from './model.ts';

/** The smallest value that is not below so many percent of them (1–100); `null` without values. They have to be sorted. */
export function nearestRank(sorted: readonly number[], percent: number): number | null {
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1] ?? null;
}

/** Puts figures together as every storage answers them. */
export function buildStats(figures: {
  readonly byStatus: Readonly<Partial<Record<BuildStatus, number>>>;
  readonly states: readonly StateStats[];
  readonly failures: readonly FailureStats[];
  readonly approximate: boolean;
}): BuildStats {
  const byStatus = Object.fromEntries(
    buildStatuses.map((status) => [status, figures.byStatus[status] ?? 0]),
  ) as unknown as Record<BuildStatus, number>;
  const ended = byStatus.completed + byStatus.failed;
  return {
    total: Object.values(byStatus).reduce((sum, count) => sum + count, 0),
    byStatus,
    successRate: ended === 0 ? null : byStatus.completed / ended,
    states: [...figures.states].sort((a, b) => a.state - b.state),
    failures: [...figures.failures].sort(byFrequency).slice(0, maximumFailureGroups),
    approximate: figures.approximate,
  };
}

/** The most frequent first; then by component, without one first, and by type, as bytes. */
function byFrequency(a: FailureStats, b: FailureStats): number {
  return (
    b.count - a.count ||
    compareBytes(a.component ?? '', b.component ?? '') ||
    compareBytes(a.failureType, b.failureType)
  );
}
