/**
 * What is in a tarball: the files that people look for, and only imports that its package.json declares, in the code as in the declarations.
 * So nothing of the workspace's private packages shows, and core has its three dependencies.
 *
 *     node tooling/check/tarballs.ts <folder>
 */
import { globSync, mkdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import ts from 'typescript';
import { execute } from './execute.ts';
import { publishedPackages, tarball } from './published.ts';

const dependenciesOfCore = ['neverthrow', 'uuid', 'zod'];
const expectedFiles = ['package.json', 'README.md', 'LICENSE'];
const folder = process.argv[2] ?? '.';

const faults = publishedPackages.flatMap((published) => {
  const unpacked = join(folder, 'unpacked', published.name);
  mkdirSync(unpacked, { recursive: true });
  execute(unpacked, 'tar', '-xzf', tarball(folder, published), '--strip-components=1');
  return faultsOf(published.name, unpacked).map((fault) => `${published.name} ${fault}`);
});
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}

interface PackedManifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

function faultsOf(name: string, unpacked: string): string[] {
  const manifest = readFileSync(join(unpacked, 'package.json'), 'utf8');
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(manifest) as PackedManifest;
  const files = globSync('**/*.*', { cwd: unpacked }).concat(globSync('LICENSE', { cwd: unpacked }));
  const declared = new Set([name, ...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
  const faults = expectedFiles.filter((file) => !files.includes(file)).map((file) => `has no ${file}`);

  if (manifest.includes('workspace:')) faults.push('names a version of the workspace');
  if (manifest.includes('./src/')) faults.push('exports its sources, which are not in it');
  if (name === '@vivarium/core' && Object.keys(dependencies).toSorted().join() !== dependenciesOfCore.join()) {
    faults.push(`depends on ${Object.keys(dependencies).join(', ')}; promised are ${dependenciesOfCore.join(', ')}`);
  }
  for (const file of files.filter((path) => /\.(js|ts)$/.test(path))) {
    for (const imported of importsOf(readFileSync(join(unpacked, file), 'utf8'))) {
      if (!isBuiltin(imported) && !declared.has(imported))
        faults.push(`imports ${imported} in ${file} without declaring it`);
    }
  }
  return faults;
}

/** The packages that a module imports. */
function importsOf(code: string): string[] {
  const names = ts.preProcessFile(code, true, true).importedFiles.map(({ fileName }) => fileName);
  return names.filter((name) => !name.startsWith('.')).map((name) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name);
}
