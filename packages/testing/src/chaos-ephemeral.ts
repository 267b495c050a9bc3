import { isDeepStrictEqual } from 'node:util';
import { acknowledgements, finalStates, legalChanges, lifecycle, stateChangeTypes, unwrap } from '@vivarium/core';
import type { Client, EnvironmentType, Instance, InstanceState, StateChange } from '@vivarium/core';

import { checker, recent } from './chaos-context.ts';
import type { ChaosCommand, ChaosContext } from './chaos-context.ts';
import type { ChaosRunner } from './chaos-runner.ts';
import type { StorageHarness } from './harness.ts';
import { everything } from './paging.ts';
import type { SeededRandom } from './seeded-random.ts';

/** Places of the anchor: few, so that its instances are contested all the time. */
const places = 5;

const typeNames = Array.from({ length: 6 }, (_, index) => `Type ${index}`);
const instanceNames = Array.from({ length: 9 }, (_, index) => `Instance ${index}`);
const secretNames = ['A', 'B', 'C'];
const starts = {
  provisioning: 'provision',
  deploying: 'deploy',
  cleaning_up: 'cleanUp',
  to_sleep: 'sleep',
  wake_up: 'wakeUp',
  deprovisioning: 'deprovision',
} as const;

/** Given, because it is part of the input: the caller of the command, who is another one when the command is repeated. */
const trigger = { type: 'user', id: 'chaos' } as const;

interface Seen {
  /** Is never changed, so that its limit holds at every moment. */
  readonly anchor: string;
  /** Ids of all types that were ever made, the anchor included. */
  readonly types: string[];
  /** Ids of all instances that were ever made. */
  readonly instances: string[];
  /** In which state an instance was last seen; others may have changed it since. */
  readonly states: Map<string, InstanceState>;
  /** Ids of changes, as they were started. */
  readonly changes: string[];
}

const actions = stateChangeTypes.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'pipeline.yml' }));
const secrets = secretNames.map((name) => ({ name, writableBy: stateChangeTypes, readableBy: stateChangeTypes }));

/** Types, instances, changes and secrets. */
export const ephemeralChaos: ChaosContext = {
  refusals: [
    'not_found',
    'type_name_taken',
    'type_has_instances',
    'type_not_ready',
    'capacity_reached',
    'instance_name_taken',
    'illegal_transition',
    'change_in_progress',
    'change_superseded',
    'invalid_token',
    'secret_access_denied',
    'limit_reached',
    'stale_version',
  ],

  async begin({ org, client, harness, runner }) {
    const types: string[] = [];
    for (const name of ['Anchor', 'Second']) {
      const settings =
        name === 'Anchor' ? { maxNumberOfInstances: places } : { sleepAfterMs: 300, changeTimeoutMs: 500 };
      const { id } = await unwrap(client.ephemeral.types.create({ name, ...settings, actions, secrets }));
      await unwrap(client.ephemeral.types.publish(id));
      types.push(id);
    }
    const seen: Seen = { anchor: types[0]!, types, instances: [], states: new Map(), changes: [] };
    for (const typeId of types) {
      learnInstance(await unwrap(client.ephemeral.instances.create({ typeId, name: 'First' })), seen);
      learnChange(await unwrap(client.ephemeral.instances.provision(seen.instances.at(-1)!)), seen);
    }
    return {
      // A sweep writes as many entries as it finds things to do; what says the same twice writes none.
      subjects: new Set<string>(),
      command: (random) => randomCommand(seen, runner, random),
      watch: (by) => watch(by, seen),
      look: (by) => look(harness, by, org, seen),
      fill: (by) => checkPlaces(by, seen),
    };
  },
};

