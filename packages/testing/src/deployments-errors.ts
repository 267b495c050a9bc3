import { unwrap } from '@vivarium/core';
import type { Client, ResultAsync, VivariumError } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { deploymentsSnapshot } from './deployments-making.ts';
import { deploymentWriterOf } from './deployments-stored.ts';
import { commit, nameOf } from './every-deployment-call.ts';
import type { Suite } from './suite.ts';
import { makeWorldOf } from './world.ts';
import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;

const what = { gitRef: 'main', sha: commit('e') };

/** Every call of something that is not there, of deployments. */
export function nowhereDeployments(client: Client<unknown>, world: World, nowhere: string): readonly Answer[] {
  const { deployments } = client;
  const { repos, apps, environments } = deployments;
  const { project, child, repo, app, production, preview, live } = world;
  const pairs = [
    { projectId: nowhere, repoId: repo.id },
    { projectId: project.id, repoId: nowhere },
  ];
  return [
    repos.get(nowhere),
    repos.delete(nowhere),
    apps.get(nowhere),
    apps.update(nowhere, { name: 'X' }),
    apps.delete(nowhere),
    ...pairs.flatMap((pair) => [
      apps.create({ ...pair, name: 'X' }),
      environments.ensure({ ...pair, environment: 'x' }),
      environments.getByName({ ...pair, environment: 'production' }),
    ]),
    environments.get(nowhere),
    environments.getByName({ ...nameOf(world), environment: 'nowhere' }),
    environments.getByName({ ...nameOf(world), projectId: child.id }),
    environments.delete(nowhere),
    deployments.start({ projectEnvironmentId: nowhere, ...what }),
    deployments.start({ projectEnvironmentId: production.id, ...what, configuration: { environmentId: nowhere } }),
    deployments.report(nowhere, { status: 'running' }),
    deployments.cancel(nowhere),
    deployments.get(nowhere),
    deployments.latest(nowhere),
    deployments.history({ projectEnvironmentId: nowhere }),
    deployments.rollback({ projectEnvironmentId: production.id, to: nowhere }),
    deployments.rollback({ projectEnvironmentId: nowhere, to: live.id }),
    // Of another environment, or of another kind, and so not there either.
    deployments.rollback({ projectEnvironmentId: preview.id, to: live.id }),
    repos.get(app.id),
    apps.get(repo.id),
    environments.get(app.id),
    deployments.get(production.id),
  ];
}

