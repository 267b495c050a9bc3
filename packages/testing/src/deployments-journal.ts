import { commit } from './every-deployment-call.ts';
import type { DeploymentCommandMethod } from './every-deployment-call.ts';
import type { Expected } from './journal.ts';
import type { World } from './world.ts';

/** What happens to the world's `production` is a new version of it. */
const onProduction = (action: string, data: (world: World) => object): Expected => ({
  action,
  subject: 'project_environment',
  sequence: ({ production }) => production.version + 1,
  id: ({ production }) => production.id,
  data,
});
const moved = (action: string, data: (world: World) => object): Expected =>
  onProduction(`deployment.${action}`, (world) => ({
    projectId: world.project.id,
    environment: 'production',
    ...data(world),
  }));

/** What each command of deployments writes into the journal. */
export const deploymentEntries: Readonly<Record<DeploymentCommandMethod, Expected>> = {
  'deployments.repos.register': {
    action: 'repo.registered',
    subject: 'repo',
    sequence: 1,
    id: () => null,
    data: () => ({ provider: 'gitlab', fullName: 'acme/new', defaultBranch: 'trunk' }),
  },
  'deployments.repos.delete': {
    action: 'repo.deleted',
    subject: 'repo',
    sequence: 3,
    id: ({ repo }) => repo.id,
    data: () => ({ provider: 'github', fullName: 'acme/shop' }),
  },
  'deployments.apps.create': {
    action: 'app.created',
    subject: 'app',
    sequence: 1,
    id: () => null,
    data: ({ child, repo }) => ({ projectId: child.id, repoId: repo.id, name: 'New' }),
  },
  'deployments.apps.update': {
    action: 'app.updated',
    subject: 'app',
    sequence: 3,
    id: ({ app }) => app.id,
    data: () => ({ name: 'Renamed' }),
  },
  'deployments.apps.delete': {
    action: 'app.deleted',
    subject: 'app',
    sequence: 3,
    id: ({ app }) => app.id,
    data: ({ project, repo }) => ({ projectId: project.id, repoId: repo.id, name: 'Shop' }),
  },
  'deployments.environments.ensure': onProduction('project_environment.updated', ({ project, repo }) => ({
    projectId: project.id,
    repoId: repo.id,
    environment: 'production',
    type: 'production',
    branch: 'release',
  })),
  'deployments.environments.delete': onProduction('project_environment.deleted', ({ project, repo }) => ({
    projectId: project.id,
    repoId: repo.id,
    environment: 'production',
  })),
  'deployments.start': moved('started', () => ({
    deployment: 4,
    status: 'created',
    gitRef: 'refs/heads/main',
    sha: commit('d'),
  })),
  'deployments.report': moved('success', ({ deploying, live }) => ({
    deploymentId: deploying.id,
    deployment: 3,
    status: 'success',
    gitRef: 'main',
    sha: deploying.sha,
    replaced: live.id,
  })),
  'deployments.cancel': moved('canceled', ({ deploying }) => ({
    deploymentId: deploying.id,
    deployment: 3,
    status: 'canceled',
  })),
  'deployments.rollback': moved('started', ({ deployed }) => ({
    deployment: 4,
    status: 'created',
    gitRef: 'main',
    sha: deployed.sha,
  })),
};
