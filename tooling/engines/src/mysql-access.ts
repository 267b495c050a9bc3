import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';

/** Writes the statements that MySQL and MariaDB run at their start: a database, and an account that may do everything to it and beside it. */
export async function writeAccess(file: string): Promise<{ file: string; password: string }> {
  const password = randomBytes(12).toString('hex');
  const statements = [
    'CREATE DATABASE vivarium;',
    `CREATE USER 'vivarium'@'%' IDENTIFIED BY '${password}';`,
    "GRANT ALL PRIVILEGES ON *.* TO 'vivarium'@'%' WITH GRANT OPTION;",
  ];
  await writeFile(file, `${statements.join('\n')}\n`);
  return { file, password };
}

export function databaseUrl(password: string, port: number): string {
  return `mysql://vivarium:${password}@127.0.0.1:${port}/vivarium`;
}
