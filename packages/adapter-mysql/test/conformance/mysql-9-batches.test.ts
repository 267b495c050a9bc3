/** What depends on how statements are sent once more on MySQL, with each write in one batch of statements. */
import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorageAgain } from '@vivarium/testing';

import { mysqlStorage } from '../../src/index.ts';
import { makeHarness } from './harness.ts';

await describeOnEngines(['mysql-9'], (engine) => {
  const open = (connectionString: string) => mysqlStorage({ connectionString }, { multiStatements: true });
  describeStorageAgain(engine.name, () => makeHarness(engine, { open }), {
    chaosCommands: 500,
    modelCommands: 300,
    buildCommands: 300,
  });
});
