import { isOverdue } from '../../deployments/model.ts';
import type { StoredProjectEnvironment, StoredRepo } from '../../deployments/model.ts';
import type { DeploymentRepository, NamedPosition, StoredListedEnvironment } from '../../deployments/repository.ts';
import { decodeVariables } from '../../environments/model.ts';
import type { PageRequest, StoredPage } from '../../kernel/paging.ts';
import { compareBytes } from '../../kernel/text.ts';
import { forgetScope } from './data-keys.ts';
import { forgetPreview, hasLivePreviews } from './previews.ts';
import { row } from './tables.ts';
import type { OrgTables, Session } from './tables.ts';
import { answer, keptUnder, write } from './writing.ts';

export function memoryDeployments(session: Session): DeploymentRepository {
  const { tables } = session;
  return {
    getRepoByName: (orgId, provider, nameKey, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: repoNamed(org, provider, nameKey), key: keptUnder(org, keyId) };
      }),

    createRepo: ({ repo, change }) =>
      write(
        session,
        change,
        (org) => (repoNamed(org, repo.provider, repo.nameKey) === null ? null : 'stale'),
        (org) => org.repos.set(repo.id, row(repo)),
      ),

    writeRepo: ({ repo, expectedVersion, change }) =>
      write(session, change, atVersion('repos', repo.id, expectedVersion), (org) => org.repos.set(repo.id, row(repo))),

    getRepo: (orgId, id, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: org.repos.get(id) ?? null, key: keptUnder(org, keyId) };
      }),

    listRepos: (orgId, { limit, after }) =>
      answer(session, () => {
        const order = (a: { provider: string; nameKey: string }, b: { provider: string; nameKey: string }) =>
          compareBytes(a.provider, b.provider) || compareBytes(a.nameKey, b.nameKey);
        const behind = [...tables.of(orgId).repos.values()]
          .filter((repo) => after === null || order(repo, after) > 0)
          .sort(order);
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    deleteRepo: ({ repo, change }) =>
      write(
        session,
        change,
        (org) =>
          atVersion('repos', repo.id, repo.version)(org) ??
          (hasLivePreviews(org, ({ repoId }) => repoId === repo.id) ? 'has_live_previews' : null),
        (org) => {
          org.repos.delete(repo.id);
          forgetDeployments(org, ({ repoId }) => repoId === repo.id);
        },
      ),

    appFacts: (orgId, { projectId, repoId }, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { project: org.projects.has(projectId), repo: org.repos.has(repoId), key: keptUnder(org, keyId) };
      }),

    createApp: ({ app, change }) =>
      write(
        session,
        change,
        (org) => {
          const { projectId, repoId } = app;
          const taken = [...org.apps.values()].some((one) => one.projectId === projectId && one.repoId === repoId);
          if (taken) return 'exists';
          return org.projects.has(projectId) && org.repos.has(repoId) ? null : 'gone';
        },
        (org) => org.apps.set(app.id, row(app)),
      ),

    getApp: (orgId, id, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: org.apps.get(id) ?? null, key: keptUnder(org, keyId) };
      }),

    listApps: (orgId, filter, page) =>
      answer(session, () =>
        named(
          [...tables.of(orgId).apps.values()].filter((app) => matches(app, filter)),
          ({ name, id }) => ({ name, id }),
          page,
        ),
      ),

    writeApp: ({ app, expectedVersion, change }) =>
      write(session, change, atVersion('apps', app.id, expectedVersion), (org) => org.apps.set(app.id, row(app))),

    deleteApp: ({ app, change }) =>
      write(
        session,
        change,
        (org) =>
          atVersion('apps', app.id, app.version)(org) ??
          (hasLivePreviews(org, ({ appId }) => appId === app.id) ? 'has_live_previews' : null),
        (org) => forgetApp(org, app.id),
      ),

    ensureFacts: (orgId, of, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return {
          project: org.projects.has(of.projectId),
          repo: org.repos.has(of.repoId),
          environment: environmentNamed(org, of),
          key: keptUnder(org, keyId),
        };
      }),

    createEnvironment: ({ environment, change }) =>
      write(
        session,
        change,
        (org) => {
          if (environmentNamed(org, environment) !== null) return 'stale';
          return org.projects.has(environment.projectId) && org.repos.has(environment.repoId) ? null : 'gone';
        },
        (org) => org.projectEnvironments.set(environment.id, row(environment)),
      ),

    writeEnvironment: ({ environment, expectedVersion, change }) =>
      write(session, change, atVersion('projectEnvironments', environment.id, expectedVersion), (org) =>
        org.projectEnvironments.set(environment.id, row(environment)),
      ),

    getEnvironment: (orgId, id, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: org.projectEnvironments.get(id) ?? null, key: keptUnder(org, keyId) };
      }),

    getEnvironmentByName: (orgId, of) => answer(session, () => environmentNamed(tables.of(orgId), of)),

    listByBranch: (orgId, of, page) => answer(session, () => listed(tables.of(orgId), of, page)),

    listEnvironments: (orgId, filter, page) => answer(session, () => listed(tables.of(orgId), filter, page)),

    deleteEnvironment: ({ environment, change }) =>
      write(session, change, atVersion('projectEnvironments', environment.id, environment.version), (org) =>
        forgetEnvironment(org, environment.id),
      ),

    startFacts: (orgId, { projectEnvironmentId, configurationId }, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const found = org.projectEnvironments.get(projectEnvironmentId) ?? null;
        const configuration = configurationId === null ? undefined : org.environments.get(configurationId);
        return {
          found,
          configuration:
            configuration === undefined || configuration.projectId !== found?.projectId
              ? null
              : { version: configuration.version, variables: decodeVariables(configuration.variables) },
          key: keptUnder(org, keyId),
        };
      }),

    facts: (orgId, deploymentId, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const deployment = org.deployments.get(deploymentId);
        const key = keptUnder(org, keyId);
        if (deployment === undefined) return { found: null, key };
        const environment = org.projectEnvironments.get(deployment.projectEnvironmentId)!;
        const { activeDeployment } = environment;
        const active = activeDeployment === null ? null : (org.deployments.get(activeDeployment) ?? null);
        return { found: { deployment, environment, active }, key };
      }),

    move: ({ environment, deployment, replaced, expectedVersion, change }) =>
      write(session, change, atVersion('projectEnvironments', environment.id, expectedVersion), (org) => {
        org.projectEnvironments.set(environment.id, row(environment));
        org.deployments.set(deployment.id, row(deployment));
        if (replaced !== null) org.deployments.set(replaced.id, row(replaced));
      }),

    get: (orgId, id) => answer(session, () => tables.of(orgId).deployments.get(id) ?? null),

    latest: (orgId, projectEnvironmentId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const environment = org.projectEnvironments.get(projectEnvironmentId);
        return { environment: environment !== undefined, deployment: latestOf(org, environment) };
      }),

    history: (orgId, projectEnvironmentId, { limit, after }) =>
      answer(session, () => {
        const org = tables.of(orgId);
        if (!org.projectEnvironments.has(projectEnvironmentId)) return null;
        const behind = [...org.deployments.values()]
          .filter((deployment) => deployment.projectEnvironmentId === projectEnvironmentId)
          .filter(({ sequence }) => after === null || sequence < after)
          .sort((a, b) => b.sequence - a.sequence);
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    due: (orgId, { now, limit, after }) =>
      answer(session, () =>
        [...tables.of(orgId).deployments.values()]
          .filter(
            (deployment) => isOverdue(deployment, now) && (after === null || compareBytes(deployment.id, after) > 0),
          )
          .sort((a, b) => compareBytes(a.id, b.id))
          .slice(0, limit),
      ),
  };
}

