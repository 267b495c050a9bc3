import { createHash } from 'node:crypto';

import { encodeVariables } from '../environments/model.ts';
import type { StoredVariables } from '../environments/model.ts';
import type { Actor } from '../kernel/actor.ts';
import { IllegalTransition } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { nameKey } from '../kernel/text.ts';
import { ManagedByPreview } from './errors.ts';
import { deployedStatuses, deploymentLifecycle, legalDeploymentEvents, openDeploymentStatuses } from './lifecycle.ts';
import type { DeploymentEvent } from './lifecycle.ts';
import { defaultDeploymentTimeoutMs } from './model.ts';
import type {
  DeployedConfiguration,
  Deployment,
  DeploymentMove,
  ProjectEnvironment,
  ProjectEnvironmentType,
  Repo,
  StoredProjectEnvironment,
  StoredRepo,
} from './model.ts';

interface Made {
  readonly id: string;
  readonly at: Date;
}

// Repositories

export function newRepo(
  wanted: { readonly provider: string; readonly fullName: string; readonly defaultBranch?: string | undefined },
  { id, at }: Made,
): StoredRepo {
  return {
    id,
    provider: wanted.provider,
    fullName: wanted.fullName,
    nameKey: repoKey(wanted.fullName),
    defaultBranch: wanted.defaultBranch ?? 'main',
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

export function repoKey(fullName: string): string {
  return nameKey(fullName);
}

/** A repository that is registered again; `null` when nothing about it is new. */
export function registerAgain(
  repo: StoredRepo,
  wanted: { readonly fullName: string; readonly defaultBranch?: string | undefined },
  at: Date,
): StoredRepo | null {
  const { fullName, defaultBranch = repo.defaultBranch } = wanted;
  if (fullName === repo.fullName && defaultBranch === repo.defaultBranch) return null;
  return { ...repo, fullName, defaultBranch, version: repo.version + 1, updatedAt: at };
}

export function toRepo({ nameKey: _nameKey, ...repo }: StoredRepo): Repo {
  return repo;
}

// Project environments

/** What is known of a project environment besides its name. */
export interface EnvironmentSettings {
  /** By the name when not given: `pr-<n>` is a preview, `production`, `staging` and `development` are what they say, the rest is `other`. */
  readonly type?: ProjectEnvironmentType | undefined;
  readonly branch?: string | null | undefined;
  /** The number in `pr-<n>` when not given. */
  readonly pullRequest?: number | null | undefined;
}

export function newProjectEnvironment(
  wanted: { readonly projectId: string; readonly repoId: string; readonly environment: string } & EnvironmentSettings,
  { id, at }: Made,
): StoredProjectEnvironment {
  const { projectId, repoId, environment, type, branch = null, pullRequest } = wanted;
  return {
    id,
    projectId,
    repoId,
    environment,
    type: type ?? typeByName(environment),
    branch,
    pullRequest: pullRequest === undefined ? pullRequestByName(environment) : pullRequest,
    managedBy: null,
    deploymentSequence: 0,
    latestDeployment: null,
    activeDeployment: null,
    activeSequence: 0,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

/** The environment with what is wanted of it; `null` when it is so already. */
export function ensured(
  environment: StoredProjectEnvironment,
  { type = environment.type, branch = environment.branch, pullRequest = environment.pullRequest }: EnvironmentSettings,
  at: Date,
): StoredProjectEnvironment | null {
  const same = type === environment.type && branch === environment.branch && pullRequest === environment.pullRequest;
  return same ? null : changed(environment, at, { type, branch, pullRequest });
}

function typeByName(environment: string): ProjectEnvironmentType {
  if (pullRequestByName(environment) !== null) return 'preview';
  return environment === 'production' || environment === 'staging' || environment === 'development'
    ? environment
    : 'other';
}

function pullRequestByName(environment: string): number | null {
  const number = /^pr-([1-9]\d{0,8})$/.exec(environment)?.[1];
  return number === undefined ? null : Number(number);
}

/** What the preview manager drives is nobody else's. */
export function checkUnmanaged({ managedBy }: StoredProjectEnvironment): Result<void, ManagedByPreview> {
  return managedBy === null ? ok(undefined) : err(new ManagedByPreview(managedBy));
}

// Deployments

/** What a deployment is started with. */
export interface NewDeployment {
  readonly gitRef: string;
  readonly sha: string;
  readonly description?: string | null | undefined;
  /** Milliseconds until `sweep` fails it unless it has ended: 1,000–604,800,000 (a week); 3,600,000 (an hour) when not given. */
  readonly timeoutMs?: number | undefined;
}

/** The next deployment of an environment, which has started last by that. */
export function start(
  environment: StoredProjectEnvironment,
  wanted: NewDeployment & { readonly rollbackOf?: string; readonly configuration: DeployedConfiguration | null },
  by: Actor,
  { id, at }: Made,
): DeploymentMove {
  const sequence = environment.deploymentSequence + 1;
  const deployment: Deployment = {
    id,
    projectEnvironmentId: environment.id,
    sequence,
    status: 'created',
    gitRef: wanted.gitRef,
    sha: wanted.sha,
    url: null,
    description: wanted.description ?? null,
    rollbackOf: wanted.rollbackOf ?? null,
    configuration: wanted.configuration,
    createdBy: by,
    deadline: new Date(at.getTime() + (wanted.timeoutMs ?? defaultDeploymentTimeoutMs)),
    createdAt: at,
    startedAt: null,
    endedAt: null,
    updatedAt: at,
  };
  const moved = changed(environment, at, { deploymentSequence: sequence, latestDeployment: id });
  return { environment: moved, deployment, replaced: null };
}

/** A deployment that goes back to an earlier one. Errors: `illegal_transition` for one that was never live nor could have been. */
export function rollBack(
  environment: StoredProjectEnvironment,
  to: Deployment,
  by: Actor,
  made: Made,
): Result<DeploymentMove, IllegalTransition> {
  if (!deployedStatuses.has(to.status)) {
    return err(new IllegalTransition('deployment', to.status, 'rollback', legalDeploymentEvents(to.status)));
  }
  const { gitRef, sha, configuration, description, createdAt, deadline } = to;
  const timeoutMs = deadline.getTime() - createdAt.getTime();
  return ok(start(environment, { gitRef, sha, configuration, description, timeoutMs, rollbackOf: to.id }, by, made));
}

/** What is said of a deployment, besides its status. */
export interface DeploymentReport {
  readonly url?: string | null | undefined;
  readonly description?: string | null | undefined;
}

/**
 * Moves a deployment on. The one that succeeds takes the place of the one that is live, unless a later one has succeeded before it. What is said again changes
 * nothing (`null`).
 */
export function report(
  environment: StoredProjectEnvironment,
  deployment: Deployment,
  active: Deployment | null,
  event: Exclude<DeploymentEvent, 'replaced'>,
  said: DeploymentReport,
  at: Date,
): Result<DeploymentMove | null, IllegalTransition> {
  const transition = deploymentLifecycle[event];
  const { url = deployment.url, description = deployment.description } = said;
  // A success may be told again when a later one has taken its place since.
  const again = event === 'success' ? deployedStatuses.has(deployment.status) : deployment.status === transition.to;
  if (again && url === deployment.url && description === deployment.description) return ok(null);
  if (!again && !transition.from.includes(deployment.status)) {
    return err(new IllegalTransition('deployment', deployment.status, event, legalDeploymentEvents(deployment.status)));
  }
  const told = { ...deployment, url, description, updatedAt: at };
  if (again) return ok({ environment: changed(environment, at, {}), deployment: told, replaced: null });

  const late = event === 'success' && deployment.sequence < environment.activeSequence;
  const status = late ? (transition.late ?? transition.to) : transition.to;
  const moved: Deployment = {
    ...told,
    status,
    startedAt: event === 'running' ? at : deployment.startedAt,
    endedAt: openDeploymentStatuses.has(status) ? null : at,
  };
  if (status !== 'success') return ok({ environment: changed(environment, at, {}), deployment: moved, replaced: null });
  return ok({
    environment: changed(environment, at, { activeDeployment: moved.id, activeSequence: moved.sequence }),
    deployment: moved,
    replaced: active === null ? null : { ...active, status: deploymentLifecycle.replaced.to, updatedAt: at },
  });
}

/** A digest of variables as they are stored: the same for the same variables, and no way back to their values where these are sealed. */
export function digestOf(variables: StoredVariables): string {
  return createHash('sha256').update(encodeVariables(variables)).digest('hex');
}

export function toProjectEnvironment({
  activeSequence: _activeSequence,
  ...environment
}: StoredProjectEnvironment): ProjectEnvironment {
  return environment;
}

function changed(
  environment: StoredProjectEnvironment,
  at: Date,
  fields: Partial<StoredProjectEnvironment>,
): StoredProjectEnvironment {
  return { ...environment, ...fields, version: environment.version + 1, updatedAt: at };
}
