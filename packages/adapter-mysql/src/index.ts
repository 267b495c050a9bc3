export type { KyselyTransaction, MysqlConnection, MysqlPool, MysqlTransaction } from './connection.ts';
export type { Flavour } from './dialect.ts';
export { mysqlStorage } from './mysql-storage.ts';
export type { MysqlOptions, MysqlStorage, MysqlStorageConnection } from './mysql-storage.ts';
