import type { CreateTableCommandInput } from '@aws-sdk/client-dynamodb';

import { timeIndex } from './table.ts';

/** The name of the table where none is given. */
export const defaultTable = 'vivarium';

/**
 * The tables that the storage needs, as inputs of CreateTable, for those who make tables with other tools than `storage.migrate()`. Time to
 * live has to be switched on as well, on the attribute {@link timeToLiveAttribute}.
 */
export function tableDefinitions({
  table = defaultTable,
}: { readonly table?: string } = {}): readonly CreateTableCommandInput[] {
  return [
    {
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['pk', 'sk', timeIndex.partition, timeIndex.place].map((AttributeName) => ({
        AttributeName,
        AttributeType: 'S' as const,
      })),
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
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
  ];
}

/** The attribute of the time after which DynamoDB deletes an item by itself, in seconds since 1970. */
export const timeToLiveAttribute = 'ttl';
