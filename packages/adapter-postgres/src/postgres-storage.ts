import { checkAlternatives, checkOptions, hasMethods, may } from '@vivarium/core/storage';
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
  | { readonly pool: PostgresPool }
  | { readonly pglite: PGliteDatabase }
  | { readonly connectionString: string };

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
 * Stores everything in PostgreSQL 15 or newer, or in a PGlite. Throws `InvalidInput` on a wrong configuration; connects when it is first used.
 *
 * @example
 * const storage = postgresStorage({ pool: new Pool({ connectionString }) });
 * await unwrap(storage.migrate());
 * const vivarium = createVivarium({ storage });
 */
export function postgresStorage(connection: PostgresConnection, options: PostgresOptions = {}): PostgresStorage {
  checkAlternatives(connection, {
    pool: may(hasMethods('connect'), 'must be a Pool of pg'),
    pglite: may(hasMethods('transaction', 'query'), 'must be a PGlite'),
    connectionString: may(isPostgresUrl, 'must be a URL: postgres://user:password@host:5432/database'),
  });
  checkOptions(options, {
    schema: may(isSchemaName, 'must have 1 to 63 bytes'),
    prepare: may((prepare) => typeof prepare === 'boolean', 'must be true or false'),
  });
  const { schema = 'vivarium' } = options;
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
  if ('pglite' in connection && connection.pglite !== undefined) {
    const { pglite } = connection;
    return {
      send: sendOverPGlite(pglite),
      inTransaction: (work) => pglite.transaction((transaction) => work(sendOverPGlite(transaction))),
      close: async () => undefined,
    };
  }
  if ('pool' in connection && connection.pool !== undefined) {
    const pool = () => Promise.resolve(connection.pool);
    return { send: sendOverPool(pool), inTransaction: inTransactionOver(pool), close: async () => undefined };
  }
  const own = new OwnPool((connection as { readonly connectionString: string }).connectionString);
  const pool = () => own.pool();
  return { send: sendOverPool(pool), inTransaction: inTransactionOver(pool), close: () => own.close() };
}

/** By its scheme alone: pg would read that of another database, and any other text, as a database of PostgreSQL somewhere. */
function isPostgresUrl(url: unknown): boolean {
  return typeof url === 'string' && /^postgres(ql)?:\/\//i.test(url);
}

function isSchemaName(schema: unknown): boolean {
  return typeof schema === 'string' && schema !== '' && Buffer.byteLength(schema) <= 63 && !schema.includes('\0');
}
