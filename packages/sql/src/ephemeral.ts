import type { EphemeralRepository } from '@vivarium/core/storage';

import type { Dialect } from './dialect.ts';
import { instanceStatements, sqlInstances } from './ephemeral-instances.ts';
import { secretStatements, sqlSecrets } from './ephemeral-secrets.ts';
import { sqlStateChanges, stateChangeStatements } from './ephemeral-state-changes.ts';
import { sqlTypes, typeStatements } from './ephemeral-types.ts';
import type { Session } from './write.ts';

export function ephemeralStatements(dialect: Dialect) {
  return {
    types: typeStatements(dialect),
    instances: instanceStatements(dialect),
    stateChanges: stateChangeStatements(dialect),
    secrets: secretStatements(dialect),
  };
}

/** The port of ephemeral environments in SQL. Lock order everywhere: type → instance → its changes and secrets. */
export function sqlEphemeral(
  session: Session,
  statements: ReturnType<typeof ephemeralStatements>,
): EphemeralRepository {
  return {
    ...sqlTypes(session, statements.types),
    ...sqlInstances(session, statements.instances),
    ...sqlStateChanges(session, statements.stateChanges),
    ...sqlSecrets(session, statements.secrets),
  };
}
