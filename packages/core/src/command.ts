/**
 * How a command runs: load, decide, write once; with its idempotency key, its journal entry and its retries. The services hold only what
 * is particular to each command.
 */
import type { ErrorOf, Method } from './errors.ts';
import type { JournalData, JournalEntry, JournalSubject } from './journal/model.ts';
import { IdempotencyMismatch, StaleVersion, StorageFailure } from './kernel/errors.ts';
import { fingerprintOf, keyIdOf, keyLifetimeMs } from './kernel/idempotency.ts';
import type { CommandOptions, KeyId, KeyRecord, KeyResult, KeyWrite } from './kernel/idempotency.ts';
import { err, ok } from './kernel/result.ts';
import type { Result } from './kernel/result.ts';
import type { Eventually, Scope } from './operation.ts';
import type { Change, Stored } from './storage/port.ts';

/** An idempotency key in use by one call: where to look for it, and what to keep if the call succeeds. */
interface UsedKey {
  readonly id: KeyId;
  readonly fingerprint: string;
}

/** `input` is what the fingerprint covers: the arguments without the call's options. */
function useKey(name: Method, key: string | undefined, input: unknown): UsedKey | null {
  return key === undefined ? null : { id: keyIdOf(name, key), fingerprint: fingerprintOf(key, input) };
}

/** What an earlier call under this key left, provided that it had the same input. */
function replayOf(name: Method, key: UsedKey | null, record: KeyRecord): Result<KeyResult, IdempotencyMismatch> {
  return record.fingerprint === key?.fingerprint ? ok(record.result) : err(new IdempotencyMismatch(name));
}

/** The journal's part of a change. */
export interface Noted {
  readonly subject: JournalSubject;
  readonly action: string;
  /** The subject's version after the change; `null` for an entry that moves no version and is a stream of its own. */
  readonly sequence: number | null;
  readonly data: JournalData;
}

/** What goes along with a write: its journal entry and its key. */
export function changeOf({ ports, caller }: Scope, at: Date, noted: Noted, key: KeyWrite | null): Change {
  const id = ports.ids.next();
  const entry: JournalEntry = {
    id,
    orgId: caller.org,
    subject: noted.subject,
    stream: noted.sequence === null ? id : noted.subject.id,
    sequence: noted.sequence ?? 1,
    action: noted.action,
    actor: { type: caller.type, id: caller.id },
    at,
    data: noted.data,
  };
  return { orgId: caller.org, at, entry, key };
}

/** One try of a command: when it is, and how to wrap up what goes along with its write. */
export interface Attempt {
  readonly at: Date;
  /** `result` is what a replay under the same idempotency key will be rebuilt from. */
  change(noted: Noted, result: KeyResult): Change;
}

/** Answer of a try that lost a race: load and decide again. */
export const again = Symbol('again');
export type Again = typeof again;

const nothingToLoad = ok({ key: null });

/** How often a command without `expectedVersion` reads and decides again when it keeps losing the race. */
const attempts = 8;

/**
 * A command: load what the decision needs, decide, write once, again while somebody else is quicker. What was done under the same
 * idempotency key is found by the load or, at the latest, by the write, and is replayed instead.
 */
export async function command<M extends Method, Facts extends { readonly key: KeyRecord | null }, T>(
  scope: Scope,
  called: {
    readonly method: M;
    /** What changes, for `stale_version`. */
    readonly target: JournalSubject;
    readonly options: CommandOptions;
    /** What the idempotency key's fingerprint covers. */
    readonly input: unknown;
  },
  steps: {
    /** Reads the facts, and with them what is kept under the key. A command whose guard is all in its write loads nothing. */
    readonly load?: (keyId: KeyId | undefined) => Stored<Facts>;
    readonly replay: (result: KeyResult, facts: Facts | null) => Eventually<T, ErrorOf<M>>;
    readonly attempt: (attempt: Attempt, facts: Facts) => Eventually<T | Again | KeyRecord, ErrorOf<M>>;
  },
): Promise<Result<T, ErrorOf<M> | IdempotencyMismatch | StaleVersion | StorageFailure>> {
  const { method: name, target, options } = called;
  const key = useKey(name, options.idempotencyKey, called.input);

  for (let i = 0; i < attempts; i++) {
    if (isAborted(options)) return err(abortedCall());
    const loaded = await (steps.load?.(key?.id) ?? nothingToLoad);
    if (loaded.isErr()) return err(loaded.error);
    const facts = loaded.value as Facts;
    const at = new Date(scope.ports.clock.now().getTime());
    if (facts.key !== null && facts.key.expiresAt > at) {
      const kept = replayOf(name, key, facts.key);
      return kept.isErr() ? err(kept.error) : await steps.replay(kept.value, facts);
    }

    if (isAborted(options)) return err(abortedCall());
    const change = (noted: Noted, result: KeyResult): Change =>
      changeOf(scope, at, noted, key && { ...key, result, expiresAt: new Date(at.getTime() + keyLifetimeMs) });
    const tried = await steps.attempt({ at, change }, facts);
    if (tried.isErr()) return err(tried.error);
    if (tried.value === again) continue;
    if (!isKeyRecord(tried.value)) return ok(tried.value);
    const kept = replayOf(name, key, tried.value);
    return kept.isErr() ? err(kept.error) : await steps.replay(kept.value, null);
  }
  return err(new StaleVersion(target.type, target.id));
}

function isKeyRecord<T>(value: T | KeyRecord): value is KeyRecord {
  return typeof value === 'object' && value !== null && 'fingerprint' in value;
}

function isAborted({ signal }: CommandOptions): boolean {
  return signal?.aborted === true;
}

function abortedCall(): StorageFailure {
  return new StorageFailure('the caller aborted the call; nothing was written', { retryable: true, outcome: 'none' });
}

/** Refuses a command whose `expectedVersion` is not the one that was loaded. */
export function checkVersion(
  resource: string,
  loaded: { readonly id: string; readonly version: number },
  expected: number | undefined,
): Result<void, StaleVersion> {
  if (expected === undefined || expected === loaded.version) return ok(undefined);
  return err(new StaleVersion(resource, loaded.id, { expected, actual: loaded.version }));
}
