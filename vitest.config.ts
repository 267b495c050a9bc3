import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** What lasts longest, from minutes to half a minute; of the conformance runs those that need nothing installed come first. */
const longest = [
  'adapter-dynamodb/test/conformance/dynamodb',
  'adapter-postgres/test/conformance/pglite',
  'adapter-mysql/test/conformance/mysql-9',
  'adapter-postgres/test/conformance/postgres-18',
  'adapter-postgres/test/conformance/postgres-15',
  'adapter-mysql/test/conformance/mariadb',
  'adapter-mysql/test/conformance/mariadb-snapshot',
  'adapter-mysql/test/conformance/mysql-9-batches',
  'adapter-mysql/test/conformance/mysql-9-hostile',
  'adapter-mysql/test/conformance/mariadb-hostile',
  'adapter-dynamodb/test/conformance/dynamodb-conflicts',
  'adapter-mysql/test/previews',
  'adapter-postgres/test/previews',
  'adapter-mysql/test/locks',
  'adapter-mysql/test/foreign-keys',
  'adapter-mysql/test/crash',
  'adapter-postgres/test/crash',
  'integrations/test/aws-sqs/aws-sqs',
];

/**
 * What lasts longest goes first, so that all workers have something to do to the end; meanwhile the engines that `npm test` asks for are installed and
 * started.
 */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const ranks = new Map(sorted.map((file) => [file, rankOf(file.moduleId)]));
    return sorted.toSorted((a, b) => ranks.get(a)! - ranks.get(b)!);
  }
}

function rankOf(file: string): number {
  const known = longest.findIndex((name) => file.endsWith(`/packages/${name}.test.ts`));
  if (known !== -1) return known;
  return readFileSync(file, 'utf8').includes('@vivarium/engines') ? longest.length + 1 : longest.length;
}

const conformance = 'packages/*/test/conformance/**/*.test.ts';
/** Waits for as long as it works, as whoever is in somebody's way does. */
const conflicts = 'packages/*/test/conformance/dynamodb-conflicts.test.ts';

export default defineConfig({
  test: {
    globalSetup: ['tooling/engines/src/global-setup.ts'],
    sequence: { sequencer: LongestFirst },
    // A worker keeps what it has loaded and compiled from one file to the next. The library has no state of its own that a file could leave behind.
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        // The engines work on the same cores: with three workers on two of them, these took a third longer.
        test: {
          name: 'conformance',
          include: [conformance],
          exclude: [conflicts],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // Some of these wait more than they work: for locks, for deadlines, for processes that start.
        test: {
          name: 'units and engines',
          include: [
            conflicts,
            'packages/*/test/!(conformance)/**/*.test.ts',
            'packages/*/test/*.test.ts',
            'tooling/*/test/**/*.test.ts',
          ],
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
