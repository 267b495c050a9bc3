/** How a sweep goes through what is due: in batches, so that neither memory nor one request grows with how much there is. */
import type { StorageFailure } from './kernel/errors.ts';
import { ok, safeTry } from './kernel/result.ts';
import type { ResultAsync } from './kernel/result.ts';
import type { Stored } from './storage/port.ts';

/** How many things one read of a sweep looks at. */
const batch = 100;

/**
 * Reads what is due, batch by batch in the order of ids, and does something about each, until `limit` things were done. `handle` answers `null` where there is
 * nothing to do, and keeps the trouble of one thing from the others: an error is part of what it answers.
 */
export function sweepThrough<Due, Swept>(
  limit: number,
  due: (request: { readonly limit: number; readonly after: string | null }) => Stored<readonly Due[]>,
  idOf: (item: Due) => string,
  handle: (item: Due) => Promise<Swept | null>,
): ResultAsync<readonly Swept[], StorageFailure> {
  return safeTry(async function* () {
    const swept: Swept[] = [];
    let after: string | null = null;
    for (;;) {
      const items: readonly Due[] = yield* due({ limit: batch, after });
      for (const item of items) {
        const done = await handle(item);
        if (done !== null) swept.push(done);
        if (swept.length >= limit) return ok(swept);
      }
      if (items.length < batch) return ok(swept);
      after = idOf(items.at(-1)!);
    }
  });
}
