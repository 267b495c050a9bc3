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
import type { Table } from './table.ts';
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
            choose: withoutUnderWay(orgId),
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
        const there = item !== null && (await isThere(orgId, item));
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
   * Leaves out the failures of builds that are still being imported. Only a build that is there before the list is read is there with all of its failures;
   * so whenever one is met of which that is not known, it is found out, and the list is read anew.
   */
  function withoutUnderWay(orgId: string) {
    const there = new Map<string, boolean>();
    return async (page: readonly Item[]) => {
      const imported = new Set(page.filter(isImported).map((place) => textOf(place, 'build')));
      const unknown = [...imported].filter((build) => !there.has(build));
      if (unknown.length === 0) {
        return page.filter((place) => !isImported(place) || there.get(textOf(place, 'build')) === true);
      }
      const found = await table.get(...unknown.map((build) => buildKey(orgId, build)));
      for (const build of unknown) there.set(build, found.of(buildKey(orgId, build)) !== null);
      return null;
    };
  }

  /** Whether a failure's build is there. It need not be asked for unless the failure was imported. */
  async function isThere(orgId: string, failure: Item): Promise<boolean> {
    if (!isImported(failure)) return true;
    const build = buildKey(orgId, textOf(failure, 'build'));
    return (await table.get(build)).of(build) !== null;
  }
}

const isImported = (item: Item) => item['imported'] !== undefined;
