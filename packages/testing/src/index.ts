/**
 * Proves a storage for Vivarium, and makes tests of a host deterministic.
 *
 * @packageDocumentation
 */
export { describeStorage } from './describe-storage.ts';
export type { EnvironmentAddress, MakeHarness, RawDatabase, RowKind, StorageHarness } from './harness.ts';
export { memoryHarness } from './memory-harness.ts';
export type { SuiteSize } from './suite.ts';

export { fakeClock } from './fake-clock.ts';
export type { FakeClock } from './fake-clock.ts';
export { seededRandom } from './seeded-random.ts';
export type { SeededRandom } from './seeded-random.ts';
export { sequentialIds } from './sequential-ids.ts';
