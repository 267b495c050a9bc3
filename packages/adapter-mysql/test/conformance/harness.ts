/** What the conformance suite needs of a database: the storage under test, and ways around it. */
import type { AvailableEngine } from '@vivarium/engines/vitest';
import { tables } from '@vivarium/sql';
import type { RawDatabase, StorageHarness } from '@vivarium/testing';
import { createPool } from 'mysql2/promise';
import type { Pool, PoolOptions } from 'mysql2/promise';

import { mysqlStorage } from '../../src/index.ts';
import type { MysqlStorage } from '../../src/index.ts';
import { database } from '../databases.ts';
import type { Database } from '../databases.ts';

/** How the storage under test is made; by default, on a pool of the host's as mysql2 makes it. */
export interface Making {
  /** What the host has set on its pool. */
  readonly host?: PoolOptions;
  /** What the host does with each new connection. */
  readonly onConnection?: readonly string[];
  /** Takes the place of a pool. */
  readonly open?: (url: string) => MysqlStorage;
}

export async function makeHarness(engine: AvailableEngine, making: Making = {}): Promise<StorageHarness> {
  const db = await database(engine, making);
  const closers = [() => db.close()];
  const closing = (storage: MysqlStorage) => {
    closers.unshift(async () => void (await storage.close()));
    return storage;
  };

  return {
    storage: making.open ? closing(making.open(db.url)) : db.storage,
    raw: rawDatabase(db),

    async another() {
      if (making.open) return closing(making.open(db.url));
      // The suite asks for many of them, and the server has 300 connections for all.
      const pool = createPool({ uri: db.url, charset: 'utf8mb4', connectionLimit: 12, maxIdle: 0, idleTimeout: 200 });
      closers.unshift(() => pool.end());
      return mysqlStorage({ pool });
    },

    async broken() {
      const pool = createPool({ uri: db.url });
      await pool.end();
      return mysqlStorage({ pool });
    },

    transaction: (work) => transaction(db.pool, work),

    async reset() {
      await db.query('UPDATE vivarium_projects SET parent_project_id = NULL');
      for (const table of Object.keys(tables)) await db.query(`DELETE FROM vivarium_${table}`);
    },

    async close() {
      for (const close of closers) await close();
    },
  };
}

async function transaction(pool: Pool, work: (given: unknown) => Promise<'commit' | 'rollback'>): Promise<void> {
  const connection = await pool.getConnection();
  try {
    await connection.beginTransaction();
    await connection[await work(connection)]();
  } catch (thrown) {
    await connection.rollback();
    throw thrown;
  } finally {
    connection.release();
  }
}

function rawDatabase({ query }: Database): RawDatabase {
  const tableOf = {
    projects: 'projects',
    environments: 'environments',
    journal: 'journal',
    queue: 'journal_queue',
    keys: 'idempotency_keys',
  } as const;
  const addressed = 'org_id = ? AND project_id = ? AND id = ?';
  return {
    async environmentVariables({ orgId, projectId, id }) {
      const text = `SELECT CAST(variables AS CHAR) AS variables FROM vivarium_environments WHERE ${addressed}`;
      const [row] = await query(text, [orgId, projectId, id]);
      return row!['variables'] as string;
    },
    async setEnvironmentVariables({ orgId, projectId, id }, json) {
      await query(`UPDATE vivarium_environments SET variables = ? WHERE ${addressed}`, [json, orgId, projectId, id]);
    },
    async count(kind, orgId) {
      const [row] = await query(`SELECT COUNT(*) AS found FROM vivarium_${tableOf[kind]} WHERE org_id = ?`, [orgId]);
      return row!['found'] as number;
    },
    async dump() {
      const parts = await Promise.all(Object.keys(tables).map((table) => query(`SELECT * FROM vivarium_${table}`)));
      return JSON.stringify(parts);
    },
  };
}
