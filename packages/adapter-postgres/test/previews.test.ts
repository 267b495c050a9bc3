/** Previews where the server itself matters: held against memory, raced against what they hang from, and looked for by an index. */
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { previewsLikeInMemory } from '../../sql/test/preview-differential.ts';
import { database, everyEngine } from './databases.ts';
import type { Database } from './databases.ts';

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] previews`, () => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine);
    });
    afterAll(() => db.close());

    test('400 commands come to what they come to in memory', async () => {
      const came = await previewsLikeInMemory(db.storage, { seed: 4, commands: 400 });
      expect(came).toMatchObject({
        'create done': expect.any(Number),
      });
      console.log(came);
    });
  });
});
