/**
 * Reads what commands decide on: an instance, its type, its pending change. The items are not read at one instant, so what must be newest is
 * read last, and what does not belong together is read again.
 */
import type { ChangeFacts, InstanceFacts, KeyId, Loaded, LoadedType, StoredInstance } from '@vivarium/core/storage';

import { readInstance } from './instance-items.ts';
import { instanceKey, stateChangeKey, typeKey, typePartsKey } from './keys.ts';
import { settled } from './settle.ts';
import { readStateChange } from './state-change-items.ts';
import type { Found, Table } from './table.ts';
import { readType } from './type-items.ts';
import { keptUnder, keyOf } from './write.ts';

export function loadType(table: Table, orgId: string, id: string, keyId?: KeyId): Promise<Loaded<LoadedType>> {
  return settled<Loaded<LoadedType>>('the environment type', async () => {
    const found = await table.get(...typeKeys(orgId, id), ...keyOf(orgId, keyId));
    const key = keptUnder(found, orgId, keyId);
    if (found.of(typeKey(orgId, id)) === null) return { value: { found: null, key } };
    const type = typeIn(found, orgId, id);
    return type === null ? null : { value: { found: type, key } };
  });
}

export function loadInstance(table: Table, orgId: string, id: string, keyId?: KeyId): Promise<Loaded<InstanceFacts>> {
  return settled<Loaded<InstanceFacts>>('the instance', async () => {
    const place = instanceKey(orgId, id);
    const found = await table.get(place, ...keyOf(orgId, keyId));
    const key = keptUnder(found, orgId, keyId);
    const item = found.of(place);
    if (item === null) return { value: { found: null, key } };
    const [facts] = await factsOf(table, orgId, [readInstance(item)]);
    return facts == null ? null : { value: { found: facts, key } };
  });
}

export function loadChange(table: Table, orgId: string, id: string, keyId?: KeyId): Promise<Loaded<ChangeFacts>> {
  return settled<Loaded<ChangeFacts>>('the state change', async () => {
    const place = stateChangeKey(orgId, id);
    const first = await table.get(place, ...keyOf(orgId, keyId));
    const key = keptUnder(first, orgId, keyId);
    const item = first.of(place);
    if (item === null) return { value: { found: null, key } };

    const stateChange = readStateChange(item);
    const { instanceId, typeId } = stateChange;
    const found = await table.get(instanceKey(orgId, instanceId), ...typeKeys(orgId, typeId));
    const there = found.of(instanceKey(orgId, instanceId));
    // Its instance was removed: what is left of its changes is removed, too.
    if (there === null) return { value: { found: null, key } };
    const instance = readInstance(there);
    const type = typeIn(found, orgId, typeId);
    const ended = stateChange.result === 'pending' && instance.pendingChangeId !== id;
    return type === null || ended ? null : { value: { found: { stateChange, instance, type }, key } };
  });
}

/** Types and pending changes of instances; `null` for one that has changed meanwhile. */
export async function factsOf(
  table: Table,
  orgId: string,
  instances: readonly StoredInstance[],
): Promise<(InstanceFacts | null)[]> {
  const types = new Set(instances.map(({ typeId }) => typeId));
  const changes = instances.flatMap(({ pendingChangeId: id }) => (id === null ? [] : [stateChangeKey(orgId, id)]));
  const found = await table.get(...[...types].flatMap((id) => typeKeys(orgId, id)), ...changes);
  return instances.map((instance) => {
    const type = typeIn(found, orgId, instance.typeId);
    if (type === null) return null;
    if (instance.pendingChangeId === null) return { instance, type, pending: null };
    const item = found.of(stateChangeKey(orgId, instance.pendingChangeId));
    const pending = item === null ? null : readStateChange(item);
    return pending?.result === 'pending' ? { instance, type, pending } : null;
  });
}

function typeKeys(orgId: string, id: string) {
  return [typeKey(orgId, id), typePartsKey(orgId, id)];
}

function typeIn(found: Found, orgId: string, id: string): LoadedType | null {
  return readType(found.of(typeKey(orgId, id)), found.of(typePartsKey(orgId, id)));
}
