import { err, IdempotencyMismatch, InvalidInput, ok, StaleVersion } from '@vivarium/core';
import type { Clock, JournalEntry, Result, VivariumError } from '@vivarium/core';

const week = 7 * 24 * 60 * 60 * 1_000;

/** An entry that was not delivered yet. */
interface Waiting {
  readonly entry: JournalEntry;
  attempts: number;
  dueAt: number;
  parked: { readonly at: Date; readonly reason: string } | null;
}

interface Key {
  readonly input: string;
  readonly until: number;
  /** Answers the call again. */
  readonly replay: () => Answer;
}

export interface PlainActor {
  readonly type: string;
  readonly id: string;
}

export type Answer = Result<unknown, VivariumError>;
export type Options = { readonly idempotencyKey?: string; readonly expectedVersion?: number };
export type PageInput = { readonly limit?: number; readonly cursor?: string | undefined };

/** What every context of an org writes into: the journal with what waits to be delivered, and the idempotency keys. */
export type PlainLedger = ReturnType<typeof plainLedger>;

export function plainLedger(orgId: string, actor: PlainActor, clock: Clock, newId: () => string) {
  const now = () => clock.now();
  const pages = { journal: [] as JournalEntry[], queue: [] as Waiting[] };
  const keys = new Map<string, Key>();

  const note = (type: string, id: string, action: string, sequence: number | null, data: JournalEntry['data']) => {
    const entryId = newId();
    const entry = {
      id: entryId,
      orgId,
      subject: { type, id },
      stream: sequence === null ? entryId : id,
      sequence: sequence ?? 1,
      action: `${type}.${action}`,
      actor,
      at: now(),
      data,
    };
    pages.journal.push(entry);
    pages.queue.push({ entry, attempts: 0, dueAt: 0, parked: null });
  };

  /** What was answered before under this key, if anything was in the last 7 days. */
  const kept = (method: string, { idempotencyKey }: Options, input: unknown): Answer | null => {
    const key = keys.get(`${method} ${idempotencyKey}`);
    if (idempotencyKey === undefined || key === undefined || now().getTime() >= key.until) return null;
    return key.input === written(input) ? key.replay() : err(new IdempotencyMismatch(method));
  };
  const keep = (method: string, { idempotencyKey }: Options, input: unknown, replay: () => Answer) => {
    if (idempotencyKey === undefined) return;
    keys.set(`${method} ${idempotencyKey}`, { input: written(input), until: now().getTime() + week, replay });
  };
  const stale = (type: string, thing: { id: string; version: number }, { expectedVersion }: Options) =>
    expectedVersion !== undefined && expectedVersion !== thing.version
      ? new StaleVersion(type, thing.id, { expected: expectedVersion, actual: thing.version })
      : null;

  return { orgId, actor, now, newId, pages, note, kept, keep, stale };
}

export function clean(name: string): string {
  return name.trim().normalize('NFC');
}

export function folded(name: string): string {
  return clean(name).toUpperCase().toLowerCase().normalize('NFC');
}

/** An input as text; what was not given is not the same as null. */
export function written(input: unknown): string {
  return JSON.stringify(input, (_key, value: unknown) => (value === undefined ? 'not given' : value));
}

export function byName<T extends { readonly name: string }>(things: readonly T[]): T[] {
  return things.toSorted((a, b) => Buffer.compare(Buffer.from(folded(a.name)), Buffer.from(folded(b.name))));
}

export function newestFirst(a: JournalEntry, b: JournalEntry): number {
  return b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1);
}

export function pageOf<T>(items: readonly T[], { limit = 50, cursor = '0' }: PageInput, seen: (item: T) => unknown) {
  const start = Number(cursor);
  const nextCursor = start + limit < items.length ? String(start + limit) : null;
  return ok({ items: items.slice(start, start + limit).map(seen), nextCursor });
}

export function invalid(path: string, message: string): InvalidInput {
  return new InvalidInput([{ path, message }]);
}
