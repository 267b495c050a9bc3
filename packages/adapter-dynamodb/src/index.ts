/**
 * Stores Vivarium in DynamoDB.
 *
 * @packageDocumentation
 */
export { defaultTable, tableDefinitions, timeToLiveAttribute } from './definition.ts';
export { dynamodbStorage } from './storage.ts';
export type { DynamodbStorageOptions } from './storage.ts';
