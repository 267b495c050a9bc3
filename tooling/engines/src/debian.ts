import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { cacheFolder } from './cache.ts';
import { runCommand } from './command.ts';
import { EngineUnavailable } from './engine.ts';
import { underLock } from './lock.ts';

const minutes = 60_000;

/** Throws {@link EngineUnavailable} where packages cannot be installed: not a Debian system, or not as root. */
export function requireDebianRoot(what: string): void {
  if (!existsSync('/etc/debian_version') || !existsSync('/usr/bin/apt-get')) {
    throw new EngineUnavailable(`${what} is installed with apt-get, which this system does not have`);
  }
  if (process.getuid?.() !== 0) {
    throw new EngineUnavailable(`${what} is not installed, and installing it with apt-get needs root`);
  }
}

let updated: Promise<string> | undefined;

/** Installs Debian packages from the machine's own sources, one process at a time. */
export async function installPackages(...packages: readonly string[]): Promise<void> {
  requireDebianRoot(packages.join(', '));
  await underLock(join(cacheFolder(), 'apt.lock'), async () => {
    updated ??= aptGet('update');
    await updated;
    await aptGet('install', '--yes', '--no-install-recommends', ...packages);
  });
}

function aptGet(...args: readonly string[]): Promise<string> {
  return runCommand('apt-get', ['--option', 'DPkg::Lock::Timeout=300', ...args], {
    env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    timeout: 10 * minutes,
  });
}

/** The address of the Debian mirror that this machine's own apt sources name, so that the project names none. */
export async function debianMirror(): Promise<string> {
  const listing = await runCommand('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI) $(LABEL)',
    'Created-By: Packages',
  ]);
  const mirrors = listing
    .split('\n')
    .filter((line) => line.endsWith(' Debian'))
    .map((line) => line.slice(0, line.lastIndexOf(' ')));
  const mirror = mirrors.find((address) => /^(https?|file|copy):/.test(address));
  if (mirror === undefined) throw new EngineUnavailable('the apt sources of this machine name no Debian mirror');
  return mirror.replace(/^copy:/, 'file:');
}

/** Builds a minimal Debian of another release in `folder`, with `packages` in it. */
export async function buildSystem(folder: string, release: string, packages: readonly string[]): Promise<void> {
  requireDebianRoot(packages.join(', '));
  if (!existsSync('/usr/sbin/debootstrap')) await installPackages('debootstrap');
  const args = ['--variant=minbase', `--include=${packages.join(',')}`, release, folder, await debianMirror()];
  await runCommand('debootstrap', args, { env: { LC_ALL: 'C' }, timeout: 15 * minutes });
}
