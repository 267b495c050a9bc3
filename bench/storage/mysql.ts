import { mysqlStorage } from '@vivarium/adapter-mysql';
import core from 'mysql2';
import { createPool } from 'mysql2/promise';

import { recordingOf } from './driver.ts';
import type { Sent, SqlDatabase } from './driver.ts';

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** MySQL by `mysql2`, with as many connections on either side. */
export function mysql(url: string, connections: number): SqlDatabase {
  const options = { uri: url, connectionLimit: connections };
  const ours = createPool(options);
  const raw = createPool(options);
  const send = async (statements: readonly Sent[]) => {
    const connection = await raw.getConnection();
    try {
      for (const { how, text, values } of statements) {
        if (how === 'prepared') await connection.execute(text, values as never[]);
        else await connection.query(text, values as never[]);
      }
    } finally {
      connection.release();
    }
  };
  const listen: SqlDatabase['listen'] = async (run) => {
    const sent: Sent[] = [];
    const connection = (core as unknown as { Connection: { prototype: Record<'execute' | 'query', Call> } }).Connection
      .prototype;
    const { execute, query } = connection;
    const recording = (how: Sent['how'], call: Call): Call =>
      function (this: unknown, ...args) {
        const [first, second] = args as [string | { sql: string; values?: unknown[] }, unknown];
        const text = typeof first === 'string' ? first : first.sql;
        const values = Array.isArray(second) ? second : typeof first === 'string' ? [] : (first.values ?? []);
        sent.push({ how, text, values });
        return call.apply(this, args);
      };
    connection.execute = recording('prepared', execute);
    connection.query = recording('text', query);
    try {
      await run();
    } finally {
      Object.assign(connection, { execute, query });
    }
    return sent;
  };
  return {
    name: 'MySQL',
    storage: mysqlStorage({ pool: ours }),
    listen,
    record: async (run) => recordingOf(await listen(run), send),
    close: async () => {
      await Promise.all([ours.end(), raw.end()]);
    },
  };
}
