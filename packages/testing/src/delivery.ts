import { ResultAsync, StorageFailure, unwrap } from '@vivarium/core';
import type { Client, Environment, JournalEntry } from '@vivarium/core';
import { err, laneOf } from '@vivarium/core/storage';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { refused, together } from './answers.ts';
import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { allPages, everything } from './paging.ts';
import { seededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

const minute = 60_000;
const nobody = '00000000-0000-7000-8000-00000000dead';

/** The outbox: every entry at least once, those of a subject in their order, whoever dies on the way. */
export function testDelivery(suite: Suite): void {
  describe('delivery', () => {
    test('every entry is handed over once, in the order of its subject, and then no more', async () => {
      const { org, ada } = suite.inNewOrg();
      await changes(ada, 3, 4);
      const written = await everything((page) => ada.journal.list(page));
      const seen: JournalEntry[] = [];
      const handler = (entry: JournalEntry) => void seen.push(entry);
      expect(await unwrap(ada.journal.deliver({ handler }))).toEqual({
        delivered: written.length,
        failed: 0,
        parked: 0,
      });
      expect(seen.toSorted(byId)).toEqual(written.toSorted(byId));
      inOrder(seen);
      expect(await suite.harness.raw.count('queue', org)).toBe(0);
      expect(await suite.harness.raw.count('journal', org)).toBe(written.length);
      expect(await unwrap(ada.journal.deliver({ handler }))).toEqual({ delivered: 0, failed: 0, parked: 0 });
    });

    test.each([1, 2, 1_000])('batches of %i take the same in the same order', async (batch) => {
      const { ada } = suite.inNewOrg();
      await changes(ada, 2, 5);
      const seen: JournalEntry[] = [];
      await unwrap(ada.journal.deliver({ handler: (entry) => void seen.push(entry), batch }));
      expect(seen).toHaveLength((await everything((page) => ada.journal.list(page))).length);
      inOrder(seen);
    });

    test('four deliverers at once, whose handlers fail now and then, lose nothing and keep every order', async () => {
      const { clock, clients } = await deliverers(4);
      const environments = await changes(clients[0]!, 8, 6);
      const random = seededRandom(suite.size.seed);
      const handled: JournalEntry[] = [];
      const working = new Set<string>();
      const handler = async (entry: JournalEntry) => {
        expect(working.has(entry.stream), 'two at work on one subject').toBe(false);
        working.add(entry.stream);
        await new Promise((resume) => setImmediate(resume));
        working.delete(entry.stream);
        if (random.next() < 0.2) throw new Error('now and then');
        handled.push(entry);
      };
      const reports: { delivered: number; failed: number }[] = [];
      for (let round = 0; round < 60; round++) {
        const batch = 1 + (round % 3);
        const answers = await together(4, (index) =>
          unwrap(clients[index]!.journal.deliver({ handler, batch, maxAttempts: 100 })),
        );
        reports.push(...answers);
        if (round === 0) await changes(clients[0]!, 1, 3);
        if (answers.every(({ delivered, failed }) => delivered + failed === 0)) break;
        clock.advance(10 * minute);
      }
      const written = await everything((page) => clients[0]!.journal.list(page));
      expect(handled.map(({ id }) => id).sort()).toEqual(written.map(({ id }) => id).sort());
      inOrder(handled);
      expect(reports.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(written.length);
      expect(reports.some(({ failed }) => failed > 0)).toBe(true);
      expect(environments.length).toBe(8);
    });

    test('an entry that fails waits 1 s, 2 s, 4 s and so on, with all that follows it, and nothing else waits', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      const [environment] = await changes(ada, 1, 2);
      const seen: string[] = [];
      const handler = (entry: JournalEntry) => {
        seen.push(`${entry.subject.type} ${entry.sequence}`);
        if (entry.subject.id === environment!.id) throw new Error('no');
      };
      const deliver = async () => {
        seen.length = 0;
        await unwrap(ada.journal.deliver({ handler, maxAttempts: 1_000 }));
        return seen.toSorted();
      };
      expect(await deliver()).toEqual(['environment 1', 'project 1']);
      for (const pause of [1_000, 2_000, 4_000, 8_000]) {
        expect(await deliver()).toEqual([]);
        clock.advance(pause - 1);
        expect(await deliver()).toEqual([]);
        clock.advance(1);
        expect(await deliver()).toEqual(['environment 1']);
      }
      for (let attempt = 5; attempt < 12; attempt++) {
        clock.advance(10 * minute);
        expect(await deliver()).toEqual(['environment 1']);
      }
      clock.advance(10 * minute - 1);
      expect(await deliver()).toEqual([]);
    });

    test.each([1, 100])(
      'an entry that waits is not handed over behind one that was put back, in batches of %i',
      async (batch) => {
        const clock = fakeClock();
        const { ada } = suite.inNewOrg({ clock });
        const [environment] = await changes(ada, 1, 2);
        const seen: number[] = [];
        const handler = (entry: JournalEntry) => {
          if (entry.subject.id !== environment!.id) return;
          seen.push(entry.sequence);
          throw new Error('no');
        };
        await unwrap(ada.journal.deliver({ handler, maxAttempts: 1, batch: 1 }));
        expect(seen).toEqual([1, 2, 3]);
        for (const { entry } of (await unwrap(ada.journal.listParked())).items) {
          if (entry.sequence === 3) await unwrap(ada.journal.retryParked(entry.id));
        }
        await unwrap(ada.journal.deliver({ handler, maxAttempts: 5 }));
        for (const { entry } of (await unwrap(ada.journal.listParked())).items)
          await unwrap(ada.journal.retryParked(entry.id));
        seen.length = 0;
        const gentle = (entry: JournalEntry) => void seen.push(entry.sequence);
        await unwrap(ada.journal.deliver({ handler: gentle, batch }));
        expect(seen).toEqual([1, 2]);
        clock.advance(1_000);
        await unwrap(ada.journal.deliver({ handler: gentle, batch }));
        expect(seen).toEqual([1, 2, 3]);
      },
    );

    test('after its last attempt an entry is parked, and what follows goes on', async () => {
      const clock = fakeClock();
      const { org, ada } = suite.inNewOrg({ clock });
      const [environment] = await changes(ada, 1, 3);
      const seen: number[] = [];
      const handler = (entry: JournalEntry) => {
        if (entry.subject.id !== environment!.id) return;
        seen.push(entry.sequence);
        if (entry.sequence === 2) throw new Error('never this one');
      };
      const first = await unwrap(ada.journal.deliver({ handler, maxAttempts: 2 }));
      expect(first).toEqual({ delivered: 2, failed: 1, parked: 0 });
      clock.advance(1_000);
      expect(await unwrap(ada.journal.deliver({ handler, maxAttempts: 2 }))).toEqual({
        delivered: 2,
        failed: 0,
        parked: 1,
      });
      expect(seen).toEqual([1, 2, 2, 3, 4]);

      const { items } = await unwrap(ada.journal.listParked());
      const [entry] = (
        await unwrap(ada.journal.list({ subject: { type: 'environment', id: environment!.id } }))
      ).items.filter(({ sequence }) => sequence === 2);
      expect(items).toEqual([{ entry, attempts: 2, parkedAt: clock.now(), reason: 'never this one' }]);
      expect(await suite.harness.raw.count('queue', org)).toBe(1);
      clock.advance(60 * minute);
      expect(await unwrap(ada.journal.deliver({ handler }))).toEqual({ delivered: 0, failed: 0, parked: 0 });
    });

    test('a parked entry that is put back is delivered as if it had never failed', async () => {
      const clock = fakeClock();
      const { org, ada } = suite.inNewOrg({ clock });
      await unwrap(ada.projects.create({ name: 'P' }));
      const fail = () => {
        throw new Error('no');
      };
      await unwrap(ada.journal.deliver({ handler: fail, maxAttempts: 1 }));
      const [parked] = (await unwrap(ada.journal.listParked())).items;
      await refused(ada.journal.retryParked(nobody), 'not_found');
      await unwrap(ada.journal.retryParked(parked!.entry.id));
      await refused(ada.journal.retryParked(parked!.entry.id), 'not_found');
      expect((await unwrap(ada.journal.listParked())).items).toEqual([]);

      expect(await unwrap(ada.journal.deliver({ handler: fail, maxAttempts: 2 }))).toMatchObject({
        failed: 1,
        parked: 0,
      });
      clock.advance(1_000);
      expect(await unwrap(ada.journal.deliver({ handler: fail, maxAttempts: 2 }))).toMatchObject({
        failed: 0,
        parked: 1,
      });
      expect((await unwrap(ada.journal.listParked())).items).toMatchObject([{ attempts: 2 }]);
      await unwrap(ada.journal.retryParked(parked!.entry.id));
      const seen: string[] = [];
      await unwrap(ada.journal.deliver({ handler: ({ id }) => void seen.push(id) }));
      expect(seen).toEqual([parked!.entry.id]);
      expect(await suite.harness.raw.count('queue', org)).toBe(0);
    });

    test('whatever a handler throws, the reason is a text of at most 500 characters', async () => {
      const { ada } = suite.inNewOrg();
      const thrown: readonly unknown[] = [
        new Error('x'.repeat(499) + '🧪'),
        new Error('a\0b\ud800'),
        'a text',
        undefined,
        null,
        7n,
        Symbol('symbol'),
        Object.create(null),
        { toString: () => ({}) },
      ];
      for (let index = 0; index < thrown.length; index++) await unwrap(ada.projects.create({ name: `P ${index}` }));
      let next = 0;
      const handler = () => {
        throw thrown[next++];
      };
      expect(await unwrap(ada.journal.deliver({ handler, maxAttempts: 1 }))).toMatchObject({ parked: thrown.length });
      const parked = await everything((page) => ada.journal.listParked(page));
      expect(parked).toHaveLength(thrown.length);
      for (const { reason } of parked) {
        expect(reason.length).toBeLessThanOrEqual(500);
        expect(reason.isWellFormed() && !reason.includes('\0')).toBe(true);
      }
      expect(parked.map(({ reason }) => reason)).toContain('a text');
    });

    test('parked entries are listed oldest first, page by page', async () => {
      const clock = fakeClock();
      const { ada } = suite.inNewOrg({ clock });
      for (let index = 0; index < 7; index++) {
        if (index % 3 === 2) clock.advance(1);
        await unwrap(ada.projects.create({ name: `P ${index}` }));
      }
      const handler = () => Promise.reject(new Error('no'));
      await unwrap(ada.journal.deliver({ handler, maxAttempts: 1 }));
      const newest = await everything((page) => ada.journal.list(page));
      for (const limit of [1, 2, 3, 7, 100]) {
        const pages = await allPages((page) => ada.journal.listParked(page), limit);
        expect(pages.flatMap(({ items }) => items.map(({ entry }) => entry))).toEqual(newest.toReversed());
      }
    });

    test('what a deliverer held that hangs is taken over when its lease ends, and not before', async () => {
      const { clock, clients } = await deliverers(2);
      const [environment, other] = await changes(clients[0]!, 6, 2);
      let free = () => {};
      const hanging = new Promise<void>((resolve) => (free = resolve));
      const first: string[] = [];
      const stuck = clients[0]!.journal.deliver({
        leaseMs: minute,
        handler: async (entry) => {
          first.push(entry.id);
          if (entry.stream === environment!.id) await hanging;
        },
      });
      const all = await everything((page) => clients[0]!.journal.list(page));
      const [head] = all.filter(({ stream, sequence }) => stream === environment!.id && sequence === 1);
      await until(() => first.includes(head!.id));

      const second: JournalEntry[] = [];
      const takeOver = async () => {
        await unwrap(clients[1]!.journal.deliver({ leaseMs: minute, handler: (entry) => void second.push(entry) }));
        return second.filter(({ stream }) => stream === environment!.id).length;
      };
      clock.advance(minute - 1);
      expect(await takeOver()).toBe(0);
      expect(
        second.some(({ stream }) => stream === other!.id) || first.length > 1 || sameLane(environment!, other!),
      ).toBe(true);
      clock.advance(1);
      expect(await takeOver()).toBe(3);

      free();
      const report = await unwrap(stuck);
      expect(first.filter((id) => id === head!.id)).toHaveLength(1);
      expect(report.failed + report.parked).toBe(0);
      const handled = [...first, ...second.map(({ id }) => id)];
      expect(new Set(handled)).toEqual(new Set(all.map(({ id }) => id)));
      expect(handled).toHaveLength(all.length + 1);
      expect(report.delivered + second.length).toBe(all.length);
      inOrder(second.filter(({ stream }) => stream === environment!.id));
      expect(
        await unwrap(clients[0]!.journal.deliver({ handler: () => expect.fail('is done already') })),
      ).toMatchObject({
        delivered: 0,
      });
    });

    test('a lease is prolonged while the handler works', async () => {
      const clock = fakeClock();
      const org = suite.newOrg();
      const caller = { org, type: 'user', id: 'ada' };
      let leaseUntil = 0;
      const { journal } = suite.harness.storage;
      const renew: typeof journal.renew = (lease, end) =>
        journal.renew(lease, end).map((held) => {
          if (held) leaseUntil = end.getTime();
          return held;
        });
      const storage = { ...suite.harness.storage, journal: { ...journal, renew } };
      const ada = suite.vivarium({ clock, storage }).as(caller);
      await unwrap(ada.projects.create({ name: 'P' }));
      const seen: string[] = [];
      let free = () => {};
      const working = new Promise<void>((resolve) => (free = resolve));
      const slow = ada.journal.deliver({
        leaseMs: 1_000,
        handler: async () => {
          seen.push('slow');
          await working;
        },
      });
      const rival = suite.vivarium({ clock, storage: await suite.other() }).as({ ...caller, id: 'rival' });
      await until(() => seen.length > 0);
      // Time passes when the lease has been prolonged, and not before: on a machine that is busy, that may be late.
      for (let round = 0; round < 3; round++) {
        clock.advance(999);
        await unwrap(rival.journal.deliver({ handler: () => void seen.push('rival') }));
        await until(() => leaseUntil === clock.now().getTime() + 1_000);
      }
      free();
      expect(await unwrap(slow)).toMatchObject({ delivered: 1 });
      expect(seen).toEqual(['slow']);
    });

    test('what a deliverer that dies has handled but not acknowledged comes again, and nothing is lost', async () => {
      const clock = fakeClock();
      const org = suite.newOrg();
      const caller = { org, type: 'user', id: 'ada' };
      const ada = suite.vivarium({ clock }).as(caller);
      await changes(ada, 4, 3);
      const dead = suite.vivarium({ clock, storage: dyingAfter(suite.harness.storage, 5) }).as(caller);
      const first: string[] = [];
      await refused(
        dead.journal.deliver({ leaseMs: minute, handler: ({ id }) => void first.push(id) }),
        'storage_failure',
      );
      expect(first).toHaveLength(6);

      clock.advance(minute);
      const second: JournalEntry[] = [];
      await unwrap(ada.journal.deliver({ handler: (entry) => void second.push(entry) }));
      const all = (await everything((page) => ada.journal.list(page))).map(({ id }) => id);
      const delivered = new Set(first.slice(0, 5));
      expect(second.map(({ id }) => id).sort()).toEqual(all.filter((id) => !delivered.has(id)).sort());
      inOrder(second);
    });

    test('a signal ends the work after the entry at hand, and the rest comes next time', async () => {
      const { ada } = suite.inNewOrg();
      await changes(ada, 3, 3);
      const total = (await everything((page) => ada.journal.list(page))).length;
      const controller = new AbortController();
      const seen: string[] = [];
      const handler = ({ id }: JournalEntry) => {
        seen.push(id);
        if (seen.length === 4) controller.abort();
      };
      expect(await unwrap(ada.journal.deliver({ handler, signal: controller.signal }))).toMatchObject({ delivered: 4 });
      expect(seen).toHaveLength(4);
      await unwrap(ada.journal.deliver({ handler }));
      expect(new Set(seen).size).toBe(total);
      expect(seen).toHaveLength(total);
    });

    test('what a handler writes is delivered, too', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      const seen: string[] = [];
      const handler = async ({ action }: JournalEntry) => {
        seen.push(action);
        if (action === 'project.created') await unwrap(ada.environments.create({ projectId: project.id, name: 'QA' }));
      };
      await unwrap(ada.journal.deliver({ handler }));
      await unwrap(ada.journal.deliver({ handler }));
      expect(seen).toEqual(['project.created', 'environment.created']);
    });

    test('deliveries and changes at once lose nothing', async () => {
      const { clients } = await deliverers(4);
      const seen: JournalEntry[] = [];
      let writing = true;
      const write = together(4, (index) => changes(clients[index]!, 2, 6)).finally(() => (writing = false));
      const deliver = together(2, async (index) => {
        while (writing) await unwrap(clients[index]!.journal.deliver({ handler: (entry) => void seen.push(entry) }));
      });
      await Promise.all([write, deliver]);
      await unwrap(clients[0]!.journal.deliver({ handler: (entry) => void seen.push(entry) }));
      const all = await everything((page) => clients[0]!.journal.list(page));
      expect(seen.map(({ id }) => id).sort()).toEqual(all.map(({ id }) => id).sort());
      inOrder(seen);
    });

    describe('leases', () => {
      const at = new Date('2025-01-01T00:00:00.000Z');
      const later = (ms: number) => new Date(at.getTime() + ms);

      async function twoLanes() {
        const { org, ada } = suite.inNewOrg({ clock: fakeClock(at) });
        const lanes = new Set<number>();
        for (let index = 0; lanes.size < 2; index++) {
          lanes.add(laneOf((await unwrap(ada.projects.create({ name: `P ${index}` }))).id));
        }
        const { journal } = suite.harness.storage;
        const request = { orgId: org, now: at, leaseUntil: later(1_000), limit: 100, except: [] };
        const claim = (token: string, other: Partial<Parameters<typeof journal.claim>[0]> = {}) =>
          unwrap(journal.claim({ ...request, token, ...other }));
        return { org, ada, lanes, journal, claim };
      }

      test('a lane is leased to one at a time, and free again when given back or when its time is over', async () => {
        const { org, lanes, journal, claim } = await twoLanes();
        const [a, b] = [await claim('a'), await claim('b')];
        expect(new Set([a?.lane, b?.lane])).toEqual(lanes);
        expect(await claim('c')).toBe(null);
        await unwrap(journal.release({ orgId: org, lane: a!.lane, token: 'a' }));
        expect((await claim('c'))?.lane).toBe(a!.lane);
        expect(await claim('d', { now: later(999), leaseUntil: later(5_000) })).toBe(null);
        expect((await claim('d', { now: later(1_000), leaseUntil: later(5_000), except: [a!.lane] }))?.lane).toBe(
          b!.lane,
        );
        expect(await claim('e', { now: later(1_000), except: [a!.lane] })).toBe(null);
      });

      test('a lease that was lost acknowledges, fails, prolongs and gives back nothing', async () => {
        const { org, journal, claim } = await twoLanes();
        const a = (await claim('a'))!;
        const only = { except: [...Array(64).keys()].filter((lane) => lane !== a.lane) };
        expect((await claim('b', { now: later(1_000), leaseUntil: later(2_000), ...only }))?.entries).toEqual(
          a.entries,
        );
        const lost = { orgId: org, lane: a.lane, token: 'a' };
        const { entry } = a.entries[0]!;
        expect(await unwrap(journal.acknowledge(lost, entry))).toBe(false);
        expect(await unwrap(journal.renew(lost, later(9_000)))).toBe(false);
        expect(await unwrap(journal.fail(lost, entry, { attempts: 1, retryAt: later(9_000) }))).toBe(false);
        expect(await unwrap(journal.fail(lost, entry, { attempts: 1, parkedAt: at, reason: 'x' }))).toBe(false);
        await unwrap(journal.release(lost));
        expect(await claim('c', { now: later(1_500), ...only })).toBe(null);

        const held = { ...lost, token: 'b' };
        expect(await unwrap(journal.renew(held, later(3_000)))).toBe(true);
        expect(await claim('c', { now: later(2_500), ...only })).toBe(null);
        for (const one of a.entries) expect(await unwrap(journal.acknowledge(held, one.entry))).toBe(true);
        await unwrap(journal.release(held));
        expect(await claim('c', { now: later(9_000), ...only })).toBe(null);
      });

      test('of 20 that claim at once each lane has one holder', async () => {
        const { org, ada } = suite.inNewOrg({ clock: fakeClock(at) });
        for (let index = 0; index < 10; index++) await unwrap(ada.projects.create({ name: `P ${index}` }));
        const storages = [suite.harness.storage, await suite.other()];
        const claimed = await together(20, (index) =>
          unwrap(
            storages[index % 2]!.journal.claim({
              orgId: org,
              now: at,
              leaseUntil: later(minute),
              token: `${index}`,
              limit: 100,
              except: [],
            }),
          ),
        );
        const lanes = claimed.flatMap((claim) => (claim === null ? [] : [claim.lane]));
        expect(new Set(lanes).size).toBe(lanes.length);
        const streams = (await everything((page) => ada.journal.list(page))).map(({ stream }) => laneOf(stream));
        // A claim that lost the race for a lane may answer null; nobody gets a lane that has nothing.
        for (const lane of lanes) expect(streams).toContain(lane);
        expect(lanes.length).toBeGreaterThan(0);
      });
    });

    describe('prune', () => {
      test('deletes what is older and was delivered, and keeps what waits or is parked', async () => {
        const clock = fakeClock();
        const { org, ada } = suite.inNewOrg({ clock });
        const project = await unwrap(ada.projects.create({ name: 'Delivered' }));
        await unwrap(ada.journal.deliver({ handler: () => undefined }));
        clock.advance(10);
        await unwrap(ada.projects.create({ name: 'Parked' }));
        await unwrap(ada.journal.deliver({ handler: () => Promise.reject(new Error('no')), maxAttempts: 1 }));
        clock.advance(10);
        await unwrap(ada.projects.create({ name: 'Waiting' }));
        await unwrap(ada.projects.update(project.id, { name: 'Waiting, too' }));
        clock.advance(10);

        const names = async () =>
          (await everything((page) => ada.journal.list(page))).map(({ data }) => String(data['name']));
        const first = fakeClock().now();
        expect(await unwrap(ada.journal.prune({ before: first }))).toEqual({ deleted: 0 });
        expect(await unwrap(ada.journal.prune({ before: new Date(first.getTime() + 1) }))).toEqual({ deleted: 1 });
        expect(await unwrap(ada.journal.prune({ before: clock.now() }))).toEqual({ deleted: 0 });
        expect((await names()).toSorted()).toEqual(['Parked', 'Waiting', 'Waiting, too']);
        expect((await unwrap(ada.journal.listParked())).items).toHaveLength(1);

        expect(await unwrap(ada.journal.prune({ before: clock.now(), undelivered: 'drop' }))).toEqual({ deleted: 3 });
        for (const kind of ['journal', 'queue'] as const) expect(await suite.harness.raw.count(kind, org)).toBe(0);
        expect((await unwrap(ada.journal.listParked())).items).toEqual([]);
        expect(await unwrap(ada.journal.deliver({ handler: () => expect.fail('is gone') }))).toMatchObject({
          delivered: 0,
        });
        expect(await unwrap(ada.projects.get(project.id))).toMatchObject({ name: 'Waiting, too' });
      });

      test('goes batch by batch until nothing is left', async () => {
        const clock = fakeClock();
        const { org, ada } = suite.inNewOrg({ clock });
        for (let index = 0; index < 8; index++) {
          clock.advance(index % 2);
          await unwrap(ada.projects.create({ name: `P ${index}` }));
        }
        clock.advance(1);
        const request = { orgId: org, before: clock.now(), now: clock.now(), undelivered: 'drop' as const, limit: 3 };
        const { journal } = suite.harness.storage;
        const gone = [];
        for (let round = 0; round < 4; round++) gone.push(await unwrap(journal.prune(request)));
        expect(gone).toEqual([3, 3, 2, 0]);
        expect(await suite.harness.raw.count('journal', org)).toBe(0);
      });

      test('deletes expired keys, and no others', async () => {
        const clock = fakeClock();
        const { org, ada } = suite.inNewOrg({ clock });
        await unwrap(ada.projects.create({ name: 'A', idempotencyKey: 'a' }));
        clock.advance(minute);
        const kept = await unwrap(ada.projects.create({ name: 'B', idempotencyKey: 'b' }));
        clock.advance(7 * 24 * 60 * minute - minute);
        await unwrap(ada.journal.prune({ before: new Date('2001-01-01T00:00:00.000Z') }));
        expect(await suite.harness.raw.count('keys', org)).toBe(1);
        expect(await unwrap(ada.projects.create({ name: 'B', idempotencyKey: 'b' }))).toEqual(kept);
        expect(await suite.harness.raw.count('journal', org)).toBe(2);
      });
    });
  });

  async function deliverers(count: number): Promise<{ clock: FakeClock; clients: readonly Client<unknown>[] }> {
    const clock = fakeClock();
    const org = suite.newOrg();
    const storages = [suite.harness.storage, await suite.other()];
    const clients = Array.from({ length: count }, (_, index) =>
      suite.vivarium({ clock, storage: storages[index % 2]! }).as({ org, type: 'service', id: `deliverer ${index}` }),
    );
    return { clock, clients };
  }
}

