import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { obtainEngine, startEngine } from '../src/index.ts';
import { freePort } from '../src/port.ts';
import { runServer } from '../src/server.ts';
import type { ServerProcess } from '../src/server.ts';
import { runProgram } from './program.ts';

afterEach(() => vi.unstubAllEnvs());

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

async function toyServer(program: string): Promise<ServerProcess & { port: number }> {
  const port = await freePort();
  return {
    command: process.execPath,
    args: ['--eval', program, String(port)],
    folder: await mkdtemp(join(tmpdir(), 'vivarium-toy-')),
    readyWhen: 'ready',
    stopSignal: 'SIGKILL',
    port,
  };
}

const answering = `require('net').createServer().listen(Number(process.argv[1]), '127.0.0.1', () => console.log('ready'))`;

describe('a server', () => {
  test('runs from start to stop, and takes its folder with it', async () => {
    const toy = await toyServer(answering);
    const server = await runServer(toy);
    expect(await listens(toy.port)).toBe(true);
    expect(existsSync(toy.folder)).toBe(true);
    await server.stop();
    expect(await listens(toy.port)).toBe(false);
    expect(existsSync(toy.folder)).toBe(false);
  });

  test.each<NodeJS.Signals>(['SIGINT', 'SIGTERM', 'SIGKILL'])('ends when its owner dies of %s', async (signal) => {
    const toy = await toyServer(answering);
    const owner = runProgram(`
      import { runServer } from '${new URL('../src/server.ts', import.meta.url).href}';
      await runServer(${JSON.stringify(toy)});
      console.log('started');
      setInterval(() => {}, 1_000);
    `);
    await owner.says('started');
    expect(await listens(toy.port)).toBe(true);
    await owner.end(signal);
    await vi.waitUntil(async () => !(await listens(toy.port)) && !existsSync(toy.folder), { timeout: 10_000 });
  });

  test('does not keep an owner alive that is done', async () => {
    const toy = await toyServer(answering);
    const owner = runProgram(`
      import { runServer } from '${new URL('../src/server.ts', import.meta.url).href}';
      await runServer(${JSON.stringify(toy)});
      console.log('started');
    `);
    await owner.says('started');
    await vi.waitUntil(async () => !(await listens(toy.port)) && !existsSync(toy.folder), { timeout: 10_000 });
  });

  test('that ends at once says what it wrote last', async () => {
    const toy = await toyServer(`console.error('no space left'); process.exit(3)`);
    await expect(runServer(toy)).rejects.toThrow(/exit code 3: no space left/);
    expect(existsSync(toy.folder)).toBe(false);
  });

  test('whose program is missing is an error', async () => {
    const toy = await toyServer(answering);
    await expect(runServer({ ...toy, command: '/nowhere/server' })).rejects.toThrow(/ENOENT/);
  });
});

describe('an engine', () => {
  test('whose URL is in the environment is used and not started', async () => {
    vi.stubEnv('VIVARIUM_TEST_MYSQL_URL', 'mysql://somebody@db.example/test');
    expect(await startEngine('mysql-9')).toMatchObject({ name: 'mysql-9', url: 'mysql://somebody@db.example/test' });
    expect(await obtainEngine('mysql-9')).toBeUndefined();
  });

  test('that cannot be had says why and what would help', async () => {
    vi.stubEnv('VIVARIUM_ENGINE_CACHE', '/dev/null/cache');
    vi.stubEnv('VIVARIUM_TEST_MYSQL_URL', '');
    const answer = await startEngine('mysql-9');
    expect(answer).toMatchObject({ name: 'mysql-9', unavailable: expect.stringMatching(/.+/) });
    expect(answer).toMatchObject({ remedy: expect.stringContaining('VIVARIUM_TEST_MYSQL_URL') });
  });
});
