import { NotConfigured, unwrap } from '@vivarium/core';
import type { Client, StateChange } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { buildsSnapshot } from './builds-making.ts';
import { deploymentsSnapshot } from './deployments-making.ts';
import { everyCommand, everyCommandMethod } from './every-call.ts';
import { fakeClock } from './fake-clock.ts';
import { previewsSnapshot } from './previews-making.ts';
import type { Suite } from './suite.ts';
import { makeWorld, makeWorldFor, makeWorldOf, worldRunner } from './world.ts';
import type { World } from './world.ts';

/** Work inside the host's own transaction, where the engine has such; where it has none, that is said. */
export function testTransactions(suite: Suite): void {
  describe('inside the transaction of the host', () => {
    /** What the host does in one transaction of its own; nothing where there is none, which is then the test. */
    async function inTransaction(
      client: Client<unknown>,
      work: (inside: Client<unknown>) => Promise<'commit' | 'rollback'>,
    ): Promise<boolean> {
      if (!worksInTransactions(client)) return false;
      await suite.harness.transaction!((given) => work(client.within(given)));
      return true;
    }

    function worksInTransactions(client: Client<unknown>): boolean {
      const { storage, transaction } = suite.harness;
      expect(transaction === undefined, 'the harness opens transactions where the storage works in them').toBe(
        storage.within === undefined,
      );
      if (transaction === undefined) expect(() => client.within({})).toThrow(NotConfigured);
      return transaction !== undefined;
    }

    test.each(everyCommandMethod)('%s: is done when the host commits', async (method) => {
      const { org, ada } = suite.inNewOrg();
      if (!worksInTransactions(ada)) return;
      const world = await makeWorldFor(method, ada);
      const entries = await suite.harness.raw.count('journal', org);
      await inTransaction(ada, async (inside) => {
        await unwrap(everyCommand[method].call(inside, world, { idempotencyKey: 'k' }));
        return 'commit';
      });
      expect(await suite.harness.raw.count('journal', org)).toBe(entries + 1);
      expect(await suite.harness.raw.count('keys', org)).toBe(1);
      await unwrap(everyCommand[method].call(ada, world, { idempotencyKey: 'k' }));
      expect(await suite.harness.raw.count('journal', org)).toBe(entries + 1);
    });

    test.each(everyCommandMethod)('%s: leaves nothing when the host rolls back', async (method) => {
      if (!worksInTransactions(suite.inNewOrg().ada)) return;
      const { org, world, before } = await untouched();
      const ada = suite.vivarium().as({ org, type: 'user', id: 'ada' });
      await inTransaction(ada, async (inside) => {
        await unwrap(everyCommand[method].call(inside, world, { idempotencyKey: 'k' }));
        return 'rollback';
      });
      expect(await everythingIn(ada, org, world)).toEqual(before);
      // Undone, too: that a secret was read is journalled.
      await inTransaction(ada, async (inside) => {
        const password = await unwrap(inside.ephemeral.secrets.read({ ...world.bearer, name: 'PASSWORD' }));
        expect(password.reveal()).toBe('pa55w0rd');
        const answer = await codeOf(everyCommand[method].other(inside, world, { idempotencyKey: 'k' }));
        expect(answer).not.toBe('idempotency_mismatch');
        return 'rollback';
      });
    });

    /** One world for all commands that are undone, because each of them has to leave it as it was made. */
    let shared: ReturnType<typeof makeUntouched> | undefined;
    const untouched = () => (shared ??= makeUntouched());

    async function makeUntouched() {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const before = await everythingIn(ada, org, world);
      expect(before).toMatchObject({
        environments: [world.staging, world.development],
        child: world.child,
        types: [world.type, world.draft, world.cordoned],
        instances: [world.blank, world.inUse, world.asleep, world.stuck, world.ended],
        pending: world.pending,
      });
      return { org, world, before };
    }

    async function everythingIn(client: Client<unknown>, org: string, world: World) {
      const { types, instances, stateChanges } = client.ephemeral;
      const ofAll = <T extends { readonly id: string }, U>(things: readonly T[], get: (id: string) => PromiseLike<U>) =>
        Promise.all(things.map(({ id }) => get(id)));
      return {
        rows: await rows(org),
        environments: [
          await unwrap(client.environments.get(world.staging.ref)),
          await unwrap(client.environments.getDefault(world.project.id)),
        ],
        child: await unwrap(client.projects.get(world.child.id)),
        types: await ofAll([world.type, world.draft, world.cordoned], (id) => unwrap(types.get(id))),
        instances: await ofAll([world.blank, world.inUse, world.asleep, world.stuck, world.ended], (id) =>
          unwrap(instances.get(id)),
        ),
        pending: await unwrap(stateChanges.get(world.pending.id)),
        builds: await buildsSnapshot(client),
        deployments: await deploymentsSnapshot(client),
        previews: await previewsSnapshot(client),
      };
    }

    test('deployments that are refused leave the transaction usable, and what is started inside is seen inside', async () => {
      const { ada } = suite.inNewOrg();
      const { project, repo, production, live, deploying } = await makeWorld(ada);
      const pair = { projectId: project.id, repoId: repo.id };
      const ran = await inTransaction(ada, async ({ deployments }) => {
        await refused(deployments.apps.create({ ...pair, name: 'Another' }), 'app_exists');
        await refused(deployments.report(live.id, { status: 'failed' }), 'illegal_transition');
        const { id } = await unwrap(deployments.environments.ensure({ ...pair, environment: 'inside', branch: 'b' }));
        await unwrap(deployments.environments.ensure({ ...pair, environment: 'inside', branch: 'c' }));
        await refused(deployments.rollback({ projectEnvironmentId: id, to: live.id }), 'not_found');
        const back = await unwrap(deployments.rollback({ projectEnvironmentId: production.id, to: live.id }));
        expect(await unwrap(deployments.latest(production.id))).toEqual(back);
        await unwrap(deployments.report(deploying.id, { status: 'success' }));
        expect(await unwrap(deployments.get(live.id))).toMatchObject({ status: 'inactive' });
        return 'commit';
      });
      if (!ran) return;
      const { environments } = ada.deployments;
      expect(await unwrap(environments.get(production.id))).toMatchObject({
        deploymentSequence: 4,
        activeDeployment: deploying.id,
      });
      const { items } = await unwrap(environments.getByBranch({ repoId: repo.id, branch: 'c' }));
      expect(items.map(({ environment }) => environment)).toEqual(['inside']);
    });

    test('a pipeline is started behind the commit, by a sweep, and never for what was rolled back', async () => {
      const { ada } = suite.inNewOrg();
      if (!worksInTransactions(ada)) return;
      const { blank, pending } = await makeWorldOf('ephemeral', ada);
      const startOf = (id: string) => worldRunner.started.find(({ stateChange }) => stateChange.id === id);
      const begun: StateChange[] = [];
      for (const ending of ['rollback', 'commit'] as const) {
        await inTransaction(ada, async ({ ephemeral }) => {
          begun.push(await unwrap(ephemeral.instances.provision(blank.id)));
          await unwrap(ephemeral.stateChanges.cancel(pending.id));
          expect(await unwrap(ephemeral.sweep())).toMatchObject([{ action: 'call', outcome: 'not_called' }]);
          return ending;
        });
        expect(begun.at(-1)).toMatchObject({ result: 'pending', acceptedAt: null });
        expect(begun.map(({ id }) => startOf(id))).toEqual(begun.map(() => undefined));
      }
      const [undone, { id }] = begun as [StateChange, StateChange];
      expect(await unwrap(ada.ephemeral.sweep())).toMatchObject([
        { instanceId: blank.id, action: 'call', outcome: 'done' },
      ]);
      expect(await unwrap(ada.ephemeral.sweep())).toEqual([]);
      expect(startOf(undone.id)).toBeUndefined();
      expect(worldRunner.canceled).not.toContain(pending.id);
      const { token } = startOf(id)!;
      await unwrap(ada.ephemeral.stateChanges.complete({ stateChangeId: id, token, result: 'passed' }));
      expect((await unwrap(ada.ephemeral.instances.get(blank.id))).state).toBe('ready_to_use');
    });

    test('what sweeps end has ended when the host commits, and goes on when it rolls back', async () => {
      const { org, ada } = suite.inNewOrg();
      if (!worksInTransactions(ada)) return;
      const world = await makeWorld(ada);
      const clock = fakeClock(new Date(Date.now() + 7_200_000));
      const late = suite.vivarium({ clock }).as({ org, type: 'user', id: 'ada' });
      const sweepAll = async ({ ephemeral, builds, deployments }: Client<unknown>) => {
        expect(await unwrap(ephemeral.sweep())).toMatchObject([{ action: 'time_out', outcome: 'done' }]);
        expect(await unwrap(builds.sweep())).toMatchObject([{ buildId: world.running.id, outcome: 'done' }]);
        expect(await unwrap(deployments.sweep())).toMatchObject([{ outcome: 'done' }]);
      };
      const found = async () => ({
        change: (await unwrap(ada.ephemeral.stateChanges.get(world.pending.id))).result,
        build: (await unwrap(ada.builds.get(world.running.id))).status,
        deployment: (await unwrap(ada.deployments.get(world.deploying.id))).status,
        entries: await suite.harness.raw.count('journal', org),
      });
      const before = await found();
      await inTransaction(late, async (inside) => {
        await sweepAll(inside);
        return 'rollback';
      });
      expect(await found()).toEqual(before);
      await inTransaction(late, async (inside) => {
        await sweepAll(inside);
        return 'commit';
      });
      expect(await found()).toEqual({
        change: 'failed',
        build: 'failed',
        deployment: 'failed',
        entries: before.entries + 3,
      });
    });

    test('what was written inside is read inside, and not outside before the commit', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      await inTransaction(ada, async (inside) => {
        const made = await unwrap(inside.environments.create({ projectId: project.id, name: 'QA' }));
        await unwrap(inside.environments.makeDefault(made.ref));
        expect((await unwrap(inside.environments.getDefault(project.id))).id).toBe(made.id);
        expect((await unwrap(inside.environments.list({ projectId: project.id }))).items).toHaveLength(2);
        expect((await unwrap(inside.journal.list())).items).toHaveLength(3);
        return 'rollback';
      });
      expect((await unwrap(ada.environments.list({ projectId: project.id }))).items).toHaveLength(1);
      expect((await unwrap(ada.environments.getDefault(project.id))).name).toBe('Development');
    });

    test('a refused command leaves the transaction usable, and undoes all of itself and nothing else', async () => {
      const { org, ada } = suite.inNewOrg({ limits: { environmentsPerProject: 4 } });
      const world = await makeWorld(ada);
      const before = await rows(org);
      const ran = await inTransaction(ada, async (inside) => {
        const { project, staging, development, child } = world;
        await unwrap(inside.environments.create({ projectId: project.id, name: 'First' }));
        await refused(inside.environments.create({ projectId: project.id, name: 'first' }), 'environment_name_taken');
        await refused(inside.environments.update(staging.ref, { name: 'First' }), 'environment_name_taken');
        await refused(inside.environments.update(staging.ref, { name: 'X', expectedVersion: 9 }), 'stale_version');
        await refused(inside.projects.create({ name: 'Child' }), 'project_name_taken');
        await refused(inside.projects.delete(project.id), 'project_has_children');
        await refused(inside.projects.move(project.id, { parentProjectId: child.id }), 'project_cycle');
        await unwrap(inside.environments.create({ projectId: project.id, name: 'Second' }));
        await refused(inside.environments.create({ projectId: project.id, name: 'Third' }), 'limit_reached');
        await refused(inside.environments.get({ projectId: project.id, id: child.id }), 'not_found');
        await unwrap(inside.environments.makeDefault(staging.ref));
        await unwrap(inside.environments.delete(development.ref));
        return 'commit';
      });
      if (!ran) return;
      expect(await rows(org)).toEqual({
        ...before,
        environments: before.environments + 1,
        journal: before.journal + 4,
        queue: before.queue + 4,
      });
      const { items } = await unwrap(ada.environments.list({ projectId: world.project.id }));
      expect(items.map(({ name }) => name)).toEqual(['Staging', 'First', 'Second']);
    });

    test('a refused command does not hold the host back from rolling back', async () => {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const before = await rows(org);
      const ran = await inTransaction(ada, async (inside) => {
        await unwrap(inside.projects.update(world.child.id, { name: 'Other' }));
        await refused(inside.projects.update(world.child.id, { name: 'World' }), 'project_name_taken');
        return 'rollback';
      });
      if (!ran) return;
      expect(await rows(org)).toEqual(before);
      expect((await unwrap(ada.projects.get(world.child.id))).name).toBe('Child');
    });

    test('a host that throws has everything undone, and the next transaction works', async () => {
      const { ada } = suite.inNewOrg();
      const fault = new Error('the host changed its mind');
      const ran = inTransaction(ada, async (inside) => {
        await unwrap(inside.projects.create({ name: 'P' }));
        throw fault;
      });
      if (suite.harness.transaction === undefined) {
        expect(await ran).toBe(false);
        return;
      }
      await expect(ran).rejects.toBe(fault);
      expect(await codeOf(ada.projects.getByName('P'))).toBe('not_found');
      await inTransaction(ada, async (inside) => {
        await unwrap(inside.projects.create({ name: 'P' }));
        return 'commit';
      });
      expect(await codeOf(ada.projects.getByName('P'))).toBe('ok');
    });

    test('a replay inside answers as outside', async () => {
      const { org, ada } = suite.inNewOrg();
      const create = (client: Client<unknown>) => client.projects.create({ name: 'P', idempotencyKey: 'k' });
      const made = await unwrap(create(ada));
      const ran = await inTransaction(ada, async (inside) => {
        expect(await unwrap(create(inside))).toEqual(made);
        await refused(inside.projects.create({ name: 'Q', idempotencyKey: 'k' }), 'idempotency_mismatch');
        await unwrap(inside.projects.create({ name: 'Q' }));
        return 'commit';
      });
      expect(await suite.harness.raw.count('projects', org)).toBe(ran ? 2 : 1);
    });
  });

  async function rows(org: string) {
    const count = (kind: Parameters<typeof suite.harness.raw.count>[0]) => suite.harness.raw.count(kind, org);
    return {
      projects: await count('projects'),
      environments: await count('environments'),
      journal: await count('journal'),
      queue: await count('queue'),
      keys: await count('keys'),
    };
  }
}
