import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { maximumManifestBytes, packerManifest } from '../../src/builds/manifest.ts';

const artifact = {
  name: 'base',
  builder_type: 'amazon-ebs',
  build_time: 1_700_000_000,
  files: null,
  artifact_id: 'eu-central-1:ami-0123',
  packer_run_uuid: 'run-1',
  custom_data: { git: 'abc' },
};
const manifest = { builds: [artifact], last_run_uuid: 'run-1' };

function issuesOf(given: unknown): readonly string[] {
  return (packerManifest.safeParse(given).error?.issues ?? []).map(({ path }) => path.join('.'));
}

describe('a manifest of Packer', () => {
  it('is read as text, with a byte order mark or without, and as what that parses to', () => {
    for (const given of [manifest, JSON.stringify(manifest), `\uFEFF${JSON.stringify(manifest, null, 2)}\r\n`]) {
      expect(packerManifest.parse(given)).toEqual(manifest);
    }
  });

  it('is a copy: what the caller does with its object later changes nothing', () => {
    const given = structuredClone(manifest);
    const read = packerManifest.parse(given);
    given.builds[0]!.name = 'changed';
    given.builds.push(artifact);
    expect(read).toEqual(manifest);
  });

  it('may leave out what Packer leaves out, and holds the builds of several runs', () => {
    const { build_time: _time, files: _files, custom_data: _data, ...small } = artifact;
    const runs = {
      builds: [
        { ...small, packer_run_uuid: 'run-0' },
        { ...small, artifact_id: '', name: '' },
      ],
      last_run_uuid: 'run-1',
    };
    expect(packerManifest.parse(runs)).toEqual(runs);
    expect(packerManifest.parse({ ...manifest, version: 1 })).toEqual({ ...manifest, version: 1 });
  });

  it('keeps whatever else is in it, at every level', () => {
    const anything = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 5 });
    fc.assert(
      fc.property(anything, anything, (outer, inner) => {
        const given = { ...outer, ...manifest, version: 1, builds: [{ ...inner, ...artifact }] };
        const text = JSON.stringify(given);
        const storable =
          !/\\u0000|\\ud[89a-f]|__proto__/i.test(text) &&
          !numbersOf(JSON.parse(text)).some((number) => Number.isInteger(number) && !Number.isSafeInteger(number));
        const parsed = packerManifest.safeParse(text);
        expect(parsed.success).toBe(storable);
        if (parsed.success) expect(parsed.data).toEqual(JSON.parse(text));
      }),
    );
  });

  it('is at most 262,144 bytes, counted in UTF-8', () => {
    const room = maximumManifestBytes - Buffer.byteLength(JSON.stringify({ ...manifest, padding: '' }));
    for (const [padding, fits] of [
      ['x'.repeat(room), true],
      ['x'.repeat(room + 1), false],
      ['語'.repeat(Math.floor(room / 3)), true],
      ['語'.repeat(Math.floor(room / 3) + 1), false],
    ] as const) {
      for (const given of [{ ...manifest, padding }, JSON.stringify({ ...manifest, padding })]) {
        expect([padding[0], packerManifest.safeParse(given).success]).toEqual([padding[0], fits]);
      }
    }
  });

  it('is refused for its size, unread, when it is enormous', () => {
    const given = `${'['.repeat(10_000_000)}${']'.repeat(10_000_000)}`;
    const { error } = packerManifest.safeParse(given);
    expect(error?.issues.map(({ message }) => message)).toEqual(['must have at most 262,144 bytes']);
  });

  it('that was cut off anywhere is refused', () => {
    const text = JSON.stringify(manifest);
    for (let length = 0; length < text.length; length++) {
      expect([length, issuesOf(text.slice(0, length))]).toEqual([length, ['']]);
    }
  });

  it.each([
    ['of an unknown version', { ...manifest, version: 2 }, 'version'],
    ['without builds', { last_run_uuid: 'run-1' }, 'builds'],
    ['with none', { ...manifest, builds: [] }, 'builds'],
    ['whose last run built nothing', { ...manifest, last_run_uuid: 'run-2' }, 'last_run_uuid'],
    [
      'with an artifact that is a number',
      { ...manifest, builds: [artifact, { ...artifact, artifact_id: 1 }] },
      'builds.1.artifact_id',
    ],
    [
      'with a file without a size',
      { ...manifest, builds: [{ ...artifact, files: [{ name: 'disk' }] }] },
      'builds.0.files.0.size',
    ],
    ['with a number that nobody can hold', `{"huge":1e400,${JSON.stringify(manifest).slice(1)}`, 'huge'],
    ['with a key that a copy would lose', `{"__proto__":{},${JSON.stringify(manifest).slice(1)}`, ''],
    ['that is no object', [manifest], ''],
    ['that is of a class', new (class Manifest {})(), ''],
  ])('%s is refused, and the place named', (_what, given, path) => {
    expect(issuesOf(given)).toContain(path);
  });

  it('that cannot be read is refused, and does not throw', () => {
    const thrower = () => {
      throw new Error('no');
    };
    const circle: Record<string, unknown> = { ...manifest };
    circle['circle'] = circle;
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const given of [
      Object.defineProperty({ ...manifest }, 'builds', { enumerable: true, get: thrower }),
      new Proxy(manifest, { ownKeys: thrower }),
      proxy,
      circle,
      { ...manifest, toJSON: thrower },
    ]) {
      expect(issuesOf(given)).toHaveLength(1);
    }
  });
});

function numbersOf(value: unknown): readonly number[] {
  if (typeof value === 'number') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersOf) : [];
}
