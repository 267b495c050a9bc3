import { StorageFailure } from '@vivarium/core/storage';
import type { BuildRepository, StoredBuild } from '@vivarium/core/storage';

import { integer, integerOf, text, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import {
  attemptEnd,
  attemptItem,
  endedOf,
  failureItems,
  listedAttributes,
  movedAttributes,
  runningBuildItem,
  summaryOf,
} from './build-items.ts';
import { all, equal, exists, missing, without } from './expressions.ts';
import type { Condition } from './expressions.ts';
import { attemptKey, buildKey, listedBuildKey, manifestKey, runningBuildKey } from './keys.ts';
import type { Table } from './table.ts';
import { write } from './write.ts';
import type { Step } from './write.ts';

type BuildMoves = Pick<BuildRepository, 'move' | 'attachManifest' | 'beat'>;

export function dynamodbBuildMoves(table: Table): BuildMoves {
  return {
    move: ({ build, ended, begun, failure, expectedVersion, silentSince, change }) =>
      table.answer('write', async () => {
        const { orgId } = change;
        const head = buildKey(orgId, build.id);
        const summary = ended === null ? null : summaryOf(ended);
        // The list of builds tells of a build that has ended what its history came to: that of the version which this is decided on.
        const before = build.status === 'running' ? null : await endedBefore(orgId, build.id, expectedVersion);
        const failed = failure === null ? null : failureItems(orgId, build, failure);
        const stale = () => 'stale' as const;
        return write<'not_found' | 'stale'>(table, change, {
          owners: [head],
          steps: [
            {
              update: head,
              changes: {
                set: movedAttributes(build),
                element: ended && { of: 'ended', index: ended.sequence - 1, value: text(summary!) },
              },
              when: all(
                exists,
                equal('version', integer(expectedVersion)),
                ...(silentSince === undefined ? [] : [silent(silentSince)]),
              ),
              else: changed,
            },
            ...(ended === null
              ? []
              : [
                  {
                    update: attemptKey(orgId, build.id, ended.sequence),
                    changes: { set: attemptEnd(ended) },
                    when: exists,
                    else: stale,
                  },
                ]),
            ...(begun === null ? [] : [{ put: attemptItem(orgId, begun), when: missing, else: stale }]),
            ...(failed === null
              ? []
              : [
                  { put: failed.head, when: missing, else: () => idTaken(failure!.id) },
                  { put: failed.listed },
                  { put: failed.ofBuild },
                ]),
            ...(begun !== null && (begun.sequence === 1 || begun.retryCount > 0) ? running(orgId, build) : []),
            ...(before === null ? [] : over(orgId, build, summary === null ? before : [...before, summary])),
          ],
        });
      }),

    attachManifest: ({ build, manifest, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const [head, { pk, sk }] = [buildKey(orgId, build.id), manifestKey(orgId, build.id)];
        const version = integer(build.version);
        return write<'not_found' | 'stale'>(table, change, {
          owners: [head],
          steps: [
            {
              update: head,
              changes: { set: { version, updatedAt: time(build.updatedAt), manifestVersion: version } },
              when: all(exists, equal('version', integer(expectedVersion))),
              else: changed,
            },
            { put: { pk: text(pk), sk: text(sk), manifest: text(manifest), version } },
          ],
        });
      }),

    beat: (orgId, id, at) =>
      table.answer('write', () =>
        table.update(buildKey(orgId, id), { set: { heartbeatAt: time(at) } }, equal('status', text('running'))),
      ),
  };

  /** What had ended of a build's history at this version; `null` when the build is at another one, or gone, so that nothing will be written. */
  async function endedBefore(orgId: string, id: string, version: number): Promise<readonly string[] | null> {
    const key = buildKey(orgId, id);
    const head = (await table.get(key)).of(key);
    return head === null || integerOf(head, 'version') !== version ? null : endedOf(head);
  }
}

/** A build that was pending, or had failed, runs. */
function running(orgId: string, build: StoredBuild): readonly Step<'stale'>[] {
  return [
    { update: listedBuildKey(orgId, build), changes: { set: listedAttributes(build, null) }, ...isListed },
    { put: runningBuildItem(orgId, build) },
  ];
}

/** A build has ended, if only until it is resumed. */
function over(orgId: string, build: StoredBuild, ended: readonly string[]): readonly Step<'stale'>[] {
  return [
    { update: listedBuildKey(orgId, build), changes: { set: listedAttributes(build, ended) }, ...isListed },
    { remove: runningBuildKey(orgId, build.id) },
  ];
}

const isListed = { when: exists, else: () => 'stale' as const };

const silent = (since: Date | null): Condition =>
  since === null ? without('heartbeatAt') : equal('heartbeatAt', time(since));

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is a failure ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
