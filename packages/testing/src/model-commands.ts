import { isDeepStrictEqual } from 'node:util';
import { SecretText } from '@vivarium/core';
import type { Client, EnvironmentRef, JournalEntry, Page, PageInput, ResultAsync, VivariumError } from '@vivarium/core';
import fc from 'fast-check';

import type { FakeClock } from './fake-clock.ts';
import { allPages } from './paging.ts';

/** The part of a client that a model has to have. */
export type ModelClient = Pick<Client<unknown>, 'projects' | 'environments' | 'journal'>;

/** One of the two that are held against each other: a client in each of two orgs, on the same clock. */
export type ModelSide = readonly [ModelClient, ModelClient];

/** Limits of the model test: small, so that commands run into them. */
export const modelLimits = { environmentsPerProject: 5, variablesPerEnvironment: 4, variableBytesPerEnvironment: 160 };

const names = ['Development', 'Staging', 'QA', 'qa', 'Straße', 'STRASSE', 'E\u0301', 'é', 'x y', '𐐀', 'ｦ'];
const texts = ['', '1', 'two words', '{{A}}', '{{B}} {{C}}', '語🧪', 'x'.repeat(40)];
const keys = ['A', 'B', 'C', 'D', 'E', '__proto__'];

/** A command before it is known what there is: numbers that are taken as choices among what there then is. */
export interface Draft {
  readonly command: CommandName;
  readonly org: number;
  readonly project: number;
  readonly environment: number;
  readonly other: number;
  readonly name: number;
  readonly text: number;
  readonly variables: readonly { readonly key: number; readonly text: number }[];
  readonly limit: number;
  readonly version: number | null;
  readonly key: number | null;
}

/** What both sides were asked for so far: enough to name things, also those that are gone. */
export interface Known {
  readonly projects: string[];
  readonly environments: EnvironmentRef[];
  readonly parked: string[];
}

interface Choices {
  readonly project: string;
  readonly other: string;
  readonly environment: EnvironmentRef;
  readonly otherEnvironment: EnvironmentRef;
  readonly parked: string;
  readonly name: string;
  readonly text: string;
  readonly variables: readonly { readonly key: string; readonly value: string; readonly description?: string }[];
  readonly limit: number;
  readonly draft: Draft;
  readonly clock: FakeClock;
  readonly options: { readonly idempotencyKey?: string };
  readonly changeOptions: { readonly idempotencyKey?: string; readonly expectedVersion?: number };
}

type Answer = ResultAsync<unknown, VivariumError> | Promise<unknown>;

/** Walks a list page by page and gives all pages without their cursors. */
async function pages<T>(
  { limit }: Choices,
  list: (page: PageInput) => ResultAsync<Page<T>, VivariumError>,
): Promise<unknown> {
  return settled(async () => (await allPages(list, limit)).map(({ items }) => items));
}

async function settled(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return { ok: await run() };
  } catch (error) {
    return { error };
  }
}

