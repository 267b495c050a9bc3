/**
 * Builds one of the programs in `tooling/consumers` against the installed tarballs, and runs it on the oldest Node that is promised and on
 * the one of the workspace. The program checks for itself that it got what it should.
 *
 *     node tooling/check/consumer.ts <folder> <consumer>
 */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { execute } from './execute.ts';
import { root } from './run.ts';

const [folder = '.', consumer = ''] = process.argv.slice(2);
const cwd = join(folder, 'installed', consumer);
cpSync(join(root, 'tooling/consumers', consumer), cwd, { recursive: true });

execute(cwd, 'npm', 'run', '--silent', '--if-present', 'build');
for (const node of [join(folder, 'installed/node_modules/node/bin/node'), process.execPath]) execute(cwd, node, '.');
