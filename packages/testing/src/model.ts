import { isDeepStrictEqual } from 'node:util';
import { memoryStorage } from '@vivarium/core/memory';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { beginning, ending, modelContexts, modelLimits, passTime, playerOf, runsOf } from './model-commands.ts';
import { nobody } from './model-context.ts';
import type { Draft, ModelSide } from './model-context.ts';
import { recordingRunner } from './pipelines.ts';
import { sequentialIds } from './sequential-ids.ts';
import type { Suite } from './suite.ts';

/** A run that went differently on the two sides, command by command. */
export class ModelDifference extends Error {
  constructor(story: readonly string[], tested: unknown, reference: unknown) {
    const shown = (value: unknown) => JSON.stringify(value, null, 1);
    super(`${story.join('\n')}\n\nhere: ${shown(tested)}\n\nthere: ${shown(reference)}`);
  }
}

/** How the commands of a model test ended. */
export interface ModelOutcomes {
  commands: number;
  succeeded: number;
  /** How often each command ended with `ok` or with a code (`journal.prune ok`), and what contexts found worth counting. */
  readonly outcomes: Map<string, number>;
}

/**
 * Draws runs of commands until so many have been carried out, and fails with the shortest run that goes differently on the two sides. `begin`
 * makes both sides anew for each run. Ids may differ between the sides as long as they differ the same way everywhere.
 */
export async function compareSides(
  begin: (clock: FakeClock) => { readonly tested: ModelSide; readonly reference: ModelSide },
  size: { readonly commands: number; readonly seed: number },
): Promise<ModelOutcomes> {
  const counted: ModelOutcomes = { commands: 0, succeeded: 0, outcomes: new Map() };
  const property = fc.asyncProperty(runsOf(modelContexts, 150), async (run) => {
    const clock = fakeClock('2025-03-09T01:59:59.000Z');
    const { tested, reference } = begin(clock);
    await playOut(run, clock, tested, reference, counted);
  });
  for (let round = 0; counted.commands < size.commands; round++) {
    await fc.assert(property, { seed: size.seed * 1_000 + round, numRuns: 5 });
  }
  return counted;
}

async function playOut(
  run: readonly Draft[],
  clock: FakeClock,
  tested: ModelSide,
  reference: ModelSide,
  counted: ModelOutcomes,
): Promise<void> {
  const play = { tested: playerOf(tested, clock), reference: playerOf(reference, clock) };
  const rename = { tested: renamer(), reference: renamer() };
  const story: string[] = [];

  for (const draft of [...beginning, ...run, ...ending]) {
    passTime(draft, clock);
    const [here, there] = [await play.tested(draft), await play.reference(draft)];
    if (here === null || there === null) continue;
    story.push(`${draft.command} ${JSON.stringify({ ...draft, command: undefined })}`);
    count(draft.command, there, counted);
    const [answer, expected] = [rename.tested(here), rename.reference(there)];
    if (!isDeepStrictEqual(answer, expected)) throw new ModelDifference(story, answer, expected);
  }
}

function count(command: string, answer: object, counted: ModelOutcomes): void {
  const { error, ok } = answer as { readonly error?: { readonly code: string }; readonly ok?: unknown };
  const isDone = 'ok' in answer;
  const context = modelContexts.find(({ weights }) => weights.has(command));
  const notable = (isDone && context?.notable?.(command, { ok })) || [];
  for (const outcome of [`${command} ${error === undefined ? 'ok' : error.code}`, ...notable]) {
    counted.outcomes.set(outcome, (counted.outcomes.get(outcome) ?? 0) + 1);
  }
  counted.commands++;
  if (isDone) counted.succeeded++;
}

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
          const runner = recordingRunner();
          const ids = sequentialIds(series);
          const vivarium = suite.vivarium({ storage, clock, ids, limits: modelLimits, pipelines: runner });
          const clientOf = (org: string) => vivarium.as({ org, type: 'user', id: 'model' });
          return { clients: [clientOf(a), clientOf(b)], runner };
        };
        return { tested: side(), reference: side(memoryStorage()) };
      };
      const { commands: carriedOut, succeeded } = await compareSides(begin, { commands: modelCommands, seed });
      expect(carriedOut).toBeGreaterThanOrEqual(modelCommands);
      expect(succeeded).toBeGreaterThan(carriedOut / 4);
    });
  });
}
