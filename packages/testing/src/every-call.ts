import type { Client, CommandOptions, Method, ResultAsync, VivariumError } from '@vivarium/core';

import { everyBuildCommand, everyBuildRead } from './every-build-call.ts';
import type { BuildCommandMethod } from './every-build-call.ts';
import { everyDeploymentCommand, everyDeploymentRead } from './every-deployment-call.ts';
import type { DeploymentCommandMethod } from './every-deployment-call.ts';
import { everyEphemeralCommand, everyEphemeralRead } from './every-ephemeral-call.ts';
import type { EphemeralCommandMethod } from './every-ephemeral-call.ts';
import { everyPreviewCommand, everyPreviewRead } from './every-preview-call.ts';
import type { PreviewCommandMethod } from './every-preview-call.ts';
import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;

/** Options that fit every command: those that make something have no version to expect. */
type Options = Omit<CommandOptions, 'expectedVersion'>;

const commandMethods = [
  'projects.create',
  'projects.update',
  'projects.move',
  'projects.delete',
  'environments.create',
  'environments.update',
  'environments.setVariables',
  'environments.patchVariables',
  'environments.makeDefault',
  'environments.duplicate',
  'environments.delete',
] as const satisfies readonly Method[];

export type CommandMethod =
  | (typeof commandMethods)[number]
  | EphemeralCommandMethod
  | BuildCommandMethod
  | DeploymentCommandMethod
  | PreviewCommandMethod;

export const everyCommandMethod: readonly CommandMethod[] = [
  ...commandMethods,
  ...(Object.keys(everyEphemeralCommand) as EphemeralCommandMethod[]),
  ...(Object.keys(everyBuildCommand) as BuildCommandMethod[]),
  ...(Object.keys(everyDeploymentCommand) as DeploymentCommandMethod[]),
  ...(Object.keys(everyPreviewCommand) as PreviewCommandMethod[]),
];

/** One call of each command that succeeds once in a new world; `other` is the same command with another input. */
export const everyCommand: Readonly<
  Record<
    CommandMethod,
    {
      readonly call: (client: Client<unknown>, world: World, options: CommandOptions) => Answer;
      readonly other: (client: Client<unknown>, world: World, options: CommandOptions) => Answer;
      /** Whether it changes something that has a version to expect. */
      readonly versioned: boolean;
    }
  >
> = {
  'projects.create': {
    call: (client, { project }, options: Options) =>
      client.projects.create({ name: 'Second', parentProjectId: project.id, ...options }),
    other: (client, _world, options: Options) => client.projects.create({ name: 'Second', ...options }),
    versioned: false,
  },
  'projects.update': {
    call: (client, { project }, options) => client.projects.update(project.id, { name: 'Renamed', ...options }),
    other: (client, { project }, options) => client.projects.update(project.id, { description: null, ...options }),
    versioned: true,
  },
  'projects.move': {
    call: (client, { child }, options) => client.projects.move(child.id, { parentProjectId: null, ...options }),
    other: (client, { child, project }, options) =>
      client.projects.move(child.id, { parentProjectId: project.id, ...options }),
    versioned: true,
  },
  'projects.delete': {
    call: (client, { child }, options) => client.projects.delete(child.id, options),
    other: (client, { project }, options) => client.projects.delete(project.id, options),
    versioned: true,
  },
  'environments.create': {
    call: (client, { project }, options: Options) =>
      client.environments.create({
        projectId: project.id,
        name: 'QA',
        variables: [{ key: 'HOST', value: 'qa.example.com' }],
        ...options,
      }),
    other: (client, { project }, options: Options) =>
      client.environments.create({
        projectId: project.id,
        name: 'QA',
        variables: [{ key: 'HOST', value: 'other.example.com' }],
        ...options,
      }),
    versioned: false,
  },
  'environments.update': {
    call: (client, { staging }, options) => client.environments.update(staging.ref, { name: 'Stage', ...options }),
    other: (client, { staging }, options) =>
      client.environments.update(staging.ref, { name: 'Stage', description: null, ...options }),
    versioned: true,
  },
  'environments.setVariables': {
    call: (client, { staging }, options) =>
      client.environments.setVariables(staging.ref, { variables: [{ key: 'PORT', value: '1' }], ...options }),
    other: (client, { staging }, options) =>
      client.environments.setVariables(staging.ref, { variables: [{ key: 'PORT', value: '2' }], ...options }),
    versioned: true,
  },
  'environments.patchVariables': {
    call: (client, { staging }, options) =>
      client.environments.patchVariables(staging.ref, {
        set: [{ key: 'PATH', value: '/' }],
        unset: ['PORT'],
        ...options,
      }),
    other: (client, { staging }, options) =>
      client.environments.patchVariables(staging.ref, { set: [{ key: 'PATH', value: '/' }], ...options }),
    versioned: true,
  },
  'environments.makeDefault': {
    call: (client, { staging }, options) => client.environments.makeDefault(staging.ref, options),
    other: (client, { development }, options) => client.environments.makeDefault(development.ref, options),
    versioned: true,
  },
  'environments.duplicate': {
    call: (client, { staging }, options) => client.environments.duplicate(staging.ref, { name: 'Copy', ...options }),
    other: (client, { staging }, options) => client.environments.duplicate(staging.ref, { name: 'Copy 2', ...options }),
    versioned: true,
  },
  'environments.delete': {
    call: (client, { development }, options) => client.environments.delete(development.ref, options),
    other: (client, { development, staging }, options) =>
      client.environments.delete(development.ref, { promote: staging.ref, ...options }),
    versioned: true,
  },
  ...everyEphemeralCommand,
  ...everyBuildCommand,
  ...everyDeploymentCommand,
  ...everyPreviewCommand,
};

