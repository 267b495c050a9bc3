import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { buildStats, nearestRank } from '../../src/builds/stats.ts';

const nothing = { byStatus: {}, states: [], failures: [], approximate: false };

describe('a percentile of the nearest rank', () => {
  it.each([
    [[], 50, null],
    [[7], 50, 7],
    [[7], 95, 7],
    [[1, 2], 50, 1],
    [[1, 2, 3], 50, 2],
    [[1, 2, 3, 4], 50, 2],
    [[15, 20, 35, 40, 50], 30, 20],
    [[15, 20, 35, 40, 50], 40, 20],
    [[15, 20, 35, 40, 50], 100, 50],
    [Array.from({ length: 100 }, (_, index) => index), 95, 94],
    [Array.from({ length: 20 }, (_, index) => index), 95, 18],
    [Array.from({ length: 21 }, (_, index) => index), 95, 19],
  ])('of %j, %i: %s', (values, percent, expected) => {
    expect(nearestRank(values, percent)).toBe(expected);
  });

  it('is the smallest value that so many percent do not lie above', () => {
    const values = fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 100 }), (given, percent) => {
        const sorted = given.toSorted((a, b) => a - b);
        const found = nearestRank(sorted, percent)!;
        const share = (limit: number) => (sorted.filter((value) => value <= limit).length * 100) / sorted.length;
        const smaller = sorted.filter((value) => value < found).at(-1);
        return given.includes(found) && share(found) >= percent && (smaller === undefined || share(smaller) < percent);
      }),
    );
  });
});

describe('figures', () => {
  it('count every status, and what has ended well among what has ended', () => {
    expect(buildStats(nothing)).toEqual({
      total: 0,
      byStatus: { pending: 0, running: 0, failed: 0, completed: 0, canceled: 0 },
      successRate: null,
      states: [],
      failures: [],
      approximate: false,
    });
    const stats = buildStats({
      ...nothing,
      byStatus: { completed: 3, failed: 1, canceled: 9, running: 2 },
      approximate: true,
    });
    expect([stats.total, stats.successRate, stats.approximate]).toEqual([15, 0.75, true]);
    expect(buildStats({ ...nothing, byStatus: { canceled: 1, pending: 1 } }).successRate).toBe(null);
  });

  it('come by state, and failures by how often, then by component and type as bytes', () => {
    const state = (number: number) => ({
      state: number,
      attempts: 1,
      completed: 0,
      failed: 1,
      p50Ms: null,
      p95Ms: null,
    });
    const group = (component: string | null, failureType: string, count: number) => ({
      component,
      failureType,
      count,
      unresolved: 0,
    });
    const failures = [
      group('b', 'x', 1),
      group(null, 'z', 1),
      group('𐐨', 'x', 1),
      group('ｦ', 'x', 1),
      group('B', 'x', 1),
      group('b', 'a', 1),
      group('q', 'q', 2),
    ];
    const stats = buildStats({ ...nothing, states: [state(100), state(5), state(20)], failures });
    expect(stats.states.map((one) => one.state)).toEqual([5, 20, 100]);
    expect(stats.failures.map(({ component, failureType }) => [component, failureType])).toEqual([
      ['q', 'q'],
      [null, 'z'],
      ['B', 'x'],
      ['b', 'a'],
      ['b', 'x'],
      ['ｦ', 'x'],
      ['𐐨', 'x'],
    ]);
    const many = Array.from({ length: 150 }, (_, index) => group(null, `${1_000 + index}`, index));
    expect(buildStats({ ...nothing, failures: many }).failures.map(({ count }) => count)).toEqual(
      Array.from({ length: 100 }, (_, index) => 149 - index),
    );
  });
});
