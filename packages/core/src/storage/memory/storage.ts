import { checkOptions, hasMethods, may } from '../../kernel/configuration.ts';
import { okAsync } from '../../kernel/result.ts';
import type { Storage } from '../port.ts';
import { memoryBuilds } from './builds.ts';
import { memoryCatalog } from './catalog.ts';
import { memoryDataKeys } from './data-keys.ts';
import { memoryDeployments } from './deployments.ts';
import { memoryEnvironments } from './environments.ts';
import { memoryEphemeral } from './ephemeral.ts';
import { memoryJournal } from './journal.ts';
import { memoryPreviews } from './previews.ts';
import { memoryProjects } from './projects.ts';
import { MemoryTables } from './tables.ts';
import type { Session } from './tables.ts';
import { answer } from './writing.ts';

/**
 * Keeps everything in this process and forgets it with it: for tests, for trying things out, and as the reference that every other storage
 * is held against. It has no transactions to work `within`. Once closed, it fails like a database that has gone.
 *
 * Storages that are given the same `tables` share what they hold. Throws `InvalidInput` on a wrong configuration.
 */
export function memoryStorage(options: { readonly tables?: MemoryTables | undefined } = {}): Storage {
  checkOptions(options, { tables: may(hasMethods('of', 'orgs'), 'must be MemoryTables') });
  const { tables = new MemoryTables() } = options;
  const session: Session = { tables, closed: false };
  return {
    name: 'memory',
    projects: memoryProjects(session),
    environments: memoryEnvironments(session),
    ephemeral: memoryEphemeral(session),
    catalog: memoryCatalog(session),
    builds: memoryBuilds(session),
    deployments: memoryDeployments(session),
    previews: memoryPreviews(session),
    journal: memoryJournal(session),
    dataKeys: memoryDataKeys(session),
    migrate: () => answer(session, () => ({ applied: [] })),
    status: () => answer(session, () => ({ ready: true, applied: [], pending: [], unknown: [] })),
    close: () => {
      session.closed = true;
      return okAsync(undefined);
    },
  };
}
