export { memoryStorage } from './storage.ts';
export { MemoryTables } from './tables.ts';
export type { EnvironmentRow, LaneLease, OrgTables, QueuedEntry } from './tables.ts';
