import { StorageFailure } from '@vivarium/core/storage';
import type { DeploymentRepository, StoredProjectEnvironment } from '@vivarium/core/storage';

import { textOf, text } from './attributes.ts';
import type { Item } from './attributes.ts';
import { environmentRemoval, eraseHistory, managedPreview } from './deployment-erasure.ts';
import { onBranch } from './environment-branch.ts';
import { eraseLeftovers } from './erasure.ts';
import { all, equal, missing } from './expressions.ts';
import {
  placeInProject,
  placeInRepo,
  placesByName,
  placesOnBranch,
  projectEnvironmentKey,
  projectKey,
  projectPartition,
  repoKey,
  repoPartition,
} from './keys.ts';
import type { EnvironmentPlace } from './keys.ts';
import { countRuntime } from './live-runtimes.ts';
import { environmentsUnder } from './named-page.ts';
import {
  environmentItem,
  isAt,
  listedItem,
  movingAttributes,
  placesOf,
  readProjectEnvironment,
} from './project-environment-items.ts';
import { isThere, projectIsThere } from './project-items.ts';
import { repoIsThere } from './repo-items.ts';
import type { Found, Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

type ProjectEnvironments = Pick<
  DeploymentRepository,
  | 'ensureFacts'
  | 'createEnvironment'
  | 'writeEnvironment'
  | 'getEnvironment'
  | 'getEnvironmentByName'
  | 'listByBranch'
  | 'listEnvironments'
  | 'deleteEnvironment'
>;

export function dynamodbProjectEnvironments(table: Table, secrets: Table): ProjectEnvironments {
  return {
    ensureFacts: (orgId, of, keyId) =>
      table.answer('read', async () => {
        const found = await table.get(...placeAndOwners(orgId, of), ...keyOf(orgId, keyId));
        return { ...factsIn(found, orgId, of), key: keptUnder(found, orgId, keyId) };
      }),

    createEnvironment: ({ environment, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const [project, repo] = [projectKey(orgId, environment.projectId), repoKey(orgId, environment.repoId)];
        const own = environmentItem(orgId, environment);
        return write<'stale' | 'gone'>(table, change, {
          owners: [project, repo],
          steps: [
            { check: project, when: projectIsThere, else: () => 'gone' },
            { check: repo, when: repoIsThere, else: () => 'gone' },
            { put: own, when: missing, else: (there) => idTaken(environment, there!) },
            ...placesOf(orgId, environment).map((place) => ({
              put: listedItem(place, environment, null),
              when: missing,
              else: () => 'stale' as const,
            })),
          ],
        });
      }),

    writeEnvironment: ({ environment, previousBranch, expectedVersion, change }) =>
      table.answer('write', async () => {
        const { orgId } = change;
        const key = projectEnvironmentKey(orgId, environment.id);
        const when = isAt(expectedVersion);
        const set = movingAttributes(environment);
        const stays = [placeInProject(orgId, environment), placeInRepo(orgId, environment)];
        const stale = () => 'stale' as const;
        return write<'not_found' | 'stale'>(table, change, {
          owners: [key],
          steps: [
            { update: key, changes: { set }, when, else: changed },
            ...stays.map((update) => ({ update, changes: { set }, when, else: stale })),
            ...(await onBranch(table, orgId, { environment, previousBranch, expectedVersion, told: {} })),
          ],
        });
      }),

    getEnvironment: (orgId, id, keyId) =>
      table.answer('read', async () => {
        const key = projectEnvironmentKey(orgId, id);
        const found = await table.get(key, ...keyOf(orgId, keyId));
        const item = found.of(key);
        return { found: item && readProjectEnvironment(item), key: keptUnder(found, orgId, keyId) };
      }),

    getEnvironmentByName: (orgId, of) =>
      table.answer('read', async () => {
        const found = await table.get(...placeAndOwners(orgId, of));
        return factsIn(found, orgId, of).environment;
      }),

    listByBranch: (orgId, { repoId, branch }, page) =>
      table.answer('read', () =>
        environmentsUnder(table, { pk: repoPartition(orgId, repoId), prefix: placesOnBranch(branch) }, page),
      ),

    listEnvironments: (orgId, { projectId, repoId, type }, page) =>
      table.answer('read', () => {
        const ofProject = projectId !== undefined;
        const conditions = [
          ...(ofProject && repoId !== undefined ? [equal('repo', text(repoId))] : []),
          ...(type === undefined ? [] : [equal('type', text(type))]),
        ];
        const pk = ofProject ? projectPartition(orgId, projectId) : repoPartition(orgId, repoId!);
        const where = conditions.length === 0 ? undefined : all(...conditions);
        return environmentsUnder(table, { pk, prefix: placesByName, where }, page);
      }),

    deleteEnvironment: ({ environment, change }) =>
      table.answer('write', async () => {
        const { orgId, at } = change;
        const preview = await managedPreview(table, orgId, environment);
        const counted = preview?.hasRuntime === true ? countRuntime(orgId, preview, -1) : [];
        const written = await write<'not_found' | 'stale'>(table, change, {
          owners: [projectEnvironmentKey(orgId, environment.id)],
          steps: [...environmentRemoval(orgId, { environment, preview }, at), ...counted],
        });
        // Without the environment no deployment of it is found any more.
        if (written.done)
          await eraseHistory(table, orgId, environment.id)
            .then(() => eraseLeftovers(table, secrets, orgId, at))
            .catch(() => undefined);
        return written;
      }),
  };
}

function placeAndOwners(orgId: string, of: EnvironmentPlace) {
  return [projectKey(orgId, of.projectId), repoKey(orgId, of.repoId), placeInProject(orgId, of)];
}

/** An environment goes with its project and its repository. */
function factsIn(found: Found, orgId: string, of: EnvironmentPlace) {
  const [project, repo, place] = placeAndOwners(orgId, of).map((key) => found.of(key)) as [Item, Item, Item | null];
  const there = isThere(project) && isThere(repo);
  return {
    project: isThere(project),
    repo: isThere(repo),
    environment: there && place !== null ? readProjectEnvironment(place) : null,
  };
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}

/** The same environment is written twice, or two have the same id. */
export function idTaken({ id, projectId, repoId, environment }: StoredProjectEnvironment, there: Item): 'stale' {
  const same = [
    [projectId, 'project'],
    [repoId, 'repo'],
    [environment, 'environment'],
  ] as const;
  if (same.every(([value, attribute]) => textOf(there, attribute) === value)) return 'stale';
  throw new StorageFailure(`there already is a project environment ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
