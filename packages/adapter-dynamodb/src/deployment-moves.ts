import { openDeploymentStatuses, StorageFailure } from '@vivarium/core/storage';
import type { Deployment, DeploymentRepository } from '@vivarium/core/storage';

import { integerOf, textOf, time } from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { deploymentIdItem, deploymentItem, openDeploymentItem, readDeployment } from './deployment-items.ts';
import { belongTogether, readEnvironment } from './environment-items.ts';
import { atMost, exists, missing } from './expressions.ts';
import {
  deploymentIdKey,
  deploymentKey,
  deploymentSpan,
  environmentKey,
  openDeploymentKey,
  openDeploymentPartition,
  projectEnvironmentKey,
  projectKey,
  variablesKey,
} from './keys.ts';
import type { Key } from './keys.ts';
import {
  isAt,
  movingAttributes,
  placesOf,
  readActive,
  readProjectEnvironment,
  toldBy,
} from './project-environment-items.ts';
import { isThere } from './project-items.ts';
import { settled } from './settle.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

type Moves = Pick<DeploymentRepository, 'startFacts' | 'facts' | 'move' | 'get' | 'latest' | 'history' | 'due'>;

/** What `latest` answers. */
interface Latest {
  readonly environment: boolean;
  readonly deployment: Deployment | null;
}

/** Open deployments that a sweep looks at in one request for those that are overdue. */
const sweepPage = 1_000;

