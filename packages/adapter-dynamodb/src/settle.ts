import { StorageFailure } from '@vivarium/core/storage';

import { pause } from './table.ts';

/** How often a read is made that writes keep coming in between of: as often as a write that others are in the way of. */
const rereads = 20;

/** Reads until what was read belongs together; `null` says that it does not, because several items were not read at one instant. */
export async function settled<T>(what: string, read: () => Promise<{ readonly value: T } | null>): Promise<T> {
  for (let attempt = 1; attempt <= rereads; attempt++) {
    const answer = await read();
    if (answer !== null) return answer.value;
    await pause(attempt);
  }
  throw new StorageFailure(`${what} kept changing while it was read; try again`, { retryable: true, outcome: 'none' });
}
