import process from 'node:process';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { describePreviewDeliveries } from '@vivarium/testing';

import { database } from './databases.ts';

const crashes = Number(process.env['VIVARIUM_TEST_PREVIEW_CRASHES'] ?? 25);

await describeOnEngines(['pglite'], (engine) => {
  describePreviewDeliveries(engine.name, () => database(engine), { orders: 0, crashes });
});
