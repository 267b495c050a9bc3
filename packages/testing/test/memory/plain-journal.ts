import { err, NotFound, ok } from '@vivarium/core';
import type { JournalEntry } from '@vivarium/core';

import { newestFirst, pageOf } from './plain-ledger.ts';
import type { PageInput, PlainLedger } from './plain-ledger.ts';

/** The journal of an org, as it is read and delivered. */
export function plainJournal({ now, pages }: PlainLedger) {
  return {
    journal: {
      list: async ({
        subject,
        action,
        from,
        to,
        ...page
      }: { subject?: { type: string; id: string }; action?: string; from?: Date; to?: Date } & PageInput) =>
        pageOf(
          pages.journal
            .filter(
              (entry) =>
                subject === undefined || (entry.subject.type === subject.type && entry.subject.id === subject.id),
            )
            .filter((entry) => action === undefined || entry.action === action)
            .filter((entry) => (from === undefined || entry.at >= from) && (to === undefined || entry.at < to))
            .toSorted(newestFirst),
          page,
          (entry) => entry,
        ),
      deliver: async ({ handler, maxAttempts }: { handler: (entry: JournalEntry) => unknown; maxAttempts: number }) => {
        const report = { delivered: 0, failed: 0, parked: 0 };
        for (const stream of new Set(pages.queue.map(({ entry }) => entry.stream))) {
          const line = pages.queue
            .filter((waiting) => waiting.entry.stream === stream && waiting.parked === null)
            .toSorted((a, b) => a.entry.sequence - b.entry.sequence);
          for (const waiting of line) {
            if (waiting.dueAt > now().getTime()) break;
            try {
              handler(waiting.entry);
              pages.queue = pages.queue.filter((one) => one !== waiting);
              report.delivered++;
            } catch (thrown) {
              waiting.attempts++;
              if (waiting.attempts < maxAttempts) {
                waiting.dueAt = now().getTime() + Math.min(1_000 * 2 ** (waiting.attempts - 1), 600_000);
                report.failed++;
                break;
              }
              waiting.parked = { at: now(), reason: (thrown as Error).message };
              report.parked++;
            }
          }
        }
        return ok(report);
      },
      listParked: async (page: PageInput) =>
        pageOf(
          pages.queue.filter(({ parked }) => parked !== null).toSorted((a, b) => newestFirst(b.entry, a.entry)),
          page,
          ({ entry, attempts, parked }) => ({ entry, attempts, parkedAt: parked!.at, reason: parked!.reason }),
        ),
      retryParked: async (id: string) => {
        const waiting = pages.queue.find(({ entry, parked }) => entry.id === id && parked !== null);
        if (waiting === undefined) return err(new NotFound('parked entry', id));
        Object.assign(waiting, { attempts: 0, dueAt: now().getTime(), parked: null });
        return ok(undefined);
      },
      prune: async ({ before, undelivered }: { before: Date; undelivered: 'keep' | 'drop' }) => {
        const isGone = ({ id, at }: JournalEntry) =>
          at < before && (undelivered === 'drop' || !pages.queue.some(({ entry }) => entry.id === id));
        const deleted = pages.journal.filter(isGone);
        pages.journal = pages.journal.filter((entry) => !deleted.includes(entry));
        pages.queue = pages.queue.filter(({ entry }) => !deleted.includes(entry));
        return ok({ deleted: deleted.length });
      },
    },
  };
}
