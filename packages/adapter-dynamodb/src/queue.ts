/**
 * Reads the queue of an org: one partition in the order of lane, stream and sequence, so that a single request finds whatever waits. What
 * must not be delivered now (a lane, a stream whose first entry waits) is jumped over rather than read.
 */
import { laneCount } from '@vivarium/core/storage';

import { textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { waitingOf } from './journal-items.ts';
import { behind, lanePrefix, laneOfQueued, queuePartition, streamPrefix } from './keys.ts';
import type { Table } from './table.ts';

/** Items a request while looking for the first that is due. */
const lookPage = 25;

/** The keys behind all lanes. */
const end = `${laneCount}#`;

/** A lane that has something to deliver, other than those in `passed`; `null` when there is none. */
export async function dueLane(
  table: Table,
  orgId: string,
  now: Date,
  passed: ReadonlySet<number>,
): Promise<number | null> {
  // Workers start at different lanes, and so rarely reach for the same one.
  const start = lanePrefix(Math.floor(Math.random() * laneCount));
  for (const [from, to] of [
    [start, end],
    [lanePrefix(0), start],
  ] as const) {
    const reader = new QueueReader(table, orgId, from, to, lookPage);
    for (let item = await reader.next(); item !== null; item = await reader.next()) {
      const sk = textOf(item, 'sk');
      const lane = laneOfQueued(sk);
      if (passed.has(lane)) reader.jumpOver(lanePrefix(lane));
      else if (isDue(item, now)) return lane;
      else reader.jumpOver(streamPrefix(sk));
    }
  }
  return null;
}

/** What is due in a lane: of each stream its entries in their order, up to the first that has to wait. */
export async function dueOf(table: Table, orgId: string, lane: number, now: Date, limit: number): Promise<Item[]> {
  const due: Item[] = [];
  const prefix = lanePrefix(lane);
  const reader = new QueueReader(table, orgId, prefix, behind(prefix), limit);
  for (let item = await reader.next(); item !== null && due.length < limit; item = await reader.next()) {
    if (isDue(item, now)) due.push(item);
    else reader.jumpOver(streamPrefix(textOf(item, 'sk')));
  }
  return due;
}

function isDue(item: Item, now: Date): boolean {
  return waitingOf(item).dueAt <= now.getTime();
}

/** Walks over the queue in order, page by page, and can jump ahead. */
class QueueReader {
  readonly #table: Table;
  readonly #pk: string;
  readonly #to: string;
  readonly #pageSize: number;
  #pages: AsyncGenerator<readonly Item[]>;
  #page: readonly Item[] = [];
  #at = 0;

  constructor(table: Table, orgId: string, from: string, to: string, pageSize: number) {
    this.#table = table;
    this.#pk = queuePartition(orgId);
    this.#to = to;
    this.#pageSize = pageSize;
    this.#pages = this.#from(from);
  }

  async next(): Promise<Item | null> {
    while (this.#at >= this.#page.length) {
      const page = await this.#pages.next();
      if (page.done === true) return null;
      this.#page = page.value;
      this.#at = 0;
    }
    return this.#page[this.#at++]!;
  }

  /** Leaves out what follows with this prefix: without a request where the page at hand reaches beyond it. */
  jumpOver(prefix: string): void {
    while (this.#at < this.#page.length && textOf(this.#page[this.#at]!, 'sk').startsWith(prefix)) this.#at++;
    if (this.#at < this.#page.length) return;
    this.#pages = this.#from(behind(prefix));
  }

  #from(from: string): AsyncGenerator<readonly Item[]> {
    return this.#table.pages({ pk: this.#pk, between: [from, this.#to], pageSize: this.#pageSize });
  }
}