/** Every error that only deployments have. */
export function testDeploymentErrors(suite: Suite): void {
  describe('errors of deployments', () => {
    test('a second app of a project and a repository says that there is one', async () => {
      const { ada, org, world } = await inNewWorld();
      const before = await deploymentsSnapshot(ada);
      const pair = { projectId: world.project.id, repoId: world.repo.id };
      await refused(ada.deployments.apps.create({ ...pair, name: 'Another', idempotencyKey: 'k' }), 'app_exists');
      expect(await deploymentsSnapshot(ada)).toEqual(before);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
    });

    test('what cannot be said of a deployment any more is illegal_transition, and so is going back to what never was', async () => {
      const { ada, world } = await inNewWorld();
      const { deployments } = ada;
      const { production, deployed, deploying } = world;
      await unwrap(deployments.cancel(deploying.id));
      const before = await deploymentsSnapshot(ada);
      for (const { id } of [deployed, deploying]) {
        for (const status of ['running', 'failed'] as const) {
          const error = await refused(deployments.report(id, { status }), 'illegal_transition');
          expect(error.legal).toEqual([]);
        }
      }
      await refused(deployments.report(deploying.id, { status: 'success' }), 'illegal_transition');
      await refused(deployments.cancel(deployed.id), 'illegal_transition');
      await refused(
        deployments.rollback({ projectEnvironmentId: production.id, to: deploying.id }),
        'illegal_transition',
      );
      expect(await deploymentsSnapshot(ada)).toEqual(before);
    });

    test('what the previews of an app drive is managed_by_preview for everybody else, and is read as ever', async () => {
      const { ada, org, world } = await inNewWorld();
      const { deployments } = ada;
      const { app } = world;
      const pair = { projectId: app.projectId, repoId: app.repoId };
      const write = deploymentWriterOf(suite.harness.storage, org);
      const driven = await write.environment(pair, 'pr-7', { type: 'preview', managedBy: app.id, branch: 'seven' });
      const first = await write.go(await write.start(driven), 'success');
      const { deployment } = await write.start(first.environment);
      const before = await deploymentsSnapshot(ada);
      const named = { ...pair, environment: 'pr-7' };
      for (const answer of [
        deployments.environments.ensure({ ...named, branch: 'other' }),
        deployments.environments.delete(driven.id),
        deployments.start({ projectEnvironmentId: driven.id, ...what }),
        deployments.report(deployment.id, { status: 'running' }),
        deployments.cancel(deployment.id),
        deployments.rollback({ projectEnvironmentId: driven.id, to: first.deployment.id }),
      ]) {
        expect(await refused(answer, 'managed_by_preview')).toMatchObject({ appId: app.id });
      }
      expect(await deploymentsSnapshot(ada)).toEqual(before);

      // What is as it is wanted is no change.
      const found = await unwrap(deployments.environments.ensure({ ...named, branch: 'seven' }));
      expect(found).toMatchObject({ id: driven.id, managedBy: app.id, version: 4 });
      expect(await unwrap(deployments.environments.getByName(named))).toEqual(found);
      expect(await unwrap(deployments.latest(driven.id))).toEqual(deployment);
    });

    test('a key outlives the repository, the environment and the deployment that were made under it', async () => {
      const { ada } = suite.inNewOrg();
      const { repos, environments } = ada.deployments;
      const { id: projectId } = await unwrap(ada.projects.create({ name: 'P' }));
      const register = () => repos.register({ provider: 'github', fullName: 'a/b', idempotencyKey: 'repo' });
      const repo = await unwrap(register());
      const ensure = () =>
        environments.ensure({ projectId, repoId: repo.id, environment: 'x', idempotencyKey: 'environment' });
      const environment = await unwrap(ensure());
      const start = () =>
        ada.deployments.start({ projectEnvironmentId: environment.id, ...what, idempotencyKey: 'deployment' });
      const deployment = await unwrap(start());
      expect(await unwrap(start())).toEqual(deployment);
      await unwrap(repos.delete(repo.id));
      for (const redelivered of [register(), ensure(), start()]) await refused(redelivered, 'not_found');
      expect((await unwrap(repos.list())).items).toEqual([]);
    });

    test('a command that loses the race eight times is stale_version and has changed nothing', async () => {
      const { ada, org, world } = await inNewWorld();
      const { deployments } = ada;
      let races = 0;
      const rivals: Readonly<Record<'repo' | 'environment', () => Answer>> = {
        repo: () =>
          deployments.repos.register({ provider: 'github', fullName: 'acme/shop', defaultBranch: `b${++races}` }),
        environment: () => deployments.environments.ensure({ ...nameOf(world), branch: `b${++races}` }),
      };
      const slow = (whose: 'repo' | 'environment') =>
        clientOn(
          org,
          overtaken(suite.harness.storage, async () => void (await unwrap(rivals[whose]()))),
        ).deployments;
      const { production, deploying, deployed } = world;
      const losing: readonly ['repo' | 'environment', (of: Client<unknown>['deployments']) => Answer][] = [
        ['repo', ({ repos }) => repos.register({ provider: 'github', fullName: 'ACME/shop' })],
        ['repo', ({ repos }) => repos.delete(world.repo.id)],
        ['environment', ({ environments }) => environments.ensure({ ...nameOf(world), type: 'other' })],
        ['environment', ({ environments }) => environments.delete(production.id)],
        ['environment', (of) => of.start({ projectEnvironmentId: production.id, ...what })],
        ['environment', (of) => of.report(deploying.id, { status: 'success' })],
        ['environment', (of) => of.cancel(deploying.id)],
        ['environment', (of) => of.rollback({ projectEnvironmentId: production.id, to: deployed.id })],
      ];
      for (const [whose, call] of losing) {
        races = 0;
        await refused(call(slow(whose)), 'stale_version');
        expect(races).toBe(8);
      }
      expect(await unwrap(deployments.get(deploying.id))).toEqual(world.deploying);
      const after = await unwrap(deployments.environments.get(production.id));
      expect(after).toMatchObject({ type: 'production', branch: 'b8', latestDeployment: deploying.id });
      expect(await unwrap(deployments.repos.get(world.repo.id))).toMatchObject({ fullName: 'acme/shop' });
      expect((await unwrap(ada.journal.list({ actor: { type: 'user', id: 'slow' } }))).items).toEqual([]);
    });

    test('what is gone when it is written is never written: a project, and a repository', async () => {
      const { ada, org, world } = await inNewWorld();
      const believing = clientOn(org, credulous(suite.harness.storage)).deployments;
      const nowhere = '00000000-0000-7000-8000-00000000dead';
      const before = await deploymentsSnapshot(ada);
      for (const pair of [
        { projectId: nowhere, repoId: world.repo.id },
        { projectId: world.child.id, repoId: nowhere },
      ]) {
        await refused(believing.apps.create({ ...pair, name: 'X' }), 'stale_version');
        await refused(believing.environments.ensure({ ...pair, environment: 'x' }), 'stale_version');
      }
      expect(await deploymentsSnapshot(ada)).toEqual(before);
    });

    test('what is deleted between the load of a command and its write is not_found', async () => {
      const { ada, org, world } = await inNewWorld();
      const { repo, app, production, deploying, deployed } = world;
      const late: readonly [() => Answer, (of: Client<unknown>['deployments']) => Answer][] = [
        [() => ada.deployments.apps.delete(app.id), ({ apps }) => apps.update(app.id, { name: 'X' })],
        [() => ada.deployments.apps.delete(world.spareApp.id), ({ apps }) => apps.delete(world.spareApp.id)],
        [() => ada.deployments.repos.delete(world.spareRepo.id), ({ repos }) => repos.delete(world.spareRepo.id)],
        [
          () => ada.deployments.environments.delete(world.preview.id),
          ({ environments }) => environments.delete(world.preview.id),
        ],
        [
          () => ada.deployments.environments.delete(production.id),
          (of) => of.start({ projectEnvironmentId: production.id, ...what }),
        ],
        [
          () => ada.deployments.repos.delete(repo.id),
          ({ environments }) => environments.ensure({ ...nameOf(world), branch: 'x' }),
        ],
      ];
      for (const [rival, call] of late) {
        let gone = false;
        const storage = overtaken(suite.harness.storage, async () => {
          if (!gone) await unwrap(rival());
          gone = true;
        });
        expect(await codeOf(call(clientOn(org, storage).deployments))).toBe('not_found');
      }
      for (const { id } of [deploying, deployed]) await refused(ada.deployments.get(id), 'not_found');
    });
  });

  async function inNewWorld() {
    const { org, ada } = suite.inNewOrg();
    return { org, ada, world: await makeWorldOf('deployments', ada) };
  }

  function clientOn(org: string, storage: Storage<unknown>): Client<unknown> {
    return suite.vivarium({ storage }).as({ org, type: 'user', id: 'slow' });
  }
}

