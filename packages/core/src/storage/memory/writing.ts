import { laneOf } from '../../journal/model.ts';
import type { KeyRecord } from '../../kernel/idempotency.ts';
import { ResultAsync, ok } from '../../kernel/result.ts';
import type { Change, Stored, Written } from '../port.ts';
import type { OrgTables, Tables } from './tables.ts';

/** Answers like a database does: later, in a turn of its own. */
export function answer<T>(read: () => T): Stored<T> {
  return new ResultAsync(Promise.resolve().then(() => ok(read())));
}

/** What is kept under a key. */
export function keptUnder(org: OrgTables, keyId: string | undefined): KeyRecord | null {
  return keyId === undefined ? null : (org.keys.get(keyId) ?? null);
}

/**
 * A guarded write: nothing else runs between its guards and its changes, because both are in one synchronous step. `guard` names the first
 * guard that does not hold, in the order of the port; `apply` changes the tables once all do.
 */
export function write<Refusal extends string>(
  tables: Tables,
  change: Change,
  guard: (org: OrgTables) => Refusal | null,
  apply: (org: OrgTables) => void,
): Stored<Written<Refusal>> {
  return answer(() => {
    const org = tables.of(change.orgId);
    const record = keptUnder(org, change.key?.id);
    if (record !== null && record.expiresAt > change.at) return { done: false, refused: 'key_taken', record };
    const refused = guard(org);
    if (refused !== null) return { done: false, refused };

    apply(org);
    const { entry, key } = change;
    org.journal.push(Object.freeze(entry));
    org.queue.set(entry.id, { entry, lane: laneOf(entry.stream), attempts: 0, dueAt: 0, parked: null });
    if (key !== null)
      org.keys.set(key.id, { fingerprint: key.fingerprint, result: key.result, expiresAt: key.expiresAt });
    return { done: true };
  });
}
