/** Where rows of deployments become what core knows, and back. Aliases of tables are part of the names of columns: see `columnsOf`. */
import type {
  App,
  Deployment,
  StoredListedEnvironment,
  StoredProjectEnvironment,
  StoredRepo,
} from '@vivarium/core/storage';

import { columnsOf } from './columns.ts';
import type { Dialect, Row } from './dialect.ts';
import type { Diagnosis, DiagnosedTable, NewRow, Step } from './plan.ts';

const text = (value: unknown) => value as string;
const textOrNull = (value: unknown) => (value ?? null) as string | null;
const numberOrNull = (value: unknown) => (value == null ? null : Number(value));
const time = (value: unknown) => new Date(value as string);
const timeOrNull = (value: unknown) => (value == null ? null : time(value));

/** A repository `r`. */
export function repoColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'repos', 'r', ['org_id']);
}

export function toRepo(row: Row): StoredRepo {
  return {
    id: text(row['r_id']),
    provider: text(row['r_provider']),
    fullName: text(row['r_full_name']),
    nameKey: text(row['r_name_key']),
    defaultBranch: text(row['r_default_branch']),
    version: Number(row['r_version']),
    createdAt: time(row['r_created_at']),
    updatedAt: time(row['r_updated_at']),
  };
}

export function repoRow(orgId: string, repo: StoredRepo): NewRow<'repos'> {
  return {
    id: repo.id,
    org_id: orgId,
    provider: repo.provider,
    name_key: repo.nameKey,
    ...registrationOf(repo),
    created_at: repo.createdAt,
  };
}

/** Everything about a repository that registering it again changes. */
export function registrationOf(repo: StoredRepo) {
  return {
    full_name: repo.fullName,
    default_branch: repo.defaultBranch,
    version: repo.version,
    updated_at: repo.updatedAt,
  };
}

/** An app `a`. */
export function appColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'apps', 'a', ['org_id']);
}

export function toApp(row: Row): App {
  return {
    id: text(row['a_id']),
    projectId: text(row['a_project_id']),
    repoId: text(row['a_repo_id']),
    name: text(row['a_name']),
    entrypoint: textOrNull(row['a_entrypoint']),
    version: Number(row['a_version']),
    createdAt: time(row['a_created_at']),
    updatedAt: time(row['a_updated_at']),
  };
}

export function appRow(orgId: string, app: App): NewRow<'apps'> {
  return {
    id: app.id,
    org_id: orgId,
    project_id: app.projectId,
    repo_id: app.repoId,
    ...settingsOf(app),
    created_at: app.createdAt,
  };
}

/** Everything about an app that a change of it may change. */
export function settingsOf(app: App) {
  return { name: app.name, entrypoint: app.entrypoint, version: app.version, updated_at: app.updatedAt };
}

/** A project environment `e`. */
export function projectEnvironmentColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'project_environments', 'e', ['org_id']);
}

export function toProjectEnvironment(row: Row): StoredProjectEnvironment {
  return {
    id: text(row['e_id']),
    projectId: text(row['e_project_id']),
    repoId: text(row['e_repo_id']),
    environment: text(row['e_environment']),
    type: row['e_type'] as StoredProjectEnvironment['type'],
    branch: textOrNull(row['e_branch']),
    pullRequest: numberOrNull(row['e_pull_request']),
    managedBy: textOrNull(row['e_managed_by']),
    deploymentSequence: Number(row['e_deployment_sequence']),
    latestDeployment: textOrNull(row['e_latest_deployment']),
    activeDeployment: textOrNull(row['e_active_deployment']),
    activeSequence: Number(row['e_active_sequence']),
    version: Number(row['e_version']),
    createdAt: time(row['e_created_at']),
    updatedAt: time(row['e_updated_at']),
  };
}

/** An environment with its latest deployment as `d`. */
export function toListed(row: Row): StoredListedEnvironment {
  return { ...toProjectEnvironment(row), latest: deploymentIn(row) };
}

