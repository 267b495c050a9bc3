import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorage } from '@vivarium/testing';

import { everyEngine } from './databases.ts';
import { makeHarness } from './harness.ts';

await describeOnEngines(everyEngine, (engine) => {
  describeStorage(engine.name, () => makeHarness(engine));
});
