import type { JournalEntry } from '../../journal/model.ts';
import type { JournalFilter, JournalPosition, JournalRepository, Lease } from '../../journal/repository.ts';
import { compareBytes } from '../../kernel/text.ts';
import type { OrgTables, QueuedEntry, Session } from './tables.ts';
import { answer, write } from './writing.ts';

export function memoryJournal(session: Session): JournalRepository {
  /** Changes the queue, provided that the lease is still this one's. */
  const leased = (lease: Lease, apply: (org: OrgTables) => void) =>
    answer(session, () => {
      const org = session.tables.of(lease.orgId);
      if (org.leases.get(lease.lane)?.token !== lease.token) return false;
      apply(org);
      return true;
    });

  return {
    append: (change) =>
      write<never>(
        session,
        change,
        () => null,
        () => undefined,
      ),

    list: (orgId, filter, { limit, after }) =>
      answer(session, () => {
        const behind = session.tables
          .of(orgId)
          .journal.filter((entry) => matches(entry, filter))
          .filter((entry) => after === null || byTime(positionOf(entry), after) < 0)
          .sort((a, b) => byTime(positionOf(b), positionOf(a)));
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    claim: ({ orgId, now, leaseUntil, token, limit, except }) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        for (const [lane, entries] of dueByLane(org, now.getTime())) {
          const lease = org.leases.get(lane);
          if (except.includes(lane) || (lease !== undefined && lease.until > now.getTime())) continue;
          org.leases.set(lane, { token, until: leaseUntil.getTime() });
          return { lane, entries: entries.slice(0, limit).map(({ entry, attempts }) => ({ entry, attempts })) };
        }
        return null;
      }),

    renew: (lease, until) =>
      leased(lease, (org) => org.leases.set(lease.lane, { token: lease.token, until: until.getTime() })),

    acknowledge: (lease, entry) => leased(lease, (org) => org.queue.delete(entry.id)),

    fail: (lease, entry, failure) =>
      leased(lease, (org) => {
        const queued = org.queue.get(entry.id);
        if (queued === undefined) return;
        const { attempts } = failure;
        org.queue.set(
          entry.id,
          'retryAt' in failure
            ? { ...queued, attempts, dueAt: failure.retryAt.getTime() }
            : { ...queued, attempts, parked: { at: failure.parkedAt, reason: failure.reason } },
        );
      }),

    release: (lease) => leased(lease, (org) => org.leases.delete(lease.lane)).map(() => undefined),

    listParked: (orgId, { limit, after }) =>
      answer(session, () => {
        const behind = [...session.tables.of(orgId).queue.values()]
          .flatMap(({ entry, attempts, parked }) =>
            parked === null ? [] : [{ entry, attempts, parkedAt: parked.at, reason: parked.reason }],
          )
          .filter(({ entry }) => after === null || byTime(positionOf(entry), after) > 0)
          .sort((a, b) => byTime(positionOf(a.entry), positionOf(b.entry)));
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    retryParked: (orgId, entryId, now) =>
      answer(session, () => {
        const { queue } = session.tables.of(orgId);
        const queued = queue.get(entryId);
        if (queued === undefined || queued.parked === null) return false;
        queue.set(entryId, { ...queued, attempts: 0, dueAt: now.getTime(), parked: null });
        return true;
      }),

    prune: ({ orgId, before, now, undelivered, limit }) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        for (const [id, { expiresAt }] of org.keys) if (expiresAt.getTime() <= now.getTime()) org.keys.delete(id);

        const gone = org.journal
          .filter(({ id, at }) => at < before && (undelivered === 'drop' || !org.queue.has(id)))
          .slice(0, limit);
        for (const entry of gone) {
          org.journal.splice(org.journal.indexOf(entry), 1);
          org.queue.delete(entry.id);
        }
        return gone.length;
      }),
  };
}

function matches(entry: JournalEntry, { subject, action, actor, from, to }: JournalFilter): boolean {
  return (
    (subject === undefined || (entry.subject.type === subject.type && entry.subject.id === subject.id)) &&
    (action === undefined || entry.action === action) &&
    (actor === undefined || (entry.actor.type === actor.type && entry.actor.id === actor.id)) &&
    (from === undefined || entry.at >= from) &&
    (to === undefined || entry.at < to)
  );
}

function positionOf(entry: JournalEntry): JournalPosition {
  return { at: entry.at.toISOString(), id: entry.id };
}

function byTime(a: JournalPosition, b: JournalPosition): number {
  return compareBytes(a.at, b.at) || compareBytes(a.id, b.id);
}

/** What can be delivered now, lane by lane: each stream's entries in their order, up to the first that has to wait. */
function dueByLane(org: OrgTables, now: number): Map<number, QueuedEntry[]> {
  const streams = new Map<string, QueuedEntry[]>();
  for (const queued of org.queue.values()) {
    if (queued.parked !== null) continue;
    const { stream } = queued.entry;
    streams.set(stream, [...(streams.get(stream) ?? []), queued]);
  }

  const lanes = new Map<number, QueuedEntry[]>();
  for (const entries of streams.values()) {
    entries.sort((a, b) => a.entry.sequence - b.entry.sequence);
    const waiting = entries.findIndex(({ dueAt }) => dueAt > now);
    const due = waiting === -1 ? entries : entries.slice(0, waiting);
    for (const queued of due) lanes.set(queued.lane, [...(lanes.get(queued.lane) ?? []), queued]);
  }
  return lanes;
}
