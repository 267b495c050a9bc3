import { dynamodb } from './dynamodb.ts';
import type { Engine, EngineName } from './engine.ts';
import { mariadb, mariadbSnapshot } from './mariadb.ts';
import { aws } from './moto.ts';
import { mysql9 } from './mysql.ts';
import { pglite } from './pglite.ts';
import { postgres15, postgres18 } from './postgres.ts';

/** Every engine configuration. A record, so that none can be forgotten. */
export const engines: Readonly<Record<EngineName, Engine>> = {
  pglite,
  'postgres-18': postgres18,
  'postgres-15': postgres15,
  'mysql-9': mysql9,
  mariadb,
  'mariadb-snapshot': mariadbSnapshot,
  dynamodb,
  aws,
};
