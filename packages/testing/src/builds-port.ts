import { randomUUID } from 'node:crypto';
import { unwrap } from '@vivarium/core';
import type { BuildFailure, Change, KeyWrite, StoredBuild, StoredBuildState } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { tally, together } from './answers.ts';
import { makeReferences } from './builds-making.ts';
import { entering, failing, failureOf, pendingBuild, planOf, platformNamed, storedIn } from './builds-stored.ts';
import { afterMs, changeIn, made, newKey } from './ephemeral-making.ts';
import type { Suite } from './suite.ts';

const done = { done: true };
const refused = (by: string) => ({ done: false, refused: by });
const first = { limit: 100, after: null };

/** The ports of the catalog and of builds, asked without the services in front of them: each method by its contract, then what holds among many. */
export function testBuildsPort(suite: Suite): void {
  const builds = () => suite.harness.storage.builds;
  const catalog = () => suite.harness.storage.catalog;
  const kind = 'platform' as const;

  describe('the port of the catalog', () => {
    test('an entry is read back as it was written, by id and by name, in its own org', async () => {
      const [org, other] = [suite.newOrg(), suite.newOrg()];
      const wide = '𐐨'.repeat(100);
      const entry = platformNamed(wide, { displayName: ' "🧪"\\', region: 'eu', nameKey: '語'.repeat(300) });
      const key = newKey();
      expect(await unwrap(catalog().create({ kind, entry, change: changeIn(org, key) }))).toEqual(done);
      expect(await unwrap(catalog().get(org, kind, entry.id))).toEqual({ found: entry, key: null });
      const kept = await unwrap(catalog().get(org, kind, entry.id, key.id));
      expect(kept).toEqual({
        found: entry,
        key: { fingerprint: 'print', result: { id: 'made' }, expiresAt: key.expiresAt },
      });
      expect(await unwrap(catalog().getByName(org, kind, entry.nameKey))).toEqual(entry);
      expect(await unwrap(catalog().getByName(org, kind, wide))).toBe(null);
      expect(await unwrap(catalog().get(other, kind, entry.id))).toEqual({ found: null, key: null });
      expect(await unwrap(catalog().get(org, 'os_version', entry.id))).toMatchObject({ found: null });
      expect(await unwrap(catalog().getByName(other, kind, entry.nameKey))).toBe(null);
      expect(await unwrap(catalog().list(other, kind, first))).toEqual({ items: [], more: false });
    });

    test('OS versions and image types keep their own fields', async () => {
      const org = suite.newOrg();
      const { cloudProvider: _cloudProvider, region: _region, ...common } = platformNamed('x');
      const osVersion = { ...common, osFamily: 'rhel', majorVersion: 1_000_000, minorVersion: null };
      const imageType = { ...common, id: randomUUID(), description: '' };
      expect(await unwrap(catalog().create({ kind: 'os_version', entry: osVersion, change: changeIn(org) }))).toEqual(
        done,
      );
      expect(await unwrap(catalog().create({ kind: 'image_type', entry: imageType, change: changeIn(org) }))).toEqual(
        done,
      );
      expect((await unwrap(catalog().get(org, 'os_version', osVersion.id))).found).toEqual(osVersion);
      expect((await unwrap(catalog().get(org, 'image_type', imageType.id))).found).toEqual(imageType);
      expect(await unwrap(catalog().list(org, 'image_type', first))).toEqual({ items: [imageType], more: false });
    });

    test('refusals are said in the order of the port, and nothing is written', async () => {
      const org = suite.newOrg();
      const [one, two] = [platformNamed('one'), platformNamed('two')];
      for (const entry of [one, two]) await unwrap(catalog().create({ kind, entry, change: changeIn(org) }));
      const entries = await suite.harness.raw.count('journal', org);
      const put = (entry: typeof one, expectedVersion: number, previousNameKey = entry.nameKey) =>
        unwrap(
          catalog().update({
            kind,
            entry: { ...entry, version: expectedVersion + 1 },
            previousNameKey,
            expectedVersion,
            change: changeIn(org, newKey()),
          }),
        );
      const remove = (entry: typeof one) => unwrap(catalog().delete({ kind, entry, change: changeIn(org, newKey()) }));
      const nowhere = platformNamed('nowhere');

      expect(
        await unwrap(catalog().create({ kind, entry: platformNamed('one'), change: changeIn(org, newKey()) })),
      ).toEqual(refused('name_taken'));
      expect(await put(nowhere, 1)).toEqual(refused('not_found'));
      expect(await put({ ...one, id: nowhere.id, name: 'two', nameKey: 'two' }, 1, 'one')).toEqual(
        refused('not_found'),
      );
      expect(await put({ ...one, name: 'two', nameKey: 'two' }, 2, 'one')).toEqual(refused('stale'));
      expect(await put({ ...one, name: 'two', nameKey: 'two' }, 1, 'one')).toEqual(refused('name_taken'));
      expect(await remove(nowhere)).toEqual(refused('not_found'));
      expect(await remove({ ...one, version: 2 })).toEqual(refused('stale'));
      const foreign = suite.newOrg();
      expect(await unwrap(catalog().delete({ kind, entry: one, change: changeIn(foreign) }))).toEqual(
        refused('not_found'),
      );
      expect(await unwrap(catalog().list(org, kind, first))).toEqual({ items: [one, two], more: false });
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);

      const renamed = { ...one, name: 'three', nameKey: 'three', region: 'x', version: 2, updatedAt: afterMs(1) };
      expect(await put(renamed, 1, 'one')).toEqual(done);
      expect((await unwrap(catalog().get(org, kind, one.id))).found).toEqual(renamed);
      expect(await unwrap(catalog().getByName(org, kind, 'one'))).toBe(null);
      expect(await unwrap(catalog().getByName(org, kind, 'three'))).toEqual(renamed);
      expect(await remove(renamed)).toEqual(done);
      expect(await unwrap(catalog().getByName(org, kind, 'three'))).toBe(null);
      expect(await unwrap(catalog().create({ kind, entry: platformNamed('three'), change: changeIn(org) }))).toEqual(
        done,
      );
    });

    test('an entry that is in use is stale first, and never deleted', async () => {
      const { org, references, build } = await storedIn(suite);
      await build();
      const { found } = await unwrap(catalog().get(org, kind, references.platformId));
      const remove = (version: number) =>
        unwrap(catalog().delete({ kind, entry: { ...found!, version }, change: changeIn(org) }));
      expect(await remove(found!.version + 1)).toEqual(refused('stale'));
      expect(await remove(found!.version)).toEqual(refused('in_use'));
      expect((await unwrap(catalog().get(org, kind, found!.id))).found).toEqual(found);
    });

    test('of many that create one name, or delete one entry, one does', async () => {
      const org = suite.newOrg();
      const both = [catalog(), (await suite.other()).catalog];
      const made24 = await together(24, (index) =>
        unwrap(both[index % 2]!.create({ kind, entry: platformNamed('one'), change: changeIn(org) })),
      );
      expect(tally(made24.map((answer) => (answer.done ? 'done' : answer.refused)))).toEqual({
        done: 1,
        name_taken: 23,
      });
      const entry = (await unwrap(catalog().getByName(org, kind, 'one')))!;
      const gone = await together(24, (index) =>
        unwrap(both[index % 2]!.delete({ kind, entry, change: changeIn(org) })),
      );
      expect(tally(gone.map((answer) => (answer.done ? 'done' : answer.refused)))).toEqual({ done: 1, not_found: 23 });
      expect(await suite.harness.raw.count('journal', org)).toBe(2);
    });
  });

  describe('the port of builds', () => {
    test('plans: the newest, one of them, or none, and whether there is a project', async () => {
      const { org, projectId } = await storedIn(suite);
      const nowhere = randomUUID();
      expect(await unwrap(builds().plan(org, projectId))).toEqual({ found: null, exists: true, key: null });
      expect(await unwrap(builds().plan(org, nowhere))).toEqual({ found: null, exists: false, key: null });
      expect(await unwrap(builds().plan(suite.newOrg(), projectId))).toEqual({ found: null, exists: false, key: null });

      const define = (version: number, of = projectId, key: KeyWrite | null = null) => {
        const plan = planOf(
          of,
          version,
          Array.from({ length: 101 }, (_, state) => state),
        );
        return unwrap(builds().addPlan({ plan, change: changeIn(org, key) })).then((answer) => ({ plan, answer }));
      };
      expect((await define(2)).answer).toEqual(refused('stale'));
      const key = newKey();
      const one = await define(1, projectId, key);
      expect(one.answer).toEqual(done);
      expect((await define(1)).answer).toEqual(refused('stale'));
      expect((await define(3)).answer).toEqual(refused('stale'));
      expect((await define(1, nowhere)).answer).toEqual(refused('not_found'));
      const two = await define(2);
      expect(two.answer).toEqual(done);
      expect((await unwrap(builds().plan(org, projectId))).found).toEqual(two.plan);
      expect((await unwrap(builds().plan(org, projectId, 1))).found).toEqual(one.plan);
      expect(await unwrap(builds().plan(org, projectId, 3))).toEqual({ found: null, exists: true, key: null });
      expect((await unwrap(builds().plan(org, projectId, undefined, key.id))).key).toMatchObject({
        fingerprint: 'print',
      });
      expect(await suite.harness.raw.count('journal', org)).toBe(6);
    });

    test('what a new build is decided on: what of it is there', async () => {
      const { org, references, projectId } = await storedIn(suite);
      const all = { project: true, platform: true, osVersion: true, imageType: true, plan: null, key: null };
      const asked = { projectId, ...references };
      expect(await unwrap(builds().startFacts(org, asked))).toEqual(all);
      expect(await unwrap(builds().startFacts(org, { ...asked, projectId: null }))).toEqual(all);
      const parts = {
        projectId: 'project',
        platformId: 'platform',
        osVersionId: 'osVersion',
        imageTypeId: 'imageType',
      };
      for (const [reference, part] of Object.entries(parts)) {
        const facts = await unwrap(builds().startFacts(org, { ...asked, [reference]: randomUUID() }));
        expect(facts).toEqual({ ...all, [part]: false });
      }
      // An entry of another kind is none of this one.
      expect(await unwrap(builds().startFacts(org, { ...asked, platformId: references.imageTypeId }))).toEqual({
        ...all,
        platform: false,
      });
      expect(await unwrap(builds().startFacts(suite.newOrg(), asked))).toEqual({
        ...all,
        project: false,
        platform: false,
        osVersion: false,
        imageType: false,
      });
      const plan = planOf(projectId, 1);
      await unwrap(builds().addPlan({ plan, change: changeIn(org) }));
      expect(await unwrap(builds().startFacts(org, asked))).toEqual({ ...all, plan });
      expect((await unwrap(builds().startFacts(org, { ...asked, projectId: null }))).plan).toBe(null);
    });

    test('a build and its history are read back as they were written', async () => {
      const { org, ada, references, projectId } = await storedIn(suite);
      const build = pendingBuild(
        { projectId, ...references },
        {
          buildNumber: `${'🧪'.repeat(99)}x`,
          currentState: 100,
          status: 'completed',
          retryCount: 999,
          planVersion: 7,
          milestones: Array.from({ length: 101 }, (_, state) => state),
          attempts: 2,
          startTime: afterMs(1),
          endTime: afterMs(2),
          heartbeatTimeoutMs: 604_800_000,
          heartbeatAt: afterMs(3),
          createdBy: { type: 'πράκτορας ', id: ' "🧪"\\' },
          createdAt: new Date('1000-01-01T00:00:00.001Z'),
          updatedAt: new Date('9999-12-31T23:59:59.999Z'),
          version: 5,
        },
      );
      const attempt = (sequence: number, differing: Partial<StoredBuildState>): StoredBuildState => ({
        id: randomUUID(),
        buildId: build.id,
        sequence,
        state: 0,
        status: 'completed',
        startTime: new Date('1000-01-01T00:00:00.999Z'),
        endTime: afterMs(1),
        errorMessage: null,
        retryCount: 0,
        ...differing,
      });
      const states = [
        attempt(1, { status: 'failed', errorMessage: `${'語'.repeat(1_999)}\n`, retryCount: 1_000 }),
        attempt(2, { state: 100, status: 'started', endTime: null }),
        attempt(3, { status: 'canceled', errorMessage: '' }),
      ];
      const failures = [
        failureOf(build, {
          failureType: '𐐨'.repeat(100),
          errorMessage: 'x'.repeat(2_000),
          errorDetails: { z: 1, a: { '': [1e-7, -1.5, Number.MAX_SAFE_INTEGER, null, 'ä🧪'] }, constructor: 'x' },
          component: ' Disk',
          createdAt: afterMs(4),
        }),
        failureOf(build, {
          resolved: true,
          resolutionNotes: '',
          resolvedAt: afterMs(9),
          errorDetails: {},
          createdAt: afterMs(3),
        }),
      ];
      expect(await unwrap(builds().add({ build, states, failures, change: changeIn(org) }))).toEqual(done);
      expect(await unwrap(builds().get(org, build.id))).toEqual({ found: build, key: null });
      for (const which of [{ id: build.id }, { buildNumber: build.buildNumber }]) {
        expect(await unwrap(builds().getWithManifest(org, which))).toEqual({ build, manifest: null });
        expect(await unwrap(builds().getWithManifest(suite.newOrg(), which))).toBe(null);
      }
      expect(await unwrap(builds().list(org, {}, first))).toEqual({ items: [build], more: false });
      expect(await unwrap(builds().listStates(org, build.id, first))).toEqual({ items: states, more: false });
      expect(await unwrap(builds().listFailures(org, { buildId: build.id }, first))).toEqual({
        items: failures,
        more: false,
      });
      for (const failure of failures) {
        expect(await unwrap(builds().getFailure(org, failure.id))).toEqual({ found: failure, key: null });
        expect((await unwrap(builds().getFailure(suite.newOrg(), failure.id))).found).toBe(null);
      }
      expect(await unwrap(builds().listStates(suite.newOrg(), build.id, first))).toBe(null);
      expect(await unwrap(builds().listFailures(suite.newOrg(), { buildId: build.id }, first))).toBe(null);
      expect(await unwrap(builds().listFailures(suite.newOrg(), {}, first))).toEqual({ items: [], more: false });
      expect((await unwrap(ada.journal.list({ action: 'tested' }))).items).toHaveLength(1);
    });

    test('a build that is refused leaves nothing, its number before what it refers to', async () => {
      const { org, references, projectId, build } = await storedIn(suite);
      const there = await build();
      const entries = await suite.harness.raw.count('journal', org);
      const nowhere = randomUUID();
      const attempt = (of: StoredBuild): StoredBuildState => entering(of, 0).begun!;
      const wrong: readonly (readonly [Partial<StoredBuild>, string])[] = [
        [{ buildNumber: there.buildNumber }, 'number_taken'],
        [{ buildNumber: there.buildNumber, platformId: nowhere }, 'number_taken'],
        [{ projectId: nowhere }, 'gone'],
        [{ platformId: nowhere }, 'gone'],
        [{ osVersionId: nowhere }, 'gone'],
        [{ imageTypeId: nowhere }, 'gone'],
        [{ platformId: references.osVersionId }, 'gone'],
      ];
      for (const [differing, code] of wrong) {
        const candidate = pendingBuild({ projectId, ...references }, differing);
        const failure = failureOf(candidate);
        const answer = await unwrap(
          builds().add({
            build: candidate,
            states: [attempt(candidate)],
            failures: [failure],
            change: changeIn(org, newKey()),
          }),
        );
        expect([differing, answer]).toEqual([differing, refused(code)]);
        expect((await unwrap(builds().get(org, candidate.id))).found).toBe(null);
        expect(await unwrap(builds().listStates(org, candidate.id, first))).toBe(null);
        expect((await unwrap(builds().getFailure(org, failure.id))).found).toBe(null);
      }
      const foreign = pendingBuild({ projectId, ...references });
      expect(
        await unwrap(builds().add({ build: foreign, states: [], failures: [], change: changeIn(suite.newOrg()) })),
      ).toEqual(refused('gone'));
      expect((await unwrap(builds().list(org, {}, first))).items).toEqual([there]);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
    });

    test('1,000 attempts and 1,000 failures are there at once, or not at all', async () => {
      const { org, references, projectId, build } = await storedIn(suite);
      const there = await build();
      const long = pendingBuild({ projectId, ...references }, { attempts: 1_000, status: 'failed' });
      const states = Array.from({ length: 1_000 }, (_, index): StoredBuildState => ({
        ...entering(long, 0).begun!,
        sequence: index + 1,
        status: 'failed',
        endTime: afterMs(2),
        errorMessage: `attempt ${index} ${'語'.repeat(300)}`,
        retryCount: index,
      }));
      const failures = states.map(({ retryCount }): BuildFailure =>
        failureOf({ ...long, retryCount }, { createdAt: afterMs(retryCount) }),
      );
      const add = (candidate: StoredBuild) =>
        unwrap(builds().add({ build: candidate, states, failures, change: changeIn(org, newKey()) }));
      expect(await add({ ...long, buildNumber: there.buildNumber })).toEqual(refused('number_taken'));
      expect(await add({ ...long, imageTypeId: randomUUID() })).toEqual(refused('gone'));
      expect(await unwrap(builds().listStates(org, long.id, first))).toBe(null);
      expect(await unwrap(builds().listFailures(org, {}, first))).toEqual({ items: [], more: false });
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      expect(await add(long)).toEqual(done);
      const read: StoredBuildState[] = [];
      for (let more = true; more;) {
        const page = (await unwrap(
          builds().listStates(org, long.id, { limit: 100, after: read.length === 0 ? null : read.length }),
        ))!;
        read.push(...page.items);
        more = page.more;
      }
      expect(read).toEqual(states);
      const newest = (await unwrap(builds().listFailures(org, { buildId: long.id }, { limit: 2, after: null })))!;
      expect(newest).toEqual({ items: [failures[999], failures[998]], more: true });
      expect(await unwrap(builds().resumeFacts(org, long.id))).toEqual({
        build: long,
        completed: [],
        lastFailure: failures[999],
        unresolvedFailures: 1_000,
      });
    });

    test('a move ends the attempt under way, begins the next and adds the failure, and changes no other row', async () => {
      const { org, build, move } = await storedIn(suite);
      const [start, bystander] = [await build(), await build()];
      const other = await move(entering(bystander, 50));
      const entered = entering(start, 0, 1);
      await move(entered);
      const passed = entering(entered.build, 50, 5);
      await move(passed);
      const failed = failing(passed.build, 9, { component: 'disk', errorDetails: { a: 1 } });
      await move(failed);
      const resumed = entering(failed.build, 50, 12, 1);
      await move(resumed);
      expect((await unwrap(builds().get(org, start.id))).found).toEqual(resumed.build);
      expect((await unwrap(builds().listStates(org, start.id, first)))!.items).toEqual([
        { ...entered.begun, status: 'completed', endTime: afterMs(5) },
        { ...passed.begun, status: 'failed', endTime: afterMs(9), errorMessage: 'exit status 1' },
        resumed.begun,
      ]);
      expect((await unwrap(builds().listFailures(org, { buildId: start.id }, first)))!.items).toEqual([failed.failure]);
      expect((await unwrap(builds().get(org, bystander.id))).found).toEqual(other);
      expect((await unwrap(builds().listStates(org, bystander.id, first)))!.items).toHaveLength(1);
    });

    test('a move is refused where there is no such build, at another version, and after a sign of life', async () => {
      const { org, build, move } = await storedIn(suite);
      const running = await move(entering(await build(), 0));
      const entries = await suite.harness.raw.count('journal', org);
      const next = failing(running);
      const write = (differing: object, change: Change = changeIn(org, newKey())) =>
        unwrap(builds().move({ ...next, expectedVersion: running.version, change, ...differing }));
      const nowhere = { build: { ...next.build, id: randomUUID() } };
      expect(await write(nowhere)).toEqual(refused('not_found'));
      expect(await write({}, changeIn(suite.newOrg()))).toEqual(refused('not_found'));
      for (const expectedVersion of [1, 3]) expect(await write({ expectedVersion })).toEqual(refused('stale'));
      for (const silentSince of [null, afterMs(0), afterMs(2)])
        expect(await write({ silentSince })).toEqual(refused('stale'));
      expect(await unwrap(builds().beat(org, running.id, afterMs(7)))).toBe(true);
      expect(await write({ silentSince: running.heartbeatAt })).toEqual(refused('stale'));
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      expect(await unwrap(builds().listFailures(org, { buildId: running.id }, first))).toEqual({
        items: [],
        more: false,
      });
      expect((await unwrap(builds().listStates(org, running.id, first)))!.items).toMatchObject([
        { status: 'started', endTime: null },
      ]);
      expect((await unwrap(builds().get(org, running.id))).found).toEqual({ ...running, heartbeatAt: afterMs(7) });

      expect(await write({ silentSince: afterMs(7) })).toEqual(done);
      expect((await unwrap(builds().get(org, running.id))).found).toMatchObject({ status: 'failed', version: 3 });
    });

    test('a sign of life is for running builds, and moves nothing but itself', async () => {
      const { org, build, move } = await storedIn(suite);
      const pending = await build();
      const running = await move(entering(await build(), 0));
      const failed = await move(failing(await move(entering(await build(), 0))));
      const entries = await suite.harness.raw.count('journal', org);
      expect(await unwrap(builds().beat(org, running.id, afterMs(5)))).toBe(true);
      expect(await unwrap(builds().beat(org, running.id, afterMs(5)))).toBe(true);
      for (const { id } of [pending, failed]) expect(await unwrap(builds().beat(org, id, afterMs(5)))).toBe(false);
      expect(await unwrap(builds().beat(org, randomUUID(), afterMs(5)))).toBe(false);
      expect(await unwrap(builds().beat(suite.newOrg(), running.id, afterMs(9)))).toBe(false);
      expect((await unwrap(builds().get(org, running.id))).found).toEqual({ ...running, heartbeatAt: afterMs(5) });
      for (const same of [pending, failed]) expect((await unwrap(builds().get(org, same.id))).found).toEqual(same);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
    });

    test('a manifest moves the version and leaves a sign of life that came in between', async () => {
      const { org, build, move } = await storedIn(suite);
      const running = await move(entering(await build(), 0));
      const attach = (manifest: string, expectedVersion: number, id = running.id, change = changeIn(org)) => {
        const attached = {
          ...running,
          id,
          version: expectedVersion + 1,
          updatedAt: afterMs(8),
          heartbeatAt: made,
          status: 'failed',
        } as const;
        return unwrap(builds().attachManifest({ build: attached, manifest, expectedVersion, change }));
      };
      const json = JSON.stringify({ z: 1, a: ['ä🧪', null, 0.5], '': {} });
      await unwrap(builds().beat(org, running.id, afterMs(5)));
      expect(await attach(json, 1)).toEqual(refused('stale'));
      expect(await attach(json, 2, randomUUID())).toEqual(refused('not_found'));
      expect(await attach(json, 2, running.id, changeIn(suite.newOrg()))).toEqual(refused('not_found'));
      expect((await unwrap(builds().getWithManifest(org, { id: running.id })))!.manifest).toBe(null);
      expect(await attach(json, 2)).toEqual(done);
      const expected = { ...running, version: 3, updatedAt: afterMs(8), heartbeatAt: afterMs(5) };
      const read = (await unwrap(builds().getWithManifest(org, { id: running.id })))!;
      expect({ ...read, manifest: JSON.parse(read.manifest!) as unknown }).toEqual({
        build: expected,
        manifest: JSON.parse(json) as unknown,
      });
      expect(await attach('{"b":2}', 3)).toEqual(done);
      const replaced = (await unwrap(builds().getWithManifest(org, { buildNumber: running.buildNumber })))!;
      expect(JSON.parse(replaced.manifest!)).toEqual({ b: 2 });
      expect((await unwrap(builds().get(org, running.id))).found).toEqual({ ...expected, version: 4 });
    });

    test('a failure is resolved once, whoever else tries', async () => {
      const { org, build, move } = await storedIn(suite);
      const failed = failing(await move(entering(await build(), 0)));
      await move(failed);
      const both = [builds(), (await suite.other()).builds];
      const resolved = (notes: string) => ({
        ...failed.failure!,
        resolved: true,
        resolutionNotes: notes,
        resolvedAt: afterMs(4),
      });
      const resolve = (failure: BuildFailure, index = 0, change = changeIn(org)) =>
        unwrap(both[index % 2]!.resolveFailure({ failure, change }));
      expect(await resolve({ ...resolved('x'), id: randomUUID() })).toEqual(refused('not_found'));
      expect(await resolve(resolved('x'), 0, changeIn(suite.newOrg()))).toEqual(refused('not_found'));
      expect((await unwrap(builds().getFailure(org, failed.failure!.id))).found).toEqual(failed.failure);
      const answers = await together(24, async (index) => ({
        index,
        answer: await resolve(resolved(`${index}`), index),
      }));
      expect(tally(answers.map(({ answer }) => (answer.done ? 'done' : answer.refused)))).toEqual({
        done: 1,
        resolved: 23,
      });
      const winner = answers.find(({ answer }) => answer.done)!.index;
      expect((await unwrap(builds().getFailure(org, failed.failure!.id))).found).toEqual(resolved(`${winner}`));
      expect((await unwrap(builds().get(org, failed.build.id))).found).toEqual(failed.build);
    });

    test('what planResume is decided on', async () => {
      const { org, build, move } = await storedIn(suite);
      const pending = await build();
      expect(await unwrap(builds().resumeFacts(org, pending.id))).toEqual({
        build: pending,
        completed: [],
        lastFailure: null,
        unresolvedFailures: 0,
      });
      expect(await unwrap(builds().resumeFacts(org, randomUUID()))).toBe(null);
      expect(await unwrap(builds().resumeFacts(suite.newOrg(), pending.id))).toBe(null);
      let at = await move(entering(pending, 0, 1));
      const one = failing(at, 2);
      at = await move(entering(await move(one), 0, 3, 1));
      at = await move(entering(at, 50, 4));
      // The second of two failures in one millisecond, by their ids.
      const two = failing(at, 5, { id: 'ffffffff-0000-7000-8000-000000000001' });
      at = await move(entering(await move(two), 50, 5, 1));
      const three = failing(at, 5, { id: 'ffffffff-0000-7000-8000-000000000000' });
      at = await move(three);
      expect(await unwrap(builds().resumeFacts(org, pending.id))).toEqual({
        build: at,
        completed: [0],
        lastFailure: two.failure,
        unresolvedFailures: 3,
      });
      const resolved = { ...two.failure!, resolved: true, resolutionNotes: 'x', resolvedAt: afterMs(9) };
      await unwrap(builds().resolveFailure({ failure: resolved, change: changeIn(org) }));
      expect(await unwrap(builds().resumeFacts(org, pending.id))).toMatchObject({
        lastFailure: resolved,
        unresolvedFailures: 2,
      });
    });

    test('builds that are due come by their ids, from behind a given one, as many as asked for', async () => {
      const { org, build } = await storedIn(suite);
      const running = (heartbeatAt: Date, heartbeatTimeoutMs = 1_000, status: StoredBuild['status'] = 'running') =>
        build({ status, attempts: 1, startTime: made, heartbeatAt, heartbeatTimeoutMs });
      const now = afterMs(2_000);
      const due = [
        await running(afterMs(1_000)),
        await running(made),
        await running(made, 2_000),
        await running(afterMs(-86_400_000)),
      ];
      await running(afterMs(1_001));
      await running(made, 2_001);
      await running(made, 604_800_000);
      for (const status of ['pending', 'failed', 'completed', 'canceled'] as const) await running(made, 1_000, status);
      const inOrder = due.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      const asked = (limit: number, after: string | null) => unwrap(builds().due(org, { now, limit, after }));
      expect(await asked(100, null)).toEqual(inOrder);
      expect(await asked(2, null)).toEqual(inOrder.slice(0, 2));
      expect(await asked(2, inOrder[1]!.id)).toEqual(inOrder.slice(2));
      expect(await asked(1, inOrder[3]!.id)).toEqual([]);
      expect(await unwrap(builds().due(suite.newOrg(), { now, limit: 9, after: null }))).toEqual([]);
    });

    test('the project of a build is taken from it with the project, and no later move gives it back', async () => {
      const { org, ada, build, move, projectId } = await storedIn(suite);
      const pending = await build();
      const untouched = await build();
      await unwrap(ada.projects.delete(projectId));
      const moved = await move(entering(pending, 0));
      expect((await unwrap(builds().get(org, pending.id))).found).toEqual({ ...moved, projectId: null });
      expect((await unwrap(builds().get(org, untouched.id))).found).toEqual({ ...untouched, projectId: null });
      expect(await unwrap(builds().list(org, { projectId }, first))).toEqual({ items: [], more: false });
      expect((await unwrap(builds().stats(org, { projectId }))).total).toBe(0);
      expect((await unwrap(builds().stats(org, {}))).total).toBe(2);
    });

    test('what was written under a key is not written again, by any of the methods', async () => {
      const { org, references, projectId, build, move } = await storedIn(suite);
      const both = [suite.harness.storage, await suite.other()];
      const running = await move(entering(await build(), 0));
      const failed = failing(await move(entering(await build(), 0)));
      await move(failed);
      const entry = platformNamed('under a key');
      const renamed = { ...entry, version: 2, region: 'x' };
      const writes: Readonly<Record<string, (change: Change, index: number) => PromiseLike<unknown>>> = {
        'catalog.create': (change, index) => unwrap(both[index % 2]!.catalog.create({ kind, entry, change })),
        'catalog.update': (change, index) =>
          unwrap(
            both[index % 2]!.catalog.update({
              kind,
              entry: renamed,
              previousNameKey: entry.nameKey,
              expectedVersion: 1,
              change,
            }),
          ),
        'catalog.delete': (change, index) => unwrap(both[index % 2]!.catalog.delete({ kind, entry: renamed, change })),
        addPlan: (change, index) => unwrap(both[index % 2]!.builds.addPlan({ plan: planOf(projectId, 1), change })),
        add: (change, index) => {
          const candidate = pendingBuild({ projectId, ...references }, { buildNumber: 'under a key' });
          return unwrap(both[index % 2]!.builds.add({ build: candidate, states: [], failures: [], change }));
        },
        move: (change, index) =>
          unwrap(
            both[index % 2]!.builds.move({ ...entering(running, 50, 4), expectedVersion: running.version, change }),
          ),
        attachManifest: (change, index) =>
          unwrap(
            both[index % 2]!.builds.attachManifest({
              build: { ...running, version: running.version + 2, updatedAt: afterMs(9) },
              manifest: '{}',
              expectedVersion: running.version + 1,
              change,
            }),
          ),
        resolveFailure: (change, index) => {
          const failure = { ...failed.failure!, resolved: true, resolutionNotes: `${index}`, resolvedAt: afterMs(9) };
          return unwrap(both[index % 2]!.builds.resolveFailure({ failure, change }));
        },
      };
      for (const [name, write] of Object.entries(writes)) {
        const key = newKey();
        const entries = await suite.harness.raw.count('journal', org);
        const answers = await together(8, (index) => write(changeIn(org, key), index));
        const record = { fingerprint: 'print', result: { id: 'made' }, expiresAt: key.expiresAt };
        expect([name, answers.filter((answer) => (answer as { done: boolean }).done)]).toEqual([name, [done]]);
        for (const answer of answers) {
          if ((answer as { done: boolean }).done) continue;
          expect([name, answer]).toEqual([name, { done: false, refused: 'key_taken', record }]);
        }
        expect([name, await suite.harness.raw.count('journal', org)]).toEqual([name, entries + 1]);
      }
    });

    test('of many moves from one version one is made', async () => {
      const { org, build } = await storedIn(suite);
      const both = [builds(), (await suite.other()).builds];
      const start = await build();
      const moves = Array.from({ length: 24 }, (_, index) => entering(start, [0, 50, 100][index % 3]!, index));
      const answers = await together(24, (index) =>
        unwrap(both[index % 2]!.move({ ...moves[index]!, expectedVersion: 1, change: changeIn(org) })),
      );
      expect(tally(answers.map((answer) => (answer.done ? 'done' : answer.refused)))).toEqual({ done: 1, stale: 23 });
      const winner = moves[answers.findIndex((answer) => answer.done)]!;
      expect((await unwrap(builds().get(org, start.id))).found).toEqual(winner.build);
      expect((await unwrap(builds().listStates(org, start.id, first)))!.items).toEqual([winner.begun]);
    });

    test('of many plans of one version one is added', async () => {
      const { org, projectId } = await storedIn(suite);
      const both = [builds(), (await suite.other()).builds];
      const plans = Array.from({ length: 24 }, (_, index) => planOf(projectId, 1, [index, 100]));
      const answers = await together(24, (index) =>
        unwrap(both[index % 2]!.addPlan({ plan: plans[index]!, change: changeIn(org) })),
      );
      expect(tally(answers.map((answer) => (answer.done ? 'done' : answer.refused)))).toEqual({ done: 1, stale: 23 });
      expect((await unwrap(builds().plan(org, projectId))).found).toEqual(
        plans[answers.findIndex((answer) => answer.done)],
      );
    });

    test('figures about nothing', async () => {
      const { ada } = suite.inNewOrg();
      await makeReferences(ada);
      const none = { pending: 0, running: 0, failed: 0, completed: 0, canceled: 0 };
      const stats = await unwrap(builds().stats(suite.newOrg(), {}));
      expect({ ...stats, approximate: false }).toEqual({
        total: 0,
        byStatus: none,
        successRate: null,
        states: [],
        failures: [],
        approximate: false,
      });
    });
  });
}
