import { isDeepStrictEqual } from 'node:util';
import { SecretText } from '@vivarium/core';
import type { Client, Page, PageInput, ResultAsync, VivariumError } from '@vivarium/core';
import fc from 'fast-check';

import type { FakeClock } from './fake-clock.ts';
import { allPages } from './paging.ts';
import type { RecordingRunner } from './pipelines.ts';

/** The part of a client that a model has to have. */
export type ModelClient = Pick<Client<unknown>, 'projects' | 'environments' | 'ephemeral' | 'builds' | 'journal'>;

/** One of the two that are held against each other: a client in each of two orgs, on the same clock, with one runner of pipelines. */
export interface ModelSide {
  readonly clients: readonly [ModelClient, ModelClient];
  readonly runner: RecordingRunner;
}

export const names = ['Development', 'Staging', 'QA', 'qa', 'Straße', 'STRASSE', 'E\u0301', 'é', 'x y', '𐐀', 'ｦ'];
export const texts = ['', '1', 'two words', '{{A}}', '{{B}} {{C}}', '語🧪', 'x'.repeat(40)];
export const keys = ['A', 'B', 'C', 'D', 'E', '__proto__'];
export const nobody = '00000000-0000-7000-8000-00000000dead';

/** A command before it is known what there is: numbers that are taken as choices among what there then is. */
export interface Draft {
  readonly command: string;
  readonly org: number;
  /** Which of those that own: a project, a type. Small numbers are those seen last. */
  readonly owner: number;
  /** Which of those that are owned: an environment, an instance. */
  readonly item: number;
  /** Which other one, where a command has two. */
  readonly other: number;
  readonly name: number;
  readonly text: number;
  readonly variables: readonly { readonly key: number; readonly text: number }[];
  readonly limit: number;
  /** For whatever else a command has to choose: 0–59. */
  readonly dice: number;
  readonly version: number | null;
  readonly key: number | null;
}

const mostly = <A, B>(usual: fc.Arbitrary<A>, rare: fc.Arbitrary<B>) =>
  fc.oneof({ arbitrary: usual, weight: 4 }, { arbitrary: rare, weight: 1 });

/** Drafts of these commands, each as often as its weight says. */
export function draftsOf(weights: ReadonlyMap<string, number>): fc.Arbitrary<Draft> {
  return fc.record({
    command: fc.oneof(...[...weights].map(([name, weight]) => ({ arbitrary: fc.constant(name), weight }))),
    org: fc.nat({ max: 5 }).map((roll) => (roll === 5 ? 1 : 0)),
    owner: mostly(fc.nat({ max: 1 }), fc.nat({ max: 6 })),
    item: mostly(fc.nat({ max: 3 }), fc.nat({ max: 9 })),
    other: mostly(fc.nat({ max: 3 }), fc.nat({ max: 9 })),
    name: fc.nat({ max: names.length - 1 }),
    text: fc.nat({ max: texts.length - 1 }),
    variables: fc.uniqueArray(
      fc.record({ key: fc.nat({ max: keys.length - 1 }), text: fc.nat({ max: texts.length - 1 }) }),
      { selector: ({ key }) => key, maxLength: 5 },
    ),
    limit: fc.integer({ min: 1, max: 4 }),
    dice: fc.nat({ max: 59 }),
    version: mostly(fc.constant(null), fc.integer({ min: 1, max: 4 })),
    key: fc.oneof(
      { arbitrary: fc.constant(null), weight: 4 },
      { arbitrary: fc.nat({ max: 2 }), weight: 1 },
      { arbitrary: fc.integer({ min: 3, max: 1_000_000 }), weight: 1 },
    ),
  });
}

/** The simplest draft of a command. */
export const draftOf = (command: string, org: number, more: Partial<Draft> = {}): Draft => ({
  command,
  org,
  owner: 0,
  item: 0,
  other: 0,
  name: 0,
  text: 0,
  variables: [],
  limit: 4,
  dice: 59,
  version: null,
  key: null,
  ...more,
});

/** What every command can be given, whatever it is about. */
export interface CommonChoices {
  readonly draft: Draft;
  readonly clock: FakeClock;
  readonly runner: RecordingRunner;
  readonly name: string;
  readonly text: string;
  readonly limit: number;
  readonly options: { readonly idempotencyKey?: string };
  readonly changeOptions: { readonly idempotencyKey?: string; readonly expectedVersion?: number };
}

export type Answer = ResultAsync<unknown, VivariumError> | Promise<unknown>;

