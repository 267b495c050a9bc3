import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorage } from '@vivarium/testing';

import { makeHarness } from './harness.ts';

await describeOnEngines(['mysql-9'], (engine) => {
  describeStorage(engine.name, () => makeHarness(engine));
});
