/** What the tests of the port of deployments hand to storage, without core's services in between. */
import { randomUUID } from 'node:crypto';
import { unwrap } from '@vivarium/core';
import type {
  App,
  Deployment,
  DeploymentMove,
  DeploymentStatus,
  Storage,
  StoredProjectEnvironment,
  StoredRepo,
} from '@vivarium/core/storage';

import { afterMs, changeIn, made, next } from './ephemeral-making.ts';
import { commit } from './every-deployment-call.ts';

const versioned = { version: 1, createdAt: made, updatedAt: made };

/** A project and a repository. */
export interface Pair {
  readonly projectId: string;
  readonly repoId: string;
}

export function repoNamed(fullName: string, differing: Partial<StoredRepo> = {}): StoredRepo {
  const named = { provider: 'github', fullName, nameKey: fullName.toLowerCase(), defaultBranch: 'main' };
  return { id: randomUUID(), ...named, ...versioned, ...differing };
}

export function appOf({ projectId, repoId }: Pair, differing: Partial<App> = {}): App {
  return { id: randomUUID(), projectId, repoId, name: 'Shop', entrypoint: null, ...versioned, ...differing };
}

export function environmentOf(
  { projectId, repoId }: Pair,
  environment: string,
  differing: Partial<StoredProjectEnvironment> = {},
): StoredProjectEnvironment {
  return {
    id: randomUUID(),
    projectId,
    repoId,
    environment,
    type: 'other',
    branch: null,
    pullRequest: null,
    managedBy: null,
    deploymentSequence: 0,
    latestDeployment: null,
    activeDeployment: null,
    activeSequence: 0,
    ...versioned,
    ...differing,
  };
}

/** The next deployment of an environment, and the environment as it is then. */
export function starting(environment: StoredProjectEnvironment, differing: Partial<Deployment> = {}): DeploymentMove {
  const deployment: Deployment = {
    id: randomUUID(),
    projectEnvironmentId: environment.id,
    sequence: environment.deploymentSequence + 1,
    status: 'created',
    gitRef: 'main',
    sha: commit('0'),
    url: null,
    description: null,
    rollbackOf: null,
    configuration: null,
    createdBy: { type: 'user', id: 'ada' },
    deadline: afterMs(60_000),
    createdAt: made,
    startedAt: null,
    endedAt: null,
    updatedAt: made,
    ...differing,
  };
  const moved = next(environment, { deploymentSequence: deployment.sequence, latestDeployment: deployment.id });
  return { environment: moved, deployment, replaced: null };
}

/** A deployment with its environment as it is. */
type Begun = Pick<DeploymentMove, 'environment' | 'deployment'>;

/** A deployment that goes on to this status, and the environment as it is then; with the one that it replaces where it succeeds. */
export function going(
  { environment, deployment }: Begun,
  status: DeploymentStatus,
  active: Deployment | null = null,
): DeploymentMove {
  const moved: Deployment = { ...deployment, status, startedAt: made, endedAt: afterMs(1), updatedAt: afterMs(1) };
  const live = status === 'success' && { activeDeployment: deployment.id, activeSequence: deployment.sequence };
  return {
    environment: next(environment, { ...live }),
    deployment: moved,
    replaced: active && { ...active, status: 'inactive', updatedAt: afterMs(1) },
  };
}

/** Writes to one storage in one org, and expects that it is done. */
export function deploymentWriterOf(storage: Storage<unknown>, org: string) {
  const { deployments } = storage;
  const did = async (written: PromiseLike<unknown>) => {
    const answer = (await written) as { readonly done: boolean; readonly refused?: string };
    if (!answer.done) throw new Error(`not written: ${answer.refused}`);
  };
  const move = async (before: StoredProjectEnvironment, moved: DeploymentMove, adds: boolean) => {
    const expectedVersion = before.version;
    await did(unwrap(deployments.move({ ...moved, adds, expectedVersion, change: changeIn(org) })));
    return moved;
  };
  return {
    async repo(fullName: string, differing: Partial<StoredRepo> = {}): Promise<StoredRepo> {
      const repo = repoNamed(fullName, differing);
      await did(unwrap(deployments.createRepo({ repo, change: changeIn(org) })));
      return repo;
    },
    async app(pair: Pair, differing: Partial<App> = {}): Promise<App> {
      const app = appOf(pair, differing);
      await did(unwrap(deployments.createApp({ app, change: changeIn(org) })));
      return app;
    },
    async environment(
      pair: Pair,
      name: string,
      differing: Partial<StoredProjectEnvironment> = {},
    ): Promise<StoredProjectEnvironment> {
      const environment = environmentOf(pair, name, differing);
      await did(unwrap(deployments.createEnvironment({ environment, change: changeIn(org) })));
      return environment;
    },
    start: (environment: StoredProjectEnvironment, differing: Partial<Deployment> = {}): Promise<DeploymentMove> =>
      move(environment, starting(environment, differing), true),
    go: (begun: Begun, status: DeploymentStatus, active: Deployment | null = null): Promise<DeploymentMove> =>
      move(begun.environment, going(begun, status, active), false),
  };
}
