import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorage } from '@vivarium/testing';

import { makeHarness } from './harness.ts';

await describeOnEngines(['pglite'], (engine) => {
  // It answers from inside the process, and so can be held against memory storage for longer.
  describeStorage(engine.name, () => makeHarness(engine), { modelCommands: 10_000 });
});
