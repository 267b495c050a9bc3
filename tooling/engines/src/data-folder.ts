import { chown, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOpenToAll } from './account.ts';
import type { Account } from './command.ts';

/** Makes a temporary folder that `account` owns and can reach, alone. */
export async function makeDataFolder(name: string, account: Account | undefined): Promise<string> {
  const place = account === undefined || (await isOpenToAll(tmpdir())) ? tmpdir() : '/tmp';
  const folder = await mkdtemp(join(place, `vivarium-${name}-`));
  if (account !== undefined) await chown(folder, account.uid, account.gid);
  return folder;
}
