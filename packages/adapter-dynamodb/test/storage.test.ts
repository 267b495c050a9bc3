import { randomUUID } from 'node:crypto';

import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  PutItemCommand,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { createVivarium, isVivariumError, unwrap } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';

import { dynamodbStorage, tableDefinitions, timeToLiveAttribute } from '../src/index.ts';
import { definitionOf, endOf, instanceOf, secretOf, startOf, typeOf } from './ephemeral-values.ts';
import { clientAt, makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

describe('dynamodbStorage', () => {
  test.each<[string, string, object]>([
    ['no client', 'client', { client: undefined }],
    ['something that is no client', 'client', { client: {} }],
    ['a table name that AWS would refuse', 'table', { table: 'my table', secretsTable: 'secrets' }],
    ['a table name that is too short', 'table', { table: 'ab' }],
    ['one table for secrets and everything else', 'secretsTable', { secretsTable: 'vivarium' }],
    ['a table whose name leaves no room for that of its secrets', 'secretsTable', { table: 'x'.repeat(250) }],
    ['an option that there is not', 'tabel', { tabel: 'vivarium' }],
  ])('refuses %s, and says where', (_title, path, wrong) => {
    const options = { client: clientAt('http://127.0.0.1:1'), ...wrong };
    const refusal = { code: 'invalid_input', issues: [expect.objectContaining({ path })] };
    expect(() => dynamodbStorage(options)).toThrow(expect.objectContaining(refusal));
  });

  test.each([undefined, null, 'vivarium', []])('refuses %j in place of its options', (options) => {
    expect(() => dynamodbStorage(options as never)).toThrow('must be an object with client, table, secretsTable');
  });

  test('takes the ARN of a table in another account', () => {
    const client = clientAt('http://127.0.0.1:1');
    expect(dynamodbStorage({ client, table: 'arn:aws:dynamodb:eu-central-1:123456789012:table/vivarium' }).name).toBe(
      'dynamodb',
    );
  });
});

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] migrations', () => {
    const client = clientAt(engine.url);
    const made: string[] = [];
    afterAll(async () => {
      for (const TableName of made.flatMap((table) => [table, `${table}-secrets`])) {
        // Not each of the tests makes both.
        await client.send(new DeleteTableCommand({ TableName })).catch(() => undefined);
      }
      client.destroy();
    });
    const storageOf = (table: string) => {
      made.push(table);
      return dynamodbStorage({ client, table });
    };
    const both = ['001_table', '002_secrets_table'];
    const newTable = () => `vivarium-${randomUUID()}`;

    test('a missing table is made, with its index and time to live; a second time nothing happens', async () => {
      const table = newTable();
      const storage = storageOf(table);
      expect(unwrap(await storage.status())).toEqual({
        ready: false,
        applied: [],
        pending: both,
        unknown: [],
      });
      expect(unwrap(await storage.migrate())).toEqual({ applied: both });
      expect(unwrap(await storage.migrate())).toEqual({ applied: [] });
      expect(unwrap(await storage.status())).toEqual({ ready: true, applied: both, pending: [], unknown: [] });

      const { Table } = await client.send(new DescribeTableCommand({ TableName: table }));
      expect(Table!.BillingModeSummary!.BillingMode).toBe('PAY_PER_REQUEST');
      expect(Table!.GlobalSecondaryIndexes).toMatchObject([
        { IndexName: 'by-time', IndexStatus: 'ACTIVE', Projection: { ProjectionType: 'KEYS_ONLY' } },
      ]);
      const live = await client.send(new DescribeTimeToLiveCommand({ TableName: table }));
      expect(live.TimeToLiveDescription).toMatchObject({ AttributeName: 'ttl', TimeToLiveStatus: 'ENABLED' });
    });

    test('five that migrate at once all succeed', async () => {
      const table = newTable();
      const results = await Promise.all(Array.from({ length: 5 }, async () => storageOf(table).migrate()));
      made.splice(-4);
      expect(results.every((result) => result.isOk())).toBe(true);
      expect(unwrap(await dynamodbStorage({ client, table }).status()).ready).toBe(true);
    });

    test('what is missing of a table is added to it', async () => {
      const table = newTable();
      const [definition] = tableDefinitions({ table });
      const { GlobalSecondaryIndexes: _index, ...bare } = definition;
      const AttributeDefinitions = bare.AttributeDefinitions!.slice(0, 2);
      await client.send(new CreateTableCommand({ ...bare, AttributeDefinitions }));
      const storage = storageOf(table);
      expect(unwrap(await storage.status()).pending).toEqual(both);
      expect(unwrap(await storage.migrate())).toEqual({ applied: both });
      expect(unwrap(await storage.status()).ready).toBe(true);
    });

    test('the table of secrets alone is made where it is missing, under the name that it is given', async () => {
      const table = newTable();
      unwrap(await storageOf(table).migrate());
      const secretsTable = newTable();
      made.push(secretsTable);
      const storage = dynamodbStorage({ client, table, secretsTable });
      expect(unwrap(await storage.status())).toMatchObject({ ready: false, pending: ['002_secrets_table'] });
      expect(unwrap(await storage.migrate())).toEqual({ applied: ['002_secrets_table'] });
      expect(unwrap(await storage.status())).toMatchObject({ ready: true, applied: both });
      const { Table } = await client.send(new DescribeTableCommand({ TableName: secretsTable }));
      expect(Table!.GlobalSecondaryIndexes).toBeUndefined();
    });

    test('tables that another tool made from the definitions need no migration', async () => {
      const table = newTable();
      for (const definition of tableDefinitions({ table })) await client.send(new CreateTableCommand(definition));
      const TimeToLiveSpecification = { AttributeName: timeToLiveAttribute, Enabled: true };
      await client.send(new UpdateTimeToLiveCommand({ TableName: table, TimeToLiveSpecification }));
      const storage = storageOf(table);
      expect(unwrap(await storage.status()).ready).toBe(true);
      expect(unwrap(await storage.migrate())).toEqual({ applied: [] });
    });

    test('a table of somebody else is refused and left alone', async () => {
      const table = newTable();
      await client.send(
        new CreateTableCommand({
          TableName: table,
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
          KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
        }),
      );
      const result = await storageOf(table).migrate();
      expect(result.isErr() && result.error).toMatchObject({ code: 'storage_failure', retryable: false });
      expect(result.isErr() && result.error.message).toContain('other keys');
    });

    test('a newer version shows as unknown, and makes this one unready where it is breaking', async () => {
      const table = newTable();
      const storage = storageOf(table);
      unwrap(await storage.migrate());
      const put = (sk: string, more = {}) =>
        client.send(
          new PutItemCommand({ TableName: table, Item: { pk: { S: '#migrations' }, sk: { S: sk }, ...more } }),
        );
      await put('003_more');
      expect(unwrap(await storage.status())).toMatchObject({ ready: true, unknown: ['003_more'] });
      await put('004_other', { breaking: { BOOL: true } });
      expect(unwrap(await storage.status())).toMatchObject({ ready: false, unknown: ['003_more', '004_other'] });
    });
  });

  describe('[dynamodb] failures', () => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    const failing = (thrown: object): DynamoDBClient => {
      const client = clientAt(engine.url, { maxAttempts: 1 });
      client.middlewareStack.add(
        () => async () => {
          throw Object.assign(new Error('secret detail of the driver'), thrown);
        },
        { step: 'initialize' },
      );
      return client;
    };
    const http = (httpStatusCode: number, attempts = 1) => ({
      $metadata: { httpStatusCode, requestId: 'r-1', attempts },
    });

    test.each([
      ['a missing table', { name: 'ResourceNotFoundException', ...http(400) }, false, 'none', /storage\.migrate\(\)/],
      ['missing rights', { name: 'AccessDeniedException', ...http(400) }, false, 'none', /AccessDeniedException/],
      ['a request that is invalid', { name: 'ValidationException', ...http(400) }, false, 'none', /invalid/],
      ['throttling', { name: 'ThrottlingException', ...http(400) }, true, 'none', /throttles/],
      ['a fault of the service', { name: 'InternalServerError', ...http(500) }, true, 'unknown', /500/],
      [
        'a connection that broke',
        { name: 'Error', code: 'ECONNRESET', $metadata: { attempts: 1 } },
        true,
        'unknown',
        /ECONNRESET/,
      ],
      ['a time-out', { name: 'TimeoutError', $metadata: { attempts: 3 } }, true, 'unknown', /TimeoutError/],
      [
        'a refused connection',
        { name: 'Error', code: 'ECONNREFUSED', $metadata: { attempts: 1 } },
        true,
        'none',
        /ECONNREFUSED/,
      ],
      [
        'one after other attempts',
        { name: 'Error', code: 'ECONNREFUSED', $metadata: { attempts: 3 } },
        true,
        'unknown',
        /ECONN/,
      ],
      [
        'a transaction cancelled for its content',
        {
          name: 'TransactionCanceledException',
          CancellationReasons: [{ Code: 'None' }, { Code: 'ValidationError' }],
          ...http(400),
        },
        false,
        'none',
        /ValidationError/,
      ],
      ['a defect', { name: 'TypeError' }, false, 'unknown', /unexpectedly/],
    ])('%s', { timeout: 20_000 }, async (_title, thrown, retryable, outcome, message) => {
      const storage = dynamodbStorage({ client: failing(thrown), table: bench.table });
      const vivarium = createVivarium({ storage }).system('acme');
      const written = await vivarium.projects.create({ name: 'Shop' });
      const error = written.isErr() ? written.error : null;
      expect(error).toMatchObject({ code: 'storage_failure', retryable, outcome });
      expect(error!.message).toMatch(message);
      expect(error!.message).not.toContain('secret detail');
      const cause = error!.cause as Error & Record<string, unknown>;
      expect(Object.keys(cause).sort()).toEqual(['code', 'name', 'requestId']);
      expect(cause.message).toBe(thrown.name);
      expect(cause['requestId']).toBe('$metadata' in thrown && 'requestId' in thrown.$metadata ? 'r-1' : null);

      const read = await vivarium.projects.list();
      expect(read.isErr() && read.error).toMatchObject({ code: 'storage_failure', retryable, outcome: 'none' });
    });

    test(
      'every method answers with a failure where nothing listens, and none rejects',
      { timeout: 120_000 },
      async () => {
        const client = clientAt('http://127.0.0.1:1', { maxAttempts: 1 });
        const { projects, environments, journal, ephemeral, dataKeys, migrate, status } = dynamodbStorage({ client });
        const ref = { projectId: 'p', id: 'e' };
        const at = new Date();
        const versioned = { version: 1, createdAt: at, updatedAt: at };
        const environment = {
          ...ref,
          ...versioned,
          name: 'E',
          nameKey: 'e',
          description: null,
          variables: [],
          isDefault: false,
        };
        const project = {
          id: 'p',
          ...versioned,
          name: 'P',
          nameKey: 'p',
          description: null,
          parentProjectId: null,
          defaultEnvironmentId: 'e',
        };
        const entry = {
          id: 'j',
          orgId: 'o',
          subject: { type: 't', id: 's' },
          stream: 's',
          sequence: 1,
          action: 'a',
          actor: { type: 't', id: 'i' },
          at,
          data: {},
        };
        const change = { orgId: 'o', at, entry, key: null };
        const page = { limit: 10, after: null };
        const lease = { orgId: 'o', lane: 0, token: 't' };
        const type = typeOf('T');
        const instance = instanceOf(type, 'I');
        const begun = startOf(instance);
        const over = endOf(begun);
        const scope = { type: 'project', id: 'p' } as const;
        const wrapped = { wrapped: 'w', wrappedBy: 'ring:1', commitment: 'c' };
        const dataKey = { id: 'd', scope, generation: 1, ...wrapped, ...versioned };
        const calls: (() => Answer)[] = [
          () => projects.create({ project, environments: [environment], treeVersion: null, change }),
          () => projects.get('o', 'p'),
          () => projects.getByName('o', 'p'),
          () => projects.list('o', {}, page),
          () => projects.lineage('o', 'p'),
          () => projects.moveFacts('o', 'p', null),
          () => projects.update({ project, previousNameKey: 'p', expectedVersion: 1, change }),
          () =>
            projects.move({
              project,
              previousParentId: null,
              expectedVersion: 1,
              treeVersion: 0,
              treeGrowth: 0,
              change,
            }),
          () => projects.delete({ project, change }),
          () => environments.create({ environment, maximum: 1, change }),
          () => environments.get('o', ref),
          () => environments.getByName('o', 'p', 'e'),
          () => environments.getDefault('o', 'p'),
          () => environments.getTwo('o', ref, ref),
          () => environments.list('o', 'p', page),
          () => environments.search('o', 'p', { variableKey: 'A' }, page),
          () => environments.stats('o', 'p'),
          () => environments.update({ environment, previousNameKey: 'e', expectedVersion: 1, change }),
          () => environments.setVariables({ environment, expectedVersion: 1, change }),
          () => environments.makeDefault({ ref, change }),
          () => environments.deleteFacts('o', ref, undefined),
          () => environments.delete({ environment, promote: null, change }),
          () => journal.append(change),
          () => journal.list('o', {}, page),
          () => journal.claim({ orgId: 'o', now: at, leaseUntil: at, token: 't', limit: 1, except: [] }),
          () => journal.renew(lease, at),
          () => journal.acknowledge(lease, entry),
          () => journal.fail(lease, entry, { attempts: 1, retryAt: at }),
          () => journal.release(lease),
          () => journal.listParked('o', page),
          () => journal.retryParked('o', 'j', at),
          () => journal.prune({ orgId: 'o', before: at, now: at, undelivered: 'keep', limit: 1 }),
          () => ephemeral.createType({ type, change }),
          () => ephemeral.getType('o', 't'),
          () => ephemeral.listTypes('o', page),
          () => ephemeral.writeType({ type, previousNameKey: 't', expectedVersion: 1, change }),
          () =>
            ephemeral.writeType({
              type: { ...type, state: 'deleted' },
              previousNameKey: 't',
              expectedVersion: 1,
              secret: { put: definitionOf('S') },
              change,
            }),
          () => ephemeral.createInstance({ instance, change }),
          () => ephemeral.getInstance('o', 'i'),
          () => ephemeral.listInstances('o', { typeId: 't' }, page),
          () => ephemeral.facts('o', 'i'),
          () => ephemeral.startChange({ ...begun, change }),
          () => ephemeral.endChange({ ...over, change }),
          () => ephemeral.writeInstance({ instance, expectedVersion: 1, change }),
          () => ephemeral.removeInstance({ instance: over.instance, change }),
          () => ephemeral.acceptChange('o', begun.stateChange),
          () => ephemeral.setTokens('o', { ...begun.stateChange, expected: [] }),
          () => ephemeral.changeFacts('o', 'c'),
          () => ephemeral.listChanges('o', 'i', page),
          () => ephemeral.listChanges('o', 'i', { limit: 10, after: 5 }),
          () => ephemeral.secrets('o', 'i'),
          () => ephemeral.secrets('o', 'i', ['S']),
          () => ephemeral.writeSecret({ secret: secretOf(instance, 'S'), stateChangeId: 'c', change }),
          () => ephemeral.due('o', { now: at, acceptedBy: at, limit: 10, after: null }),
          () => dataKeys.newest('o', scope),
          () => dataKeys.get('o', scope, 'd'),
          () => dataKeys.add('o', dataKey),
          () => dataKeys.rewrap('o', dataKey),
          () => dataKeys.ofScope('o', scope),
          () => dataKeys.list('o', page),
          () => dataKeys.remove('o', scope, 'd'),
          migrate,
          status,
        ];
        for (const call of calls) {
          const result = await call();
          expect(result.isErr() && isVivariumError(result.error), String(call)).toBe(true);
          expect(result.isErr() && result.error).toMatchObject({
            code: 'storage_failure',
            retryable: true,
            outcome: 'none',
          });
        }
        client.destroy();
      },
    );

    test('an idempotency key that has expired is as good as none, though its item is still there', async () => {
      let now = Date.UTC(2030, 0, 1);
      const ada = createVivarium({ storage: bench.storage, clock: { now: () => new Date(now) } }).system('keys');
      const create = (name: string) => ada.projects.create({ name, idempotencyKey: 'one key of some length' });
      const first = unwrap(await create('Shop'));
      expect(unwrap(await create('Shop')).id).toBe(first.id);
      expect((await create('Other')).isErr()).toBe(true);

      const week = 7 * 24 * 3_600_000;
      const stored = (await bench.items()).filter(({ pk }) => pk!.S === 'keys#K');
      expect(stored).toHaveLength(1);
      expect(Number(stored[0]!['ttl']!.N)).toBe((now + week) / 1_000);
      now += week;
      expect(unwrap(await create('Other')).id).not.toBe(first.id);
    });
  });
});
