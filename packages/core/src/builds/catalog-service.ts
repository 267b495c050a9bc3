import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import { NotFound } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { anyText, displayName, nameKey } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { catalogFields, changeEntry, newEntry, toEntry } from './catalog-model.ts';
import type { CatalogEntries, CatalogKind, CatalogSettings, StoredEntry } from './catalog-model.ts';
import { CatalogNameTaken, InUse } from './errors.ts';

/** The name of each kind's list, in the client and in its methods. */
export interface CatalogLists {
  readonly platform: 'platforms';
  readonly os_version: 'osVersions';
  readonly image_type: 'imageTypes';
}
const lists: CatalogLists = { platform: 'platforms', os_version: 'osVersions', image_type: 'imageTypes' };

const nouns: Readonly<Record<CatalogKind, string>> = {
  platform: 'platform',
  os_version: 'OS version',
  image_type: 'image type',
};

type Method<K extends CatalogKind, Name extends string> = `builds.catalog.${CatalogLists[K]}.${Name}`;

function methodsOf<K extends CatalogKind>(kind: K) {
  const fields: Record<string, z.ZodType> = catalogFields[kind];
  const creatable = { ...fields, displayName: displayName.optional(), ...commandOptions };
  const updatable = Object.fromEntries(Object.entries(fields).map(([field, schema]) => [field, schema.optional()]));
  const any = () => [{ type: kind }];
  const one = ([entryId]: readonly [string, ...unknown[]]) => [{ type: kind, id: entryId }];
  const named = <Name extends string>(name: Name) =>
    `builds.catalog.${lists[kind]}.${name}` as Method<CatalogKind, Name>;

  return {
    create: method(named('create'), [''], z.tuple([z.strictObject(creatable)]), any),
    get: method(named('get'), ['id'], z.tuple([id]), one),
    getByName: method(named('getByName'), ['name'], z.tuple([displayName]), any),
    list: method(named('list'), [''], z.tuple([z.strictObject(pageInput)]), any),
    update: method(named('update'), ['id', ''], z.tuple([id, z.strictObject({ ...updatable, ...changeOptions })]), one),
    delete: method(named('delete'), ['id', ''], z.tuple([id, z.strictObject(changeOptions)]), one),
  };
}

const methods = {
  platform: methodsOf('platform'),
  os_version: methodsOf('os_version'),
  image_type: methodsOf('image_type'),
};

const cursors = Object.fromEntries(
  Object.entries(lists).map(([kind, list]) => [kind, cursorsOf(`builds.catalog.${list as string}`, anyText)]),
) as unknown as Record<CatalogKind, ReturnType<typeof cursorsOf<string>>>;

/** One list of the catalog: the platforms, the OS versions, or the image types that builds refer to (seed 003). */
export class Catalog<K extends CatalogKind> {
  readonly #scope: Scope;
  readonly #kind: K;

  constructor(scope: Scope, kind: K) {
    this.#scope = scope;
    this.#kind = kind;
  }

