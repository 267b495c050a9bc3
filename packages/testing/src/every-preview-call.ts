import { randomUUID } from 'node:crypto';
import type { Client, CommandOptions, Method, ResultAsync, VivariumError } from '@vivarium/core';

import { commit } from './every-deployment-call.ts';
import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;
type Call<Options> = (client: Client<unknown>, world: World, options: Options) => Answer;

/** Options that fit every command: those that make something have no version to expect. */
type Options = Omit<CommandOptions, 'expectedVersion'>;

interface Command {
  readonly call: Call<CommandOptions>;
  readonly other: Call<CommandOptions>;
  readonly versioned: boolean;
}

const secretOf = ({ previewed }: World, name: string) =>
  ({ appId: previewed.app.id, environmentType: 'preview', name }) as const;

/** One call of each command of previews; see `everyCommand`. */
export const everyPreviewCommand = {
  'previews.create': {
    call: ({ previews }, { previewed }, options: Options) =>
      previews.create({ appId: previewed.app.id, pullRequest: 7, branch: 'seven', sha: commit('7'), ...options }),
    other: ({ previews }, { previewed }, options: Options) =>
      previews.create({ appId: previewed.app.id, pullRequest: 7, branch: 'seven', sha: commit('8'), ...options }),
    versioned: false,
  },
  'previews.restart': {
    call: ({ previews }, { asked }, options) => previews.restart(asked.id, options),
    other: ({ previews }, { unstoppable }, options) => previews.restart(unstoppable.id, options),
    versioned: true,
  },
  'previews.stop': {
    call: ({ previews }, { asked }, options) => previews.stop(asked.id, options),
    other: ({ previews }, { unstoppable }, options) => previews.stop(unstoppable.id, options),
    versioned: true,
  },
  'previews.remove': {
    call: ({ previews }, { waiting }, options) => previews.remove(waiting.id, options),
    other: ({ previews }, { unstoppable }, options) => previews.remove(unstoppable.id, options),
    versioned: true,
  },
  'previews.approve': {
    call: ({ previews }, { waiting }, options) =>
      previews.approve({ projectEnvironmentId: waiting.id, sha: commit('b'), ...options }),
    other: ({ previews }, { waiting }, options) =>
      previews.approve({ projectEnvironmentId: waiting.id, sha: commit('a'), ...options }),
    versioned: true,
  },
  'previews.forget': {
    call: ({ previews }, { unstoppable }, options) =>
      previews.forget(unstoppable.id, { note: 'removed by hand', ...options }),
    other: ({ previews }, { unstoppable }, options) =>
      previews.forget(unstoppable.id, { note: 'never mind', ...options }),
    versioned: true,
  },
  'previews.secrets.set': {
    call: ({ previews }, world, options: Options) =>
      previews.secrets.set({ ...secretOf(world, 'API_KEY'), value: 'new', ...options }),
    other: ({ previews }, world, options: Options) =>
      previews.secrets.set({ ...secretOf(world, 'API_KEY'), value: 'other', ...options }),
    versioned: false,
  },
  'previews.secrets.remove': {
    call: ({ previews }, world, options: Options) =>
      previews.secrets.remove({ ...secretOf(world, 'API_KEY'), ...options }),
    other: ({ previews }, world, options: Options) =>
      previews.secrets.remove({ ...secretOf(world, 'SPARE'), ...options }),
    versioned: false,
  },
} as const satisfies Partial<Record<Method, Command>>;

export type PreviewCommandMethod = keyof typeof everyPreviewCommand;

type PreviewRead = Exclude<Extract<Method, `previews.${string}`>, PreviewCommandMethod>;

/** One call of each other method of previews. */
export const everyPreviewRead: Readonly<Record<PreviewRead, (client: Client<unknown>, world: World) => Answer>> = {
  'previews.get': ({ previews }, { asked }) => previews.get(asked.id),
  'previews.list': ({ previews }, { previewed }) => previews.list({ appId: previewed.app.id, status: 'initializing' }),
  // Nobody has to be told anything, nor has the runtime that reports any more to say.
  'previews.handle': ({ previews }, { message }) => previews.handle(message),
  'previews.report': ({ previews }, { lateReport }) => previews.report(lateReport),
  'previews.onEvent': ({ previews }, { previewed }) =>
    previews.onEvent({
      type: 'pull_request_closed',
      deliveryId: randomUUID(),
      provider: previewed.repo.provider,
      repo: previewed.repo.fullName,
      pullRequest: 4_000,
    }),
  'previews.reconcile': ({ previews }, { previewed }) =>
    previews.reconcile({ appId: previewed.app.id, openPullRequests: [] }),
  'previews.sweep': ({ previews }) => previews.sweep({ limit: 100, dryRun: true }),
  'previews.secrets.list': ({ previews }, { previewed }) =>
    previews.secrets.list({ appId: previewed.app.id, environmentType: 'preview' }),
};
