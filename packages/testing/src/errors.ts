import { inspect } from 'node:util';
import { methodErrors, ResultAsync, unwrap } from '@vivarium/core';
import type { Client, Method } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { codeOf, refused, together } from './answers.ts';
import { callByName, everyCall, everyCommand, everyCommandMethod } from './every-call.ts';
import { malformedCalls } from './malformed-calls.ts';
import { nowhereBuilds } from './builds-errors.ts';
import { buildsSnapshot } from './builds-making.ts';
import { nowhereDeployments } from './deployments-errors.ts';
import { deploymentsSnapshot } from './deployments-making.ts';
import { nowhereEphemeral } from './ephemeral-errors.ts';
import { nowherePreviews } from './previews-errors.ts';
import { previewsSnapshot } from './previews-making.ts';
import type { Suite } from './suite.ts';
import { makeWorld, makeWorldFor } from './world.ts';

const methods = Object.keys(methodErrors) as readonly Method[];

/**
 * In the table because the result types have them, but never given: what is created in an existing project, or of a type, expects no version and
 * loses no race that would have to be run again, nor does what is added to the catalog; `rewrap` takes no input and opens no value.
 */
const neverGiven = new Set([
  'environments.create stale_version',
  'ephemeral.types.create stale_version',
  'ephemeral.instances.create stale_version',
  'builds.catalog.platforms.create stale_version',
  'builds.catalog.osVersions.create stale_version',
  'builds.catalog.imageTypes.create stale_version',
  'keys.rewrap invalid_input',
  'keys.rewrap unsealing_failed',
]);

