import type { BuildRepository } from '@vivarium/core/storage';

import { textOf, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { failuresOf } from './build-filters.ts';
import { flag, positionOf, readBuild, readFailure, resolution } from './build-items.ts';
import { all, equal, exists } from './expressions.ts';
import {
  buildKey,
  failureDirectory,
  failureKey,
  failureOfBuildKey,
  failuresOfBuilds,
  firstPlace,
  lastPlace,
  listedFailureKey,
} from './keys.ts';
import { newestFirst } from './newest-first.ts';
import type { Range, Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

type Failures = Pick<BuildRepository, 'listFailures' | 'getFailure' | 'resolveFailure'>;

export function dynamodbFailures(table: Table): Failures {
  return {
    listFailures: (orgId, { buildId, ...filter }, page) =>
      table.answer('read', async () => {
        const { after } = page;
        const list = {
          where: failuresOf(filter),
          uncertain: false,
          async read(places: readonly Item[]) {
            const keys = places.map((place) => failureKey(orgId, positionOf(place).id));
            const found = await table.get(...keys);
            return keys.map((key) => {
              const failure = readFailure(found.of(key)!);
              // Resolved meanwhile.
              return filter.resolved === undefined || failure.resolved === filter.resolved ? failure : null;
            });
          },
        };
        if (buildId === undefined) {
          return newestFirst(table, page, {
            ...list,
            span: { pk: failureDirectory(orgId), from: firstPlace, to: lastPlace },
            before: after && listedFailureKey(orgId, after).sk,
            settle: (places, range) => withoutUnderWay(orgId, places, range),
          });
        }
        // Read first: once the build is there, its failures are.
        const key = buildKey(orgId, buildId);
        const head = (await table.get(key)).of(key);
        if (head === null) return null;
        const build = readBuild(head);
        return newestFirst(table, page, {
          ...list,
          span: failuresOfBuilds(orgId, build, build),
          before: after && failureOfBuildKey(orgId, build, after).sk,
        });
      }),

    getFailure: (orgId, id, keyId) =>
      table.answer('read', async () => {
        const place = failureKey(orgId, id);
        const found = await table.get(place, ...keyOf(orgId, keyId));
        const key = keptUnder(found, orgId, keyId);
        const item = found.of(place);
        const there = item !== null && (await areThere(orgId, [item])).has(textOf(item, 'build'));
        return { found: there ? readFailure(item) : null, key };
      }),

    resolveFailure: ({ failure, change }) =>
      table.answer('write', async () => {
        const { orgId } = change;
        const head = failureKey(orgId, failure.id);
        // Its place among the failures of its build begins with the time when that was created, which never changes.
        const item = (await table.get(head)).of(head);
        const build = item && { createdAt: timeOf(item, 'buildCreatedAt'), id: failure.buildId };
        const resolved = { changes: { set: { resolved: flag(true) } }, when: exists, else: () => 'not_found' as const };
        return write<'not_found' | 'resolved'>(table, change, {
          owners: [head],
          steps: [
            {
              update: head,
              changes: { set: resolution(failure) },
              when: all(exists, equal('resolved', flag(false))),
              else: (there) => (there === null ? 'not_found' : 'resolved'),
            },
            ...(build === null
              ? []
              : [
                  { update: listedFailureKey(orgId, failure), ...resolved },
                  { update: failureOfBuildKey(orgId, build, failure), ...resolved },
                ]),
          ],
        });
      }),
  };

  /**
   * A page of the list without the failures of builds that are still being imported. Only builds that are there before the page is read are there with all
   * of their failures; so where a page has imported ones, it is read again.
   */
  async function withoutUnderWay(orgId: string, page: readonly Item[], range: Range): Promise<readonly Item[]> {
    if (!page.some(isImported)) return page;
    const there = await areThere(orgId, page);
    const [newest, oldest] = [textOf(page[0]!, 'sk'), textOf(page.at(-1)!, 'sk')];
    const again = await table.all({ ...range, between: [oldest, newest] });
    return again.filter((place) => !isImported(place) || there.has(textOf(place, 'build')));
  }

  /** The builds of these failures that are there: all those of which a failure was not imported are. */
  async function areThere(orgId: string, failures: readonly Item[]): Promise<ReadonlySet<string>> {
    const builds = new Set(failures.map((failure) => textOf(failure, 'build')));
    const imported = new Set(failures.filter(isImported).map((failure) => textOf(failure, 'build')));
    const found = await table.get(...[...imported].map((id) => buildKey(orgId, id)));
    for (const id of imported) if (found.of(buildKey(orgId, id)) === null) builds.delete(id);
    return builds;
  }
}

const isImported = (item: Item) => item['imported'] !== undefined;
