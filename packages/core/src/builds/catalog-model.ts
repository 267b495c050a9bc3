import * as z from 'zod';

import type { Versioned } from '../kernel/ids.ts';
import { displayName, freeText, nameKey } from '../kernel/text.ts';

/** The three lists that builds refer to (seed 003). */
export const catalogKinds = ['platform', 'os_version', 'image_type'] as const;

/** One of `catalogKinds`. */
export type CatalogKind = (typeof catalogKinds)[number];

interface CatalogEntry extends Versioned {
  readonly id: string;
  /** 1–100 characters, unique in the org among entries of its kind, without regard to case: `rhel-8.8`. */
  readonly name: string;
  /** What people read: `RHEL 8.8`. */
  readonly displayName: string;
}

/** Where images run. */
export interface Platform extends CatalogEntry {
  /** `aws`, `azure`, `gcp`, or another one: the provider's name is the host's own. */
  readonly cloudProvider: string;
  readonly region: string | null;
}

/** What images run. */
export interface OsVersion extends CatalogEntry {
  /** `rhel`, `sles`, `ubuntu`, or another one. */
  readonly osFamily: string;
  readonly majorVersion: number;
  readonly minorVersion: number | null;
}

/** What images are for: `base`, `hana`. */
export interface ImageType extends CatalogEntry {
  readonly description: string | null;
}

/** The entry of each kind. */
export interface CatalogEntries {
  readonly platform: Platform;
  readonly os_version: OsVersion;
  readonly image_type: ImageType;
}

/** An entry as it is stored. */
export type StoredEntry<K extends CatalogKind = CatalogKind> = CatalogEntries[K] & { readonly nameKey: string };

const version = z.int().min(0).max(1_000_000);

const names = { name: displayName, displayName };

/** What an entry of each kind is made of. */
export const catalogFields = {
  platform: { ...names, cloudProvider: displayName, region: displayName.nullish() },
  os_version: { ...names, osFamily: displayName, majorVersion: version, minorVersion: version.nullish() },
  image_type: { ...names, description: freeText(500).nullish() },
} as const;

/** What an entry of a kind is made of, as callers give it; `displayName` is the name when not given. */
export interface CatalogSettings {
  readonly platform: {
    readonly name: string;
    readonly displayName?: string | undefined;
    readonly cloudProvider: string;
    readonly region?: string | null | undefined;
  };
  readonly os_version: {
    readonly name: string;
    readonly displayName?: string | undefined;
    readonly osFamily: string;
    readonly majorVersion: number;
    readonly minorVersion?: number | null | undefined;
  };
  readonly image_type: {
    readonly name: string;
    readonly displayName?: string | undefined;
    readonly description?: string | null | undefined;
  };
}

/** The fields of each kind that may be left out, and then are none. */
const optional: { readonly [K in CatalogKind]: Readonly<Record<string, null>> } = {
  platform: { region: null },
  os_version: { minorVersion: null },
  image_type: { description: null },
};

/** An entry at its first version. */
export function newEntry<K extends CatalogKind>(
  kind: K,
  settings: CatalogSettings[K],
  { id, at }: { readonly id: string; readonly at: Date },
): StoredEntry<K> {
  return {
    ...optional[kind],
    ...given(settings),
    id,
    displayName: settings.displayName ?? settings.name,
    nameKey: nameKey(settings.name),
    version: 1,
    createdAt: at,
    updatedAt: at,
  } as unknown as StoredEntry<K>;
}

/** The entry with these settings; what is not given stays. */
export function changeEntry<K extends CatalogKind>(
  entry: StoredEntry<K>,
  settings: Partial<CatalogSettings[K]>,
  at: Date,
): StoredEntry<K> {
  const changed = { ...entry, ...given(settings) };
  return { ...changed, nameKey: nameKey(changed.name), version: entry.version + 1, updatedAt: at };
}

export function toEntry<K extends CatalogKind>({ nameKey: _nameKey, ...entry }: StoredEntry<K>): CatalogEntries[K] {
  return entry as unknown as CatalogEntries[K];
}

function given<T extends object>(settings: T): Partial<T> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as Partial<T>;
}
