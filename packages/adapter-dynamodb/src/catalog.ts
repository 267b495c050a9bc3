import { StorageFailure } from '@vivarium/core/storage';
import type { CatalogRepository } from '@vivarium/core/storage';

import { integer, integerOf, text } from './attributes.ts';
import type { Item } from './attributes.ts';
import { entryAttributes, entryItem, namedEntryItem, readEntry } from './catalog-items.ts';
import { all, equal, exists, missing, without } from './expressions.ts';
import { catalogEntryKey, catalogNameKey, catalogPartition } from './keys.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

export function dynamodbCatalog(table: Table): CatalogRepository {
  return {
    create: ({ kind, entry, change }) =>
      table.answer('write', () =>
        write<'name_taken'>(table, change, {
          owners: [],
          steps: [
            { put: entryItem(change.orgId, kind, entry), when: missing, else: () => idTaken(entry.id) },
            { put: namedEntryItem(change.orgId, kind, entry), when: missing, else: () => 'name_taken' },
          ],
        }),
      ),

    get: (orgId, kind, id, keyId) =>
      table.answer('read', async () => {
        const key = catalogEntryKey(orgId, kind, id);
        const found = await table.get(key, ...keyOf(orgId, keyId));
        const item = found.of(key);
        return { found: item === null ? null : readEntry(kind, item), key: keptUnder(found, orgId, keyId) };
      }),

    getByName: (orgId, kind, nameKey) =>
      table.answer('read', async () => {
        const key = catalogNameKey(orgId, kind, nameKey);
        const item = (await table.get(key)).of(key);
        return item === null ? null : readEntry(kind, item);
      }),

    list: (orgId, kind, { limit, after }) =>
      table.answer('read', async () => {
        const behind = catalogNameKey(orgId, kind, after ?? '').sk;
        const names = await table.first({ pk: catalogPartition(orgId, kind), after: behind }, limit + 1);
        return { items: names.slice(0, limit).map((item) => readEntry(kind, item)), more: names.length > limit };
      }),

    update: ({ kind, entry, previousNameKey, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const key = catalogEntryKey(orgId, kind, entry.id);
        const named = namedEntryItem(orgId, kind, entry);
        const own = { when: equal('id', text(entry.id)), else: () => 'stale' as const };
        return write<'not_found' | 'stale' | 'name_taken'>(table, change, {
          owners: [key],
          steps: [
            {
              // Not put anew: whether a build refers to it stays.
              update: key,
              changes: { set: entryAttributes(kind, entry) },
              when: all(exists, equal('version', integer(expectedVersion))),
              else: changed,
            },
            ...(entry.nameKey === previousNameKey
              ? [{ put: named, ...own }]
              : [
                  { remove: catalogNameKey(orgId, kind, previousNameKey), ...own },
                  { put: named, when: missing, else: () => 'name_taken' as const },
                ]),
          ],
        });
      }),

    delete: ({ kind, entry, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const key = catalogEntryKey(orgId, kind, entry.id);
        return write<'not_found' | 'stale' | 'in_use'>(table, change, {
          owners: [key],
          steps: [
            {
              remove: key,
              when: all(exists, equal('version', integer(entry.version)), without('used')),
              else: (there) =>
                there !== null && integerOf(there, 'version') === entry.version ? 'in_use' : changed(there),
            },
            {
              remove: catalogNameKey(orgId, kind, entry.nameKey),
              when: equal('id', text(entry.id)),
              else: () => 'stale',
            },
          ],
        });
      }),
  };
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is an entry ${id} of the catalog: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
