import type { Client, CommandOptions, Method, ResultAsync, VivariumError } from '@vivarium/core';

import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;
type Call<Options> = (client: Client<unknown>, world: World, options: Options) => Answer;

/** Options that fit every command: those that make something have no version to expect. */
type Options = Omit<CommandOptions, 'expectedVersion'>;

interface Command {
  readonly call: Call<CommandOptions>;
  readonly other: Call<CommandOptions>;
  readonly versioned: boolean;
}

/** A commit that is as good as any other. */
export const commit = (digit: string) => digit.repeat(40);

/** Where `production` is, by its name. */
export function nameOf({ production: { projectId, repoId, environment } }: World) {
  return { projectId, repoId, environment };
}

/** One call of each command of deployments; see `everyCommand`. */
export const everyDeploymentCommand = {
  'deployments.repos.register': {
    call: ({ deployments }, _world, options: Options) =>
      deployments.repos.register({ provider: 'gitlab', fullName: 'acme/new', defaultBranch: 'trunk', ...options }),
    other: ({ deployments }, _world, options: Options) =>
      deployments.repos.register({ provider: 'gitlab', fullName: 'acme/new', defaultBranch: 'other', ...options }),
    versioned: false,
  },
  'deployments.repos.delete': {
    call: ({ deployments }, { repo }, options) => deployments.repos.delete(repo.id, options),
    other: ({ deployments }, { spareRepo }, options) => deployments.repos.delete(spareRepo.id, options),
    versioned: true,
  },
  'deployments.apps.create': {
    call: ({ deployments }, { child, repo }, options: Options) =>
      deployments.apps.create({ projectId: child.id, repoId: repo.id, name: 'New', entrypoint: 'app', ...options }),
    other: ({ deployments }, { child, repo }, options: Options) =>
      deployments.apps.create({ projectId: child.id, repoId: repo.id, name: 'New', ...options }),
    versioned: false,
  },
  'deployments.apps.update': {
    call: ({ deployments }, { app }, options) => deployments.apps.update(app.id, { name: 'Renamed', ...options }),
    other: ({ deployments }, { app }, options) => deployments.apps.update(app.id, { entrypoint: null, ...options }),
    versioned: true,
  },
  'deployments.apps.delete': {
    call: ({ deployments }, { app }, options) => deployments.apps.delete(app.id, options),
    other: ({ deployments }, { spareApp }, options) => deployments.apps.delete(spareApp.id, options),
    versioned: true,
  },
  'deployments.environments.ensure': {
    call: ({ deployments }, world, options: Options) =>
      deployments.environments.ensure({ ...nameOf(world), branch: 'release', ...options }),
    other: ({ deployments }, world, options: Options) =>
      deployments.environments.ensure({ ...nameOf(world), type: 'other', ...options }),
    versioned: false,
  },
  'deployments.environments.delete': {
    call: ({ deployments }, { production }, options) => deployments.environments.delete(production.id, options),
    other: ({ deployments }, { preview }, options) => deployments.environments.delete(preview.id, options),
    versioned: true,
  },
  'deployments.start': {
    call: ({ deployments }, { production, staging }, options: Options) =>
      deployments.start({
        projectEnvironmentId: production.id,
        gitRef: 'refs/heads/main',
        sha: commit('d'),
        description: 'a new one',
        timeoutMs: 5_000,
        configuration: { environmentId: staging.id },
        ...options,
      }),
    other: ({ deployments }, { production }, options: Options) =>
      deployments.start({ projectEnvironmentId: production.id, gitRef: 'main', sha: commit('d'), ...options }),
    versioned: false,
  },
  'deployments.report': {
    call: ({ deployments }, { deploying }, options: Options) =>
      deployments.report(deploying.id, { status: 'success', url: 'https://shop.example.com/', ...options }),
    other: ({ deployments }, { deploying }, options: Options) =>
      deployments.report(deploying.id, { status: 'failed', ...options }),
    versioned: false,
  },
  'deployments.cancel': {
    call: ({ deployments }, { deploying }, options: Options) => deployments.cancel(deploying.id, options),
    other: ({ deployments }, { deployed }, options: Options) => deployments.cancel(deployed.id, options),
    versioned: false,
  },
  'deployments.rollback': {
    call: ({ deployments }, { production, deployed }, options) =>
      deployments.rollback({ projectEnvironmentId: production.id, to: deployed.id, ...options }),
    other: ({ deployments }, { production, live }, options) =>
      deployments.rollback({ projectEnvironmentId: production.id, to: live.id, ...options }),
    versioned: true,
  },
} as const satisfies Partial<Record<Method, Command>>;

export type DeploymentCommandMethod = keyof typeof everyDeploymentCommand;

type DeploymentRead = Exclude<Extract<Method, `deployments.${string}`>, DeploymentCommandMethod>;

/** One call of each other method of deployments. */
export const everyDeploymentRead: Readonly<Record<DeploymentRead, (client: Client<unknown>, world: World) => Answer>> =
  {
    'deployments.repos.get': ({ deployments }, { repo }) => deployments.repos.get(repo.id),
    'deployments.repos.list': ({ deployments }) => deployments.repos.list({ limit: 100 }),
    'deployments.apps.get': ({ deployments }, { app }) => deployments.apps.get(app.id),
    'deployments.apps.list': ({ deployments }, { project, repo }) =>
      deployments.apps.list({ projectId: project.id, repoId: repo.id }),
    'deployments.environments.get': ({ deployments }, { production }) => deployments.environments.get(production.id),
    'deployments.environments.getByName': ({ deployments }, world) => deployments.environments.getByName(nameOf(world)),
    'deployments.environments.getByBranch': ({ deployments }, { repo }) =>
      deployments.environments.getByBranch({ repoId: repo.id, branch: 'main' }),
    'deployments.environments.list': ({ deployments }, { project, repo }) =>
      deployments.environments.list({ projectId: project.id, repoId: repo.id, type: 'production' }),
    'deployments.get': ({ deployments }, { live }) => deployments.get(live.id),
    'deployments.latest': ({ deployments }, { production }) => deployments.latest(production.id),
    'deployments.history': ({ deployments }, { production }) =>
      deployments.history({ projectEnvironmentId: production.id }),
    'deployments.sweep': ({ deployments }) => deployments.sweep({ limit: 100, dryRun: true }),
  };
