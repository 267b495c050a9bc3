import type { Client, CommandOptions, Method, ResultAsync, VivariumError } from '@vivarium/core';

import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;
type Call<Options> = (client: Client<unknown>, world: World, options: Options) => Answer;

/** Options that fit every command: those that make something have no version to expect. */
type Options = Omit<CommandOptions, 'expectedVersion'>;

const access = { writableBy: ['provisioning'], readableBy: [] } as const;
const action = { stateChangeType: 'deploying' } as const;

/** One call of each command of ephemeral environments; see `everyCommand`. */
export const everyEphemeralCommand = {
  'ephemeral.types.create': {
    call: (client, _world, options: Options) =>
      client.ephemeral.types.create({
        name: 'Second type',
        actions: [{ ...action, pipelineYamlName: 'a.yml' }],
        secrets: [{ name: 'S', ...access }],
        ...options,
      }),
    other: (client, _world, options: Options) => client.ephemeral.types.create({ name: 'Second type', ...options }),
    versioned: false,
  },
  'ephemeral.types.update': {
    call: (client, { type }, options) => client.ephemeral.types.update(type.id, { name: 'Renamed', ...options }),
    other: (client, { type }, options) => client.ephemeral.types.update(type.id, { ttlMs: 5, ...options }),
    versioned: true,
  },
  'ephemeral.types.publish': {
    call: (client, { draft }, options) => client.ephemeral.types.publish(draft.id, options),
    other: (client, { type }, options) => client.ephemeral.types.publish(type.id, options),
    versioned: true,
  },
  'ephemeral.types.cordon': {
    call: (client, { type }, options) => client.ephemeral.types.cordon(type.id, options),
    other: (client, { draft }, options) => client.ephemeral.types.cordon(draft.id, options),
    versioned: true,
  },
  'ephemeral.types.uncordon': {
    call: (client, { cordoned }, options) => client.ephemeral.types.uncordon(cordoned.id, options),
    other: (client, { type }, options) => client.ephemeral.types.uncordon(type.id, options),
    versioned: true,
  },
  'ephemeral.types.delete': {
    call: (client, { draft }, options) => client.ephemeral.types.delete(draft.id, options),
    other: (client, { cordoned }, options) => client.ephemeral.types.delete(cordoned.id, options),
    versioned: true,
  },
  'ephemeral.actions.define': {
    call: (client, { type }, options) =>
      client.ephemeral.actions.define(type.id, { ...action, pipelineYamlName: 'a.yml', branch: 'main', ...options }),
    other: (client, { type }, options) =>
      client.ephemeral.actions.define(type.id, { ...action, pipelineYamlName: 'b.yml', ...options }),
    versioned: true,
  },
  'ephemeral.actions.remove': {
    call: (client, { type }, options) => client.ephemeral.actions.remove(type.id, 'deploying', options),
    other: (client, { type }, options) => client.ephemeral.actions.remove(type.id, 'to_sleep', options),
    versioned: true,
  },
  'ephemeral.secretDefinitions.define': {
    call: (client, { type }, options) =>
      client.ephemeral.secretDefinitions.define(type.id, { name: 'NEW', ...access, ...options }),
    other: (client, { type }, options) =>
      client.ephemeral.secretDefinitions.define(type.id, { name: 'NEW', description: 'x', ...access, ...options }),
    versioned: true,
  },
  'ephemeral.secretDefinitions.remove': {
    call: (client, { type }, options) => client.ephemeral.secretDefinitions.remove(type.id, 'SPARE', options),
    other: (client, { type }, options) => client.ephemeral.secretDefinitions.remove(type.id, 'PASSWORD', options),
    versioned: true,
  },
  'ephemeral.instances.create': {
    call: (client, { type }, options: Options) =>
      client.ephemeral.instances.create({ typeId: type.id, name: 'New', ...options }),
    other: (client, { type }, options: Options) =>
      client.ephemeral.instances.create({ typeId: type.id, name: 'New', ttlMs: 5_000, ...options }),
    versioned: false,
  },
  'ephemeral.instances.extend': {
    call: (client, { inUse }, options) => client.ephemeral.instances.extend(inUse.id, { ttlMs: 1_000, ...options }),
    other: (client, { inUse }, options) => client.ephemeral.instances.extend(inUse.id, { ttlMs: 2_000, ...options }),
    versioned: true,
  },
  'ephemeral.instances.touch': {
    call: (client, { inUse }, options) => client.ephemeral.instances.touch(inUse.id, options),
    other: (client, { asleep }, options) => client.ephemeral.instances.touch(asleep.id, options),
    versioned: true,
  },
  'ephemeral.instances.acknowledgeCleanUp': {
    call: (client, { stuck }, options) =>
      client.ephemeral.instances.acknowledgeCleanUp(stuck.id, { note: 'by hand', ...options }),
    other: (client, { stuck }, options) =>
      client.ephemeral.instances.acknowledgeCleanUp(stuck.id, { note: 'by a friend', ...options }),
    versioned: true,
  },
  'ephemeral.instances.remove': {
    call: (client, { ended }, options) => client.ephemeral.instances.remove(ended.id, options),
    other: (client, { blank }, options) => client.ephemeral.instances.remove(blank.id, options),
    versioned: true,
  },
  'ephemeral.instances.provision': {
    call: (client, { blank }, options) => client.ephemeral.instances.provision(blank.id, options),
    other: (client, { blank }, options) =>
      client.ephemeral.instances.provision(blank.id, { parameters: { sha: 'abc' }, ...options }),
    versioned: true,
  },
  'ephemeral.instances.deploy': {
    call: (client, { inUse }, options) =>
      client.ephemeral.instances.deploy(inUse.id, { parameters: { sha: 'abc' }, ...options }),
    other: (client, { inUse }, options) => client.ephemeral.instances.deploy(inUse.id, options),
    versioned: true,
  },
  'ephemeral.instances.cleanUp': {
    call: (client, { inUse }, options) =>
      client.ephemeral.instances.cleanUp(inUse.id, { trigger: { type: 'system', id: 'nightly' }, ...options }),
    other: (client, { inUse }, options) => client.ephemeral.instances.cleanUp(inUse.id, options),
    versioned: true,
  },
  'ephemeral.instances.sleep': {
    call: (client, { inUse }, options) => client.ephemeral.instances.sleep(inUse.id, options),
    other: (client, { asleep }, options) => client.ephemeral.instances.sleep(asleep.id, options),
    versioned: true,
  },
  'ephemeral.instances.wakeUp': {
    call: (client, { asleep }, options) => client.ephemeral.instances.wakeUp(asleep.id, options),
    other: (client, { inUse }, options) => client.ephemeral.instances.wakeUp(inUse.id, options),
    versioned: true,
  },
  'ephemeral.instances.deprovision': {
    call: (client, { asleep }, options) => client.ephemeral.instances.deprovision(asleep.id, options),
    other: (client, { stuck }, options) => client.ephemeral.instances.deprovision(stuck.id, options),
    versioned: true,
  },
  'ephemeral.stateChanges.complete': {
    call: (client, { bearer }, options: Options) =>
      client.ephemeral.stateChanges.complete({ ...bearer, result: 'passed', ...options }),
    other: (client, { bearer }, options: Options) =>
      client.ephemeral.stateChanges.complete({ ...bearer, result: 'failed', reason: 'no quota', ...options }),
    versioned: false,
  },
  'ephemeral.stateChanges.cancel': {
    call: (client, { pending }, options) => client.ephemeral.stateChanges.cancel(pending.id, options),
    other: (client, { passed }, options) => client.ephemeral.stateChanges.cancel(passed.id, options),
    versioned: true,
  },
  'ephemeral.secrets.write': {
    call: (client, { bearer }, options: Options) =>
      client.ephemeral.secrets.write({ ...bearer, name: 'PASSWORD', value: 'one', ...options }),
    other: (client, { bearer }, options: Options) =>
      client.ephemeral.secrets.write({ ...bearer, name: 'PASSWORD', value: 'two', ...options }),
    versioned: false,
  },
} as const satisfies Partial<
  Record<
    Method,
    { readonly call: Call<CommandOptions>; readonly other: Call<CommandOptions>; readonly versioned: boolean }
  >
