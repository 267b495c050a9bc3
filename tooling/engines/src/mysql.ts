import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import process from 'node:process';
import { cachedFolder, cacheFolder, isComplete } from './cache.ts';
import { runCommand } from './command.ts';
import { buildSystem } from './debian.ts';
import { EngineUnavailable } from './engine.ts';
import type { Engine, Server } from './engine.ts';
import { databaseUrl, makeTemporaryFolder, writeAccess } from './mysql-setup.ts';
import { freePort } from './port.ts';
import { runServer } from './server.ts';

const systemName = 'mysql-9';

/** MySQL 9, which only Debian's unstable release has: it runs in a small system of that release, in a cached folder. */
export const mysql9: Engine = {
  name: 'mysql-9',
  title: 'MySQL 9',
  variable: 'VIVARIUM_TEST_MYSQL_URL',
  present: async () => isComplete(join(cacheFolder(), systemName)),
  obtain: async () => {
    if (process.getuid?.() !== 0)
      throw new EngineUnavailable('it runs in a system of its own, and entering that needs root');
    await cachedFolder(systemName, async (folder) => {
      await buildSystem(folder, 'sid', ['mysql-server-core']);
      await mkdir(join(folder, 'var/lib/mysql-files'), { recursive: true });
      const version = await runCommand('chroot', [folder, 'mysqld', '--version']);
      if (!version.includes('Ver 9.'))
        throw new EngineUnavailable(`Debian unstable has another MySQL by now: ${version}`);
    });
  },
  start: startMysql,
};

async function startMysql(): Promise<Server> {
  const system = join(cacheFolder(), systemName);
  const folder = await mkdtemp(join(system, 'tmp', 'vivarium-'));
  const inside = join('/tmp', basename(folder));
  try {
    await makeTemporaryFolder(folder, undefined);
    const common = [
      '--no-defaults',
      '--user=root',
      `--datadir=${inside}/data`,
      `--tmpdir=${inside}/tmp`,
      '--skip-log-bin',
      '--skip-innodb-doublewrite',
    ];
    await runCommand('chroot', [system, 'mysqld', ...common, '--initialize-insecure']);

    const port = await freePort();
    const access = await writeAccess(join(folder, 'access.sql'));
    const server = await runServer({
      command: 'chroot',
      args: [
        system,
        'mysqld',
        ...common,
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        '--mysqlx=OFF',
        `--socket=${inside}/socket`,
        `--pid-file=${inside}/pid`,
        `--init-file=${inside}/access.sql`,
        '--max-connections=300',
        '--innodb-flush-log-at-trx-commit=0',
        '--performance-schema=OFF',
      ],
      folder,
      readyWhen: 'ready for connections',
      stopSignal: 'SIGKILL',
    });
    return { url: databaseUrl(access.password, port), stop: server.stop };
  } catch (cause) {
    await rm(folder, { recursive: true, force: true });
    throw cause;
  }
}