/** Every error of every method, where a storage has a part in it. */
export function testErrors(suite: Suite): void {
  describe('errors', () => {
    test('every method is called here, and those that are no commands succeed in a world that has what they ask for', async () => {
      const { ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      for (const { method, call } of everyCall) {
        if ((everyCommandMethod as readonly Method[]).includes(method)) continue;
        expect([method, await codeOf(call(ada, world))]).toEqual([method, 'ok']);
      }
      expect(everyCall.map(({ method }) => method).toSorted()).toEqual(methods.toSorted());
    });

    test.each(methods.filter((method) => method !== 'keys.rewrap'))(
      '%s: malformed input is invalid_input and names its place',
      async (method) => {
        const { ada } = suite.inNewOrg();
        expect(malformedCalls[method].length).toBeGreaterThan(0);
        for (const { args, path } of malformedCalls[method]) {
          const error = await refused(callByName(ada, method, args), 'invalid_input');
          expect(
            error.issues.map((issue) => issue.path),
            inspect(args, { getters: false }),
          ).toContain(path);
        }
      },
    );

    test('a policy that says no, or throws, or says no later, is access_denied for every method and changes nothing', async () => {
      const org = suite.newOrg();
      const ada = { org, type: 'user', id: 'ada' };
      const world = await makeWorld(suite.vivarium().as(ada));
      const before = await stateOf(suite, org);
      for (const allows of [() => false, () => Promise.resolve(false), () => Promise.reject(new Error('no')), throws]) {
        const denied = suite.vivarium({ policy: { allows } }).as(ada);
        for (const { method, call } of everyCall) {
          const error = await refused(call(denied, world), 'access_denied');
          expect(error).toMatchObject({ action: method, actor: { type: 'user', id: 'ada' } });
        }
      }
      expect(await stateOf(suite, org)).toEqual(before);
    });

    test('what is not there is not_found, by every method that asks for it', async () => {
      const { ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const nowhere = '00000000-0000-7000-8000-00000000dead';
      const gone = { projectId: world.project.id, id: nowhere };
      const elsewhere = { projectId: world.child.id, id: world.staging.id };

      for (const answer of [
        ada.projects.create({ name: 'X', parentProjectId: nowhere }),
        ada.projects.get(nowhere),
        ada.projects.getByName('Nowhere'),
        ada.projects.update(nowhere, { name: 'X' }),
        ada.projects.move(nowhere, { parentProjectId: null }),
        ada.projects.move(world.child.id, { parentProjectId: nowhere }),
        ada.projects.ancestors(nowhere),
        ada.projects.delete(nowhere),
        ada.environments.create({ projectId: nowhere, name: 'X' }),
        ada.environments.getByName(world.project.id, 'Nowhere'),
        ada.environments.getByName(nowhere, 'Staging'),
        ada.environments.getDefault(nowhere),
        ada.environments.list({ projectId: nowhere }),
        ada.environments.search({ projectId: nowhere }),
        ada.environments.stats(nowhere),
        ada.environments.diff(world.staging.ref, gone),
        ada.environments.diff(gone, world.staging.ref),
        ada.environments.delete(world.staging.ref, { promote: gone }),
        ada.environments.delete(world.staging.ref, { promote: world.staging.ref }),
        ada.environments.delete(world.development.ref, { promote: elsewhere }),
        ada.environments.reveal(world.staging.ref, { keys: ['HOST', 'NOWHERE'] }),
        ada.journal.retryParked(nowhere),
        ...nowhereEphemeral(ada, world, nowhere),
        ...nowhereBuilds(ada, world, nowhere),
        ...nowhereDeployments(ada, world, nowhere),
        ...nowherePreviews(ada, world, nowhere),
      ]) {
        expect(await codeOf(answer)).toBe('not_found');
      }
      for (const ref of [gone, elsewhere, { projectId: nowhere, id: world.staging.id }]) {
        for (const answer of [
          ada.environments.get(ref),
          ada.environments.update(ref, { name: 'X' }),
          ada.environments.setVariables(ref, { variables: [] }),
          ada.environments.patchVariables(ref, {}),
          ada.environments.makeDefault(ref),
          ada.environments.duplicate(ref, { name: 'X' }),
          ada.environments.delete(ref),
          ada.environments.reveal(ref, { keys: ['HOST'] }),
          ada.environments.resolve(ref),
          ada.environments.render(ref, 'x'),
        ]) {
          expect(await codeOf(answer)).toBe('not_found');
        }
      }
      expect((await unwrap(ada.environments.get(world.staging.ref))).version).toBe(1);
      expect((await unwrap(ada.environments.getDefault(world.project.id))).id).toBe(world.development.id);
    });

    test.each(everyCommandMethod.filter((method) => everyCommand[method].versioned))(
      '%s: a version that is not the current one is stale_version and changes nothing',
      async (method) => {
        const { org, ada } = suite.inNewOrg();
        const world = await makeWorldFor(method, ada);
        if (/^(projects|environments)\./.test(method)) {
          await unwrap(ada.projects.update(world.project.id, { description: 'x' }));
          await unwrap(ada.projects.update(world.child.id, { description: 'x' }));
          await unwrap(ada.environments.update(world.development.ref, { description: 'x' }));
          await unwrap(ada.environments.update(world.staging.ref, { description: 'x' }));
        }
        const before = await stateOf(suite, org);
        const far = 1_000_000;
        const { actual } = await refused(
          everyCommand[method].call(ada, world, { expectedVersion: far }),
          'stale_version',
        );
        expect(actual).toBeGreaterThan(1);
        for (const expectedVersion of [actual! - 1, actual! + 1]) {
          const error = await refused(everyCommand[method].call(ada, world, { expectedVersion }), 'stale_version');
          expect(error).toMatchObject({ expected: expectedVersion, actual });
        }
        expect(await stateOf(suite, org)).toEqual(before);
        await unwrap(everyCommand[method].call(ada, world, { expectedVersion: actual! }));
      },
    );

    test('a command that loses the race eight times is stale_version and has changed nothing', async () => {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const leaf = await unwrap(ada.projects.create({ name: 'Leaf' }));
      let races = 0;
      const rival = async () => {
        races++;
        await unwrap(ada.projects.move(leaf.id, { parentProjectId: races % 2 === 0 ? null : world.project.id }));
      };
      const slow = suite
        .vivarium({ storage: overtaken(suite.harness.storage, rival) })
        .as({ org, type: 'user', id: 'slow' });

      const before = await unwrap(ada.projects.list());
      await refused(slow.projects.create({ name: 'Late', parentProjectId: world.project.id }), 'stale_version');
      expect(races).toBe(8);
      await refused(slow.projects.move(world.child.id, { parentProjectId: null }), 'stale_version');
      expect(races).toBe(16);
      expect((await unwrap(ada.projects.list())).items.map(({ name }) => name)).toEqual(
        before.items.map(({ name }) => name),
      );
      expect((await unwrap(ada.journal.list({ actor: { type: 'user', id: 'slow' } }))).items).toEqual([]);
    });

    test('a project with children is not deleted', async () => {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const before = await stateOf(suite, org);
      await refused(ada.projects.delete(world.project.id), 'project_has_children');
      expect(await stateOf(suite, org)).toEqual(before);
      await unwrap(ada.projects.delete(world.child.id));
      await unwrap(ada.projects.delete(world.project.id));
    });

    test('names that are taken are refused by every method that gives one', async () => {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      const before = await stateOf(suite, org);
      await refused(ada.projects.create({ name: 'WORLD' }), 'project_name_taken');
      await refused(ada.projects.update(world.child.id, { name: 'world' }), 'project_name_taken');
      const inProject = { projectId: world.project.id };
      await refused(ada.environments.create({ ...inProject, name: 'STAGING' }), 'environment_name_taken');
      await refused(ada.environments.update(world.development.ref, { name: 'staging' }), 'environment_name_taken');
      await refused(ada.environments.duplicate(world.development.ref, { name: 'Staging' }), 'environment_name_taken');
      expect(await stateOf(suite, org)).toEqual(before);

      await unwrap(ada.projects.update(world.project.id, { name: 'WORLD' }));
      await unwrap(ada.environments.update(world.staging.ref, { name: 'STAGING' }));
      expect((await unwrap(ada.environments.getByName(world.project.id, 'staging'))).name).toBe('STAGING');
    });

    test('limits are limit_reached for what would take an owner over them', async () => {
      const { org, ada: unlimited } = suite.inNewOrg();
      const world = await makeWorld(unlimited);
      const limits = { environmentsPerProject: 2, variablesPerEnvironment: 2, variableBytesPerEnvironment: 100 };
      const ada = suite.vivarium({ limits }).as({ org, type: 'user', id: 'ada' });
      const before = await stateOf(suite, org);
      const inProject = { projectId: world.project.id };
      const full = { limit: 'environmentsPerProject', maximum: 2 };
      expect(await refused(ada.environments.create({ ...inProject, name: 'X' }), 'limit_reached')).toMatchObject(full);
      expect(
        await refused(ada.environments.duplicate(world.staging.ref, { name: 'X' }), 'limit_reached'),
      ).toMatchObject(full);
      const patch = (...set: { key: string; value: string }[]) =>
        ada.environments.patchVariables(world.staging.ref, { set });
      expect(await refused(patch({ key: 'A', value: '' }, { key: 'B', value: '' }), 'limit_reached')).toMatchObject({
        limit: 'variablesPerEnvironment',
        maximum: 2,
      });
      expect(await refused(patch({ key: 'A', value: 'x'.repeat(60) }), 'limit_reached')).toMatchObject({
        limit: 'variableBytesPerEnvironment',
        maximum: 100,
      });
      expect(await stateOf(suite, org)).toEqual(before);
    });

    test('16 levels of projects are held, one more is limit_reached', async () => {
      const { ada } = suite.inNewOrg();
      let parentProjectId: string | null = null;
      const chain: string[] = [];
      for (let level = 1; level <= 16; level++) {
        const { id }: { id: string } = await unwrap(ada.projects.create({ name: `Level ${level}`, parentProjectId }));
        chain.push(id);
        parentProjectId = id;
      }
      const deep = { limit: 'projectDepth', maximum: 16 };
      expect(await refused(ada.projects.create({ name: 'Level 17', parentProjectId }), 'limit_reached')).toMatchObject(
        deep,
      );
      const other = await unwrap(ada.projects.create({ name: 'Other' }));
      expect(await refused(ada.projects.move(other.id, { parentProjectId }), 'limit_reached')).toMatchObject(deep);
      expect(await refused(ada.projects.move(chain[0]!, { parentProjectId: other.id }), 'limit_reached')).toMatchObject(
        deep,
      );
      await refused(ada.projects.move(chain[0]!, { parentProjectId }), 'project_cycle');
      expect(await unwrap(ada.projects.ancestors(parentProjectId!))).toHaveLength(15);
    });

    test('the last environment stays', async () => {
      const { org, ada } = suite.inNewOrg();
      const world = await makeWorld(ada);
      await unwrap(ada.environments.delete(world.development.ref));
      const before = await stateOf(suite, org);
      await refused(ada.environments.delete(world.staging.ref), 'last_environment');
      expect(await stateOf(suite, org)).toEqual(before);
    });

    test('sensitive variables without keys are not_configured, to write and to read', async () => {
      const { org, ada: withKeys } = suite.inNewOrg();
      const { project, staging } = await makeWorld(withKeys);
      const before = await stateOf(suite, org);
      const ada = suite.vivarium({ keys: undefined }).as({ org, type: 'user', id: 'ada' });
      const variables = [{ key: 'TOKEN', value: 's3cr3t', sensitive: true }];
      for (const answer of [
        ada.projects.create({ name: 'X', environments: [{ name: 'X', variables }] }),
        ada.environments.create({ projectId: project.id, name: 'X', variables }),
        ada.environments.setVariables(staging.ref, { variables }),
        ada.environments.patchVariables(staging.ref, { set: variables }),
      ]) {
        const error = await refused(answer, 'not_configured');
        expect(error).toMatchObject({ port: 'keys' });
        expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('s3cr3t');
      }
      expect(await stateOf(suite, org)).toEqual(before);

      const address = { orgId: org, ...staging.ref };
      const sealed =
        '[{"key":"TOKEN","sensitive":true,"sealed":"vv1.x","sealVersion":1},{"key":"A","value":"{{TOKEN}}"}]';
      await suite.harness.raw.setEnvironmentVariables(address, sealed);
      expect((await unwrap(ada.environments.get(staging.ref))).variables).toEqual([
        { key: 'TOKEN', sensitive: true, hasValue: true },
        { key: 'A', value: '{{TOKEN}}', sensitive: false },
      ]);
      for (const answer of [
        ada.environments.duplicate(staging.ref, { name: 'X' }),
        ada.environments.reveal(staging.ref, { keys: ['TOKEN'] }),
        ada.environments.resolve(staging.ref),
        ada.environments.render(staging.ref, '{{A}}'),
      ]) {
        await refused(answer, 'unsealing_failed');
      }
      await unwrap(ada.environments.patchVariables(staging.ref, { set: [{ key: 'A', value: '1' }] }));
      expect(JSON.parse(await suite.harness.raw.environmentVariables(address))).toEqual([
        { key: 'TOKEN', sensitive: true, sealed: 'vv1.x', sealVersion: 1 },
        { key: 'A', value: '1' },
      ]);
    });

    test('stored variables that refer to one another too much are refused when they are read', async () => {
      const { ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      const make = async (name: string, values: Readonly<Record<string, string>>) => {
        const variables = Object.entries(values).map(([key, value]) => ({ key, value }));
        return (await unwrap(ada.environments.create({ projectId: project.id, name, variables }))).ref;
      };
      const cycle = await make('cycle', { A: '{{B}}', B: '{{C}}', C: '{{A}}' });
      const laughs = await make('laughs', {
        L0: 'x'.repeat(20_000),
        ...Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`L${index + 1}`, `{{L${index}}}`.repeat(10)])),
      });
      const plain = await make('plain', { HEADER: 'a\r\nb', HOST: 'example.com' });
      expect((await refused(ada.environments.resolve(cycle), 'variable_cycle')).path).toEqual(['A', 'B', 'C', 'A']);
      await refused(ada.environments.render(cycle, 'x'), 'variable_cycle');
      await refused(ada.environments.resolve(laughs), 'variables_too_large');
      await refused(ada.environments.render(laughs, 'x'), 'variables_too_large');
      await refused(ada.environments.render(plain, '{{NOWHERE}}'), 'missing_variable');
      await refused(ada.environments.render(plain, 'x{{HEADER}}', { context: 'header' }), 'unsafe_value');
      await refused(ada.environments.render(plain, '{{HOST}}', { maxBytes: 3 }), 'output_too_large');
      await refused(ada.environments.render(plain, 'x'.repeat(20_000_000)), 'template_too_large');
    });

    describe('a storage that does not answer', () => {
      test('every method is a storage_failure that says what has happened, and does not throw', async () => {
        const org = suite.newOrg();
        const ada = { org, type: 'user', id: 'ada' };
        const world = await makeWorld(suite.vivarium().as(ada));
        const before = await stateOf(suite, org);
        const storage = await suite.harness.broken();
        const client = suite.vivarium({ storage }).as(ada);
        for (const { method, call } of everyCall) {
          const error = await refused(call(client, world), 'storage_failure');
          expect(error, method).toMatchObject({ transaction: null, retryable: expect.any(Boolean) });
          expect(['none', 'unknown'], method).toContain(error.outcome);
          expect(error.message, 'the adapter translates what its driver throws').not.toContain('failed unexpectedly');
          const read =
            !(everyCommandMethod as readonly string[]).includes(method) &&
            !/deliver|retryParked|prune|heartbeat/.test(method);
          if (read) expect(error, method).toMatchObject({ outcome: 'none' });
        }
        expect(await stateOf(suite, org)).toEqual(before);
      });

      test('nothing of what was to be written is in the error', async () => {
        const { ada } = suite.inNewOrg({ storage: await suite.harness.broken() });
        const variables = [{ key: 'TOKEN', value: 'c4n4ry-value', description: 'c4n4ry-value' }];
        const ref = { projectId: '00000000-0000-7000-8000-000000000001', id: '00000000-0000-7000-8000-000000000002' };
        for (const answer of [
          ada.projects.create({ name: 'P', description: 'c4n4ry-value', environments: [{ name: 'E', variables }] }),
          ada.environments.create({ projectId: ref.projectId, name: 'E', variables }),
          ada.environments.setVariables(ref, { variables, idempotencyKey: 'c4n4ry-value' }),
        ]) {
          const error = await refused(answer, 'storage_failure');
          expect(everythingIn(error)).not.toContain('c4n4ry');
        }
      });

      test('migrate and status fail, too, and many calls at once all come back', async () => {
        const storage = await suite.harness.broken();
        expect(await codeOf(storage.status())).toBe('storage_failure');
        expect(await codeOf(storage.migrate())).toBe('storage_failure');
        const { ada } = suite.inNewOrg({ storage });
        const answers = await together(20, () => codeOf(ada.projects.list()));
        expect(new Set(answers)).toEqual(new Set(['storage_failure']));
      });

      test('closing one storage closes no other', async () => {
        const { org, ada } = suite.inNewOrg();
        await unwrap(ada.projects.create({ name: 'P' }));
        const second = await suite.harness.another();
        const there = suite.vivarium({ storage: second }).as({ org, type: 'user', id: 'ada' });
        expect((await unwrap(there.projects.list())).items).toHaveLength(1);
        await unwrap(second.close());
        expect((await unwrap(ada.projects.list())).items).toHaveLength(1);
      });

      test('a fresh storage on the same database goes on', async () => {
        const { org, ada } = suite.inNewOrg();
        await unwrap(ada.projects.create({ name: 'P' }));
        await codeOf(suite.inNewOrg({ storage: await suite.harness.broken() }).ada.projects.list());
        const fresh = suite.vivarium({ storage: await suite.harness.another() }).as({ org, type: 'user', id: 'ada' });
        expect((await unwrap(fresh.projects.list())).items.map(({ name }) => name)).toEqual(['P']);
      });
    });
  });
}

