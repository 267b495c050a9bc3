import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ordinaryAccount } from './account.ts';
import { runCommand } from './command.ts';
import { makeDataFolder } from './data-folder.ts';
import { installPackages } from './debian.ts';
import type { Engine, EngineName, Server } from './engine.ts';
import { databaseUrl, makeTemporaryFolder, writeAccess } from './mysql-setup.ts';
import { freePort } from './port.ts';
import { runServer } from './server.ts';

/** MariaDB 10.11 as it ships. */
export const mariadb = mariadbEngine('mariadb', 'MariaDB 10.11', 'VIVARIUM_TEST_MARIADB_URL', 'OFF');

/** MariaDB 10.11 with `innodb_snapshot_isolation`, the default of later versions: a locking read of a row that changed since the snapshot fails. */
export const mariadbSnapshot = mariadbEngine(
  'mariadb-snapshot',
  'MariaDB 10.11, snapshot isolation',
  'VIVARIUM_TEST_MARIADB_SNAPSHOT_URL',
  'ON',
);

function mariadbEngine(name: EngineName, title: string, variable: string, snapshotIsolation: 'ON' | 'OFF'): Engine {
  const present = async (): Promise<boolean> =>
    existsSync('/usr/sbin/mariadbd') &&
    existsSync('/usr/bin/mariadb-install-db') &&
    existsSync('/usr/bin/my_print_defaults');
  return {
    name,
    title,
    variable,
    present,
    obtain: async () => {
      // The core packages: the programs without the service that `mariadb-server` would start.
      if (!(await present())) await installPackages('mariadb-server-core', 'mariadb-client-core');
    },
    start: () => startMariadb(name, snapshotIsolation),
  };
}

async function startMariadb(name: EngineName, snapshotIsolation: 'ON' | 'OFF'): Promise<Server> {
  const account = await ordinaryAccount();
  const folder = await makeDataFolder(name, account);
  try {
    const data = join(folder, 'data');
    const temporary = await makeTemporaryFolder(folder, account);
    const initialize = [
      '--no-defaults',
      `--datadir=${data}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
    ];
    await runCommand('/usr/bin/mariadb-install-db', initialize, { account, cwd: folder, env: { TMPDIR: temporary } });

    const port = await freePort();
    const access = await writeAccess(join(folder, 'access.sql'));
    const server = await runServer({
      command: '/usr/sbin/mariadbd',
      args: [
        '--no-defaults',
        `--datadir=${data}`,
        `--tmpdir=${temporary}`,
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        `--socket=${join(folder, 'socket')}`,
        `--pid-file=${join(folder, 'pid')}`,
        `--init-file=${access.file}`,
        `--innodb-snapshot-isolation=${snapshotIsolation}`,
        '--max-connections=300',
        '--innodb-flush-log-at-trx-commit=0',
        '--skip-innodb-doublewrite',
      ],
      folder,
      account,
      readyWhen: 'ready for connections',
      stopSignal: 'SIGKILL',
    });
    return { url: databaseUrl(access.password, port), stop: server.stop };
  } catch (cause) {
    await rm(folder, { recursive: true, force: true });
    throw cause;
  }
}
