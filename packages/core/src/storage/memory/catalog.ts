import type { CatalogKind, StoredEntry } from '../../builds/catalog-model.ts';
import type { CatalogRepository } from '../../builds/repository.ts';
import { compareBytes } from '../../kernel/text.ts';
import { row } from './tables.ts';
import type { OrgTables, Session } from './tables.ts';
import { answer, keptUnder, write } from './writing.ts';

export function memoryCatalog(session: Session): CatalogRepository {
  return {
    create: ({ kind, entry, change }) =>
      write(
        session,
        change,
        (org) => (named(org, kind, entry.nameKey) === null ? null : 'name_taken'),
        (org) => entries(org, kind).set(entry.id, row(entry) as typeof entry),
      ),

    get: (orgId, kind, id, keyId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        return { found: entries(org, kind).get(id) ?? null, key: keptUnder(org, keyId) };
      }),

    getByName: (orgId, kind, nameKey) => answer(session, () => named(session.tables.of(orgId), kind, nameKey)),

    list: (orgId, kind, { limit, after }) =>
      answer(session, () => {
        const behind = [...entries(session.tables.of(orgId), kind).values()]
          .filter(({ nameKey }) => after === null || compareBytes(nameKey, after) > 0)
          .sort((a, b) => compareBytes(a.nameKey, b.nameKey));
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    update: ({ kind, entry, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = entries(org, kind).get(entry.id);
          if (there === undefined) return 'not_found';
          if (there.version !== expectedVersion) return 'stale';
          const holder = named(org, kind, entry.nameKey);
          return holder === null || holder.id === entry.id ? null : 'name_taken';
        },
        (org) => entries(org, kind).set(entry.id, row(entry) as typeof entry),
      ),

    delete: ({ kind, entry, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = entries(org, kind).get(entry.id);
          if (there === undefined) return 'not_found';
          if (there.version !== entry.version) return 'stale';
          return isUsed(org, kind, entry.id) ? 'in_use' : null;
        },
        (org) => entries(org, kind).delete(entry.id),
      ),
  };
}

function entries<K extends CatalogKind>(org: OrgTables, kind: K): Map<string, StoredEntry<K>> {
  return org.catalog[kind] as unknown as Map<string, StoredEntry<K>>;
}

function named<K extends CatalogKind>(org: OrgTables, kind: K, nameKey: string): StoredEntry<K> | null {
  for (const entry of entries(org, kind).values()) if (entry.nameKey === nameKey) return entry;
  return null;
}

function isUsed(org: OrgTables, kind: CatalogKind, id: string): boolean {
  const reference = { platform: 'platformId', os_version: 'osVersionId', image_type: 'imageTypeId' } as const;
  return [...org.builds.values()].some((build) => build[reference[kind]] === id);
}