const read: Readonly<Record<Exclude<Method, CommandMethod>, (client: Client<unknown>, world: World) => Answer>> = {
  'projects.get': (client, { project }) => client.projects.get(project.id),
  'projects.getByName': (client, { project }) => client.projects.getByName(project.name),
  'projects.list': (client, { project }) => client.projects.list({ parentProjectId: project.id }),
  'projects.ancestors': (client, { child }) => client.projects.ancestors(child.id),
  'environments.get': (client, { staging }) => client.environments.get(staging.ref),
  'environments.getByName': (client, { staging }) => client.environments.getByName(staging.projectId, staging.name),
  'environments.getDefault': (client, { project }) => client.environments.getDefault(project.id),
  'environments.list': (client, { project }) => client.environments.list({ projectId: project.id }),
  'environments.search': (client, { project }) => client.environments.search({ projectId: project.id, name: 'e' }),
  'environments.diff': (client, { development, staging }) => client.environments.diff(development.ref, staging.ref),
  'environments.stats': (client, { project }) => client.environments.stats(project.id),
  'environments.reveal': (client, { staging }) => client.environments.reveal(staging.ref, { keys: ['HOST'] }),
  'environments.resolve': (client, { staging }) => client.environments.resolve(staging.ref),
  'environments.render': (client, { staging }) => client.environments.render(staging.ref, 'https://{{HOST}}/'),
  'journal.list': (client, { project }) => client.journal.list({ subject: { type: 'project', id: project.id } }),
  'journal.deliver': (client) => client.journal.deliver({ handler: () => undefined }),
  'journal.listParked': (client) => client.journal.listParked(),
  'journal.retryParked': (client, { parkedEntryId }) => client.journal.retryParked(parkedEntryId),
  'journal.prune': (client) => client.journal.prune({ before: new Date('2001-01-01T00:00:00Z'), undelivered: 'drop' }),
  ...everyEphemeralRead,
  ...everyBuildRead,
  ...everyDeploymentRead,
  ...everyPreviewRead,
};

/** One call of every method that succeeds in a new world, commands last. */
export const everyCall: readonly {
  readonly method: Method;
  readonly call: (client: Client<unknown>, world: World) => Answer;
}[] = [
  ...Object.entries(read).map(([method, call]) => ({ method: method as Method, call })),
  ...everyCommandMethod.map((method) => ({
    method,
    call: (client: Client<unknown>, world: World) => everyCommand[method].call(client, world, {}),
  })),
];

/** Calls a method by its name, whatever the arguments: also with those that the types forbid. */
export function callByName(client: Client<unknown>, method: Method, args: readonly unknown[]): Answer {
  const [name, ...path] = method.split('.').toReversed() as [string, ...string[]];
  const owner = path.reduceRight<unknown>((inner, part) => (inner as Record<string, unknown>)[part], client);
  return (owner as Record<string, (...args: readonly unknown[]) => Answer>)[name]!(...args);
}
