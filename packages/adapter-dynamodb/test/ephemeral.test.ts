import { randomBytes } from 'node:crypto';

import { DeleteItemCommand, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { createVivarium, localKeyring, unwrap } from '@vivarium/core';
import type { PipelineStart } from '@vivarium/core';
import type { StoredInstance, StoredType } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dynamodbStorage } from '../src/index.ts';
import { actionOf, changeIn, definitionOf, endOf, instanceOf, secretOf, startOf, typeOf } from './ephemeral-values.ts';
import { clientAt, injectConflicts, makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

const kinds = ['provisioning', 'deploying', 'to_sleep', 'wake_up', 'deprovisioning'] as const;

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] ephemeral environments', () => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    test('the life of an instance, from its type to its end', async () => {
      const started: PipelineStart[] = [];
      const { ephemeral } = bench.as('life', {
        keys: localKeyring({ keys: `k:${randomBytes(32).toString('base64')}` }),
        pipelines: {
          start: async (start) => {
            started.push(start);
            return { executionId: `run ${started.length}` };
          },
          cancel: async () => undefined,
        },
      });
      const type = unwrap(
        await ephemeral.types.create({
          name: 'Review',
          maxNumberOfInstances: 2,
          actions: kinds.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'x.yml' })),
          secrets: [
            { name: 'DB', writableBy: ['provisioning'], readableBy: ['provisioning', 'deploying'] },
            { name: 'A', writableBy: ['deploying'], readableBy: [] },
          ],
        }),
      );
      unwrap(await ephemeral.types.publish(type.id));
      unwrap(await ephemeral.actions.define(type.id, { stateChangeType: 'cleaning_up', pipelineYamlName: 'z.yml' }));
      unwrap(await ephemeral.actions.define(type.id, { stateChangeType: 'deploying', pipelineYamlName: 'y.yml' }));
      unwrap(await ephemeral.actions.remove(type.id, 'cleaning_up'));
      unwrap(await ephemeral.secretDefinitions.remove(type.id, 'A'));
      const got = unwrap(await ephemeral.types.get(type.id));
      expect(got.actions.map((action) => action.stateChangeType)).toEqual(kinds);
      expect(got.actions[1]!.pipelineYamlName).toBe('y.yml');
      expect(got.secrets).toEqual([type.secrets[1]]);
      expect(unwrap(await ephemeral.types.list()).items.map(({ name }) => name)).toEqual(['Review']);

      const first = unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'First' }));
      const second = unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'Second' }));
      const third = await ephemeral.instances.create({ typeId: type.id, name: 'Third' });
      expect(third.isErr() && third.error.code).toBe('capacity_reached');

      const change = unwrap(await ephemeral.instances.provision(first.id, { parameters: { a: 'b' } }));
      expect(change).toMatchObject({ executionId: 'run 1', parameters: { a: 'b' }, result: 'pending' });
      expect(unwrap(await ephemeral.stateChanges.list({ instanceId: first.id })).items).toEqual([change]);
      const { token } = started[0]!;
      const write = (value: string) => ephemeral.secrets.write({ stateChangeId: change.id, token, name: 'DB', value });
      unwrap(await write('short'));
      unwrap(await write('x'.repeat(65_536)));
      const read = unwrap(await ephemeral.secrets.read({ stateChangeId: change.id, token, name: 'DB' }));
      expect(read.reveal()).toBe('x'.repeat(65_536));
      expect(await bench.secretItems()).toHaveLength(1);

      unwrap(await ephemeral.stateChanges.complete({ stateChangeId: change.id, token, result: 'passed' }));
      expect(unwrap(await ephemeral.instances.get(first.id)).state).toBe('ready_to_use');
      const down = unwrap(await ephemeral.instances.deprovision(first.id));
      const end = { stateChangeId: down.id, token: started[1]!.token, result: 'passed' } as const;
      expect(unwrap(await ephemeral.stateChanges.complete(end))).toMatchObject({ executionId: 'run 2' });
      expect(await bench.secretItems()).toEqual([]);

      expect(unwrap(await ephemeral.types.get(type.id)).liveInstances).toBe(1);
      const changes = unwrap(await ephemeral.stateChanges.list({ instanceId: first.id })).items;
      expect(changes.map((one) => [one.type, one.result, one.executionId])).toEqual([
        ['deprovisioning', 'passed', 'run 2'],
        ['provisioning', 'passed', 'run 1'],
      ]);
      unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'First' }));
      const names = async (state?: 'destroyed' | 'zero_state') =>
        unwrap(await ephemeral.instances.list({ typeId: type.id, state })).items.map(({ name }) => name);
      expect(await names()).toEqual(['First', 'First', 'Second']);
      expect(await names('destroyed')).toEqual(['First']);
      expect(await names('zero_state')).toEqual(['First', 'Second']);

      unwrap(await ephemeral.instances.remove(first.id));
      expect((await ephemeral.stateChanges.get(down.id)).isErr()).toBe(true);
      expect(await names()).toEqual(['First', 'Second']);
      const refused = await ephemeral.types.delete(type.id);
      expect(refused.isErr() && refused.error.code).toBe('type_has_instances');
      expect(unwrap(await ephemeral.sweep({ dryRun: true }))).toEqual([]);
      expect(second.state).toBe('zero_state');
    });

    let orgs = 0;
    const port = () => bench.storage.ephemeral;
    const did = async (answer: Answer) => expect(unwrap(await answer)).toEqual({ done: true });
    const newWorld = async (differing: Partial<StoredType> = {}) => {
      const org = `org-${++orgs}`;
      const type = typeOf('Review', differing);
      await did(port().createType({ type, change: changeIn(org) }));
      const given = async (name: string) => {
        const instance = instanceOf(type, name);
        await did(port().createInstance({ instance, change: changeIn(org) }));
        return instance;
      };
      const start = async (instance: StoredInstance) => {
        const begun = startOf(instance);
        await did(port().startChange({ ...begun, change: changeIn(org) }));
        return begun;
      };
      const end = async (begun: ReturnType<typeof startOf>, result?: 'passed' | 'failed') => {
        const over = endOf(begun, result);
        await did(port().endChange({ ...over, change: changeIn(org) }));
        return over.instance;
      };
      const writeSecret = (begun: ReturnType<typeof startOf>, name: string) =>
        port().writeSecret({
          secret: secretOf(begun.instance, name),
          stateChangeId: begun.stateChange.id,
          change: changeIn(org),
        });
      return { org, type, given, start, end, writeSecret };
    };
    const itemsOf = async (org: string) => (await bench.items()).filter(({ pk }) => pk!.S!.startsWith(`${org}#`));
    const keysOf = async (org: string) => (await itemsOf(org)).map(({ pk, sk }) => `${pk!.S} / ${sk!.S}`);

    describe('places', () => {
      const disturbed = [clientAt(engine.url), clientAt(engine.url)];
      const counts = disturbed.map((client) => injectConflicts(client, 0.2));
      afterAll(() => disturbed.forEach((client) => client.destroy()));
      const injected = () => counts.reduce((sum, count) => sum + count.injected, 0);

      test.each([1, 2, 3, 4, 5])('50 callers for 10 places: exactly 10 get one, round %i', async () => {
        const { org, type } = await newWorld({ maxNumberOfInstances: 10 });
        const callers = disturbed.map((client) =>
          createVivarium({ storage: dynamodbStorage({ client, table: bench.table }) }).system(org),
        );
        const before = injected();
        const results = await Promise.all(
          Array.from({ length: 50 }, async (_, i) =>
            callers[i % 2]!.ephemeral.instances.create({ typeId: type.id, name: `Review ${i}` }),
          ),
        );
        const codes = results.map((result) => (result.isOk() ? 'ok' : result.error.code));
        expect(codes.filter((code) => code === 'ok')).toHaveLength(10);
        expect(codes.filter((code) => code === 'capacity_reached')).toHaveLength(40);
        expect(injected()).toBeGreaterThan(before);
        expect(unwrap(await port().getType(org, type.id)).found!.liveInstances).toBe(10);
        const page = { limit: 50, after: null };
        expect(unwrap(await port().listInstances(org, { typeId: type.id }, page))!.items).toHaveLength(10);
      });

      test('whoever waits for a place stops trying when the last one has gone', async () => {
        const { org, type, given } = await newWorld({ maxNumberOfInstances: 1 });
        const client = clientAt(engine.url);
        const sent: string[] = [];
        client.middlewareStack.add(
          (next, context) => async (args) => {
            sent.push(context.commandName!);
            if (context.commandName !== 'TransactWriteItemsCommand') return next(args);
            const { TransactItems } = args.input as unknown as { TransactItems: unknown[] };
            // Somebody else takes the last place meanwhile.
            await given('The last');
            throw new TransactionCanceledException({
              message: 'conflict',
              $metadata: {},
              CancellationReasons: TransactItems.map((_, i) => ({ Code: i === 0 ? 'TransactionConflict' : 'None' })),
            });
          },
          { step: 'initialize' },
        );
        const late = dynamodbStorage({ client, table: bench.table }).ephemeral;
        const answer = await late.createInstance({ instance: instanceOf(type, 'Too late'), change: changeIn(org) });
        expect(unwrap(answer)).toEqual({ done: false, refused: 'capacity_reached' });
        expect(sent).toEqual(['TransactWriteItemsCommand', 'GetItemCommand']);
        client.destroy();
      });

      test('a place is given free once, however often its instance is said to have ended', async () => {
        const { org, type, given, start, end } = await newWorld();
        const instance = await end(await start(await given('One')));
        await given('Two');
        const again = { ...instance, version: instance.version + 1 };
        const twice = port().writeInstance({
          instance: again,
          expectedVersion: instance.version,
          change: changeIn(org),
        });
        expect(unwrap(await twice)).toEqual({ done: false, refused: 'stale' });
        expect(unwrap(await port().getType(org, type.id)).found!.liveInstances).toBe(1);
      });
    });

    describe('the end of an instance', () => {
      const secretsOf = async (instance: StoredInstance) =>
        (await bench.secretItems()).filter(({ pk }) => pk!.S!.endsWith(instance.id));

      test('takes all of its secrets with it, more than definitions can be at a time', async () => {
        const { given, start, end, writeSecret } = await newWorld();
        const begun = await start(await given('One'));
        for (let i = 0; i < 45; i++) await did(writeSecret(begun, `S${i}`));
        expect(await secretsOf(begun.instance)).toHaveLength(45);
        await end(begun);
        expect(await secretsOf(begun.instance)).toEqual([]);
      });

      const dying = async () => {
        const world = await newWorld();
        const begun = await world.start(await world.given('One'));
        for (let i = 0; i < 45; i++) await did(world.writeSecret(begun, `S${i}`));
        const client = clientAt(engine.url);
        client.middlewareStack.add(
          (next, context) => async (args) => {
            if (context.commandName === 'BatchWriteItemCommand') throw new Error('died');
            return next(args);
          },
          { step: 'initialize' },
        );
        const { ephemeral } = dynamodbStorage({ client, table: bench.table });
        await did(ephemeral.endChange({ ...endOf(begun), change: changeIn(world.org) }));
        client.destroy();
        expect(await secretsOf(begun.instance)).toHaveLength(5);
        return { ...world, instance: endOf(begun).instance };
      };
      const due = async (org: string) => {
        const now = new Date();
        return unwrap(await port().due(org, { now, acceptedBy: now, limit: 10, after: null }));
      };
      const pointers = async (org: string) => (await keysOf(org)).filter((key) => key.startsWith(`${org}#IL / `));

      test('takes those with it that do not fit into the transaction, also when whoever ended it died right after', async () => {
        const { org, instance } = await dying();
        expect(await pointers(org)).toHaveLength(1);
        expect(await due(org)).toEqual([]);
        expect(await secretsOf(instance)).toEqual([]);
        expect(await pointers(org)).toEqual([]);
      });

      test('leaves nothing behind when it is removed before a sweep comes', async () => {
        const { org, instance } = await dying();
        await did(port().removeInstance({ instance, change: changeIn(org) }));
        expect(await secretsOf(instance)).toEqual([]);
        expect(await due(org)).toEqual([]);
        expect(await pointers(org)).toEqual([]);
      });

      test('takes a secret with it that was written after its secrets were looked for', async () => {
        const { org, given, start, writeSecret } = await newWorld();
        const begun = await start(await given('One'));
        await did(writeSecret(begun, 'EARLY'));
        const client = clientAt(engine.url);
        let late = true;
        client.middlewareStack.add(
          (next, context) => async (args) => {
            if (context.commandName === 'TransactWriteItemsCommand' && late) {
              late = false;
              await did(writeSecret(begun, 'LATE'));
            }
            return next(args);
          },
          { step: 'initialize' },
        );
        const { ephemeral } = dynamodbStorage({ client, table: bench.table });
        await did(ephemeral.endChange({ ...endOf(begun), change: changeIn(org) }));
        expect(late).toBe(false);
        expect(await secretsOf(begun.instance)).toEqual([]);
        client.destroy();
      });

      test('does not depend on values that somebody deleted by hand', async () => {
        const { given, start, end, writeSecret } = await newWorld();
        const begun = await start(await given('One'));
        for (const name of ['A', 'B']) await did(writeSecret(begun, name));
        const [{ pk, sk } = {}] = await secretsOf(begun.instance);
        const Key = { pk: pk!, sk: sk! };
        await bench.client.send(new DeleteItemCommand({ TableName: `${bench.table}-secrets`, Key }));
        await end(begun);
        expect(await secretsOf(begun.instance)).toEqual([]);
      });
    });

    describe('removing an instance', () => {
      const withHistory = async (changes: number) => {
        const world = await newWorld();
        let instance = await world.given('One');
        for (let i = 1; i < changes; i++) instance = await world.end(await world.start(instance), 'failed');
        return { ...world, instance: await world.end(await world.start(instance)) };
      };
      const rest = async (org: string) =>
        (await keysOf(org)).filter((key) => !/#(T|TD|J|Q)(#| )/.test(key.slice(org.length)));

      test('leaves nothing of it behind, however many changes it had', async () => {
        const { org, instance } = await withHistory(30);
        expect(await rest(org)).toHaveLength(61);
        await did(port().removeInstance({ instance, change: changeIn(org) }));
        expect(await rest(org)).toEqual([]);
        expect((await keysOf(org)).filter((key) => key.includes(' / E#'))).toEqual([]);
      });

      test('goes on where a process died, with the next one that is removed', async () => {
        const { org, instance, given, start, end } = await withHistory(3);
        const client = clientAt(engine.url, { maxAttempts: 1 });
        client.middlewareStack.add(
          (next, context) => async (args) => {
            if (context.commandName === 'BatchWriteItemCommand') throw new Error('the process died');
            return next(args);
          },
          { step: 'initialize' },
        );
        const { ephemeral } = dynamodbStorage({ client, table: bench.table });
        await did(ephemeral.removeInstance({ instance, change: changeIn(org) }));
        client.destroy();
        // Its changes are there, but nobody finds them any more.
        const left = (await keysOf(org)).find((key) => key.startsWith(`${org}#SC#`))!;
        const id = left.split(/[# ]/)[2]!;
        expect(unwrap(await port().changeFacts(org, id)).found).toBeNull();
        expect(unwrap(await port().listChanges(org, instance.id, { limit: 5, after: null }))).toBeNull();

        const other = await end(await start(await given('Two')));
        const change = changeIn(org);
        await did(
          port().removeInstance({ instance: other, change: { ...change, at: new Date(change.at.getTime() + 61_000) } }),
        );
        expect(await rest(org)).toEqual([]);
      });
    });

    test('what is read together belongs together, while others write', async () => {
      const { org, type, given, start, end } = await newWorld({ actions: [actionOf('deploying')] });
      let writing = true;
      const instance = await given('One');
      const write = async () => {
        let now = instance;
        for (let i = 0; i < 15; i++) now = await end(await start(now), 'failed');
        writing = false;
      };
      const define = async () => {
        for (let version = 2; writing; version++) {
          const put = version % 2 === 0 ? { put: definitionOf('S') } : { remove: 'S' };
          const written = { type: { ...type, version }, previousNameKey: type.nameKey, expectedVersion: version - 1 };
          await did(port().writeType({ ...written, secret: put, change: changeIn(org) }));
        }
      };
      const read = async () => {
        let seen = 0;
        for (; writing; seen++) {
          const facts = unwrap(await port().facts(org, instance.id)).found!;
          expect(facts.pending?.id ?? null).toBe(facts.instance.pendingChangeId);
          if (facts.pending !== null) expect(facts.pending.result).toBe('pending');
          expect(facts.type.secrets).toHaveLength((facts.type.version + 1) % 2);
          const { items } = unwrap(await port().listChanges(org, instance.id, { limit: 50, after: null }))!;
          expect(items.map(({ sequence }) => sequence)).toEqual(items.map((_, i) => items.length - i));
        }
        return seen;
      };
      const [, , ...seen] = await Promise.all([write(), define(), read(), read()]);
      for (const times of seen) expect(times).toBeGreaterThan(0);
    });

    describe('what one request read at two instants', () => {
      type Items = { pk: { S: string }; sk: { S: string } }[];
      /** A client whose first request of this kind meets `write`: it sees the item with the sort key `#` at the one side of it, all others at the other. */
      const tornClient = (
        command: string,
        head: 'before' | 'behind',
        items: (output: object) => Items,
        write: () => Promise<void>,
      ) => {
        const client = clientAt(engine.url);
        const torn = { reads: 0, storage: dynamodbStorage({ client, table: bench.table }), client };
        client.middlewareStack.add(
          (next, context) => async (args) => {
            const before = await next(args);
            if (context.commandName !== command || ++torn.reads > 1) return before;
            await write();
            const behind = await next(args);
            const [answer, other] = head === 'behind' ? [before, behind] : [behind, before];
            const seen = items(answer.output);
            const isHead = ({ sk }: Items[number]) => sk.S === '#';
            seen[seen.findIndex(isHead)] = items(other.output).find(isHead)!;
            return answer;
          },
          { step: 'initialize' },
        );
        return torn;
      };

      test('a type and its parts, which are read again', async () => {
        const { org, type } = await newWorld();
        const torn = tornClient(
          'BatchGetItemCommand',
          'behind',
          (output) => (output as { Responses: Record<string, Items> }).Responses[bench.table]!,
          () => {
            const written = { type: { ...type, version: 2 }, previousNameKey: type.nameKey, expectedVersion: 1 };
            return did(port().writeType({ ...written, secret: { put: definitionOf('S') }, change: changeIn(org) }));
          },
        );
        const { found } = unwrap(await torn.storage.ephemeral.getType(org, type.id));
        expect([found!.version, found!.secrets.length, torn.reads]).toEqual([2, 1, 2]);
        torn.client.destroy();
      });

      test.each([
        ['which is not read again where nothing is missing', 'before', 1],
        ['of which one is missing', 'behind', 2],
      ] as const)('an instance and its changes, %s', async (_title, head, reads) => {
        const { org, given, start, end } = await newWorld();
        const instance = await end(await start(await given('One')), 'failed');
        const begun = await start(instance);
        const torn = tornClient(
          'QueryCommand',
          head,
          (output) => (output as { Items: Items }).Items,
          async () => void (await end(begun, 'failed')),
        );
        const page = { limit: 5, after: null };
        const { items } = unwrap(await torn.storage.ephemeral.listChanges(org, instance.id, page))!;
        expect([items.map(({ sequence }) => sequence), torn.reads]).toEqual([[2, 1], reads]);
        torn.client.destroy();
      });
    });

    test('a deleted project leaves no data key in the list of its org', async () => {
      const ada = bench.as('keys');
      const { dataKeys } = bench.storage;
      const { id } = unwrap(await ada.projects.create({ name: 'Shop' }));
      const times = { version: 1, createdAt: new Date(), updatedAt: new Date() };
      const key = { id: crypto.randomUUID(), generation: 1, wrapped: 'w', wrappedBy: 'r:1', commitment: 'c', ...times };
      expect(unwrap(await dataKeys.add('keys', { ...key, scope: { type: 'project', id } }))).toBe('added');
      unwrap(await ada.projects.delete(id));
      expect((await keysOf('keys')).filter((place) => !/#(J|Q)(#| )/.test(place))).toEqual([]);
    });

    test('a type takes a data key with it that is added after its keys were looked for', async () => {
      const { org, type } = await newWorld();
      const client = clientAt(engine.url);
      const answers: string[] = [];
      client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName === 'TransactWriteItemsCommand' && answers.length < 2) {
            const times = { version: 1, createdAt: new Date(), updatedAt: new Date() };
            const wrapping = { wrapped: 'w', wrappedBy: 'r:1', commitment: 'c' };
            const scope = { type: 'environment_type', id: type.id } as const;
            const key = { id: crypto.randomUUID(), scope, generation: answers.length + 1, ...wrapping, ...times };
            answers.push(unwrap(await bench.storage.dataKeys.add(org, key)));
          }
          return next(args);
        },
        { step: 'initialize' },
      );
      const storage = dynamodbStorage({ client, table: bench.table });
      const ada = createVivarium({ storage }).as({ org, type: 'user', id: 'ada' });
      unwrap(await ada.ephemeral.types.delete(type.id));
      client.destroy();
      expect(answers).toEqual(['added', 'added']);
      expect(unwrap(await bench.storage.dataKeys.list(org, { limit: 10, after: null })).items).toEqual([]);
    });
  });
});
