/** Lists that go from the newest to the oldest: items that only say where things are, page by page, until there are as many things as are wanted. */
import type { PageRequest, StoredPage } from '@vivarium/core/storage';

import { textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import type { Condition } from './expressions.ts';
import type { Span } from './keys.ts';
import type { Range, Table } from './table.ts';

/** Places that are looked at in the first request for those that meet a condition; each one after it looks at four times as many, up to 1 MB. */
const firstSearch = 200;
const longestSearch = 5_000;

/** Things that are read at a time, where not all of them will do: with the project that they are in, as many as one request can have. */
const searchPage = 99;

export interface NewestFirst<T> {
  readonly span: Span;
  /** Only places that meet this. */
  readonly where: Condition | undefined;
  /** Only places before this sort key. */
  readonly before: string | null;
  /** The things at these places; `null` for what is not one of the list after all. */
  read(places: readonly Item[]): Promise<readonly (T | null)[]>;
  /** Whether a thing has to be read to know that it is one of the list. */
  readonly uncertain: boolean;
  /** The places of a page that count; `null` when something had to be found out first, with which the list has to be read anew. */
  choose?(page: readonly Item[]): Promise<readonly Item[] | null>;
}

export async function newestFirst<T>(
  table: Table,
  page: PageRequest<unknown>,
  list: NewestFirst<T>,
): Promise<StoredPage<T>> {
  for (;;) {
    const answer = await readOnce(table, page, list);
    if (answer !== null) return answer;
  }
}

async function readOnce<T>(
  table: Table,
  { limit }: PageRequest<unknown>,
  { span, where, before, read, uncertain, choose }: NewestFirst<T>,
): Promise<StoredPage<T> | null> {
  const range: Range = {
    pk: span.pk,
    between: [span.from, before ?? span.to],
    backward: true,
    ...(where === undefined ? {} : { where }),
  };
  const searches = where !== undefined || uncertain;
  const pageSize = searches
    ? (pages: number) => Math.min(firstSearch * 4 ** pages, longestSearch)
    : // One more to know that there is one, and the place itself.
      limit + (before === null ? 1 : 2);

  const items: T[] = [];
  const wanted = uncertain ? limit + 1 : limit;
  let waiting: Item[] = [];
  for await (const page of table.pages({ ...range, pageSize })) {
    const places = choose === undefined ? page : await choose(page);
    if (places === null) return null;
    waiting.push(...places.filter((place) => textOf(place, 'sk') !== before));
    while (waiting.length > 0 && items.length < wanted) {
      const count = uncertain ? searchPage : wanted - items.length;
      const things = await read(waiting.slice(0, count));
      items.push(...things.filter((thing) => thing !== null));
      waiting = waiting.slice(count);
    }
    if (uncertain ? items.length > limit : items.length === limit && waiting.length > 0) {
      return { items: items.slice(0, limit), more: true };
    }
  }
  return { items, more: false };
}
