import { memoryStorage, MemoryTables } from '@vivarium/core/memory';

import type { EnvironmentAddress, StorageHarness } from './harness.ts';

/** The harness of memory storage: the reference, and the shortest example of a harness. */
export function memoryHarness(): StorageHarness {
  const tables = new MemoryTables();
  const rowOf = ({ orgId, id }: EnvironmentAddress) => {
    const row = tables.of(orgId).environments.get(id);
    if (row === undefined) throw new Error(`no row of environment ${id}`);
    return row;
  };

  return {
    storage: memoryStorage({ tables }),
    raw: {
      environmentVariables: async (address) => rowOf(address).variables,
      setEnvironmentVariables: async (address, json) => {
        tables.of(address.orgId).environments.set(address.id, { ...rowOf(address), variables: json });
      },
      count: async (kind, orgId) => {
        const org = tables.of(orgId);
        return kind === 'journal' ? org.journal.length : org[kind].size;
      },
      dump: async () => JSON.stringify(tables.orgs().map((org) => Object.entries(org).map(plain))),
    },
    another: async () => memoryStorage({ tables }),
    broken: async () => {
      const storage = memoryStorage({ tables });
      await storage.close();
      return storage;
    },
    reset: async () => tables.clear(),
    close: async () => undefined,
  };
}

function plain([name, table]: [string, unknown]): unknown {
  return [name, table instanceof Map ? [...table] : table];
}
