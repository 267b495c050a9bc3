/** Lists by name, then id, that are kept by name and something else. */
import { compareBytes } from '@vivarium/core/storage';
import type { NamedPosition, PageRequest, StoredListedEnvironment, StoredPage } from '@vivarium/core/storage';

import type { Condition } from './expressions.ts';
import { behind, placesNamed } from './keys.ts';
import { readListed } from './project-environment-items.ts';
import type { Table } from './table.ts';

/** Records that are looked at in the first request for those that meet a condition; each one after it looks at four times as many. */
const firstSearch = 200;
const longestSearch = 5_000;

/** What stands behind a place in a list by name, then id, in this order; at most `limit`. */
export function pageOf<T>(
  items: readonly T[],
  positionOf: (item: T) => NamedPosition,
  { limit, after }: PageRequest<NamedPosition>,
): StoredPage<T> {
  const following = items
    .filter((item) => after === null || compare(positionOf(item), after) > 0)
    .sort((a, b) => compare(positionOf(a), positionOf(b)));
  return { items: following.slice(0, limit), more: following.length > limit };
}

/** Project environments whose records stand under this prefix, by name: one request for a page, unless several have the name at its end. */
export async function environmentsUnder(
  table: Table,
  { pk, prefix, where }: { readonly pk: string; readonly prefix: string; readonly where?: Condition | undefined },
  page: PageRequest<NamedPosition>,
): Promise<StoredPage<StoredListedEnvironment>> {
  const { limit, after } = page;
  const from = after === null ? prefix : placesNamed(prefix, after.name);
  // One more to know that there is one, and the place itself.
  const first = where === undefined ? limit + (after === null ? 1 : 2) : firstSearch;
  const found: StoredListedEnvironment[] = [];
  for await (const items of table.pages({
    pk,
    between: [from, behind(prefix)],
    pageSize: (pages) => Math.min(Math.max(first, pages === 0 ? 0 : firstSearch) * 4 ** pages, longestSearch),
    ...(where === undefined ? {} : { where }),
  })) {
    const following = items.map(readListed).filter((one) => after === null || compare(positionOf(one), after) > 0);
    found.push(...following);
    // Those of one name are in another order, and have to be there to the last.
    if (found.length > limit && found.at(-1)!.environment !== found[limit - 1]!.environment) break;
  }
  return pageOf(found, positionOf, page);
}

const positionOf = ({ environment, id }: StoredListedEnvironment): NamedPosition => ({ name: environment, id });

function compare(a: NamedPosition, b: NamedPosition): number {
  return compareBytes(a.name, b.name) || compareBytes(a.id, b.id);
}
