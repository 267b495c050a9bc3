import { randomUUID } from 'node:crypto';

import {
  BatchWriteItemCommand,
  DeleteTableCommand,
  GetItemCommand,
  paginateQuery,
  paginateScan,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { AttributeValue, DynamoDBClient, QueryCommandInput } from '@aws-sdk/client-dynamodb';
import { unwrap } from '@vivarium/core';
import type { EnvironmentAddress, RawDatabase, StorageHarness } from '@vivarium/testing';

import { dynamodbStorage } from '../../src/index.ts';
import { clientAt, injectConflicts } from '../harness.ts';

/** What the conformance suite needs of a database; `conflicts` is the share of all writes that others are in the way of. */
export async function makeHarness(url: string, { conflicts }: { conflicts: number }): Promise<StorageHarness> {
  const table = `vivarium-${randomUUID()}`;
  const secretsTable = `secrets-${randomUUID()}`;
  const clients: DynamoDBClient[] = [];
  const open = () => {
    const client = clientAt(url);
    clients.push(client);
    injectConflicts(client, conflicts);
    return dynamodbStorage({ client, table, secretsTable });
  };
  const bare = clientAt(url);
  clients.push(bare);
  const storage = open();
  unwrap(await storage.migrate());

  return {
    storage,
    raw: rawDatabase(bare, table, secretsTable),
    another: async () => open(),
    async broken() {
      const client = clientAt('http://127.0.0.1:1', { maxAttempts: 1 });
      clients.push(client);
      return dynamodbStorage({ client, table, secretsTable });
    },
    async reset() {
      for (const name of [table, secretsTable]) {
        const items = await scan(bare, name);
        for (let i = 0; i < items.length; i += 25) {
          const requests = items
            .slice(i, i + 25)
            .map(({ pk, sk }) => ({ DeleteRequest: { Key: { pk: pk!, sk: sk! } } }));
          await bare.send(new BatchWriteItemCommand({ RequestItems: { [name]: requests } }));
        }
      }
    },
    async close() {
      for (const TableName of [table, secretsTable]) await bare.send(new DeleteTableCommand({ TableName }));
      for (const client of clients) client.destroy();
    },
  };
}

async function scan(client: DynamoDBClient, table: string): Promise<Record<string, AttributeValue>[]> {
  const items: Record<string, AttributeValue>[] = [];
  for await (const { Items = [] } of paginateScan({ client }, { TableName: table, ConsistentRead: true }))
    items.push(...Items);
  return items;
}

/** The keys of a partition of the table, or of its index. */
async function queryKeys(
  client: DynamoDBClient,
  table: string,
  attribute: 'pk' | 'ipk',
  partition: string,
): Promise<{ readonly pk: string; readonly sk: string }[]> {
  const keys: { pk: string; sk: string }[] = [];
  const input: QueryCommandInput = {
    TableName: table,
    ...(attribute === 'pk' ? { ConsistentRead: true } : { IndexName: 'by-time' }),
    KeyConditionExpression: `${attribute} = :partition`,
    ProjectionExpression: 'pk, sk',
    ExpressionAttributeValues: { ':partition': { S: partition } },
  };
  for await (const { Items = [] } of paginateQuery({ client }, input)) {
    keys.push(...Items.map(({ pk, sk }) => ({ pk: pk!.S!, sk: sk!.S! })));
  }
  return keys;
}

function rawDatabase(client: DynamoDBClient, table: string, secretsTable: string): RawDatabase {
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
      const keysIn = (pk: string) => queryKeys(client, table, 'pk', pk);
      if (kind === 'journal') return (await queryKeys(client, table, 'ipk', `${org}#J`)).length;
      if (kind === 'queue') return (await keysIn(`${org}#Q`)).length + (await keysIn(`${org}#QP`)).length;
      if (kind === 'keys') return (await keysIn(`${org}#K`)).length;
      // A scan of everything that the suite leaves behind would take half a second each time. The journal knows every project that there ever
      // was, so that what a deleted one left behind counts, too.
      const subjects = (await queryKeys(client, table, 'ipk', `${org}#J`)).map(({ pk }) =>
        pk.slice(org.length).split('#'),
      );
      const ids = new Set(subjects.filter(([, , type]) => type === 'project').map(([, , , id]) => id));
      const held = await Promise.all([...ids].map((id) => keysIn(`${org}#P#${id}`)));
      const wanted = kind === 'projects' ? /^#$/ : /^#E#/;
      return held.flat().filter(({ sk }) => wanted.test(sk)).length;
    },
    dump: async () => JSON.stringify([await scan(client, table), await scan(client, secretsTable)]),
  };
}
