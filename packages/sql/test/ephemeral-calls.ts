/** The calls whose round trips the adapters promise, in a world of one environment type and two instances, of which one has a pending change. */
import { createVivarium, unwrap } from '@vivarium/core';
import type {
  Change,
  DataKeyRepository,
  EphemeralRepository,
  KeyScope,
  KeyWrite,
  Storage,
  StoredDataKey,
} from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';

const org = 'ephemeral budget';
const at = new Date('2026-03-01T12:00:00.123Z');

/** A change with a journal entry that is a stream of its own. */
function changeWith(key: KeyWrite | null): Change {
  const id = randomUUID();
  const entry = {
    id,
    orgId: org,
    subject: { type: 'test', id },
    stream: id,
    sequence: 1,
    action: 'tested',
    at,
    data: {},
  };
  return { orgId: org, at, key, entry: { ...entry, actor: { type: 'user', id: 'ada' } } };
}

const newKey = (): KeyWrite => ({
  id: randomUUID(),
  fingerprint: 'print',
  result: { id: 'made' },
  expiresAt: new Date('2099-01-01'),
});

const page = { limit: 50, after: null };
const kinds = ['provisioning', 'deploying', 'deprovisioning'] as const;

async function makeWorld(storage: Storage) {
  const pipelines = { start: async () => undefined, cancel: async () => undefined };
  const { ephemeral } = createVivarium({ storage, pipelines }).as({ org, type: 'user', id: 'ada' });
  const { id: typeId } = await unwrap(
    ephemeral.types.create({
      name: randomUUID(),
      maxNumberOfInstances: 9,
      actions: kinds.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'p.yml' })),
      secrets: ['A', 'B'].map((name) => ({ name, writableBy: kinds, readableBy: kinds })),
    }),
  );
  await unwrap(ephemeral.types.publish(typeId));
  const [idle, busy] = [await create('idle'), await create('busy')];
  const { id: changeId } = await unwrap(ephemeral.instances.provision(busy.id));

  function create(name: string) {
    return unwrap(ephemeral.instances.create({ typeId, name }));
  }
  return {
    type: (await unwrap(storage.ephemeral.getType(org, typeId))).found!,
    idle: (await unwrap(storage.ephemeral.getInstance(org, idle.id)))!,
    pending: (await unwrap(storage.ephemeral.changeFacts(org, changeId))).found!,
    change: () => changeWith(null),
    changeWithKey: () => changeWith(newKey()),
  };
}

type World = Awaited<ReturnType<typeof makeWorld>>;

/** A call of one method, made anew for each try, because a write cannot be made twice. Preparing it is not counted. */
export type Call = (storage: Storage) => Promise<() => PromiseLike<unknown>>;

const inWorld =
  (call: (port: EphemeralRepository, world: World) => PromiseLike<unknown>): Call =>
  async (storage) => {
    const world = await makeWorld(storage);
    return () => call(storage.ephemeral, world);
  };

const keyOf = (scope: KeyScope): StoredDataKey => {
  const wrapping = { wrapped: 'd3JhcHBlZA', wrappedBy: 'ring:1', commitment: 'c' };
  return { id: randomUUID(), scope, generation: 1, ...wrapping, version: 1, createdAt: at, updatedAt: at };
};

const withDataKey =
  (call: (port: DataKeyRepository, key: StoredDataKey) => PromiseLike<unknown>): Call =>
  async (storage) => {
    const { dataKeys } = storage;
    const { type } = await makeWorld(storage);
    const key = keyOf({ type: 'environment_type', id: type.id });
    await unwrap(dataKeys.add(org, key));
    return () => call(dataKeys, key);
  };

