import { StorageFailure } from '@vivarium/core/storage';
import type { DeploymentRepository } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { eraseRepo } from './deployment-erasure.ts';
import { eraseLeftovers } from './erasure.ts';
import { all, equal, exists, missing } from './expressions.ts';
import { repoDirectory, repoErasureKey, repoKey, repoNameKey } from './keys.ts';
import { withoutRuntimes } from './live-runtimes.ts';
import { isThere } from './project-items.ts';
import { changingAttributes, readRepo, repoIsThere, repoItem, repoNameItem } from './repo-items.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

type Repos = Pick<
  DeploymentRepository,
  'getRepoByName' | 'createRepo' | 'writeRepo' | 'getRepo' | 'listRepos' | 'deleteRepo'
>;

export function dynamodbRepos(table: Table, secrets: Table): Repos {
  return {
    getRepoByName: (orgId, provider, nameKey, keyId) =>
      table.answer('read', async () => {
        const holder = repoNameKey(orgId, provider, nameKey);
        const found = await table.get(holder, ...keyOf(orgId, keyId));
        const item = found.of(holder);
        return { found: item === null ? null : readRepo(item), key: keptUnder(found, orgId, keyId) };
      }),

    createRepo: ({ repo, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        return write<'stale'>(table, change, {
          owners: [repoNameKey(orgId, repo.provider, repo.nameKey)],
          steps: [
            { put: repoNameItem(orgId, repo), when: missing, else: () => 'stale' },
            { put: repoItem(orgId, repo), when: missing, else: (there) => idTaken(repo, there!) },
          ],
        });
      }),

    writeRepo: ({ repo, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const key = repoKey(orgId, repo.id);
        const set = changingAttributes(repo);
        const atVersion = equal('version', integer(expectedVersion));
        return write<'not_found' | 'stale'>(table, change, {
          owners: [key],
          steps: [
            { update: key, changes: { set }, when: all(repoIsThere, atVersion), else: changed },
            {
              update: repoNameKey(orgId, repo.provider, repo.nameKey),
              changes: { set },
              when: all(exists, atVersion),
              else: () => 'stale',
            },
          ],
        });
      }),

    getRepo: (orgId, id, keyId) =>
      table.answer('read', async () => {
        const key = repoKey(orgId, id);
        const found = await table.get(key, ...keyOf(orgId, keyId));
        const item = found.of(key);
        return { found: isThere(item) ? readRepo(item) : null, key: keptUnder(found, orgId, keyId) };
      }),

    listRepos: (orgId, { limit, after }) =>
      table.answer('read', async () => {
        const behind = after === null ? {} : { after: repoNameKey(orgId, after.provider, after.nameKey).sk };
        const items = await table.first({ pk: repoDirectory(orgId), ...behind }, limit + 1);
        return { items: items.slice(0, limit).map(readRepo), more: items.length > limit };
      }),

    deleteRepo: ({ repo, change }) =>
      table.answer('write', async () => {
        const { orgId, at } = change;
        const { id, provider, nameKey, version } = repo;
        const key = repoKey(orgId, id);
        const left = repoErasureKey(orgId, id);
        const written = await write<'not_found' | 'stale' | 'has_live_previews'>(table, change, {
          owners: [key],
          steps: [
            {
              update: key,
              changes: { set: { erasing: time(at) } },
              when: all(repoIsThere, equal('version', integer(version)), withoutRuntimes),
              else: (there) =>
                isThere(there) && integerOf(there, 'version') === version ? 'has_live_previews' : changed(there),
            },
            { remove: repoNameKey(orgId, provider, nameKey), when: equal('id', text(id)), else: () => 'stale' },
            { put: { pk: text(left.pk), sk: text(left.sk), id: text(id), since: time(at) } },
          ],
        });
        // The repository is gone for everybody now, and what it held goes in batches, as that of a project does.
        if (written.done)
          await eraseRepo(table, secrets, orgId, id)
            .then(() => eraseLeftovers(table, secrets, orgId, at))
            .catch(() => undefined);
        return written;
      }),
  };
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return isThere(there) ? 'stale' : 'not_found';
}

/** The same repository is written twice, or two have the same id. */
function idTaken({ id, provider, nameKey }: { id: string; provider: string; nameKey: string }, there: Item): 'stale' {
  if (textOf(there, 'provider') === provider && textOf(there, 'nameKey') === nameKey) return 'stale';
  throw new StorageFailure(`there already is a repository ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
