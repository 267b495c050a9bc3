import type { Method } from '@vivarium/core';

import {
  descriptions,
  id,
  ids,
  made,
  missing,
  names,
  pages,
  versioned,
  within,
  wrongIds,
} from './malformed-arguments.ts';
import type { MalformedCall } from './malformed-calls.ts';

const states = [undefined, null, -1, 101, 1.5, '5', Number.NaN];
const messages = [undefined, null, 1, '', ' \n', 'x'.repeat(2_001), 'a\0b', '\ud800'];
const times = [1, '2024-01-01', new Date(Number.NaN), new Date('-000001-01-01T00:00:00Z'), new Date(8.64e15)];
const versions = [-1, 1.5, '8', 1_000_001];
const statuses = [null, '', 'started', 'constructor', ['running']];

/** Positions that a database would stumble over. */
const placesInTime = [
  null,
  { createdAt: 'yesterday', id },
  { createdAt: '2024-02-30T00:00:00.000Z', id },
  { createdAt: '0000-01-01T00:00:00.000Z', id },
  { createdAt: '2024-01-01T00:00:00.000Z', id: "'; --" },
  { createdAt: '2024-01-01T00:00:00.000Z' },
];

/** Objects that no storage gives back as they were. */
const unstorable: readonly (readonly [unknown, string])[] = [
  ['text', ''],
  [['list'], ''],
  [new Map(), ''],
  [{ a: 'a\0' }, '.a'],
  [{ a: ['\ud800'] }, '.a[0]'],
  [{ 'a\0': 1 }, ''],
  [{ a: undefined }, '.a'],
  [{ a: 1n }, '.a'],
  [{ a: new Date(0) }, '.a'],
  [{ a: Number.NaN }, '.a'],
  [{ a: 2 ** 60 }, '.a'],
  [{ a: () => 1 }, '.a'],
  [{ a: JSON.parse('{"__proto__": {"polluted": true}}') }, '.a'],
  [nested(70), ''],
];

function nested(levels: number): unknown {
  return levels === 0 ? {} : { a: nested(levels - 1) };
}

type Fields = Readonly<Record<string, readonly unknown[]>>;
const fields: Readonly<Record<'platforms' | 'osVersions' | 'imageTypes', Fields>> = {
  platforms: { cloudProvider: names, region: names },
  osVersions: { osFamily: names, majorVersion: versions, minorVersion: versions },
  imageTypes: { description: descriptions },
};
const entry: Readonly<Record<keyof typeof fields, object>> = {
  platforms: { name: 'aws', cloudProvider: 'aws' },
  osVersions: { name: 'rhel-8', osFamily: 'rhel', majorVersion: 8 },
  imageTypes: { name: 'base' },
};

type CatalogMethod = 'create' | 'get' | 'getByName' | 'list' | 'update' | 'delete';

function catalog<L extends keyof typeof fields>(list: L) {
  const whole = entry[list];
  const wrong = (input: object, ...before: readonly unknown[]) => [
    ...within(input, 'name', names, ...before),
    ...within(input, 'displayName', names, ...before),
    ...Object.entries(fields[list]).flatMap(([field, values]) => within(input, field, values, ...before)),
  ];
  const required = Object.keys(whole);
  const calls: Record<CatalogMethod, readonly MalformedCall[]> = {
    create: [...wrong(whole), ...required.flatMap((field) => within(whole, field, missing)), ...made(whole)],
    get: ids(),
    getByName: [...missing, ...names].map((name) => ({ args: [name], path: 'name' })),
    list: pages({}, `builds.catalog.${list}`, [null, 1, 'a\0b', '\ud800', { name: 'a' }]),
    update: [
      ...ids({}),
      ...wrong({}, id),
      ...required.flatMap((field) => within({}, field, [null], id)),
      ...versioned({}, id),
      { args: [id], path: '' },
    ],
    delete: [...ids(), ...versioned({}, id)],
  };
  return Object.fromEntries(
    Object.entries(calls).map(([name, malformed]) => [`builds.catalog.${list}.${name}`, malformed]),
  ) as unknown as Readonly<Record<`builds.catalog.${L}.${CatalogMethod}`, readonly MalformedCall[]>>;
}

