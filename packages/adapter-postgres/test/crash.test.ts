import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeCrashes } from '@vivarium/testing';

import { database } from './databases.ts';

const kills = Number(process.env['VIVARIUM_TEST_KILLS'] ?? 20);
const program = fileURLToPath(new URL('crash-worker.ts', import.meta.url));

await describeOnEngines(['postgres-18'], (engine) => {
  describeCrashes(
    engine.name,
    async () => {
      const { storage, schema, close } = await database(engine);
      return { storage, worker: [program, engine.url, schema], close };
    },
    kills,
  );
});
