import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import process from 'node:process';
import type { Account } from './command.ts';

/** The account for a server that refuses to run as root: `undefined` means the caller's own, which is not root. */
export async function ordinaryAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((fields) => fields[0] === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error('the user database has neither `postgres` nor `nobody` to run a server under');
}

/** Whether every account may reach and run what lies at `path`. A clone below `/root` is an example of a place where it may not. */
export async function isOpenToAll(path: string): Promise<boolean> {
  for (let place = path; ; place = dirname(place)) {
    if (((await stat(place)).mode & 0o001) === 0) return false;
    if (place === dirname(place)) return true;
  }
}