const references = { buildNumber: 'b-1', platformId: id, osVersionId: id, imageTypeId: id };
const wrongReferences = (input: object) => [
  ...within(input, 'buildNumber', [...missing, ...names]),
  ...within(input, 'projectId', wrongIds),
  ...['platformId', 'osVersionId', 'imageTypeId'].flatMap((field) => within(input, field, [...missing, ...wrongIds])),
  ...within(input, 'heartbeatTimeoutMs', [null, 0, 999, 604_800_001, 1_000.5, '5000']),
];

const attempt = { state: 0, status: 'completed', startTime: new Date(1), endTime: new Date(2) };
const failed = { state: 0, failureType: 'x', errorMessage: 'x', createdAt: new Date(2) };
const history = { ...references, status: 'running', createdAt: new Date(0), states: [attempt] };
const inAttempt = (field: string, values: readonly unknown[]) =>
  values.map((value) => ({
    args: [{ ...history, states: [attempt, { ...attempt, [field]: value }] }],
    path: `states[1].${field}`,
  }));
const inFailure = (field: string, values: readonly unknown[]) =>
  values.map((value) => ({
    args: [{ ...history, failures: [{ ...failed, [field]: value }] }],
    path: `failures[0].${field}`,
  }));

const failure = { failureType: 'x', errorMessage: 'x' };
const about = (input: object) =>
  ['projectId', 'platformId', 'osVersionId', 'imageTypeId'].flatMap((field) =>
    within(input, field, [null, ...wrongIds]),
  );

const run = 'run-1';
const artifact = { name: 'a', builder_type: 'amazon-ebs', artifact_id: 'eu:ami-1', packer_run_uuid: run };
const manifest = { builds: [artifact], last_run_uuid: run };
/** Manifests that are refused, and the place that is named. */
export const malformedManifests: readonly (readonly [unknown, string])[] = [
  [undefined, 'manifest'],
  [null, 'manifest'],
  [1, 'manifest'],
  [[manifest], 'manifest'],
  ['', 'manifest'],
  ['null', 'manifest'],
  ['[]', 'manifest'],
  ['"builds"', 'manifest'],
  [JSON.stringify(manifest).slice(0, -1), 'manifest'],
  [JSON.stringify(manifest).slice(0, 40), 'manifest'],
  [`${JSON.stringify(manifest)}}`, 'manifest'],
  ['['.repeat(100_000), 'manifest'],
  [`{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`, 'manifest'],
  ['x'.repeat(20_000_000), 'manifest'],
  [JSON.stringify({ ...manifest, padding: 'x'.repeat(20_000_000) }), 'manifest'],
  [{ ...manifest, padding: 'x'.repeat(20_000_000) }, 'manifest'],
  [{ ...manifest, padding: '語'.repeat(100_000) }, 'manifest'],
  [{}, 'manifest.builds'],
  [{ ...manifest, builds: null }, 'manifest.builds'],
  [{ ...manifest, builds: [] }, 'manifest.builds'],
  [{ ...manifest, builds: [null] }, 'manifest.builds[0]'],
  [{ ...manifest, builds: [artifact, { ...artifact, name: 1 }] }, 'manifest.builds[1].name'],
  [{ ...manifest, builds: [{ ...artifact, builder_type: '' }] }, 'manifest.builds[0].builder_type'],
  [{ ...manifest, builds: [{ ...artifact, artifact_id: null }] }, 'manifest.builds[0].artifact_id'],
  [{ ...manifest, builds: [{ ...artifact, packer_run_uuid: '' }] }, 'manifest.builds[0].packer_run_uuid'],
  [{ ...manifest, builds: [{ ...artifact, build_time: '1700000000' }] }, 'manifest.builds[0].build_time'],
  [{ ...manifest, builds: [{ ...artifact, build_time: -1 }] }, 'manifest.builds[0].build_time'],
  [{ ...manifest, builds: [{ ...artifact, files: {} }] }, 'manifest.builds[0].files'],
  [{ ...manifest, builds: [{ ...artifact, files: [{ name: 'a' }] }] }, 'manifest.builds[0].files[0].size'],
  [{ ...manifest, builds: [{ ...artifact, custom_data: { a: 1 } }] }, 'manifest.builds[0].custom_data.a'],
  [{ builds: [artifact] }, 'manifest.last_run_uuid'],
  [{ ...manifest, last_run_uuid: 'another run' }, 'manifest.last_run_uuid'],
  [{ ...manifest, version: 2 }, 'manifest.version'],
  [{ ...manifest, version: '1' }, 'manifest.version'],
  [{ ...manifest, version: null }, 'manifest.version'],
  [JSON.stringify(manifest).replace('{', '{"__proto__":{"polluted":true},'), 'manifest'],
  [JSON.stringify(manifest).replace('"name"', '"__proto__":[],"name"'), 'manifest.builds[0]'],
  [JSON.stringify(manifest).replace('{', '{"huge":1e400,'), 'manifest.huge'],
  [JSON.stringify(manifest).replace('{', '{"huge":123456789012345678901234567890,'), 'manifest.huge'],
  [JSON.stringify(manifest).replace('{', '{"text":"\\u0000",'), 'manifest.text'],
  [JSON.stringify(manifest).replace('{', '{"text":"\\ud800",'), 'manifest.text'],
  ...unstorable.slice(3, -1).map(([value, at]) => [{ ...manifest, extra: value }, `manifest.extra${at}`] as const),
  [{ ...manifest, extra: nested(70) }, 'manifest'],
  [
    Object.defineProperty({ ...manifest }, 'extra', {
      enumerable: true,
      get() {
        throw new Error('no');
      },
    }),
    'manifest',
  ],
];

