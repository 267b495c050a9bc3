import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { checkOptions, hasMethods, must, okAsync } from '@vivarium/core/storage';
import type { Storage } from '@vivarium/core/storage';

import { dynamodbBuilds } from './builds.ts';
import { dynamodbCatalog } from './catalog.ts';
import { dynamodbDataKeys } from './data-keys.ts';
import { defaultSecretsTable, defaultTable } from './definition.ts';
import { dynamodbDeployments } from './deployments.ts';
import { dynamodbEnvironments } from './environments.ts';
import { dynamodbEphemeral } from './ephemeral.ts';
import { dynamodbJournal } from './journal.ts';
import { migrate, status } from './migrations.ts';
import { dynamodbPreviews } from './previews.ts';
import { dynamodbProjects } from './projects.ts';
import { Table } from './table.ts';

/** Where the storage keeps its items, and the client that it asks. */
export interface DynamodbStorageOptions {
  /** A client of `@aws-sdk/client-dynamodb`, with its region, credentials and retries. It stays open when the storage is closed. */
  readonly client: DynamoDBClient;
  /** The name of the table: `vivarium` when not given. */
  readonly table?: string | undefined;
  /** The name of the table that holds the values of secrets, apart from everything else: `table` and `-secrets` when not given. */
  readonly secretsTable?: string | undefined;
}

/**
 * Keeps everything in one DynamoDB table, but for the values of secrets, which have one of their own. Each command is one transaction, each read strongly consistent but for the audit log of a
 * whole org, which comes from an index. There are no transactions of the host to work `within`.
 *
 * Throws `InvalidInput` on a wrong configuration. `storage.migrate()` makes the tables; {@link tableDefinitions} describes them to other tools.
 *
 * @example
 * const storage = dynamodbStorage({ client: new DynamoDBClient({ region: 'eu-central-1' }), table: 'vivarium' });
 * await unwrap(storage.migrate());
 */
export function dynamodbStorage(options: DynamodbStorageOptions): Storage {
  checkOptions(options, {
    client: must(hasMethods('send'), 'must be a DynamoDBClient of @aws-sdk/client-dynamodb'),
    table: (name = defaultTable) => tableNeeded(name),
    secretsTable: (name = defaultSecretsTable(options.table ?? defaultTable)) =>
      name === (options.table ?? defaultTable)
        ? 'must be another table than the one for everything else'
        : tableNeeded(name),
  });
  const { client, table: name = defaultTable, secretsTable = defaultSecretsTable(name) } = options;
  const table = new Table(client, name);
  const secrets = new Table(client, secretsTable);
  return {
    name: 'dynamodb',
    projects: dynamodbProjects(table, secrets),
    environments: dynamodbEnvironments(table),
    ephemeral: dynamodbEphemeral(table, secrets),
    catalog: dynamodbCatalog(table),
    builds: dynamodbBuilds(table, secrets),
    deployments: dynamodbDeployments(table, secrets),
    previews: dynamodbPreviews(table, secrets),
    journal: dynamodbJournal(table),
    dataKeys: dynamodbDataKeys(table),
    migrate: () => table.answer('write', () => migrate(client, table, secrets)),
    status: () => table.answer('read', () => status(client, table, secrets)),
    close: () => okAsync(undefined),
  };
}

const tableNeeded = must(
  (name) => typeof name === 'string' && /^([A-Za-z0-9_.-]{3,255}|arn:[^\s]{1,1000})$/.test(name),
  'must be the name or the ARN of a table',
);