/** What goes with a project, or with a repository: its apps, and its project environments with their deployments. */
export function forgetDeployments(
  org: OrgTables,
  goes: (of: { readonly projectId: string; readonly repoId: string }) => boolean,
): void {
  for (const app of org.apps.values()) if (goes(app)) forgetApp(org, app.id);
  for (const environment of org.projectEnvironments.values()) {
    if (goes(environment)) forgetEnvironment(org, environment.id);
  }
}

function forgetApp(org: OrgTables, id: string): void {
  org.apps.delete(id);
  forgetScope(org, { type: 'app', id });
  for (const [key, { appId }] of org.appSecrets) if (appId === id) org.appSecrets.delete(key);
  for (const { id: environmentId, managedBy } of org.projectEnvironments.values()) {
    if (managedBy === id) forgetEnvironment(org, environmentId);
  }
}

function forgetEnvironment(org: OrgTables, id: string): void {
  org.projectEnvironments.delete(id);
  forgetPreview(org, id);
  for (const deployment of org.deployments.values()) {
    if (deployment.projectEnvironmentId === id) org.deployments.delete(deployment.id);
  }
}

function atVersion(
  table: 'repos' | 'apps' | 'projectEnvironments',
  id: string,
  expectedVersion: number,
): (org: OrgTables) => 'not_found' | 'stale' | null {
  return (org) => {
    const there = org[table].get(id);
    if (there === undefined) return 'not_found';
    return there.version === expectedVersion ? null : 'stale';
  };
}

function repoNamed(org: OrgTables, provider: string, nameKey: string): StoredRepo | null {
  return [...org.repos.values()].find((repo) => repo.provider === provider && repo.nameKey === nameKey) ?? null;
}

function environmentNamed(
  org: OrgTables,
  of: { readonly projectId: string; readonly repoId: string; readonly environment: string },
): StoredProjectEnvironment | null {
  const { projectId, repoId, environment } = of;
  return [...org.projectEnvironments.values()].find((one) => matches(one, { projectId, repoId, environment })) ?? null;
}

function latestOf(org: OrgTables, environment: StoredProjectEnvironment | undefined) {
  const id = environment?.latestDeployment ?? null;
  return id === null ? null : (org.deployments.get(id) ?? null);
}

function listed(
  org: OrgTables,
  filter: Partial<StoredProjectEnvironment>,
  page: PageRequest<NamedPosition>,
): StoredPage<StoredListedEnvironment> {
  const found = [...org.projectEnvironments.values()]
    .filter((environment) => matches(environment, filter))
    .map((environment) => ({ ...environment, latest: latestOf(org, environment) }));
  return named(found, ({ environment, id }) => ({ name: environment, id }), page);
}

function matches<T extends object>(item: T, filter: Partial<T>): boolean {
  return (Object.keys(filter) as (keyof T)[]).every((field) => item[field] === filter[field]);
}

/** By name, then id. */
function named<T>(
  items: readonly T[],
  positionOf: (item: T) => NamedPosition,
  { limit, after }: PageRequest<NamedPosition>,
): StoredPage<T> {
  const order = (a: NamedPosition, b: NamedPosition) => compareBytes(a.name, b.name) || compareBytes(a.id, b.id);
  const behind = items
    .filter((item) => after === null || order(positionOf(item), after) > 0)
    .sort((a, b) => order(positionOf(a), positionOf(b)));
  return { items: behind.slice(0, limit), more: behind.length > limit };
}
