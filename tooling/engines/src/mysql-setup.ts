import { randomBytes } from 'node:crypto';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './command.ts';

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

/**
 * Gives a server a folder of its own for temporary tables. A starting MySQL or MariaDB removes every `#sql…` file it finds in that folder:
 * two servers that share `/tmp` remove each other's tables in use.
 */
export async function makeTemporaryFolder(folder: string, account: Account | undefined): Promise<string> {
  const temporary = join(folder, 'tmp');
  await mkdir(temporary);
  if (account !== undefined) await chown(temporary, account.uid, account.gid);
  return temporary;
}
