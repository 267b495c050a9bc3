/**
 * Node runs every TypeScript file of the workspace as it is. Its stripper of types is another one than the compiler and the tests' bundler have, and takes less:
 * `for (const of of [1])` is a syntax error to it alone, and would only be found by whoever starts that file with plain `node`.
 */
import { globSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import process from 'node:process';
import { root } from './run.ts';

const [pattern = '{packages,examples,bench,tooling}/**/*.ts', folder = root] = process.argv.slice(2);
const files = globSync(pattern, { cwd: folder, exclude: ['**/node_modules', '**/dist'] });
const refused = files.flatMap((path) => {
  try {
    stripTypeScriptTypes(readFileSync(`${folder}/${path}`, 'utf8'));
    return [];
  } catch (thrown) {
    return [`${path}: ${(thrown as Error).message.trim()}`];
  }
});

if (files.length === 0) refused.push(`${pattern} is no file at all`);
if (refused.length > 0) {
  console.error(`Node does not run these files:\n${refused.join('\n')}`);
  process.exit(1);
}