export function projectEnvironmentRow(
  orgId: string,
  environment: StoredProjectEnvironment,
): NewRow<'project_environments'> {
  return {
    id: environment.id,
    org_id: orgId,
    project_id: environment.projectId,
    repo_id: environment.repoId,
    environment: environment.environment,
    ...standingOf(environment),
    created_at: environment.createdAt,
  };
}

/** Everything about a project environment that changes. */
export function standingOf(environment: StoredProjectEnvironment) {
  return {
    type: environment.type,
    branch: environment.branch,
    pull_request: environment.pullRequest,
    managed_by: environment.managedBy,
    deployment_sequence: environment.deploymentSequence,
    latest_deployment: environment.latestDeployment,
    active_deployment: environment.activeDeployment,
    active_sequence: environment.activeSequence,
    version: environment.version,
    updated_at: environment.updatedAt,
  };
}

/** A deployment, `d` unless there are two. */
export function deploymentColumns(dialect: Dialect, alias = 'd'): string {
  return columnsOf(dialect, 'deployments', alias, ['org_id']);
}

export function toDeployment(row: Row, alias = 'd'): Deployment {
  const of = (column: string) => row[`${alias}_${column}`];
  const environmentId = textOrNull(of('configuration_environment_id'));
  return {
    id: text(of('id')),
    projectEnvironmentId: text(of('project_environment_id')),
    sequence: Number(of('sequence')),
    status: of('status') as Deployment['status'],
    gitRef: text(of('git_ref')),
    sha: text(of('sha')),
    url: textOrNull(of('url')),
    description: textOrNull(of('description')),
    rollbackOf: textOrNull(of('rollback_of')),
    configuration:
      environmentId === null
        ? null
        : {
            environmentId,
            version: Number(of('configuration_version')),
            digest: text(of('configuration_digest')),
          },
    createdBy: { type: text(of('created_by_type')), id: text(of('created_by')) },
    deadline: time(of('deadline')),
    createdAt: time(of('created_at')),
    startedAt: timeOrNull(of('started_at')),
    endedAt: timeOrNull(of('ended_at')),
    updatedAt: time(of('updated_at')),
  };
}

/** The deployment of a row that may have none. */
export function deploymentIn(row: Row, alias = 'd'): Deployment | null {
  return row[`${alias}_id`] == null ? null : toDeployment(row, alias);
}

export function deploymentRow(orgId: string, deployment: Deployment): NewRow<'deployments'> {
  const { configuration } = deployment;
  return {
    org_id: orgId,
    project_environment_id: deployment.projectEnvironmentId,
    sequence: deployment.sequence,
    id: deployment.id,
    git_ref: deployment.gitRef,
    sha: deployment.sha,
    rollback_of: deployment.rollbackOf,
    configuration_environment_id: configuration?.environmentId ?? null,
    configuration_version: configuration?.version ?? null,
    configuration_digest: configuration?.digest ?? null,
    created_by_type: deployment.createdBy.type,
    created_by: deployment.createdBy.id,
    deadline: deployment.deadline,
    created_at: deployment.createdAt,
    ...courseOf(deployment),
  };
}

/** Everything about a deployment that a move changes. */
function courseOf(deployment: Deployment) {
  return {
    status: deployment.status,
    url: deployment.url,
    description: deployment.description,
    started_at: deployment.startedAt,
    ended_at: deployment.endedAt,
    updated_at: deployment.updatedAt,
  };
}

/** Replaces a deployment, whose environment is locked. */
export function moveOn(orgId: string, deployment: Deployment): Step<'stale'> {
  const { projectEnvironmentId, sequence, id } = deployment;
  return {
    do: 'update',
    table: 'deployments',
    set: courseOf(deployment),
    where: { org_id: orgId, project_environment_id: projectEnvironmentId, sequence, id },
    rows: 1,
    else: 'stale',
  };
}

/** The verdict on a row that had to be there at a version. */
export function atVersion(
  table: DiagnosedTable & ('repos' | 'apps' | 'project_environments'),
  { id }: { readonly id: string },
  version: number,
): Diagnosis<'not_found' | 'stale'> {
  return {
    row: { table, id },
    verdict: ({ row }) => (row === null ? 'not_found' : Number(row['version']) === version ? null : 'stale'),
  };
}
