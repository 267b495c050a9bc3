import { setTimeout as sleep } from 'node:timers/promises';

import {
  CreateTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import type {
  CreateTableCommandInput,
  DynamoDBClient,
  KeySchemaElement,
  TableDescription,
} from '@aws-sdk/client-dynamodb';
import { StorageFailure } from '@vivarium/core/storage';
import type { MigrationReport, StorageStatus } from '@vivarium/core/storage';

import { textOf } from './attributes.ts';
import { tableDefinitions, timeToLiveAttribute } from './definition.ts';
import { nameOf } from './errors.ts';
import { migrationPartition } from './keys.ts';
import { timeIndex } from './table.ts';
import type { Table } from './table.ts';

/** AWS makes an index of a large table in minutes to hours; the table itself takes seconds. */
const longestWaitMs = 15 * 60_000;

/** One table each, with all that belongs to it. Whether one has run is seen from the table itself. */
function migrationsOf(table: Table, secrets: Table) {
  const [main, apart] = tableDefinitions({ table: table.name, secretsTable: secrets.name });
  return [
    { name: '001_table', definition: main },
    { name: '002_secrets_table', definition: apart },
  ];
}

/** Makes what is missing and waits until it can be used. Several may do this at once: each finds what the others have begun. */
export async function migrate(client: DynamoDBClient, table: Table, secrets: Table): Promise<MigrationReport> {
  const applied: string[] = [];
  for (const { name, definition } of migrationsOf(table, secrets)) {
    if (await make(client, definition)) applied.push(name);
  }
  return { applied };
}

/** Whether something was missing. */
async function make(client: DynamoDBClient, definition: CreateTableCommandInput): Promise<boolean> {
  let changed = false;
  const deadline = Date.now() + longestWaitMs;
  for (let wait = 20; ; wait = Math.min(2 * wait, 2_000)) {
    const step = await nextStep(client, definition);
    if (step === null) return changed;
    if (step === 'wait' || !(await attempt(() => step(client)))) {
      if (Date.now() > deadline)
        throw new StorageFailure(`the table ${definition.TableName} is still being made; try again`, {
          retryable: true,
          outcome: 'none',
        });
      await sleep(wait);
    } else {
      changed = true;
    }
  }
}

/**
 * `pending` says that a table, its index or time to live is missing. A newer version leaves an item for each migration of its own; those
 * that this version could not work with are marked as breaking.
 */
export async function status(client: DynamoDBClient, table: Table, secrets: Table): Promise<StorageStatus> {
  const migrations = migrationsOf(table, secrets);
  const steps = await Promise.all(migrations.map(({ definition }) => nextStep(client, definition)));
  const names = migrations.map(({ name }) => name);
  const applied = names.filter((_, index) => steps[index] === null);
  const pending = names.filter((_, index) => steps[index] !== null);
  if (steps[0] !== null) return { ready: false, applied, pending, unknown: [] };

  const newer = (await table.all({ pk: migrationPartition })).filter((item) => !names.includes(textOf(item, 'sk')));
  return {
    ready: pending.length === 0 && newer.every((item) => item['breaking'] === undefined),
    applied,
    pending,
    unknown: newer.map((item) => textOf(item, 'sk')),
  };
}

type Migration = (client: DynamoDBClient) => Promise<unknown>;

/** What has to be done next: `null` when everything is there, `'wait'` while AWS works on it. */
async function nextStep(
  client: DynamoDBClient,
  definition: CreateTableCommandInput,
): Promise<Migration | 'wait' | null> {
  const name = definition.TableName!;
  const table = await describe(client, name);
  if (table === null) return (to) => to.send(new CreateTableCommand(definition));
  if (table.TableStatus === 'CREATING' || table.TableStatus === 'UPDATING') return 'wait';
  checkKeys(name, 'keys', table.KeySchema, definition.KeySchema);

  const wanted = definition.GlobalSecondaryIndexes?.[0];
  if (wanted === undefined) return null;
  const index = table.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === timeIndex.name);
  if (index === undefined) {
    return (to) =>
      to.send(
        new UpdateTableCommand({
          TableName: name,
          AttributeDefinitions: definition.AttributeDefinitions,
          GlobalSecondaryIndexUpdates: [{ Create: wanted }],
        }),
      );
  }
  if (index.IndexStatus !== 'ACTIVE') return 'wait';
  checkKeys(name, `index ${timeIndex.name}`, index.KeySchema, wanted.KeySchema);

  const { TimeToLiveDescription: live } = await client.send(new DescribeTimeToLiveCommand({ TableName: name }));
  switch (live?.TimeToLiveStatus) {
    case 'ENABLED':
    case 'ENABLING':
      return live.AttributeName === timeToLiveAttribute ? null : otherTable(name, 'time to live');
    case 'DISABLING':
      return 'wait';
    default:
      return (to) =>
        to.send(
          new UpdateTimeToLiveCommand({
            TableName: name,
            TimeToLiveSpecification: { AttributeName: timeToLiveAttribute, Enabled: true },
          }),
        );
  }
}

async function describe(client: DynamoDBClient, name: string): Promise<TableDescription | null> {
  try {
    const { Table: table } = await client.send(new DescribeTableCommand({ TableName: name }));
    return table ?? null;
  } catch (thrown) {
    if (nameOf(thrown) === 'ResourceNotFoundException') return null;
    throw thrown;
  }
}

/** `false` when somebody else was quicker, or AWS has not come to know of the table everywhere: then look again. */
async function attempt(step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (thrown) {
    const meanwhile = ['ResourceInUseException', 'ResourceNotFoundException', 'LimitExceededException'];
    if (meanwhile.includes(nameOf(thrown)) || isTimeToLiveRace(thrown)) return false;
    throw thrown;
  }
}

function isTimeToLiveRace(thrown: unknown): boolean {
  return nameOf(thrown) === 'ValidationException' && /TimeToLive/i.test((thrown as Error).message);
}

function checkKeys(
  name: string,
  what: string,
  there: readonly KeySchemaElement[] | undefined,
  wanted: readonly KeySchemaElement[] | undefined,
): void {
  const shape = (schema: readonly KeySchemaElement[] | undefined) =>
    (schema ?? [])
      .map(({ AttributeName, KeyType }) => `${KeyType} ${AttributeName}`)
      .sort()
      .join(', ');
  if (shape(there) !== shape(wanted)) otherTable(name, what);
}

function otherTable(name: string, what: string): never {
  throw new StorageFailure(`the table ${name} has other ${what} than this storage needs: give it a table of its own`, {
    retryable: false,
    outcome: 'none',
  });
}