/** The same storage, where somebody else is quicker between each load of a command and the write that follows. */
function overtaken(storage: Storage<unknown>, rival: () => Promise<void>): Storage<unknown> {
  const { deployments } = storage;
  const late = async <T>(facts: T): Promise<T> => {
    await rival();
    return facts;
  };
  return {
    ...storage,
    deployments: {
      ...deployments,
      getRepoByName: (...args) => deployments.getRepoByName(...args).map(late),
      getRepo: (...args) => deployments.getRepo(...args).map(late),
      getApp: (...args) => deployments.getApp(...args).map(late),
      ensureFacts: (...args) => deployments.ensureFacts(...args).map(late),
      getEnvironment: (...args) => deployments.getEnvironment(...args).map(late),
      startFacts: (...args) => deployments.startFacts(...args).map(late),
      facts: (...args) => deployments.facts(...args).map(late),
    },
  };
}

/** The same storage, which believes that every project and every repository is there. */
function credulous(storage: Storage<unknown>): Storage<unknown> {
  const { deployments } = storage;
  const there = { project: true, repo: true };
  return {
    ...storage,
    deployments: {
      ...deployments,
      appFacts: (...args) => deployments.appFacts(...args).map((facts) => ({ ...facts, ...there })),
      ensureFacts: (...args) => deployments.ensureFacts(...args).map((facts) => ({ ...facts, ...there })),
    },
  };
}
