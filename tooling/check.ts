/**
 * Runs the static checks: `npm run check`, in well under a minute. `npm run check -- --all` also builds and packs the packages and tries
 * them as their users would, which CI does. Exit code 0 means that all is well.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { publishedPackages, tarball } from './check/published.ts';
import { root, runChecks } from './check/run.ts';
import type { Check } from './check/run.ts';

const sources: Check[] = [
  { name: 'format', command: ['oxfmt', '--list-different'] },
  { name: 'documented exports', command: ['node', 'tooling/check/documented.ts'] },
  { name: 'lint', command: ['oxlint', '--format=unix', '.'] },
  { name: 'types', command: ['node_modules/typescript-7/bin/tsc', '--noEmit', '--pretty', 'false'] },
  { name: 'types that Node strips', command: ['node', 'tooling/check/strippable.ts'] },
  { name: 'errors reference', command: ['node', 'tooling/check/errors-reference.ts'] },
  { name: 'lifecycle diagram', command: ['node', 'tooling/check/lifecycle-diagram.ts'] },
  { name: 'unused code and dependencies', command: ['knip', '--no-progress'] },
  { name: 'imports', command: ['depcruise', '--output-type=err-long', 'packages', 'examples', 'bench', 'tooling'] },
  { name: 'code in documents', command: ['node', 'tooling/check/snippets.ts'] },
  { name: 'links in documents', command: ['node', 'tooling/check/links.ts'] },
  {
    name: 'templates alone',
    command: ['node', 'tooling/check/templates-alone.ts', 'packages/core/src/templates/index.ts'],
  },
];

const all = process.argv.includes('--all');
let failed = await runChecks(sources);
if (all) failed += await tryPackages();
if (!all)
  console.log('Not done: building the packages and trying them from their tarballs (`npm run check -- --all`).');
console.log(failed === 0 ? 'All checks passed.' : `${failed} checks failed.`);
process.exit(failed === 0 ? 0 : 1);

/** What is tried are the tarballs that npm would publish, in a folder that knows nothing of the workspace. Returns how many checks failed. */
async function tryPackages(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'vivarium-packages-'));
  const script = (name: string, ...args: string[]): Check['command'] => [
    'node',
    `tooling/check/${name}.ts`,
    folder,
    ...args,
  ];
  const templates = join(folder, 'installed/node_modules/@vivarium/core/dist/templates.js');
  const consumers = readdirSync(join(root, 'tooling/consumers'));
  const steps: Check[][] = [
    [{ name: 'build and pack', command: script('pack') }],
    [
      { name: 'install from the tarballs', command: script('install') },
      { name: 'what is in the tarballs', command: script('tarballs') },
      ...publishedPackages.flatMap((published): Check[] => [
        { name: `publint: ${published.name}`, command: ['publint', 'run', '--strict', tarball(folder, published)] },
        { name: `attw: ${published.name}`, command: ['attw', '--profile', 'esm-only', tarball(folder, published)] },
      ]),
    ],
    [
      { name: 'templates alone, from the tarball', command: ['node', 'tooling/check/templates-alone.ts', templates] },
      ...consumers.map((name): Check => ({ name: `consumer: ${name}`, command: script('consumer', name) })),
    ],
  ];

  let failures = 0;
  for (const step of steps) {
    failures += await runChecks(step);
    if (failures > 0) break;
  }
  rmSync(folder, { recursive: true });
  return failures;
}
