import { finalStates, instanceStates, lifecycle, stateChangeTypes, unwrap } from '@vivarium/core';
import type { ChangeResult, InstanceState, StateChangeType, SweptInstance } from '@vivarium/core';

import { among, modelContext, nobody, pages, remember, settled } from './model-context.ts';
import type { CommonChoices, Draft, ModelClient } from './model-context.ts';

interface SeenType {
  readonly id: string;
  readonly state: string;
}

/** An instance as an answer showed it last. */
interface SeenInstance {
  readonly id: string;
  readonly typeId: string;
  readonly state: InstanceState | 'removed';
  readonly sequence: number;
}

interface SeenChange {
  readonly id: string;
  readonly instanceId: string;
  readonly result: ChangeResult | 'ended' | 'removed';
}

interface Seen {
  readonly types: SeenType[];
  readonly instances: SeenInstance[];
  readonly changes: SeenChange[];
}

const secretNames = ['PASSWORD', 'TOKEN', 'a-key'];
const durations = [null, 5_000, 40_000, 90_000];

/**
 * What a draft names, given what has been seen. Mostly something with which the command is legal, as far as that can be told from the answers so
 * far; now and then anything.
 */
function choose(draft: Draft, seen: Seen, elsewhere: Seen) {
  const likely = <T>(items: readonly T[], isFit: (item: T) => boolean): readonly T[] => {
    const fit = items.filter(isFit);
    return draft.dice % 6 === 0 || fit.length === 0 ? items : fit;
  };
  const nothing = {
    id: nobody,
    typeId: nobody,
    instanceId: nobody,
    state: 'zero_state',
    result: 'pending',
    sequence: 0,
  };
  const none = nothing as SeenInstance & SeenChange;
  const named = { instance: nobody };
  return {
    named,
    type: (...states: readonly string[]) => {
      const fit = likely(seen.types, ({ state }) =>
        states.length === 0 ? state !== 'deleted' : states.includes(state),
      );
      return among(fit, elsewhere.types, draft.owner, none).id;
    },
    instance: (isFit = isLive) => {
      named.instance = among(likely(seen.instances, isFit), elsewhere.instances, draft.item, none).id;
      return named.instance;
    },
    isAnyPending: seen.changes.some(({ result }) => result === 'pending'),
    change: (wanted: 'pending' | 'ended') => {
      const isFit = ({ result }: SeenChange) =>
        wanted === 'pending' ? result === 'pending' : result !== 'pending' && result !== 'removed';
      return among(likely(seen.changes, isFit), elsewhere.changes, draft.item, none).id;
    },
    changeType: stateChangeTypes[draft.dice % stateChangeTypes.length]!,
    secret: secretNames[draft.other % secretNames.length]!,
  };
}

const isIn =
  (states: readonly InstanceState[]) =>
  ({ state }: SeenInstance): boolean =>
    state !== 'removed' && states.includes(state);
const isFinal = isIn([...finalStates]);
const isLive = isIn(instanceStates.filter((state) => !finalStates.has(state)));

type Choices = ReturnType<typeof choose> & CommonChoices;

const actions = stateChangeTypes.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'pipeline.yml' }));

/** Settings of a type that commands run into: few places, short times. */
function settings({ draft, text }: Choices) {
  const { dice, limit } = draft;
  return {
    ...(dice % 3 === 0 ? {} : { description: dice % 3 === 1 ? null : text }),
    ...(dice % 2 === 0 ? {} : { maxNumberOfInstances: dice % 5 === 0 ? null : dice % 5 }),
    ...(limit === 1 ? { ttlMs: durations[dice % 4]!, maxTtlMs: durations[(dice >> 2) % 4]! } : {}),
    ...(limit === 2 ? { ttlMs: durations[dice % 4]! } : {}),
    ...(limit >= 3 ? { sleepAfterMs: durations[dice % 4]! } : {}),
    ...(dice % 5 === 0 ? { changeTimeoutMs: 20_000 * limit } : {}),
  };
}

/** Which kinds of change may write and read a secret: mostly all. */
function access({ draft: { dice } }: Choices) {
  const some = (odd: number) => stateChangeTypes.filter((_, index) => dice % 3 !== 0 || (index + odd) % 2 === 0);
  return { writableBy: some(0), readableBy: some(dice % 2) };
}

