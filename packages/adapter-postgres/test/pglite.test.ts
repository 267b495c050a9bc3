import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { database } from './databases.ts';
import type { Database } from './databases.ts';
import { unwrap } from './making.ts';

await describeOnEngines(['pglite'], (engine) => {
  describe(`[${engine.name}] on the caller's own thread`, () => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine);
    });
    afterAll(() => db.close());

    test('timers run while callers keep the database busy', async () => {
      let rang = false;
      setTimeout(() => (rang = true), 1);
      for (let calls = 0; calls < 500 && !rang; calls++) {
        await unwrap(db.storage.projects.get('o', randomUUID()));
      }
      expect(rang).toBe(true);
    });
  });
});
