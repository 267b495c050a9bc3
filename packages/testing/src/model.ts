import { isDeepStrictEqual } from 'node:util';
import { memoryStorage } from '@vivarium/core/memory';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { carryOut, draftOf, drafts, modelLimits, nobody, nothingKnown, passTime } from './model-commands.ts';
import type { Draft, ModelSide } from './model-commands.ts';
import { sequentialIds } from './sequential-ids.ts';
import type { Suite } from './suite.ts';

/** A run that went differently on the two sides, command by command. */
export class ModelDifference extends Error {
  constructor(story: readonly string[], tested: unknown, reference: unknown) {
    const shown = (value: unknown) => JSON.stringify(value, null, 1);
    super(`${story.join('\n')}\n\nhere: ${shown(tested)}\n\nthere: ${shown(reference)}`);
  }
}

/**
 * Draws runs of commands until so many have been carried out, and fails with the shortest run that goes differently on the two sides. `begin`
 * makes both sides anew for each run. Ids may differ between the sides as long as they differ the same way everywhere.
 */
export async function compareSides(
  begin: (clock: FakeClock) => { readonly tested: ModelSide; readonly reference: ModelSide },
  size: { readonly commands: number; readonly seed: number },
): Promise<{ readonly commands: number; readonly succeeded: number }> {
  const counted = { commands: 0, succeeded: 0 };
  const runs = fc.array(drafts, { minLength: 1, maxLength: 150, size: 'max' });
  const property = fc.asyncProperty(runs, async (run) => {
    const clock = fakeClock('2025-03-09T01:59:59.000Z');
    const { tested, reference } = begin(clock);
    await playOut(run, clock, tested, reference, counted);
  });
  for (let round = 0; counted.commands < size.commands; round++) {
    await fc.assert(property, { seed: size.seed + round, numRuns: 5 });
  }
  return counted;
}

async function playOut(
  run: readonly Draft[],
  clock: FakeClock,
  tested: ModelSide,
  reference: ModelSide,
  counted: { commands: number; succeeded: number },
): Promise<void> {
  const known = { tested: nothingKnown(), reference: nothingKnown() };
  const rename = { tested: renamer(), reference: renamer() };
  const story: string[] = [];

  for (const draft of [...beginning, ...run, ...ending]) {
    passTime(draft, clock);
    const [here, there] = [
      await carryOut(draft, tested, known.tested, clock),
      await carryOut(draft, reference, known.reference, clock),
    ];
    if (here === null || there === null) continue;
    story.push(`${draft.command} ${JSON.stringify({ ...draft, command: undefined })}`);
    counted.commands++;
    if ('ok' in there) counted.succeeded++;
    const [answer, expected] = [rename.tested(here), rename.reference(there)];
    if (!isDeepStrictEqual(answer, expected)) throw new ModelDifference(story, answer, expected);
  }
}

const orgs = [0, 1];
const beginning = orgs.flatMap((org) => [draftOf('projects.create', org, { limit: 3 })]);
const ending = orgs.flatMap((org) => [
  draftOf('projects.list', org),
  ...Array.from({ length: 4 }, (_, project) => draftOf('environments.list', org, { project })),
  draftOf('journal.list', org),
  draftOf('journal.listParked', org),
]);

const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Calls ids by the order in which they are seen for the first time. */
function renamer(): (value: unknown) => unknown {
  const numbers = new Map<string, number>([[nobody, 0]]);
  const number = (id: string) => {
    if (!numbers.has(id)) numbers.set(id, numbers.size);
    return `#${numbers.get(id)}`;
  };
  const rename = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replace(uuid, number);
    if (Array.isArray(value)) return value.map(rename);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rename(inner)]));
  };
  return rename;
}

/** Random commands, one after the other, have the same answers as on memory storage. */
export function testModel(suite: Suite): void {
  const { seed, modelCommands } = suite.size;

  describe('model', () => {
    test(`${modelCommands} commands answer as on memory storage (seed ${seed})`, { timeout: 1_200_000 }, async () => {
      const begin = (clock: FakeClock) => {
        const [a, b] = [suite.newOrg(), suite.newOrg()];
        const series = suite.newSeries();
        const side = (storage = suite.harness.storage): ModelSide => {
          const vivarium = suite.vivarium({ storage, clock, ids: sequentialIds(series), limits: modelLimits });
          return [
            vivarium.as({ org: a, type: 'user', id: 'model' }),
            vivarium.as({ org: b, type: 'user', id: 'model' }),
          ];
        };
        return { tested: side(), reference: side(memoryStorage()) };
      };
      const { commands: carriedOut, succeeded } = await compareSides(begin, { commands: modelCommands, seed });
      expect(carriedOut).toBeGreaterThanOrEqual(modelCommands);
      expect(succeeded).toBeGreaterThan(carriedOut / 2);
    });
  });
}
