/** What AWS does to transactions that meet, and the emulator never does. */
import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorageAgain } from '@vivarium/testing';

import { makeHarness } from './harness.ts';

await describeOnEngines(['dynamodb'], (engine) => {
  describeStorageAgain('dynamodb, 20 % conflicts', () => makeHarness(engine.url, { conflicts: 0.2 }), {
    chaosCommands: 500,
    modelCommands: 300,
    buildCommands: 300,
  });
});
