/**
 * Builds the packages and packs each into a tarball, exactly as npm would get it.
 *
 *     node tooling/check/pack.ts <folder>
 */
import { join } from 'node:path';
import process from 'node:process';
import { execute } from './execute.ts';
import { publishedPackages } from './published.ts';
import { root } from './run.ts';

const folder = process.argv[2] ?? '.';
execute(root, 'npm', 'run', '--silent', 'build');
const chosen = publishedPackages.flatMap(({ name }) => ['--filter', name]);
execute(root, 'npx', '--yes', 'pnpm@12.21.0', ...chosen, 'pack', '--silent', '--out', join(folder, '%s.tgz'));
