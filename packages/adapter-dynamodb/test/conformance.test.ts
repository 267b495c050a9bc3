import { randomUUID } from 'node:crypto';

import {
  BatchWriteItemCommand,
  DeleteTableCommand,
  GetItemCommand,
  paginateScan,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { AttributeValue, DynamoDBClient, ScanCommandInput } from '@aws-sdk/client-dynamodb';
import { unwrap } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { describeStorage } from '@vivarium/testing';
import type { EnvironmentAddress, RawDatabase, RowKind, StorageHarness } from '@vivarium/testing';

import { dynamodbStorage } from '../src/index.ts';
import { clientAt, injectConflicts } from './harness.ts';

await describeOnEngines(['dynamodb'], (engine) => {
  describeStorage('dynamodb', () => makeHarness(engine.url, 0));
  // What AWS does to transactions that meet, and the emulator never does.
  describeStorage('dynamodb, 20 % conflicts', () => makeHarness(engine.url, 0.2));
});

async function makeHarness(url: string, conflicts: number): Promise<StorageHarness> {
  const table = `vivarium-${randomUUID()}`;
  const clients: DynamoDBClient[] = [];
  const open = () => {
    const client = clientAt(url);
    clients.push(client);
    injectConflicts(client, conflicts);
    return dynamodbStorage({ client, table });
  };
  const bare = clientAt(url);
  clients.push(bare);
  const storage = open();
  unwrap(await storage.migrate());

  return {
    storage,
    raw: rawDatabase(bare, table),
    another: async () => open(),
    async broken() {
      const client = clientAt('http://127.0.0.1:1', { maxAttempts: 1 });
      clients.push(client);
      return dynamodbStorage({ client, table });
    },
    async reset() {
      const items = await scan(bare, table);
      for (let i = 0; i < items.length; i += 25) {
        const requests = items.slice(i, i + 25).map(({ pk, sk }) => ({ DeleteRequest: { Key: { pk: pk!, sk: sk! } } }));
        await bare.send(new BatchWriteItemCommand({ RequestItems: { [table]: requests } }));
      }
    },
    async close() {
      await bare.send(new DeleteTableCommand({ TableName: table }));
      for (const client of clients) client.destroy();
    },
  };
}

async function scan(
  client: DynamoDBClient,
  table: string,
  filter: Partial<ScanCommandInput> = {},
): Promise<Record<string, AttributeValue>[]> {
  const items: Record<string, AttributeValue>[] = [];
  const input = { TableName: table, ConsistentRead: true, ...filter };
  for await (const { Items = [] } of paginateScan({ client }, input)) items.push(...Items);
  return items;
}

/** What the keys of an org's items of each kind look like behind the org. */
const patterns: Record<RowKind, RegExp> = {
  projects: /^#P#[^#]+ \/ #$/,
  environments: /^#P#[^#]+ \/ #E#/,
  journal: /^#J#/,
  queue: /^#(Q|QP) \/ /,
  keys: /^#K \/ /,
};

function rawDatabase(client: DynamoDBClient, table: string): RawDatabase {
  const escaped = (part: string) =>
    part.replaceAll(/[%#\p{Cc}]/gu, (unit) => `%${unit.codePointAt(0)!.toString(16).padStart(2, '0')}`);
  const keyOf = ({ orgId, projectId, id }: EnvironmentAddress) => ({
    pk: { S: `${escaped(orgId)}#P#${projectId}` },
    sk: { S: `#V#${id}` },
  });
  return {
    async environmentVariables(address) {
      const { Item } = await client.send(
        new GetItemCommand({ TableName: table, Key: keyOf(address), ConsistentRead: true }),
      );
      return Item!['variables']!.S!;
    },
    async setEnvironmentVariables(address, json) {
      await client.send(
        new UpdateItemCommand({
          TableName: table,
          Key: keyOf(address),
          UpdateExpression: 'SET variables = :json',
          ConditionExpression: 'attribute_exists(pk)',
          ExpressionAttributeValues: { ':json': { S: json } },
        }),
      );
    },
    async count(kind, orgId) {
      const org = escaped(orgId);
      const keys = await scan(client, table, {
        FilterExpression: 'begins_with(pk, :org)',
        ProjectionExpression: 'pk, sk',
        ExpressionAttributeValues: { ':org': { S: `${org}#` } },
      });
      return keys.filter(({ pk, sk }) => patterns[kind].test(`${pk!.S!.slice(org.length)} / ${sk!.S}`)).length;
    },
    dump: async () => JSON.stringify(await scan(client, table)),
  };
}
