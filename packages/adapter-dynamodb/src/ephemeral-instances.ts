import { compareBytes, finalStates, StorageFailure } from '@vivarium/core/storage';
import type {
  EphemeralRepository,
  InstanceFacts,
  InstancePosition,
  InstanceState,
  StoredInstance,
  Written,
} from '@vivarium/core/storage';

import { integer, integerOf, optionalIntegerOf, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { factsOf, loadInstance } from './ephemeral-facts.ts';
import { eraseSecrets, replaceInstance } from './ephemeral-replacement.ts';
import { all, belowAttribute, either, equal, exists, missing, without } from './expressions.ts';
import { eraseInstance, eraseLeftoverInstances } from './instance-erasure.ts';
import { instanceItems, positionOf, readInstance } from './instance-items.ts';
import {
  endedKey,
  endedSpan,
  instanceErasureKey,
  instanceKey,
  liveKey,
  livePartition,
  memberSpan,
  typeKey,
} from './keys.ts';
import type { Span } from './keys.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

/** How many instances are looked at at a time, where not all of them will do. */
const searchPage = 100;

type InstanceMethods = Pick<
  EphemeralRepository,
  'createInstance' | 'getInstance' | 'listInstances' | 'facts' | 'writeInstance' | 'removeInstance' | 'due'
>;

export function dynamodbInstances(table: Table, secrets: Table): InstanceMethods {
  return {
    createInstance: ({ instance, change }) =>
      table.answer('write', () => {
        const { orgId, key, at } = change;
        const type = typeKey(orgId, instance.typeId);
        const { head, claim, live } = instanceItems(orgId, instance);
        return write<'not_found' | 'type_not_ready' | 'capacity_reached' | 'name_taken'>(table, change, {
          owners: [type],
          steps: [
            {
              update: type,
              changes: { add: { live: 1 } },
              when: all(
                exists,
                equal('state', text('ready')),
                either(without('maximum'), belowAttribute('live', 'maximum')),
              ),
              else: (there) => refusalOfType(there) ?? 'capacity_reached',
            },
            { put: head, when: missing, else: () => idTaken(instance.id) },
            { put: claim, when: missing, else: () => 'name_taken' },
            { put: live },
          ],
          // Whoever waits for a place in a type that has filled up meanwhile need not try on.
          async beforeRetry() {
            const found = await table.get(type, ...keyOf(orgId, key?.id));
            const kept = keptUnder(found, orgId, key?.id);
            if (kept !== null && kept.expiresAt > at) return { done: false, refused: 'key_taken', record: kept };
            const refused = refusalOfType(found.of(type));
            return refused === null ? null : { done: false, refused };
          },
        });
      }),

    getInstance: (orgId, id) => table.answer('read', async () => (await instancesAt(orgId, [id]))[0] ?? null),

    listInstances: (orgId, { typeId, state }, { limit, after }) =>
      table.answer('read', async () => {
        const items: StoredInstance[] = [];
        for (let last = after; ;) {
          // What only shows that there is more is not read itself, unless it has to be looked at to know.
          const wanted = state === undefined ? limit - items.length : searchPage;
          if (wanted === 0) return { items, more: true };
          const members = await membersBehind(orgId, typeId, state, last, wanted + 1);
          if (members.length === 0 && items.length === 0 && !(await isType(orgId, typeId))) return null;
          const page = members.slice(0, wanted);
          for (const instance of await instancesAt(
            orgId,
            page.map(({ id }) => id),
          )) {
            // Removed in between.
            if (instance === null) continue;
            if (state !== undefined && instance.state !== state) continue;
            if (items.length === limit) return { items, more: true };
            items.push(instance);
          }
          if (members.length <= wanted) return { items, more: false };
          last = page.at(-1)!;
        }
      }),

    facts: (orgId, instanceId, keyId) => table.answer('read', () => loadInstance(table, orgId, instanceId, keyId)),

    writeInstance: ({ instance, expectedVersion, change }) =>
      table.answer('write', () =>
        replaceInstance(table, secrets, change, instance, {
          when: all(exists, equal('version', integer(expectedVersion))),
          refusal: (there) =>
            there === null ? 'not_found' : integerOf(there, 'version') === expectedVersion ? null : 'stale',
          steps: [],
        }),
      ),

    removeInstance: ({ instance, change }) =>
      table.answer('write', async (): Promise<Written<'not_found' | 'stale'>> => {
        const { orgId, at } = change;
        const { id, typeId, nameKey, version } = instance;
        const head = instanceKey(orgId, id);
        const left = instanceErasureKey(orgId, id);
        const written = await write<'not_found' | 'stale'>(table, change, {
          owners: [head],
          steps: [
            {
              remove: head,
              when: all(exists, equal('version', integer(version))),
              else: (there) => (there === null ? 'not_found' : 'stale'),
            },
            { remove: endedKey(orgId, typeId, nameKey, id) },
            { put: { pk: text(left.pk), sk: text(left.sk), id: text(id), since: time(at) } },
          ],
        });
        // Without its instance no change is found any more. There may be more of them than fit into a transaction, and whoever removes next goes on with them.
        if (written.done) {
          await eraseInstance(table, secrets, orgId, id)
            .then(() => eraseLeftoverInstances(table, secrets, orgId, at))
            .catch(() => undefined);
        }
        return written;
      }),

    due: (orgId, { limit, after }) =>
      table.answer('read', async () => {
        const due: InstanceFacts[] = [];
        const range = { pk: livePartition(orgId), ...(after === null ? {} : { after: liveKey(orgId, after).sk }) };
        for await (const page of table.pages({ ...range, pageSize: limit })) {
          const ids = page.map((live) => textOf(live, 'id'));
          const found = await instancesAt(orgId, ids);
          const live: StoredInstance[] = [];
          for (const [index, instance] of found.entries()) {
            if (instance !== null && !finalStates.has(instance.state)) live.push(instance);
            // Ended with more secrets than fit into the transaction that ended it, and whoever removed the rest died on the way.
            else await eraseSecrets(table, secrets, orgId, ids[index]!);
          }
          for (const [index, facts] of (await factsOf(table, orgId, live)).entries()) {
            // Changed between two reads.
            const now = facts ?? (await loadInstance(table, orgId, live[index]!.id)).found;
            if (now === null || finalStates.has(now.instance.state)) continue;
            if (due.push(now) === limit) return due;
          }
        }
        return due;
      }),
  };

  /** Instances in the order of their ids; `null` for those that are gone. */
  async function instancesAt(orgId: string, ids: readonly string[]): Promise<(StoredInstance | null)[]> {
    const found = await table.get(...ids.map((id) => instanceKey(orgId, id)));
    return ids.map((id) => {
      const item = found.of(instanceKey(orgId, id));
      return item === null ? null : readInstance(item);
    });
  }

  async function isType(orgId: string, typeId: string): Promise<boolean> {
    const key = typeKey(orgId, typeId);
    return (await table.get(key)).of(key) !== null;
  }

  /**
   * The first members of a type behind a place, by name, then id: the live ones, those that have ended, or both. The live ones are read first:
   * one that ends in between is then found twice rather than never.
   */
  async function membersBehind(
    orgId: string,
    typeId: string,
    state: InstanceState | undefined,
    after: InstancePosition | null,
    count: number,
  ): Promise<InstancePosition[]> {
    const spans =
      state === undefined
        ? [memberSpan(orgId, typeId, after), endedSpan(orgId, typeId, after)]
        : [finalStates.has(state) ? endedSpan(orgId, typeId, after) : memberSpan(orgId, typeId, after)];
    const members = new Map<string, InstancePosition>();
    for (const span of spans) {
      // One more, for the place itself.
      for (const member of await table.first(rangeOf(span), count + 1)) {
        const position = positionOf(member);
        if (after === null || byPosition(position, after) > 0) members.set(position.id, position);
      }
    }
    return [...members.values()].sort(byPosition).slice(0, count);
  }
}

const rangeOf = ({ pk, from, to }: Span) => ({ pk, between: [from, to] as const });

function refusalOfType(there: Item | null) {
  if (there === null) return 'not_found';
  if (textOf(there, 'state') !== 'ready') return 'type_not_ready';
  const maximum = optionalIntegerOf(there, 'maximum');
  return maximum !== null && integerOf(there, 'live') >= maximum ? 'capacity_reached' : null;
}

function byPosition(a: InstancePosition, b: InstancePosition): number {
  return compareBytes(a.nameKey, b.nameKey) || compareBytes(a.id, b.id);
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is an instance ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