  /** Adds an entry. Names are unique among entries of the kind, whatever their case. Errors: `catalog_name_taken`. */
  create(
    input: CatalogSettings[K] & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<Method<K, 'create'>, CatalogEntries[K]> {
    const scope = this.#scope;
    const kind = this.#kind;
    const { storage, ids } = scope.ports;
    const spec = methods[kind].create;

    return operation(scope, spec, [input], ([{ idempotencyKey, signal, ...rest }]) => {
      const wanted = rest as unknown as CatalogSettings[K];
      return command(
        scope,
        {
          method: spec.name,
          target: { type: kind, id: wanted.name },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          replay: async (kept) =>
            ok(toEntry(newEntry(kind, wanted, { id: kept['id'] as string, at: new Date(kept['at'] as string) }))),
          attempt: ({ at, change }) =>
            safeTry(async function* () {
              const entry = newEntry(kind, wanted, { id: ids.next(), at });
              const written = yield* storage.catalog.create({
                kind,
                entry,
                change: change(noted(kind, 'created', entry), { id: entry.id, at: at.toISOString() }),
              });
              if (written.done) return ok(toEntry(entry));
              if (written.refused === 'key_taken') return ok(written.record);
              return err(new CatalogNameTaken(kind, entry.name));
            }),
        },
      );
    }) as Outcome<Method<K, 'create'>, CatalogEntries[K]>;
  }

  /** The entry. Errors: `not_found`. */
  get(entryId: string): Outcome<Method<K, 'get'>, CatalogEntries[K]> {
    const { ports, caller } = this.#scope;
    const kind = this.#kind;
    return operation(this.#scope, methods[kind].get, [entryId], ([target]) =>
      ports.storage.catalog
        .get(caller.org, kind, target)
        .andThen(({ found }) => present(kind, found, target))
        .map(toEntry),
    ) as Outcome<Method<K, 'get'>, CatalogEntries[K]>;
  }

  /** The entry of this name, whatever its case. Errors: `not_found`. */
  getByName(name: string): Outcome<Method<K, 'getByName'>, CatalogEntries[K]> {
    const { ports, caller } = this.#scope;
    const kind = this.#kind;
    return operation(this.#scope, methods[kind].getByName, [name], ([wanted]) =>
      ports.storage.catalog
        .getByName(caller.org, kind, nameKey(wanted))
        .andThen((found) => present(kind, found, wanted))
        .map(toEntry),
    ) as Outcome<Method<K, 'getByName'>, CatalogEntries[K]>;
  }

  /** Entries by name. */
  list(input: PageInput = {}): Outcome<Method<K, 'list'>, Page<CatalogEntries[K]>> {
    const { ports, caller } = this.#scope;
    const kind = this.#kind;
    return operation(this.#scope, methods[kind].list, [input], ([paging]) =>
      safeTry(async function* () {
        const page = yield* cursors[kind].read(paging);
        const stored = yield* ports.storage.catalog.list(caller.org, kind, page);
        return ok(cursors[kind].page(stored, (last) => last.nameKey, toEntry<K>));
      }),
    ) as Outcome<Method<K, 'list'>, Page<CatalogEntries[K]>>;
  }

  /** Changes an entry; what is not given stays. Builds that refer to it then refer to what it has become. Errors: `not_found`, `catalog_name_taken`, `stale_version`. */
  update(
    entryId: string,
    input: Partial<CatalogSettings[K]> & CommandOptions,
  ): Outcome<Method<K, 'update'>, CatalogEntries[K]> {
    const scope = this.#scope;
    const kind = this.#kind;
    const { storage } = scope.ports;
    const spec = methods[kind].update;

    return operation(scope, spec, [entryId, input], ([target, given]) => {
      const { idempotencyKey, expectedVersion, signal, ...rest } = given as CommandOptions;
      const wanted = rest as Partial<CatalogSettings[K]>;
      return command(
        scope,
        {
          method: spec.name,
          target: { type: nouns[kind], id: target },
          options: { idempotencyKey, expectedVersion, signal },
          input: [target, wanted],
        },
        {
          load: (keyId) => storage.catalog.get(scope.caller.org, kind, target, keyId),
          replay: (_kept, facts) =>
            facts === null
              ? storage.catalog
                  .get(scope.caller.org, kind, target)
                  .andThen(({ found }) => present(kind, found, target))
                  .map(toEntry)
              : settled(present(kind, facts.found, target).map(toEntry)),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const before = yield* present(kind, found, target);
              yield* checkVersion(nouns[kind], before, expectedVersion);
              const entry = changeEntry(before, wanted, at);
              const written = yield* storage.catalog.update({
                kind,
                entry,
                previousNameKey: before.nameKey,
                expectedVersion: before.version,
                change: change(noted(kind, 'updated', entry), { id: target, version: entry.version }),
              });
              if (written.done) return ok(toEntry(entry));
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound(nouns[kind], target));
                case 'name_taken':
                  return err(new CatalogNameTaken(kind, entry.name));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      );
    }) as Outcome<Method<K, 'update'>, CatalogEntries[K]>;
  }

  /** Deletes an entry that no build refers to. Errors: `not_found`, `in_use`, `stale_version`. */
  delete(entryId: string, options: CommandOptions = {}): Outcome<Method<K, 'delete'>, void> {
    const scope = this.#scope;
    const kind = this.#kind;
    const { storage } = scope.ports;
    const spec = methods[kind].delete;

    return operation(scope, spec, [entryId, options], ([target, given]) =>
      command(
        scope,
        { method: spec.name, target: { type: nouns[kind], id: target }, options: given, input: [target] },
        {
          load: (keyId) => storage.catalog.get(scope.caller.org, kind, target, keyId),
          replay: async () => ok(undefined),
          attempt: ({ change }, { found }) =>
            safeTry(async function* () {
              const entry = yield* present(kind, found, target);
              yield* checkVersion(nouns[kind], entry, given.expectedVersion);
              const gone = { ...entry, version: entry.version + 1 };
              const written = yield* storage.catalog.delete({
                kind,
                entry,
                change: change(noted(kind, 'deleted', gone), { id: target }),
              });
              if (written.done) return ok(undefined);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound(nouns[kind], target));
                case 'in_use':
                  return err(new InUse(kind, target));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      ),
    ) as Outcome<Method<K, 'delete'>, void>;
  }
}

function noted(kind: CatalogKind, what: string, entry: { id: string; name: string; version: number }) {
  return {
    subject: { type: kind, id: entry.id },
    action: `${kind}.${what}`,
    sequence: entry.version,
    data: { name: entry.name },
  };
}

function present<K extends CatalogKind>(
  kind: K,
  found: StoredEntry<K> | null,
  target: string,
): Result<StoredEntry<K>, NotFound> {
  return found === null ? err(new NotFound(nouns[kind], target)) : ok(found);
}

async function settled<T, E>(result: Result<T, E>): Promise<Result<T, E>> {
  return result;
}