let projects = 0;

/** A project with so many environments, each changed so many times. */
async function changes(client: Client<unknown>, environments: number, times: number): Promise<Environment[]> {
  const project = await unwrap(client.projects.create({ name: `Changes ${++projects}` }));
  const made: Environment[] = [];
  for (let index = 0; index < environments; index++) {
    made.push(await unwrap(client.environments.create({ projectId: project.id, name: `E ${index}` })));
  }
  for (let round = 0; round < times; round++) {
    for (const { ref } of made) {
      await unwrap(client.environments.patchVariables(ref, { set: [{ key: 'ROUND', value: `${round}` }] }));
    }
  }
  return made;
}

/** Every stream in the order of its sequence, without gaps. */
function inOrder(entries: readonly JournalEntry[]): void {
  const last = new Map<string, number>();
  for (const { stream, sequence } of entries) {
    expect(sequence).toBe((last.get(stream) ?? sequence - 1) + 1);
    last.set(stream, sequence);
  }
}

function byId(a: JournalEntry, b: JournalEntry): number {
  return a.id < b.id ? -1 : 1;
}

function sameLane(a: Environment, b: Environment): boolean {
  return laneOf(a.id) === laneOf(b.id);
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 6_000; tries++) {
    if (condition()) return;
    await new Promise((resume) => setTimeout(resume, 10));
  }
  throw new Error('waited for a minute in vain');
}

/** The same storage for a process that dies after so many acknowledgements. */
function dyingAfter(storage: Storage<unknown>, acknowledgements: number): Storage<unknown> {
  const { journal } = storage;
  let left = acknowledgements;
  const dead = async () => err(new StorageFailure('the process is dead', { retryable: false, outcome: 'unknown' }));
  const alive = <T>(call: () => ResultAsync<T, StorageFailure>) =>
    left < 0 ? new ResultAsync<T, StorageFailure>(dead()) : call();
  return {
    ...storage,
    journal: {
      ...journal,
      acknowledge: (...args) => alive(() => (--left < 0 ? new ResultAsync(dead()) : journal.acknowledge(...args))),
      release: (...args) => alive(() => journal.release(...args)),
      renew: (...args) => alive(() => journal.renew(...args)),
      claim: (...args) => alive(() => journal.claim(...args)),
    },
  };
}