/** What the runner does with the pipelines that a command starts: mostly, it takes them on. */
function askRunner({ runner, draft: { dice } }: Choices): void {
  runner.answer = dice % 10 === 7 ? 'refuses' : dice % 5 === 3 ? 'is lost' : 'accepts';
}

/** A change that starts; every second one ends at once, so that instances come around. */
const start = (
  weight: number,
  method: 'provision' | 'deploy' | 'cleanUp' | 'sleep' | 'wakeUp' | 'deprovision',
  type: StateChangeType,
) => ({
  weight,
  send: async ({ ephemeral }: ModelClient, choices: Choices): Promise<unknown> => {
    askRunner(choices);
    const { draft, text, changeOptions } = choices;
    const id = choices.instance(isIn(lifecycle[type].from));
    const started = await ephemeral.instances[method](id, {
      ...(draft.text % 3 === 0 ? { parameters: { branch: text } } : {}),
      ...(draft.text % 4 === 0 ? { trigger: { type: 'automation_rule', id: 'nightly' } } : {}),
      ...changeOptions,
    });
    if (started.isErr() || draft.limit <= 2) return started;
    const result = draft.dice % 5 === 4 ? 'failed' : 'passed';
    const ended = await ephemeral.stateChanges.complete({ ...bearer(choices, started.value.id), result });
    return { ok: started.value, ended };
  },
});

/** A change that is pending; where none is known, one that is started for the purpose. */
async function pendingChange({ ephemeral }: ModelClient, choices: Choices): Promise<string> {
  if (choices.isAnyPending) return choices.change('pending');
  choices.runner.answer = 'accepts';
  const started = await ephemeral.instances.deploy(choices.instance(isIn(lifecycle.deploying.from)));
  return started.isOk() ? started.value.id : choices.change('pending');
}

/** The token that a change was handed out, the first one or the last one; or one that is none. */
function bearer({ runner, draft: { dice } }: Choices, stateChangeId: string) {
  const tokens = runner.started.filter(({ stateChange }) => stateChange.id === stateChangeId).map(({ token }) => token);
  const token = dice % 2 === 0 ? tokens[0] : tokens.at(-1);
  return { stateChangeId, token: token ?? 'nobody has ever handed this out' };
}

const wrong = { token: Buffer.alloc(32).toString('base64url') };

/** Sweeps, and looks at what it has swept. */
async function sweep({ ephemeral }: ModelClient, choices: Choices): Promise<unknown> {
  askRunner(choices);
  const swept = await ephemeral.sweep(choices.limit === 1 ? { limit: 1 } : {});
  if (swept.isErr()) return swept;
  const after: unknown[] = [];
  for (const { instanceId } of swept.value) after.push(await ephemeral.instances.get(instanceId));
  return { ok: swept.value, after };
}

