import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { JournalEntry } from '@vivarium/core/storage';

import * as keys from '../src/keys.ts';
import type { Key } from '../src/keys.ts';

/** Texts made to run into what stands beside them. */
const nasty = fc
  .array(
    fc.constantFrom(
      '#',
      '%',
      '%23',
      '%25',
      'P',
      'E',
      'J',
      '\u0001',
      '\u007f',
      '$',
      '~',
      '!',
      '\u{1f331}',
      'İ',
      'a',
      ' ',
    ),
    {
      minLength: 1,
      maxLength: 6,
    },
  )
  .map((parts) => parts.join(''));

const entry = (orgId: string, a: string, b: string): JournalEntry => ({
  id: b,
  orgId,
  subject: { type: a, id: b },
  stream: a,
  sequence: 7,
  action: 'x',
  actor: { type: 't', id: 'i' },
  at: new Date(0),
  data: {},
});

const createdAt = new Date(0);

/** Every kind of key, made from an org and two texts of a caller's choice. */
const kinds: Record<string, (org: string, a: string, b: string) => Key> = {
  project: (org, a) => keys.projectKey(org, a),
  environment: keys.environmentKey,
  variables: keys.variablesKey,
  environmentName: keys.environmentNameKey,
  projectName: (org, a) => keys.projectNameKey(org, a),
  sibling: keys.siblingKey,
  root: (org, a) => keys.siblingKey(org, null, a),
  tree: keys.treeKey,
  erasure: (org, a) => keys.erasureKey(org, a),
  idempotency: (org, a) => keys.idempotencyKey(org, a),
  entry: (org, a, b) => keys.entryKey(entry(org, a, b)),
  queued: (org, a, b) => keys.queuedKey(entry(org, a, b)),
  lease: (org) => keys.leaseKey(org, 5),
  parked: (org, a, b) => keys.parkedKey(entry(org, a, b)),
  parkedId: (org, a) => keys.parkedIdKey(org, a),
  type: (org, a) => keys.typeKey(org, a),
  typeParts: (org, a) => keys.typePartsKey(org, a),
  typeName: (org, a) => keys.typeNameKey(org, a),
  member: keys.memberKey,
  ended: (org, a, b) => keys.endedKey(org, 't', a, b),
  instance: (org, a) => keys.instanceKey(org, a),
  history: (org, a) => keys.historyKey(org, a, 7),
  live: (org, a) => keys.liveKey(org, a),
  stateChange: (org, a) => keys.stateChangeKey(org, a),
  secret: keys.secretKey,
  instanceErasure: (org, a) => keys.instanceErasureKey(org, a),
  dataKeyOfProject: (org, a) => keys.dataKeyKey(org, { type: 'project', id: a }, 1),
  dataKeyOfType: (org, a) => keys.dataKeyKey(org, { type: 'environment_type', id: a }, 1),
  dataKeyOfApp: (org, a) => keys.dataKeyKey(org, { type: 'app', id: a }, 1),
  dataKeyId: (org, a) => keys.dataKeyIdKey(org, a),
  catalogEntry: (org, a) => keys.catalogEntryKey(org, 'platform', a),
  entryName: (org, a) => keys.catalogNameKey(org, 'image_type', a),
  plan: (org, a) => keys.planKey(org, a, 1),
  build: (org, a) => keys.buildKey(org, a),
  attempt: (org, a) => keys.attemptKey(org, a, 1),
  manifest: (org, a) => keys.manifestKey(org, a),
  buildNumber: (org, a) => keys.buildNumberKey(org, a),
  listedBuild: (org, a) => keys.listedBuildKey(org, { createdAt, id: a }),
  projectBuild: (org, a, b) => keys.projectBuildKey(org, a, { createdAt, id: b }),
  runningBuild: (org, a) => keys.runningBuildKey(org, a),
  failure: (org, a) => keys.failureKey(org, a),
  listedFailure: (org, a) => keys.listedFailureKey(org, { createdAt, id: a }),
  failureOfBuild: (org, a, b) => keys.failureOfBuildKey(org, { createdAt, id: a }, { createdAt, id: b }),
  import: (org, a) => keys.importKey(org, a),
  repo: (org, a) => keys.repoKey(org, a),
  repoName: keys.repoNameKey,
  app: (org, a) => keys.appKey(org, a),
  appOfProject: keys.projectAppKey,
  appOfRepo: keys.repoAppKey,
  listedApp: (org, a, b) => keys.listedAppKey(org, { name: a.replace(/\p{Cc}/gu, ''), id: b }),
  projectEnvironment: (org, a) => keys.projectEnvironmentKey(org, a),
  placeInProject: (org, a, b) => keys.placeInProject(org, { projectId: 'p', environment: a, repoId: b }),
  placeInRepo: (org, a, b) => keys.placeInRepo(org, { repoId: 'r', environment: a, projectId: b }),
  placeOnBranch: (org, a, b) =>
    keys.placeOnBranch(org, a, { repoId: 'r', projectId: 'p', environment: 'staging', id: b }),
  deployment: (org, a) => keys.deploymentKey(org, a, 7),
  deploymentId: (org, a) => keys.deploymentIdKey(org, a),
  openDeployment: (org, a) => keys.openDeploymentKey(org, a),
  repoErasure: (org, a) => keys.repoErasureKey(org, a),
  historyErasure: (org, a) => keys.historyErasureKey(org, a),
  preview: (org, a) => keys.previewKey(org, a),
  previewStep: (org, a) => keys.previewStepKey(org, a, 7, 'comment'),
  listedPreview: (org, a, b) => keys.listedPreviewKey(org, a, { createdAt, id: b }),
  upPreview: (org, a) => keys.upPreviewKey(org, a),
  message: (org, a) => keys.messageKey(org, a),
  delivery: (org, a) => keys.deliveryKey(org, a),
  appSecret: (org, a, b) => keys.appSecretKey(org, a, 'preview', b),
  appErasure: (org, a) => keys.appErasureKey(org, a),
};
const kind = fc.constantFrom(...Object.keys(kinds));

