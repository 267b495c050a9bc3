import type { Storage } from '@vivarium/core/storage';
import { sqlStorage } from '@vivarium/sql';

import { sendOverPGlite, sendWithin } from './connection.ts';
import type { PGliteDatabase, PostgresPool, PostgresTransaction, Send } from './connection.ts';
import { postgresDialect } from './dialect.ts';
import { BorrowedExecutor, OwnExecutor, turnOf } from './executor.ts';
import { Migrator } from './migrator.ts';
import type { InTransaction } from './migrator.ts';
import { OwnPool } from './own-pool.ts';
import { PlanStatements } from './plan-statement.ts';
import { inTransactionOver, sendOverPool } from './pooled.ts';

/** Where the database is: a pg pool or a PGlite of the host's, which stay open, or a URL for a pool of our own. */
export type PostgresConnection =
  { readonly pool: PostgresPool } | { readonly pglite: PGliteDatabase } | { readonly connectionString: string };

/** How the storage is set up in its database. */
export interface PostgresOptions {
  /** The schema that holds the tables; `vivarium` when not given. `migrate` creates it. */
  readonly schema?: string;
  /**
   * Whether statements are kept prepared under names, which is half the time of a small call; `true` when not given. Say `false` behind
   * PgBouncer older than 1.21 in transaction mode. PGlite never does.
   */
  readonly prepare?: boolean;
}

/** A storage on PostgreSQL or PGlite. */
export type PostgresStorage = Required<Storage<PostgresTransaction>> & {
  /** The SQL that `migrate` runs, for a person to look at or to run by hand. Running it again does nothing. */
  migrationSql(): string;
};

/**
 * Stores everything in PostgreSQL 15 or newer, or in a PGlite. Throws a TypeError when the arguments are wrong; connects when it is first used.
 *
 * @example
 * const storage = postgresStorage({ pool: new Pool({ connectionString }) });
 * await unwrap(storage.migrate());
 * const vivarium = createVivarium({ storage });
 */
export function postgresStorage(connection: PostgresConnection, options: PostgresOptions = {}): PostgresStorage {
  const schema = schemaName(options.schema ?? 'vivarium');
  const dialect = postgresDialect(schema);
  const plans = new PlanStatements(dialect);
  const migrator = new Migrator(schema);
  const { send, inTransaction, close } = linkTo(connection);
  const prepared = (one: Send): Send => (options.prepare === false ? (text, values) => one(text, values) : one);

  const storage = sqlStorage<PostgresTransaction>({
    name: 'postgres',
    dialect,
    executor: new OwnExecutor(prepared(send), plans),
    within: (transaction) => new BorrowedExecutor(prepared(sendWithin(transaction)), plans, turnOf(transaction)),
    migrate: () => migrator.migrate(inTransaction),
    status: () => migrator.status(send),
    close,
  });
  return { ...storage, migrationSql: () => migrator.sql() };
}

/** How statements get to the database. */
interface Link {
  readonly send: Send;
  readonly inTransaction: InTransaction;
  readonly close: () => Promise<void>;
}

function linkTo(connection: PostgresConnection): Link {
  if ('pool' in connection && typeof connection.pool?.connect === 'function') {
    const pool = () => Promise.resolve(connection.pool);
    return { send: sendOverPool(pool), inTransaction: inTransactionOver(pool), close: async () => undefined };
  }
  if ('pglite' in connection && typeof connection.pglite?.transaction === 'function') {
    const { pglite } = connection;
    return {
      send: sendOverPGlite(pglite),
      inTransaction: (work) => pglite.transaction((transaction) => work(sendOverPGlite(transaction))),
      close: async () => undefined,
    };
  }
  if ('connectionString' in connection && typeof connection.connectionString === 'string') {
    const own = new OwnPool(connection.connectionString);
    const pool = () => own.pool();
    return { send: sendOverPool(pool), inTransaction: inTransactionOver(pool), close: () => own.close() };
  }
  throw new TypeError('postgresStorage takes { pool } of pg, { pglite }, or { connectionString }');
}

function schemaName(schema: string): string {
  if (schema.length > 0 && Buffer.byteLength(schema) <= 63 && !schema.includes('\0')) return schema;
  throw new TypeError('the schema of postgresStorage must have 1 to 63 bytes');
}
