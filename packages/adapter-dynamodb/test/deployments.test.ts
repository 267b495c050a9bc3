import { setTimeout as pause } from 'node:timers/promises';

import { TransactGetItemsCommand } from '@aws-sdk/client-dynamodb';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { createVivarium, unwrap } from '@vivarium/core';
import type { Client, ProjectEnvironment } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { seededRandom } from '@vivarium/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { dynamodbStorage } from '../src/index.ts';
import { placeInProject, placeInRepo, placeOnBranch, projectEnvironmentKey } from '../src/keys.ts';
import type { Key } from '../src/keys.ts';
import { clientAt, injectConflicts, makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

type Record = { readonly [attribute: string]: AttributeValue };

const sha = 'a'.repeat(40);
const branches = ['main', 'next', null] as const;

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] deployments', () => {
    let bench: Bench;
    let org: string;
    let ada: Client;
    let orgs = 0;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());
    beforeEach(() => {
      org = `org-${++orgs}`;
      ada = bench.as(org);
    });
    afterEach(() => bench.client.middlewareStack.remove('broken'));

    /** Lets no request of these kinds through, from the one with this number on. */
    const breakDown = (operation: string, from: number) => {
      let count = 0;
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName === operation && ++count >= from) {
            throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
          }
          return next(args);
        },
        { step: 'initialize', name: 'broken' },
      );
    };
    const repaired = () => {
      bench.client.middlewareStack.remove('broken');
      return bench.as(org, { clock: { now: () => new Date(Date.now() + 120_000) } });
    };
    /** What there is in the org besides journal and outbox. */
    const itemsLeft = async () =>
      (await bench.items())
        .map(({ pk, sk }) => `${pk!.S} ${sk!.S}`)
        .filter((key) => key.startsWith(`${org}#`) && !/^[^#]+#(J|Q|K|TREE)[# ]/.test(key))
        .sort();

    async function makeShop(name = 'Shop', repoName = 'acme/shop') {
      const project = unwrap(await ada.projects.create({ name }));
      const repo = unwrap(await ada.deployments.repos.register({ provider: 'github', fullName: repoName }));
      const of = { projectId: project.id, repoId: repo.id };
      const app = unwrap(await ada.deployments.apps.create({ ...of, name }));
      return { of, app };
    }
    const start = async (projectEnvironmentId: string) =>
      unwrap(await ada.deployments.start({ projectEnvironmentId, gitRef: 'main', sha }));

    /** All records of an environment and its latest deployment, as they were at one instant. */
    async function recordsOf({ id }: ProjectEnvironment, { of }: { of: ProjectEnvironment }) {
      const keys: Key[] = [
        projectEnvironmentKey(org, id),
        placeInProject(org, of),
        placeInRepo(org, of),
        ...branches.flatMap((branch) => (branch === null ? [] : [placeOnBranch(org, branch, of)])),
      ];
      const { Responses = [] } = await bench.client.send(
        new TransactGetItemsCommand({
          TransactItems: keys.map(({ pk, sk }) => ({
            Get: { TableName: bench.table, Key: { pk: { S: pk }, sk: { S: sk } } },
          })),
        }),
      );
      const [own, ofProject, ofRepo, ...onBranches] = Responses.map(({ Item }) => Item);
      return { own, ofProject, ofRepo, onBranches: onBranches.filter((record) => record !== undefined) };
    }
    /** What a record says, wherever it stands. */
    const said = ({ pk: _pk, sk: _sk, latest: _latest, active: _active, ...rest }: Record) => rest;
    const listed = ({ pk: _pk, sk: _sk, ...rest }: Record) => rest;

    test(
      'the records of an environment are never seen apart, whatever is done to it by eight clients at once',
      { timeout: 120_000 },
      async () => {
        const { of } = await makeShop();
        const name = 'staging';
        const ensure = (client: Client, branch: string | null) =>
          client.deployments.environments.ensure({ ...of, environment: name, branch });
        const first = unwrap(await ensure(ada, 'main'));
        const conflicting = clientAt(engine.url);
        injectConflicts(conflicting, 0.05);
        let going = 8;
        let [changes, looks, deployed] = [0, 0, 0];
        // How often the ones see what the others do is up to the machine: it goes on until it was often enough.
        const enough = () => changes > 100 && looks > 100 && deployed > 20;
        const work = async (worker: number) => {
          const random = seededRandom(worker);
          // Each is what a process of its own would be: only the conditions of the writes keep them apart.
          const storage = dynamodbStorage({ client: conflicting, table: bench.table });
          const client = createVivarium({ storage }).as({ org, type: 'user', id: `worker ${worker}` });
          for (let step = 0; step < 30 || (step < 600 && !enough()); step++) {
            const current = await client.deployments.environments.getByName({ ...of, environment: name });
            const id = current.isOk() ? current.value.id : first.id;
            const latest = await client.deployments.latest(id);
            const deployment = latest.isOk() && latest.value !== null ? latest.value.id : id;
            const done = await [
              async () => client.deployments.start({ projectEnvironmentId: id, gitRef: 'main', sha }),
              async () => client.deployments.start({ projectEnvironmentId: id, gitRef: 'next', sha }),
              async () => client.deployments.report(deployment, { status: 'running' }),
              async () => client.deployments.report(deployment, { status: 'success', url: 'https://a.example.com' }),
              async () => client.deployments.report(deployment, { status: 'failed', description: 'no' }),
              async () => ensure(client, random.pick(branches)),
              async () => ensure(client, random.pick(branches)),
              async () =>
                random.integer(6) === 0 ? client.deployments.environments.delete(id) : ensure(client, 'main'),
            ][random.integer(8)]!();
            if (done.isOk()) changes++;
          }
          going--;
        };
        const differences: unknown[] = [];
        const look = async () => {
          while (going > 0) {
            const current = await ada.deployments.environments.getByName({ ...of, environment: name });
            if (current.isErr()) continue;
            const { own, ofProject, ofRepo, onBranches } = await recordsOf(current.value, { of: current.value });
            looks++;
            const records = [own, ofProject, ofRepo, ...onBranches];
            if (own === undefined) {
              // It was deleted, or another one of its name is there.
              const others = [ofProject, ofRepo].map((record) => record?.['id']?.S);
              if (onBranches.length > 0 || others[0] !== others[1] || others[0] === current.value.id)
                differences.push(records);
              continue;
            }
            const branch = own['branch']?.S;
            const whole =
              records.every((record) => record !== undefined) &&
              onBranches.length === (branch === undefined ? 0 : 1) &&
              (branch === undefined || onBranches[0]!['sk']!.S!.startsWith(`BR#${branch}#`));
            const same =
              whole &&
              new Set(records.map((record) => JSON.stringify(sorted(said(record))))).size === 1 &&
              new Set(records.slice(1).map((record) => JSON.stringify(sorted(listed(record))))).size === 1;
            const latest = ofProject?.['latest']?.S;
            if (latest !== undefined) deployed++;
            const ofLatest =
              own['latestId']?.S === (latest === undefined ? undefined : (JSON.parse(latest) as string[])[0]);
            const active = own['active']?.S;
            const ofActive =
              own['activeId']?.S === (active === undefined ? undefined : (JSON.parse(active) as string[])[0]);
            if (!same || !ofLatest || !ofActive) differences.push(records);
          }
        };
        await Promise.all([...Array.from({ length: 8 }, (_, worker) => work(worker + 1)), look(), look()]);
        conflicting.destroy();
        expect([differences.length, differences[0]]).toEqual([0, undefined]);
        expect({ changes, looks, deployed, enough: enough() }).toMatchObject({ enough: true });
      },
    );

    test('a page of a list is one request, with the latest deployments, whatever else is in the project', async () => {
      const { of } = await makeShop();
      for (let i = 0; i < 12; i++) {
        const environment = `pr-${10 + i}`;
        const { id } = unwrap(await ada.deployments.environments.ensure({ ...of, environment, branch: 'main' }));
        if (i % 2 === 0) await start(id);
      }
      const { environments } = ada.deployments;
      for (const ask of [
        (cursor?: string) => environments.list({ projectId: of.projectId, limit: 5, cursor }),
        (cursor?: string) => environments.list({ repoId: of.repoId, limit: 5, cursor }),
        (cursor?: string) => environments.list({ ...of, limit: 5, cursor }),
        (cursor?: string) => environments.getByBranch({ repoId: of.repoId, branch: 'main', limit: 5, cursor }),
      ]) {
        const names: string[] = [];
        for (let cursor: string | null | undefined; cursor !== null;) {
          const { operations, value } = await bench.traffic(async () => ask(cursor ?? undefined));
          expect(operations).toEqual(['Query']);
          const page = unwrap(value);
          names.push(...page.items.map(({ environment }) => environment));
          for (const { latest, latestDeployment } of page.items) expect(latest?.id ?? null).toBe(latestDeployment);
          cursor = page.nextCursor;
        }
        expect(names).toEqual(Array.from({ length: 12 }, (_, i) => `pr-${10 + i}`));
      }
    });

    test('environments of one name come by their ids, however the pages fall', async () => {
      const project = unwrap(await ada.projects.create({ name: 'Shop' }));
      const wanted: { environment: string; id: string }[] = [];
      for (const [i, environments] of [['b', 'a'], ['a', 'b', 'c'], ['b'], ['a', 'b'], ['b']].entries()) {
        const fullName = `acme/${['zoo', 'inn', 'bar', 'mill', 'tea'][i]}`;
        const repo = unwrap(await ada.deployments.repos.register({ provider: 'github', fullName }));
        for (const environment of environments) {
          const of = { projectId: project.id, repoId: repo.id, environment };
          wanted.push(unwrap(await ada.deployments.environments.ensure(of)));
        }
      }
      const order = ({ environment, id }: { environment: string; id: string }) => `${environment} ${id}`;
      for (const limit of [1, 2, 3, 4, 5, 9]) {
        const seen: string[] = [];
        for (let cursor: string | null | undefined; cursor !== null;) {
          const page = unwrap(
            await ada.deployments.environments.list({ projectId: project.id, limit, cursor: cursor ?? undefined }),
          );
          seen.push(...page.items.map(order));
          cursor = page.nextCursor;
        }
        expect(seen).toEqual(wanted.map(order).sort());
      }
    });

    describe('a deletion that breaks down has happened, and the next one finishes it', () => {
      const world = async () => {
        const { of, app } = await makeShop();
        const environments: ProjectEnvironment[] = [];
        for (let i = 0; i < 12; i++) {
          const environment = `pr-${10 + i}`;
          environments.push(unwrap(await ada.deployments.environments.ensure({ ...of, environment, branch: 'main' })));
        }
        for (let i = 0; i < 3; i++) await start(environments[0]!.id);
        return { of, app, environments };
      };

      test.each([2, 8])('of a repository, at its transaction %i', async (at) => {
        const before = await makeShop('Other', 'acme/other');
        const others = await itemsLeft();
        const { of, environments } = await world();
        breakDown('TransactWriteItemsCommand', at);
        expect((await ada.deployments.repos.delete(of.repoId)).isOk()).toBe(true);
        expect((await itemsLeft()).length).toBeGreaterThan(others.length);
        const { deployments } = ada;
        bench.client.middlewareStack.remove('broken');
        expect(
          await Promise.all(
            [
              deployments.repos.get(of.repoId),
              deployments.repos.delete(of.repoId),
              deployments.apps.create({ ...of, name: 'New' }),
              deployments.environments.ensure({ ...of, environment: 'new' }),
              deployments.environments.ensure({ ...of, environment: environments[11]!.environment, branch: 'x' }),
              deployments.environments.getByName({ ...of, environment: environments[11]!.environment }),
            ].map(async (call) => (await (call as PromiseLike<{ error?: { code: string } }>)).error?.code),
          ),
        ).toEqual(Array.from({ length: 6 }, () => 'not_found'));
        expect(unwrap(await deployments.repos.list()).items.map(({ id }) => id)).toEqual([before.of.repoId]);

        const later = repaired();
        const again = unwrap(await later.deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
        expect(again.id).not.toBe(of.repoId);
        expect((await later.deployments.repos.delete(again.id)).isOk()).toBe(true);
        expect((await later.projects.delete(of.projectId)).isOk()).toBe(true);
        expect(await itemsLeft()).toEqual(others);
      });

      test.each(['TransactWriteItemsCommand', 'BatchWriteItemCommand'] as const)(
        'of a project, at %s',
        async (operation) => {
          await makeShop('Other', 'acme/other');
          const others = await itemsLeft();
          const { of, environments } = await world();
          breakDown(operation, 3);
          expect((await ada.projects.delete(of.projectId)).isOk()).toBe(true);
          expect((await itemsLeft()).length).toBeGreaterThan(others.length);
          const later = repaired();
          const named = { ...of, environment: environments[11]!.environment };
          expect((await later.deployments.environments.getByName(named)).isErr()).toBe(true);
          expect((await later.deployments.environments.ensure(named)).isErr()).toBe(true);
          expect((await later.deployments.repos.delete(of.repoId)).isOk()).toBe(true);
          expect(await itemsLeft()).toEqual(others);
        },
      );

      test('of a repository: nothing of it goes on once it was answered', async () => {
        const { of } = await world();
        let underWay = 0;
        let transactions = 0;
        breakDown('BatchWriteItemCommand', 3);
        bench.client.middlewareStack.add(
          (next, { commandName }) =>
            async (args) => {
              underWay++;
              // One after the other, so that some are still to come when the first one is through and breaks down behind it.
              if (commandName === 'TransactWriteItemsCommand') await pause(20 * transactions++);
              return next(args).finally(() => underWay--);
            },
          { step: 'initialize', name: 'slow' },
        );
        expect((await ada.deployments.repos.delete(of.repoId)).isOk()).toBe(true);
        bench.client.middlewareStack.remove('slow');
        expect(underWay).toBe(0);
        expect(transactions).toBeGreaterThan(10);
      });

      test('of an environment, before its deployments', async () => {
        const { of } = await makeShop();
        const others = await itemsLeft();
        const { id } = unwrap(await ada.deployments.environments.ensure({ ...of, environment: 'staging' }));
        const deployments = [await start(id), await start(id)];
        breakDown('BatchWriteItemCommand', 1);
        expect((await ada.deployments.environments.delete(id)).isOk()).toBe(true);
        const later = bench.as(org, { clock: { now: () => new Date(Date.now() + 86_400_000) } });
        for (const deployment of deployments) {
          expect((await ada.deployments.get(deployment.id)).isErr()).toBe(true);
          expect((await ada.deployments.report(deployment.id, { status: 'running' })).isErr()).toBe(true);
        }
        expect((await ada.deployments.latest(id)).isErr()).toBe(true);
        expect((await ada.deployments.history({ projectEnvironmentId: id })).isErr()).toBe(true);
        expect(unwrap(await later.deployments.sweep())).toEqual([]);
        expect((await itemsLeft()).length).toBe(others.length + 7);

        bench.client.middlewareStack.remove('broken');
        const next = unwrap(await ada.deployments.environments.ensure({ ...of, environment: 'staging' }));
        expect(unwrap(await ada.deployments.latest(next.id))).toBe(null);
        // Whoever deletes a little later leaves it to the one that began it.
        expect((await ada.deployments.environments.delete(next.id)).isOk()).toBe(true);
        expect((await itemsLeft()).length).toBe(others.length + 7);
        const last = unwrap(await later.deployments.environments.ensure({ ...of, environment: 'staging' }));
        expect((await later.deployments.environments.delete(last.id)).isOk()).toBe(true);
        expect(await itemsLeft()).toEqual(others);
      });
    });

    test('environments that change, and deployments that start, while their repository is erased do not stay behind', async () => {
      await makeShop('Other', 'acme/other');
      const project = unwrap(await ada.projects.create({ name: 'Shop' }));
      const others = await itemsLeft();
      const repo = unwrap(await ada.deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
      const of = { projectId: project.id, repoId: repo.id };
      const writing: Promise<unknown>[] = [];
      for (let i = 0; i < 12; i++) {
        const environment = `pr-${i}`;
        const { id } = unwrap(await ada.deployments.environments.ensure({ ...of, environment }));
        const work = async () => {
          for (let step = 0; step < 5; step++) {
            const begun = await ada.deployments.start({ projectEnvironmentId: id, gitRef: 'main', sha });
            if (begun.isOk()) await ada.deployments.report(begun.value.id, { status: 'running' });
            await ada.deployments.environments.ensure({ ...of, environment, branch: `branch ${step}` });
          }
        };
        writing.push(work());
      }
      expect((await ada.deployments.repos.delete(repo.id)).isOk()).toBe(true);
      await Promise.all(writing);
      expect(await itemsLeft()).toEqual(others);
    });
  });
});

function sorted(record: object): [string, unknown][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
