import { unwrap } from '@vivarium/core';
import type { Client, Deployment, ListedProjectEnvironment, ProjectEnvironment, Repo } from '@vivarium/core';

import { commit } from './every-deployment-call.ts';
import { everything } from './paging.ts';

/** A project, a repository, and the environment `production` of the two. */
export async function makeEnvironment(
  client: Client<unknown>,
  environment = 'production',
): Promise<{ readonly projectId: string; readonly repo: Repo; readonly environment: ProjectEnvironment }> {
  const { id: projectId } = await unwrap(client.projects.create({ name: 'Shop' }));
  const repo = await unwrap(client.deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
  const wanted = { projectId, repoId: repo.id, environment };
  return { projectId, repo, environment: await unwrap(client.deployments.environments.ensure(wanted)) };
}

/** A deployment that has started, and gone as far as it is said. */
export async function deploy(
  { deployments }: Client<unknown>,
  { id: projectEnvironmentId }: { readonly id: string },
  ...reports: readonly ('running' | 'success' | 'failed')[]
): Promise<Deployment> {
  const started = await unwrap(deployments.start({ projectEnvironmentId, gitRef: 'main', sha: commit('0') }));
  let deployment = started;
  for (const status of reports) deployment = await unwrap(deployments.report(started.id, { status }));
  return deployment;
}

/** All deployments of an environment, newest first. */
export function historyOf({ deployments }: Client<unknown>, projectEnvironmentId: string): Promise<Deployment[]> {
  return everything((page) => deployments.history({ projectEnvironmentId, ...page }));
}

/** Everything of deployments that an org can see of itself. */
export async function deploymentsSnapshot(client: Client<unknown>): Promise<object> {
  const { repos, apps, environments } = client.deployments;
  const registered = await everything((page) => repos.list(page));
  const places: ListedProjectEnvironment[] = [];
  for (const { id: repoId } of registered) {
    places.push(...(await everything((page) => environments.list({ repoId, ...page }))));
  }
  const histories = [];
  for (const { id } of places) histories.push(await historyOf(client, id));
  return { repos: registered, apps: await everything((page) => apps.list(page)), places, histories };
}