/** Of each method of builds, calls that are malformed in every one of its arguments. */
export const malformedBuildCalls: Readonly<Record<Extract<Method, `builds.${string}`>, readonly MalformedCall[]>> = {
  ...catalog('platforms'),
  ...catalog('osVersions'),
  ...catalog('imageTypes'),
  'builds.milestonePlans.define': [
    ...within({ milestones: [100] }, 'projectId', [...missing, ...wrongIds]),
    ...within({ projectId: id }, 'milestones', [
      ...missing,
      '0,100',
      [],
      [0, 50],
      Array.from({ length: 102 }, (_, state) => state),
    ]),
    ...[
      [5, 5, 100],
      [5, { state: 5, name: 'again' }, 100],
    ].map((milestones) => ({
      args: [{ projectId: id, milestones }],
      path: 'milestones[1]',
    })),
    ...(
      [
        [101, ''],
        [-1, ''],
        [1.5, ''],
        ['50', ''],
        [null, ''],
        [{ state: 101 }, '.state'],
        [{ name: 'x' }, ''],
        [{ state: 5, name: '' }, '.name'],
        [{ state: 5, unknown: 1 }, ''],
      ] as const
    ).map(([one, at]) => ({ args: [{ projectId: id, milestones: [one, 100] }], path: `milestones[0]${at}` })),
    ...made({ projectId: id, milestones: [100] }),
  ],
  'builds.milestonePlans.get': [
    ...within({}, 'projectId', [...missing, ...wrongIds]),
    ...within({ projectId: id }, 'version', [null, -1, 1.5, '1', 2 ** 31, 2 ** 53]),
    { args: [], path: '' },
    { args: [id], path: '' },
    { args: [{ projectId: id, unknown: 1 }], path: '' },
  ],
  'builds.start': [...wrongReferences(references), ...made(references)],
  'builds.import': [
    ...wrongReferences(history),
    ...within(history, 'status', [undefined, ...statuses]),
    ...within(history, 'createdAt', [...missing, ...times]),
    ...within(history, 'endTime', times),
    ...within(history, 'states', [...missing, 'x', {}, Array.from({ length: 1_001 }, () => attempt)]),
    ...within(history, 'failures', [null, 'x', {}, Array.from({ length: 1_001 }, () => failed)]),
    ...inAttempt('state', states),
    ...inAttempt('status', [undefined, null, '', 'pending', 'running']),
    ...inAttempt('startTime', [...missing, ...times]),
    ...inAttempt('endTime', times),
    ...inAttempt('errorMessage', [1, 'x'.repeat(2_001), 'a\0', '\ud800']),
    ...inAttempt('retryCount', [null, -1, 1.5, '0', 1_001]),
    { args: [{ ...history, states: [{ ...attempt, unknown: 1 }] }], path: 'states[0]' },
    ...inFailure('state', states),
    ...inFailure('retryAttempt', [null, -1, 1.5, '0', 1_001]),
    ...inFailure('failureType', [...missing, ...names]),
    ...inFailure('errorMessage', messages),
    ...inFailure('component', names),
    ...inFailure('createdAt', [...missing, ...times]),
    ...inFailure('resolved', [null, 1, 'yes']),
    ...inFailure('resolutionNotes', [1, 'x'.repeat(2_001), 'a\0']),
    ...inFailure('resolvedAt', times),
    ...unstorable.map(([errorDetails, at]) => ({
      args: [{ ...history, failures: [{ ...failed, errorDetails }] }],
      path: `failures[0].errorDetails${at}`,
    })),
    ...made(history),
  ],
  'builds.cancel': [...ids(), ...versioned({}, id)],
  'builds.resume': [...ids(), ...versioned({}, id)],
  'builds.planResume': ids(),
  'builds.heartbeat': ids(),
  'builds.states.enter': [
    ...ids({ state: 0 }),
    ...within({}, 'state', states, id),
    ...versioned({ state: 0 }, id),
    { args: [id], path: '' },
  ],
  'builds.states.complete': [
    ...ids({ state: 0 }),
    ...within({}, 'state', states, id),
    ...versioned({ state: 0 }, id),
    { args: [id], path: '' },
  ],
  'builds.states.fail': [
    ...ids(failure),
    ...within(failure, 'state', states.slice(1), id),
    ...within(failure, 'failureType', [...missing, ...names], id),
    ...within(failure, 'errorMessage', messages, id),
    ...within(failure, 'component', names, id),
    ...unstorable.map(([errorDetails, at]) => ({
      args: [id, { ...failure, errorDetails }],
      path: `errorDetails${at}`,
    })),
    ...within(failure, 'errorDetails', [{ text: 'x'.repeat(4_096) }], id),
    ...versioned(failure, id),
    { args: [id], path: '' },
  ],
  'builds.get': ids(),
  'builds.getByNumber': [...missing, ...names].map((number) => ({ args: [number], path: 'buildNumber' })),
  'builds.list': [...about({}), ...within({}, 'status', statuses), ...pages({}, 'builds', placesInTime)],
  'builds.listStates': [...ids(), ...pages({}, 'builds.states', [null, 0, -1, 1.5, 2 ** 40, '1'], id)],
  'builds.listFailures': [
    ...within({}, 'buildId', [null, ...wrongIds]),
    ...within({}, 'resolved', [null, 1, 'yes']),
    ...within({}, 'failureType', [null, ...names]),
    ...within({}, 'component', [null, ...names]),
    ...pages({}, 'builds.failures', placesInTime),
  ],
  'builds.resolveFailure': [...ids({ notes: 'x' }), ...within({}, 'notes', messages, id), ...made({ notes: 'x' }, id)],
  'builds.attachPackerManifest': [
    ...ids(manifest),
    ...malformedManifests.map(([given, path]) => ({ args: [id, given], path })),
    ...versioned({}, id, manifest),
  ],
  'builds.stats': [
    ...about({}),
    ...within({}, 'from', [null, ...times]),
    ...within({}, 'to', [null, ...times]),
    { args: [{ from: new Date(2), to: new Date(1) }], path: 'to' },
    { args: [null], path: '' },
    { args: [{ status: 'failed' }], path: '' },
  ],
  'builds.sweep': [
    ...within({}, 'limit', [0, 1_001, 1.5, '1', null]),
    ...within({}, 'dryRun', [1, 'yes', null]),
    { args: [null], path: '' },
    { args: [{ unknown: 1 }], path: '' },
  ],
};
