import { randomUUID } from 'node:crypto';

import {
  DeleteTableCommand,
  DynamoDBClient,
  paginateScan,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import type { AttributeValue, DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { createVivarium, unwrap } from '@vivarium/core';
import type { Client, Result, Storage, VivariumOptions } from '@vivarium/core';

import { dynamodbStorage } from '../src/index.ts';

/** What every method of a client and of a repository answers with, whichever it is. */
export interface Answer {
  then(done: (result: Result<unknown, Error>) => unknown): unknown;
}

/** What went over the wire: the names of the operations, and the capacity that they took. */
export interface Traffic {
  readonly operations: string[];
  readUnits: number;
  writeUnits: number;
}

export interface Bench {
  readonly client: DynamoDBClient;
  readonly table: string;
  readonly storage: Storage;
  readonly ada: Client;
  /** A client of this org; with other options, of another Vivarium on the same table. */
  as(org: string, options?: Partial<VivariumOptions>): Client;
  /** What `work` sends. */
  traffic<T>(work: () => Promise<T>): Promise<Traffic & { readonly value: T }>;
  items(): Promise<Record<string, AttributeValue>[]>;
  /** What is in the table of secrets. */
  secretItems(): Promise<Record<string, AttributeValue>[]>;
  close(): Promise<void>;
}

const signed = {
  authorization: `AWS4-HMAC-SHA256 Credential=vivarium/20260101/local/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
  'x-amz-date': '20260101T000000Z',
};

/**
 * Signs everything alike and logs nothing, which would take a third of the client's time: the emulator wants a signature and does not look at
 * it, and for a logger that has methods every request and every answer is put into words, even if nobody reads them.
 */
export function clientAt(url: string, more: { readonly maxAttempts?: number } = {}): DynamoDBClient {
  return new DynamoDBClient({
    endpoint: url,
    region: 'local',
    credentials: { accessKeyId: 'vivarium', secretAccessKey: 'vivarium' },
    signer: { sign: async (request) => Object.assign(request, { headers: { ...request.headers, ...signed } }) },
    logger: {} as NonNullable<DynamoDBClientConfig['logger']>,
    ...more,
  });
}

/** A migrated table of its own. */
export async function makeBench(url: string): Promise<Bench> {
  const client = clientAt(url);
  const table = `vivarium-${randomUUID()}`;
  const meter = meterOf(client);
  const storage = dynamodbStorage({ client, table });
  await unwrap(storage.migrate());
  const as = (org: string, options: Partial<VivariumOptions> = {}) =>
    createVivarium({ storage, ...options }).as({ org, type: 'user', id: 'ada' });
  const scan = async (TableName: string) => {
    const items: Record<string, AttributeValue>[] = [];
    for await (const { Items = [] } of paginateScan({ client }, { TableName, ConsistentRead: true })) {
      items.push(...Items);
    }
    return items;
  };
  return {
    client,
    table,
    storage,
    ada: as('acme'),
    as,
    async traffic(work) {
      const traffic: Traffic = { operations: [], readUnits: 0, writeUnits: 0 };
      meter.add(traffic);
      try {
        const value = await work();
        return { ...traffic, value };
      } finally {
        meter.delete(traffic);
      }
    },
    items: () => scan(table),
    secretItems: () => scan(`${table}-secrets`),
    async close() {
      await client.send(new DeleteTableCommand({ TableName: table }));
      await client.send(new DeleteTableCommand({ TableName: `${table}-secrets` }));
      client.destroy();
    },
  };
}

const reads = new Set(['GetItem', 'BatchGetItem', 'TransactGetItems', 'Query', 'Scan']);

function meterOf(client: DynamoDBClient): Set<Traffic> {
  const meters = new Set<Traffic>();
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const operation = context.commandName!.replace(/Command$/, '');
      const metered = reads.has(operation) || /(Put|Update|Delete|Write)Items?$/.test(operation);
      const input = metered ? { ...args.input, ReturnConsumedCapacity: 'TOTAL' } : args.input;
      for (const meter of meters) meter.operations.push(operation);
      const result = await next({ ...args, input });
      const { ConsumedCapacity } = result.output as { ConsumedCapacity?: unknown };
      const units = [ConsumedCapacity ?? []]
        .flat()
        .reduce((sum: number, part) => sum + ((part as { CapacityUnits?: number }).CapacityUnits ?? 0), 0);
      for (const meter of meters) meter[reads.has(operation) ? 'readUnits' : 'writeUnits'] += units;
      return result;
    },
    { step: 'initialize', name: 'meter' },
  );
  return meters;
}

/** Makes a share of all transactions and conditional writes fail as they do when other transactions are in the way. The emulator itself never does. */
export function injectConflicts(client: DynamoDBClient, share: number): { injected: number } {
  const count = { injected: 0 };
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const operation = context.commandName!.replace(/Command$/, '');
      if (Math.random() >= share) return next(args);
      const $metadata = {};
      if (operation === 'TransactWriteItems' || operation === 'TransactGetItems') {
        count.injected++;
        const { TransactItems } = args.input as { TransactItems: unknown[] };
        const unlucky = Math.floor(Math.random() * TransactItems.length);
        throw new TransactionCanceledException({
          message: 'Transaction cancelled, please refer cancellation reasons for specific reasons',
          $metadata,
          CancellationReasons: TransactItems.map((_, index) => ({
            Code: index === unlucky ? 'TransactionConflict' : 'None',
          })),
        });
      }
      if (operation === 'UpdateItem' || operation === 'DeleteItem') {
        count.injected++;
        throw new TransactionConflictException({ message: 'Transaction is ongoing for the item', $metadata });
      }
      return next(args);
    },
    { step: 'initialize', name: 'conflicts' },
  );
  return count;
}
