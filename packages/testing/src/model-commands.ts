import fc from 'fast-check';

import type { FakeClock } from './fake-clock.ts';
import { draftOf, draftsOf } from './model-context.ts';
import type { Draft, ModelContext, ModelSide, Played } from './model-context.ts';
import { buildsModel } from './model-builds.ts';
import { environmentsModel } from './model-environments.ts';
import { ephemeralModel } from './model-ephemeral.ts';
import { journalModel } from './model-journal.ts';

/** Every context that the model test knows. One more is one more line here, and a plain model of it beside that of memory storage. */
export const modelContexts: readonly ModelContext[] = [environmentsModel, ephemeralModel, buildsModel, journalModel];

/** Limits of the model test: small, so that commands run into them. */
export const modelLimits = { environmentsPerProject: 5, variablesPerEnvironment: 4, variableBytesPerEnvironment: 160 };

/** Belong to no context: time, and a call that is made once more. */
const everywhere = new Map([
  ['a moment passes', 6],
  ['a minute passes', 2],
  ['a week passes', 1],
  ['the same again', 3],
]);

/** What a run needs so that there is something to work on, and what it ends with: a look at everything. */
export const beginning = inBothOrgs(modelContexts.flatMap((context) => context.beginning));
export const ending = inBothOrgs(modelContexts.flatMap((context) => context.ending));

/**
 * Runs of drafts: half of them go into one context deeply, with the journal, the others mix all of them.
 */
export function runsOf(contexts: readonly ModelContext[], length: number): fc.Arbitrary<Draft[]> {
  const runs = (some: readonly ModelContext[]) => {
    const weights = new Map([...everywhere, ...some.flatMap((context) => [...context.weights])]);
    return fc.array(draftsOf(weights), { minLength: 1, maxLength: length, size: 'max' });
  };
  const deep = contexts.filter((context) => context !== journalModel);
  return fc.oneof(...deep.map((context) => ({ arbitrary: runs([context, journalModel]), weight: 1 })), {
    arbitrary: runs(contexts),
    weight: deep.length,
  });
}

/** Carries out drafts on one side, one after the other, and gives their answers as data; `null` where there is none. */
export function playerOf(side: ModelSide, clock: FakeClock): (draft: Draft) => Promise<object | null> {
  const players = modelContexts.map(({ weights, begin }) => ({ weights, play: begin(side, clock) }));
  let keyed: Played | null = null;
  return async (draft) => {
    if (draft.command === 'the same again') return keyed === null ? null : keyed.again();
    const player = players.find(({ weights }) => weights.has(draft.command));
    if (player === undefined) return null;
    const played = await player.play(draft);
    if (draft.key !== null) keyed = played;
    return played.answer;
  };
}

/** Moves the clock where the draft is that time passes, or passes before it. */
export function passTime(draft: Draft, clock: FakeClock): void {
  const { command, other } = draft;
  if (command === 'a moment passes') clock.advance(other * 1_000);
  if (command === 'a minute passes') clock.advance((1 + other) * 31_000);
  if (command === 'a week passes') clock.advance(7 * 24 * 60 * 60 * 1_000);
  for (const { pauseMs } of modelContexts) clock.advance(pauseMs(draft));
}

function inBothOrgs(drafts: readonly Partial<Draft>[]): readonly Draft[] {
  return [0, 1].flatMap((org) => drafts.map((draft) => draftOf(draft.command!, org, draft)));
}
