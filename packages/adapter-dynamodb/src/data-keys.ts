import type { DataKeyRepository, KeyScope, StoredDataKey } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { all, equal, exists, missing, unequal } from './expressions.ts';
import { appKey, dataKeyDirectory, dataKeyIdKey, dataKeyKey, dataKeySpan, projectKey, typeKey } from './keys.ts';
import type { Key } from './keys.ts';
import { projectIsThere } from './project-items.ts';
import type { Action, Range, Table } from './table.ts';

/** Data keys stand in the partition of what they are for, so that one Query finds those of a scope, and what deletes the scope finds them there. */
export function dynamodbDataKeys(table: Table): DataKeyRepository {
  return {
    newest: (orgId, scope) =>
      table.answer('read', async () => {
        const [newest] = await table.first({ ...rangeOf(orgId, scope), backward: true }, 1);
        return newest === undefined ? null : readDataKey(newest);
      }),

    get: (orgId, scope, id) =>
      table.answer('read', async () => (await keysOf(table, orgId, scope)).find((key) => key.id === id) ?? null),

    add: (orgId, key) =>
      table.answer('write', async () => {
        const [item, pointer] = dataKeyItems(orgId, key);
        const owner = ownerOf(orgId, key.scope);
        const broken = await table.transact([{ put: item, when: missing }, { put: pointer }, ...owner], { owners: [] });
        if ('stop' in broken || broken.length === 0) return 'added';
        return broken.some(({ index }) => index > 0) ? 'not_found' : 'taken';
      }),

    rewrap: (orgId, { id, scope, generation, wrapped, wrappedBy, version, updatedAt }) =>
      table.answer('write', () =>
        table.update(
          dataKeyKey(orgId, scope, generation),
          {
            set: {
              wrapped: text(wrapped),
              wrappedBy: text(wrappedBy),
              version: integer(version),
              updatedAt: time(updatedAt),
            },
          },
          all(exists, equal('id', text(id)), equal('version', integer(version - 1))),
        ),
      ),

    ofScope: (orgId, scope) => table.answer('read', () => keysOf(table, orgId, scope)),

    list: (orgId, { limit, after }) =>
      table.answer('read', async () => {
        const items: StoredDataKey[] = [];
        for (let last = after; ;) {
          const room = limit - items.length;
          const pointers = await table.first(
            {
              pk: dataKeyDirectory(orgId),
              ...(last === null ? {} : { after: dataKeyIdKey(orgId, last).sk }),
            },
            room + 1,
          );
          const places = pointers.slice(0, room).map((pointer) => placeOf(orgId, pointer));
          const found = await table.get(...places.map(({ key }) => key));
          for (const { id, key } of places) {
            const item = found.of(key);
            if (item !== null && textOf(item, 'id') === id) items.push(readDataKey(item));
            last = id;
          }
          const more = pointers.length > room;
          if (!more || items.length === limit) return { items, more };
        }
      }),

    remove: (orgId, scope, id) =>
      table.answer('write', async () => {
        const key = (await keysOf(table, orgId, scope)).find((one) => one.id === id);
        if (key !== undefined) await table.removeAll(placesOf(orgId, key));
      }),
  };
}

/** Part of deleting what the keys are for. */
export async function forgetScope(table: Table, orgId: string, scope: KeyScope): Promise<void> {
  const keys = await keysOf(table, orgId, scope);
  await table.removeAll(keys.flatMap((key) => placesOf(orgId, key)));
}

/** Oldest generation first. */
export async function keysOf(table: Table, orgId: string, scope: KeyScope): Promise<StoredDataKey[]> {
  return (await table.all(rangeOf(orgId, scope))).map(readDataKey);
}

/** Everything that is kept of a data key. */
export function placesOf(orgId: string, { id, scope, generation }: StoredDataKey): Key[] {
  return [dataKeyKey(orgId, scope, generation), dataKeyIdKey(orgId, id)];
}

function rangeOf(orgId: string, scope: KeyScope): Range {
  const { pk, from, to } = dataKeySpan(orgId, scope);
  return { pk, between: [from, to] };
}

/**
 * What a key is for is there. A type and an app count the keys that were ever added: whoever deletes one looks for them first, and must have found all of
 * them. What goes with a project is looked for when nothing can be added any more.
 */
function ownerOf(orgId: string, { type, id }: KeyScope): readonly Action[] {
  if (type === 'project') return [{ check: projectKey(orgId, id), when: projectIsThere }];
  const changes = { add: { [keysEverAdded]: 1 } };
  if (type === 'app') return [{ update: appKey(orgId, id), changes, when: exists }];
  return [{ update: typeKey(orgId, id), changes, when: all(exists, unequal('state', text('deleted'))) }];
}

/** An attribute of a type's item, or an app's. */
export const keysEverAdded = 'dataKeys';

/** The items of a new data key. */
export function dataKeyItems(orgId: string, key: StoredDataKey): readonly [Item, Item] {
  return [dataKeyItem(orgId, key), directoryItem(orgId, key)];
}

function dataKeyItem(orgId: string, key: StoredDataKey): Item {
  const { pk, sk } = dataKeyKey(orgId, key.scope, key.generation);
  return {
    pk: text(pk),
    sk: text(sk),
    id: text(key.id),
    scopeType: text(key.scope.type),
    scopeId: text(key.scope.id),
    generation: integer(key.generation),
    wrapped: text(key.wrapped),
    wrappedBy: text(key.wrappedBy),
    commitment: text(key.commitment),
    version: integer(key.version),
    createdAt: time(key.createdAt),
    updatedAt: time(key.updatedAt),
  };
}

function directoryItem(orgId: string, { id, scope, generation }: StoredDataKey): Item {
  const { pk, sk } = dataKeyIdKey(orgId, id);
  return {
    pk: text(pk),
    sk: text(sk),
    id: text(id),
    scopeType: text(scope.type),
    scopeId: text(scope.id),
    generation: integer(generation),
  };
}

function placeOf(orgId: string, pointer: Item): { readonly id: string; readonly key: Key } {
  return {
    id: textOf(pointer, 'id'),
    key: dataKeyKey(orgId, scopeOf(pointer), integerOf(pointer, 'generation')),
  };
}

function scopeOf(item: Item): KeyScope {
  return { type: textOf(item, 'scopeType') as KeyScope['type'], id: textOf(item, 'scopeId') };
}

function readDataKey(item: Item): StoredDataKey {
  return {
    id: textOf(item, 'id'),
    scope: scopeOf(item),
    generation: integerOf(item, 'generation'),
    wrapped: textOf(item, 'wrapped'),
    wrappedBy: textOf(item, 'wrappedBy'),
    commitment: textOf(item, 'commitment'),
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}
