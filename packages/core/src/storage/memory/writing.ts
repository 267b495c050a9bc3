import { laneOf } from '../../journal/model.ts';
import type { KeyRecord } from '../../kernel/idempotency.ts';
import { isVivariumError, StorageFailure } from '../../kernel/errors.ts';
import { err, ResultAsync, ok } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';
import type { Change, Stored, Written } from '../port.ts';
import { row } from './tables.ts';
import type { OrgTables, Session } from './tables.ts';

/** Answers like a database does: later, in a turn of its own, with copies, and with a failure when it is closed or cannot read what it holds. */
export function answer<T>(session: Session, read: () => T): Stored<T> {
  return new ResultAsync(Promise.resolve().then(() => answerNow(session, read)));
}

function answerNow<T>(session: Session, read: () => T): Result<T, StorageFailure> {
  if (session.closed) return err(new StorageFailure('the storage is closed', { retryable: false, outcome: 'none' }));
  try {
    return ok(structuredClone(read()));
  } catch (cause) {
    if (!isVivariumError(cause)) throw cause;
    return err(new StorageFailure(cause.message, { retryable: false, outcome: 'none', cause }));
  }
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
  session: Session,
  change: Change,
  guard: (org: OrgTables) => Refusal | null,
  apply: (org: OrgTables) => void,
): Stored<Written<Refusal>> {
  return answer(session, () => {
    const org = session.tables.of(change.orgId);
    const record = keptUnder(org, change.key?.id);
    if (record !== null && record.expiresAt > change.at) return { done: false, refused: 'key_taken', record };
    const refused = guard(org);
    if (refused !== null) return { done: false, refused };

    apply(org);
    const { key } = change;
    const entry = row(change.entry);
    org.journal.push(entry);
    org.queue.set(entry.id, { entry, lane: laneOf(entry.stream), attempts: 0, dueAt: 0, parked: null });
    if (key !== null) {
      org.keys.set(key.id, row({ fingerprint: key.fingerprint, result: key.result, expiresAt: key.expiresAt }));
    }
    return { done: true };
  });
}
