/**
 * Installs the tarballs with npm, in a folder that knows nothing of the workspace, with what their users have beside them: a compiler of
 * either generation, a bundler, the oldest Node that is promised, and a second copy of core, as a badly deduplicated tree would have it.
 *
 *     node tooling/check/install.ts <folder>
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { execute } from './execute.ts';
import { publishedPackages, tarball } from './published.ts';

const folder = process.argv[2] ?? '.';
const installed = join(folder, 'installed');
const tarballs = Object.fromEntries(publishedPackages.map((published) => [published.name, tarball(folder, published)]));

mkdirSync(installed, { recursive: true });
writeFileSync(
  join(installed, 'package.json'),
  JSON.stringify({
    private: true,
    dependencies: {
      ...tarballs,
      'core-again': tarballs['@vivarium/core'],
      '@types/node': '24.19.2',
      esbuild: '0.28.2',
      node: '22.12.0',
      typescript: '6.0.3',
      'typescript-7': 'npm:typescript@7.0.2',
    },
  }),
);
execute(installed, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error');
