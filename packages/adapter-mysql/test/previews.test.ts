/** Previews where the server itself matters: held against memory, raced against what they hang from, and found by an index. */
import type { Storage } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { outcomes, previewsLikeInMemory } from '../../sql/test/preview-differential.ts';
import { testPreviewRaces } from '../../sql/test/preview-races.ts';
import { database, everyEngine } from './databases.ts';
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

  describe.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])(`[${engine.name}] previews, %s`, (level) => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine, { onConnection: [`SET SESSION TRANSACTION ISOLATION LEVEL ${level}`] });
    });
    afterAll(() => db.close());

    async function inTransaction(work: (inside: Storage) => Promise<void>): Promise<void> {
      const connection = await db.pool.getConnection();
      try {
        await connection.beginTransaction();
        await work(db.storage.within(connection));
        await connection.commit();
      } catch (thrown) {
        await connection.rollback();
        throw thrown;
      } finally {
        connection.release();
      }
    }

    test('is what it says', async () => {
      const variable = engine.name === 'mysql-9' ? '@@transaction_isolation' : '@@tx_isolation';
      const [rows] = await db.pool.query(`SELECT ${variable} AS level`);
      expect(rows).toEqual([{ level: level.replace(' ', '-') }]);
    });

    testPreviewRaces(() => ({ storage: db.storage, inTransaction }));
  });
});
