import { mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import { cachedFolder, cacheFolder, isComplete } from './cache.ts';
import { runCommand } from './command.ts';
import { buildSystem } from './debian.ts';
import { EngineUnavailable } from './engine.ts';
import type { Engine, Server } from './engine.ts';
import { freePort } from './port.ts';
import { runServer } from './server.ts';

/**
 * A system of its own and not the one of MySQL, which is of the same release: a day on which unstable cannot install one of them does not take
 * the other one away.
 */
const systemName = 'moto';

/**
 * AWS as moto plays it, over the real protocol: KMS and SQS are what is asked of it. It keeps everything in memory and takes any credentials
 * and any region. Only Debian's unstable release has it: it runs in a small system of that release, in a cached folder.
 */
export const aws: Engine = {
  name: 'aws',
  title: 'AWS (moto)',
  variable: 'VIVARIUM_TEST_AWS_URL',
  present: async () => isComplete(join(cacheFolder(), systemName)),
  obtain: async () => {
    if (process.getuid?.() !== 0)
      throw new EngineUnavailable('it runs in a system of its own, and entering that needs root');
    await cachedFolder(systemName, async (folder) => {
      // The last one is named because debootstrap does not follow python3-cryptography's dependency on what it provides.
      const packages = ['python3-moto', 'python3-flask', 'python3-flask-cors', 'python3-cffi-backend'];
      await buildSystem(folder, 'sid', packages);
      await runCommand('chroot', [folder, 'moto_server', '--help']);
    });
  },
  start: startMoto,
};

async function startMoto(): Promise<Server> {
  const system = join(cacheFolder(), systemName);
  const folder = await mkdtemp(join(system, 'tmp', 'vivarium-'));
  try {
    const port = await freePort();
    const address = `http://127.0.0.1:${port}`;
    const server = await runServer({
      command: 'chroot',
      args: [
        system,
        'env',
        `HOME=/tmp/${basename(folder)}`,
        'PYTHONUNBUFFERED=1',
        'moto_server',
        '--host=127.0.0.1',
        `--port=${port}`,
      ],
      folder,
      readyWhen: `Running on ${address}`,
      stopSignal: 'SIGKILL',
    });
    return { url: address, stop: server.stop };
  } catch (cause) {
    await rm(folder, { recursive: true, force: true });
    throw cause;
  }
}
