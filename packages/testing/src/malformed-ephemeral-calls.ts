import type { Method } from '@vivarium/core';

import { pages } from './malformed-arguments.ts';
import type { MalformedCall } from './malformed-calls.ts';

const id = '00000000-0000-7000-8000-000000000001';
const bearer = { stateChangeId: id, token: 'a token' };

const ids = (path: string, ...rest: readonly unknown[]): readonly MalformedCall[] =>
  [undefined, null, 1, '', 'not an id', `${id}\n`, { id }].map((given) => ({ args: [given, ...rest], path }));
const within = (input: object, field: string, values: readonly unknown[], ...before: readonly unknown[]) =>
  values.map((value) => ({ args: [...before, { ...input, [field]: value }], path: field }));
const wrongIds = [undefined, null, 7, '', 'x', `${id} `];
const names = [undefined, null, 1, '', '   ', 'x'.repeat(101), 'a\0b', '\ud800'];
const texts = [undefined, null, 1, '', 'x'.repeat(256), 'a\0b', '\udfff'];
const descriptions = [1, 'x'.repeat(501), 'a\0b', '\udfff'];
const durations = [0, -1, 1.5, '1', Number.NaN, 31_622_400_001];
const changeTypes = [undefined, null, '', 'deploy', 'toString', ['deploying']];
const secretNames = [undefined, null, '', 'A B', 'Ä', 'k'.repeat(257), 'A\n'];

const keyed = (input: object, ...before: readonly unknown[]): readonly MalformedCall[] => [
  ...within(input, 'idempotencyKey', ['', 7, 'x'.repeat(256), 'a\0'], ...before),
  ...within(input, 'signal', [{}, 1], ...before),
  { args: [...before, { ...input, unknown: 1 }], path: '' },
  { args: [...before, null], path: '' },
  { args: [...before, [input]], path: '' },
];
const versioned = (input: object, ...before: readonly unknown[]): readonly MalformedCall[] => [
  ...keyed(input, ...before),
  ...within(input, 'expectedVersion', [0, 1.5, '1', null], ...before),
];
const made = (input: object): readonly MalformedCall[] => [
  ...keyed(input),
  { args: [{ ...input, expectedVersion: 1 }], path: '' },
  { args: [], path: '' },
];
const settings = (input: object, ...before: readonly unknown[]): readonly MalformedCall[] => [
  ...within(input, 'description', descriptions, ...before),
  ...within(input, 'maxNumberOfInstances', [-1, 1.5, '1', 1_000_001], ...before),
  ...['ttlMs', 'maxTtlMs', 'sleepAfterMs', 'changeTimeoutMs'].flatMap((field) =>
    within(input, field, durations, ...before),
  ),
  { args: [...before, { ...input, changeTimeoutMs: null }], path: 'changeTimeoutMs' },
  { args: [...before, { ...input, ttlMs: 2, maxTtlMs: 1 }], path: 'ttlMs' },
];
const actionInput = { stateChangeType: 'deploying', pipelineYamlName: 'p.yml' };
const actions = (call: (action: object) => readonly unknown[], at: string): readonly MalformedCall[] => [
  ...changeTypes.map((stateChangeType) => ({
    args: call({ ...actionInput, stateChangeType }),
    path: `${at}stateChangeType`,
  })),
  ...texts.map((pipelineYamlName) => ({
    args: call({ ...actionInput, pipelineYamlName }),
    path: `${at}pipelineYamlName`,
  })),
  ...[1, '', 'x'.repeat(256), '\0'].flatMap((text) => [
    { args: call({ ...actionInput, projectId: text }), path: `${at}projectId` },
    { args: call({ ...actionInput, branch: text }), path: `${at}branch` },
  ]),
];
const secretInput = { name: 'SECRET', writableBy: [], readableBy: [] };
const secrets = (call: (secret: object) => readonly unknown[], at: string): readonly MalformedCall[] => [
  ...secretNames.map((name) => ({ args: call({ ...secretInput, name }), path: `${at}name` })),
  ...descriptions.map((description) => ({ args: call({ ...secretInput, description }), path: `${at}description` })),
  { args: call({ ...secretInput, writableBy: undefined }), path: `${at}writableBy` },
  { args: call({ ...secretInput, writableBy: 'deploying' }), path: `${at}writableBy` },
  { args: call({ ...secretInput, writableBy: ['deploy'] }), path: `${at}writableBy[0]` },
  { args: call({ ...secretInput, readableBy: [null] }), path: `${at}readableBy[0]` },
];
const starts: readonly MalformedCall[] = [
  ...ids('id'),
  ...versioned({}, id),
  { args: [id, { trigger: 'ada' }], path: 'trigger' },
  { args: [id, { trigger: { type: 'robot', id: 'x' } }], path: 'trigger.type' },
  { args: [id, { trigger: { type: 'user', id: '' } }], path: 'trigger.id' },
  { args: [id, { trigger: { type: 'user', id: 'x'.repeat(129) } }], path: 'trigger.id' },
  { args: [id, { parameters: ['a'] }], path: 'parameters' },
  { args: [id, { parameters: { a: 1 } }], path: 'parameters.a' },
  { args: [id, { parameters: { a: '\0' } }], path: 'parameters.a' },
  { args: [id, { parameters: { a: 'x'.repeat(2_048) } }], path: 'parameters' },
];
const bearers = (rest: object): readonly MalformedCall[] => [
  ...within({ ...bearer, ...rest }, 'stateChangeId', wrongIds),
  ...within({ ...bearer, ...rest }, 'token', [undefined, null, 1, '', 'x'.repeat(201), 'a\0']),
  { args: [], path: '' },
  { args: [{ ...bearer, ...rest, unknown: 1 }], path: '' },
];

