import type { StoredInstance } from '@vivarium/core/storage';

import {
  integer,
  integerOf,
  optionalText,
  optionalTextOf,
  optionalTime,
  optionalTimeOf,
  present,
  text,
  textOf,
  time,
  timeOf,
} from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { endedKey, instanceKey, liveKey, memberKey, nameKeyOfMember, partsOf } from './keys.ts';

/** The items that a live instance is made of: itself, its name's claim, and its place among all that live. */
export function instanceItems(
  orgId: string,
  instance: StoredInstance,
): { readonly head: Item; readonly claim: Item; readonly live: Item } {
  const { id, typeId, name, nameKey, createdAt } = instance;
  const head = instanceKey(orgId, id);
  const claim = memberKey(orgId, typeId, nameKey);
  const live = liveKey(orgId, id);
  return {
    head: present({
      pk: text(head.pk),
      sk: text(head.sk),
      typeId: text(typeId),
      name: text(name),
      nameKey: text(nameKey),
      ...instanceAttributes(instance),
      secrets: integer(0),
      createdAt: time(createdAt),
    }),
    claim: { pk: text(claim.pk), sk: text(claim.sk), id: text(id) },
    live: { pk: text(live.pk), sk: text(live.sk), id: text(id) },
  };
}

/** What a write of an instance replaces in its item: everything but `secrets`, which counts the secrets that were ever given a value. */
export function instanceAttributes(instance: StoredInstance): Attributes {
  return {
    state: text(instance.state),
    pending: optionalText(instance.pendingChangeId),
    changes: integer(instance.changeSequence),
    sleptFrom: optionalText(instance.sleptFrom),
    expiresAt: optionalTime(instance.expiresAt),
    activeAt: time(instance.lastActiveAt),
    sweepFailures: integer(instance.sweepFailures),
    sweepAfter: optionalTime(instance.sweepAfter),
    attention: instance.needsAttention ? integer(1) : null,
    note: optionalText(instance.note),
    endedAt: optionalTime(instance.endedAt),
    version: integer(instance.version),
    updatedAt: time(instance.updatedAt),
  };
}

/** Where an instance is listed once it has ended. */
export function endedItem(orgId: string, { typeId, nameKey, id }: StoredInstance): Item {
  const { pk, sk } = endedKey(orgId, typeId, nameKey, id);
  return { pk: text(pk), sk: text(sk), id: text(id) };
}

/** Where an item says that an instance is in the list of its type. */
export function positionOf(member: Item) {
  return { nameKey: nameKeyOfMember(textOf(member, 'sk')), id: textOf(member, 'id') };
}

export function readInstance(item: Item): StoredInstance {
  return {
    id: partsOf(textOf(item, 'pk'))[2]!,
    typeId: textOf(item, 'typeId'),
    name: textOf(item, 'name'),
    nameKey: textOf(item, 'nameKey'),
    state: textOf(item, 'state') as StoredInstance['state'],
    pendingChangeId: optionalTextOf(item, 'pending'),
    changeSequence: integerOf(item, 'changes'),
    sleptFrom: optionalTextOf(item, 'sleptFrom') as StoredInstance['sleptFrom'],
    expiresAt: optionalTimeOf(item, 'expiresAt'),
    lastActiveAt: timeOf(item, 'activeAt'),
    sweepFailures: integerOf(item, 'sweepFailures'),
    sweepAfter: optionalTimeOf(item, 'sweepAfter'),
    needsAttention: item['attention'] !== undefined,
    note: optionalTextOf(item, 'note'),
    endedAt: optionalTimeOf(item, 'endedAt'),
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}
