import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { dynamodbStorage } from '@vivarium/adapter-dynamodb';
import { mysqlStorage } from '@vivarium/adapter-mysql';
import { postgresStorage } from '@vivarium/adapter-postgres';
import { createVivarium } from '@vivarium/core';
import type { Vivarium } from '@vivarium/core';

/** A storage of every adapter is what createVivarium takes. None of them connects before it is used. */
export function onEveryDatabase(): Vivarium[] {
  return [
    createVivarium({ storage: postgresStorage({ connectionString: 'postgres://127.0.0.1:1/none' }) }),
    createVivarium({ storage: mysqlStorage({ connectionString: 'mysql://127.0.0.1:1/none' }) }),
    createVivarium({ storage: dynamodbStorage({ client: new DynamoDBClient({ region: 'eu-central-1' }) }) }),
  ];
}
