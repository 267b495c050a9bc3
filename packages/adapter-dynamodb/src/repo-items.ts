import type { StoredRepo } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { all, exists, without } from './expressions.ts';
import { repoKey, repoNameKey } from './keys.ts';
import type { Key } from './keys.ts';

/** A repository itself. `erasing` is the fence of a deletion: from then on it counts as gone, and nothing can be made in it. */
export function repoItem(orgId: string, repo: StoredRepo): Item {
  return recordAt(repoKey(orgId, repo.id), repo);
}

/** Holds the name of a repository, and says all about it: the list of repositories is one read. */
export function repoNameItem(orgId: string, repo: StoredRepo): Item {
  return recordAt(repoNameKey(orgId, repo.provider, repo.nameKey), repo);
}

function recordAt({ pk, sk }: Key, repo: StoredRepo): Item {
  return {
    pk: text(pk),
    sk: text(sk),
    id: text(repo.id),
    provider: text(repo.provider),
    nameKey: text(repo.nameKey),
    ...changingAttributes(repo),
    createdAt: time(repo.createdAt),
  };
}

export function changingAttributes({ fullName, defaultBranch, version, updatedAt }: StoredRepo): Item {
  return {
    fullName: text(fullName),
    defaultBranch: text(defaultBranch),
    version: integer(version),
    updatedAt: time(updatedAt),
  };
}

export function readRepo(item: Item): StoredRepo {
  return {
    id: textOf(item, 'id'),
    provider: textOf(item, 'provider'),
    fullName: textOf(item, 'fullName'),
    nameKey: textOf(item, 'nameKey'),
    defaultBranch: textOf(item, 'defaultBranch'),
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}

/** Whether a repository is there, as the condition of a write. */
export const repoIsThere = all(exists, without('erasing'));
