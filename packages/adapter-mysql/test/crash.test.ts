import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeCrashes } from '@vivarium/testing';

import { database } from './databases.ts';

const kills = Number(process.env['VIVARIUM_TEST_KILLS'] ?? 20);
const program = fileURLToPath(new URL('crash-worker.ts', import.meta.url));

await describeOnEngines(['mysql-9'], (engine) => {
  describeCrashes(
    engine.name,
    async () => {
      const { storage, url, close } = await database(engine);
      return { storage, worker: [program, url], close };
    },
    kills,
  );
});
