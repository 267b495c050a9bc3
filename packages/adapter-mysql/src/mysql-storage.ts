import { checkAlternatives, checkOptions, may } from '@vivarium/core/storage';
import type { Storage } from '@vivarium/core/storage';
import { sqlStorage } from '@vivarium/sql';

import { lineWithin } from './connection.ts';
import type { MysqlPool, MysqlTransaction } from './connection.ts';
import { defaultPrefix, mysqlDialect } from './dialect.ts';
import type { Flavour } from './dialect.ts';
import { BorrowedExecutor, OwnExecutor } from './executor.ts';
import { Migrator } from './migrator.ts';
import { PlanTexts } from './plan-text.ts';
import { hostPool, isPool, ownPool, urlNeeded } from './pool.ts';

/** Where the database is: a mysql2 pool of the host's, which stays open, or a URL for a pool of our own. */
export type MysqlStorageConnection = { readonly pool: MysqlPool } | { readonly connectionString: string };

/** How the storage is set up in its database. */
export interface MysqlOptions {
  /**
   * What the names of the tables, and of their constraints, begin with: up to 24 lower-case letters, digits and underscores, or nothing.
   * `vivarium_` when not given.
   */
  readonly tablePrefix?: string;
  /**
   * Sends a write to MySQL as several statements at once: one round trip in place of two and one for each step. Only with
   * `{ connectionString }`, because such connections would also run what an injection elsewhere has added to a statement; `false` when not
   * given. MariaDB needs one round trip in any case.
   */
  readonly multiStatements?: boolean;
}

/** A storage on MySQL or MariaDB. */
export type MysqlStorage = Required<Storage<MysqlTransaction>> & {
  /**
   * The SQL that `migrate` runs, for a person to look at or to run by hand. Running it again does nothing. The two servers differ in the names of
   * collations.
   */
  migrationSql(options: { readonly flavour: Flavour }): string;
};

/**
 * Stores everything in MySQL 8.0.19 or newer, or MariaDB 10.6.2 or newer; which of them it is, the first connection tells. Throws
 * `InvalidInput` on a wrong configuration; connects when it is first used.
 *
 * @example
 * const storage = mysqlStorage({ pool: createPool({ uri, charset: 'utf8mb4' }) });
 * await unwrap(storage.migrate());
 * const vivarium = createVivarium({ storage });
 */
export function mysqlStorage(connection: MysqlStorageConnection, options: MysqlOptions = {}): MysqlStorage {
  checkAlternatives(connection, {
    pool: may(isPool, 'must be a pool of mysql2 or mysql2/promise'),
    connectionString: may(isMysqlUrl, urlNeeded),
  });
  const { pool, connectionString } = connection as { pool?: MysqlPool; connectionString?: string };
  checkOptions(options, {
    tablePrefix: may(isPrefix, 'must be up to 24 lower-case letters, digits and underscores'),
    multiStatements: (given) =>
      given === true && connectionString === undefined
        ? 'is only for { connectionString }, whose connections nobody else uses'
        : may((batches) => typeof batches === 'boolean', 'must be true or false')(given),
  });
  const { tablePrefix: prefix = defaultPrefix, multiStatements: batches = false } = options;
  const source = pool === undefined ? ownPool(connectionString!, batches) : hostPool(pool);
  const dialect = mysqlDialect(prefix);
  const plans = new PlanTexts(dialect);
  const migrator = new Migrator(prefix, source.lend);

  const storage = sqlStorage<MysqlTransaction>({
    name: 'mysql',
    dialect,
    executor: new OwnExecutor(source.lend, plans, prefix, batches),
    within: (transaction) => new BorrowedExecutor(lineWithin(transaction), plans, prefix),
    migrate: () => migrator.migrate(),
    status: () => migrator.status(),
    close: () => source.close(),
  });
  return { ...storage, migrationSql: ({ flavour }) => migrator.sql(flavour) };
}

/** By its scheme, which mysql2 does not look at: it would ask a server of another kind. */
function isMysqlUrl(url: unknown): boolean {
  return typeof url === 'string' && /^(mysql|mariadb):\/\//i.test(url);
}

/** Lower case, because servers on some systems fold the names of tables. Short, because names end at 64 characters. */
function isPrefix(prefix: unknown): boolean {
  return typeof prefix === 'string' && /^[a-z0-9_]{0,24}$/.test(prefix);
}
