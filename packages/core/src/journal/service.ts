import * as z from 'zod';

import { NotFound } from '../kernel/errors.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import { anyText } from '../kernel/text.ts';
import { time, writtenTime } from '../kernel/time.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { deliver } from './delivery.ts';
import type { DeliveryReport, JournalHandler } from './delivery.ts';
import type { JournalEntry, JournalSubject, ParkedEntry } from './model.ts';
import type { JournalFilter, JournalPosition } from './repository.ts';

const word = anyText.min(1).max(200);
const named = z.strictObject({ type: word, id: word });

const listInput = z.strictObject({
  subject: named.optional(),
  action: word.optional(),
  actor: named.optional(),
  from: time.optional(),
  to: time.optional(),
  ...pageInput,
});
const deliverInput = z.strictObject({
  handler: z.custom<JournalHandler>((value) => typeof value === 'function', 'must be a function'),
  batch: z.int().min(1).max(1_000).default(100),
  leaseMs: z.int().min(1_000).max(3_600_000).default(60_000),
  maxAttempts: z.int().min(1).max(1_000).default(10),
  signal: z.instanceof(AbortSignal).optional(),
});
const pruneInput = z.strictObject({ before: time, undelivered: z.enum(['keep', 'drop']).default('keep') });

const theJournal = () => [{ type: 'journal' }];

const methods = {
  list: method('journal.list', [''], z.tuple([listInput]), theJournal),
  deliver: method('journal.deliver', [''], z.tuple([deliverInput]), theJournal),
  listParked: method('journal.listParked', [''], z.tuple([z.strictObject(pageInput)]), theJournal),
  retryParked: method('journal.retryParked', ['id'], z.tuple([id]), theJournal),
  prune: method('journal.prune', [''], z.tuple([pruneInput]), theJournal),
};

const position = z.strictObject({ at: writtenTime, id });
const newestFirst = cursorsOf<JournalPosition>('journal', position);
const oldestFirst = cursorsOf<JournalPosition>('journal.parked', position);
const positionOf = (entry: JournalEntry): JournalPosition => ({ at: entry.at.toISOString(), id: entry.id });

/** How many entries one request of `prune` deletes at the most. */
const pruneBatch = 1_000;

/**
 * The journal: what was changed, by whom, when. Every change writes its entry in the same atomic write. It is read as the org's audit log,
 * as one subject's history, and as an outbox.
 */
export class Journal {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** Entries, newest first, that match everything given. `from` is included, `to` is not. */
  list(
    input: {
      readonly subject?: JournalSubject | undefined;
      readonly action?: string | undefined;
      readonly actor?: { readonly type: string; readonly id: string } | undefined;
      readonly from?: Date | undefined;
      readonly to?: Date | undefined;
    } & PageInput = {},
  ): Outcome<'journal.list', Page<JournalEntry>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ limit, cursor, ...given }]) =>
      safeTry(async function* () {
        const page = yield* newestFirst.read({ limit, cursor });
        const filter = Object.fromEntries(
          Object.entries(given).filter(([, value]) => value !== undefined),
        ) as JournalFilter;
        const stored = yield* ports.storage.journal.list(caller.org, filter, page);
        return ok(newestFirst.page(stored, positionOf, (entry) => entry));
      }),
    );
  }

  /**
   * Hands every entry that waits to `handler`, at least once, the entries of one subject in their order, and answers when none is left that
   * is due. Several processes may do this at once: each works on lanes of its own. An entry whose handler throws is tried
   * again by a later call, after a pause that doubles from 1 second up to 10 minutes; what follows it in its subject waits. After
   * `maxAttempts` (10) failures it is parked, see `listParked`.
   *
   * `batch` (100) entries are taken from a lane at a time; `leaseMs` (60,000) is how long a lane stays with a process that has died, and is
   * prolonged while the handler works. `signal` ends the work after the entry at hand.
   *
   * @example
   * await unwrap(cron.journal.deliver({ handler: async (entry) => bus.publish(entry.action, entry) }))
   */
  deliver(input: {
    readonly handler: JournalHandler;
    readonly batch?: number | undefined;
    readonly leaseMs?: number | undefined;
    readonly maxAttempts?: number | undefined;
    readonly signal?: AbortSignal | undefined;
  }): Outcome<'journal.deliver', DeliveryReport> {
    return operation(this.#scope, methods.deliver, [input], ([options]) => deliver(this.#scope, options));
  }

  /** Entries that were put aside after too many failures, oldest first. */
  listParked(input: PageInput = {}): Outcome<'journal.listParked', Page<ParkedEntry>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.listParked, [input], ([paging]) =>
      safeTry(async function* () {
        const page = yield* oldestFirst.read(paging);
        const stored = yield* ports.storage.journal.listParked(caller.org, page);
        return ok(
          oldestFirst.page(
            stored,
            ({ entry }) => positionOf(entry),
            (parked) => parked,
          ),
        );
      }),
    );
  }

  /** Puts a parked entry back, to be delivered by the next `deliver` as if it had never failed. Errors: `not_found`. */
  retryParked(entryId: string): Outcome<'journal.retryParked', void> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.retryParked, [entryId], ([target]) =>
      ports.storage.journal
        .retryParked(caller.org, target, ports.clock.now())
        .andThen((found) => (found ? ok(undefined) : err(new NotFound('parked entry', target)))),
    );
  }

  /**
   * Deletes entries older than `before`, and idempotency keys that have expired. Entries that still wait for delivery, or are parked, stay,
   * unless `undelivered` is `'drop'`: say so where nobody calls `deliver`. Answers how many entries are gone.
   */
  prune(input: {
    readonly before: Date;
    readonly undelivered?: 'keep' | 'drop' | undefined;
  }): Outcome<'journal.prune', { readonly deleted: number }> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.prune, [input], ([{ before, undelivered }]) =>
      safeTry(async function* () {
        let deleted = 0;
        for (;;) {
          const gone = yield* ports.storage.journal.prune({
            orgId: caller.org,
            before,
            now: ports.clock.now(),
            undelivered,
            limit: pruneBatch,
          });
          deleted += gone;
          if (gone < pruneBatch) return ok({ deleted });
        }
      }),
    );
  }
}
