/** Where connections come from when the work is a transaction of its own: the host's pool, or one that this package opens. */
import { InvalidInput } from '@vivarium/core';
import { StorageFailure } from '@vivarium/core/storage';
import mysql from 'mysql2';

import { DriverLine, unwrapped } from './connection.ts';
import type { DriverConnection, Line, MysqlPool } from './connection.ts';
import type { Flavour } from './dialect.ts';
import { toFailure } from './failure.ts';
import { introduce } from './introduction.ts';

type PooledConnection = DriverConnection & { release(): void; destroy(): void };

/** mysql2's callback pool, by what is used of it. */
interface DriverPool {
  getConnection(callback: (error: Error | null, connection?: PooledConnection) => void): void;
}

/** A connection for the time of one piece of work. */
export interface Loan {
  readonly line: Line;
  readonly flavour: Flavour;
}

/** Gives a connection to work, and takes it back. A connection whose work rejects is closed: with it goes whatever it had left open. */
export type Lend = <T>(work: (loan: Loan) => Promise<T>) => Promise<T>;

export interface Source {
  readonly lend: Lend;
  close(): Promise<void>;
}

export function isPool(pool: unknown): boolean {
  return typeof pool === 'object' && pool !== null && driverOf(pool) !== null;
}

const driverOf = (pool: object) => unwrapped<DriverPool>(pool, 'pool', 'getConnection');

/** The host's pool. It stays open, and its settings stay as they are. */
export function hostPool(pool: MysqlPool): Source {
  return { lend: lendFrom(driverOf(pool)!, introduce), close: async () => undefined };
}

/** Set on every connection of our own, whatever the server's defaults are. */
const ownSession = [
  `SET NAMES utf8mb4, SESSION autocommit = 1, SESSION sql_safe_updates = 0, SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'`,
  'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ',
];

/** A pool of our own. It connects when it is first used. */
export function ownPool(connectionString: string, multiStatements: boolean): Source {
  const pool = open(connectionString, multiStatements);
  const prepared = new WeakSet<object>();
  let closed = false;
  const lend = lendFrom(pool, async (line, use) => {
    if (!prepared.has(line.identity)) {
      for (const setting of ownSession) await line.query(setting);
      prepared.add(line.identity);
    }
    return introduce(line, use);
  });
  return {
    lend: async (work) => {
      if (closed) throw new StorageFailure('the storage is closed', { retryable: false, outcome: 'none' });
      return lend(work);
    },
    close: async () => {
      if (closed) return;
      closed = true;
      await new Promise<void>((resolve, reject) => {
        pool.end((error) => (error === null || error === undefined ? resolve() : reject(toFailure(error, 'read'))));
      });
    },
  };
}

export const urlNeeded = 'must be a URL: mysql://user:password@host:3306/database';

/** The error of a URL that is none repeats it, with its password. */
function open(uri: string, multipleStatements: boolean) {
  try {
    return mysql.createPool({ uri, charset: 'utf8mb4', multipleStatements });
  } catch {
    throw new InvalidInput([{ path: 'connectionString', message: urlNeeded }]);
  }
}

function lendFrom(pool: DriverPool, meet: typeof introduce): Lend {
  return async (work) => {
    const connection = await connect(pool);
    let whole = false;
    try {
      const line = new DriverLine(connection);
      const done = await work({ line, flavour: await met(line, meet) });
      whole = true;
      return done;
    } finally {
      if (whole) connection.release();
      else connection.destroy();
    }
  };
}

async function met(line: Line, meet: typeof introduce): Promise<Flavour> {
  try {
    return await meet(line, 'pool');
  } catch (thrown) {
    throw toFailure(thrown, 'connect');
  }
}

function connect(pool: DriverPool): Promise<PooledConnection> {
  return new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => {
      if (error || connection === undefined) reject(toFailure(error, 'connect'));
      else resolve(connection);
    });
  });
}