export const ephemeralReads: Readonly<Record<string, Call>> = {
  'ephemeral.getType': inWorld((port, { type: { id } }) => unwrap(port.getType(org, id, 'k'))),
  'ephemeral.listTypes': inWorld((port) => unwrap(port.listTypes(org, page))),
  'ephemeral.getInstance': inWorld((port, { idle: { id } }) => unwrap(port.getInstance(org, id))),
  'ephemeral.listInstances': inWorld((port, { type: { id: typeId } }) =>
    unwrap(port.listInstances(org, { typeId }, page)),
  ),
  'ephemeral.listInstances of a state, further': inWorld((port, { type: { id: typeId }, idle: { nameKey, id } }) =>
    unwrap(port.listInstances(org, { typeId, state: 'in_use' }, { limit: 50, after: { nameKey, id } })),
  ),
  'ephemeral.facts': inWorld((port, { pending }) => unwrap(port.facts(org, pending.instance.id, 'k'))),
  'ephemeral.changeFacts': inWorld((port, { pending }) => unwrap(port.changeFacts(org, pending.stateChange.id, 'k'))),
  'ephemeral.listChanges': inWorld((port, { pending }) => unwrap(port.listChanges(org, pending.instance.id, page))),
  'ephemeral.secrets': inWorld((port, { pending }) => unwrap(port.secrets(org, pending.instance.id))),
  'ephemeral.secrets of names': inWorld((port, { idle }) => unwrap(port.secrets(org, idle.id, ['A', 'B', 'C']))),
  'ephemeral.due': inWorld((port, { idle }) =>
    unwrap(port.due(org, { now: idle.createdAt, acceptedBy: idle.createdAt, limit: 100, after: null })),
  ),
  'dataKeys.newest': withDataKey((port, { scope }) => unwrap(port.newest(org, scope))),
  'dataKeys.get': withDataKey((port, { scope, id }) => unwrap(port.get(org, scope, id))),
  'dataKeys.ofScope': withDataKey((port, { scope }) => unwrap(port.ofScope(org, scope))),
  'dataKeys.list': withDataKey((port) => unwrap(port.list(org, page))),
  'dataKeys.list further': withDataKey((port, { id }) => unwrap(port.list(org, { limit: 50, after: id }))),
};

const done = { done: true };
/** A write with the number of its steps. */
export type Write = readonly [steps: number, call: Call];
const next = <T extends { readonly version: number }>(one: T, differing: Partial<T> = {}): T => {
  return { ...one, version: one.version + 1, ...differing };
};
const named = (name: string) => ({ id: randomUUID(), name, nameKey: name });
const over = ({ stateChange, instance }: World['pending'], state: 'ready_to_use' | 'destroyed') => ({
  instance: next(instance, {
    state,
    pendingChangeId: null,
    endedAt: state === 'destroyed' ? stateChange.startedAt : null,
  }),
  stateChange: { ...stateChange, result: 'passed', nextState: state, endedAt: stateChange.startedAt } as const,
  expectedVersion: instance.version,
});