/** The last test: the table of errors holds what was seen, and all of it was seen. */
export function testErrorTable(suite: Suite): void {
  describe('the table of errors', () => {
    test('no method gave an error that is not in it', () => {
      const outside = pairs((method) => suite.outcomes.get(method) ?? []).filter(
        (pair) => !pair.endsWith(' ok') && !inTable.has(pair),
      );
      expect(outside).toEqual([]);
    });

    test('every method has succeeded', () => {
      expect(methods.filter((method) => suite.outcomes.get(method)?.has('ok') !== true)).toEqual([]);
    });

    test('every method has given each of its errors', () => {
      const seen = new Set(pairs((method) => suite.outcomes.get(method) ?? []));
      expect([...inTable].filter((pair) => !seen.has(pair) && !neverGiven.has(pair))).toEqual([]);
      expect([...neverGiven].filter((pair) => seen.has(pair))).toEqual([]);
    });
  });
}

const pairs = (codes: (method: Method) => Iterable<string>) =>
  methods.flatMap((method) => Array.from(codes(method), (code) => `${method} ${code}`));
const inTable: ReadonlySet<string> = new Set(pairs((method) => methodErrors[method]));

function throws(): never {
  throw new Error('no');
}

/** All that is in an org, also behind the adapter's back. */
async function stateOf(suite: Suite, org: string): Promise<unknown> {
  const client: Client<unknown> = suite.vivarium().system(org);
  const projects = (await unwrap(client.projects.list({ limit: 100 }))).items;
  const environments = await Promise.all(
    projects.map(async ({ id }) => (await unwrap(client.environments.list({ projectId: id, limit: 100 }))).items),
  );
  const types = (await unwrap(client.ephemeral.types.list({ limit: 100 }))).items;
  const instances = await Promise.all(
    types.map(async ({ id }) => (await unwrap(client.ephemeral.instances.list({ typeId: id, limit: 100 }))).items),
  );
  const journal = (await unwrap(client.journal.list({ limit: 100 }))).items;
  const parked = (await unwrap(client.journal.listParked({ limit: 100 }))).items;
  const counts = await Promise.all(
    (['projects', 'environments', 'journal', 'queue', 'keys'] as const).map((kind) =>
      suite.harness.raw.count(kind, org),
    ),
  );
  const builds = await buildsSnapshot(client);
  const deployments = await deploymentsSnapshot(client);
  const previews = await previewsSnapshot(client);
  return { projects, environments, types, instances, builds, deployments, previews, journal, parked, counts };
}

/** The same storage, where somebody else is quicker between each load of a tree and the write that follows. */
function overtaken(storage: Storage<unknown>, rival: () => Promise<void>): Storage<unknown> {
  const { projects } = storage;
  const late = async <T>(loaded: PromiseLike<T>): Promise<T> => {
    const facts = await loaded;
    await rival();
    return facts;
  };
  return {
    ...storage,
    projects: {
      ...projects,
      create: (command) => projects.create(command),
      lineage: (...args) => new ResultAsync(late(projects.lineage(...args))),
      moveFacts: (...args) => new ResultAsync(late(projects.moveFacts(...args))),
    },
  };
}

/** Message, stack, fields and causes, however deep. */
function everythingIn(error: unknown): string {
  return inspect(error, { depth: 20, showHidden: true, maxStringLength: null, maxArrayLength: null });
}