const commands = {
  'projects.create': ({ projects }: ModelClient, { name, text, variables, other, draft, options }: Choices) =>
    projects.create({
      name,
      ...(draft.text % 3 === 0 ? {} : { description: text }),
      ...(draft.other % 3 === 0 ? {} : { parentProjectId: other }),
      ...(draft.limit % 2 === 0
        ? {}
        : {
            environments: [
              { name, variables },
              { name: `${name} 2`, description: text },
            ],
          }),
      ...options,
    }),
  'projects.create of a chain': async ({ projects }, { other, name, text, draft }) => {
    const chain: unknown[] = [];
    let parentProjectId = other;
    for (let level = 0; level < 7; level++) {
      const answer = await projects.create({
        name: `${name} ${draft.text} ${level}`,
        description: text,
        parentProjectId,
      });
      chain.push(answer);
      if (answer.isErr()) break;
      parentProjectId = answer.value.id;
    }
    return { chain };
  },
  'projects.get': ({ projects }, { project }) => projects.get(project),
  'projects.getByName': ({ projects }, { name }) => projects.getByName(name),
  'projects.list': ({ projects }, choices) => pages(choices, (page) => projects.list(page)),
  'projects.list of roots': ({ projects }, choices) =>
    pages(choices, (page) => projects.list({ parentProjectId: null, ...page })),
  'projects.list of children': ({ projects }, choices) =>
    pages(choices, (page) => projects.list({ parentProjectId: choices.project, ...page })),
  'projects.update': ({ projects }, { project, name, text, draft, changeOptions }) =>
    projects.update(project, {
      ...(draft.text % 2 === 0 ? {} : { name }),
      ...(draft.limit % 2 === 0 ? {} : { description: draft.limit === 1 ? null : text }),
      ...changeOptions,
    }),
  'projects.move': ({ projects }, { project, other, draft, changeOptions }) =>
    projects.move(project, { parentProjectId: draft.limit === 1 ? null : other, ...changeOptions }),
  'projects.ancestors': ({ projects }, { project }) => projects.ancestors(project),
  'projects.delete': ({ projects }, { project, changeOptions }) => projects.delete(project, changeOptions),

  'environments.create': ({ environments }, { project, name, text, variables, draft, options }) =>
    environments.create({
      projectId: project,
      name,
      variables,
      ...(draft.limit % 2 === 0 ? {} : { description: text }),
      ...options,
    }),
  'environments.get': ({ environments }, { environment }) => environments.get(environment),
  'environments.getByName': ({ environments }, { project, name }) => environments.getByName(project, name),
  'environments.getDefault': ({ environments }, { project }) => environments.getDefault(project),
  'environments.list': ({ environments }, choices) =>
    pages(choices, (page) => environments.list({ projectId: choices.project, ...page })),
  'environments.search': ({ environments }, choices) =>
    pages(choices, (page) =>
      environments.search({
        projectId: choices.project,
        ...(choices.draft.text % 2 === 0 ? {} : { name: choices.name.slice(0, 2) }),
        ...(choices.draft.other % 2 === 0 ? {} : { variableKey: keys[choices.draft.other % keys.length]! }),
        ...page,
      }),
    ),
  'environments.update': ({ environments }, { environment, name, text, draft, changeOptions }) =>
    environments.update(environment, {
      ...(draft.text % 2 === 0 ? {} : { name }),
      ...(draft.limit % 2 === 0 ? {} : { description: draft.limit === 1 ? null : text }),
      ...changeOptions,
    }),
  'environments.setVariables': ({ environments }, { environment, variables, changeOptions }) =>
    environments.setVariables(environment, { variables, ...changeOptions }),
  'environments.patchVariables': ({ environments }, { environment, variables, draft, changeOptions }) =>
    environments.patchVariables(environment, {
      set: variables,
      unset: keys.filter((key, index) => index % 3 === draft.other % 3 && !variables.some((one) => one.key === key)),
      ...changeOptions,
    }),
  'environments.makeDefault': ({ environments }, { environment, changeOptions }) =>
    environments.makeDefault(environment, changeOptions),
  'environments.duplicate': ({ environments }, { environment, name, changeOptions }) =>
    environments.duplicate(environment, { name, ...changeOptions }),
  'environments.diff': ({ environments }, { environment, otherEnvironment }) =>
    environments.diff(environment, otherEnvironment),
  'environments.delete': ({ environments }, { environment, otherEnvironment, draft, changeOptions }) =>
    environments.delete(environment, {
      ...(draft.limit % 3 === 0 ? { promote: otherEnvironment } : {}),
      ...changeOptions,
    }),
  'environments.stats': ({ environments }, { project }) => environments.stats(project),
  'environments.reveal': ({ environments }, { environment, draft }) =>
    environments.reveal(environment, { keys: keys.slice(draft.other % 3, (draft.other % 3) + 1 + (draft.limit % 2)) }),
  'environments.resolve': ({ environments }, { environment, draft, text }) =>
    environments.resolve(environment, draft.limit % 2 === 0 ? {} : { overrides: { B: text } }),
  'environments.render': ({ environments }, { environment, draft }) =>
    environments.render(environment, '<{{A}}|{{B:-none}}|{{__proto__}}>', {
      missing: draft.limit % 2 === 0 ? 'keep' : 'error',
    }),

  'journal.list': ({ journal }, choices) => pages(choices, (page) => journal.list(page)),
  'journal.list of a subject': ({ journal }, choices) =>
    pages(choices, (page) => journal.list({ subject: { type: 'environment', id: choices.environment.id }, ...page })),
  'journal.list of a time': ({ journal }, choices) => {
    const { clock, draft } = choices;
    const to = new Date(clock.now().getTime() - draft.other);
    const from = new Date(to.getTime() - draft.text);
    return pages(choices, (page) => journal.list({ from, to, action: 'environment.created', ...page }));
  },
  'journal.deliver': async ({ journal }, { draft }) => {
    const handled: JournalEntry[] = [];
    const report = await journal.deliver({
      handler: (entry) => {
        handled.push(entry);
        if (draft.other % 3 > 0 && entry.sequence % 3 === draft.other % 3) throw new Error(`not ${entry.sequence}`);
      },
      batch: draft.limit,
      maxAttempts: 1 + (draft.text % 2),
    });
    // Lanes have no order among themselves, the entries of one subject have.
    const byStream = handled.toSorted((a, b) => (a.stream < b.stream ? -1 : a.stream > b.stream ? 1 : 0));
    return { report, byStream };
  },
  'journal.listParked': ({ journal }, choices) => pages(choices, (page) => journal.listParked(page)),
  'journal.retryParked': ({ journal }, { parked }) => journal.retryParked(parked),
  'journal.prune': ({ journal }, { clock, draft }) =>
    journal.prune({
      before: new Date(clock.now().getTime() - draft.other),
      undelivered: draft.limit % 2 === 0 ? 'keep' : 'drop',
    }),
} as const satisfies Record<string, (client: ModelClient, choices: Choices) => Answer>;

