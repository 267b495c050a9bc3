export type {
  KyselyTransaction,
  PGliteDatabase,
  PGliteTransaction,
  PooledClient,
  PostgresClient,
  PostgresPool,
  PostgresQuery,
  PostgresTransaction,
} from './connection.ts';
export { postgresStorage } from './postgres-storage.ts';
export type { PostgresConnection, PostgresOptions, PostgresStorage } from './postgres-storage.ts';
