import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Runs `work` while no other process on this machine runs work under the same file.
 *
 * The kernel holds the lock (`flock`) for a child that lives exactly as long as the pipe from this process. Whoever dies, even by SIGKILL,
 * lets go: there is no stale lock to recognise.
 */
export async function underLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'close');
  const held = once(holder.stdout, 'data');
  await Promise.race([
    held,
    ended.then(() => {
      throw new Error(`the lock ${file} could not be taken`);
    }),
  ]);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
