import type { Storage } from '../port.ts';
import { memoryEnvironments } from './environments.ts';
import { memoryJournal } from './journal.ts';
import { memoryProjects } from './projects.ts';
import { Tables } from './tables.ts';
import { answer } from './writing.ts';

/**
 * Keeps everything in this process and forgets it with it: for tests, for trying things out, and as the reference that every other storage
 * is held against. It has no transactions to work `within`.
 */
export function memoryStorage(): Storage {
  const tables = new Tables();
  return {
    name: 'memory',
    projects: memoryProjects(tables),
    environments: memoryEnvironments(tables),
    journal: memoryJournal(tables),
    migrate: () => answer(() => ({ applied: [] })),
    status: () => answer(() => ({ ready: true, applied: [], pending: [], unknown: [] })),
    close: () => answer(() => undefined),
  };
}
