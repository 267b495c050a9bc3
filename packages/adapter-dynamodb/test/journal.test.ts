import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { unwrap } from '@vivarium/core';
import type { Change, JournalEntry, JournalRepository } from '@vivarium/core/storage';
import { laneOf } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';

import { makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

const start = Date.UTC(2026, 0, 1);
const at = (second: number) => new Date(start + 1_000 * second);

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] journal', () => {
    let bench: Bench;
    let journal: JournalRepository;
    let orgId: string;
    let orgs = 0;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
      journal = bench.storage.journal;
    });
    afterAll(() => bench.close());
    beforeEach(() => {
      orgId = `org-${++orgs}`;
    });
    afterEach(() => bench.client.middlewareStack.remove('between'));

    const append = async (second: number, more: Partial<JournalEntry> = {}): Promise<JournalEntry> => {
      const id = more.id ?? crypto.randomUUID();
      const entry: JournalEntry = {
        id,
        orgId,
        subject: { type: 'project', id: 'p' },
        stream: id,
        sequence: 1,
        action: 'project.updated',
        actor: { type: 'user', id: 'ada' },
        at: at(second),
        data: {},
        ...more,
      };
      const change: Change = { orgId, at: entry.at, entry, key: null };
      expect(unwrap(await journal.append(change))).toEqual({ done: true });
      return entry;
    };
    const claim = async (more: Partial<Parameters<JournalRepository['claim']>[0]> = {}) =>
      unwrap(
        await journal.claim({
          orgId,
          now: at(100),
          leaseUntil: at(160),
          token: crypto.randomUUID(),
          limit: 100,
          except: [],
          ...more,
        }),
      );
    /** Streams that share a lane. */
    const streamsOfLane = (lane: number, count: number) => {
      const streams: string[] = [];
      for (let i = 0; streams.length < count; i++) if (laneOf(`stream ${i}`) === lane) streams.push(`stream ${i}`);
      return streams.sort();
    };

    test('pages of a filtered list are full, however rare what is looked for', async () => {
      for (let i = 0; i < 230; i++) {
        await append(i, i % 60 === 0 ? { action: 'rare' } : i % 50 === 0 ? { actor: { type: 'user', id: 'bob' } } : {});
      }
      const rare = unwrap(await journal.list(orgId, { action: 'rare' }, { limit: 3, after: null }));
      expect(rare.items.map(({ at }) => at)).toEqual([at(180), at(120), at(60)]);
      expect(rare.more).toBe(true);
      const rest = unwrap(
        await journal.list(
          orgId,
          { action: 'rare' },
          { limit: 3, after: { at: at(60).toISOString(), id: rare.items[2]!.id } },
        ),
      );
      expect(rest).toMatchObject({ items: [{ at: at(0) }], more: false });
      const bob = unwrap(await journal.list(orgId, { actor: { type: 'user', id: 'bob' } }, { limit: 10, after: null }));
      expect(bob.items.map(({ at }) => at)).toEqual([at(200), at(150), at(100), at(50)]);
    });

    test.each([
      ['of the org', {}],
      ['of a subject', { subject: { type: 'project', id: 'p' } }],
    ])('a list %s goes back in time, ties by id, from included and to not', async (_title, filter) => {
      const made: JournalEntry[] = [];
      for (const second of [1, 2, 2, 2, 3, 4]) made.push(await append(second));
      await append(2, { subject: { type: 'project', id: 'q' } });
      const expected = made
        .filter(({ at: time }) => time >= at(2) && time < at(4))
        .sort((a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1));
      const narrowed = { subject: { type: 'project', id: 'p' }, ...filter, from: at(2), to: at(4) };
      const seen: JournalEntry[] = [];
      for (let more = true; more;) {
        const last = seen.at(-1);
        const after = last === undefined ? null : { at: last.at.toISOString(), id: last.id };
        const page = unwrap(await journal.list(orgId, narrowed, { limit: 2, after }));
        seen.push(...page.items);
        more = page.more;
      }
      expect(seen).toEqual(expected);
    });

    test('entries of the whole org come from the index, those of other orgs and what only looks alike do not', async () => {
      const mine = await append(1, {
        subject: { type: 'a#b', id: '%23' },
        actor: { type: 'x', id: '#' },
        data: { a: ['#'] },
      });
      const other = orgId;
      orgId = `${orgId}#J`;
      await append(1);
      expect(unwrap(await journal.list(other, {}, { limit: 10, after: null }))).toEqual({ items: [mine], more: false });
    });

    test('a list that ends before it begins is empty', async () => {
      await append(1);
      const nothing = { items: [], more: false };
      expect(unwrap(await journal.list(orgId, { from: at(5), to: at(0) }, { limit: 10, after: null }))).toEqual(
        nothing,
      );
      const after = { at: at(2).toISOString(), id: 'a' };
      expect(unwrap(await journal.list(orgId, { from: at(5) }, { limit: 10, after }))).toEqual(nothing);
    });

    test('a stream whose first entry has to wait gives none, the others of its lane do', async () => {
      const lane = 7;
      const [waiting, ready] = streamsOfLane(lane, 2) as [string, string];
      const first = await append(1, { stream: waiting, sequence: 1 });
      for (let sequence = 2; sequence <= 60; sequence++) await append(sequence, { stream: waiting, sequence });
      const free = await append(1, { stream: ready, sequence: 1 });

      const claimed = (await claim({ limit: 10 }))!;
      expect(claimed.lane).toBe(lane);
      const lease = { orgId, lane, token: 'mine' };
      expect(unwrap(await journal.fail(lease, first, { attempts: 1, retryAt: at(500) }))).toBe(false);
      expect(await claim()).toBeNull();

      const taken = (await claim({ now: at(161), leaseUntil: at(200), token: 'mine', limit: 10 }))!;
      expect(taken.entries[0]!.entry).toEqual(first);
      expect(unwrap(await journal.fail(lease, first, { attempts: 1, retryAt: at(500) }))).toBe(true);
      unwrap(await journal.release(lease));

      const { operations, value } = await bench.traffic(() => claim({ now: at(170), limit: 10 }));
      expect(value!.entries.map(({ entry }) => entry)).toEqual([free]);
      // 60 entries that have to wait are jumped over, not read through.
      expect(operations.length).toBeLessThanOrEqual(9);

      const later = (await claim({ now: at(600), limit: 3 }))!;
      expect(later.entries.map(({ entry, attempts }) => [entry.sequence, attempts])).toEqual([
        [1, 1],
        [2, 0],
        [3, 0],
      ]);
    });

    test('a lane is had by one at a time, and each gets another', async () => {
      for (let i = 0; i < 200; i++) await append(1, { stream: `stream ${i}`, sequence: 1 });
      const lanes = new Set(Array.from({ length: 200 }, (_, i) => laneOf(`stream ${i}`)));
      const claims = await Promise.all(Array.from({ length: lanes.size + 10 }, () => claim()));
      const got = claims.filter((claimed) => claimed !== null).map(({ lane }) => lane);
      expect(new Set(got).size).toBe(got.length);
      expect(new Set(got)).toEqual(lanes);
    });

    test('what somebody else acknowledged before the lease was had is not delivered again', async () => {
      const lane = 3;
      const streams = streamsOfLane(lane, 2);
      const one = await append(1, { stream: streams[0]! });
      const two = await append(1, { stream: streams[1]! });
      let raced = false;
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName === 'UpdateItemCommand' && !raced) {
            raced = true;
            const quick = (await claim({ token: 'quick' }))!;
            const lease = { orgId, lane, token: 'quick' };
            expect(quick.entries).toHaveLength(2);
            expect(unwrap(await journal.acknowledge(lease, one))).toBe(true);
            unwrap(await journal.release(lease));
          }
          return next(args);
        },
        { step: 'initialize', name: 'between' },
      );
      expect((await claim())!.entries.map(({ entry }) => entry)).toEqual([two]);
    });

    test('a claim whose answer was lost is not taken for somebody else’s by its own retry', async () => {
      const entry = await append(1);
      let sent = 0;
      bench.client.middlewareStack.add(
        (next) => async (args) => {
          const result = await next(args);
          // The update has happened; its answer gets lost once, and the client sends it again.
          if (JSON.stringify(args.input).includes('UpdateExpression') && ++sent === 1) {
            throw Object.assign(new Error('lost'), { name: 'TimeoutError' });
          }
          return result;
        },
        { step: 'finalizeRequest', priority: 'low', name: 'between' },
      );
      expect((await claim({ token: 'mine' }))!.entries).toEqual([{ entry, attempts: 0 }]);
      expect(sent).toBe(2);
    });

    test('a lost lease acknowledges, fails, renews and releases nothing', async () => {
      const entry = await append(1);
      const lane = laneOf(entry.stream);
      const [old, current] = ['old', 'current'].map((token) => ({ orgId, lane, token }));
      await claim({ token: 'old' });
      expect(unwrap(await journal.renew(old!, at(165)))).toBe(true);
      expect(await claim({ now: at(164) })).toBeNull();
      await claim({ token: 'current', now: at(165), leaseUntil: at(200) });
      expect(unwrap(await journal.renew(old!, at(900)))).toBe(false);
      expect(unwrap(await journal.acknowledge(old!, entry))).toBe(false);
      expect(unwrap(await journal.fail(old!, entry, { attempts: 1, parkedAt: at(1), reason: 'no' }))).toBe(false);
      unwrap(await journal.release(old!));
      expect(await claim({ now: at(190) })).toBeNull();
      expect(unwrap(await journal.acknowledge(current!, entry))).toBe(true);
      expect(unwrap(await journal.acknowledge(current!, entry))).toBe(true);
    });

    test('parked entries are listed oldest first, and go back to where they were', async () => {
      const [stream] = streamsOfLane(9, 1);
      const entries = [];
      for (let sequence = 1; sequence <= 3; sequence++)
        entries.push(await append(sequence, { stream: stream!, sequence }));
      const lease = { orgId, lane: 9, token: 'mine' };
      await claim({ token: 'mine' });
      const park = (entry: JournalEntry) =>
        journal.fail(lease, entry, { attempts: 10, parkedAt: at(50), reason: 'it is broken' });
      expect(unwrap(await park(entries[1]!))).toBe(true);
      expect(unwrap(await park(entries[0]!))).toBe(true);
      const first = unwrap(await journal.listParked(orgId, { limit: 1, after: null }));
      expect(first).toEqual({
        items: [{ entry: entries[0], attempts: 10, parkedAt: at(50), reason: 'it is broken' }],
        more: true,
      });
      const rest = unwrap(
        await journal.listParked(orgId, { limit: 1, after: { at: at(1).toISOString(), id: entries[0]!.id } }),
      );
      expect(rest).toMatchObject({ items: [{ entry: entries[1] }], more: false });

      expect(unwrap(await journal.retryParked(orgId, entries[0]!.id, at(60)))).toBe(true);
      expect(unwrap(await journal.retryParked(orgId, entries[0]!.id, at(60)))).toBe(false);
      expect(unwrap(await journal.retryParked(orgId, entries[2]!.id, at(60)))).toBe(false);
      expect(unwrap(await journal.retryParked('another org', entries[1]!.id, at(60)))).toBe(false);
      expect(unwrap(await journal.listParked(orgId, { limit: 9, after: null })).items).toHaveLength(1);
      unwrap(await journal.release(lease));
      const claimed = (await claim())!;
      expect(claimed.entries.map(({ entry, attempts }) => [entry, attempts])).toEqual([
        [entries[0], 0],
        [entries[2], 0],
      ]);
    });

    test('pruning keeps what waits or is parked, deletes no more than asked, and leaves nothing behind when told to drop', async () => {
      const delivered: JournalEntry[] = [];
      for (let i = 0; i < 7; i++) delivered.push(await append(i, { stream: 'one stream', sequence: i + 1 }));
      const lease = { orgId, lane: laneOf('one stream'), token: 'mine' };
      await claim({ token: 'mine' });
      for (const entry of delivered) unwrap(await journal.acknowledge(lease, entry));
      const waiting = await append(2, { stream: 'one stream', sequence: 8 });
      const parked = await append(3, { stream: 'one stream', sequence: 9 });
      unwrap(await journal.fail(lease, parked, { attempts: 1, parkedAt: at(50), reason: 'no' }));
      const young = await append(50);
      const prune = async (undelivered: 'keep' | 'drop', limit: number) =>
        unwrap(await journal.prune({ orgId, before: at(50), now: at(1_000), undelivered, limit }));

      expect(await prune('keep', 5)).toBe(5);
      expect(await prune('keep', 5)).toBe(2);
      const left = unwrap(await journal.list(orgId, {}, { limit: 100, after: null })).items;
      expect(left).toEqual([young, parked, waiting]);
      expect(await prune('drop', 5)).toBe(2);
      expect(unwrap(await journal.list(orgId, {}, { limit: 100, after: null })).items).toEqual([young]);
      expect(unwrap(await journal.listParked(orgId, { limit: 10, after: null })).items).toEqual([]);
      const items = (await bench.items()).filter(({ pk }) => pk!.S!.startsWith(`${orgId}#Q`));
      expect(items).toHaveLength(1);
    });

    test('pruning does not take a key away that somebody has taken anew meanwhile', async () => {
      const write = async (expiresAt: Date, now: Date) => {
        const id = crypto.randomUUID();
        const entry: JournalEntry = {
          id,
          orgId,
          subject: { type: 't', id },
          stream: id,
          sequence: 1,
          action: 'a',
          actor: { type: 'user', id: 'ada' },
          at: now,
          data: {},
        };
        const key = { id: 'a key', fingerprint: id, result: {}, expiresAt };
        return unwrap(await journal.append({ orgId, at: now, entry, key }));
      };
      expect(await write(at(10), at(0))).toEqual({ done: true });
      expect(await write(at(20), at(9))).toMatchObject({ refused: 'key_taken', record: { expiresAt: at(10) } });
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName === 'DeleteItemCommand') expect(await write(at(90), at(10))).toEqual({ done: true });
          return next(args);
        },
        { step: 'initialize', name: 'between' },
      );
      unwrap(await journal.prune({ orgId, before: at(0), now: at(10), undelivered: 'keep', limit: 10 }));
      expect(await write(at(99), at(50))).toMatchObject({ refused: 'key_taken', record: { expiresAt: at(90) } });
    });

    test('what points to an entry that is gone is dropped, not delivered', async () => {
      const entry = await append(1);
      const { DeleteItemCommand } = await import('@aws-sdk/client-dynamodb');
      const key = { pk: { S: `${orgId}#J#project#p` }, sk: { S: `${entry.at.toISOString()}#${entry.id}` } };
      await bench.client.send(new DeleteItemCommand({ TableName: bench.table, Key: key }));
      expect(await claim()).toBeNull();
      expect((await bench.items()).filter(({ pk }) => pk!.S!.startsWith(`${orgId}#`))).toEqual([]);
    });
  });
});
