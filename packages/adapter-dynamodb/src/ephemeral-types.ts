import { StorageFailure } from '@vivarium/core/storage';
import type { EphemeralRepository, StoredTypeSummary } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf } from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { keysEverAdded, keysOf, placesOf } from './data-keys.ts';
import { loadType } from './ephemeral-facts.ts';
import { all, equal, exists, missing, without } from './expressions.ts';
import { typeDirectory, typeKey, typeNameKey, typePartsKey } from './keys.ts';
import type { Table } from './table.ts';
import {
  actionAttribute,
  actionName,
  readTypeSummary,
  secretAttribute,
  secretName,
  typeAttributes,
  typeClaim,
  typeItems,
} from './type-items.ts';
import { write } from './write.ts';

type TypeMethods = Pick<EphemeralRepository, 'createType' | 'getType' | 'listTypes' | 'writeType'>;

export function dynamodbTypes(table: Table): TypeMethods {
  return {
    createType: ({ type, change }) =>
      table.answer('write', () => {
        const { head, parts, claim } = typeItems(change.orgId, type);
        return write<'name_taken'>(table, change, {
          owners: [],
          steps: [
            { put: head, when: missing, else: () => idTaken(type.id) },
            { put: parts },
            { put: claim, when: missing, else: () => 'name_taken' },
          ],
        });
      }),

    getType: (orgId, id, keyId) => table.answer('read', () => loadType(table, orgId, id, keyId)),

    listTypes: (orgId, { limit, after }) =>
      table.answer('read', async () => {
        const items: StoredTypeSummary[] = [];
        for (let last = after; ;) {
          const room = limit - items.length;
          const range = { pk: typeDirectory(orgId), ...(last === null ? {} : { after: last }) };
          const names = await table.first(range, room + 1);
          const ids = names.slice(0, room).map((name) => textOf(name, 'id'));
          const found = await table.get(...ids.map((id) => typeKey(orgId, id)));
          for (const [index, id] of ids.entries()) {
            last = textOf(names[index]!, 'sk');
            const item = found.of(typeKey(orgId, id));
            // Renamed or deleted in between: a renamed one has a place of its own.
            if (item === null || textOf(item, 'nameKey') !== last || textOf(item, 'state') === 'deleted') continue;
            items.push(readTypeSummary(item));
          }
          const more = names.length > room;
          if (!more || items.length === limit) return { items, more };
        }
      }),

    writeType: ({ type, previousNameKey, expectedVersion, action, secret, change }) =>
      table.answer('write', async () => {
        const { orgId } = change;
        const head = typeKey(orgId, type.id);
        const deleted = type.state === 'deleted';
        const renamed = type.nameKey !== previousNameKey;
        const atVersion = all(exists, equal('version', integer(expectedVersion)));
        const set = { ...partOf(action, actionName, actionAttribute), ...partOf(secret, secretName, secretAttribute) };
        const changesParts = Object.keys(set).length > 0;
        const scope = { type: 'environment_type', id: type.id } as const;
        // All that were ever added have to be found: one that is added meanwhile moves the type's count of them.
        const added = deleted ? (await table.get(head)).of(head)?.[keysEverAdded] : undefined;
        const dataKeys = deleted ? await keysOf(table, orgId, scope) : [];
        const noMore = added === undefined ? without(keysEverAdded) : equal(keysEverAdded, added);
        const refusal = (there: Item | null) => {
          if (there === null) return 'not_found';
          if (integerOf(there, 'version') !== expectedVersion) return 'stale';
          return deleted && integerOf(there, 'live') > 0 ? 'has_instances' : 'stale';
        };
        return write<'not_found' | 'stale' | 'name_taken' | 'has_instances'>(table, change, {
          owners: [head],
          steps: [
            {
              update: head,
              changes: {
                set: {
                  ...typeAttributes(type),
                  ...(changesParts ? { partsVersion: integer(type.version) } : {}),
                },
              },
              when: deleted ? all(atVersion, equal('live', integer(0)), noMore) : atVersion,
              else: refusal,
            },
            ...(changesParts
              ? [
                  {
                    update: typePartsKey(orgId, type.id),
                    changes: { set: { ...set, version: integer(type.version) } },
                    when: exists,
                    else: () => 'stale' as const,
                  },
                ]
              : []),
            ...(deleted || renamed
              ? [
                  {
                    remove: typeNameKey(orgId, previousNameKey),
                    when: equal('id', text(type.id)),
                    else: () => 'stale' as const,
                  },
                ]
              : []),
            ...(renamed && !deleted
              ? [{ put: typeClaim(orgId, type), when: missing, else: () => 'name_taken' as const }]
              : []),
            ...dataKeys.flatMap((key) => placesOf(orgId, key)).map((key) => ({ remove: key })),
          ],
        });
      }),
  };
}

/** How an action or a definition that is put or removed changes the type's parts. */
function partOf<Part>(
  change: { readonly put: Part } | { readonly remove: string } | undefined,
  nameOf: (key: string) => string,
  attributeOf: (part: Part) => readonly [string, NonNullable<Attributes[string]>],
): Attributes {
  if (change === undefined) return {};
  return 'put' in change ? Object.fromEntries([attributeOf(change.put)]) : { [nameOf(change.remove)]: null };
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is an environment type ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
