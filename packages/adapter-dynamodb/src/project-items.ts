import type { StoredProject } from '@vivarium/core/storage';

import { integer, integerOf, optionalTextOf, present, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { all, exists, without } from './expressions.ts';
import { partsOf, projectKey, projectNameKey, siblingKey } from './keys.ts';

/**
 * The item that owns a project's sets: how many environments it has, which of them is the default, how many child projects. `erasing` is
 * the fence of a deletion: from then on the project counts as gone.
 */
export function projectItem(orgId: string, project: StoredProject, environments: number): Item {
  const { pk, sk } = projectKey(orgId, project.id);
  return present({
    pk: text(pk),
    sk: text(sk),
    name: text(project.name),
    nameKey: text(project.nameKey),
    description: project.description === null ? null : text(project.description),
    parent: project.parentProjectId === null ? null : text(project.parentProjectId),
    default: text(project.defaultEnvironmentId),
    environments: integer(environments),
    children: integer(0),
    version: integer(project.version),
    createdAt: time(project.createdAt),
    updatedAt: time(project.updatedAt),
  });
}

/** What an item says of a project; `null` when it is missing or being erased. */
export function readProject(item: Item | null): StoredProject | null {
  if (!isThere(item)) return null;
  return {
    id: partsOf(textOf(item, 'pk'))[2]!,
    name: textOf(item, 'name'),
    nameKey: textOf(item, 'nameKey'),
    description: optionalTextOf(item, 'description'),
    parentProjectId: optionalTextOf(item, 'parent'),
    defaultEnvironmentId: textOf(item, 'default'),
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}

/** Whether a project's item stands for a project that exists. */
export function isThere(item: Item | null): item is Item {
  return item !== null && item['erasing'] === undefined;
}

/** The same, as the condition of a write. */
export const projectIsThere = all(exists, without('erasing'));

/** Holds the project's name, and shows the whole tree to who reads all of them. */
export function projectNameItem(orgId: string, { id, nameKey, parentProjectId }: StoredProject): Item {
  const { pk, sk } = projectNameKey(orgId, nameKey);
  return present({
    pk: text(pk),
    sk: text(sk),
    id: text(id),
    parent: parentProjectId === null ? null : text(parentProjectId),
  });
}

export function siblingItem(orgId: string, { id, nameKey, parentProjectId }: StoredProject): Item {
  const { pk, sk } = siblingKey(orgId, parentProjectId, nameKey);
  return { pk: text(pk), sk: text(sk), id: text(id) };
}
