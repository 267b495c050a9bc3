import type { StoredVariables } from '../environments/model.ts';
import type { KeyId } from '../kernel/idempotency.ts';
import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { Change, Loaded, Stored, Written } from '../storage/port.ts';
import type {
  App,
  Deployment,
  DeploymentMove,
  ListedProjectEnvironment,
  ProjectEnvironmentType,
  StoredProjectEnvironment,
  StoredRepo,
} from './model.ts';

/** A stored environment in a list, with the deployment that started last. */
export type StoredListedEnvironment = StoredProjectEnvironment & Pick<ListedProjectEnvironment, 'latest'>;

/** A place in a list of repositories: by provider, then name. */
export interface RepoPosition {
  readonly provider: string;
  readonly nameKey: string;
}

/** A place in a list by name, of which there may be several: then by id. */
export interface NamedPosition {
  readonly name: string;
  readonly id: string;
}

/** What a new app is decided on. */
export interface AppFacts {
  readonly project: boolean;
  readonly repo: boolean;
}

/** What `ensure` is decided on. */
export interface EnsureFacts extends AppFacts {
  readonly environment: StoredProjectEnvironment | null;
}

/** A deployment with what is decided about it. */
export interface DeploymentFacts {
  readonly deployment: Deployment;
  readonly environment: StoredProjectEnvironment;
  /** The deployment that is live in the environment. */
  readonly active: Deployment | null;
}

/** Which project environments a list is of; at least one of project, repository and app. */
export interface ProjectEnvironmentFilter {
  readonly projectId?: string;
  readonly repoId?: string;
  readonly type?: ProjectEnvironmentType;
}

/** The port of repositories, apps, project environments and deployments. */
export interface DeploymentRepository {
  /** The repository of this name, and what is kept under the key. */
  getRepoByName(orgId: string, provider: string, nameKey: string, keyId?: KeyId): Stored<Loaded<StoredRepo>>;

  /** Adds a repository. Names are unique for a provider (`stale`: somebody was quicker). */
  createRepo(command: { readonly repo: StoredRepo; readonly change: Change }): Stored<Written<'stale'>>;

  /** Replaces the repository at `expectedVersion`; its `nameKey` stays. */
  writeRepo(command: {
    readonly repo: StoredRepo;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** The repository, and what is kept under the key. */
  getRepo(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<StoredRepo>>;

  /** By provider, then name. */
  listRepos(orgId: string, page: PageRequest<RepoPosition>): Stored<StoredPage<StoredRepo>>;

  /** Deletes the repository at its version, with its apps and project environments, and their deployments. */
  deleteRepo(command: {
    readonly repo: StoredRepo;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'has_live_previews'>>;

  /** What a new app is decided on, and what is kept under the key. */
  appFacts(
    orgId: string,
    of: { readonly projectId: string; readonly repoId: string },
    keyId?: KeyId,
  ): Stored<AppFacts & Pick<Loaded<never>, 'key'>>;

  /** Adds an app: one for each pair of project and repository (`exists`). `gone`: one of them is not there any more. */
  createApp(command: { readonly app: App; readonly change: Change }): Stored<Written<'exists' | 'gone'>>;

  /** The app, and what is kept under the key. */
  getApp(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<App>>;

  /** By name, then id. */
  listApps(
    orgId: string,
    filter: { readonly projectId?: string; readonly repoId?: string },
    page: PageRequest<NamedPosition>,
  ): Stored<StoredPage<App>>;

  /** Replaces the app at `expectedVersion`. */
  writeApp(command: {
    readonly app: App;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** Deletes the app at its version; not while one of its previews has a runtime. */
  deleteApp(command: {
    readonly app: App;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'has_live_previews'>>;

  /** What `ensure` is decided on, and what is kept under the key. */
  ensureFacts(
    orgId: string,
    of: { readonly projectId: string; readonly repoId: string; readonly environment: string },
    keyId?: KeyId,
  ): Stored<EnsureFacts & Pick<Loaded<never>, 'key'>>;

  /** Adds a project environment: one for each project, repository and name (`stale`: somebody was quicker). `gone`: project or repository are. */
  createEnvironment(command: {
    readonly environment: StoredProjectEnvironment;
    readonly change: Change;
  }): Stored<Written<'stale' | 'gone'>>;

  /** Replaces type, branch and pull request of the environment at `expectedVersion`. */
  writeEnvironment(command: {
    readonly environment: StoredProjectEnvironment;
    readonly previousBranch: string | null;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** The environment, and what is kept under the key. */
  getEnvironment(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<StoredProjectEnvironment>>;

  /** The environment of this project, repository and name. */
  getEnvironmentByName(
    orgId: string,
    of: { readonly projectId: string; readonly repoId: string; readonly environment: string },
  ): Stored<StoredProjectEnvironment | null>;

  /** Environments of a repository that track this branch, by name, then id. */
  listByBranch(
    orgId: string,
    of: { readonly repoId: string; readonly branch: string },
    page: PageRequest<NamedPosition>,
  ): Stored<StoredPage<StoredListedEnvironment>>;

  /** By name, then id, each with the deployment that started last. */
  listEnvironments(
    orgId: string,
    filter: ProjectEnvironmentFilter,
    page: PageRequest<NamedPosition>,
  ): Stored<StoredPage<StoredListedEnvironment>>;

  /** Deletes the environment at its version, with its deployments. */
  deleteEnvironment(command: {
    readonly environment: StoredProjectEnvironment;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** What a start is decided on: the environment, and the version and variables of the configuration environment of its project. */
  startFacts(
    orgId: string,
    of: { readonly projectEnvironmentId: string; readonly configurationId: string | null },
    keyId?: KeyId,
  ): Stored<
    Loaded<StoredProjectEnvironment> & {
      readonly configuration: { readonly version: number; readonly variables: StoredVariables } | null;
    }
  >;

  /** A deployment with what is decided about it, and what is kept under the key. */
  facts(orgId: string, deploymentId: string, keyId?: KeyId): Stored<Loaded<DeploymentFacts>>;

  /** Replaces the environment at `expectedVersion`, adds or replaces the deployment, and replaces the one that is not live any more. */
  move(
    command: DeploymentMove & {
      readonly adds: boolean;
      readonly expectedVersion: number;
      readonly change: Change;
    },
  ): Stored<Written<'not_found' | 'stale'>>;

  /** The deployment. */
  get(orgId: string, id: string): Stored<Deployment | null>;

  /** The deployment that started last; `environment`: whether there is such an environment. */
  latest(
    orgId: string,
    projectEnvironmentId: string,
  ): Stored<{ readonly environment: boolean; readonly deployment: Deployment | null }>;

  /** Newest first, by sequence; `null` when there is no such environment. */
  history(
    orgId: string,
    projectEnvironmentId: string,
    page: PageRequest<number>,
  ): Stored<StoredPage<Deployment> | null>;

  /** At most `limit` deployments that have not ended and whose deadline has passed by `now`, in the order of their ids, behind `after`. */
  due(
    orgId: string,
    request: { readonly now: Date; readonly limit: number; readonly after: string | null },
  ): Stored<readonly Deployment[]>;
}
