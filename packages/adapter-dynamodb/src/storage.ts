import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { InvalidInput } from '@vivarium/core';
import { okAsync } from '@vivarium/core/storage';
import type { Storage } from '@vivarium/core/storage';

import { defaultTable } from './definition.ts';
import { dynamodbEnvironments } from './environments.ts';
import { dynamodbJournal } from './journal.ts';
import { migrate, status } from './migrations.ts';
import { dynamodbProjects } from './projects.ts';
import { Table } from './table.ts';

/** Where the storage keeps its items, and the client that it asks. */
export interface DynamodbStorageOptions {
  /** A client of `@aws-sdk/client-dynamodb`, with its region, credentials and retries. It stays open when the storage is closed. */
  readonly client: DynamoDBClient;
  /** The name of the table: `vivarium` when not given. */
  readonly table?: string | undefined;
  /** The name of the table that holds secrets, apart from everything else. Nothing is kept there before there are app secrets. */
  readonly secretsTable?: string | undefined;
}

/**
 * Keeps everything in one DynamoDB table. Each command is one transaction, each read strongly consistent but for the audit log of a
 * whole org, which comes from an index. There are no transactions of the host to work `within`.
 *
 * Throws `InvalidInput` on a wrong configuration. `storage.migrate()` makes the table; {@link tableDefinitions} describes it to other tools.
 *
 * @example
 * const storage = dynamodbStorage({ client: new DynamoDBClient({ region: 'eu-central-1' }), table: 'vivarium' });
 * await unwrap(storage.migrate());
 */
export function dynamodbStorage({ client, table: name = defaultTable, secretsTable }: DynamodbStorageOptions): Storage {
  check(typeof client?.send === 'function', 'client', 'must be a DynamoDBClient of @aws-sdk/client-dynamodb');
  check(tableName.test(name), 'table', 'must be the name or the ARN of a table');
  check(
    secretsTable === undefined || tableName.test(secretsTable),
    'secretsTable',
    'must be the name or the ARN of a table',
  );
  check(secretsTable !== name, 'secretsTable', 'must be another table than the one for everything else');

  const table = new Table(client, name);
  return {
    name: 'dynamodb',
    projects: dynamodbProjects(table),
    environments: dynamodbEnvironments(table),
    journal: dynamodbJournal(table),
    migrate: () => table.answer('write', () => migrate(client, table)),
    status: () => table.answer('read', () => status(client, table)),
    close: () => okAsync(undefined),
  };
}

const tableName = /^([A-Za-z0-9_.-]{3,255}|arn:[^\s]{1,1000})$/;

function check(holds: boolean, path: string, message: string): void {
  if (!holds) throw new InvalidInput([{ path, message }]);
}
