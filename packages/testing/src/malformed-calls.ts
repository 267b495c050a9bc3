import type { Method } from '@vivarium/core';

import { malformedBuildCalls } from './malformed-build-calls.ts';
import { malformedDeploymentCalls } from './malformed-deployment-calls.ts';
import { malformedEphemeralCalls } from './malformed-ephemeral-calls.ts';
import { malformedPreviewCalls } from './malformed-preview-calls.ts';

/** Arguments that a method has to refuse, and the path of the issue that it names. */
export interface MalformedCall {
  readonly args: readonly unknown[];
  readonly path: string;
}

const id = '00000000-0000-7000-8000-000000000001';
const ref = { projectId: id, id };

const throwing = {
  get name(): string {
    throw new Error('no');
  },
};

const ids: readonly MalformedCall[] = [
  { args: [], path: 'id' },
  { args: ['not an id'], path: 'id' },
  { args: [`${id}\n`], path: 'id' },
  { args: [{ id }], path: 'id' },
];
const projectIds = ids.map(({ args }) => ({ args, path: 'projectId' }));
const ofProject = projectIds.map(({ args: [projectId] }) => ({ args: [{ projectId }], path: 'projectId' }));
const refs = (...rest: readonly unknown[]): readonly MalformedCall[] => [
  { args: [undefined, ...rest], path: 'ref' },
  { args: [id, ...rest], path: 'ref' },
  { args: [{ id }, ...rest], path: 'ref.projectId' },
  { args: [{ projectId: id, id: 'x' }, ...rest], path: 'ref.id' },
  { args: [{ projectId: "'; --", id }, ...rest], path: 'ref.projectId' },
];
const names = (call: (name: unknown) => readonly unknown[], path: string): readonly MalformedCall[] =>
  [undefined, null, 1, '', '   ', 'x'.repeat(101), '𐐀'.repeat(101), 'a\0b', 'a\nb', '\ud800'].map((name) => ({
    args: call(name),
    path,
  }));
const environmentNames = (call: (name: unknown) => readonly unknown[], path: string): readonly MalformedCall[] => [
  ...names(call, path),
  ...['a/b', 'a.b', '🧪', '<b>'].map((name) => ({ args: call(name), path })),
];
const options = (...before: readonly unknown[]): readonly MalformedCall[] => [
  { args: [...before, { idempotencyKey: '' }], path: 'idempotencyKey' },
  { args: [...before, { idempotencyKey: 'x'.repeat(256) }], path: 'idempotencyKey' },
  { args: [...before, { idempotencyKey: 7 }], path: 'idempotencyKey' },
  { args: [...before, { expectedVersion: 0 }], path: 'expectedVersion' },
  { args: [...before, { expectedVersion: 1.5 }], path: 'expectedVersion' },
  { args: [...before, { expectedVersion: '1' }], path: 'expectedVersion' },
  { args: [...before, { signal: {} }], path: 'signal' },
  { args: [...before, { unknown: 1 }], path: '' },
  { args: [...before, null], path: '' },
];
const pages = (input: object): readonly MalformedCall[] => [
  ...[0, -1, 101, 1.5, '10', null].map((limit) => ({ args: [{ ...input, limit }], path: 'limit' })),
  ...[1, '', 'x', 'A'.repeat(5_000)].map((cursor) => ({ args: [{ ...input, cursor }], path: 'cursor' })),
  { args: [{ ...input, unknown: 1 }], path: '' },
];
const descriptions = (call: (description: unknown) => readonly unknown[], path: string): readonly MalformedCall[] =>
  [1, 'x'.repeat(501), 'a\0b', '\udfff'].map((description) => ({ args: call(description), path }));
