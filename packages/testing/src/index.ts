/**
 * Proves a storage for Vivarium, and makes tests of a host deterministic.
 *
 * @packageDocumentation
 */
export { describeStorage, describeStorageAgain } from './describe-storage.ts';
export type { EnvironmentAddress, MakeHarness, RawDatabase, RowKind, StorageHarness } from './harness.ts';
export { memoryHarness } from './memory-harness.ts';
export type { SuiteSize } from './suite.ts';

export { fakeClock } from './fake-clock.ts';
export type { FakeClock } from './fake-clock.ts';
export { loopbackPreviews } from './loopback-previews.ts';
export type {
  LoopbackCall,
  LoopbackComment,
  LoopbackPreviews,
  LoopbackReport,
  LoopbackRuntime,
} from './loopback-previews.ts';
export { seededRandom } from './seeded-random.ts';
export type { SeededRandom } from './seeded-random.ts';
export { sequentialIds } from './sequential-ids.ts';

export { describeCrashes } from './crashes.ts';
export type { CrashHarness } from './crashes.ts';
export { workUntilKilled } from './crash-worker.ts';
export type { CrashScene } from './crash-worker.ts';
export { describePreviewDeliveries } from './preview-deliveries.ts';
export type { DeliveriesSize, OpenStorage } from './preview-deliveries.ts';
