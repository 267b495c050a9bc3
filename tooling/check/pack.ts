/**
 * Builds the packages and packs each into a tarball, exactly as npm would get it.
 *
 *     node tooling/check/pack.ts <folder>
 */
import process from 'node:process';
import { execute } from './execute.ts';
import { publishedPackages, tarball } from './published.ts';
import { root } from './run.ts';

const folder = process.argv[2] ?? '.';
execute(root, 'npm', 'run', '--silent', 'build');
for (const published of publishedPackages) {
  execute(published.folder, 'npx', '--yes', 'pnpm@12.21.0', 'pack', '--silent', '--out', tarball(folder, published));
}
