import { describeStorage, memoryHarness } from '../../testing/src/index.ts';

describeStorage('memory', memoryHarness);