const variables = (call: (variables: unknown) => readonly unknown[], path: string): readonly MalformedCall[] => [
  { args: call('A=1'), path },
  { args: call({ A: '1' }), path },
  { args: call([{ key: 'A' }]), path: `${path}[0].value` },
  { args: call([{ key: '', value: '' }]), path: `${path}[0].key` },
  { args: call([{ key: 'A B', value: '' }]), path: `${path}[0].key` },
  { args: call([{ key: 'Ä', value: '' }]), path: `${path}[0].key` },
  { args: call([{ key: 'k'.repeat(257), value: '' }]), path: `${path}[0].key` },
  { args: call([{ key: 'A', value: 1 }]), path: `${path}[0].value` },
  { args: call([{ key: 'A', value: 'a\0b' }]), path: `${path}[0].value` },
  { args: call([{ key: 'A', value: '\ud83e' }]), path: `${path}[0].value` },
  { args: call([{ key: 'A', value: '', description: 'x'.repeat(501) }]), path: `${path}[0].description` },
  { args: call([{ key: 'A', value: '', sensitive: 'yes' }]), path: `${path}[0].sensitive` },
  { args: call([{ key: 'A', sensitive: true, keep: true }]), path: `${path}[0].keep` },
  { args: call([{ key: 'A', value: '', sensitive: true, keep: true }]), path: `${path}[0].keep` },
  { args: call([{ key: 'A', value: '', unknown: 1 }]), path: `${path}[0]` },
  {
    args: call([
      { key: 'A', value: '' },
      { key: 'A', value: '' },
    ]),
    path: `${path}[1].key`,
  },
  { args: call(Array.from({ length: 101 }, (_, index) => ({ key: `K${index}`, value: '' }))), path },
  { args: call([{ key: 'A', value: 'x'.repeat(51_200) }]), path },
];
const environments = (given: unknown): readonly unknown[] => [{ name: 'X', environments: given }];

