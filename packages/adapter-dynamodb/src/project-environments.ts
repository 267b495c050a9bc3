import { StorageFailure } from '@vivarium/core/storage';
import type { DeploymentRepository, StoredProjectEnvironment } from '@vivarium/core/storage';

import { textOf, text } from './attributes.ts';
import type { Item } from './attributes.ts';
import { environmentRemoval, eraseHistory } from './deployment-erasure.ts';
import { eraseLeftovers } from './erasure.ts';
import { all, equal, missing } from './expressions.ts';
import {
  placeInProject,
  placeInRepo,
  placeOnBranch,
  placesByName,
  placesOnBranch,
  projectEnvironmentKey,
  projectKey,
  projectPartition,
  repoKey,
  repoPartition,
} from './keys.ts';
import type { EnvironmentPlace } from './keys.ts';
import { environmentsUnder } from './named-page.ts';
import {
  environmentItem,
  isAt,
  latestTold,
  listedItem,
  movingAttributes,
  placesOf,
  readProjectEnvironment,
} from './project-environment-items.ts';
import { isThere, projectIsThere } from './project-items.ts';
import { repoIsThere } from './repo-items.ts';
import type { Found, Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';
import type { Step } from './write.ts';

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

export function dynamodbProjectEnvironments(table: Table): ProjectEnvironments {
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
            ...(await onBranch(orgId, environment, previousBranch, expectedVersion)),
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
        const written = await write<'not_found' | 'stale'>(table, change, {
          owners: [projectEnvironmentKey(orgId, environment.id)],
          steps: environmentRemoval(orgId, environment, at),
        });
        // Without the environment no deployment of it is found any more.
        if (written.done)
          await eraseHistory(table, orgId, environment.id)
            .then(() => eraseLeftovers(table, orgId, at))
            .catch(() => undefined);
        return written;
      }),
  };

  /** Changes the record under the branch, or moves it to another one. Then what it says of the latest deployment goes along. */
  async function onBranch(
    orgId: string,
    environment: StoredProjectEnvironment,
    previousBranch: string | null,
    expectedVersion: number,
  ): Promise<readonly Step<'stale'>[]> {
    const { branch } = environment;
    const when = isAt(expectedVersion);
    const stale = () => 'stale' as const;
    if (branch === previousBranch) {
      if (branch === null) return [];
      const update = placeOnBranch(orgId, branch, environment);
      return [{ update, changes: { set: movingAttributes(environment) }, when, else: stale }];
    }
    const left: Step<'stale'>[] =
      previousBranch === null ? [] : [{ remove: placeOnBranch(orgId, previousBranch, environment), when, else: stale }];
    if (branch === null) return left;
    // Of another version than what this is decided on it may say anything: then nothing is written.
    const latest = environment.latestDeployment === null ? null : await latestOf(orgId, environment);
    const put = listedItem(placeOnBranch(orgId, branch, environment), environment, latest);
    return [...left, { put, when: missing, else: stale }];
  }

  async function latestOf(orgId: string, environment: StoredProjectEnvironment): Promise<string | null> {
    const place = placeInProject(orgId, environment);
    const record = (await table.get(place)).of(place);
    return record && latestTold(record);
  }
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
function idTaken({ id, projectId, repoId, environment }: StoredProjectEnvironment, there: Item): 'stale' {
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
