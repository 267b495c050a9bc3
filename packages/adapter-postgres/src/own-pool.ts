import { StorageFailure } from '@vivarium/core/storage';

import type { PostgresPool } from './connection.ts';
import { toFailure } from './failure.ts';

type EndingPool = PostgresPool & { end(): Promise<void> };

/** A pool that this package opens, of a pg that is loaded when it is first needed: who hands in a PGlite does not have one. */
export class OwnPool {
  readonly #connectionString: string;
  #opened: Promise<EndingPool> | null = null;
  #closed = false;

  constructor(connectionString: string) {
    this.#connectionString = connectionString;
  }

  async pool(): Promise<PostgresPool> {
    if (this.#closed) {
      throw new StorageFailure('the storage is closed', { retryable: false, outcome: 'none' });
    }
    this.#opened ??= open(this.#connectionString);
    return this.#opened;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opened = this.#opened;
    this.#opened = null;
    if (opened === null) return;
    try {
      await (await opened).end();
    } catch (thrown) {
      throw toFailure(thrown, 'read');
    }
  }
}

async function open(connectionString: string): Promise<EndingPool> {
  try {
    const { Pool } = (await import('pg')).default;
    const pool = new Pool({ connectionString });
    // An idle connection that the server ends would otherwise end the process; the next call opens another.
    pool.on('error', () => undefined);
    return pool;
  } catch (thrown) {
    throw new StorageFailure('{ connectionString } needs the package pg: install it, or hand in a { pool }', {
      retryable: false,
      outcome: 'none',
      cause: thrown,
    });
  }
}
