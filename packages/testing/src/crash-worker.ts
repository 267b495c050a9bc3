import { flushCompileCache } from 'node:module';

import { createVivarium, unwrap } from '@vivarium/core';
import type { PipelineRunner, StateChangeType, Storage } from '@vivarium/core';

import { seededRandom } from './seeded-random.ts';

/** What a process that will be killed works on. */
export interface CrashScene {
  readonly orgId: string;
  readonly typeId: string;
  readonly seed: number;
}

const changes = ['provision', 'deploy', 'cleanUp', 'sleep', 'wakeUp', 'deprovision'] as const;

/** Every kind of change that an instance can go through. */
export const everyChange: readonly StateChangeType[] = [
  'provisioning',
  'deploying',
  'cleaning_up',
  'to_sleep',
  'wake_up',
  'deprovisioning',
];

/**
 * Creates instances and changes their states, several at a time, until the process is killed. Its pipelines end at once, later, or never; some of its
 * calls are under way at any moment. Calls `busy` once it is.
 */
export async function workUntilKilled(storage: Storage<never>, scene: CrashScene, busy: () => void): Promise<never> {
  const random = seededRandom(scene.seed);
  const client = () => createVivarium({ storage, pipelines }).as({ org: scene.orgId, type: 'user', id: 'worker' });
  const pipelines: PipelineRunner = {
    start: async ({ stateChange, token }) => {
      const fate = random.integer(10);
      if (fate === 0) throw new Error('the connection to the runner was lost');
      if (fate === 1) throw Object.assign(new Error('no such pipeline'), { refused: true });
      if (fate === 2) return { executionId: `execution of ${stateChange.id}` };
      const result = fate === 3 ? 'failed' : 'passed';
      setTimeout(
        () => void client().ephemeral.stateChanges.complete({ stateChangeId: stateChange.id, token, result }),
        random.integer(20),
      );
      return { executionId: `execution of ${stateChange.id}` };
    },
    cancel: async () => undefined,
  };

  const { instances } = client().ephemeral;
  const worker = async (name: string): Promise<never> => {
    for (let n = 0; ; n++) {
      const page = unwrap(await instances.list({ typeId: scene.typeId, limit: 100 }));
      const living = page.items.filter(({ endedAt }) => endedAt === null);
      if (living.length === 0 || random.integer(4) === 0) {
        await instances.create({ typeId: scene.typeId, name: `${name} ${scene.seed} ${n}` });
      } else {
        await instances[random.pick(changes)](random.pick(living).id);
      }
      if (n === 3) {
        // A killed process leaves no cache behind for the next one.
        flushCompileCache();
        busy();
      }
    }
  };
  return Promise.race([worker('a'), worker('b'), worker('c'), worker('d')]);
}