/** Of each method of ephemeral environments and of keys, calls that are malformed in every one of its arguments. */
export const malformedEphemeralCalls: Readonly<
  Record<Extract<Method, `ephemeral.${string}` | `keys.${string}`>, readonly MalformedCall[]>
> = {
  'ephemeral.types.create': [
    ...within({}, 'name', names),
    ...settings({ name: 'T' }),
    ...actions((action) => [{ name: 'T', actions: [action] }], 'actions[0].'),
    ...secrets((secret) => [{ name: 'T', secrets: [secret] }], 'secrets[0].'),
    { args: [{ name: 'T', actions: [actionInput, actionInput] }], path: 'actions[1]' },
    { args: [{ name: 'T', secrets: [secretInput, secretInput] }], path: 'secrets[1]' },
    {
      args: [{ name: 'T', secrets: Array.from({ length: 41 }, (_, n) => ({ ...secretInput, name: `S${n}` })) }],
      path: 'secrets',
    },
    ...made({ name: 'T' }),
  ],
  'ephemeral.types.get': ids('id'),
  'ephemeral.types.list': pages({}, 'ephemeral.types', ['a\0b', '\ud800', 7, null]),
  'ephemeral.types.update': [
    ...ids('id', {}),
    ...within({}, 'name', names.slice(1), id),
    ...settings({}, id).filter(({ path, args }) => path !== 'ttlMs' || !('maxTtlMs' in (args[1] as object))),
    ...versioned({}, id),
    { args: [id], path: '' },
  ],
  'ephemeral.types.publish': [...ids('id'), ...versioned({}, id)],
  'ephemeral.types.cordon': [...ids('id'), ...versioned({}, id)],
  'ephemeral.types.uncordon': [...ids('id'), ...versioned({}, id)],
  'ephemeral.types.delete': [...ids('id'), ...versioned({}, id)],
  'ephemeral.actions.define': [
    ...ids('typeId', actionInput),
    ...actions((action) => [id, action], ''),
    ...versioned(actionInput, id),
  ],
  'ephemeral.actions.list': ids('typeId'),
  'ephemeral.actions.remove': [
    ...ids('typeId', 'deploying'),
    ...changeTypes.map((type) => ({ args: [id, type], path: 'stateChangeType' })),
    ...versioned({}, id, 'deploying'),
  ],
  'ephemeral.secretDefinitions.define': [
    ...ids('typeId', secretInput),
    ...secrets((secret) => [id, secret], ''),
    ...versioned(secretInput, id),
  ],
  'ephemeral.secretDefinitions.list': ids('typeId'),
  'ephemeral.secretDefinitions.remove': [
    ...ids('typeId', 'SECRET'),
    ...secretNames.map((name) => ({ args: [id, name], path: 'name' })),
    ...versioned({}, id, 'SECRET'),
  ],
  'ephemeral.instances.create': [
    ...within({ name: 'I' }, 'typeId', wrongIds),
    ...within({ typeId: id }, 'name', names),
    ...within({ typeId: id, name: 'I' }, 'ttlMs', [...durations, null]),
    ...made({ typeId: id, name: 'I' }),
  ],
  'ephemeral.instances.get': ids('id'),
  'ephemeral.instances.list': [
    ...within({}, 'typeId', wrongIds),
    ...within({ typeId: id }, 'state', [null, '', 'asleep', 'constructor']),
    ...pages({ typeId: id }, 'ephemeral.instances', [
      { nameKey: 'a\0b', id },
      { nameKey: '\ud800', id },
      { nameKey: 'i', id: 'x' },
      { nameKey: 'i' },
      'i',
    ]),
  ],
  'ephemeral.instances.extend': [
    ...ids('id', { ttlMs: 1 }),
    ...within({}, 'ttlMs', [...durations, undefined, null], id),
    ...versioned({ ttlMs: 1 }, id),
  ],
  'ephemeral.instances.touch': [...ids('id'), ...versioned({}, id)],
  'ephemeral.instances.acknowledgeCleanUp': [
    ...ids('id', { note: 'x' }),
    ...within({}, 'note', [undefined, null, '', '   ', ...descriptions], id),
    ...versioned({ note: 'x' }, id),
  ],
  'ephemeral.instances.remove': [...ids('id'), ...versioned({}, id)],
  'ephemeral.instances.provision': starts,
  'ephemeral.instances.deploy': starts,
  'ephemeral.instances.cleanUp': starts,
  'ephemeral.instances.sleep': starts,
  'ephemeral.instances.wakeUp': starts,
  'ephemeral.instances.deprovision': starts,
  'ephemeral.stateChanges.get': ids('id'),
  'ephemeral.stateChanges.list': [
    ...within({}, 'instanceId', wrongIds),
    ...pages({ instanceId: id }, 'ephemeral.stateChanges', [0, -1, 1.5, 2_147_483_648, '1', null]),
  ],
  'ephemeral.stateChanges.cancel': [...ids('id'), ...versioned({}, id)],
  'ephemeral.stateChanges.complete': [
    ...bearers({ result: 'passed' }),
    ...within(bearer, 'result', [undefined, null, 'canceled', 'pending', true]),
    ...within({ ...bearer, result: 'failed' }, 'reason', [1, 'x'.repeat(1_001), 'a\0', '\ud800']),
    ...made({ ...bearer, result: 'passed' }),
  ],
  'ephemeral.secrets.read': [...bearers({ name: 'S' }), ...within(bearer, 'name', secretNames)],
  'ephemeral.secrets.readAll': bearers({}),
  'ephemeral.secrets.write': [
    ...bearers({ name: 'S', value: 'x' }),
    ...within({ ...bearer, value: 'x' }, 'name', secretNames),
    ...within({ ...bearer, name: 'S' }, 'value', [undefined, null, 1, 'a\0b', '\ud800', 'x'.repeat(65_537)]),
    ...made({ ...bearer, name: 'S', value: 'x' }),
  ],
  'ephemeral.sweep': [
    ...within({}, 'limit', [0, 1_001, 1.5, '1', null]),
    ...within({}, 'dryRun', [1, 'yes', null]),
    { args: [null], path: '' },
    { args: [{ unknown: 1 }], path: '' },
  ],
  // Takes nothing, so that nothing can be wrong with it.
  'keys.rewrap': [],
  'keys.rotate': [
    ...within({}, 'projectId', wrongIds),
    { args: [], path: '' },
    { args: [id], path: '' },
    { args: [{ projectId: id, unknown: 1 }], path: '' },
  ],
};
