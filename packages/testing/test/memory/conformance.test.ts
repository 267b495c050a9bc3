import { describeStorage, memoryHarness } from '../../src/index.ts';

describeStorage('memory', memoryHarness);
