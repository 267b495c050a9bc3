import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** Tests that need no engine go first: meanwhile the engines that `npm test` asks for are installed and started. */
class EnginesLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const waits = new Map(
      sorted.map((file) => [file, readFileSync(file.moduleId, 'utf8').includes('@vivarium/engines')]),
    );
    return [...sorted.filter((file) => !waits.get(file)), ...sorted.filter((file) => waits.get(file))];
  }
}

export default defineConfig({
  test: {
    include: ['packages/*/test/**/*.test.ts', 'tooling/*/test/**/*.test.ts'],
    globalSetup: ['tooling/engines/src/global-setup.ts'],
    sequence: { sequencer: EnginesLast },
    // The engines work on the same cores.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