function randomCommand(seen: Seen, runner: ChaosRunner, random: SeededRandom): ChaosCommand {
  const typeId = random.next() < 0.5 ? seen.anchor : recent(seen.types, random);
  // The anchor stays as it is.
  const other = seen.types.length > 1 ? recent(seen.types.slice(1), random) : seen.anchor;
  const instance = recent(seen.instances, random);
  const change = recent(seen.changes, random);
  const bearer = { stateChangeId: change, token: runner.tokens.get(change) ?? 'was never handed out' };
  const secret = random.pick(secretNames);
  const toInstance = (answer: unknown) => learnInstance(answer as Instance, seen);
  const toChange = (answer: unknown) => learnChange(answer as StateChange, seen);

  const roll = random.integer(100);
  if (roll < 16) {
    const input = { typeId, name: random.pick(instanceNames), ...(random.next() < 0.2 ? { ttlMs: 400 } : {}) };
    return {
      method: 'ephemeral.instances.create',
      send: ({ ephemeral }, options) => ephemeral.instances.create({ ...input, ...options }),
      learn: toInstance,
      versioned: false,
    };
  }
  if (roll < 46) {
    const likely = legalChanges(seen.states.get(instance) ?? 'zero_state');
    const type = random.pick(likely.length > 0 && random.next() < 0.8 ? likely : stateChangeTypes);
    return {
      method: `ephemeral.instances.${starts[type]}`,
      send: ({ ephemeral }, options) => ephemeral.instances[starts[type]](instance, { trigger, ...options }),
      learn: toChange,
    };
  }
  if (roll < 70) {
    const result = random.next() < 0.75 ? 'passed' : 'failed';
    return {
      method: 'ephemeral.stateChanges.complete',
      send: ({ ephemeral }) => ephemeral.stateChanges.complete({ ...bearer, result }),
      learn: toChange,
      keyed: false,
      versioned: false,
    };
  }
  if (roll < 73) {
    return {
      method: 'ephemeral.stateChanges.cancel',
      send: ({ ephemeral }) => ephemeral.stateChanges.cancel(change),
      learn: toChange,
      keyed: false,
      versioned: false,
    };
  }
  if (roll < 79) {
    const value = `value ${random.integer(1_000)}`;
    return {
      method: 'ephemeral.secrets.write',
      send: ({ ephemeral }, options) => ephemeral.secrets.write({ ...bearer, name: secret, value, ...options }),
      versioned: false,
    };
  }
  if (roll < 82) {
    return {
      method: 'ephemeral.secrets.readAll',
      send: ({ ephemeral }) => ephemeral.secrets.readAll(bearer),
      keyed: false,
      versioned: false,
    };
  }
  if (roll < 85) {
    return {
      method: 'ephemeral.instances.touch',
      send: ({ ephemeral }, options) => ephemeral.instances.touch(instance, options),
      learn: toInstance,
    };
  }
  if (roll < 88) {
    return {
      method: 'ephemeral.instances.acknowledgeCleanUp',
      send: ({ ephemeral }, options) =>
        ephemeral.instances.acknowledgeCleanUp(instance, { note: 'cleaned by hand', ...options }),
      learn: toInstance,
    };
  }
  if (roll < 91) {
    const ended = seen.instances.filter((id) => finalStates.has(seen.states.get(id) ?? 'zero_state'));
    const doomed = ended.length > 0 ? random.pick(ended) : instance;
    return {
      method: 'ephemeral.instances.remove',
      send: ({ ephemeral }, options) => ephemeral.instances.remove(doomed, options),
      learn: () => void seen.states.delete(doomed),
    };
  }
  if (roll < 93) {
    return {
      method: 'ephemeral.sweep',
      send: ({ ephemeral }) => ephemeral.sweep({ limit: 20 }),
      keyed: false,
      versioned: false,
    };
  }
  if (roll < 95) {
    const settings = { maxNumberOfInstances: random.integer(4) === 0 ? null : random.integer(6), ttlMs: 2_000 };
    return {
      method: 'ephemeral.types.update',
      send: ({ ephemeral }, options) => ephemeral.types.update(other, { ...settings, ...options }),
    };
  }
  if (roll < 97) {
    const move = random.pick(['cordon', 'uncordon', 'uncordon', 'publish', 'publish', 'delete'] as const);
    return {
      method: `ephemeral.types.${move}`,
      send: ({ ephemeral }, options) => ephemeral.types[move](other, options),
    };
  }
  if (roll < 98) {
    const name = random.pick(typeNames);
    return {
      method: 'ephemeral.types.create',
      send: ({ ephemeral }, options) => ephemeral.types.create({ name, actions, secrets, ...options }),
      learn: (answer) => void seen.types.push((answer as EnvironmentType).id),
      versioned: false,
    };
  }
  const definition = { name: secret, writableBy: stateChangeTypes, readableBy: stateChangeTypes };
  return random.next() < 0.5
    ? {
        method: 'ephemeral.secretDefinitions.define',
        send: ({ ephemeral }, options) => ephemeral.secretDefinitions.define(other, { ...definition, ...options }),
      }
    : {
        method: 'ephemeral.secretDefinitions.remove',
        send: ({ ephemeral }, options) => ephemeral.secretDefinitions.remove(other, secret, options),
      };
}

function learnInstance({ id, state }: Instance, { instances, states }: Seen): void {
  if (!states.has(id) && !instances.includes(id)) instances.push(id);
  states.set(id, state);
}

function learnChange({ id, instanceId, type, nextState }: StateChange, { changes, states }: Seen): void {
  if (!changes.includes(id)) changes.push(id);
  states.set(instanceId, nextState ?? lifecycle[type].pending);
}

async function watch(client: Client<unknown>, { anchor }: Seen): Promise<string[]> {
  const type = await client.ephemeral.types.get(anchor);
  if (type.isErr()) return [`a type that is never deleted was missing: ${type.error.message}`];
  const { liveInstances } = type.value;
  return liveInstances > places ? [`${liveInstances} instances lived in ${places} places`] : [];
}

async function look(harness: StorageHarness, client: Client<unknown>, org: string, { anchor, types }: Seen) {
  const violations: string[] = [];
  const living: { readonly id: string; readonly version: number }[] = [];
  const listed = await everything((page) => client.ephemeral.types.list(page));
  for (const id of new Set(types)) {
    const type = await unwrap(client.ephemeral.types.get(id));
    const instances = await everything((page) => client.ephemeral.instances.list({ typeId: id, ...page }));
    violations.push(...checkType(type, instances, id === anchor, listed.map(({ id: there }) => there).includes(id)));
    for (const instance of instances) violations.push(...(await checkInstance(harness, client, org, instance)));
    living.push(...(type.state === 'deleted' ? [] : [type]), ...instances);
  }
  return { violations, living };
}