/** Of each method, calls that are malformed in every one of its arguments. */
export const malformedCalls: Readonly<Record<Method, readonly MalformedCall[]>> = {
  'projects.create': [
    { args: [], path: '' },
    { args: ['X'], path: '' },
    { args: [throwing], path: '' },
    ...names((name) => [{ name }], 'name'),
    ...descriptions((description) => [{ name: 'X', description }], 'description'),
    { args: [{ name: 'X', parentProjectId: 'x' }], path: 'parentProjectId' },
    { args: environments([]), path: 'environments' },
    { args: environments(Array.from({ length: 31 }, (_, index) => ({ name: `E ${index}` }))), path: 'environments' },
    { args: environments([{ name: 'A' }, { name: 'a' }]), path: 'environments[1].name' },
    ...environmentNames((name) => environments([{ name }]), 'environments[0].name'),
    ...descriptions((description) => environments([{ name: 'E', description }]), 'environments[0].description'),
    ...variables((given) => environments([{ name: 'E', variables: given }]), 'environments[0].variables'),
    { args: [{ name: 'X', expectedVersion: 1 }], path: '' },
    { args: [{ name: 'X', idempotencyKey: '' }], path: 'idempotencyKey' },
    { args: [{ name: 'X', signal: 1 }], path: 'signal' },
  ],
  'projects.get': ids,
  'projects.getByName': names((name) => [name], 'name'),
  'projects.list': [
    ...pages({}),
    { args: [{ parentProjectId: 'x' }], path: 'parentProjectId' },
    { args: [null], path: '' },
  ],
  'projects.update': [
    ...ids.map(({ args, path }) => ({ args: [args[0], {}], path })),
    ...names((name) => [id, { name }], 'name').slice(1),
    ...descriptions((description) => [id, { description }], 'description'),
    ...options(id),
    { args: [id], path: '' },
  ],
  'projects.move': [
    ...ids.map(({ args, path }) => ({ args: [args[0], { parentProjectId: null }], path })),
    { args: [id, {}], path: 'parentProjectId' },
    { args: [id, { parentProjectId: 'root' }], path: 'parentProjectId' },
    ...options(id),
  ],
  'projects.ancestors': ids,
  'projects.delete': [...ids, ...options(id)],

  'environments.create': [
    ...ofProject.map(({ args: [input], path }) => ({ args: [{ ...(input as object), name: 'X' }], path })),
    ...environmentNames((name) => [{ projectId: id, name }], 'name'),
    ...descriptions((description) => [{ projectId: id, name: 'X', description }], 'description'),
    ...variables((given) => [{ projectId: id, name: 'X', variables: given }], 'variables'),
    { args: [{ projectId: id, name: 'X', expectedVersion: 1 }], path: '' },
    { args: [{ projectId: id, name: 'X', idempotencyKey: 'a\0' }], path: 'idempotencyKey' },
  ],
  'environments.get': refs(),
  'environments.getByName': [
    ...projectIds.map(({ args, path }) => ({ args: [args[0], 'X'], path })),
    ...environmentNames((name) => [id, name], 'name'),
  ],
  'environments.getDefault': projectIds,
  'environments.list': [...ofProject, ...pages({ projectId: id })],
  'environments.search': [
    ...ofProject,
    ...pages({ projectId: id }),
    { args: [{ projectId: id, name: '' }], path: 'name' },
    { args: [{ projectId: id, name: '\0' }], path: 'name' },
    { args: [{ projectId: id, name: '\ud800' }], path: 'name' },
    { args: [{ projectId: id, variableKey: 'a b' }], path: 'variableKey' },
  ],
  'environments.update': [
    ...refs({}),
    ...environmentNames((name) => [ref, { name }], 'name').slice(1),
    ...descriptions((description) => [ref, { description }], 'description'),
    ...options(ref),
  ],
  'environments.setVariables': [...refs({ variables: [] }), { args: [ref, {}], path: 'variables' }, ...options(ref)],
  'environments.patchVariables': [
    ...refs({}),
    { args: [ref, { unset: 'A' }], path: 'unset' },
    { args: [ref, { unset: ['A B'] }], path: 'unset[0]' },
    { args: [ref, { set: [{ key: 'A', value: '' }], unset: ['A'] }], path: 'set[0].key' },
    ...options(ref),
  ],
  'environments.makeDefault': [...refs(), ...options(ref)],
  'environments.duplicate': [
    ...refs({ name: 'X' }),
    ...environmentNames((name) => [ref, { name }], 'name'),
    ...options(ref),
  ],
  'environments.diff': [
    ...refs(ref).map(({ args, path }) => ({ args, path: path.replace('ref', 'refA') })),
    { args: [ref], path: 'refB' },
    { args: [ref, { projectId: id }], path: 'refB.id' },
  ],
  'environments.delete': [
    ...refs(),
    { args: [ref, { promote: id }], path: 'promote' },
    { args: [ref, { promote: { id } }], path: 'promote.projectId' },
    ...options(ref),
  ],
  'environments.stats': projectIds,
  'environments.reveal': [
    ...refs({ keys: ['A'] }),
    { args: [ref, {}], path: 'keys' },
    { args: [ref, { keys: [] }], path: 'keys' },
    { args: [ref, { keys: ['A B'] }], path: 'keys[0]' },
    { args: [ref], path: '' },
  ],
  'environments.resolve': [
    ...refs(),
    { args: [ref, { overrides: ['A'] }], path: 'overrides' },
    { args: [ref, { overrides: { A: 1 } }], path: 'overrides.A' },
    { args: [ref, { overrides: { A: '\0' } }], path: 'overrides.A' },
  ],
  'environments.render': [
    ...refs('x'),
    { args: [ref], path: 'template' },
    { args: [ref, 1], path: 'template' },
    { args: [ref, 'x', { missing: 'ignore' }], path: 'missing' },
    { args: [ref, 'x', { context: 'sql' }], path: 'context' },
    { args: [ref, 'x', { maxBytes: -1 }], path: 'maxBytes' },
    { args: [ref, 'x', { dynamic: { $now: 1 } }], path: 'dynamic.$now' },
    { args: [ref, 'x', { overrides: { A: null } }], path: 'overrides.A' },
  ],

  'journal.list': [
    ...pages({}),
    { args: [{ subject: 'x' }], path: 'subject' },
    { args: [{ subject: { type: 'project' } }], path: 'subject.id' },
    { args: [{ action: '' }], path: 'action' },
    { args: [{ action: '\0' }], path: 'action' },
    { args: [{ actor: { type: '', id: 'x' } }], path: 'actor.type' },
    { args: [{ from: '2025-01-01' }], path: 'from' },
    { args: [{ to: new Date(Number.NaN) }], path: 'to' },
    { args: [{ from: new Date('-000001-01-01T00:00:00Z') }], path: 'from' },
    { args: [{ to: new Date(8.64e15) }], path: 'to' },
  ],
  'journal.deliver': [
    { args: [], path: '' },
    { args: [{}], path: 'handler' },
    { args: [{ handler: 'x' }], path: 'handler' },
    { args: [{ handler: () => undefined, batch: 0 }], path: 'batch' },
    { args: [{ handler: () => undefined, batch: 1_001 }], path: 'batch' },
    { args: [{ handler: () => undefined, leaseMs: 999 }], path: 'leaseMs' },
    { args: [{ handler: () => undefined, maxAttempts: 0 }], path: 'maxAttempts' },
    { args: [{ handler: () => undefined, signal: {} }], path: 'signal' },
  ],
  'journal.listParked': pages({}),
  'journal.retryParked': ids,
  'journal.prune': [
    { args: [], path: '' },
    { args: [{}], path: 'before' },
    { args: [{ before: 0 }], path: 'before' },
    { args: [{ before: new Date(Number.NaN) }], path: 'before' },
    { args: [{ before: new Date(-8.64e15) }], path: 'before' },
    { args: [{ before: new Date(), undelivered: 'maybe' }], path: 'undelivered' },
  ],
  ...malformedEphemeralCalls,
  ...malformedBuildCalls,
  ...malformedDeploymentCalls,
  ...malformedPreviewCalls,
};
