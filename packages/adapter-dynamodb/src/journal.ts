import { compareBytes } from '@vivarium/core/storage';
import type {
  JournalEntry,
  JournalFilter,
  JournalPosition,
  JournalRepository,
  Lease,
  ParkedEntry,
  StoredPage,
} from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { atMost, either, equal, exists, missing } from './expressions.ts';
import { entryOf, pointerTo, queuedItem, readEntry, waitingOf } from './journal-items.ts';
import {
  auditPartition,
  idempotencyPartition,
  leaseKey,
  leasePartition,
  parkedIdKey,
  parkedKey,
  parkedPartition,
  placeOf,
  queuedKey,
  subjectPartition,
} from './keys.ts';
import type { Key } from './keys.ts';
import { dueLane, dueOf } from './queue.ts';
import { sideBySide } from './side-by-side.ts';
import type { Action, Range, Table } from './table.ts';
import { write } from './write.ts';

/** Below and above every place in time. */
const firstPlace = '!';
const lastPlace = '~';

/** How many entries are looked at at a time, where not all of them will do. */
const searchPage = 100;

export function dynamodbJournal(table: Table): JournalRepository {
  return {
    append: (change) => table.answer('write', () => write<never>(table, change, { owners: [], steps: [] })),

    list: (orgId, filter, { limit, after }) =>
      table.answer('read', async () => {
        const entries: JournalEntry[] = [];
        const narrowed = filter.action !== undefined || filter.actor !== undefined;
        const range: Range = {
          ...(filter.subject === undefined
            ? { pk: auditPartition(orgId), byTime: true }
            : { pk: subjectPartition(orgId, filter.subject) }),
          between: [filter.from?.toISOString() ?? firstPlace, endOf(filter, after)],
          backward: true,
          pageSize: narrowed ? searchPage : limit + 2,
        };
        for await (const page of table.pages(range)) {
          let rest = page.filter((item) => after === null || textOf(item, 'sk') !== placeOf(after.at, after.id));
          while (rest.length > 0) {
            // What only shows that there is more is not read itself, unless it has to be looked at to know.
            const room = narrowed ? rest.length : limit - entries.length;
            if (room === 0) return { items: entries, more: true };
            const read =
              filter.subject === undefined ? await entriesAt(rest.map(keyOfItem).slice(0, room)) : rest.map(readEntry);
            rest = rest.slice(room);
            for (const entry of read.slice(0, room)) {
              if (entry === null || !matches(entry, filter)) continue;
              if (entries.length === limit) return { items: entries, more: true };
              entries.push(entry);
            }
          }
        }
        return { items: entries, more: false };
      }),

    claim: ({ orgId, now, leaseUntil, token, limit, except }) =>
      table.answer('write', async () => {
        const passed = new Set(except);
        for (let contested = false; ;) {
          const lane = await dueLane(table, orgId, now, passed);
          if (lane === null) return null;
          passed.add(lane);
          const taken = await table.update(
            leaseKey(orgId, lane),
            { set: { token: text(token), until: time(leaseUntil) } },
            // The last is for the client's own retry of a request whose answer was lost.
            either(missing, atMost('until', time(now)), equal('token', text(token))),
          );
          if (!taken) {
            // Other workers are here: find out once which lanes are theirs instead of knocking at each.
            if (!contested) for (const leased of await leasedLanes(orgId, now)) passed.add(leased);
            contested = true;
            continue;
          }
          // What waited before the lease was taken may have been delivered by who held it until then.
          const entries = await deliverable(orgId, lane, now, limit);
          if (entries.length > 0) return { lane, entries };
          await table.remove(leaseKey(orgId, lane), equal('token', text(token)));
        }
      }),

    renew: (lease, until) =>
      table.answer('write', () =>
        table.update(
          leaseKey(lease.orgId, lease.lane),
          { set: { until: time(until) } },
          equal('token', text(lease.token)),
        ),
      ),

    acknowledge: (lease, entry) => table.answer('write', () => whileLeased(lease, [{ remove: queuedKey(entry) }])),

    fail: (lease, entry, failure) =>
      table.answer('write', () => {
        const queued = queuedKey(entry);
        if ('retryAt' in failure) {
          const set = { attempts: integer(failure.attempts), dueAt: time(failure.retryAt) };
          return whileLeased(lease, [{ update: queued, changes: { set }, when: exists }]);
        }
        const [parked, byId] = [parkedKey(entry), parkedIdKey(entry.orgId, entry.id)];
        return whileLeased(lease, [
          { remove: queued, when: exists },
          {
            put: {
              pk: text(parked.pk),
              sk: text(parked.sk),
              ...pointerTo(entry),
              attempts: integer(failure.attempts),
              parkedAt: time(failure.parkedAt),
              reason: text(failure.reason),
            },
          },
          { put: { pk: text(byId.pk), sk: text(byId.sk), ...pointerTo(entry) } },
        ]);
      }),

    release: (lease) =>
      table.answer('write', async () => {
        await table.remove(leaseKey(lease.orgId, lease.lane), equal('token', text(lease.token)));
      }),

    listParked: (orgId, { limit, after }) =>
      table.answer('read', async (): Promise<StoredPage<ParkedEntry>> => {
        const parked: ParkedEntry[] = [];
        const pk = parkedPartition(orgId);
        const range: Range = {
          pk,
          pageSize: limit + 1,
          ...(after === null ? {} : { after: placeOf(after.at, after.id) }),
        };
        for await (const page of table.pages(range)) {
          const entries = await entriesAt(page.map(entryOf));
          for (const [index, entry] of entries.entries()) {
            // Its entry was pruned, undelivered.
            if (entry === null) continue;
            if (parked.length === limit) return { items: parked, more: true };
            parked.push(readParked(page[index]!, entry));
          }
        }
        return { items: parked, more: false };
      }),

    retryParked: (orgId, entryId, now) =>
      table.answer('write', async () => {
        const byId = parkedIdKey(orgId, entryId);
        const pointer = (await table.get(byId)).of(byId);
        if (pointer === null) return false;
        const [entry] = await entriesAt([entryOf(pointer)]);
        if (entry === undefined || entry === null) return false;
        const broken = await table.transact(
          [
            { remove: byId, when: exists },
            { remove: parkedKey(entry), when: exists },
            { put: { ...queuedItem(entry), dueAt: time(now) } },
          ],
          { owners: [] },
        );
        return Array.isArray(broken) && broken.length === 0;
      }),

    prune: ({ orgId, before, now, undelivered, limit }) =>
      table.answer('write', async () => {
        let gone = 0;
        const range: Range = {
          pk: auditPartition(orgId),
          byTime: true,
          between: [firstPlace, before.toISOString()],
          pageSize: searchPage,
        };
        for await (const page of table.pages(range)) {
          const entries = (await entriesAt(page.map(keyOfItem))).filter((entry) => entry !== null);
          const waiting = await waitingKeys(entries);
          const chosen = entries
            .filter((entry) => undelivered === 'drop' || waiting.get(entry)!.length === 0)
            .slice(0, limit - gone);
          await table.removeAll(chosen.flatMap((entry) => [...waiting.get(entry)!, keyOfEntry(entry)]));
          gone += chosen.length;
          if (gone >= limit) return gone;
        }
        await removeExpiredKeys(orgId, now);
        return gone;
      }),
  };

  /** Entries in the order of their keys; `null` for those that are gone. */
  async function entriesAt(keys: readonly Key[]): Promise<(JournalEntry | null)[]> {
    const found = await table.get(...keys);
    return keys.map((key) => {
      const item = found.of(key);
      return item === null ? null : readEntry(item);
    });
  }

  /** What is due in a lane, with its entries. What points to an entry that was pruned is dropped on the way. */
  async function deliverable(orgId: string, lane: number, now: Date, limit: number) {
    const due = await dueOf(table, orgId, lane, now, limit);
    const entries = await entriesAt(due.map(entryOf));
    await table.removeAll(due.filter((_, index) => entries[index] === null).map(keyOfItem));
    return entries.flatMap((entry, index) =>
      entry === null ? [] : [{ entry, attempts: waitingOf(due[index]!).attempts }],
    );
  }

  async function leasedLanes(orgId: string, now: Date): Promise<number[]> {
    const leases = await table.all({ pk: leasePartition(orgId) });
    return leases.filter((lease) => timeOf(lease, 'until') > now).map((lease) => Number(textOf(lease, 'sk')));
  }

  /** Changes the queue, provided that the lease is still held. An entry that somebody dropped meanwhile is nothing to complain of. */
  async function whileLeased({ orgId, lane, token }: Lease, actions: readonly Action[]): Promise<boolean> {
    const held: Action = { check: leaseKey(orgId, lane), when: equal('token', text(token)) };
    const broken = await table.transact([held, ...actions], { owners: [leaseKey(orgId, lane)] });
    return Array.isArray(broken) && broken.every(({ index }) => index !== 0);
  }

  /** DynamoDB does it by itself, in its own time. One by one, each on condition that nobody has taken the key anew meanwhile. */
  async function removeExpiredKeys(orgId: string, now: Date): Promise<void> {
    const expired = atMost('expiresAt', time(now));
    for await (const page of table.pages({ pk: idempotencyPartition(orgId), where: expired, keysOnly: true })) {
      await sideBySide(page.map((item) => table.remove(keyOfItem(item), expired)));
    }
  }

  /** For each entry the keys under which it waits for delivery or is parked, if it does. */
  async function waitingKeys(entries: readonly JournalEntry[]): Promise<Map<JournalEntry, Key[]>> {
    const found = await table.get(...entries.flatMap((entry) => [queuedKey(entry), parkedKey(entry)]));
    const keysOf = (entry: JournalEntry) => [
      ...(found.of(queuedKey(entry)) === null ? [] : [queuedKey(entry)]),
      ...(found.of(parkedKey(entry)) === null ? [] : [parkedKey(entry), parkedIdKey(entry.orgId, entry.id)]),
    ];
    return new Map(entries.map((entry) => [entry, keysOf(entry)]));
  }
}

/** Newest first, a list ends where the page before it ended, or where the filter says. */
function endOf({ to }: JournalFilter, after: JournalPosition | null): string {
  const ends = [to?.toISOString() ?? lastPlace, after === null ? lastPlace : placeOf(after.at, after.id)];
  return ends.sort(compareBytes)[0]!;
}

function matches(entry: JournalEntry, { action, actor }: JournalFilter): boolean {
  return (
    (action === undefined || entry.action === action) &&
    (actor === undefined || (entry.actor.type === actor.type && entry.actor.id === actor.id))
  );
}

function readParked(item: Item, entry: JournalEntry): ParkedEntry {
  return {
    entry,
    attempts: integerOf(item, 'attempts'),
    parkedAt: timeOf(item, 'parkedAt'),
    reason: textOf(item, 'reason'),
  };
}

function keyOfItem(item: Item): Key {
  return { pk: textOf(item, 'pk'), sk: textOf(item, 'sk') };
}

function keyOfEntry(entry: JournalEntry): Key {
  return entryOf(pointerTo(entry));
}
