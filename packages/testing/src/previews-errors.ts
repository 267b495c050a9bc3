import { localKeyring, unwrap } from '@vivarium/core';
import type { Client, KeyManagement, ResultAsync, VivariumError } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { commit } from './every-deployment-call.ts';
import { failing, messageAbout, previewing, previewsSnapshot } from './previews-making.ts';
import type { Suite } from './suite.ts';
import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;

/** Every call of something that is not there, of previews. */
export function nowherePreviews({ previews }: Client<unknown>, world: World, nowhere: string): readonly Answer[] {
  const { previewed, asked, preview } = world;
  const { app } = previewed;
  const secret = { environmentType: 'preview', name: 'API_KEY' } as const;
  const wanted = { pullRequest: 1, branch: 'one', sha: commit('1') };
  return [
    previews.create({ appId: nowhere, ...wanted }),
    previews.create({ appId: asked.id, ...wanted }),
    // A project environment that no preview drives is none.
    ...[nowhere, app.id, preview.id].flatMap((id) => [
      previews.get(id),
      previews.restart(id),
      previews.stop(id),
      previews.remove(id),
      previews.forget(id, { note: 'x' }),
      previews.approve({ projectEnvironmentId: id, sha: commit('b') }),
    ]),
    previews.list({ appId: nowhere }),
    previews.list({ appId: asked.id, status: 'running' }),
    previews.reconcile({ appId: nowhere, openPullRequests: [] }),
    previews.secrets.set({ appId: nowhere, ...secret, value: 'x' }),
    previews.secrets.list({ appId: nowhere, environmentType: 'preview' }),
    previews.secrets.remove({ appId: nowhere, ...secret }),
    previews.secrets.remove({ appId: app.id, ...secret, name: 'NOWHERE' }),
    previews.secrets.remove({ appId: app.id, ...secret, environmentType: 'production' }),
  ];
}