describe('keys', () => {
  test('two things have two keys, whatever they are called', () => {
    fc.assert(
      fc.property(kind, kind, fc.tuple(nasty, nasty, nasty), fc.tuple(nasty, nasty, nasty), (one, other, x, y) => {
        const a = kinds[one]!(...x);
        const b = kinds[other]!(...y);
        if (a.pk !== b.pk || a.sk !== b.sk) return;
        expect(one).toBe(other);
        // What the kind does not use may differ; what it uses must not.
        expect(kinds[one]!(x[0], y[1], y[2])).toEqual(a);
        expect(x[0]).toBe(y[0]);
      }),
      { numRuns: 20_000 },
    );
  });

  test('no partition holds things of two orgs', () => {
    fc.assert(
      fc.property(kind, kind, nasty, nasty, nasty, nasty, (one, other, orgA, orgB, a, b) => {
        fc.pre(orgA !== orgB);
        expect(kinds[one]!(orgA, a, b).pk).not.toBe(kinds[other]!(orgB, a, b).pk);
        expect(kinds[one]!(orgA, a, b).pk.startsWith('#')).toBe(false);
      }),
      { numRuns: 5_000 },
    );
  });

  test('the parts of a key are read back as they were', () => {
    fc.assert(
      fc.property(nasty, nasty, nasty, (org, type, id) => {
        expect(keys.partsOf(keys.subjectPartition(org, { type, id }))).toEqual([org, 'J', type, id]);
      }),
    );
  });

  test('the list of environments spans the project and its environments and nothing else', () => {
    const { from, to } = keys.environmentSpan('o', 'p');
    const inside = (sk: string) => sk >= from && sk <= to;
    expect(inside(keys.projectKey('o', 'p').sk)).toBe(true);
    expect(inside(keys.environmentKey('o', 'p', '~~~').sk)).toBe(true);
    expect(inside(keys.variablesKey('o', 'p', '!').sk)).toBe(false);
    expect(inside(keys.environmentNameKey('o', 'p', '!').sk)).toBe(false);
    expect(inside(keys.dataKeyKey('o', { type: 'project', id: 'p' }, 1).sk)).toBe(false);
    const place = { projectId: 'p', repoId: '!', environment: '!' };
    for (const { pk, sk } of [keys.projectAppKey('o', 'p', '!'), keys.placeInProject('o', place)]) {
      expect([pk, inside(sk), sk > keys.variablesSpan('o', 'p').to]).toEqual([
        keys.projectPartition('o', 'p'),
        false,
        true,
      ]);
    }
  });

  test('members have their names back, and those that have ended sort by name, then id', () => {
    fc.assert(
      fc.property(nasty, nasty, nasty, (name, id, after) => {
        expect(keys.nameKeyOfMember(keys.memberKey('o', 't', name).sk)).toBe(name);
        expect(keys.nameKeyOfMember(keys.endedKey('o', 't', name, id).sk)).toBe(name);
        const position = { nameKey: name, id: after };
        for (const [span, key] of [
          [keys.memberSpan('o', 't', null), keys.memberKey('o', 't', name)],
          [keys.memberSpan('o', 't', position), keys.memberKey('o', 't', name)],
          [keys.endedSpan('o', 't', null), keys.endedKey('o', 't', name, id)],
          [keys.endedSpan('o', 't', position), keys.endedKey('o', 't', name, after)],
        ] as const) {
          expect([key.pk, key.sk >= span.from, key.sk < span.to]).toEqual([span.pk, true, true]);
        }
      }),
    );
    const sorted = [
      ['a', '1'],
      ['a', '2'],
      ['a b', '0'],
      ['a#', '0'],
      ['b', '0'],
    ].map(([name, id]) => keys.endedKey('o', 't', name!, id!).sk);
    expect([...sorted].sort()).toEqual(sorted);
  });

  test('the changes of an instance stand behind it, the newest first', () => {
    const { pk, from, to } = keys.historySpan('o', 'i');
    const sks = [keys.instanceKey('o', 'i'), ...[1_000, 10, 9, 1].map((n) => keys.historyKey('o', 'i', n))].map(
      (key) => {
        expect(key.pk).toBe(pk);
        return key.sk;
      },
    );
    expect([...sks].sort()).toEqual(sks);
    expect(sks[0]! >= from && sks.at(-1)! <= to).toBe(true);
    expect(sks.slice(1).map(keys.sequenceOfHistory)).toEqual([1_000, 10, 9, 1]);
  });

  test('nothing else in a project stands among its environments and their variables', () => {
    const { pk, from, to } = keys.variablesSpan('o', 'p');
    const others = [
      keys.environmentNameKey('o', 'p', '!'),
      keys.dataKeyKey('o', { type: 'project', id: 'p' }, 1),
      keys.planKey('o', 'p', 1),
      keys.projectBuildKey('o', 'p', { createdAt, id: 'b' }),
    ];
    for (const key of others) expect([key.pk, key.sk > to || key.sk < from]).toEqual([pk, true]);
  });

  test('the history of a build stands behind it in its order, and before its manifest', () => {
    const { pk, from, to } = keys.attemptSpan('o', 'b', null);
    const sks = [keys.buildKey('o', 'b'), ...[1, 9, 10, 1_000].map((n) => keys.attemptKey('o', 'b', n))].map((key) => {
      expect(key.pk).toBe(pk);
      return key.sk;
    });
    expect([...sks].sort()).toEqual(sks);
    expect([sks[0]! >= from, sks.at(-1)! <= to, keys.manifestKey('o', 'b').sk > to]).toEqual([true, true, true]);
    expect(keys.attemptSpan('o', 'b', 9).from).toBe(sks[3]);
  });

  test('builds stand by time, then id; their failures stand in the same order, each span by itself', () => {
    const ids = ['01', '02'];
    const times = [Date.UTC(1000, 0), 0, 1, Date.UTC(9999, 11, 31, 23, 59, 59, 999)].map((at) => new Date(at));
    const builds = times.flatMap((at) => ids.map((id) => ({ createdAt: at, id })));
    const places = builds.map((build) => keys.listedBuildKey('o', build).sk);
    expect([...places].sort()).toEqual(places);
    expect(places.map(keys.positionIn)).toEqual(builds);
    expect(places.every((sk) => sk > keys.firstPlace && sk < keys.lastPlace)).toBe(true);
    for (const first of builds) {
      for (const last of builds) {
        const { from, to } = keys.failuresOfBuilds('o', first, last);
        const inside = builds.filter((build) => {
          const { sk } = keys.failureOfBuildKey('o', build, { createdAt, id: 'f' });
          return sk >= from && sk <= to;
        });
        expect(inside).toEqual(builds.slice(builds.indexOf(first), builds.indexOf(last) + 1));
      }
    }
  });

  test('places of environments sort by name, those on a branch stand together, and deployments come newest first behind their environment', () => {
    const place = (environment: string, repoId: string) =>
      keys.placeInProject('o', { projectId: 'p', environment, repoId }).sk;
    const byName = [
      place('a', '~'),
      place('a-', '!'),
      place('a.b', '!'),
      place('a/b', '!'),
      place('a0', '!'),
      place('b', '!'),
    ];
    expect([...byName].sort()).toEqual(byName);
    fc.assert(
      fc.property(nasty, nasty, nasty, (branch, other, id) => {
        const { sk } = keys.placeOnBranch('o', branch, { projectId: 'p', repoId: 'r', environment: 'staging', id });
        expect(sk.startsWith(keys.placesOnBranch(branch))).toBe(true);
        expect(sk < keys.behind(keys.placesOnBranch(branch))).toBe(true);
        expect(sk.startsWith(keys.placesOnBranch(other))).toBe(branch === other);
      }),
    );
    const { from, to } = keys.deploymentSpan('o', 'e', null);
    const newestFirst = [1_000, 10, 9, 1].map((sequence) => keys.deploymentKey('o', 'e', sequence).sk);
    const all = [keys.projectEnvironmentKey('o', 'e').sk, ...newestFirst];
    expect([...all].sort()).toEqual(all);
    expect(all[0]! >= from && all.at(-1)! <= to).toBe(true);
    expect(newestFirst.filter((sk) => sk >= keys.deploymentSpan('o', 'e', 10).from)).toEqual(newestFirst.slice(2));
  });

  test('what is left of an environment is all but its own record, and each step of a run has a place', () => {
    const { from, to } = keys.environmentRestSpan('o', 'e');
    const steps = (['comment', 'runtime'] as const).flatMap((step) =>
      [1, 10].map((generation) => keys.previewStepKey('o', 'e', generation, step).sk),
    );
    const rest = [keys.deploymentKey('o', 'e', 1).sk, keys.deploymentKey('o', 'e', 1_000).sk, ...steps];
    for (const sk of rest) expect(sk >= from && sk <= to).toBe(true);
    expect(new Set(steps).size).toBe(4);
    expect(rest.map(keys.isDeploymentKey)).toEqual([true, true, false, false, false, false]);
    expect(keys.projectEnvironmentKey('o', 'e').sk < from).toBe(true);
    // Whoever reads deployments does not read the preview.
    const history = keys.deploymentSpan('o', 'e', null);
    expect(keys.previewKey('o', 'e').sk > history.to).toBe(true);
  });

  test('the secrets of a type stand together', () => {
    fc.assert(
      fc.property(fc.constantFrom('preview', 'production'), fc.stringMatching(/^[A-Za-z0-9_-]{1,9}$/), (type, name) => {
        const { sk } = keys.appSecretKey('o', 'a', type, name);
        const spans = (['preview', 'production'] as const).map((one) => keys.appSecretSpan('o', 'a', one));
        expect(spans.map(({ from, to }) => sk > from && sk < to)).toEqual([type === 'preview', type === 'production']);
      }),
    );
  });

  test('behind a prefix is behind every key that begins with it', () => {
    fc.assert(
      fc.property(nasty, nasty, (a, b) => {
        const { sk } = keys.queuedKey(entry('o', a, b));
        for (const prefix of [keys.streamPrefix(sk), keys.lanePrefix(keys.laneOfQueued(sk))]) {
          expect(sk.startsWith(prefix)).toBe(true);
          expect(keys.behind(prefix) > sk).toBe(true);
        }
      }),
    );
  });
});
