/**
 * The connections that this package can work on, by what it needs of them: pg's pool and clients, PGlite, Kysely's transactions. Written down
 * here, so that nobody's declarations are needed who does not use them.
 */
import { setImmediate } from 'node:timers/promises';

import type { Row } from '@vivarium/sql';

/** A statement as pg takes it; with a `name`, the server keeps it prepared under that. */
export interface PostgresQuery {
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
}

/** A pg `Client`, or a client of a pool. */
export interface PostgresClient {
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[] }>;
}

/** A client that belongs to a pool. */
export interface PooledClient extends PostgresClient {
  release(destroy?: boolean): void;
  on(event: 'error', listener: () => void): unknown;
  removeListener(event: 'error', listener: () => void): unknown;
}

/** A pg `Pool`. */
export interface PostgresPool {
  connect(): Promise<PooledClient>;
}

/** A transaction of PGlite. */
export interface PGliteTransaction {
  query(query: string, params?: unknown[]): Promise<{ readonly rows: unknown[] }>;
  exec(query: string): Promise<unknown>;
  rollback(): Promise<void>;
}

/** A `PGlite`. */
export interface PGliteDatabase {
  query(query: string, params?: unknown[]): Promise<{ readonly rows: unknown[] }>;
  transaction<T>(work: (transaction: PGliteTransaction) => Promise<T>): Promise<T>;
}

/** A transaction of Kysely on PostgreSQL, controlled or not. Its plugins are left aside. */
export interface KyselyTransaction {
  readonly isTransaction: boolean;
  withoutPlugins(): object;
}

/** What `within` takes: the caller's own open transaction. */
export type PostgresTransaction = PostgresClient | PGliteTransaction | KyselyTransaction;

/** Sends one statement. Rejects with whatever the driver has to say. `name` asks to keep it prepared under this name. */
export type Send = (text: string, values?: unknown[], name?: string) => Promise<readonly Row[]>;

export function sendOver(client: PostgresClient): Send {
  return async (text, values, name) => {
    const query = values === undefined ? { text } : name === undefined ? { text, values } : { name, text, values };
    return (await client.query(query)).rows as Row[];
  };
}

/**
 * PGlite answers on this thread without ever waiting for anything, so that callers which keep one another busy would let no timer run: not even
 * the one that a write waits for before it is tried again.
 */
export function sendOverPGlite(database: Pick<PGliteDatabase, 'query'>): Send {
  return async (text, values) => {
    await setImmediate();
    return (await database.query(text, values)).rows as Row[];
  };
}

/** A compiled query as Kysely's own `CompiledQuery.raw` makes it. */
export function sendOverKysely(transaction: KyselyTransaction): Send {
  const plain = transaction.withoutPlugins() as {
    executeQuery(query: object): Promise<{ readonly rows: readonly Row[] }>;
  };
  return async (sql, parameters = []) => {
    const query = { kind: 'RawNode', sqlFragments: [sql], parameters: [] };
    return (await plain.executeQuery({ sql, parameters, query, queryId: { queryId: 'vivarium' } })).rows;
  };
}

/** Tells what the caller has handed over, and refuses what is no transaction: nothing there could be undone. */
export function sendWithin(transaction: PostgresTransaction): Send {
  const given = transaction as object as Readonly<Record<string, unknown>>;
  if (typeof given['withoutPlugins'] === 'function') {
    if (given['isTransaction'] === true) return sendOverKysely(transaction as KyselyTransaction);
    throw new TypeError('within() takes a Kysely transaction, and this Kysely is not in one');
  }
  if (typeof given['transaction'] === 'function') {
    throw new TypeError(
      'within() takes the transaction that PGlite hands to the callback of transaction(), not PGlite itself',
    );
  }
  if (typeof given['totalCount'] === 'number') {
    throw new TypeError('within() takes a client of the pool on which BEGIN was called, not the pool itself');
  }
  if (typeof given['query'] !== 'function') {
    throw new TypeError('within() takes an open transaction: of Kysely, of a pg client, or of PGlite');
  }
  if (typeof given['exec'] === 'function') return sendOverPGlite(transaction as PGliteTransaction);
  return sendOver(transaction as PostgresClient);
}
