/** Databases for the tests: one empty schema for each caller, on whichever engine a run is about. */
import { PGlite } from '@electric-sql/pglite';
import type { AvailableEngine } from '@vivarium/engines/vitest';
import { randomBytes } from 'node:crypto';
import pg from 'pg';

import { postgresStorage } from '../src/index.ts';
import type { PostgresConnection, PostgresStorage } from '../src/index.ts';

export interface Database {
  readonly storage: PostgresStorage;
  readonly schema: string;
  readonly connection: PostgresConnection;
  /** Asks the database itself, behind the storage's back. */
  query(text: string, values?: unknown[]): Promise<Record<string, any>[]>;
  close(): Promise<void>;
}

/** Names of the engines that everything here has to hold on. */
export const everyEngine = ['pglite', 'postgres-18', 'postgres-15'] as const;
export const servers = ['postgres-18', 'postgres-15'] as const;

/** A storage over a migrated schema of its own. */
export async function database(engine: AvailableEngine, { connections = 30 } = {}): Promise<Database> {
  const schema = `t_${randomBytes(6).toString('hex')}`;
  if (engine.name === 'pglite') {
    const pglite = new PGlite();
    const storage = await migrated(postgresStorage({ pglite }, { schema }));
    const query = async (text: string, values?: unknown[]) =>
      (await pglite.query<Record<string, any>>(text, values)).rows;
    return { storage, schema, connection: { pglite }, query, close: () => pglite.close() };
  }
  const pool = new pg.Pool({ connectionString: engine.url, max: connections });
  pool.on('error', () => undefined);
  const storage = await migrated(postgresStorage({ pool }, { schema }));
  const query = async (text: string, values?: unknown[]) => (await pool.query<Record<string, any>>(text, values)).rows;
  const close = async () => {
    await pool.query(`DROP SCHEMA ${schema} CASCADE`);
    await pool.end();
  };
  return { storage, schema, connection: { pool }, query, close };
}

async function migrated(storage: PostgresStorage): Promise<PostgresStorage> {
  const report = await storage.migrate();
  if (report.isErr()) throw report.error;
  return storage;
}
