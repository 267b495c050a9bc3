/** Databases for the tests: one empty database for each caller, on whichever server a run is about. */
import type { AvailableEngine } from '@vivarium/engines/vitest';
import { createPool } from 'mysql2/promise';
import type { Pool, PoolOptions } from 'mysql2/promise';
import { randomBytes } from 'node:crypto';

import { mysqlStorage } from '../src/index.ts';
import type { MysqlStorage } from '../src/index.ts';

export interface Database {
  readonly storage: MysqlStorage;
  /** The pool that the storage works on. */
  readonly pool: Pool;
  /** Leads to the database of this caller alone. */
  readonly url: string;
  /** Asks the database itself, behind the storage's back and over connections of its own. */
  query(text: string, values?: unknown[]): Promise<Record<string, any>[]>;
  close(): Promise<void>;
}

/** Names of the engines that everything here has to hold on. */
export const everyEngine = ['mysql-9', 'mariadb', 'mariadb-snapshot'] as const;
export const mysql = ['mysql-9'] as const;
export const mariadb = ['mariadb', 'mariadb-snapshot'] as const;

/** A storage over a migrated database of its own, on a pool set as a host may have set it. */
export async function database(
  engine: AvailableEngine,
  { host = {}, onConnection = [] }: { host?: PoolOptions; onConnection?: readonly string[] } = {},
): Promise<Database> {
  const empty = await emptyDatabase(engine);
  const pool = createPool({ uri: empty.url, charset: 'utf8mb4', connectionLimit: 25, ...host });
  pool.on('connection', (connection) => {
    for (const text of onConnection) void connection.query(text);
  });
  const storage = await migrated(mysqlStorage({ pool }));
  return {
    ...empty,
    pool,
    storage,
    close: async () => {
      await pool.end();
      await empty.close();
    },
  };
}

export type EmptyDatabase = Omit<Database, 'storage' | 'pool'>;

export async function emptyDatabase(engine: AvailableEngine): Promise<EmptyDatabase> {
  const name = `t_${randomBytes(6).toString('hex')}`;
  const url = new URL(engine.url);
  url.pathname = `/${name}`;
  const server = createPool({ uri: engine.url, connectionLimit: 1 });
  await server.query(`CREATE DATABASE ${name}`);
  await server.end();

  const pool = createPool({ uri: url.href, charset: 'utf8mb4', timezone: 'Z', connectionLimit: 2 });
  const query = async (text: string, values: unknown[] = []) =>
    (await pool.query(text, values))[0] as Record<string, any>[];
  const close = async () => {
    await pool.query(`DROP DATABASE ${name}`);
    await pool.end();
  };
  return { url: url.href, query, close };
}

export async function migrated(storage: MysqlStorage): Promise<MysqlStorage> {
  const report = await storage.migrate();
  if (report.isErr()) throw report.error;
  return storage;
}
