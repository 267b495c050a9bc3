import type { Change, KeyId, KeyRecord, KeyResult, KeyWrite, Written } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { timeToLiveAttribute } from './definition.ts';
import { atMost, either, missing } from './expressions.ts';
import { entryItem, queuedItem } from './journal-items.ts';
import { idempotencyKey } from './keys.ts';
import type { Key } from './keys.ts';
import type { Action, Found, Table } from './table.ts';

/** An action and what it means when its condition does not hold. */
export type Step<Refusal extends string> = Action & { readonly else?: (there: Item | null) => Refusal };

/** When several guards do not hold at once, the answer is the first of these; a key that is taken comes before all. */
const order = [
  'not_found',
  'not_pending',
  'stale',
  'secrets_moved',
  'keys_moved',
  'runtime_moved',
  'type_not_ready',
  'limit_reached',
  'capacity_reached',
  'last_environment',
  'has_children',
  'has_instances',
  'has_live_previews',
  'in_use',
  'resolved',
  'name_taken',
  'number_taken',
  'gone',
  'exists',
  'swept',
];

/**
 * Sends a command: one transaction with its steps, its journal entry and its idempotency key. `owners` are the items that own what is
 * changed. `beforeRetry` looks whether the guards can still hold, before a transaction that met others is tried again.
 */
export async function write<Refusal extends string>(
  table: Table,
  change: Change,
  command: {
    readonly owners: readonly Key[];
    readonly steps: readonly Step<Refusal>[];
    readonly beforeRetry?: () => Promise<Written<Refusal> | null>;
  },
): Promise<Written<Refusal>> {
  const { entry, key } = change;
  const steps: Step<Refusal>[] = [...command.steps, { put: entryItem(entry) }, { put: queuedItem(entry) }];
  if (key !== null) steps.push({ put: keyItem(change.orgId, key), when: unused(change) });
  const keyIndex = key === null ? undefined : steps.length - 1;

  const answer = await table.transact(steps, {
    owners: command.owners,
    outranks: keyIndex,
    beforeRetry: command.beforeRetry,
  });
  if ('stop' in answer) return answer.stop;
  if (answer.length === 0) return { done: true };
  const taken = answer.find(({ index }) => index === keyIndex);
  if (taken !== undefined) return { done: false, refused: 'key_taken', record: readKey(taken.there!) };

  const refusals = answer.map(({ index, there }) => steps[index]!.else!(there));
  refusals.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  return { done: false, refused: refusals[0]! };
}

/** DynamoDB deletes expired items days late, so an expired key has to count as none. */
const unused = ({ at }: Change) => either(missing, atMost('expiresAt', time(at)));

function keyItem(orgId: string, key: KeyWrite): Item {
  const { pk, sk } = idempotencyKey(orgId, key.id);
  return {
    pk: text(pk),
    sk: text(sk),
    fingerprint: text(key.fingerprint),
    result: text(JSON.stringify(key.result)),
    expiresAt: time(key.expiresAt),
    [timeToLiveAttribute]: integer(Math.ceil(key.expiresAt.getTime() / 1_000)),
  };
}

function readKey(item: Item): KeyRecord {
  return {
    fingerprint: textOf(item, 'fingerprint'),
    result: JSON.parse(textOf(item, 'result')) as KeyResult,
    expiresAt: new Date(integerOf(item, 'expiresAt')),
  };
}

/** The key to read along with a load, if the command has one. */
export function keyOf(orgId: string, keyId: KeyId | undefined): Key[] {
  return keyId === undefined ? [] : [idempotencyKey(orgId, keyId)];
}

/** What a load found under the command's key. It may have expired: only the command knows what time it is. */
export function keptUnder(found: Found, orgId: string, keyId: KeyId | undefined): KeyRecord | null {
  const item = keyId === undefined ? null : found.of(idempotencyKey(orgId, keyId));
  return item === null ? null : readKey(item);
}
