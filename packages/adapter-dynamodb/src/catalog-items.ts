import type { CatalogKind, ImageType, OsVersion, Platform, StoredEntry } from '@vivarium/core/storage';

import {
  integer,
  integerOf,
  optionalInteger,
  optionalIntegerOf,
  optionalText,
  optionalTextOf,
  present,
  text,
  textOf,
  time,
  timeOf,
} from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { catalogEntryKey, catalogNameKey } from './keys.ts';
import type { Key } from './keys.ts';

/**
 * An entry stands in two items: by its id, where its version is guarded and where it says whether a build refers to it, and by its name, from where lists
 * show it. Both are written in one transaction.
 */
export function entryItem<K extends CatalogKind>(orgId: string, kind: K, entry: StoredEntry<K>): Item {
  return itemAt(catalogEntryKey(orgId, kind, entry.id), kind, entry);
}

export function namedEntryItem<K extends CatalogKind>(orgId: string, kind: K, entry: StoredEntry<K>): Item {
  return itemAt(catalogNameKey(orgId, kind, entry.nameKey), kind, entry);
}

function itemAt<K extends CatalogKind>({ pk, sk }: Key, kind: K, entry: StoredEntry<K>): Item {
  return present({ pk: text(pk), sk: text(sk), ...entryAttributes(kind, entry) });
}

export function entryAttributes<K extends CatalogKind>(kind: K, entry: StoredEntry<K>): Attributes {
  return {
    id: text(entry.id),
    name: text(entry.name),
    nameKey: text(entry.nameKey),
    displayName: text(entry.displayName),
    version: integer(entry.version),
    createdAt: time(entry.createdAt),
    updatedAt: time(entry.updatedAt),
    ...particulars[kind].write(entry),
  };
}

export function readEntry<K extends CatalogKind>(kind: K, item: Item): StoredEntry<K> {
  return {
    id: textOf(item, 'id'),
    name: textOf(item, 'name'),
    nameKey: textOf(item, 'nameKey'),
    displayName: textOf(item, 'displayName'),
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
    ...particulars[kind].read(item),
  } as unknown as StoredEntry<K>;
}

type Particulars<K extends CatalogKind> = {
  write(entry: StoredEntry<K>): Attributes;
  read(item: Item): Partial<StoredEntry<K>>;
};

/** What the entries of each kind have besides what all have. */
const particulars: { readonly [K in CatalogKind]: Particulars<K> } = {
  platform: {
    write: ({ cloudProvider, region }: Platform) => ({
      cloudProvider: text(cloudProvider),
      region: optionalText(region),
    }),
    read: (item) => ({ cloudProvider: textOf(item, 'cloudProvider'), region: optionalTextOf(item, 'region') }),
  },
  os_version: {
    write: ({ osFamily, majorVersion, minorVersion }: OsVersion) => ({
      osFamily: text(osFamily),
      majorVersion: integer(majorVersion),
      minorVersion: optionalInteger(minorVersion),
    }),
    read: (item) => ({
      osFamily: textOf(item, 'osFamily'),
      majorVersion: integerOf(item, 'majorVersion'),
      minorVersion: optionalIntegerOf(item, 'minorVersion'),
    }),
  },
  image_type: {
    write: ({ description }: ImageType) => ({ description: optionalText(description) }),
    read: (item) => ({ description: optionalTextOf(item, 'description') }),
  },
};
