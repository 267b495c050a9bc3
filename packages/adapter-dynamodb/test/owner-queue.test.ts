import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import { OwnerQueue } from '../src/owner-queue.ts';

describe('owner queue', () => {
  test('writers of one owner work one after the other, in the order in which they came', async () => {
    const queue = new OwnerQueue();
    const log: string[] = [];
    const work = (name: string, owners: string[]) =>
      queue.exclusively(owners, async () => {
        log.push(`${name} begins`);
        await sleep(2);
        log.push(`${name} ends`);
      });
    await Promise.all([work('a', ['x']), work('b', ['x', 'y']), work('c', ['y'])]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  });

  test('writers of different owners work side by side', async () => {
    const queue = new OwnerQueue();
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const waiting = queue.exclusively(['x'], () => gate);
    await queue.exclusively(['y'], async () => open());
    await waiting;
  });

  test('a writer that fails lets the next one in', async () => {
    const queue = new OwnerQueue();
    const failing = queue.exclusively(['x'], async () => Promise.reject(new Error('no')));
    const next = queue.exclusively(['x'], async () => 'in');
    await expect(failing).rejects.toThrow('no');
    await expect(next).resolves.toBe('in');
  });

  test('owners that cross each other do not block', async () => {
    const queue = new OwnerQueue();
    const done = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        queue.exclusively(i % 2 === 0 ? ['x', 'y'] : ['y', 'x'], async () => {
          await sleep(0);
          return i;
        }),
      ),
    );
    expect(done).toHaveLength(50);
  });
});
