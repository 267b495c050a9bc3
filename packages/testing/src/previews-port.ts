import { randomUUID } from 'node:crypto';
import { unwrap } from '@vivarium/core';
import { previewStatuses } from '@vivarium/core/storage';
import type { App, PreviewStep, PreviewWrite, StoredPreview } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { tally, together } from './answers.ts';
import { deploymentWriterOf } from './deployments-stored.ts';
import { afterMs, changeIn, dataKey, made, newKey, next } from './ephemeral-making.ts';
import { commit } from './every-deployment-call.ts';
import {
  appSecretOf,
  environmentBehind,
  messageOf,
  previewOf,
  previewWriterOf,
  runOf,
  writing,
} from './previews-stored.ts';
import type { Suite } from './suite.ts';

const done = { done: true };
const refused = (by: string) => ({ done: false, refused: by });
const first = { limit: 100, after: null };
const nowhere = '00000000-0000-7000-8000-00000000dead';

/** The port of previews, asked without the services in front of it: each method by its contract, then what holds among many. */
export function testPreviewsPort(suite: Suite): void {
  const port = () => suite.harness.storage.previews;
  const deployments = () => suite.harness.storage.deployments;

  describe('the port of previews', () => {
    test('a preview is read back as it was written, with all that is decided on, in its own org', async () => {
      const { org, app, repo } = await withApp();
      const preview = previewOf(app, `${'a/b_c.d-'.repeat(12)}1234`, {
        type: 'production',
        status: 'stop_error',
        branch: ` "🧪"\\${'語'.repeat(250)}`,
        headRepo: Array.from({ length: 9 }, () => 'x'.repeat(100)).join('/'),
        fork: true,
        approvedSha: 'a'.repeat(64),
        waitingSha: 'b'.repeat(64),
        pullRequest: 2_147_483_647,
        sha: 'c'.repeat(64),
        headSha: 'd'.repeat(64),
        url: `https://example.com/${'x'.repeat(1_980)}`,
        tests: 'failed',
        commentId: `comment ${'ü'.repeat(200)}`,
        runtimeId: `runtime ${'語'.repeat(200)}`,
        hasRuntime: true,
        generation: 2_147_483_647,
        reportSequence: 2_147_483_647,
        reportKey: `vv1.${'k'.repeat(400)}`,
        pendingCommand: { type: 'create', sha: 'e'.repeat(64), cause: null },
        tries: 5,
        reason: `🧪${'語'.repeat(999)}`,
        stopCause: 'aged',
        note: '𐐨'.repeat(1_000),
        deadline: new Date('9999-12-31T23:59:59.999Z'),
        requestedAt: new Date('1000-01-01T00:00:00.001Z'),
        createdAt: new Date('1000-01-01T00:00:00.001Z'),
        updatedAt: new Date('9999-12-31T23:59:59.999Z'),
      });
      const behind = environmentBehind(preview);
      const run = runOf(behind);
      const environment = { ...behind, deploymentSequence: 1, latestDeployment: run.id };
      const key = newKey();
      const written = { ...preview, run: run.id };
      const asked = { appId: app.id, environment: preview.environment };
      expect(await unwrap(port().askFacts(org, asked))).toEqual({
        app,
        repo,
        environment: null,
        preview: null,
        run: null,
        active: null,
        key: null,
      });
      const command: PreviewWrite = {
        preview: written,
        environment,
        deployments: [{ deployment: run, adds: true }],
        message: null,
        change: changeIn(org, key),
      };
      expect(await unwrap(port().create(command))).toEqual(done);

      const found = { preview: written, environment, app, repo, run, active: null, steps: [] };
      const kept = { fingerprint: 'print', result: { id: 'made' }, expiresAt: key.expiresAt };
      expect(await unwrap(port().facts(org, preview.id))).toEqual({ found, key: null });
      expect(await unwrap(port().facts(org, preview.id, key.id))).toEqual({ found, key: kept });
      const { steps: _steps, ...facts } = found;
      expect(await unwrap(port().askFacts(org, asked))).toEqual({ ...facts, key: null });
      expect(await unwrap(port().askFacts(org, asked, key.id))).toEqual({ ...facts, key: kept });
      expect(await unwrap(port().list(org, { appId: app.id }, first))).toEqual({ items: [written], more: false });
      expect((await unwrap(deployments().getEnvironment(org, preview.id))).found).toEqual(environment);
      expect((await unwrap(deployments().facts(org, run.id))).found).toMatchObject({ deployment: run });

      const foreign = suite.newOrg();
      expect(await unwrap(port().facts(foreign, preview.id, key.id))).toEqual({ found: null, key: null });
      expect(await unwrap(port().facts(org, nowhere, key.id))).toEqual({ found: null, key: kept });
      expect(await unwrap(port().askFacts(foreign, asked))).toEqual({
        app: null,
        repo: null,
        environment: null,
        preview: null,
        run: null,
        active: null,
        key: null,
      });
      expect(await unwrap(port().list(foreign, { appId: app.id }, first))).toBe(null);
      expect(await unwrap(port().list(org, { appId: preview.id }, first))).toBe(null);
    });

    test('every status, pending command and cause is kept as it is', async () => {
      const { org, app, write } = await withApp();
      for (const status of previewStatuses) {
        const preview = await write.create(app, status, { status });
        expect((await unwrap(port().facts(org, preview.id))).found!.preview).toEqual(preview);
      }
      let preview = await write.create(app, 'x');
      for (const type of ['create', 'restart', 'stop'] as const) {
        for (const cause of [null, 'asked', 'closed', 'aged'] as const) {
          for (const sha of [null, commit('f')]) {
            preview = await write.write(next(preview, { pendingCommand: { type, sha, cause }, stopCause: cause }));
            expect((await unwrap(port().facts(org, preview.id))).found!.preview).toEqual(preview);
          }
        }
      }
      for (const tests of ['passed', null] as const) {
        preview = await write.write(next(preview, { tests, pendingCommand: null, stopCause: null }));
        expect((await unwrap(port().facts(org, preview.id))).found!.preview).toEqual(preview);
      }
    });

    test('a name is one environment of its pair, also where no preview drives it; an app that is gone gets none', async () => {
      const { org, app, write, ada, repo } = await withApp();
      const preview = await write.create(app, 'pr-1');
      const { id: byOthers } = await unwrap(
        ada.deployments.environments.ensure({ projectId: app.projectId, repoId: repo.id, environment: 'pr-2' }),
      );
      const taken = await unwrap(port().askFacts(org, { appId: app.id, environment: 'pr-2' }));
      expect(taken).toMatchObject({ app, environment: { id: byOthers, managedBy: null }, preview: null, run: null });
      const entries = await suite.harness.raw.count('journal', org);
      const create = (candidate: StoredPreview, of = org) =>
        unwrap(
          port().create({
            ...writing(of, candidate, { message: messageOf(of, candidate) }),
            change: changeIn(of, newKey()),
          }),
        );
      expect(await create(previewOf(app, 'pr-1'))).toEqual(refused('stale'));
      expect(await create(previewOf(app, 'pr-2'))).toEqual(refused('stale'));
      expect(await create(previewOf({ ...app, id: nowhere }, 'pr-3'))).toEqual(refused('gone'));
      expect(await create(previewOf(app, 'pr-3'), suite.newOrg())).toEqual(refused('gone'));
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      expect(await unwrap(port().unsent(org, first))).toEqual([]);
      expect((await unwrap(port().list(org, { appId: app.id }, first)))!.items).toEqual([preview]);
      expect(await create(previewOf(app, 'pr-3'))).toEqual(done);
      const another = await withAnotherApp(org);
      expect(await create(previewOf(another, 'pr-1'))).toEqual(done);
    });

    test('a preview is replaced at its version only, with its environment, its runs and its message', async () => {
      const { org, app, write, repo } = await withApp();
      const preview = await write.create(app, 'pr-1', { branch: 'old' });
      const entries = await suite.harness.raw.count('journal', org);
      const put = (changed: StoredPreview, expectedVersion: number, of = org) =>
        unwrap(
          port().write({
            ...writing(of, changed, { message: messageOf(of, changed) }),
            change: changeIn(of, newKey()),
            expectedVersion,
            previousBranch: 'old',
          }),
        );
      const changed = next(preview, { status: 'deploying', branch: 'new', commentId: 'not mine to write' });
      expect(await put(changed, 2)).toEqual(refused('stale'));
      expect(await put({ ...changed, id: nowhere }, 1)).toEqual(refused('not_found'));
      expect(await put(changed, 1, suite.newOrg())).toEqual(refused('not_found'));
      expect((await unwrap(port().facts(org, preview.id))).found).toMatchObject({
        preview,
        environment: { version: 1 },
      });
      expect(await unwrap(port().unsent(org, first))).toEqual([]);
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);

      expect(await put(changed, 1)).toEqual(done);
      const { found } = await unwrap(port().facts(org, preview.id));
      // The comment is kept with the step that made it.
      expect(found!.preview).toEqual({ ...changed, commentId: null });
      expect(found!.environment).toEqual(environmentBehind(changed));
      const onBranch = async (branch: string) =>
        (await unwrap(deployments().listByBranch(org, { repoId: repo.id, branch }, first))).items.map(({ id }) => id);
      expect([await onBranch('old'), await onBranch('new')]).toEqual([[], [preview.id]]);
      expect(await unwrap(port().unsent(org, first))).toEqual([messageOf(org, changed)]);
      expect(await put(next(changed, {}), 1)).toEqual(refused('stale'));
    });

    test('a change ends one run, takes another from its place and begins a third, and history and pointers tell so', async () => {
      const { org, app, write, ada } = await withApp();
      const one = previewOf(app, 'pr-1');
      const behind = environmentBehind(one);
      const live = runOf(behind, { status: 'success', startedAt: made, endedAt: made, url: 'https://one.example.com' });
      const created: PreviewWrite = {
        ...writing(org, { ...one, run: live.id }),
        environment: {
          ...behind,
          deploymentSequence: 1,
          latestDeployment: live.id,
          activeDeployment: live.id,
          activeSequence: 1,
        },
        deployments: [{ deployment: live, adds: true }],
      };
      expect(await unwrap(port().create(created))).toEqual(done);
      const second = runOf({ ...behind, deploymentSequence: 1 }, { status: 'running' });
      const two = await write.write(next(created.preview, { generation: 2, run: second.id }), {
        environment: { ...created.environment, version: 2, deploymentSequence: 2, latestDeployment: second.id },
        deployments: [{ deployment: second, adds: true }],
      });
      expect((await unwrap(port().facts(org, one.id))).found).toMatchObject({ run: second, active: live });

      const [ended, gone] = [
        { ...second, status: 'success', endedAt: afterMs(1), updatedAt: afterMs(1) } as const,
        { ...live, status: 'inactive', updatedAt: afterMs(1) } as const,
      ];
      const third = runOf({ ...behind, deploymentSequence: 2 });
      const environment = {
        ...created.environment,
        version: 3,
        deploymentSequence: 3,
        latestDeployment: third.id,
        activeDeployment: second.id,
        activeSequence: 2,
      };
      await write.write(next(two, { generation: 3, run: third.id }), {
        environment,
        deployments: [
          { deployment: ended, adds: false },
          { deployment: gone, adds: false },
          { deployment: third, adds: true },
        ],
      });
      expect((await unwrap(port().facts(org, one.id))).found).toMatchObject({ environment, run: third, active: ended });
      const asked = await unwrap(port().askFacts(org, { appId: app.id, environment: 'pr-1' }));
      expect(asked).toMatchObject({ environment, run: third, active: ended });
      const { items } = await unwrap(ada.deployments.history({ projectEnvironmentId: one.id }));
      expect(items).toEqual([third, ended, gone]);
      expect(await unwrap(ada.deployments.latest(one.id))).toEqual(third);
      expect((await unwrap(ada.deployments.environments.get(one.id))).activeDeployment).toBe(second.id);
      const listed = await unwrap(deployments().listEnvironments(org, { projectId: app.projectId }, first));
      expect(listed.items).toEqual([{ ...environment, latest: third }]);
    });

    test('the last message is kept until it is known to have been sent, a newer one in place of an older', async () => {
      const { org, app, write } = await withApp();
      const previews = [];
      for (let count = 0; count < 5; count++) {
        const preview = previewOf(app, `pr-${count}`);
        await unwrap(port().create(writing(org, preview, { message: messageOf(org, preview) })));
        previews.push(preview);
      }
      await write.create(app, 'silent');
      const byId = previews.toSorted((a, b) => byBytes(a.id, b.id)).map((preview) => messageOf(org, preview));
      expect(await unwrap(port().unsent(org, first))).toEqual(byId);
      expect(await unwrap(port().unsent(org, { limit: 2, after: null }))).toEqual(byId.slice(0, 2));
      const after = byId[1]!.projectEnvironmentId;
      expect(await unwrap(port().unsent(org, { limit: 2, after }))).toEqual(byId.slice(2, 4));
      expect(await unwrap(port().unsent(suite.newOrg(), first))).toEqual([]);

      const [newer, quiet, sent, foreign, late] = previews as [StoredPreview, ...StoredPreview[]];
      const second = next(newer, {});
      await write.write(second, { message: messageOf(org, second) });
      await write.write(next(quiet!, {}));
      await unwrap(port().sent(org, messageOf(org, newer)));
      await unwrap(port().sent(org, messageOf(org, sent!)));
      await unwrap(port().sent(org, messageOf(org, sent!)));
      await unwrap(port().sent(suite.newOrg(), messageOf(org, foreign!)));
      await unwrap(port().sent(org, { ...messageOf(org, late!), sequence: 9 }));
      await unwrap(port().sent(org, { ...messageOf(org, late!), projectEnvironmentId: nowhere }));
      const left = [second, quiet!, foreign!, late!].map((preview) => messageOf(org, preview));
      expect(await unwrap(port().unsent(org, first))).toEqual(
        left.toSorted((a, b) => byBytes(a.projectEnvironmentId, b.projectEnvironmentId)),
      );
    });

    test('tries are counted at a version, and begin anew with what is written', async () => {
      const { org, app, write } = await withApp();
      const preview = await write.create(app, 'pr-1');
      const count = (version: number, of = org, id = preview.id) => unwrap(port().countTry(of, id, version));
      expect([await count(1), await count(1), await count(1)]).toEqual([1, 2, 3]);
      expect([await count(2), await count(0)]).toEqual([null, null]);
      expect([await count(1, suite.newOrg()), await count(1, org, nowhere)]).toEqual([null, null]);
      expect((await unwrap(port().facts(org, preview.id))).found).toMatchObject({
        preview: { ...preview, tries: 3 },
        environment: { version: 1 },
      });
      const changed = await write.write(next(preview, { tries: 0 }));
      expect([await count(1), await count(2)]).toEqual([null, 1]);
      await write.write(next(changed, { tries: 4 }));
      expect(await count(3)).toBe(5);
      const counted = await together(24, () => count(3));
      expect(counted.toSorted((a, b) => a! - b!)).toEqual(Array.from({ length: 24 }, (_, index) => index + 6));
    });

    test('steps are those of the current run; a comment is also that of the preview, whatever is written meanwhile', async () => {
      const { org, app, write } = await withApp();
      const preview = await write.create(app, 'pr-1');
      const keep = async (step: PreviewStep['step'], result: string | null, differing: Partial<PreviewStep> = {}) => {
        const { id: projectEnvironmentId } = preview;
        const kept = { projectEnvironmentId, generation: 1, step, result, at: afterMs(5), ...differing };
        await unwrap(port().keepStep(org, kept));
        return kept;
      };
      const stepsOf = async () => {
        const { found } = await unwrap(port().facts(org, preview.id));
        return [...found!.steps].sort((a, b) => byBytes(a.step, b.step));
      };
      await keep('comment', 'first');
      const comment = await keep('comment', `second ${'語'.repeat(200)}`, { at: new Date('9999-12-31T23:59:59.999Z') });
      const clearing = await keep('clearing', null);
      const runtime = await keep('runtime', 'runtime-1');
      expect(await stepsOf()).toEqual([clearing, comment, runtime]);
      const { found } = await unwrap(port().facts(org, preview.id));
      expect(found!.preview).toEqual({ ...preview, commentId: comment.result });

      const changed = next(preview, { generation: 2 });
      await write.write(changed);
      expect(await stepsOf()).toEqual([]);
      expect((await unwrap(port().facts(org, preview.id))).found!.preview.commentId).toBe(comment.result);
      const again = await keep('runtime', null, { generation: 2 });
      await keep('runtime', 'of the run before', { generation: 1 });
      expect(await stepsOf()).toEqual([again]);
      expect((await unwrap(port().facts(org, preview.id))).found!.preview.version).toBe(2);

      await keep('comment', 'x', { projectEnvironmentId: nowhere });
      await unwrap(port().keepStep(suite.newOrg(), { ...comment, result: 'y' }));
      expect((await unwrap(port().facts(org, preview.id))).found!.preview.commentId).toBe(comment.result);
      expect((await unwrap(port().facts(org, nowhere))).found).toBe(null);
    });

    test('previews come newest first, then by id, of one app and perhaps of one status', async () => {
      const { org, app, write } = await withApp();
      const another = await withAnotherApp(org);
      const all = [];
      for (let count = 0; count < 12; count++) {
        const createdAt = afterMs(Math.floor(count / 4) * 1_000);
        const status = count % 3 === 0 ? 'running' : 'stopped';
        all.push(await write.create(app, `pr-${count}`, { status, createdAt }));
      }
      const theirs = await write.create(another, 'pr-1', { status: 'running' });
      const inOrder = all.toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || byBytes(b.id, a.id));
      const list = (filter: Parameters<ReturnType<typeof port>['list']>[1], page = first) =>
        unwrap(port().list(org, filter, page));
      expect(await list({ appId: app.id })).toEqual({ items: inOrder, more: false });
      expect(await list({ appId: another.id })).toEqual({ items: [theirs], more: false });
      for (const [wanted, expected] of [
        [undefined, inOrder],
        ['running', inOrder.filter(({ status }) => status === 'running')],
      ] as const) {
        const filter = { appId: app.id, ...(wanted !== undefined && { status: wanted }) };
        for (const [index, { createdAt, id }] of expected.entries()) {
          const page = await unwrap(port().list(org, filter, { limit: 3, after: { createdAt, id } }));
          expect(page).toEqual({ items: expected.slice(index + 1, index + 4), more: index + 4 < expected.length });
        }
      }
      expect(await list({ appId: app.id, status: 'deleted' })).toEqual({ items: [], more: false });
      await write.write(next(all[0]!, { status: 'deleted' }));
      expect((await list({ appId: app.id, status: 'deleted' }))!.items).toHaveLength(1);
      expect((await list({ appId: app.id, status: 'running' }))!.items).toHaveLength(3);
    });

    test('deliveries are remembered until they expire, byte by byte, in their own org', async () => {
      const [org, foreign] = [suite.newOrg(), suite.newOrg()];
      const knows = (id: string, now = made, of = org) => unwrap(port().knowsDelivery(of, id, now));
      const keep = (id: string, expiresAt: Date, of = org) => unwrap(port().keepDelivery(of, id, expiresAt));
      const ids = ['key', 'KEY', 'key ', ' key', 'ke\u0301y', 'k\u00e9y', '🧪', 'x'.repeat(255), "k'", 'k%', 'k_'];
      for (const id of ids) {
        expect(await knows(id)).toBe(false);
        await keep(id, afterMs(1_000));
        expect(await knows(id)).toBe(true);
        expect(await knows(id, made, foreign)).toBe(false);
      }
      expect([await knows('key', afterMs(999)), await knows('key', afterMs(1_000))]).toEqual([true, false]);
      await keep('key', afterMs(9_000));
      await keep('theirs', afterMs(500), foreign);
      expect(await knows('key', afterMs(8_999))).toBe(true);
      await unwrap(port().pruneDeliveries(org, { now: afterMs(999), limit: 100 }));
      for (const id of ids) expect(await knows(id)).toBe(true);
      const pruned = await unwrap(port().pruneDeliveries(org, { now: afterMs(1_000), limit: 4 }));
      // An engine that forgets by itself answers 0.
      if (pruned > 0) {
        expect(pruned).toBe(4);
        expect(await unwrap(port().pruneDeliveries(org, { now: afterMs(1_000), limit: 100 }))).toBe(ids.length - 5);
        expect(await unwrap(port().pruneDeliveries(org, { now: afterMs(1_000), limit: 100 }))).toBe(0);
        expect(await knows('KEY')).toBe(false);
      }
      expect([await knows('key'), await knows('theirs', made, foreign)]).toEqual([true, true]);
    });

    test('due are those past their deadline while something is under way, and previews that were asked for too long ago', async () => {
      const { org, app, write } = await withApp();
      const due = [];
      const busy = new Set(['initializing', 'deploying', 'running_tests', 'stopping']);
      for (const status of previewStatuses) {
        const late = await write.create(app, `late-${status}`, { status, deadline: made, requestedAt: afterMs(1) });
        await write.create(app, `early-${status}`, { status, deadline: afterMs(1), requestedAt: afterMs(1) });
        if (busy.has(status)) due.push(late.id);
      }
      const ids = async (askedBy: Date | null, limit = 100, after: string | null = null, of = org) =>
        (await unwrap(port().due(of, { now: made, askedBy, limit, after }))).map(({ id }) => id);
      expect(await ids(null)).toEqual(due.toSorted(byBytes));
      expect(await ids(made)).toEqual(due.toSorted(byBytes));
      for (const status of previewStatuses) {
        const old = await write.create(app, `old-${status}`, { status, requestedAt: afterMs(-1_000) });
        const production = { status, requestedAt: afterMs(-1_000), type: 'production' } as const;
        await write.create(app, `production-${status}`, production);
        if (!['stopping', 'stopped', 'deleted'].includes(status)) due.push(old.id);
      }
      const both = await write.create(app, 'both', { deadline: made, requestedAt: afterMs(-5_000) });
      const inOrder = [...due, both.id].toSorted(byBytes);
      expect(await ids(afterMs(-1_000))).toEqual(inOrder);
      expect(await ids(afterMs(-1_001))).toHaveLength(5);
      for (let index = -1; index < inOrder.length; index += 3) {
        expect(await ids(afterMs(-1_000), 3, inOrder[index] ?? null)).toEqual(inOrder.slice(index + 1, index + 4));
      }
      expect(await ids(afterMs(-1_000), 100, null, suite.newOrg())).toEqual([]);
      const [one] = await unwrap(port().due(org, { now: made, askedBy: null, limit: 1, after: null }));
      expect((await unwrap(port().facts(org, one!.id))).found!.preview).toEqual(one);
      // Whatever changes is found under what it is now.
      await write.write(next(both, { status: 'running', deadline: null, requestedAt: afterMs(1) }));
      expect(await ids(afterMs(-1_000))).not.toContain(both.id);
    });

    test('app secrets are those of their app and type, by the bytes of their names, each at its seal version', async () => {
      const { org, app, write } = await withApp();
      const another = await withAnotherApp(org);
      const names = ['-', '0', 'A', 'AA', 'A_', 'Z', '_', 'a', 'aa', 'b'];
      const wide = { sealed: 's'.repeat(90_000), createdAt: new Date('1000-01-01T00:00:00.001Z') };
      for (const name of names.toReversed()) await write.secret(app, name);
      const production = await write.secret(app, 'A', { type: 'production', ...wide });
      const theirs = await write.secret(another, 'x'.repeat(256));
      const all = (appId: string, type: 'preview' | 'production', of = org) =>
        unwrap(port().secrets(of, { appId, type }));
      expect((await all(app.id, 'preview')).map(({ name }) => name)).toEqual(names);
      expect(await all(app.id, 'production')).toEqual([production]);
      expect(await all(another.id, 'preview')).toEqual([theirs]);
      expect(await all(app.id, 'preview', suite.newOrg())).toEqual([]);

      const key = newKey();
      const of = { appId: app.id, type: 'preview', name: 'A' } as const;
      const facts = (
        secret: typeof of | (Omit<typeof of, 'name'> & { name: string }),
        keyId?: typeof key.id,
        in_ = org,
      ) => unwrap(port().secretFacts(in_, secret, keyId));
      const found = (await all(app.id, 'preview'))[2]!;
      expect(await facts(of)).toEqual({ app: true, found, key: null });
      expect(await facts({ ...of, name: 'B' })).toEqual({ app: true, found: null, key: null });
      expect(await facts({ ...of, appId: nowhere })).toEqual({ app: false, found: null, key: null });
      expect(await facts(of, undefined, suite.newOrg())).toEqual({ app: false, found: null, key: null });

      const entries = await suite.harness.raw.count('journal', org);
      const put = (secret: typeof found, change = changeIn(org, newKey())) =>
        unwrap(port().writeSecret({ secret, change }));
      const remove = (secret: typeof found) => unwrap(port().removeSecret({ secret, change: changeIn(org, newKey()) }));
      for (const [answer, by] of [
        [await put(appSecretOf(app, 'A')), 'stale'],
        [await put({ ...found, sealVersion: 3 }), 'stale'],
        [await put(appSecretOf(app, 'B', { sealVersion: 2 })), 'stale'],
        [await put(appSecretOf({ id: nowhere }, 'A')), 'gone'],
        [await put(appSecretOf(app, 'A'), changeIn(suite.newOrg())), 'gone'],
        [await remove({ ...found, sealVersion: 2 }), 'stale'],
        [await remove(appSecretOf(app, 'B')), 'stale'],
      ] as const) {
        expect(answer).toEqual(refused(by));
      }
      expect(await suite.harness.raw.count('journal', org)).toBe(entries);
      expect(await suite.harness.raw.count('keys', org)).toBe(0);
      const changed = { ...found, sealed: 'vv1.other', sealVersion: 2, updatedAt: afterMs(9) };
      expect(await put(changed, changeIn(org, key))).toEqual(done);
      const kept = { fingerprint: 'print', result: { id: 'made' }, expiresAt: key.expiresAt };
      expect(await facts(of, key.id)).toEqual({ app: true, found: changed, key: kept });
      expect(await remove(changed)).toEqual(done);
      expect(await facts(of)).toEqual({ app: true, found: null, key: null });
      expect(await remove(changed)).toEqual(refused('stale'));
      expect(await put(appSecretOf(app, 'A'))).toEqual(done);
    });

    test.each(['app', 'repository', 'project'] as const)(
      'with its %s everything of a preview goes, and nothing of another; one that may have a runtime holds it',
      async (what) => {
        const { org, app, write, ada, repo } = await withApp();
        const kept = await withAnotherApp(org);
        const all = [];
        for (const one of [app, kept]) {
          const preview = await write.create(one, 'pr-1', { hasRuntime: true, branch: 'feature' });
          const run = runOf(environmentBehind(preview));
          const started = next(preview, { run: run.id });
          await write.write(started, {
            environment: { ...environmentBehind(started), deploymentSequence: 1, latestDeployment: run.id },
            deployments: [{ deployment: run, adds: true }],
            message: messageOf(org, started),
          });
          await unwrap(
            port().keepStep(org, {
              projectEnvironmentId: preview.id,
              generation: 1,
              step: 'comment',
              result: 'c',
              at: made,
            }),
          );
          await write.secret(one, 'A');
          await write.secret(one, 'A', { type: 'production' });
          const scope = { type: 'app', id: one.id } as const;
          await unwrap(suite.harness.storage.dataKeys.add(org, dataKey(scope)));
          all.push({ preview: started, run, scope });
        }
        const [gone, other] = all as [(typeof all)[0], (typeof all)[0]];
        const { found: there } = await unwrap(deployments().getRepo(org, repo.id));
        const remove = async () => {
          const change = changeIn(org, newKey());
          if (what === 'app') return unwrap(deployments().deleteApp({ app, change }));
          if (what === 'repository') return unwrap(deployments().deleteRepo({ repo: there!, change }));
          const { projects } = suite.harness.storage;
          const { found: project } = await unwrap(projects.get(org, app.projectId));
          return unwrap(projects.delete({ project: project!, change }));
        };
        const entries = await suite.harness.raw.count('journal', org);
        expect(await remove()).toEqual(refused('has_live_previews'));
        expect(await suite.harness.raw.count('journal', org)).toBe(entries);
        expect(await suite.harness.raw.count('keys', org)).toBe(0);
        expect((await unwrap(port().facts(org, gone.preview.id))).found).toMatchObject({ run: gone.run });

        const stopped = next(gone.preview, { hasRuntime: false, status: 'stopped' });
        await write.write(stopped, {
          environment: { ...environmentBehind(stopped), deploymentSequence: 1, latestDeployment: gone.run.id },
        });
        expect(await remove()).toEqual(done);
        expect(await unwrap(port().facts(org, gone.preview.id))).toEqual({ found: null, key: null });
        expect(await unwrap(port().list(org, { appId: app.id }, first))).toBe(null);
        expect((await unwrap(deployments().getEnvironment(org, gone.preview.id))).found).toBe(null);
        expect((await unwrap(deployments().facts(org, gone.run.id))).found).toBe(null);
        const onBranch = await unwrap(deployments().listByBranch(org, { repoId: repo.id, branch: 'feature' }, first));
        expect(onBranch.items).toEqual([]);
        expect(await unwrap(port().unsent(org, first))).toEqual([messageOf(org, other.preview)]);
        expect(
          await unwrap(port().due(org, { now: afterMs(9_000_000), askedBy: afterMs(9_000_000), ...first })),
        ).toEqual([expect.objectContaining({ id: other.preview.id })]);
        for (const type of ['preview', 'production'] as const) {
          expect(await unwrap(port().secrets(org, { appId: app.id, type }))).toEqual([]);
          expect(await unwrap(port().secrets(org, { appId: kept.id, type }))).toHaveLength(1);
        }
        const { dataKeys } = suite.harness.storage;
        expect(await unwrap(dataKeys.ofScope(org, gone.scope))).toEqual([]);
        expect(await unwrap(dataKeys.ofScope(org, other.scope))).toHaveLength(1);
        expect(await unwrap(dataKeys.add(org, dataKey(gone.scope)))).toBe('not_found');
        expect((await unwrap(port().facts(org, other.preview.id))).found!.steps).toHaveLength(1);
        expect(await unwrap(ada.deployments.latest(other.preview.id))).toEqual(other.run);
        // What comes too late for it leaves nothing.
        await unwrap(
          port().keepStep(org, {
            projectEnvironmentId: gone.preview.id,
            generation: 1,
            step: 'comment',
            result: 'c',
            at: made,
          }),
        );
        expect(await unwrap(port().countTry(org, gone.preview.id, 3))).toBe(null);
        expect((await unwrap(port().facts(org, gone.preview.id))).found).toBe(null);
      },
    );

    test('of 24 that write the same thing at once one does, on both storages of a database', async () => {
      const { org, app, write } = await withApp();
      const ports = [port(), (await suite.other()).previews];
      const all = async (
        act: (of: ReturnType<typeof port>) => PromiseLike<{ done: true } | { done: false; refused: string }>,
      ) =>
        tally(
          (await together(24, (index) => act(ports[index % 2]!))).map((answer) =>
            answer.done ? 'done' : answer.refused,
          ),
        );
      expect(
        await all((of) => unwrap(of.create({ ...writing(org, previewOf(app, 'pr-1')), change: changeIn(org) }))),
      ).toEqual({ done: 1, stale: 23 });
      const preview = await write.create(app, 'pr-2');
      const changed = next(preview, { status: 'deploying' });
      expect(
        await all((of) =>
          unwrap(
            of.write({
              ...writing(org, changed),
              change: changeIn(org),
              expectedVersion: 1,
              previousBranch: preview.branch,
            }),
          ),
        ),
      ).toEqual({ done: 1, stale: 23 });
      const secret = appSecretOf(app, 'A');
      expect(await all((of) => unwrap(of.writeSecret({ secret, change: changeIn(org) })))).toEqual({
        done: 1,
        stale: 23,
      });
      expect(await all((of) => unwrap(of.removeSecret({ secret, change: changeIn(org) })))).toEqual({
        done: 1,
        stale: 23,
      });
    });

    test('a write that lets a runtime be, and the deletion of its app: never both', async () => {
      const other = await suite.other();
      for (let round = 0; round < 6; round++) {
        const { org, app, write } = await withApp();
        const preview = await write.create(app, 'pr-1');
        const prepared = next(preview, { hasRuntime: true });
        const [written, deleted] = await Promise.all([
          unwrap(port().write({ ...writing(org, prepared), expectedVersion: 1, previousBranch: preview.branch })),
          unwrap(other.deployments.deleteApp({ app, change: changeIn(org) })),
        ]);
        if (written.done) {
          expect(deleted).toEqual(refused('has_live_previews'));
          expect((await unwrap(port().facts(org, preview.id))).found).not.toBe(null);
        } else {
          expect([written, deleted]).toEqual([refused('not_found'), done]);
        }
      }
    });
  });

  async function withApp() {
    const { org, ada } = suite.inNewOrg();
    const write = { ...deploymentWriterOf(suite.harness.storage, org), ...previewWriterOf(suite.harness.storage, org) };
    const { id: projectId } = await unwrap(ada.projects.create({ name: randomUUID() }));
    const repo = await write.repo(`acme/${randomUUID()}`);
    return { org, ada, write, repo, app: await write.app({ projectId, repoId: repo.id }) };
  }

  async function withAnotherApp(org: string): Promise<App> {
    const ada = suite.vivarium().as({ org, type: 'user', id: 'ada' });
    const write = deploymentWriterOf(suite.harness.storage, org);
    const { id: projectId } = await unwrap(ada.projects.create({ name: randomUUID() }));
    const repo = await write.repo(`acme/${randomUUID()}`);
    return write.app({ projectId, repoId: repo.id });
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
