/** The port of the catalog in SQL: first the statements that its methods send, then the methods. One table for each kind, alike but for a few columns. */
import { catalogKinds } from '@vivarium/core/storage';
import type { CatalogKind, CatalogRepository, StoredEntry } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { columnsOf } from './columns.ts';
import type { Dialect, Row } from './dialect.ts';
import type { NewRow, Diagnosis } from './plan.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import type { Statement } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

/** Of each kind: its table, the constraint of its names, and the one by which builds refer to it. */
const kinds = {
  platform: { table: 'platforms', name: 'vivarium_platform_name', use: 'vivarium_build_platform' },
  os_version: { table: 'os_versions', name: 'vivarium_os_version_name', use: 'vivarium_build_os_version' },
  image_type: { table: 'image_types', name: 'vivarium_image_type_name', use: 'vivarium_build_image_type' },
} as const satisfies Record<CatalogKind, object>;

export function catalogStatements(dialect: Dialect) {
  const of = (kind: CatalogKind) => {
    const columns = columnsOf(dialect, kinds[kind].table, 'c');
    const entries = `${dialect.table(kinds[kind].table)} c`;
    const statement = (name: string, text: string) => compile(dialect, `catalog.${name}+${kind}`, text);
    return {
      get: statement(
        'get',
        `SELECT ${columns}, ${keyColumns(dialect, 'k')}
        FROM (SELECT 1 AS one) o
          LEFT JOIN ${dialect.table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
          LEFT JOIN ${entries} ON c.org_id = :org::text AND c.id = :id::uuid`,
      ),
      getByName: statement(
        'getByName',
        `SELECT ${columns} FROM ${entries} WHERE c.org_id = :org::text AND c.name_key = :name::text`,
      ),
      list: statement(
        'list',
        `SELECT ${columns} FROM ${entries} WHERE c.org_id = :org::text AND c.name_key > :after::text
        ORDER BY c.name_key LIMIT :limit::integer`,
      ),
    } satisfies Record<string, Statement>;
  };
  return Object.fromEntries(catalogKinds.map((kind) => [kind, of(kind)])) as Record<CatalogKind, ReturnType<typeof of>>;
}

export function sqlCatalog(session: Session, statements: ReturnType<typeof catalogStatements>): CatalogRepository {
  return {
    /** entry → journal. */
    create: ({ kind, entry, change }) =>
      answer(() =>
        write<'name_taken'>(session, change, {
          name: planName('catalog.create', change, kind),
          orgId: change.orgId,
          steps: [
            {
              do: 'insert',
              table: kinds[kind].table,
              rows: [{ id: entry.id, org_id: change.orgId, ...settingsOf(kind, entry), created_at: entry.createdAt }],
              violations: { [kinds[kind].name]: 'name_taken' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        }),
      ),

    get: (orgId, kind, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements[kind].get, { org: orgId, id, key: keyId ?? null }))[0]!;
        return { found: row['c_id'] == null ? null : toEntry(kind, row), key: toKey(row) };
      }),

    getByName: (orgId, kind, nameKey) =>
      answer(async () => {
        const [row] = await read(session, statements[kind].getByName, { org: orgId, name: nameKey });
        return row === undefined ? null : toEntry(kind, row);
      }),

    list: (orgId, kind, { limit, after }) =>
      answer(async () => {
        const page = { org: orgId, after: after ?? '', limit: limit + 1 };
        const rows = await read(session, statements[kind].list, page);
        return pageOf(rows, limit, (row) => toEntry(kind, row));
      }),

    /** entry → journal. */
    update: ({ kind, entry, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale' | 'name_taken'>(session, change, {
          name: planName('catalog.update', change, kind),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: kinds[kind].table,
              set: settingsOf(kind, entry),
              where: { org_id: change.orgId, id: entry.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
              violations: { [kinds[kind].name]: 'name_taken' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion(kind, entry.id, expectedVersion),
        }),
      ),

    /** entry → journal. A build that refers to it fails the foreign key, and one on its way in waits for this row and then fails there. */
    delete: ({ kind, entry, change }) =>
      answer(() =>
        write<'not_found' | 'stale' | 'in_use'>(session, change, {
          name: planName('catalog.delete', change, kind),
          orgId: change.orgId,
          steps: [
            {
              do: 'delete',
              table: kinds[kind].table,
              where: { org_id: change.orgId, id: entry.id, version: entry.version },
              rows: 1,
              else: 'stale',
              violations: { [kinds[kind].use]: 'in_use' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion(kind, entry.id, entry.version),
        }),
      ),
  };
}

function atVersion(kind: CatalogKind, id: string, version: number): Diagnosis<'not_found' | 'stale'> {
  return {
    row: { table: kinds[kind].table, id },
    verdict: ({ row }) => (row === null ? 'not_found' : Number(row['version']) === version ? null : 'stale'),
  };
}

/** Everything about an entry that a change of it may change. */
function settingsOf<K extends CatalogKind>(kind: K, entry: StoredEntry<K>) {
  return {
    name: entry.name,
    name_key: entry.nameKey,
    display_name: entry.displayName,
    ...ownColumns(kind, entry),
    version: entry.version,
    updated_at: entry.updatedAt,
  };
}

/** The columns that only this kind has. */
function ownColumns(
  kind: CatalogKind,
  entry: StoredEntry,
): NewRow<'platforms'> | NewRow<'os_versions'> | NewRow<'image_types'> {
  switch (kind) {
    case 'platform': {
      const { cloudProvider, region } = entry as StoredEntry<'platform'>;
      return { cloud_provider: cloudProvider, region };
    }
    case 'os_version': {
      const { osFamily, majorVersion, minorVersion } = entry as StoredEntry<'os_version'>;
      return { os_family: osFamily, major_version: majorVersion, minor_version: minorVersion };
    }
    case 'image_type':
      return { description: (entry as StoredEntry<'image_type'>).description };
  }
}

function toEntry<K extends CatalogKind>(kind: K, row: Row): StoredEntry<K> {
  return {
    id: row['c_id'],
    name: row['c_name'],
    nameKey: row['c_name_key'],
    displayName: row['c_display_name'],
    ...ownFields(kind, row),
    version: Number(row['c_version']),
    createdAt: new Date(row['c_created_at'] as string),
    updatedAt: new Date(row['c_updated_at'] as string),
  } as unknown as StoredEntry<K>;
}

function ownFields(kind: CatalogKind, row: Row): object {
  switch (kind) {
    case 'platform':
      return { cloudProvider: row['c_cloud_provider'], region: row['c_region'] ?? null };
    case 'os_version': {
      const minor = row['c_minor_version'] ?? null;
      return {
        osFamily: row['c_os_family'],
        majorVersion: Number(row['c_major_version']),
        minorVersion: minor === null ? null : Number(minor),
      };
    }
    case 'image_type':
      return { description: row['c_description'] ?? null };
  }
}
