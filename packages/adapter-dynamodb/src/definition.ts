import type { CreateTableCommandInput, KeySchemaElement } from '@aws-sdk/client-dynamodb';

import { timeIndex } from './table.ts';

/** The name of the table where none is given. */
export const defaultTable = 'vivarium';

/** The name of the table of secrets where none is given: that of the other table and `-secrets`. */
export const defaultSecretsTable = (table: string): string => `${table}-secrets`;

/**
 * The tables that the storage needs, as inputs of CreateTable, for those who make tables with other tools than `storage.migrate()`. Time to
 * live has to be switched on as well, on the attribute {@link timeToLiveAttribute}, for the first of them; the second is the table of secrets,
 * which may be given a key and a policy of its own.
 */
export function tableDefinitions({
  table = defaultTable,
  secretsTable = defaultSecretsTable(table),
}: { readonly table?: string; readonly secretsTable?: string } = {}): readonly [
  CreateTableCommandInput,
  CreateTableCommandInput,
] {
  return [
    {
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['pk', 'sk', timeIndex.partition, timeIndex.place].map((AttributeName) => ({
        AttributeName,
        AttributeType: 'S' as const,
      })),
      KeySchema: keySchema,
      GlobalSecondaryIndexes: [
        {
          IndexName: timeIndex.name,
          KeySchema: [
            { AttributeName: timeIndex.partition, KeyType: 'HASH' },
            { AttributeName: timeIndex.place, KeyType: 'RANGE' },
          ],
          Projection: { ProjectionType: 'KEYS_ONLY' },
        },
      ],
    },
    {
      TableName: secretsTable,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const })),
      KeySchema: keySchema,
    },
  ];
}

const keySchema: KeySchemaElement[] = [
  { AttributeName: 'pk', KeyType: 'HASH' },
  { AttributeName: 'sk', KeyType: 'RANGE' },
];

/** The attribute of the time after which DynamoDB deletes an item by itself, in seconds since 1970. */
export const timeToLiveAttribute = 'ttl';