/** Types, instances, changes and secrets. */
export const ephemeralModel = modelContext<Seen, ReturnType<typeof choose>>({
  commands: {
    'ephemeral.types.create': {
      weight: 5,
      send: ({ ephemeral }, choices) =>
        ephemeral.types.create({
          name: choices.name,
          ...settings(choices),
          ...(choices.draft.text % 2 === 0 ? {} : { actions: actions.slice(0, choices.draft.limit > 1 ? 6 : 5) }),
          ...(choices.draft.text % 3 === 0 ? {} : { secrets: [{ name: choices.secret, ...access(choices) }] }),
          ...choices.options,
        }),
    },
    'ephemeral.types.create and publish': {
      weight: 2,
      send: ({ ephemeral }, choices) =>
        settled(async () => {
          const secrets = secretNames.slice(0, 2).map((name) => ({ name, ...access(choices) }));
          const { name, options } = choices;
          const { id } = await unwrap(
            ephemeral.types.create({ name, ...settings(choices), actions, secrets, ...options }),
          );
          return unwrap(ephemeral.types.publish(id));
        }),
    },
    'ephemeral.types.get': { send: ({ ephemeral }, { type }) => ephemeral.types.get(type()) },
    'ephemeral.types.list': {
      send: ({ ephemeral }, choices) => pages(choices, (page) => ephemeral.types.list(page)),
    },
    'ephemeral.types.update': {
      weight: 3,
      send: ({ ephemeral }, choices) =>
        ephemeral.types.update(choices.type(), {
          ...(choices.draft.text % 3 === 0 ? { name: choices.name } : {}),
          ...settings(choices),
          ...choices.changeOptions,
        }),
    },
    'ephemeral.types.publish': {
      weight: 5,
      send: ({ ephemeral }, { type, changeOptions }) => ephemeral.types.publish(type('draft'), changeOptions),
    },
    'ephemeral.types.cordon': {
      weight: 4,
      send: ({ ephemeral }, { type, changeOptions }) => ephemeral.types.cordon(type('ready'), changeOptions),
    },
    'ephemeral.types.uncordon': {
      weight: 6,
      send: ({ ephemeral }, { type, changeOptions }) => ephemeral.types.uncordon(type('cordoned'), changeOptions),
    },
    'ephemeral.types.delete': {
      weight: 3,
      send: ({ ephemeral }, { type, changeOptions }) => ephemeral.types.delete(type(), changeOptions),
    },
    'ephemeral.actions.define': {
      weight: 2,
      send: ({ ephemeral }, { type, changeType, draft, text, changeOptions }) =>
        ephemeral.actions.define(type(), {
          stateChangeType: changeType,
          pipelineYamlName: `pipeline ${draft.name}.yml`,
          ...(text === '' ? {} : { branch: text, projectId: draft.limit === 1 ? null : text }),
          ...changeOptions,
        }),
    },
    'ephemeral.actions.list': { send: ({ ephemeral }, { type }) => ephemeral.actions.list(type()) },
    'ephemeral.actions.remove': {
      weight: 2,
      send: ({ ephemeral }, { type, changeType, changeOptions }) =>
        ephemeral.actions.remove(type(), changeType, changeOptions),
    },
    'ephemeral.secretDefinitions.define': {
      weight: 3,
      send: ({ ephemeral }, choices) =>
        ephemeral.secretDefinitions.define(choices.type(), {
          name: choices.secret,
          ...(choices.draft.text % 2 === 0 ? {} : { description: choices.text }),
          ...access(choices),
          ...choices.changeOptions,
        }),
    },
    'ephemeral.secretDefinitions.list': {
      send: ({ ephemeral }, { type }) => ephemeral.secretDefinitions.list(type()),
    },
    'ephemeral.secretDefinitions.remove': {
      weight: 2,
      send: ({ ephemeral }, { type, secret, changeOptions }) =>
        ephemeral.secretDefinitions.remove(type(), secret, changeOptions),
    },

    'ephemeral.instances.create': {
      weight: 8,
      send: ({ ephemeral }, { type, name, draft, options }) =>
        ephemeral.instances.create({
          typeId: type('ready'),
          name,
          ...(draft.limit === 1 ? { ttlMs: durations[1 + (draft.text % 3)]! } : {}),
          ...options,
        }),
    },
    'ephemeral.instances.create, provision, deploy': {
      weight: 6,
      send: ({ ephemeral: { instances, stateChanges } }, choices) => {
        choices.runner.answer = 'accepts';
        return settled(async () => {
          const { id } = await unwrap(
            instances.create({ typeId: choices.type('ready'), name: choices.name, ...choices.options }),
          );
          for (const method of ['provision', 'deploy'] as const) {
            const { id: stateChangeId } = await unwrap(instances[method](id));
            await unwrap(stateChanges.complete({ ...bearer(choices, stateChangeId), result: 'passed' }));
          }
          return unwrap(instances.get(id));
        });
      },
    },
    'ephemeral.instances.get': {
      weight: 2,
      send: ({ ephemeral }, { instance }) => ephemeral.instances.get(instance()),
    },
    'ephemeral.instances.list': {
      weight: 2,
      send: ({ ephemeral }, choices) =>
        pages(choices, (page) => ephemeral.instances.list({ typeId: choices.type(), ...page })),
    },
    'ephemeral.instances.list in a state': {
      send: ({ ephemeral }, choices) => {
        const state = (['zero_state', 'in_use', 'ready_to_use', 'destroyed'] as const)[choices.draft.dice % 4]!;
        return pages(choices, (page) => ephemeral.instances.list({ typeId: choices.type(), state, ...page }));
      },
    },
    'ephemeral.instances.extend': {
      weight: 2,
      send: ({ ephemeral }, { instance, draft, changeOptions }) =>
        ephemeral.instances.extend(instance(), { ttlMs: 10_000 * (1 + draft.text * draft.limit), ...changeOptions }),
    },
    'ephemeral.instances.touch': {
      weight: 2,
      send: ({ ephemeral }, { instance, changeOptions }) => ephemeral.instances.touch(instance(), changeOptions),
    },
    'ephemeral.instances.acknowledgeCleanUp': {
      weight: 4,
      send: ({ ephemeral }, { instance, text, changeOptions }) => {
        const id = instance(isIn(['failed_deprovisioning', 'failed_cleanup']));
        return ephemeral.instances.acknowledgeCleanUp(id, { note: `cleaned ${text}`, ...changeOptions });
      },
    },
    'ephemeral.instances.remove': {
      weight: 4,
      send: ({ ephemeral }, { instance, changeOptions }) =>
        ephemeral.instances.remove(instance(isFinal), changeOptions),
    },
    'ephemeral.instances.provision': start(5, 'provision', 'provisioning'),
    'ephemeral.instances.deploy': start(4, 'deploy', 'deploying'),
    'ephemeral.instances.cleanUp': start(5, 'cleanUp', 'cleaning_up'),
    'ephemeral.instances.sleep': start(5, 'sleep', 'to_sleep'),
    'ephemeral.instances.wakeUp': start(5, 'wakeUp', 'wake_up'),
    'ephemeral.instances.deprovision': start(5, 'deprovision', 'deprovisioning'),

    'ephemeral.stateChanges.get': {
      send: ({ ephemeral }, { change }) => ephemeral.stateChanges.get(change('pending')),
    },
    'ephemeral.stateChanges.list': {
      weight: 2,
      send: ({ ephemeral }, choices) =>
        pages(choices, (page) => ephemeral.stateChanges.list({ instanceId: choices.instance(), ...page })),
    },
    'ephemeral.stateChanges.cancel': {
      weight: 3,
      send: ({ ephemeral }, { change, changeOptions }) =>
        ephemeral.stateChanges.cancel(change('pending'), changeOptions),
    },
    'ephemeral.stateChanges.complete': {
      weight: 12,
      send: ({ ephemeral }, choices) =>
        ephemeral.stateChanges.complete({
          ...bearer(choices, choices.change('pending')),
          result: choices.draft.dice % 4 === 0 ? 'failed' : 'passed',
          ...(choices.draft.text % 2 === 0 ? {} : { reason: choices.text }),
          ...choices.options,
        }),
    },
    'ephemeral.stateChanges.complete one that has ended': {
      weight: 2,
      send: ({ ephemeral }, choices) =>
        ephemeral.stateChanges.complete({
          ...bearer(choices, choices.change('ended')),
          result: choices.draft.limit % 2 === 0 ? 'failed' : 'passed',
          ...choices.options,
        }),
    },
    'ephemeral.stateChanges.complete with a wrong token': {
      send: async (client, choices) => {
        const stateChangeId = await pendingChange(client, choices);
        return client.ephemeral.stateChanges.complete({
          ...wrong,
          stateChangeId,
          result: 'passed',
          ...choices.options,
        });
      },
    },

    'ephemeral.secrets, written and read in a change': {
      weight: 4,
      send: ({ ephemeral: { instances, stateChanges, secrets } }, choices) => {
        choices.runner.answer = 'accepts';
        return settled(async () => {
          const { id } = await unwrap(instances.deploy(choices.instance(isIn(lifecycle.deploying.from))));
          const by = bearer(choices, id);
          const answers = [
            await secrets.write({ ...by, name: choices.secret, value: choices.text }),
            await secrets.readAll(by),
            await secrets.read({ ...by, name: secretNames[choices.draft.limit % secretNames.length]! }),
          ];
          return { answers, ended: await unwrap(stateChanges.complete({ ...by, result: 'passed' })) };
        });
      },
    },
    'ephemeral.secrets.write': {
      weight: 4,
      send: async (client, choices) => {
        const by = bearer(choices, await pendingChange(client, choices));
        const { secret: name, text: value, options } = choices;
        return client.ephemeral.secrets.write({ ...by, name, value, ...options });
      },
    },
    'ephemeral.secrets.write with a wrong token': {
      send: async (client, choices) => {
        const stateChangeId = await pendingChange(client, choices);
        const { secret: name, text: value } = choices;
        return client.ephemeral.secrets.write({ ...wrong, stateChangeId, name, value });
      },
    },
    'ephemeral.secrets.read': {
      weight: 4,
      send: async (client, choices) => {
        const by = bearer(choices, await pendingChange(client, choices));
        return client.ephemeral.secrets.read({ ...by, name: choices.secret });
      },
    },
    'ephemeral.secrets.read after the change': {
      send: ({ ephemeral }, choices) =>
        ephemeral.secrets.read({ ...bearer(choices, choices.change('ended')), name: choices.secret }),
    },
    'ephemeral.secrets.readAll': {
      weight: 3,
      send: async (client, choices) =>
        client.ephemeral.secrets.readAll(bearer(choices, await pendingChange(client, choices))),
    },

    'ephemeral.sweep': { weight: 2, send: sweep },
    'ephemeral.sweep, half a minute later': { weight: 3, pauseMs: () => 31_000, send: sweep },
    'ephemeral.sweep, minutes later': { weight: 3, pauseMs: ({ limit }) => limit * 60_000, send: sweep },
    'ephemeral.sweep, dry': { send: ({ ephemeral }) => ephemeral.sweep({ dryRun: true }) },
  },

  beginning: [
    { command: 'ephemeral.types.create and publish', text: 1 },
    { command: 'ephemeral.instances.create, provision, deploy', name: 1 },
  ],
  ending: [
    { command: 'ephemeral.types.list' },
    ...Array.from({ length: 3 }, (_, owner) => ({ command: 'ephemeral.instances.list', owner })),
    ...Array.from({ length: 3 }, (_, item) => ({ command: 'ephemeral.stateChanges.list', item })),
  ],

  notable: (command, { ok }) =>
    command.startsWith('ephemeral.sweep')
      ? (ok as SweptInstance[]).map(({ action, outcome }) => `swept: ${action} ${outcome}`)
      : [],

  nothingSeen: () => ({ types: [], instances: [], changes: [] }),
  choose,

  learn(part, { types, instances, changes }) {
    const rememberOne = <T extends { readonly id: string }>(seen: T[], one: T) =>
      remember(seen, one, ({ id }) => id === one.id);
    const { id, state } = part as Record<string, string>;
    if ('maxNumberOfInstances' in part) return rememberOne(types, { id: id!, state: state! });
    if ('changeSequence' in part) {
      const instance = part as unknown as SeenInstance & { changeSequence: number; pendingChangeId: string | null };
      const { typeId, changeSequence: sequence, pendingChangeId } = instance;
      rememberOne(instances, { id: id!, typeId, state: state as InstanceState, sequence });
      changes.forEach((one, place) => {
        const isOver = one.instanceId === id && one.result === 'pending' && one.id !== pendingChangeId;
        if (isOver) changes[place] = { ...one, result: 'ended' };
      });
      return;
    }
    if (!('prevState' in part)) return;
    const change = part as unknown as SeenChange & {
      readonly typeId: string;
      readonly type: StateChangeType;
      readonly nextState: InstanceState | null;
      readonly sequence: number;
    };
    const { instanceId, typeId, result, sequence } = change;
    rememberOne(changes, { id: id!, instanceId, result });
    // The history says less of an instance than what was seen of it since.
    const known = instances.find((one) => one.id === instanceId);
    if (known === undefined || known.sequence > sequence) return;
    const now = change.nextState ?? lifecycle[change.type].pending;
    rememberOne(instances, { id: instanceId, typeId, state: now, sequence });
  },

  forget(_command, { named }, { instances, changes }) {
    const index = instances.findIndex(({ id }) => id === named.instance);
    if (index === -1) return;
    instances[index] = { ...instances[index]!, state: 'removed' };
    changes.forEach((change, place) => {
      if (change.instanceId === named.instance) changes[place] = { ...change, result: 'removed' };
    });
  },
});
