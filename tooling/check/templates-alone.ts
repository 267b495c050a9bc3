/**
 * `@vivarium/core/templates` loads neither zod nor a module of Node, so that a browser or an edge worker can render templates. Types may
 * come from anywhere, so what is looked at is the bundle that a user would get.
 *
 *     node tooling/check/templates-alone.ts <entry>
 */
import process from 'node:process';
import { build } from 'esbuild';

const entry = process.argv[2] ?? 'packages/core/src/templates/index.ts';
const { metafile } = await build({
  entryPoints: [entry],
  bundle: true,
  format: 'esm',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  conditions: ['import'],
  external: ['node:*'],
  write: false,
  metafile: true,
  logLevel: 'silent',
});

const imported = Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path));
const bundled = Object.keys(metafile.inputs).flatMap(
  (path) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
);
const unwelcome = new Set([...imported, ...bundled]);
unwelcome.delete('neverthrow');
unwelcome.delete('@vivarium/core');
if (unwelcome.size > 0) {
  console.error(`The templates bring along what they should not: ${[...unwelcome].join(', ')}`);
  process.exit(1);
}
