import { postgresStorage } from '@vivarium/adapter-postgres';
import pg from 'pg';

import { recordingOf } from './driver.ts';
import type { Sent, SqlDatabase } from './driver.ts';

/** PostgreSQL by `pg`, with as many connections on either side. */
export function postgres(url: string, connections: number): SqlDatabase {
  const ours = new pg.Pool({ connectionString: url, max: connections });
  const raw = new pg.Pool({ connectionString: url, max: connections });
  const send = async (statements: readonly Sent[]) => {
    const [only] = statements;
    if (statements.length === 1) return void (await raw.query(config(only!)));
    const client = await raw.connect();
    try {
      for (const sent of statements) await client.query(config(sent));
    } finally {
      client.release();
    }
  };
  const listen: SqlDatabase['listen'] = async (run) => {
    const sent: Sent[] = [];
    const query = pg.Client.prototype.query as (this: pg.Client, ...args: unknown[]) => unknown;
    pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
      const [config, values] = args as [string | pg.QueryConfig, unknown[]?];
      sent.push(
        typeof config === 'string'
          ? { how: 'text', text: config, values: values ?? [] }
          : {
              how: 'prepared',
              text: config.text,
              values: config.values ?? [],
              ...(config.name === undefined ? {} : { name: config.name }),
            },
      );
      return query.apply(this, args);
    } as typeof pg.Client.prototype.query;
    try {
      await run();
    } finally {
      pg.Client.prototype.query = query as typeof pg.Client.prototype.query;
    }
    return sent;
  };
  return {
    name: 'PostgreSQL',
    storage: postgresStorage({ pool: ours }),
    listen,
    record: async (run) => recordingOf(await listen(run), send),
    close: async () => {
      await Promise.all([ours.end(), raw.end()]);
    },
  };
}

function config({ name, text, values }: Sent): pg.QueryConfig {
  return { text, values: [...values], ...(name === undefined ? {} : { name }) };
}
