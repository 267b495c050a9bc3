import { PGlite } from '@electric-sql/pglite';
import type { AvailableEngine } from '@vivarium/engines/vitest';
import { tables } from '@vivarium/sql';
import type { RawDatabase, StorageHarness } from '@vivarium/testing';
import pg from 'pg';

import { postgresStorage } from '../../src/index.ts';
import type { PostgresTransaction } from '../../src/index.ts';
import { database } from '../databases.ts';
import type { Database } from '../databases.ts';

/** What the conformance suite needs of a database: the storage under test, and ways around it. */
export async function makeHarness(engine: AvailableEngine): Promise<StorageHarness> {
  const db = await database(engine);
  const { schema, connection } = db;
  const closers = [() => db.close()];
  const opened = (close: () => Promise<void>) => closers.unshift(close);
  let closed: Promise<PGlite> | undefined;

  return {
    storage: db.storage,
    raw: rawDatabase(db),

    async another() {
      if ('pglite' in connection) return postgresStorage(connection, { schema });
      // The suite asks for many of them, and the server has 300 connections for all.
      const pool = new pg.Pool({ connectionString: engine.url, max: 12, idleTimeoutMillis: 200 });
      pool.on('error', () => undefined);
      opened(() => pool.end());
      return postgresStorage({ pool }, { schema });
    },

    async broken() {
      if ('pglite' in connection) {
        return postgresStorage({ pglite: await (closed ??= closedPGlite()) }, { schema });
      }
      const pool = new pg.Pool({ connectionString: engine.url });
      await pool.end();
      return postgresStorage({ pool }, { schema });
    },

    transaction: (work) => transaction(connection, work),

    async reset() {
      for (const table of Object.keys(tables)) await db.query(`TRUNCATE ${schema}.${table} CASCADE`);
    },

    async close() {
      for (const close of closers) await close();
    },
  };
}

/** One is enough for all: nothing brings it back, and each takes seconds to start. */
async function closedPGlite(): Promise<PGlite> {
  const pglite = new PGlite();
  await pglite.waitReady;
  await pglite.close();
  return pglite;
}

async function transaction(
  connection: Database['connection'],
  work: (given: PostgresTransaction) => Promise<'commit' | 'rollback'>,
): Promise<void> {
  if ('pglite' in connection) {
    await (connection.pglite as PGlite).transaction(async (given) => {
      if ((await work(given)) === 'rollback') await given.rollback();
    });
    return;
  }
  const client = await (connection as { pool: pg.Pool }).pool.connect();
  try {
    await client.query('BEGIN');
    await client.query((await work(client)) === 'commit' ? 'COMMIT' : 'ROLLBACK');
  } catch (thrown) {
    await client.query('ROLLBACK');
    throw thrown;
  } finally {
    client.release();
  }
}

function rawDatabase({ query, schema }: Database): RawDatabase {
  const tableOf = {
    projects: 'projects',
    environments: 'environments',
    journal: 'journal',
    queue: 'journal_queue',
    keys: 'idempotency_keys',
  } as const;
  return {
    async environmentVariables({ orgId, projectId, id }) {
      const [row] = await query(
        `SELECT variables::text AS variables FROM ${schema}.environments WHERE org_id = $1 AND project_id = $2 AND id = $3`,
        [orgId, projectId, id],
      );
      return row!['variables'] as string;
    },
    async setEnvironmentVariables({ orgId, projectId, id }, json) {
      await query(
        `UPDATE ${schema}.environments SET variables = $4::text::jsonb WHERE org_id = $1 AND project_id = $2 AND id = $3`,
        [orgId, projectId, id, json],
      );
    },
    async count(kind, orgId) {
      const [row] = await query(`SELECT count(*)::int AS rows FROM ${schema}.${tableOf[kind]} WHERE org_id = $1`, [
        orgId,
      ]);
      return row!['rows'] as number;
    },
    async dump() {
      const parts = await Promise.all(
        Object.keys(tables).map((table) =>
          query(`SELECT coalesce(string_agg(t::text, chr(10)), '') AS rows FROM ${schema}.${table} t`),
        ),
      );
      return parts.map(([row]) => row!['rows'] as string).join('\n');
    },
  };
}
