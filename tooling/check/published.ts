import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './run.ts';

/** A package that npm gets. */
export interface PublishedPackage {
  readonly name: string;
  readonly folder: string;
  /** The source of each public entry. */
  readonly entries: readonly string[];
}

interface Manifest {
  readonly name: string;
  readonly private?: boolean;
  readonly exports: Readonly<Record<string, string>>;
}

export const publishedPackages: readonly PublishedPackage[] = globSync('packages/*/package.json', { cwd: root })
  .toSorted()
  .map((path) => ({ folder: join(root, dirname(path)), manifest: readManifest(join(root, path)) }))
  .filter(({ manifest }) => manifest.private !== true)
  .map(({ folder, manifest }) => ({
    name: manifest.name,
    folder,
    entries: Object.values(manifest.exports).map((entry) => join(folder, entry)),
  }));

/** Where a package lies once it is packed. */
export function tarball(folder: string, { name }: PublishedPackage): string {
  return join(folder, `${name.replace('@', '').replace('/', '-')}.tgz`);
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
}
