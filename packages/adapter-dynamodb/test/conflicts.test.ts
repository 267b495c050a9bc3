import { TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createVivarium, unwrap } from '@vivarium/core';
import type { Client } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';

import { dynamodbStorage } from '../src/index.ts';
import { clientAt, injectConflicts, makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

const racers = 50;

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] conflicts between transactions', () => {
    let bench: Bench;
    let org: string;
    let orgs = 0;
    /** Clients of two processes, whose transactions are refused now and then. */
    let clients: Client[];
    const counts: { injected: number }[] = [];
    const disturbed = [clientAt(engine.url), clientAt(engine.url)];

    beforeAll(async () => {
      bench = await makeBench(engine.url);
      for (const client of disturbed) counts.push(injectConflicts(client, 0.2));
    });
    afterAll(async () => {
      for (const client of disturbed) client.destroy();
      await bench.close();
    });
    beforeEach(() => {
      org = `org-${++orgs}`;
      clients = disturbed.map((client) =>
        createVivarium({
          storage: dynamodbStorage({ client, table: bench.table }),
          limits: { environmentsPerProject: 10 },
        }).as({ org, type: 'user', id: 'ada' }),
      );
    });

    const race = <T>(work: (client: Client, index: number) => PromiseLike<T>) =>
      Promise.all(Array.from({ length: racers }, async (_, index) => work(clients[index % clients.length]!, index)));
    const codes = (results: readonly { isOk(): boolean; isErr(): boolean }[]) => {
      const tally: Record<string, number> = {};
      for (const result of results) {
        const code = result.isOk() ? 'ok' : (result as unknown as { error: { code: string } }).error.code;
        tally[code] = (tally[code] ?? 0) + 1;
      }
      return tally;
    };

    test('50 clients for 9 places: exactly 9 get one', async () => {
      const before = counts.reduce((sum, { injected }) => sum + injected, 0);
      const { id } = unwrap(await clients[0]!.projects.create({ name: 'Shop' }));
      const results = await race((client, i) =>
        client.environments.create({ projectId: id, name: `environment ${i}` }),
      );
      expect(codes(results)).toEqual({ ok: 9, limit_reached: 41 });
      const { items } = unwrap(await bench.as(org).environments.list({ projectId: id }));
      expect(items).toHaveLength(10);
      expect(counts.reduce((sum, { injected }) => sum + injected, 0)).toBeGreaterThan(before);
    });

    test('50 clients for one name: exactly one gets it', async () => {
      const results = await race((client) => client.projects.create({ name: 'Shop' }));
      expect(codes(results)).toEqual({ ok: 1, project_name_taken: 49 });
    });

    test('50 clients under one idempotency key do it once', async () => {
      const results = await race((client) =>
        client.projects.create({ name: 'Shop', idempotencyKey: 'the same key for everybody' }),
      );
      expect(codes(results)).toEqual({ ok: 50 });
      expect(new Set(results.map((result) => unwrap(result).id)).size).toBe(1);
    });

    test('deleting against making the default: there is exactly one, and it exists', async () => {
      for (let round = 0; round < 4; round++) {
        const names = Array.from({ length: 8 }, (_, i) => ({ name: `environment ${i}` }));
        const project = unwrap(await clients[0]!.projects.create({ name: `Shop ${round}`, environments: names }));
        const { items } = unwrap(await bench.as(org).environments.list({ projectId: project.id }));
        const results = await race((client, i) => {
          const { ref } = items[(i >> 1) % items.length]!;
          return i % 2 === 0
            ? client.environments.delete(ref)
            : client.environments.makeDefault(ref).map(() => undefined);
        });
        const seen = codes(results);
        expect(
          Object.keys(seen).filter((code) => !['ok', 'not_found', 'last_environment', 'stale_version'].includes(code)),
        ).toEqual([]);

        const left = unwrap(await bench.as(org).environments.list({ projectId: project.id })).items;
        expect(left.filter(({ isDefault }) => isDefault)).toHaveLength(1);
        const item = (await bench.items()).find(({ pk, sk }) => pk!.S === `${org}#P#${project.id}` && sk!.S === '#')!;
        expect(Number(item['environments']!.N)).toBe(left.length);
        expect(left.map(({ id }) => id)).toContain(item['default']!.S);
      }
    });

    test('a hundred creates below one parent do not make each other stale', async () => {
      const parent = unwrap(await clients[0]!.projects.create({ name: 'Parent' }));
      const results = await race((client, i) =>
        client.projects.create({ name: `Child ${i}`, parentProjectId: parent.id }),
      );
      expect(codes(results)).toEqual({ ok: 50 });
      const calm = bench.as(org);
      const { operations, value } = await bench.traffic(() =>
        Promise.all(
          Array.from({ length: 50 }, async (_, i) =>
            calm.projects.create({ name: `Other ${i}`, parentProjectId: parent.id }),
          ),
        ),
      );
      expect(codes(value)).toEqual({ ok: 50 });
      expect(operations.filter((operation) => operation === 'TransactWriteItems')).toHaveLength(50);
    });

    test('outboxes of two processes deliver each entry once, each subject in its sequence', async () => {
      const results = await race((client, i) => client.projects.create({ name: `Project ${i}` }));
      for (const result of results.slice(0, 10)) {
        const { id } = unwrap(result);
        for (let n = 0; n < 3; n++) unwrap(await clients[0]!.projects.update(id, { description: `${n}` }));
      }
      const seen = new Map<string, number[]>();
      const handler = ({ stream, sequence }: { stream: string; sequence: number }) =>
        void seen.set(stream, [...(seen.get(stream) ?? []), sequence]);
      const reports = await Promise.all(clients.map((client) => client.journal.deliver({ handler })));
      expect(reports.reduce((sum, report) => sum + unwrap(report).delivered, 0)).toBe(80);
      expect([...seen.values()].filter((sequences) => sequences.length === 4)).toEqual(
        Array.from({ length: 10 }, () => [1, 2, 3, 4]),
      );
      expect(seen.size).toBe(50);
    });

    test('whoever waits for a place stops trying when the last one has gone', async () => {
      const { id } = unwrap(await bench.as(org).projects.create({ name: 'Shop' }));
      const client = clientAt(engine.url);
      const sent: string[] = [];
      client.middlewareStack.add(
        (next, context) => async (args) => {
          sent.push(context.commandName!);
          if (context.commandName !== 'TransactWriteItemsCommand') return next(args);
          const { TransactItems } = args.input as unknown as { TransactItems: unknown[] };
          // Somebody else takes the last place meanwhile.
          unwrap(await bench.as(org).environments.create({ projectId: id, name: 'The last' }));
          throw new TransactionCanceledException({
            message: 'conflict',
            $metadata: {},
            CancellationReasons: TransactItems.map((_, i) => ({ Code: i === 0 ? 'TransactionConflict' : 'None' })),
          });
        },
        { step: 'initialize' },
      );
      const { projects: _projects, ...late } = createVivarium({
        storage: dynamodbStorage({ client, table: bench.table }),
        limits: { environmentsPerProject: 2 },
      }).as({ org, type: 'user', id: 'bob' });
      const result = await late.environments.create({ projectId: id, name: 'Too late' });
      expect(codes([result])).toEqual({ limit_reached: 1 });
      expect(sent).toEqual(['TransactWriteItemsCommand', 'GetItemCommand']);
      client.destroy();
    });

    test('what is read at one instant is read again where a transaction is in the way, and fails where that does not end', async () => {
      const { projects, deployments } = bench.as(org);
      const project = unwrap(await projects.create({ name: 'Shop' }));
      const repo = unwrap(await deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
      const of = { projectId: project.id, repoId: repo.id, environment: 'staging' };
      const { id: projectEnvironmentId } = unwrap(await deployments.environments.ensure(of));
      const begun = unwrap(await deployments.start({ projectEnvironmentId, gitRef: 'main', sha: 'a'.repeat(40) }));
      let left = 3;
      const client = clientAt(engine.url);
      client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName !== 'TransactGetItemsCommand' || left-- <= 0) return next(args);
          throw new TransactionCanceledException({
            message: 'no',
            $metadata: {},
            CancellationReasons: [{ Code: 'None' }, { Code: 'TransactionConflict' }],
          });
        },
        { step: 'initialize' },
      );
      const meddled = createVivarium({ storage: dynamodbStorage({ client, table: bench.table }) }).as({
        org,
        type: 'user',
        id: 'ada',
      });
      const running = unwrap(await meddled.deployments.report(begun.id, { status: 'running' }));
      expect([running.status, left]).toEqual(['running', -1]);
      left = 1_000;
      const result = await meddled.deployments.report(begun.id, { status: 'failed' });
      expect(result.isErr() && result.error).toMatchObject({
        code: 'storage_failure',
        retryable: true,
        outcome: 'none',
      });
      expect(left).toBe(980);
      client.destroy();
    });

    test('a conflict that does not end is a failure that may be tried again, and nothing was written', async () => {
      const client = clientAt(engine.url);
      const count = injectConflicts(client, 1);
      const stuck = createVivarium({ storage: dynamodbStorage({ client, table: bench.table }) }).system(org);
      const result = await stuck.projects.create({ name: 'Never' });
      expect(result.isErr() && result.error).toMatchObject({
        code: 'storage_failure',
        retryable: true,
        outcome: 'none',
      });
      expect(count.injected).toBe(20);
      client.destroy();
    });

    test('a refusal does not count while the idempotency key cannot be judged', async () => {
      const first = clientAt(engine.url);
      let disturbances = 0;
      first.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName !== 'TransactWriteItemsCommand' || disturbances++ > 0) return next(args);
          const { TransactItems } = args.input as unknown as { TransactItems: unknown[] };
          throw new TransactionCanceledException({
            message: 'the name is taken, by the very write whose key is still being written',
            $metadata: {},
            CancellationReasons: TransactItems.map((_, i) => ({
              Code:
                i === TransactItems.length - 1 ? 'TransactionConflict' : i === 1 ? 'ConditionalCheckFailed' : 'None',
            })),
          });
        },
        { step: 'initialize' },
      );
      const ada = createVivarium({ storage: dynamodbStorage({ client: first, table: bench.table }) }).system(org);
      const result = await ada.projects.create({ name: 'Shop', idempotencyKey: 'a key of some length' });
      expect(codes([result])).toEqual({ ok: 1 });
      expect(disturbances).toBe(2);
      first.destroy();
    });
  });
});