/** Counts its live instances, which keep to the limit and have names of their own. */
function checkType(type: EnvironmentType, instances: readonly Instance[], isAnchor: boolean, isListed: boolean) {
  const { violations, check } = checker(`type ${type.name}`);
  const live = instances.filter(({ state }) => !finalStates.has(state));
  const names = live.map(({ name }) => name.toLowerCase());
  check(type.liveInstances === live.length, `counts ${type.liveInstances} live instances, ${live.length} live`);
  check(!isAnchor || live.length <= places, `keeps its limit, ${live.length} live`);
  check(new Set(names).size === names.length, 'has no live name twice');
  check(isListed === (type.state !== 'deleted'), `is ${type.state}, and ${isListed ? 'listed' : 'not listed'}`);
  check(type.state !== 'deleted' || live.length === 0, 'is deleted without live instances');
  return violations;
}

/** Its history is a path through the table that ends where it is; what is pending is pending on both sides; when it has ended, nothing is left of its secrets. */
async function checkInstance(harness: StorageHarness, client: Client<unknown>, org: string, instance: Instance) {
  const { violations, check } = checker(`instance ${instance.id}`);
  check(
    isDeepStrictEqual(await unwrap(client.ephemeral.instances.get(instance.id)), instance),
    'is read as it is listed',
  );
  const newestFirst = await everything((page) =>
    client.ephemeral.stateChanges.list({ instanceId: instance.id, ...page }),
  );
  const changes = newestFirst.toReversed();
  const numbers = changes.map(({ sequence }) => sequence);
  const expected = Array.from({ length: instance.changeSequence }, (_, index) => index + 1);
  check(isDeepStrictEqual(numbers, expected), `has changes 1 to ${instance.changeSequence}: ${numbers.join()}`);

  const pending = changes.filter(({ result }) => result === 'pending').map(({ id }) => id);
  const known = instance.pendingChangeId === null ? [] : [instance.pendingChangeId];
  check(isDeepStrictEqual(pending, known), `${pending.length} changes are pending, it knows of ${known.length}`);
  for (const broken of brokenSteps(instance, changes)) check(false, broken);

  const isFinal = finalStates.has(instance.state);
  check((instance.endedAt !== null) === isFinal, `is ${instance.state}, and endedAt says otherwise`);
  const values = await unwrap(harness.storage.ephemeral.secrets(org, instance.id));
  check(!isFinal || values.length === 0, `has ended, and ${values.length} of its secrets are left`);
  return violations;
}

/** Where a history leaves the table. */
function brokenSteps(instance: Instance, changes: readonly StateChange[]): readonly string[] {
  const broken: string[] = [];
  let state: InstanceState = 'zero_state';
  let sleptFrom: 'ready_to_use' | 'in_use' | null = null;
  const reaches = (next: InstanceState) => next === state || acknowledgements[state] === next;
  for (const { sequence, type, prevState, nextState, result } of changes) {
    const legal = lifecycle[type].from.includes(prevState) && reaches(prevState);
    if (!legal) broken.push(`change ${sequence}, ${type}, started in ${prevState}, where it was ${state}`);
    if (type === 'to_sleep' && (prevState === 'ready_to_use' || prevState === 'in_use')) sleptFrom = prevState;
    const { pending, passed, failed } = lifecycle[type];
    const onceAwake = sleptFrom ?? 'ready_to_use';
    state = result === 'pending' ? pending : result !== 'passed' ? failed : passed === 'sleptFrom' ? onceAwake : passed;
    const told = result === 'pending' ? null : state;
    if (nextState !== told)
      broken.push(`change ${sequence}, ${type}, ${result}, leads to ${nextState}, not to ${told}`);
  }
  if (!reaches(instance.state)) broken.push(`its history ends in ${state}, it is ${instance.state}`);
  if (instance.sleptFrom !== sleptFrom) broken.push(`slept from ${instance.sleptFrom}, its history says ${sleptFrom}`);
  return broken;
}

/** The anchor lets in as many as it has places left. */
async function checkPlaces(client: Client<unknown>, { anchor }: Seen): Promise<readonly string[]> {
  const { violations, check } = checker('anchor');
  const { liveInstances } = await unwrap(client.ephemeral.types.get(anchor));
  let admitted = 0;
  for (let index = 0; index <= places; index++) {
    const answer = await client.ephemeral.instances.create({ typeId: anchor, name: `Counted ${index}` });
    if (answer.isOk()) admitted++;
    else check(answer.error.code === 'capacity_reached', `creates until it is full, gave ${answer.error.code}`);
  }
  check(admitted === places - liveInstances, `lets ${admitted} in beside ${liveInstances}, of ${places}`);
  return violations;
}