export function dynamodbDeploymentMoves(table: Table): Moves {
  return {
    startFacts: (orgId, { projectEnvironmentId, configurationId }, keyId) =>
      table.answer('read', async () => {
        const key = projectEnvironmentKey(orgId, projectEnvironmentId);
        const found = await table.get(key, ...keyOf(orgId, keyId));
        const item = found.of(key);
        const environment = item && readProjectEnvironment(item);
        const configuration =
          environment === null || configurationId === null
            ? null
            : await configurationOf(orgId, environment.projectId, configurationId);
        return { found: environment, configuration, key: keptUnder(found, orgId, keyId) };
      }),

    facts: (orgId, deploymentId, keyId) =>
      table.answer('read', async () => {
        const id = deploymentIdKey(orgId, deploymentId);
        const found = await table.get(id, ...keyOf(orgId, keyId));
        const place = placeIn(orgId, found.of(id));
        if (place === null) return { found: null, key: keptUnder(found, orgId, keyId) };
        // What is decided on a deployment is guarded by its environment's version: both have to be of one instant, and what is kept under the key not older.
        const together = await table.snapshot(place.environment, place.deployment, ...keyOf(orgId, keyId));
        const key = keptUnder(together, orgId, keyId);
        const [own, item] = [together.of(place.environment), together.of(place.deployment)];
        if (own === null || item === null) return { found: null, key };
        const facts = {
          deployment: readDeployment(item),
          environment: readProjectEnvironment(own),
          active: readActive(own),
        };
        return { found: facts, key };
      }),

    move: ({ environment, deployment, replaced, adds, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const key = projectEnvironmentKey(orgId, environment.id);
        const when = isAt(expectedVersion);
        const stale = () => 'stale' as const;
        const moves = movingAttributes(environment);
        const told = [replaced, deployment]
          .filter((one) => one !== null)
          .map((one) => toldBy(environment, one))
          .reduce<{ own: Attributes; listed: Attributes }>(
            (all, { own, listed }) => ({ own: { ...all.own, ...own }, listed: { ...all.listed, ...listed } }),
            { own: {}, listed: {} },
          );
        const open = openDeploymentStatuses.has(deployment.status);
        return write<'not_found' | 'stale'>(table, change, {
          owners: [key],
          steps: [
            { update: key, changes: { set: { ...moves, ...told.own } }, when, else: changed },
            ...placesOf(orgId, environment).map((update) => ({
              update,
              changes: { set: { ...moves, ...told.listed } },
              when,
              else: stale,
            })),
            { put: deploymentItem(orgId, deployment), when: adds ? missing : exists, else: stale },
            ...(replaced === null ? [] : [{ put: deploymentItem(orgId, replaced), when: exists, else: stale }]),
            ...(adds
              ? [{ put: deploymentIdItem(orgId, deployment), when: missing, else: () => idTaken(deployment.id) }]
              : []),
            ...(adds && open ? [{ put: openDeploymentItem(orgId, deployment) }] : []),
            ...(open ? [] : [{ remove: openDeploymentKey(orgId, deployment.id) }]),
          ],
        });
      }),

    get: (orgId, id) =>
      table.answer('read', async () => {
        const key = deploymentIdKey(orgId, id);
        const place = placeIn(orgId, (await table.get(key)).of(key));
        return place === null ? null : ((await deploymentsAt([place]))[0] ?? null);
      }),

    latest: (orgId, projectEnvironmentId) =>
      table.answer('read', () =>
        settled<Latest>('the environment', async () => {
          const { pk, from, to } = deploymentSpan(orgId, projectEnvironmentId, null);
          const [first, newest] = await table.first({ pk, between: [from, to] }, 2);
          const own = ownIn(first);
          if (own === null) return { value: { environment: false, deployment: null } };
          const { latestDeployment } = readProjectEnvironment(own);
          const deployment = newest === undefined ? null : readDeployment(newest);
          // Started between the reads of the two items.
          return latestDeployment === (deployment?.id ?? null) ? { value: { environment: true, deployment } } : null;
        }),
      ),

    history: (orgId, projectEnvironmentId, { limit, after }) =>
      table.answer('read', () =>
        settled('the history of the environment', async () => {
          const { pk, from, to } = deploymentSpan(orgId, projectEnvironmentId, after);
          const range = { pk, between: [from, to] as const };
          const [own, items] =
            after === null
              ? await table.first(range, limit + 2).then(([first, ...rest]) => [ownIn(first), rest] as const)
              : await Promise.all([ownOf(orgId, projectEnvironmentId), table.first(range, limit + 1)]);
          if (own === null) return { value: null };
          const { deploymentSequence, activeSequence } = readProjectEnvironment(own);
          const deployments = items.map(readDeployment);
          // The environment moved on between the reads of two items: one has started, or has taken another one's place.
          if (after === null && (deployments[0]?.sequence ?? 0) !== deploymentSequence) return null;
          const whole = deployments.every(
            ({ status, sequence }) => (status === 'success') === (sequence === activeSequence),
          );
          if (!whole) return null;
          return { value: { items: deployments.slice(0, limit), more: deployments.length > limit } };
        }),
      ),

    due: (orgId, { now, limit, after }) =>
      table.answer('read', async () => {
        const due: Deployment[] = [];
        for await (const page of table.pages({
          pk: openDeploymentPartition(orgId),
          where: atMost('deadline', time(now)),
          pageSize: sweepPage,
          ...(after === null ? {} : { after: openDeploymentKey(orgId, after).sk }),
        })) {
          for (let i = 0; i < page.length; i += limit) {
            const places = page.slice(i, i + limit).map((item) => placeIn(orgId, item)!);
            // It may have ended since, or be gone with its environment.
            const open = (await deploymentsAt(places)).filter((one) => one && openDeploymentStatuses.has(one.status));
            due.push(...open.filter((one) => one !== null));
            if (due.length >= limit) return due.slice(0, limit);
          }
        }
        return due;
      }),
  };

  /** Deployments at their places; `null` for those whose environment is gone. */
  async function deploymentsAt(places: readonly Place[]): Promise<(Deployment | null)[]> {
    const keys = places.flatMap(({ environment, deployment }) => [environment, deployment]);
    const found = await table.get(...new Map(keys.map((key) => [`${key.pk}\0${key.sk}`, key])).values());
    return places.map(({ environment, deployment }) => {
      const item = found.of(deployment);
      return item === null || found.of(environment) === null ? null : readDeployment(item);
    });
  }

  /** Version and variables of a project's environment. They are two items, and read again where they are not of the same state. */
  function configurationOf(orgId: string, projectId: string, id: string) {
    const keys = [
      projectKey(orgId, projectId),
      environmentKey(orgId, projectId, id),
      variablesKey(orgId, projectId, id),
    ];
    return settled('the environment', async () => {
      const found = await table.get(...keys);
      const [project, head, texts] = keys.map((key) => found.of(key)) as [Item | null, Item | null, Item | null];
      if (!isThere(project) || head === null) return { value: null };
      if (!belongTogether(head, texts)) return null;
      const { version, variables } = readEnvironment(project, head, texts);
      return { value: { version, variables } };
    });
  }

  async function ownOf(orgId: string, id: string): Promise<Item | null> {
    const key = projectEnvironmentKey(orgId, id);
    return (await table.get(key)).of(key);
  }
}

/** Where a deployment stands, and the environment that guards it. */
interface Place {
  readonly environment: Key;
  readonly deployment: Key;
}

function placeIn(orgId: string, item: Item | null): Place | null {
  if (item === null) return null;
  const id = textOf(item, 'environment');
  return {
    environment: projectEnvironmentKey(orgId, id),
    deployment: deploymentKey(orgId, id, integerOf(item, 'sequence')),
  };
}

/** The environment at the beginning of its partition; `null` where deployments stand without one, which are being erased. */
function ownIn(first: Item | undefined): Item | null {
  return first !== undefined && textOf(first, 'sk') === '#' ? first : null;
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is a deployment ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