type CommandName = keyof typeof commands | 'a moment passes' | 'a week passes';

/** How often a command is drawn, where it is not once: what changes something more often than what reads. */
const weights: Partial<Record<CommandName, number>> = {
  'projects.create': 6,
  'projects.create of a chain': 2,
  'projects.update': 2,
  'projects.move': 4,
  'environments.create': 6,
  'environments.update': 4,
  'environments.setVariables': 4,
  'environments.patchVariables': 5,
  'environments.makeDefault': 4,
  'environments.duplicate': 3,
  'environments.delete': 5,
  'environments.list': 2,
  'journal.deliver': 3,
  'journal.retryParked': 2,
  'a moment passes': 6,
};

const commandNames: readonly CommandName[] = [
  ...(Object.keys(commands) as (keyof typeof commands)[]),
  'a moment passes',
  'a week passes',
];

const mostly = <A, B>(usual: fc.Arbitrary<A>, rare: fc.Arbitrary<B>) =>
  fc.oneof({ arbitrary: usual, weight: 4 }, { arbitrary: rare, weight: 1 });

export const drafts: fc.Arbitrary<Draft> = fc.record({
  command: fc.oneof(...commandNames.map((name) => ({ arbitrary: fc.constant(name), weight: weights[name] ?? 1 }))),
  org: fc.nat({ max: 5 }).map((roll) => (roll === 5 ? 1 : 0)),
  project: mostly(fc.nat({ max: 1 }), fc.nat({ max: 6 })),
  environment: mostly(fc.nat({ max: 3 }), fc.nat({ max: 9 })),
  other: mostly(fc.nat({ max: 3 }), fc.nat({ max: 9 })),
  name: fc.nat({ max: names.length - 1 }),
  text: fc.nat({ max: texts.length - 1 }),
  variables: fc.uniqueArray(
    fc.record({ key: fc.nat({ max: keys.length - 1 }), text: fc.nat({ max: texts.length - 1 }) }),
    {
      selector: ({ key }) => key,
      maxLength: 5,
    },
  ),
  limit: fc.integer({ min: 1, max: 4 }),
  version: mostly(fc.constant(null), fc.integer({ min: 1, max: 4 })),
  key: fc.oneof({ arbitrary: fc.constant(null), weight: 2 }, { arbitrary: fc.nat({ max: 2 }), weight: 1 }),
});

/** The simplest draft of a command. */
export const draftOf = (command: CommandName, org: number, more: Partial<Draft> = {}): Draft => ({
  command,
  org,
  project: 0,
  environment: 0,
  other: 0,
  name: 0,
  text: 0,
  variables: [],
  limit: 4,
  version: null,
  key: null,
  ...more,
});
export const nobody = '00000000-0000-7000-8000-00000000dead';

/** What both orgs of one side have shown so far. */
export type Knowledge = readonly [Known, Known];

export function nothingKnown(): Knowledge {
  const known = (): Known => ({ projects: [], environments: [], parked: [] });
  return [known(), known()];
}

/** Carries out a draft on one side and gives its answer as data; `null` where only time passed, which the clock has to be told once. */
export async function carryOut(
  draft: Draft,
  side: ModelSide,
  knowledge: Knowledge,
  clock: FakeClock,
): Promise<object | null> {
  if (draft.command === 'a moment passes' || draft.command === 'a week passes') return null;
  const known = knowledge[draft.org === 0 ? 0 : 1];
  const elsewhere = knowledge[draft.org === 0 ? 1 : 0];
  const choices = choose(draft, known, elsewhere, clock);
  const answer = plain(await commands[draft.command](side[draft.org === 0 ? 0 : 1], choices)) as object;
  learn(answer, known);
  if (isGone(draft.command, answer)) forget(draft.command, choices, known);
  return answer;
}

