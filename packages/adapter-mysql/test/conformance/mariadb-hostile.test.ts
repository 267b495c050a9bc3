/** What depends on how statements are sent once more, on a pool of a host that has set everything that can be set, for reasons of its own. */
import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorageAgain } from '@vivarium/testing';

import { makeHarness } from './harness.ts';
import { hostile } from './hostile.ts';

await describeOnEngines(['mariadb'], (engine) => {
  describeStorageAgain(engine.name, () => makeHarness(engine, hostile), {
    chaosCommands: 500,
    modelCommands: 300,
    buildCommands: 300,
  });
});
