/** Previews where the server itself matters: held against memory, raced against what they hang from, and found by an index. */
import type { Storage } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { outcomes, previewsLikeInMemory } from '../../sql/test/preview-differential.ts';
import { testPreviewRaces } from '../../sql/test/preview-races.ts';
import { postgresStorage } from '../src/index.ts';
import type { PostgresStorage } from '../src/index.ts';
import { database, everyEngine, servers } from './databases.ts';
import type { Database } from './databases.ts';

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] previews`, () => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine);
    });
    afterAll(() => db.close());

    test('any commands come to what they come to in memory', async () => {
      const came = await previewsLikeInMemory(db.storage, { seed: 4, commands: 300 });
      expect(Object.keys(came)).toEqual(expect.arrayContaining(outcomes));
    });
  });
});

await describeOnEngines(servers, (engine) => {
  describe.each(['read committed', 'repeatable read', 'serializable'])(`[${engine.name}] previews, %s`, (level) => {
    let db: Database;
    let pool: pg.Pool;
    let storage: PostgresStorage;
    beforeAll(async () => {
      db = await database(engine);
      const options = `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`;
      pool = new pg.Pool({ connectionString: engine.url, options });
      storage = postgresStorage({ pool }, { schema: db.schema });
    });
    afterAll(async () => {
      await pool.end();
      await db.close();
    });

    async function inTransaction(work: (inside: Storage) => Promise<void>): Promise<void> {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await work(storage.within(client));
        await client.query('COMMIT');
      } catch (thrown) {
        await client.query('ROLLBACK');
        throw thrown;
      } finally {
        client.release();
      }
    }

    test('is what it says', async () => {
      expect((await pool.query('SHOW transaction_isolation')).rows).toEqual([{ transaction_isolation: level }]);
    });

    testPreviewRaces(() => ({ storage, inTransaction }));
  });
});
