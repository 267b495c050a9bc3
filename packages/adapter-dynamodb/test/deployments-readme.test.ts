import { readFileSync } from 'node:fs';

import { unwrap } from '@vivarium/core';
import type { App, Client, Deployment, Method, ProjectEnvironment, Repo } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

type DeploymentMethod = Extract<Method, `deployments.${string}`>;

/** A project with an app of a repository and two environments that track branches, of which one has a live deployment and another one under way. */
interface World {
  readonly deployments: Client['deployments'];
  readonly projectId: string;
  readonly configurationId: string;
  readonly repo: Repo;
  readonly other: Repo;
  readonly app: App;
  readonly staging: ProjectEnvironment;
  readonly live: Deployment;
  readonly open: Deployment;
}

const sha = 'a'.repeat(40);

/** Each method as the table in the README measures it. */
const calls: Record<DeploymentMethod, (world: World) => Answer> = {
  'deployments.repos.register': ({ deployments }) =>
    deployments.repos.register({ provider: 'github', fullName: 'acme/new' }),
  'deployments.repos.get': ({ deployments, repo }) => deployments.repos.get(repo.id),
  'deployments.repos.list': ({ deployments }) => deployments.repos.list(),
  'deployments.repos.delete': ({ deployments, repo }) => deployments.repos.delete(repo.id),
  'deployments.apps.create': ({ deployments, projectId, other }) =>
    deployments.apps.create({ projectId, repoId: other.id, name: 'Shop' }),
  'deployments.apps.get': ({ deployments, app }) => deployments.apps.get(app.id),
  'deployments.apps.list': ({ deployments, projectId }) => deployments.apps.list({ projectId }),
  'deployments.apps.update': ({ deployments, app }) => deployments.apps.update(app.id, { entrypoint: 'apps/shop' }),
  'deployments.apps.delete': ({ deployments, app }) => deployments.apps.delete(app.id),
  'deployments.environments.ensure': ({ deployments, projectId, repo }) =>
    deployments.environments.ensure({ projectId, repoId: repo.id, environment: 'pr-7', branch: 'feature/login' }),
  'deployments.environments.get': ({ deployments, staging }) => deployments.environments.get(staging.id),
  'deployments.environments.getByName': ({ deployments, projectId, repo }) =>
    deployments.environments.getByName({ projectId, repoId: repo.id, environment: 'staging' }),
  'deployments.environments.getByBranch': ({ deployments, repo }) =>
    deployments.environments.getByBranch({ repoId: repo.id, branch: 'main' }),
  'deployments.environments.list': ({ deployments, projectId }) => deployments.environments.list({ projectId }),
  'deployments.environments.delete': ({ deployments, staging }) => deployments.environments.delete(staging.id),
  'deployments.start': ({ deployments, staging, configurationId }) =>
    deployments.start({
      projectEnvironmentId: staging.id,
      gitRef: 'main',
      sha,
      configuration: { environmentId: configurationId },
    }),
  'deployments.report': ({ deployments, open }) =>
    deployments.report(open.id, { status: 'success', url: 'https://staging.shop.example.com' }),
  'deployments.cancel': ({ deployments, open }) => deployments.cancel(open.id),
  'deployments.get': ({ deployments, live }) => deployments.get(live.id),
  'deployments.latest': ({ deployments, staging }) => deployments.latest(staging.id),
  'deployments.history': ({ deployments, staging }) => deployments.history({ projectEnvironmentId: staging.id }),
  'deployments.rollback': ({ deployments, staging, live }) =>
    deployments.rollback({ projectEnvironmentId: staging.id, to: live.id }),
  'deployments.sweep': ({ deployments }) => deployments.sweep(),
};

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] the table of the README, of deployments', () => {
    let bench: Bench;
    let orgs = 0;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    const makeWorld = async (): Promise<World> => {
      const { projects, environments, deployments } = bench.as(`org-${++orgs}`);
      const project = unwrap(await projects.create({ name: 'Shop' }));
      const [repo, other] = [
        unwrap(await deployments.repos.register({ provider: 'github', fullName: 'acme/shop' })),
        unwrap(await deployments.repos.register({ provider: 'github', fullName: 'acme/bank' })),
      ];
      const of = { projectId: project.id, repoId: repo.id };
      const ensure = async (environment: string) =>
        unwrap(await deployments.environments.ensure({ ...of, environment, branch: 'main' }));
      const staging = await ensure('staging');
      await ensure('production');
      const start = async () =>
        unwrap(await deployments.start({ projectEnvironmentId: staging.id, gitRef: 'main', sha }));
      const live = await start();
      unwrap(await deployments.report(live.id, { status: 'running' }));
      unwrap(await deployments.report(live.id, { status: 'success' }));
      const open = await start();
      unwrap(await deployments.report(open.id, { status: 'running' }));
      return {
        deployments,
        projectId: project.id,
        configurationId: unwrap(await environments.getDefault(project.id)).id,
        repo,
        other,
        app: unwrap(await deployments.apps.create({ ...of, name: 'Shop' })),
        staging,
        live,
        open,
      };
    };

    test.each(Object.keys(calls) as DeploymentMethod[])('%s', async (method) => {
      const world = await makeWorld();
      const { operations, readUnits, writeUnits, value } = await bench.traffic(async () => await calls[method](world));
      expect(value.isOk()).toBe(true);
      const counted = Object.entries(Object.groupBy(operations, (operation) => operation)).map(([operation, all]) =>
        all!.length === 1 ? operation : `${all!.length} ${operation}`,
      );
      const line = readme.split('\n').find((row) => row.startsWith(`| \`${method}\` `)) ?? '';
      const cells = line.split('|').map((cell) => cell.trim());
      expect([cells[2], cells[4], cells[5]]).toEqual([counted.join(' + '), `${readUnits}`, `${writeUnits}`]);
    });
  });
});