/** Moves the clock where the draft is that time passes. */
export function passTime({ command, other }: Draft, clock: FakeClock): void {
  if (command === 'a moment passes') clock.advance(other * 1_000);
  if (command === 'a week passes') clock.advance(7 * 24 * 60 * 60 * 1_000);
}

/** What a draft comes to, given what there is. Now and then it names nothing, or something of the other org. */
function choose(draft: Draft, known: Known, elsewhere: Known, clock: FakeClock): Choices {
  const among = <T>(items: readonly T[], foreign: readonly T[], index: number, none: T): T => {
    if (items.length === 0 || index === 9) return foreign[0] ?? none;
    return items[Math.max(0, items.length - 1 - index)]!;
  };
  const nowhere = { projectId: nobody, id: nobody };
  const environment = among(known.environments, elsewhere.environments, draft.environment, nowhere);
  const siblings = known.environments.filter(({ projectId }) => projectId === environment.projectId);
  const idempotencyKey = draft.key === null ? {} : { idempotencyKey: `key ${draft.key}` };
  return {
    project: among(known.projects, elsewhere.projects, draft.project, nobody),
    other: among(known.projects, elsewhere.projects, draft.other, nobody),
    environment,
    otherEnvironment: among(
      draft.text % 2 === 0 ? siblings : known.environments,
      elsewhere.environments,
      draft.other,
      nowhere,
    ),
    parked: among(known.parked, elsewhere.parked, draft.other, nobody),
    name: names[draft.name]!,
    text: texts[draft.text]!,
    variables: draft.variables.map(({ key, text }) => ({
      key: keys[key]!,
      value: texts[text]!,
      ...(text === 1 ? { description: 'described' } : {}),
    })),
    limit: draft.limit,
    draft,
    clock,
    options: idempotencyKey,
    changeOptions: { ...idempotencyKey, ...(draft.version === null ? {} : { expectedVersion: draft.version }) },
  };
}

/** Remembers everything that an answer names, what was seen last at the end: what is gone is not seen any more. */
function learn(answer: unknown, known: Known): void {
  const remember = <T>(items: T[], item: T) => {
    const index = items.findIndex((one) => isDeepStrictEqual(one, item));
    if (index >= 0) items.splice(index, 1);
    items.push(item);
  };
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (typeof value !== 'object' || value === null) return;
    const { ref, id, defaultEnvironmentId, reason, entry } = value as Record<string, unknown>;
    if (typeof defaultEnvironmentId === 'string' && typeof id === 'string') {
      remember(known.projects, id);
      remember(known.environments, { projectId: id, id: defaultEnvironmentId });
    }
    if (ref !== undefined) remember(known.environments, ref as EnvironmentRef);
    const parked = (entry as { id?: string } | undefined)?.id;
    if (reason !== undefined && parked !== undefined) remember(known.parked, parked);
    Object.values(value).forEach(visit);
  };
  visit(answer);
}

function isGone(command: CommandName, answer: unknown): boolean {
  const { ok, error } = answer as { ok?: unknown; error?: { code?: string } };
  return error === undefined ? command.endsWith('.delete') && ok === undefined : error.code === 'not_found';
}

/** Puts what is gone at the beginning, where it is seldom chosen. */
function forget(command: CommandName, { project, environment, parked }: Choices, known: Known): void {
  const demote = <T>(items: T[], gone: (item: T) => boolean) =>
    void items.splice(0, items.length, ...items.filter(gone), ...items.filter((item) => !gone(item)));
  if (command.startsWith('environments')) demote(known.environments, (one) => isDeepStrictEqual(one, environment));
  if (command.startsWith('journal')) demote(known.parked, (one) => one === parked);
  if (!command.startsWith('projects')) return;
  demote(known.projects, (one) => one === project);
  demote(known.environments, ({ projectId }) => projectId === project);
}

/** Answers as data that can be compared: results, errors, times, secrets and snapshots. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return `time ${value.toISOString()}`;
  if (value instanceof SecretText) return { secret: value.reveal() };
  if (value instanceof Map) return { map: [...value].map(plain) };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  if ('isOk' in value) {
    const result = value as { isOk(): boolean; value: unknown; error: unknown };
    return result.isOk() ? { ok: plain(result.value) } : { error: plain(result.error) };
  }
  const { toJSON } = value as { toJSON?: () => unknown };
  if (typeof toJSON === 'function') return plain(toJSON.call(value));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [`${key}`, plain(inner)]));
}