>;

export type EphemeralCommandMethod = keyof typeof everyEphemeralCommand;

/** One call of each other method of ephemeral environments and of keys. */
export const everyEphemeralRead: Readonly<
  Record<
    Exclude<Extract<Method, `ephemeral.${string}` | `keys.${string}`>, EphemeralCommandMethod>,
    (client: Client<unknown>, world: World) => Answer
  >
> = {
  'ephemeral.types.get': (client, { type }) => client.ephemeral.types.get(type.id),
  'ephemeral.types.list': (client) => client.ephemeral.types.list({ limit: 100 }),
  'ephemeral.actions.list': (client, { type }) => client.ephemeral.actions.list(type.id),
  'ephemeral.secretDefinitions.list': (client, { type }) => client.ephemeral.secretDefinitions.list(type.id),
  'ephemeral.instances.get': (client, { inUse }) => client.ephemeral.instances.get(inUse.id),
  'ephemeral.instances.list': (client, { type }) => client.ephemeral.instances.list({ typeId: type.id }),
  'ephemeral.stateChanges.get': (client, { pending }) => client.ephemeral.stateChanges.get(pending.id),
  'ephemeral.stateChanges.list': (client, { inUse }) => client.ephemeral.stateChanges.list({ instanceId: inUse.id }),
  'ephemeral.secrets.read': (client, { bearer }) => client.ephemeral.secrets.read({ ...bearer, name: 'PASSWORD' }),
  'ephemeral.secrets.readAll': (client, { bearer }) => client.ephemeral.secrets.readAll(bearer),
  'ephemeral.sweep': (client) => client.ephemeral.sweep({ limit: 100 }),
  'keys.rewrap': (client) => client.keys.rewrap(),
  'keys.rotate': (client, { project }) => client.keys.rotate({ projectId: project.id }),
};
