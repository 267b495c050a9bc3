import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorage } from '@vivarium/testing';

import { makeHarness } from './harness.ts';

await describeOnEngines(['postgres-18'], (engine) => {
  describeStorage(engine.name, () => makeHarness(engine));
});
