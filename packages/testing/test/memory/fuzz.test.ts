import process from 'node:process';
import { createVivarium, localKeyring, methodErrors } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fakeClock } from '../../src/fake-clock.ts';
import { modelLimits, passTime, playerOf, runsOf } from '../../src/model-commands.ts';
import { environmentsModel } from '../../src/model-environments.ts';
import { journalModel } from '../../src/model-journal.ts';
import { recordingRunner } from '../../src/pipelines.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import { everyCall } from '../../src/every-call.ts';
import { makeWorld, worldOutside, worldRunner } from '../../src/world.ts';
import { emptyTally, watched } from './hostile-input.ts';
import type { Tally } from './hostile-input.ts';

const calls = Number(process.env['VIVARIUM_TEST_FUZZ_CALLS'] ?? 20_000);
const seed = Number(process.env['VIVARIUM_TEST_SEED'] ?? Math.floor(Date.now() / 86_400_000));

describe('[memory] fuzz', () => {
  test(
    `${calls} calls of every method, valid and not, throw nothing (seed ${seed})`,
    { timeout: 600_000 },
    async () => {
      const unhandled: unknown[] = [];
      const listen = (reason: unknown) => void unhandled.push(reason);
      process.on('unhandledRejection', listen);
      const tally = emptyTally();
      const methods = Object.keys(methodErrors).filter((name) => !isOfTheWorld(name));
      const runs = runsOf([environmentsModel, journalModel], 100);
      const property = fc.asyncProperty(runs, fc.nat(), async (run, spoiling) => {
        const clock = fakeClock();
        const vivarium = createVivarium({ storage: memoryStorage(), clock, limits: modelLimits });
        const random = seededRandom(spoiling);
        const clientOf = (org: string) => watched(vivarium.as({ org, type: 'user', id: 'ada' }), random, tally);
        const play = playerOf({ clients: [clientOf('acme'), clientOf('other')], runner: recordingRunner() }, clock);
        for (const draft of run) {
          passTime(draft, clock);
          await play(draft);
        }
      });
      try {
        for (let round = 0; goesOn(tally, calls, methods); round++)
          await fc.assert(property, { seed: seed + round, numRuns: 5, endOnFailure: true });
        await new Promise((resume) => setTimeout(resume, 50));
      } finally {
        process.off('unhandledRejection', listen);
      }

      expect(unhandled).toEqual([]);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
      expect(tally.calls).toBeGreaterThanOrEqual(calls);
      expect(tally.refusedAsInput, 'at least half of the calls are valid').toBeLessThanOrEqual(tally.calls / 2);
      expect(unseen(tally, methods)).toEqual([]);
    },
  );

  test(
    `${Math.ceil(calls / 4)} calls of ephemeral environments, keys, builds, deployments and previews, valid and not, throw nothing (seed ${seed})`,
    { timeout: 600_000 },
    async () => {
      const unhandled: unknown[] = [];
      const listen = (reason: unknown) => void unhandled.push(reason);
      process.on('unhandledRejection', listen);
      const tally = emptyTally();
      const random = seededRandom(seed);
      const keys = localKeyring({ keys: `fuzz:${Buffer.alloc(32, 1).toString('base64')}` });
      const methods = everyCall.filter(({ method }) => isOfTheWorld(method));
      const everyOne = methods.map(({ method }) => method);
      try {
        while (goesOn(tally, calls / 4, everyOne)) {
          const clock = fakeClock();
          const ports = {
            keys,
            pipelines: worldRunner,
            previews: { ...worldOutside.ports, forks: 'approve' },
          } as const;
          const vivarium = createVivarium<unknown>({ storage: memoryStorage(), clock, ...ports });
          const ada = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });
          const world = await makeWorld(ada);
          const client = watched(ada, random, tally);
          for (let call = 0; call < 50; call++) {
            if (random.integer(20) === 0) clock.advance(random.integer(3_600_000));
            await random.pick(methods).call(client, world);
          }
        }
        await new Promise((resume) => setTimeout(resume, 50));
      } finally {
        process.off('unhandledRejection', listen);
      }

      expect(unhandled).toEqual([]);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
      expect(tally.refusedAsInput, 'at least half of the calls are valid').toBeLessThanOrEqual(tally.calls / 2);
      expect(unseen(tally, everyOne)).toEqual([]);
    },
  );
});

/** Called in worlds, which have what these methods ask for; all others by the commands of the model test. */
function isOfTheWorld(method: string): boolean {
  return ['ephemeral.', 'keys.', 'builds.', 'deployments.', 'previews.'].some((context) => method.startsWith(context));
}

/** What no call has come by yet: each of the methods has to have succeeded, and to have refused input. */
function unseen({ outcomes }: Tally, methods: readonly string[]): readonly string[] {
  return methods
    .flatMap((method) => [`${method} ok`, ...(takesInput(method) ? [`${method} invalid_input`] : [])])
    .filter((outcome) => !outcomes.has(outcome));
}

/** Some methods succeed a few times in thousands of calls, and on some days not at all: then there are more calls, up to twenty times as many. */
function goesOn(tally: Tally, calls: number, methods: readonly string[]): boolean {
  return tally.calls < calls || (tally.calls < 20 * calls && unseen(tally, methods).length > 0);
}

/** Where nothing is taken, nothing can be spoiled. */
function takesInput(method: string): boolean {
  return method !== 'keys.rewrap';
}
