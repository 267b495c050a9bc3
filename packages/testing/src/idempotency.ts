import { err, StorageFailure, unwrap } from '@vivarium/core';
import type { Environment, Project, ResultAsync } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { codeOf, refused, together } from './answers.ts';
import { everyCommand, everyCommandMethod } from './every-call.ts';
import { fakeClock } from './fake-clock.ts';
import type { Suite } from './suite.ts';
import { makeWorld, makeWorldFor } from './world.ts';

const day = 24 * 60 * 60 * 1_000;

/** A command under a key has its effect once, whatever happens in between. */
export function testIdempotency(suite: Suite): void {
  describe('idempotency', () => {
    test.each(everyCommandMethod)(
      '%s: for 7 days a replay answers the same, another input is idempotency_mismatch, and neither changes anything; then the key is free',
      async (method) => {
        const clock = fakeClock();
        const { org, ada } = suite.inNewOrg({ clock });
        const world = await makeWorldFor(method, ada);
        const call = () => everyCommand[method].call(ada, world, { idempotencyKey: 'a key' });
        const other = () => everyCommand[method].other(ada, world, { idempotencyKey: 'a key' });
        const first = await unwrap(call());
        const entries = await suite.harness.raw.count('journal', org);
        const error = await refused(other(), 'idempotency_mismatch');
        expect(error.method).toBe(method);
        clock.advance(7 * day - 1);
        expect(await unwrap(call())).toEqual(first);
        await refused(other(), 'idempotency_mismatch');
        expect(await suite.harness.raw.count('journal', org)).toBe(entries);
        expect(await suite.harness.raw.count('keys', org)).toBe(1);

        clock.advance(1);
        const answer = await codeOf(other());
        expect(answer).not.toBe('idempotency_mismatch');
        if (answer === 'ok') {
          await unwrap(other());
          await refused(call(), 'idempotency_mismatch');
        }
        expect(await suite.harness.raw.count('keys', org)).toBeLessThanOrEqual(1);
      },
    );

    test.each(everyCommandMethod)(
      '%s: 8 calls at once under one key have one effect and the same answer',
      async (method) => {
        const org = suite.newOrg();
        const ada = { org, type: 'user', id: 'ada' };
        const storages = [suite.harness.storage, await suite.other()];
        const clients = storages.map((storage) => suite.vivarium({ storage }).as(ada));
        const world = await makeWorldFor(method, clients[0]!);
        const entries = await suite.harness.raw.count('journal', org);
        const answers = await together(8, (index) =>
          unwrap(everyCommand[method].call(clients[index % 2]!, world, { idempotencyKey: 'one' })),
        );
        for (const answer of answers) expect(written(answer)).toEqual(written(answers[0]));
        expect(await suite.harness.raw.count('journal', org)).toBe(entries + 1);
        expect(await suite.harness.raw.count('keys', org)).toBe(1);
      },
    );

    test.each(everyCommandMethod)(
      '%s: sent again after its answer was lost, has had its effect once',
      async (method) => {
        const { org, ada } = suite.inNewOrg();
        const world = await makeWorldFor(method, ada);
        const entries = await suite.harness.raw.count('journal', org);
        const storage = losingAnswers(suite.harness.storage);
        const unlucky = suite.vivarium({ storage }).as({ org, type: 'user', id: 'ada' });
        const options = { idempotencyKey: 'a key' };
        const error = await refused(everyCommand[method].call(unlucky, world, options), 'storage_failure');
        expect(error.outcome).toBe('unknown');
        await unwrap(everyCommand[method].call(ada, world, options));
        expect(await suite.harness.raw.count('journal', org)).toBe(entries + 1);
      },
    );

    test('a key that has expired is written over in the same write', async () => {
      const clock = fakeClock();
      const { org, ada } = suite.inNewOrg({ clock });
      const create = (name: string) => ada.projects.create({ name, idempotencyKey: 'again and again' });
      const first = await unwrap(create('First'));
      clock.advance(7 * day);
      const second = await unwrap(create('Second'));
      expect(second.id).not.toBe(first.id);
      expect(await unwrap(create('Second'))).toEqual(second);
      await refused(create('First'), 'idempotency_mismatch');
      expect(await suite.harness.raw.count('keys', org)).toBe(1);
      expect(await suite.harness.raw.count('projects', org)).toBe(2);
    });

    test('20 calls at once find the same expired key, and one of them takes it', async () => {
      const clock = fakeClock();
      const { org, ada } = suite.inNewOrg({ clock });
      await unwrap(ada.projects.create({ name: 'First', idempotencyKey: 'k' }));
      clock.advance(7 * day);
      const answers = await together(20, () => unwrap(ada.projects.create({ name: 'Second', idempotencyKey: 'k' })));
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(await suite.harness.raw.count('projects', org)).toBe(2);
    });

    test('of two inputs at once under one key one wins', async () => {
      const { org, ada } = suite.inNewOrg();
      const answers = await together(20, (index) =>
        codeOf(ada.projects.create({ name: `P ${index % 2}`, idempotencyKey: 'one' })),
      );
      expect(new Set(answers)).toEqual(new Set(['ok', 'idempotency_mismatch']));
      expect(answers.filter((code) => code === 'ok')).toHaveLength(10);
      expect(await suite.harness.raw.count('projects', org)).toBe(1);
    });

    test('a key outlives what was made under it: nothing is resurrected', async () => {
      const { org, ada } = suite.inNewOrg();
      const makeProject = () => ada.projects.create({ name: 'P', description: 'd', idempotencyKey: 'p' });
      const project: Project = await unwrap(makeProject());
      const makeEnvironment = () =>
        ada.environments.create({
          projectId: project.id,
          name: 'E',
          variables: [{ key: 'A', value: '1', description: 'd' }],
          idempotencyKey: 'e',
        });
      const environment: Environment = await unwrap(makeEnvironment());
      const deleteEnvironment = () => ada.environments.delete(environment.ref, { idempotencyKey: 'de' });
      const deleteProject = () => ada.projects.delete(project.id, { idempotencyKey: 'dp' });

      await unwrap(deleteEnvironment());
      expect(await unwrap(makeEnvironment())).toEqual(environment);
      await unwrap(deleteEnvironment());
      await refused(ada.environments.get(environment.ref), 'not_found');

      await unwrap(deleteProject());
      expect(await unwrap(makeProject())).toEqual(project);
      expect(await unwrap(makeEnvironment())).toEqual(environment);
      await unwrap(deleteProject());
      await unwrap(deleteEnvironment());
      await refused(ada.projects.get(project.id), 'not_found');
      for (const kind of ['projects', 'environments'] as const)
        expect(await suite.harness.raw.count(kind, org)).toBe(0);
      expect(await suite.harness.raw.count('journal', org)).toBe(4);
    });

    test('a refused command keeps no key: the same call may succeed later', async () => {
      const { org, ada } = suite.inNewOrg({ limits: { environmentsPerProject: 2 } });
      const world = await makeWorld(ada);
      const create = () =>
        ada.environments.create({ projectId: world.project.id, name: 'Third', idempotencyKey: 'third' });
      await refused(create(), 'limit_reached');
      await refused(
        ada.environments.update(world.staging.ref, { name: 'Development', idempotencyKey: 'rename' }),
        'environment_name_taken',
      );
      await refused(ada.projects.delete(world.project.id, { idempotencyKey: 'delete' }), 'project_has_children');
      await refused(ada.projects.create({ name: 'World', idempotencyKey: 'world' }), 'project_name_taken');
      await refused(
        ada.environments.setVariables(world.staging.ref, { variables: [], expectedVersion: 9, idempotencyKey: 'set' }),
        'stale_version',
      );
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      await unwrap(ada.environments.delete(world.staging.ref));
      const third = await unwrap(create());
      expect(await unwrap(create())).toEqual(third);
    });

    test('one key is another key for another method and for another org', async () => {
      const [one, two] = [suite.inNewOrg(), suite.inNewOrg()];
      const options = { idempotencyKey: 'the same everywhere' };
      const made = await unwrap(one.ada.projects.create({ name: 'P', ...options }));
      const other = await unwrap(two.ada.projects.create({ name: 'Q', ...options }));
      expect(other.id).not.toBe(made.id);
      const environment = await unwrap(one.ada.environments.create({ projectId: made.id, name: 'E', ...options }));
      await unwrap(one.ada.environments.makeDefault(environment.ref, options));
      await unwrap(one.ada.environments.delete(environment.ref, options));
      expect(await suite.harness.raw.count('keys', one.org)).toBe(4);
      expect(await suite.harness.raw.count('keys', two.org)).toBe(1);
    });

    test('a key belongs to the org, not to the caller', async () => {
      const org = suite.newOrg();
      const [ada, bob] = ['ada', 'bob'].map((id) => suite.vivarium().as({ org, type: 'user', id }));
      const made = await unwrap(ada!.projects.create({ name: 'P', idempotencyKey: 'k' }));
      expect(await unwrap(bob!.projects.create({ name: 'P', idempotencyKey: 'k' }))).toEqual(made);
    });

    test('keys that look alike are different keys', async () => {
      const { org, ada } = suite.inNewOrg();
      const keys = ['key', 'KEY', 'key ', ' key', 'ke\u0301y', 'k\u00e9y', '🧪', 'x'.repeat(255), "k'", 'k%', 'k_'];
      for (const [index, idempotencyKey] of keys.entries()) {
        await unwrap(ada.projects.create({ name: `P ${index}`, idempotencyKey }));
      }
      expect(await suite.harness.raw.count('keys', org)).toBe(keys.length);
    });

    test('the database shows neither a key nor the input that was given with it', async () => {
      const { org, ada } = suite.inNewOrg();
      const key = `c4n4ry-key-${org}`;
      const value = `c4n4ry-value-${org}`;
      const project = await unwrap(
        ada.projects.create({
          name: 'P',
          environments: [{ name: 'A', variables: [{ key: 'A', value }] }, { name: 'B' }],
          idempotencyKey: key,
        }),
      );
      const { ref } = await unwrap(ada.environments.getDefault(project.id));
      await unwrap(
        ada.environments.setVariables(ref, { variables: [{ key: 'A', value: `${value}2` }], idempotencyKey: key }),
      );
      await unwrap(
        ada.environments.patchVariables(ref, { set: [{ key: 'A', value: `${value}3` }], idempotencyKey: key }),
      );
      await unwrap(ada.environments.delete(ref, { idempotencyKey: key }));
      const dump = await suite.harness.raw.dump();
      expect(dump).toContain(project.id);
      expect(dump).not.toContain(key);
      expect(dump).not.toContain(value);
    });

    test('an aborted signal stops a command before anything is written', async () => {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const entries = await suite.harness.raw.count('journal', org);
      for (const method of everyCommandMethod) {
        const error = await refused(
          everyCommand[method].call(ada, world, { signal: AbortSignal.abort(), idempotencyKey: 'k' }),
          'storage_failure',
        );
        expect(error).toMatchObject({ outcome: 'none', retryable: true });
      }
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
    });
  });
}

