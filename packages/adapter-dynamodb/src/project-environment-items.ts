/**
 * A project environment is written as several records that say the same, one under each key that it is looked for by: each lookup is one strongly consistent
 * read. They change in one transaction, in which each has its own condition, so that they are never seen apart.
 */
import type {
  Deployment,
  ProjectEnvironmentType,
  StoredListedEnvironment,
  StoredProjectEnvironment,
} from '@vivarium/core/storage';

import {
  integer,
  integerOf,
  optionalInteger,
  optionalIntegerOf,
  optionalText,
  optionalTextOf,
  present,
  text,
  textOf,
  time,
  timeOf,
} from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { readTold, tell } from './deployment-items.ts';
import { all, equal, exists } from './expressions.ts';
import type { Condition } from './expressions.ts';
import { placeInProject, placeInRepo, placeOnBranch, projectEnvironmentKey } from './keys.ts';
import type { Key } from './keys.ts';

/** Where an environment stands in lists: of its project, of its repository, and of its branch if it has one. */
export function placesOf(orgId: string, environment: StoredProjectEnvironment): readonly Key[] {
  const { branch } = environment;
  return [
    placeInProject(orgId, environment),
    placeInRepo(orgId, environment),
    ...(branch === null ? [] : [placeOnBranch(orgId, branch, environment)]),
  ];
}

/** Its own record also has the deployment that is live, so that the next one to succeed finds it there. */
export function environmentItem(orgId: string, environment: StoredProjectEnvironment): Item {
  return recordAt(projectEnvironmentKey(orgId, environment.id), environment, {});
}

/** The record in a list. It has the deployment that started last, as it was told. */
export function listedItem(key: Key, environment: StoredProjectEnvironment, latest: string | null): Item {
  return recordAt(key, environment, { latest: optionalText(latest) });
}

function recordAt({ pk, sk }: Key, environment: StoredProjectEnvironment, more: Attributes): Item {
  const { id, projectId, repoId, environment: name, createdAt } = environment;
  return present({
    pk: text(pk),
    sk: text(sk),
    id: text(id),
    project: text(projectId),
    repo: text(repoId),
    environment: text(name),
    ...movingAttributes(environment),
    createdAt: time(createdAt),
    ...more,
  });
}

/** What may change about an environment. */
export function movingAttributes(environment: StoredProjectEnvironment): Attributes {
  const { type, branch, pullRequest, managedBy, version, updatedAt } = environment;
  const { deploymentSequence, latestDeployment, activeDeployment, activeSequence } = environment;
  return {
    type: text(type),
    branch: optionalText(branch),
    pullRequest: optionalInteger(pullRequest),
    managedBy: optionalText(managedBy),
    deployments: integer(deploymentSequence),
    latestId: optionalText(latestDeployment),
    activeId: optionalText(activeDeployment),
    activeSequence: integer(activeSequence),
    version: integer(version),
    updatedAt: time(updatedAt),
  };
}

export function readProjectEnvironment(item: Item): StoredProjectEnvironment {
  return {
    id: textOf(item, 'id'),
    projectId: textOf(item, 'project'),
    repoId: textOf(item, 'repo'),
    environment: textOf(item, 'environment'),
    type: textOf(item, 'type') as ProjectEnvironmentType,
    branch: optionalTextOf(item, 'branch'),
    pullRequest: optionalIntegerOf(item, 'pullRequest'),
    managedBy: optionalTextOf(item, 'managedBy'),
    deploymentSequence: integerOf(item, 'deployments'),
    latestDeployment: optionalTextOf(item, 'latestId'),
    activeDeployment: optionalTextOf(item, 'activeId'),
    activeSequence: integerOf(item, 'activeSequence'),
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}

export function readListed(item: Item): StoredListedEnvironment {
  const latest = latestTold(item);
  return {
    ...readProjectEnvironment(item),
    latest: latest === null ? null : readTold(latest, textOf(item, 'id')),
  };
}

/** The deployment that started last, as a record in a list tells it. */
export function latestTold(listed: Item): string | null {
  return optionalTextOf(listed, 'latest');
}

/** The deployment that is live, which the environment's own record has. */
export function readActive(item: Item): Deployment | null {
  const active = optionalTextOf(item, 'active');
  return active === null ? null : readTold(active, textOf(item, 'id'));
}

/** What a deployment that has changed changes in the records: in the environment's own, and in those of the lists. */
export function toldBy(
  { latestDeployment, activeDeployment }: StoredProjectEnvironment,
  deployment: Deployment,
): { readonly own: Attributes; readonly listed: Attributes } {
  const told = text(tell(deployment));
  return {
    own: deployment.id === activeDeployment ? { active: told } : {},
    listed: deployment.id === latestDeployment ? { latest: told } : {},
  };
}

/** Every record has its own condition: an update of one that is not there would make a part of it. */
export const isAt = (version: number): Condition => all(exists, equal('version', integer(version)));
