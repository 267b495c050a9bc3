import type { Change, Stored, Written } from '../storage/port.ts';
import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { JournalEntry, JournalSubject, ParkedEntry } from './model.ts';

/** Which entries to list; everything given has to hold. `from` is included, `to` is not. */
export interface JournalFilter {
  readonly subject?: JournalSubject;
  readonly action?: string;
  readonly actor?: { readonly type: string; readonly id: string };
  readonly from?: Date;
  readonly to?: Date;
}

/** The place of an entry in time; ties are broken by id. `at` is ISO 8601 with milliseconds. */
export interface JournalPosition {
  readonly at: string;
  readonly id: string;
}

/** A lane that was claimed, with the entries to deliver from it, in the order in which to deliver them, and how often each has failed. */
export interface ClaimedLane {
  readonly lane: number;
  readonly entries: readonly { readonly entry: JournalEntry; readonly attempts: number }[];
}

/** Names a lease: whoever holds `token` may acknowledge until somebody else has taken the lane over. */
export interface Lease {
  readonly orgId: string;
  readonly lane: number;
  readonly token: string;
}

/** The journal's port: the audit log, and the outbox with its lanes. */
export interface JournalRepository {
  /** Writes an entry that belongs to no other write. */
  append(change: Change): Stored<Written<never>>;

  /** Entries of the org, newest first (by time, then id). */
  list(orgId: string, filter: JournalFilter, page: PageRequest<JournalPosition>): Stored<StoredPage<JournalEntry>>;

  /**
   * Leases one lane that has entries due at `now` and is leased by nobody, other than the lanes in `except`; `null` when there is none.
   * Gives at most `limit` entries, those of one stream in the order of their sequence, up to the first that waits for a later
   * attempt: that one, and what follows it, is not given.
   */
  claim(request: {
    readonly orgId: string;
    readonly now: Date;
    readonly leaseUntil: Date;
    readonly token: string;
    readonly limit: number;
    readonly except: readonly number[];
  }): Stored<ClaimedLane | null>;

  /** Prolongs a lease; `false` when it was lost. */
  renew(lease: Lease, until: Date): Stored<boolean>;

  /** Drops an entry from the queue, if the lease is still held; `false` when it was lost. */
  acknowledge(lease: Lease, entry: JournalEntry): Stored<boolean>;

  /** Counts a failed attempt: due again at `retryAt`, or parked with a reason. `false` when the lease was lost. */
  fail(
    lease: Lease,
    entry: JournalEntry,
    failure:
      | { readonly attempts: number; readonly retryAt: Date }
      | { readonly attempts: number; readonly parkedAt: Date; readonly reason: string },
  ): Stored<boolean>;

  /** Gives a lane back. Nothing happens when the lease was lost. */
  release(lease: Lease): Stored<void>;

  /** Parked entries, oldest first (by time of the entry, then id). */
  listParked(orgId: string, page: PageRequest<JournalPosition>): Stored<StoredPage<ParkedEntry>>;

  /** Puts a parked entry back into its lane with no attempts counted; `false` when there is no such parked entry. */
  retryParked(orgId: string, entryId: string, now: Date): Stored<boolean>;

  /**
   * Deletes at most `limit` entries older than `before`, and idempotency keys that expired before `now`. Entries that still wait for
   * delivery, or are parked, stay unless `undelivered` is `'drop'`. Answers how many entries are gone; fewer than `limit` means
   * that none is left.
   */
  prune(request: {
    readonly orgId: string;
    readonly before: Date;
    readonly now: Date;
    readonly undelivered: 'keep' | 'drop';
    readonly limit: number;
  }): Stored<number>;
}