export const ephemeralWrites: Readonly<Record<string, Write>> = {
  'ephemeral.createType': [
    5,
    inWorld(async (port, { type, change }) => {
      const anew = <T>(parts: readonly T[]) => parts.map((part) => ({ ...part, id: randomUUID() }));
      const other = { ...type, ...named(randomUUID()), actions: anew(type.actions), secrets: anew(type.secrets) };
      expect(await unwrap(port.createType({ type: other, change: change() }))).toEqual(done);
    }),
  ],
  'ephemeral.writeType': [
    3,
    inWorld(async (port, { type, change }) => {
      const command = { type: next(type), previousNameKey: type.nameKey, expectedVersion: type.version };
      expect(await unwrap(port.writeType({ ...command, change: change() }))).toEqual(done);
    }),
  ],
  'ephemeral.writeType with an action and a secret': [
    7,
    inWorld(async (port, { type, change }) => {
      const command = { type: next(type), previousNameKey: type.nameKey, expectedVersion: type.version };
      const parts = { action: { put: type.actions[0]! }, secret: { put: type.secrets[0]! } };
      expect(await unwrap(port.writeType({ ...command, ...parts, change: change() }))).toEqual(done);
    }),
  ],
  'ephemeral.writeType of a deleted one': [
    4,
    async (storage) => {
      const { type, change } = await makeWorld(storage);
      const empty = { ...type, ...named(randomUUID()), actions: [], secrets: [] };
      await unwrap(storage.ephemeral.createType({ type: empty, change: change() }));
      const deleted = next(empty, { state: 'deleted' });
      const command = { type: deleted, previousNameKey: empty.nameKey, expectedVersion: empty.version };
      return async () =>
        expect(await unwrap(storage.ephemeral.writeType({ ...command, change: change() }))).toEqual(done);
    },
  ],
  'ephemeral.createInstance': [
    5,
    inWorld(async (port, { idle, changeWithKey }) => {
      const instance = { ...idle, ...named('new') };
      expect(await unwrap(port.createInstance({ instance, change: changeWithKey() }))).toEqual(done);
    }),
  ],
  'ephemeral.startChange': [
    4,
    inWorld(async (port, { idle, pending, change }) => {
      const stateChange = { ...pending.stateChange, id: randomUUID(), instanceId: idle.id };
      const instance = next(idle, { state: 'provisioning', pendingChangeId: stateChange.id, changeSequence: 1 });
      const command = { instance, stateChange, expectedVersion: idle.version, change: change() };
      expect(await unwrap(port.startChange(command))).toEqual(done);
    }),
  ],
  'ephemeral.endChange': [
    4,
    inWorld(async (port, { pending, change }) => {
      expect(await unwrap(port.endChange({ ...over(pending, 'ready_to_use'), change: change() }))).toEqual(done);
    }),
  ],
  'ephemeral.endChange of one that ends': [
    6,
    inWorld(async (port, { pending, change }) => {
      expect(await unwrap(port.endChange({ ...over(pending, 'destroyed'), change: change() }))).toEqual(done);
    }),
  ],
  'ephemeral.writeInstance': [
    3,
    inWorld(async (port, { idle, change }) => {
      const command = { instance: next(idle), expectedVersion: idle.version, change: change() };
      expect(await unwrap(port.writeInstance(command))).toEqual(done);
    }),
  ],
  'ephemeral.removeInstance': [
    3,
    async (storage) => {
      const { pending, change } = await makeWorld(storage);
      const command = over(pending, 'destroyed');
      await unwrap(storage.ephemeral.endChange({ ...command, change: change() }));
      const removal = { instance: command.instance, change: change() };
      return async () => expect(await unwrap(storage.ephemeral.removeInstance(removal))).toEqual(done);
    },
  ],
  'ephemeral.acceptChange': [
    1,
    inWorld(async (port, { pending: { stateChange } }) => {
      expect(await unwrap(port.acceptChange(org, { ...stateChange, executionId: 'run' }))).toBe(true);
    }),
  ],
  'ephemeral.setTokens': [
    1,
    inWorld(async (port, { pending: { stateChange } }) => {
      const tokens = { ...stateChange, tokenHashes: ['other'], expected: stateChange.tokenHashes };
      expect(await unwrap(port.setTokens(org, tokens))).toBe(true);
    }),
  ],
  'ephemeral.writeSecret': [
    4,
    inWorld(async (port, { pending: { stateChange, instance }, change }) => {
      const { createdAt, updatedAt } = instance;
      const secret = { instanceId: instance.id, name: 'A', sealed: 'sealed', sealVersion: 1, createdAt, updatedAt };
      const command = { secret, stateChangeId: stateChange.id, change: change() };
      expect(await unwrap(port.writeSecret(command))).toEqual(done);
    }),
  ],
  'dataKeys.add': [
    2,
    withDataKey(async (port, key) => {
      expect(await unwrap(port.add(org, { ...key, id: randomUUID(), generation: 2 }))).toBe('added');
    }),
  ],
  'dataKeys.rewrap': [
    2,
    withDataKey(async (port, key) => {
      expect(await unwrap(port.rewrap(org, next(key, { wrapped: 'b3RoZXI' })))).toBe(true);
    }),
  ],
  'dataKeys.remove': [1, withDataKey((port, { scope, id }) => unwrap(port.remove(org, scope, id)))],
};
