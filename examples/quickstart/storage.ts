import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import type { Storage } from '@vivarium/core';

/** Where an embedded database keeps its files, so that a second run finds what the first one made. */
const folder = fileURLToPath(new URL('./data', import.meta.url));

/**
 * One variable decides where everything is kept; the rest of the program does not know.
 *
 * - not set: an embedded PostgreSQL (PGlite) in a folder beside this file
 * - `memory`: this process, and forgotten with it
 * - `postgres://…`, `mysql://…` (also MariaDB), `dynamodb://host:port` or `dynamodb://` for AWS itself
 */
export async function openStorage(where = process.env['VIVARIUM_STORAGE'] ?? 'embedded'): Promise<OpenedStorage> {
  if (where === 'memory') {
    const { memoryStorage } = await import('@vivarium/core/memory');
    return { storage: memoryStorage(), place: 'memory', close: async () => undefined };
  }
  if (where === 'embedded') {
    const { PGlite } = await import('@electric-sql/pglite');
    const { postgresStorage } = await import('@vivarium/adapter-postgres');
    await mkdir(folder, { recursive: true });
    const pglite = await PGlite.create(folder);
    return {
      storage: postgresStorage({ pglite }),
      place: 'an embedded PostgreSQL in examples/quickstart/data',
      close: () => pglite.close(),
    };
  }
  if (/^postgres(ql)?:/.test(where)) {
    const { postgresStorage } = await import('@vivarium/adapter-postgres');
    return owned(postgresStorage({ connectionString: where }), 'PostgreSQL');
  }
  if (/^(mysql|mariadb):/.test(where)) {
    const { mysqlStorage } = await import('@vivarium/adapter-mysql');
    return owned(mysqlStorage({ connectionString: where.replace(/^mariadb:/, 'mysql:') }), 'MySQL or MariaDB');
  }
  if (where.startsWith('dynamodb:')) {
    const { DynamoDBClient } = await import('@aws-sdk/client-dynamodb');
    const { dynamodbStorage } = await import('@vivarium/adapter-dynamodb');
    const host = where.slice('dynamodb://'.length);
    const client = new DynamoDBClient(
      host === ''
        ? {}
        : {
            endpoint: `http://${host}`,
            region: 'local',
            credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
          },
    );
    return { storage: dynamodbStorage({ client }), place: 'DynamoDB', close: async () => client.destroy() };
  }
  throw new Error('VIVARIUM_STORAGE must be memory, embedded, postgres://…, mysql://…, mariadb://… or dynamodb://…');
}

export interface OpenedStorage {
  readonly storage: Storage;
  /** For people. */
  readonly place: string;
  close(): Promise<void>;
}

/** A storage that was given an address opened its connections by itself, and so closes them. */
function owned(storage: Storage, place: string): OpenedStorage {
  return { storage, place, close: async () => void (await storage.close()) };
}
