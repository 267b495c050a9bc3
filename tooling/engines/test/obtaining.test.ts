import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { cachedFolder } from '../src/cache.ts';
import { underLock } from '../src/lock.ts';
import { runProgram } from './program.ts';

let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'vivarium-cache-'));
  vi.stubEnv('VIVARIUM_ENGINE_CACHE', cache);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

const build = async (folder: string): Promise<void> => writeFile(join(folder, 'server'), 'whole');

describe.runIf(process.platform === 'linux')('a cached folder', () => {
  test('is built once', async () => {
    const folder = await cachedFolder('system', build);
    await cachedFolder('system', () => expect.unreachable('built again'));
    expect(await readFile(join(folder, 'server'), 'utf8')).toBe('whole');
  });

  test('is built again where its last build did not end', async () => {
    await mkdir(join(cache, 'system'));
    await writeFile(join(cache, 'system', 'server'), 'half');
    await mkdir(join(cache, 'system.unfinished-abc123'));
    const folder = await cachedFolder('system', build);
    expect(await readFile(join(folder, 'server'), 'utf8')).toBe('whole');
    expect((await readdir(cache)).sort()).toEqual(['system', 'system.lock']);
  });

  test('is not there after a build that failed', async () => {
    await expect(cachedFolder('system', () => Promise.reject(new Error('no network')))).rejects.toThrow('no network');
    expect(existsSync(join(cache, 'system'))).toBe(false);
    expect(await cachedFolder('system', build)).toBe(join(cache, 'system'));
  });

  test('is built by one of two that want it at once', async () => {
    let builds = 0;
    const slowly = async (folder: string): Promise<void> => {
      builds += 1;
      await pause(200);
      await build(folder);
    };
    await Promise.all([cachedFolder('system', slowly), cachedFolder('system', slowly)]);
    expect(builds).toBe(1);
  });
});

describe.runIf(process.platform === 'linux')('a lock', () => {
  const lock = (): string => join(cache, 'some.lock');
  const otherProcess = (): ReturnType<typeof runProgram> =>
    runProgram(`
      import { underLock } from '${new URL('../src/lock.ts', import.meta.url).href}';
      await underLock('${lock()}', async () => { console.log('held'); await new Promise((resolve) => setTimeout(resolve, 60_000)); });
    `);

  test('held by another process is waited for', async () => {
    const other = otherProcess();
    await other.says('held');
    let entered = false;
    const mine = underLock(lock(), async () => {
      entered = true;
    });
    await pause(500);
    expect(entered).toBe(false);
    await other.end('SIGTERM');
    await mine;
    expect(entered).toBe(true);
  });

  test('is free again when its holder was killed', async () => {
    const other = otherProcess();
    await other.says('held');
    await other.end('SIGKILL');
    expect(await underLock(lock(), async () => 'entered')).toBe('entered');
  });

  test('is free again when the work failed', async () => {
    await expect(underLock(lock(), () => Promise.reject(new Error('work failed')))).rejects.toThrow('work failed');
    expect(await underLock(lock(), async () => 'entered')).toBe('entered');
  });
});