/** An answer without what the runner says once the change was written: a replay may be quicker than the runner. */
function written(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !('acceptedAt' in answer)) return answer;
  return { ...answer, acceptedAt: null, executionPipelineId: null, executionId: null };
}

/** The same storage behind a connection that breaks after every write, before its answer has come. */
function losingAnswers(storage: Storage<unknown>): Storage<unknown> {
  const lost = <T>(written: ResultAsync<T, StorageFailure>): ResultAsync<T, StorageFailure> =>
    written.andThen(() => err(new StorageFailure('the connection was lost', { retryable: true, outcome: 'unknown' })));
  const { projects, environments, ephemeral, catalog, builds, deployments, previews } = storage;
  return {
    ...storage,
    catalog: {
      ...catalog,
      create: (command) => lost(catalog.create(command)),
      update: (command) => lost(catalog.update(command)),
      delete: (command) => lost(catalog.delete(command)),
    },
    builds: {
      ...builds,
      addPlan: (command) => lost(builds.addPlan(command)),
      add: (command) => lost(builds.add(command)),
      move: (command) => lost(builds.move(command)),
      attachManifest: (command) => lost(builds.attachManifest(command)),
      resolveFailure: (command) => lost(builds.resolveFailure(command)),
    },
    deployments: {
      ...deployments,
      createRepo: (command) => lost(deployments.createRepo(command)),
      writeRepo: (command) => lost(deployments.writeRepo(command)),
      deleteRepo: (command) => lost(deployments.deleteRepo(command)),
      createApp: (command) => lost(deployments.createApp(command)),
      writeApp: (command) => lost(deployments.writeApp(command)),
      deleteApp: (command) => lost(deployments.deleteApp(command)),
      createEnvironment: (command) => lost(deployments.createEnvironment(command)),
      writeEnvironment: (command) => lost(deployments.writeEnvironment(command)),
      deleteEnvironment: (command) => lost(deployments.deleteEnvironment(command)),
      move: (command) => lost(deployments.move(command)),
    },
    previews: {
      ...previews,
      create: (command) => lost(previews.create(command)),
      write: (command) => lost(previews.write(command)),
      writeSecret: (command) => lost(previews.writeSecret(command)),
      removeSecret: (command) => lost(previews.removeSecret(command)),
    },
    ephemeral: {
      ...ephemeral,
      createType: (command) => lost(ephemeral.createType(command)),
      writeType: (command) => lost(ephemeral.writeType(command)),
      createInstance: (command) => lost(ephemeral.createInstance(command)),
      writeInstance: (command) => lost(ephemeral.writeInstance(command)),
      removeInstance: (command) => lost(ephemeral.removeInstance(command)),
      startChange: (command) => lost(ephemeral.startChange(command)),
      endChange: (command) => lost(ephemeral.endChange(command)),
      writeSecret: (command) => lost(ephemeral.writeSecret(command)),
    },
    projects: {
      ...projects,
      create: (command) => lost(projects.create(command)),
      update: (command) => lost(projects.update(command)),
      move: (command) => lost(projects.move(command)),
      delete: (command) => lost(projects.delete(command)),
    },
    environments: {
      ...environments,
      create: (command) => lost(environments.create(command)),
      update: (command) => lost(environments.update(command)),
      setVariables: (command) => lost(environments.setVariables(command)),
      makeDefault: (command) => lost(environments.makeDefault(command)),
      delete: (command) => lost(environments.delete(command)),
    },
  };
}