/** Every error that only previews have. */
export function testPreviewErrors(suite: Suite): void {
  describe('errors of previews', () => {
    test('the pull request of a fork is fork_not_allowed where a host has not said otherwise', async () => {
      const { client, app, outside } = await previewing(suite, { forks: 'ignore' });
      const wanted = { appId: app.id, pullRequest: 1, branch: 'feature', sha: commit('a') };
      const error = await refused(client.previews.create({ ...wanted, headRepo: 'eve/shop' }), 'fork_not_allowed');
      expect(error).toMatchObject({ headRepo: 'eve/shop' });
      expect((await unwrap(client.previews.list({ appId: app.id }))).items).toEqual([]);
      expect(outside.messages).toEqual([]);
      // The repository itself, however it is written, is no fork.
      expect(await unwrap(client.previews.create({ ...wanted, headRepo: 'ACME/shop' }))).toMatchObject({ fork: false });
    });

    test('an environment whose deployments others report is managed_elsewhere, and stays theirs', async () => {
      const { client, app } = await previewing(suite);
      const named = { projectId: app.projectId, repoId: app.repoId, environment: 'pr-1' };
      const theirs = await unwrap(client.deployments.environments.ensure(named));
      const wanted = { appId: app.id, pullRequest: 1, branch: 'feature', sha: commit('a') };
      const error = await refused(client.previews.create({ ...wanted, idempotencyKey: 'k' }), 'managed_elsewhere');
      expect(error).toMatchObject({ environment: 'pr-1' });
      expect(await unwrap(client.deployments.environments.get(theirs.id))).toEqual(theirs);
      expect(await unwrap(client.previews.create({ ...wanted, environment: 'mine' }))).toMatchObject({ version: 1 });
    });

    test('a source control that does not let us is preview_step_failed with what it said, and nothing is made', async () => {
      const { client, app, outside, create } = await previewing(suite);
      const wanted = { pullRequest: 1, branch: 'feature', sha: commit('a') };
      const event = {
        type: 'pull_request_opened',
        provider: 'github',
        repo: 'acme/shop',
        headRepo: 'acme/shop',
      } as const;
      const said = { retryAfterMs: 60_000, status: 403 };
      const asking: readonly (() => Answer)[] = [
        () => client.previews.create({ appId: app.id, ...wanted, idempotencyKey: 'k' }),
        () => client.previews.onEvent({ ...event, deliveryId: 'one', ...wanted }),
        () => client.previews.reconcile({ appId: app.id, openPullRequests: [wanted] }),
      ];
      for (const call of asking) {
        failing(outside, 'before', 'authenticate', said);
        const error = await refused(call(), 'preview_step_failed');
        expect(error).toMatchObject({ step: 'authenticate', refused: false, ...said });
      }
      failing(outside, 'before', 'authenticate', { refused: true });
      expect(await refused(asking[0]!(), 'preview_step_failed')).toMatchObject({ refused: true, retryAfterMs: null });
      // What would be the same if it were tried again is part of the answer.
      for (const call of asking.slice(1)) {
        failing(outside, 'before', 'authenticate', { refused: true });
        expect(JSON.stringify(await unwrap(call()))).toContain('"outcome":"preview_step_failed"');
      }
      expect((await unwrap(client.previews.list({ appId: app.id }))).items).toEqual([]);
      expect(await create()).toMatchObject({ version: 1 });
    });

    test('without a source control and a runtime only what needs them is not_configured', async () => {
      const { client, app, org, create, another } = await previewing(suite);
      const preview = await create();
      const bare = another({ previews: undefined }).previews;
      const before = await previewsSnapshot(client);
      const wanted = { pullRequest: 2, branch: 'feature', sha: commit('a') };
      const closed = { type: 'pull_request_closed', provider: 'github', repo: 'acme/shop', pullRequest: 1 } as const;
      for (const answer of [
        bare.create({ appId: app.id, ...wanted }),
        bare.handle(messageAbout(org, preview)),
        bare.onEvent({ ...closed, deliveryId: 'one' }),
        bare.reconcile({ appId: app.id, openPullRequests: [] }),
      ]) {
        expect(await refused(answer, 'not_configured')).toMatchObject({ port: 'previews' });
      }
      expect(await previewsSnapshot(client)).toEqual(before);
      expect((await unwrap(bare.restart(preview.id))).pendingCommand).toMatchObject({ type: 'restart' });
      expect((await unwrap(bare.stop(preview.id))).pendingCommand).toMatchObject({ type: 'stop' });
      expect(await unwrap(bare.sweep())).toEqual([]);
    });

    test.each([
      ['are not there', 'not_configured', undefined],
      ['do not answer', 'key_management_failure', keys({ answering: false })],
      ['are not those that it was sealed with', 'unsealing_failed', keys({ answering: true })],
    ] as const)('app secrets and report keys whose keys %s stay sealed: %s', async (_why, code, given) => {
      const { client, app, org, outside, another, running, create } = await previewing(suite);
      const secret = { appId: app.id, environmentType: 'preview', name: 'API_KEY' } as const;
      await unwrap(client.previews.secrets.set({ ...secret, value: 's3cr3t' }));
      const preview = await running();
      const second = await create('b', { pullRequest: 2 });
      const without = another({ keys: given }).previews;
      await refused(without.secrets.set({ ...secret, value: 'x' }), code);
      await refused(without.handle(messageAbout(org, second)), code);
      const report = outside.report(`${preview.id}-1`, { status: 'error' });
      await refused(without.report(report), code);
      expect(await unwrap(client.previews.get(preview.id))).toMatchObject({ status: 'running', reportSequence: 1 });
      // The message is still there to be worked off.
      expect(await unwrap(client.previews.handle(messageAbout(org, second)))).toBe('deploying');
      const { secrets } = outside.runtimes.find(({ request }) => request.preview.id === second.id)!.request;
      expect(secrets['API_KEY']!.reveal()).toBe('s3cr3t');
    });

    test('a command that loses the race eight times is stale_version and has changed nothing', async () => {
      const here = await previewing(suite);
      const { client, app, create, another } = here;
      const preview = await create();
      const secret = { appId: app.id, environmentType: 'preview', name: 'API_KEY' } as const;
      await unwrap(client.previews.secrets.set({ ...secret, value: 'first' }));
      let races = 0;
      const storage = overtaken(suite.harness.storage, async () => {
        races++;
        await unwrap(client.previews.restart(preview.id));
        await unwrap(client.previews.secrets.set({ ...secret, value: `value ${races}` }));
      });
      const slow = another({ storage }).previews;
      const wanted = { pullRequest: 1, branch: 'feature', sha: commit('b') };
      const event = {
        type: 'pull_request_opened',
        provider: 'github',
        repo: 'acme/shop',
        headRepo: 'acme/shop',
      } as const;
      for (const call of [
        () => slow.create({ appId: app.id, ...wanted }),
        () => slow.onEvent({ ...event, deliveryId: 'one', ...wanted }),
        () => slow.reconcile({ appId: app.id, openPullRequests: [wanted] }),
        () => slow.stop(preview.id),
        () => slow.secrets.set({ ...secret, value: 'late' }),
        () => slow.secrets.remove(secret),
      ]) {
        races = 0;
        await refused(call(), 'stale_version');
        expect(races).toBe(8);
      }
      expect(await here.now(preview)).toMatchObject({ headSha: commit('a'), pendingCommand: { type: 'restart' } });
      // The delivery has not been handled, and may come again.
      const again = await unwrap(client.previews.onEvent({ ...event, deliveryId: 'one', ...wanted }));
      expect(again).toMatchObject({ duplicate: false });
    });

    test('what follows from a report is decided anew while others are quicker, 16 times', async () => {
      const { client, org, outside, create, deliver, another, now } = await previewing(suite);
      const preview = await create();
      await deliver();
      let rivals = 3;
      const storage = overtaken(suite.harness.storage, async () => {
        if (rivals-- > 0) await unwrap(client.previews.restart(preview.id));
      });
      const slow = another({ storage }).previews;
      const started = outside.report(`${preview.id}-1`, { status: 'tests_started' });
      expect(await unwrap(slow.report(started))).toEqual({ applied: true, why: 'applied' });
      expect(rivals).toBeLessThan(0);
      rivals = 1_000;
      const error = await refused(
        slow.report(outside.report(`${preview.id}-1`, { status: 'running' })),
        'storage_failure',
      );
      expect(error).toMatchObject({ retryable: true, outcome: 'none' });
      expect(rivals).toBe(1_000 - 17);
      // Nor does a worker do anything that it has not looked at: the message has to come again.
      const before = { ...outside.calls };
      await refused(slow.handle(messageAbout(org, preview)), 'storage_failure');
      expect(outside.calls).toEqual(before);
      expect((await now(preview)).status).toBe('running_tests');
    });

    test('a command that waits, and comes between the look of a worker and its work, is not lost', async () => {
      const { client, org, outside, create, another, deliver, now } = await previewing(suite);
      const preview = await create();
      outside.take(org);
      let comes = true;
      const storage = overtaken(suite.harness.storage, async () => {
        if (comes) await unwrap(client.previews.stop(preview.id));
        comes = false;
      });
      expect(await unwrap(another({ storage }).previews.handle(messageAbout(org, preview)))).toBe('deploying');
      expect(await now(preview)).toMatchObject({ status: 'stopping' });
      await deliver();
      expect(await now(preview)).toMatchObject({ status: 'stopped' });
    });

    test.each(['app', 'repository', 'project'] as const)(
      'the %s of a preview that may have a runtime is not deleted, and says so; one without takes everything with it',
      async (what) => {
        const { client, app, org, outside, running, deliver } = await previewing(suite);
        const secret = { appId: app.id, environmentType: 'preview', name: 'API_KEY' } as const;
        await unwrap(client.previews.secrets.set({ ...secret, value: 's3cr3t' }));
        const { id } = await running();
        const remove = (): Answer => {
          if (what === 'app') return client.deployments.apps.delete(app.id, { idempotencyKey: 'k' });
          if (what === 'repository') return client.deployments.repos.delete(app.repoId, { idempotencyKey: 'k' });
          return client.projects.delete(app.projectId, { idempotencyKey: 'k' });
        };
        const before = await previewsSnapshot(client);
        const entries = await suite.harness.raw.count('journal', org);
        if (what === 'project') {
          const error = await refused(remove(), 'project_has_live_previews');
          expect(error).toMatchObject({ projectId: app.projectId });
        } else {
          await refused(remove(), 'has_live_previews');
        }
        expect(await previewsSnapshot(client)).toEqual(before);
        expect(await suite.harness.raw.count('journal', org)).toBe(entries);
        expect(await suite.harness.raw.count('keys', org)).toBe(0);

        // One that is only just being stopped may have one, too.
        await unwrap(client.previews.stop(id));
        expect(await codeOf(remove())).toBe(what === 'project' ? 'project_has_live_previews' : 'has_live_previews');
        await deliver();
        await unwrap(remove());
        await refused(client.previews.get(id), 'not_found');
        await refused(client.deployments.environments.get(id), 'not_found');
        await refused(client.previews.secrets.list(secretsOf(secret)), 'not_found');
        expect(await unwrap(suite.harness.storage.dataKeys.ofScope(org, { type: 'app', id: app.id }))).toEqual([]);
        expect(
          await unwrap(client.previews.handle({ version: 1, orgId: org, projectEnvironmentId: id, sequence: 9 })),
        ).toBe('idle');
        const late = client.previews.report(outside.report(`${id}-1`, { status: 'error' }));
        await refused(late, 'invalid_signature');
        expect(outside.runtimes).toEqual([]);
      },
    );
  });
}

function secretsOf({ appId, environmentType }: { appId: string; environmentType: 'preview' }) {
  return { appId, environmentType };
}

/** Keys that do not answer, or answer with others than those that were wrapped. */
function keys({ answering }: { readonly answering: boolean }): KeyManagement {
  const ring = localKeyring({ keys: `other:${Buffer.alloc(32, 9).toString('base64')}` });
  const fail = () => Promise.reject(new Error('the key management is gone'));
  if (!answering) return { generateDataKey: fail, unwrapDataKey: fail, rewrapDataKey: fail };
  return { ...ring, unwrapDataKey: async () => new Uint8Array(32).fill(3) };
}

/** The same storage, where somebody else is quicker between each load of a command and the write that follows. */
function overtaken(storage: Storage<unknown>, rival: () => Promise<void>): Storage<unknown> {
  const { previews } = storage;
  const late = async <T>(facts: T): Promise<T> => {
    await rival();
    return facts;
  };
  return {
    ...storage,
    previews: {
      ...previews,
      askFacts: (...args) => previews.askFacts(...args).map(late),
      facts: (...args) => previews.facts(...args).map(late),
      secretFacts: (...args) => previews.secretFacts(...args).map(late),
    },
  };
}
