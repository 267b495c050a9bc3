import process from 'node:process';
import { memoryStorage } from '@vivarium/core/memory';

import { describePreviewDeliveries } from '../../src/index.ts';

const orders = Number(process.env['VIVARIUM_TEST_PREVIEW_ORDERS'] ?? 2_000);
const crashes = Number(process.env['VIVARIUM_TEST_PREVIEW_CRASHES'] ?? 500);

describePreviewDeliveries('memory', async () => ({ storage: memoryStorage(), close: async () => undefined }), {
  orders,
  crashes,
});