/** What one context adds to the model test. `Memory` is what it has seen in one org, `Choices` what a draft comes to, given that. */
export interface ContextModel<Memory, Choices> {
  readonly commands: Readonly<
    Record<
      string,
      {
        /** How often it is drawn: what changes something more often than what reads. */
        readonly weight?: number;
        /** How much time passes before it. */
        readonly pauseMs?: (draft: Draft) => number;
        readonly send: (client: ModelClient, choices: Choices & CommonChoices) => Answer;
      }
    >
  >;
  /** So that commands have something to work on from the first on. */
  readonly beginning: readonly Partial<Draft>[];
  /** A last look at everything. */
  readonly ending: readonly Partial<Draft>[];
  /** What is worth counting of the answer to a command that succeeded, besides that it did. */
  readonly notable?: (command: string, answer: { readonly ok: unknown }) => readonly string[];
  readonly nothingSeen: () => Memory;
  /** Now and then a draft names nothing, or something of the other org. */
  readonly choose: (draft: Draft, seen: Memory, elsewhere: Memory) => Choices;
  /** Remembers what a part of an answer names, what was seen last at the end: what is gone is not seen any more. */
  readonly learn: (part: Readonly<Record<string, unknown>>, seen: Memory) => void;
  /** Puts what is gone at the beginning, where it is seldom chosen. */
  readonly forget?: (command: string, choices: Choices, seen: Memory) => void;
}

/** A context of the model test, whatever it remembers. */
export interface ModelContext extends Pick<ContextModel<unknown, unknown>, 'beginning' | 'ending' | 'notable'> {
  readonly weights: ReadonlyMap<string, number>;
  readonly pauseMs: (draft: Draft) => number;
  /** What is kept while one side plays one run. */
  readonly begin: (side: ModelSide, clock: FakeClock) => (draft: Draft) => Promise<Played>;
}

/** The answer to a command, as data, and the same command for another time. */
export interface Played {
  readonly answer: object;
  readonly again: () => Promise<object>;
}

export function modelContext<Memory, Choices extends object>(model: ContextModel<Memory, Choices>): ModelContext {
  const { beginning, ending, notable = () => [], commands } = model;
  return {
    beginning,
    ending,
    notable,
    weights: new Map(Object.entries(commands).map(([name, { weight = 1 }]) => [name, weight])),
    pauseMs: (draft) => commands[draft.command]?.pauseMs?.(draft) ?? 0,
    begin(side, clock) {
      const seen = [model.nothingSeen(), model.nothingSeen()] as const;
      return async (draft) => {
        const org = draft.org === 0 ? 0 : 1;
        const chosen = model.choose(draft, seen[org], seen[1 - org]!);
        const choices = { ...chosen, ...commonChoices(draft, side, clock) };
        const play = async (): Promise<object> => {
          const told = { started: side.runner.started.length, canceled: side.runner.canceled.length };
          const answer = plain(await commands[draft.command]!.send(side.clients[org], choices)) as object;
          const started = side.runner.started.slice(told.started).map(({ token: _token, ...start }) => plain(start));
          const canceled = side.runner.canceled.slice(told.canceled);
          // What the runner was told comes first: the answer is later.
          return { ...(started.length > 0 && { started }), ...(canceled.length > 0 && { canceled }), ...answer };
        };
        const answer = await play();
        visit(answer, (part) => model.learn(part, seen[org]));
        if (isGone(draft.command, answer)) model.forget?.(draft.command, choices, seen[org]);
        return { answer, again: play };
      };
    },
  };
}

function commonChoices(draft: Draft, { runner }: ModelSide, clock: FakeClock): CommonChoices {
  const options = draft.key === null ? {} : { idempotencyKey: `key ${draft.key}` };
  return {
    draft,
    clock,
    runner,
    name: names[draft.name]!,
    text: texts[draft.text]!,
    limit: draft.limit,
    options,
    changeOptions: { ...options, ...(draft.version === null ? {} : { expectedVersion: draft.version }) },
  };
}

/** One of the things seen: the last ones have small numbers. 9 is something of the other org. */
export function among<T>(items: readonly T[], elsewhere: readonly T[], index: number, none: T): T {
  if (items.length === 0 || index === 9) return elsewhere[0] ?? none;
  return items[Math.max(0, items.length - 1 - index)]!;
}

export function remember<T>(items: T[], item: T, isSame: (one: T) => boolean = (one) => isDeepStrictEqual(one, item)) {
  const index = items.findIndex(isSame);
  if (index >= 0) items.splice(index, 1);
  items.push(item);
}

/** What is gone goes to the beginning. */
export function demote<T>(items: T[], gone: (item: T) => boolean): void {
  items.splice(0, items.length, ...items.filter(gone), ...items.filter((item) => !gone(item)));
}

/** Walks a list page by page and gives all pages without their cursors. */
export async function pages<T>(
  { limit }: CommonChoices,
  list: (page: PageInput) => ResultAsync<Page<T>, VivariumError>,
): Promise<unknown> {
  return settled(async () => (await allPages(list, limit)).map(({ items }) => items));
}

/** The answer of several calls, each of which needs the one before. */
export async function settled(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return { ok: await run() };
  } catch (error) {
    return { error };
  }
}

function visit(value: unknown, look: (part: Readonly<Record<string, unknown>>) => void): void {
  if (Array.isArray(value)) return value.forEach((inner) => visit(inner, look));
  if (typeof value !== 'object' || value === null) return;
  look(value as Readonly<Record<string, unknown>>);
  Object.values(value).forEach((inner) => visit(inner, look));
}

function isGone(command: string, answer: object): boolean {
  const { ok, error } = answer as { ok?: unknown; error?: { code?: string } };
  return error === undefined ? /\.(delete|remove)$/.test(command) && ok === undefined : error.code === 'not_found';
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
