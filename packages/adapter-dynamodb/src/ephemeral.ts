import type { EphemeralRepository } from '@vivarium/core/storage';

import { dynamodbInstances } from './ephemeral-instances.ts';
import { dynamodbSecrets } from './ephemeral-secrets.ts';
import { dynamodbStateChanges } from './ephemeral-state-changes.ts';
import { dynamodbTypes } from './ephemeral-types.ts';
import type { Table } from './table.ts';

/** `secrets` is the table of the values of secrets, and of nothing else. */
export function dynamodbEphemeral(table: Table, secrets: Table): EphemeralRepository {
  return {
    ...dynamodbTypes(table),
    ...dynamodbInstances(table, secrets),
    ...dynamodbStateChanges(table, secrets),
    ...dynamodbSecrets(table, secrets),
  };
}
