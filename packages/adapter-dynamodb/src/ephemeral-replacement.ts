/** Writes of an instance as a whole. One that has ended gives its place and its name free and loses its secrets, in the same transaction. */
import { finalStates } from '@vivarium/core/storage';
import type { Change, StoredInstance, Written } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { all, equal, exists } from './expressions.ts';
import type { Condition } from './expressions.ts';
import { endedItem, instanceAttributes } from './instance-items.ts';
import { instanceKey, instancePartition, liveKey, memberKey, typeKey } from './keys.ts';
import type { Key } from './keys.ts';
import { settled } from './settle.ts';
import type { Table } from './table.ts';
import { write } from './write.ts';
import type { Step } from './write.ts';

/**
 * Values that are deleted in the transaction: as many as an instance can have, unless definitions came and went during its life. The rest goes right
 * behind it; until it has gone, the instance stays among those that a sweep looks at.
 */
const secretsAtOnce = 40;

/** `when` has to hold of the instance; `refusal` says what of it does not. `steps` go into the same transaction. */
interface Replacement {
  readonly when: Condition;
  readonly refusal: (there: Item | null) => 'not_found' | 'stale' | null;
  readonly steps: readonly Step<'stale'>[];
}

export async function replaceInstance(
  table: Table,
  secrets: Table,
  change: Change,
  instance: StoredInstance,
  { when, refusal, steps }: Replacement,
): Promise<Written<'not_found' | 'stale'>> {
  const { orgId } = change;
  const head = instanceKey(orgId, instance.id);
  const set = instanceAttributes(instance);
  if (!finalStates.has(instance.state)) {
    return write<'not_found' | 'stale'>(table, change, {
      owners: [head],
      steps: [{ update: head, changes: { set }, when, else: (there) => refusal(there) ?? 'stale' }, ...steps],
    });
  }

  // A secret that is written while its instance ends must go with it: the instance counts those that were ever given a value, and if the count has
  // moved since the values were looked for, they are looked for again.
  let counted: number | null = null;
  return settled('the secrets of the instance', async () => {
    const values = await secretsOf(secrets, orgId, instance.id);
    const count = counted ?? values.length;
    const written = await write<'not_found' | 'stale' | 'secrets_moved'>(table, change, {
      owners: [typeKey(orgId, instance.typeId), head],
      steps: [
        {
          update: head,
          changes: { set: { ...set, secrets: integer(0) } },
          when: all(when, equal('secrets', integer(count))),
          else: (there) => {
            const refused = refusal(there);
            if (refused !== null) return refused;
            counted = integerOf(there!, 'secrets');
            return 'secrets_moved';
          },
        },
        ...steps,
        ...endSteps(orgId, instance),
        ...(values.length > secretsAtOnce ? [] : [{ remove: liveKey(orgId, instance.id) }]),
        ...values.slice(0, secretsAtOnce).map((key) => ({ remove: key, table: secrets.name })),
      ],
    });
    if (!written.done && written.refused === 'secrets_moved') return null;
    if (written.done && values.length > secretsAtOnce) await eraseSecrets(table, secrets, orgId, instance.id);
    return { value: written as Written<'not_found' | 'stale'> };
  });
}

/** The name was the instance's own as long as it lived, so that one that has ended cannot end again. */
function endSteps(orgId: string, instance: StoredInstance): readonly Step<'stale'>[] {
  const { id, typeId, nameKey } = instance;
  return [
    { update: typeKey(orgId, typeId), changes: { add: { live: -1 } }, when: exists, else: () => 'stale' },
    { remove: memberKey(orgId, typeId, nameKey), when: equal('id', text(id)), else: () => 'stale' },
    { put: endedItem(orgId, instance) },
  ];
}

/** Removes what is left of the secrets of an instance that has ended. What fails is left to the next sweep. */
export async function eraseSecrets(table: Table, secrets: Table, orgId: string, instanceId: string): Promise<void> {
  try {
    await secrets.removeAll(await secretsOf(secrets, orgId, instanceId));
    await table.removeAll([liveKey(orgId, instanceId)]);
  } catch {
    // The instance has ended all the same.
  }
}

export async function secretsOf(secrets: Table, orgId: string, instanceId: string): Promise<Key[]> {
  const values = await secrets.all({ pk: instancePartition(orgId, instanceId), keysOnly: true });
  return values.map((item) => ({ pk: textOf(item, 'pk'), sk: textOf(item, 'sk') }));
}
