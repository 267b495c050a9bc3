import { sendOver } from './connection.ts';
import type { PooledClient, PostgresPool, Send } from './connection.ts';
import { connectionSurvives, toFailure } from './failure.ts';
import type { InTransaction } from './migrator.ts';

/**
 * Sends each statement over a client of the pool. Not `pool.query`: that throws the connection away after every error, and a plan that is
 * refused is one.
 */
export function sendOverPool(pool: () => Promise<PostgresPool>): Send {
  return (text, values, name) => withClient(pool, (client) => sendOver(client)(text, values, name));
}

export function inTransactionOver(pool: () => Promise<PostgresPool>): InTransaction {
  return (work) =>
    withClient(pool, async (client) => {
      const send = sendOver(client);
      await send('BEGIN');
      try {
        const done = await work(send);
        await send('COMMIT');
        return done;
      } catch (thrown) {
        // Where even this fails the connection is gone, and with it the transaction.
        await send('ROLLBACK').catch(() => undefined);
        throw thrown;
      }
    });
}

async function withClient<T>(
  open: () => Promise<PostgresPool>,
  work: (client: PooledClient) => Promise<T>,
): Promise<T> {
  const client = await connected(open);
  let broken = false;
  client.on('error', unheard);
  try {
    return await work(client);
  } catch (thrown) {
    broken = !connectionSurvives(thrown);
    throw thrown;
  } finally {
    client.removeListener('error', unheard);
    client.release(broken);
  }
}

/** Nothing has been sent until there is a connection, so whatever goes wrong before has no outcome. */
async function connected(open: () => Promise<PostgresPool>): Promise<PooledClient> {
  try {
    return await (await open()).connect();
  } catch (thrown) {
    throw toFailure(thrown, 'connect');
  }
}

/** A client that loses its connection rejects its query and says it once more as an event, which would end the process if nobody listened. */
const unheard = () => undefined;
