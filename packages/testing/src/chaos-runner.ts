import type { PipelineRunner } from '@vivarium/core';

import type { SeededRandom } from './seeded-random.ts';

/** A runner that mostly takes changes on, and knows the tokens of all of them. */
export interface ChaosRunner extends PipelineRunner {
  /** By the ids of changes, in the order in which they were started. */
  readonly tokens: ReadonlyMap<string, string>;
}

export function chaosRunner(random: SeededRandom): ChaosRunner {
  const tokens = new Map<string, string>();
  return {
    tokens,
    start: async ({ stateChange, token }) => {
      tokens.set(stateChange.id, token);
      const fate = random.integer(20);
      if (fate === 0) throw Object.assign(new Error('no such pipeline'), { refused: true });
      if (fate === 1) throw new Error('the connection was lost');
      return { executionId: `execution of ${stateChange.id}` };
    },
    cancel: async () => undefined,
  };
}
