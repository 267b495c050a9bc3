import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** The conformance runs that last minutes, the longest first; those that need nothing installed come before those that do. */
const longest = [
  'dynamodb',
  'pglite',
  'mysql-9',
  'dynamodb-conflicts',
  'postgres-18',
  'postgres-15',
  'mariadb',
  'mariadb-snapshot',
  'mysql-9-batches',
  'mysql-9-hostile',
  'mariadb-hostile',
];

/**
 * What lasts longest goes first, so that all workers have something to do to the end. Then what needs no engine: meanwhile
 * the engines that `npm test` asks for are installed and started.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const ranks = new Map(sorted.map((file) => [file, rankOf(file.moduleId)]));
    return sorted.toSorted((a, b) => ranks.get(a)! - ranks.get(b)!);
  }
}

function rankOf(file: string): number {
  const run = /\/conformance\/([^/]+)\.test\.ts$/.exec(file)?.[1];
  if (run !== undefined) return longest.indexOf(run);
  return readFileSync(file, 'utf8').includes('@vivarium/engines') ? longest.length + 1 : longest.length;
}

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'tooling/*/test/**/*.test.ts'],
    globalSetup: ['tooling/engines/src/global-setup.ts'],
    sequence: { sequencer: LongestFirst },
    // The engines work on the same cores: on two of them, three workers took a third longer than two.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
