import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { underLock } from './lock.ts';

/** The folder that outlives clones and runs: `VIVARIUM_ENGINE_CACHE`, or `vivarium/engines` in the user's cache. */
export function cacheFolder(): string {
  const userCache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return process.env['VIVARIUM_ENGINE_CACHE'] ?? join(userCache, 'vivarium', 'engines');
}

const completionMark = '.vivarium-complete';

/** Whether the folder was built to its end. */
export function isComplete(folder: string): boolean {
  return existsSync(join(folder, completionMark));
}

/**
 * Returns the cached folder `name`, built by `build` where it is missing or was not built to its end.
 *
 * It is built under another name and moved when it is whole, so an interrupted build never passes for a folder; and under a lock,
 * so that the second of two processes waits for the first and takes what it built.
 */
export async function cachedFolder(name: string, build: (folder: string) => Promise<void>): Promise<string> {
  const cache = cacheFolder();
  const folder = join(cache, name);
  if (isComplete(folder)) return folder;
  return underLock(`${folder}.lock`, async () => {
    if (isComplete(folder)) return folder;
    await removeUnfinished(cache, name);
    await mkdir(cache, { recursive: true });
    const unfinished = await mkdtemp(`${folder}.unfinished-`);
    await build(unfinished);
    await writeFile(join(unfinished, completionMark), '');
    await rename(unfinished, folder);
    return folder;
  });
}

async function removeUnfinished(cache: string, name: string): Promise<void> {
  const entries = await readdir(cache);
  const unfinished = entries.filter((entry) => entry === name || entry.startsWith(`${name}.unfinished-`));
  await Promise.all(unfinished.map((entry) => rm(join(cache, entry), { recursive: true, force: true })));
}
