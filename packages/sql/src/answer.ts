import { err, isVivariumError, ok, ResultAsync, StorageFailure } from '@vivarium/core/storage';
import type { Stored } from '@vivarium/core/storage';

/** Makes a result of what an executor promises. Nothing is thrown at a caller: what nobody expected is a failure, too. */
export function answer<T>(work: () => Promise<T>): Stored<T> {
  const settled = async () => {
    try {
      return ok<T, StorageFailure>(await work());
    } catch (thrown) {
      return err<T, StorageFailure>(failureOf(thrown));
    }
  };
  return new ResultAsync(settled());
}

function failureOf(thrown: unknown): StorageFailure {
  if (isVivariumError(thrown) && thrown.code === 'storage_failure') return thrown as StorageFailure;
  return new StorageFailure('the storage failed in a way that it does not know', {
    retryable: false,
    outcome: 'unknown',
    cause: thrown,
  });
}
