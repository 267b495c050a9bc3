/**
 * An app, its project and its repository each count the previews that may have a runtime, so that none of them is deleted while there is one, and no runtime
 * is begun in what is being deleted.
 */
import type { StoredPreview } from '@vivarium/core/storage';

import { integer, integerOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { either, equal, exists, without } from './expressions.ts';
import type { Condition } from './expressions.ts';
import { appKey, projectKey, repoKey } from './keys.ts';
import type { Key } from './keys.ts';
import { projectIsThere } from './project-items.ts';
import { repoIsThere } from './repo-items.ts';
import type { Step } from './write.ts';

type Owned = Pick<StoredPreview, 'appId' | 'projectId' | 'repoId'>;

const counter = 'runtimes';

export const withoutRuntimes: Condition = either(without(counter), equal(counter, integer(0)));

export function hasRuntimes(owner: Item): boolean {
  return owner[counter] !== undefined && integerOf(owner, counter) > 0;
}

/** What a preview belongs to, and what says that it is there. */
export function ownersOf(orgId: string, { appId, projectId, repoId }: Owned): readonly (readonly [Key, Condition])[] {
  return [
    [appKey(orgId, appId), exists],
    [projectKey(orgId, projectId), projectIsThere],
    [repoKey(orgId, repoId), repoIsThere],
  ];
}

/** Part of a write by which a runtime may come to exist, or is gone. */
export function countRuntime(orgId: string, preview: Owned, by: 1 | -1): readonly Step<'not_found'>[] {
  return ownersOf(orgId, preview).map(([update, isThere]) => ({
    update,
    changes: { add: { [counter]: by } },
    when: by === 1 ? isThere : exists,
    else: () => 'not_found',
  }));
}
