import { createVivarium, unwrap } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { describe, expect, test } from 'vitest';

import { fakeClock, seededRandom, sequentialIds } from '../src/index.ts';

describe('fakeClock', () => {
  test('stands still until it is told to move', () => {
    const clock = fakeClock('2025-03-01T10:00:00.000Z');
    expect(clock.now()).toEqual(new Date('2025-03-01T10:00:00.000Z'));
    clock.advance(1_500);
    expect(clock.now()).toEqual(new Date('2025-03-01T10:00:01.500Z'));
    clock.set(new Date('2024-02-29T00:00:00.000Z'));
    expect(clock.now()).toEqual(new Date('2024-02-29T00:00:00.000Z'));
  });

  test('gives a time of its own to everyone who asks', () => {
    const clock = fakeClock();
    clock.now().setFullYear(1999);
    expect(clock.now()).toEqual(new Date('2025-01-01T00:00:00.000Z'));
  });

  test('refuses what is no time', () => {
    expect(() => fakeClock('tomorrow')).toThrow(RangeError);
    expect(() => fakeClock().set('tomorrow')).toThrow(RangeError);
  });
});

describe('sequentialIds', () => {
  test('count, are the same in every run, and come in their order', () => {
    const [ids, again] = [sequentialIds(7), sequentialIds(7)];
    const made = Array.from({ length: 300 }, () => ids.next());
    expect(made[0]).toBe('00000000-0007-7000-8000-000000000001');
    expect(made).toEqual(Array.from({ length: 300 }, () => again.next()));
    expect(made.toSorted()).toEqual(made);
    expect(new Set(made).size).toBe(300);
  });

  test('of different series never meet', () => {
    const firsts = [0, 1, 15, 16, 0xffff, 0x10000, 0xffff_ffff].map((series) => sequentialIds(series).next());
    expect(new Set(firsts).size).toBe(firsts.length);
    for (const series of [-1, 1.5, 2 ** 32]) expect(() => sequentialIds(series)).toThrow(RangeError);
  });

  test('are ids that core takes', async () => {
    const vivarium = createVivarium({ storage: memoryStorage(), ids: sequentialIds(0xffff_ffff) });
    const client = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });
    const project = await unwrap(client.projects.create({ name: 'P' }));
    expect(await unwrap(client.projects.get(project.id))).toEqual(project);
  });
});

describe('seededRandom', () => {
  test('gives the same numbers for the same seed, and others for another', () => {
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return Array.from({ length: 50 }, () => random.next());
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });

  test('spreads evenly over [0, 1)', () => {
    const random = seededRandom(3);
    const buckets = Array.from({ length: 10 }, () => 0);
    for (let index = 0; index < 10_000; index++) {
      const number = random.next();
      expect(number).toBeGreaterThanOrEqual(0);
      expect(number).toBeLessThan(1);
      buckets[Math.floor(number * 10)]!++;
    }
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  test('picks each of the items, and nothing from nothing', () => {
    const random = seededRandom(4);
    const picked = new Set(Array.from({ length: 100 }, () => random.pick(['a', 'b', 'c'])));
    expect([...picked].toSorted()).toEqual(['a', 'b', 'c']);
    expect(() => random.pick([])).toThrow(RangeError);
  });
});
