import { unwrap } from '@vivarium/core';
import type { PageInput, PreviewStatus } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { commit } from './every-deployment-call.ts';
import { fakeClock } from './fake-clock.ts';
import { lifeUntil } from './mortal.ts';
import { allPages, everything } from './paging.ts';
import { failing, messageAbout, previewing, workedOn } from './previews-making.ts';
import { sequentialIds } from './sequential-ids.ts';
import type { Suite } from './suite.ts';

/** A preview from being asked for to being gone, with all that can go wrong outside. */
export function testPreviews(suite: Suite): void {
  describe('previews', () => {
    test('a preview is asked for, carried out by a worker and reported on, and each run is one deployment', async () => {
      const clock = fakeClock();
      const { client, app, org, outside, create, deliver, report, now } = await previewing(suite, { clock });
      await unwrap(client.deployments.apps.update(app.id, { entrypoint: 'apps/shop' }));
      for (const environmentType of ['preview', 'production'] as const) {
        await unwrap(
          client.previews.secrets.set({ appId: app.id, environmentType, name: 'API_KEY', value: environmentType }),
        );
      }
      const preview = await create();
      const { id } = preview;
      expect(preview).toEqual({
        id,
        appId: app.id,
        projectId: app.projectId,
        repoId: app.repoId,
        environment: 'pr-1',
        type: 'preview',
        status: 'initializing',
        branch: 'feature',
        headRepo: 'acme/shop',
        fork: false,
        approvedSha: null,
        waitingSha: null,
        pullRequest: 1,
        sha: commit('a'),
        headSha: commit('a'),
        url: null,
        tests: null,
        commentId: null,
        runtimeId: null,
        hasRuntime: false,
        generation: 1,
        run: expect.any(String),
        reportSequence: 0,
        pendingCommand: null,
        reason: null,
        stopCause: null,
        note: null,
        deadline: new Date(clock.now().getTime() + 1_800_000),
        requestedAt: clock.now(),
        version: 1,
        createdAt: clock.now(),
        updatedAt: clock.now(),
      });
      const environment = await unwrap(client.deployments.environments.get(id));
      expect(environment).toMatchObject({ environment: 'pr-1', type: 'preview', managedBy: app.id, branch: 'feature' });
      expect(environment).toMatchObject({ latestDeployment: preview.run, activeDeployment: null, version: 1 });
      expect(await unwrap(client.deployments.latest(id))).toMatchObject({ status: 'created', sha: commit('a') });
      expect(outside.messages).toEqual([messageAbout(org, preview)]);
      expect(outside.tracked).toMatchObject([
        { name: 'environment_created', orgId: org, messageId: `${id}-1-environment_created` },
      ]);
      expect(outside.calls).toMatchObject({ authenticate: 1, comment: 0, create: 0 });

      clock.advance(1_000);
      expect(await deliver()).toEqual(['deploying', 'told']);
      const [runtime, ...more] = outside.runtimes;
      expect(more).toEqual([]);
      const { token, secrets, reportKey, ...asked } = runtime!.request;
      expect(asked).toMatchObject({
        key: `${id}-1`,
        orgId: org,
        repo: { provider: 'github', fullName: 'acme/shop' },
        entrypoint: 'apps/shop',
        type: 'preview',
        sha: commit('a'),
        preview: { id, generation: 1 },
      });
      expect(asked.preview).not.toHaveProperty('reportKey');
      expect(token.reveal()).toContain('acme/shop');
      expect(Object.keys(secrets)).toEqual(['API_KEY']);
      expect(secrets['API_KEY']!.reveal()).toBe('preview');
      expect(reportKey.reveal()).toHaveLength(43);
      const [comment, ...others] = outside.comments;
      expect(others).toEqual([]);
      expect(comment).toMatchObject({ repo: 'acme/shop', pullRequest: 1, marker: expect.stringContaining(id) });
      expect(comment!.body).toContain('Deploying');
      const deploying = await now(preview);
      expect(deploying).toMatchObject({
        status: 'deploying',
        commentId: comment!.id,
        runtimeId: runtime!.runtimeId,
        hasRuntime: true,
        deadline: new Date(clock.now().getTime() + 1_800_000),
      });
      expect(await unwrap(client.deployments.latest(id))).toMatchObject({ status: 'running', startedAt: clock.now() });

      expect(await report(preview, { status: 'tests_started' })).toBe('applied');
      expect(await report(preview, { status: 'running', url: 'https://pr-1.example.com', tests: 'passed' })).toBe(
        'applied',
      );
      expect(await deliver()).toEqual(['told', 'told']);
      const running = await now(preview);
      expect(running).toMatchObject({
        status: 'running',
        url: 'https://pr-1.example.com',
        tests: 'passed',
        deadline: null,
        reportSequence: 2,
      });
      expect(outside.comments).toHaveLength(1);
      expect(outside.comments[0]!.body).toMatch(/Running[^]*https:\/\/pr-1\.example\.com[^]*passed/);
      const deployment = await unwrap(client.deployments.latest(id));
      expect(deployment).toMatchObject({ id: preview.run, status: 'success', url: 'https://pr-1.example.com' });
      expect(await unwrap(client.deployments.environments.get(id))).toMatchObject({
        activeDeployment: preview.run,
        version: running.version,
      });
      expect(outside.tracked.map(({ name }) => name)).toEqual(['environment_created', 'environment_running']);

      expect(await unwrap(client.previews.stop(id))).toMatchObject({ status: 'stopping', stopCause: 'asked' });
      expect(await deliver()).toEqual(['stopped', 'told']);
      expect(await now(preview)).toMatchObject({ status: 'stopped', hasRuntime: false, runtimeId: null, url: null });
      expect(outside.runtimes).toEqual([]);
      expect(outside.comments[0]!.body).toContain('Stopped');
      expect(await unwrap(client.previews.remove(id))).toMatchObject({ status: 'deleted' });
      expect(outside.tracked.map(({ name }) => name)).toEqual([
        'environment_created',
        'environment_running',
        'environment_stopped',
      ]);
      expect((await unwrap(client.deployments.history({ projectEnvironmentId: id }))).items).toEqual([deployment]);
      expect(await create('b')).toMatchObject({ id, status: 'initializing', generation: 2, stopCause: null });
    });

    test('each run takes its place in the history, and the runtime of the run before goes first', async () => {
      const { client, outside, running, deliver, report, now } = await previewing(suite);
      const preview = await running();
      const { id } = preview;
      await unwrap(client.previews.restart(id));
      expect(await deliver()).toEqual(['deploying', 'told']);
      expect(outside.runtimes.map(({ key }) => key)).toEqual([`${id}-2`]);
      const second = await now(preview);
      const statuses = async () =>
        (await unwrap(client.deployments.history({ projectEnvironmentId: id }))).items.map(({ status }) => status);
      expect(await statuses()).toEqual(['running', 'success']);
      const pointers = async () => {
        const { latestDeployment, activeDeployment } = await unwrap(client.deployments.environments.get(id));
        return [latestDeployment, activeDeployment];
      };
      expect(await pointers()).toEqual([second.run, preview.run]);
      await report(preview, { status: 'running' });
      expect(await statuses()).toEqual(['success', 'inactive']);
      expect(await pointers()).toEqual([second.run, second.run]);

      await unwrap(client.previews.restart(id));
      await deliver();
      await report(preview, { status: 'error', reason: 'out of memory' });
      const failed = await now(preview);
      expect(failed).toMatchObject({ status: 'error', reason: 'out of memory', generation: 3, hasRuntime: true });
      expect(await statuses()).toEqual(['failed', 'success', 'inactive']);
      expect(await unwrap(client.deployments.latest(id))).toMatchObject({ description: 'out of memory' });
      expect(await pointers()).toEqual([failed.run, second.run]);
      await deliver();
      expect(outside.comments[0]!.body).toContain('out of memory');
      expect(outside.comments).toHaveLength(1);
    });

    test('a head that comes while a run is under way starts another one when it ends, whichever way', async () => {
      for (const ends of ['running', 'error'] as const) {
        const { client, create, deliver, report, now } = await previewing(suite);
        const preview = await create();
        await deliver();
        expect(await create('b')).toMatchObject({ status: 'deploying', sha: commit('a'), headSha: commit('b') });
        await create('c');
        expect(await now(preview)).toMatchObject({ generation: 1, headSha: commit('c') });
        await report(preview, { status: ends });
        expect(await now(preview)).toMatchObject({ status: 'initializing', generation: 2, sha: commit('c') });
        const { items } = await unwrap(client.deployments.history({ projectEnvironmentId: preview.id }));
        expect(items.map(({ status, sha }) => [status, sha])).toEqual([
          ['created', commit('c')],
          [ends === 'running' ? 'success' : 'failed', commit('a')],
        ]);
      }
    });

    test('a new commit restarts one that runs; the same one asks for nothing new', async () => {
      const { create, running, now, deliver } = await previewing(suite);
      const preview = await running();
      expect(await create('a')).toEqual(preview);
      expect(await create('b')).toMatchObject({ status: 'initializing', generation: 2, sha: commit('b') });
      await deliver();
      expect(await now(preview)).toMatchObject({ status: 'deploying' });
    });

    test('stopped while it is only just being made, it is made and taken down', async () => {
      const { client, outside, create, deliver, now } = await previewing(suite);
      const preview = await create();
      await unwrap(client.previews.stop(preview.id));
      expect(await deliver()).toEqual(['deploying', 'stopped', 'told']);
      expect(await now(preview)).toMatchObject({ status: 'stopped', stopCause: 'asked', hasRuntime: false });
      expect(outside.runtimes).toEqual([]);
      expect(outside.calls).toMatchObject({ create: 1, remove: 1 });
      const { items } = await unwrap(client.deployments.history({ projectEnvironmentId: preview.id }));
      expect(items).toMatchObject([{ status: 'canceled' }]);
      await refused(client.previews.stop(preview.id), 'illegal_transition');
    });

    test('a runtime that comes to life when its preview was given up and stopped is removed by the worker that made it', async () => {
      const clock = fakeClock();
      const { client, outside, create, deliver, now } = await previewing(suite, { clock });
      const preview = await create();
      outside.before('create', async () => {
        clock.advance(1_800_000);
        expect(await unwrap(client.previews.sweep())).toMatchObject([{ action: 'give_up', outcome: 'done' }]);
        await unwrap(client.previews.stop(preview.id));
        expect(await deliver()).toContain('stopped');
        expect(await now(preview)).toMatchObject({ status: 'stopped', hasRuntime: false });
      });
      expect((await deliver())[0]).toBe('overtaken');
      expect(outside.calls.create).toBe(1);
      expect(outside.runtimes).toEqual([]);
      expect(await now(preview)).toMatchObject({ status: 'stopped', hasRuntime: false });
    });

    test('reopened while it stops, it is made again when that has ended', async () => {
      const { client, outside, running, create, deliver, now } = await previewing(suite);
      const preview = await running();
      await unwrap(client.previews.stop(preview.id));
      expect(await create('b')).toMatchObject({ status: 'stopping', pendingCommand: { type: 'create' } });
      expect(await deliver()).toEqual(['stopped', 'deploying', 'told']);
      expect(await now(preview)).toMatchObject({
        status: 'deploying',
        generation: 2,
        sha: commit('b'),
        stopCause: null,
      });
      expect(outside.runtimes.map(({ key }) => key)).toEqual([`${preview.id}-2`]);
      expect(outside.tracked.map(({ name }) => name)).toContain('environment_created');
    });

    test('a runtime that cannot be removed is stop_error, until a person says that it is gone or it is tried again', async () => {
      const { client, org, outside, running, create, deliver, now } = await previewing(suite);
      const preview = await running();
      await unwrap(client.previews.stop(preview.id));
      failing(outside, 'before', 'remove', { refused: true, status: 403 });
      expect(await deliver()).toEqual(['given_up', 'told']);
      const stuck = await now(preview);
      expect(stuck).toMatchObject({ status: 'stop_error', hasRuntime: true, deadline: null });
      expect(stuck.reason).toBe('the step removal was refused (HTTP 403)');
      expect(outside.comments[0]!.body).toContain('HTTP 403');
      await refused(client.previews.remove(preview.id), 'illegal_transition');

      // Stopped once more, and not at all.
      expect(await unwrap(client.previews.stop(preview.id))).toMatchObject({ status: 'stopping' });
      for (let tried = 1; tried <= 5; tried++) {
        failing(outside, 'before', 'remove');
        const message = messageAbout(org, await now(preview));
        expect(await workedOn(client.previews.handle(message))).toBe(tried < 5 ? 'preview_step_failed' : 'given_up');
      }
      expect(await now(preview)).toMatchObject({
        status: 'stop_error',
        reason: 'the step removal did not succeed, in 5 tries',
      });
      const gone = await unwrap(client.previews.forget(preview.id, { note: 'removed by hand' }));
      expect(gone).toMatchObject({ status: 'deleted', note: 'removed by hand', hasRuntime: false });
      await create('b');
      await deliver();
      expect(await now(preview)).toMatchObject({ status: 'deploying', generation: 2, note: null });
    });

    test.each(['head', 'comment', 'token', 'create'] as const)(
      'a step that keeps failing is tried 5 times, and then the preview is in error with the reason: %s',
      async (call) => {
        const { client, org, outside, create, deliver, now } = await previewing(suite);
        const step = call === 'create' ? 'runtime' : call;
        const preview = await create();
        for (let tried = 1; tried <= 5; tried++) {
          failing(outside, 'before', call, { retryAfterMs: 1_000 * tried });
          const { version, status } = await now(preview);
          expect(status).toBe('initializing');
          const handled = await client.previews.handle(messageAbout(org, { ...preview, version }));
          if (tried === 5) expect(unwrap(handled)).toBe('given_up');
          else
            expect(handled.isErr() && handled.error).toMatchObject({
              step,
              retryAfterMs: 1_000 * tried,
              refused: false,
            });
        }
        const failed = await now(preview);
        expect(failed).toMatchObject({ status: 'error', reason: `the step ${step} did not succeed, in 5 tries` });
        expect(outside.tracked.map(({ name }) => name)).toEqual(['environment_created', 'environment_failed']);
        expect(await unwrap(client.deployments.latest(preview.id))).toMatchObject({ status: 'failed' });
        await deliver();
        expect(outside.comments).toHaveLength(1);
        expect(outside.comments[0]!.body).toContain(failed.reason);
        await unwrap(client.previews.restart(preview.id));
        expect(await deliver()).toEqual(['deploying', 'told']);
        expect(outside.runtimes.map(({ key }) => key)).toEqual([`${preview.id}-2`]);
      },
    );

    test('what a port refuses is not tried again', async () => {
      const { outside, create, deliver, now } = await previewing(suite);
      const preview = await create();
      failing(outside, 'before', 'create', { refused: true });
      expect((await deliver())[0]).toBe('given_up');
      expect(await now(preview)).toMatchObject({ status: 'error', reason: 'the step runtime was refused' });
    });

    test('what a port says beside the three things that are known becomes part of nothing', async () => {
      const seen: unknown[] = [];
      const { client, org, outside, create, now } = await previewing(suite, {
        hooks: { onPreviewFailure: (failure) => void seen.push(failure) },
      });
      const preview = await create();
      const faults: readonly unknown[] = [
        Object.assign(new Error('private words'), { retryAfterMs: -1, status: 7, refused: 'yes' }),
        'private words',
        null,
        undefined,
      ];
      for (const fault of faults) {
        outside.before('comment', () => {
          throw fault;
        });
        const error = await refused(
          client.previews.handle(messageAbout(org, await now(preview))),
          'preview_step_failed',
        );
        expect(error).toMatchObject({ step: 'comment', retryAfterMs: null, refused: false, status: null });
        expect(JSON.stringify(error) + error.stack).not.toContain('private');
      }
      expect(seen).toEqual(
        faults.map((error) => ({ orgId: org, projectEnvironmentId: preview.id, step: 'comment', error })),
      );
    });

    test('a worker that is told to go gives the message back and has not given up, however often', async () => {
      const { client, org, outside, create, deliver, now } = await previewing(suite);
      const preview = await create();
      for (let tried = 0; tried < 6; tried++) {
        const going = new AbortController();
        outside.before('comment', () => {
          going.abort(new Error('the process ends'));
          return new Promise(() => undefined);
        });
        const message = messageAbout(org, await now(preview));
        await refused(client.previews.handle(message, { signal: going.signal }), 'preview_step_failed');
        expect(await now(preview)).toMatchObject({ status: 'initializing' });
      }
      expect(outside.comments).toEqual([]);
      await unwrap(client.previews.restart(preview.id));
      await deliver();
      expect(outside.runtimes).toHaveLength(1);
    });

    test('a branch that has moved on before anything was made is run at its newest commit', async () => {
      const { client, outside, create, deliver, now } = await previewing(suite);
      const preview = await create();
      outside.setHead('acme/shop', 'feature', commit('b'));
      expect(await deliver()).toEqual(['overtaken', 'deploying', 'told']);
      expect(await now(preview)).toMatchObject({
        status: 'deploying',
        generation: 2,
        sha: commit('b'),
        headSha: commit('b'),
      });
      expect(outside.runtimes.map(({ request }) => request.sha)).toEqual([commit('b')]);
      const { items } = await unwrap(client.deployments.history({ projectEnvironmentId: preview.id }));
      expect(items.map(({ status, sha }) => [status, sha])).toEqual([
        ['running', commit('b')],
        ['failed', commit('a')],
      ]);
      // A branch that is gone is nothing to move on to.
      outside.setHead('acme/shop', 'feature', null);
      await unwrap(client.previews.restart(preview.id));
      expect(await now(preview)).toMatchObject({ pendingCommand: { type: 'restart' } });
    });

    test.each(['comment', 'token', 'create', 'remove'] as const)(
      'cut off right after an effect, before anybody knows of it, it ends with one comment and one runtime: %s',
      async (call) => {
        const { client, outside, running, deliver, now, org } = await previewing(suite);
        const preview = await running();
        await unwrap(client.previews.restart(preview.id));
        failing(outside, 'after', call);
        expect((await deliver())[0]).toBe('preview_step_failed');
        await workedOn(client.previews.handle(messageAbout(org, await now(preview))));
        await deliver();
        expect(await now(preview)).toMatchObject({ status: 'deploying', generation: 2 });
        expect(outside.comments).toHaveLength(1);
        expect(outside.runtimes.map(({ key }) => key)).toEqual([`${preview.id}-2`]);
        expect((await now(preview)).runtimeId).toBe(outside.runtimes[0]!.runtimeId);
      },
    );

    test('a worker that dies at any call, before its effect or before anybody knows of it, leaves what ends with one comment and one runtime', async () => {
      let died = 0;
      for (let step = 1, lives = false; !lives; step++) {
        const { client, outside, org, running, another, deliver, report, now } = await previewing(suite);
        const preview = await running();
        await unwrap(client.previews.restart(preview.id));
        const life = lifeUntil(step);
        const { previews } = suite.harness.storage;
        const dying = another({
          storage: { ...suite.harness.storage, previews: life.living(previews) },
          previews: life.living(outside.ports),
        });
        const [message] = outside.take(org);
        lives = (await Promise.race([dying.previews.handle(message!), life.death])) !== 'died';
        if (!lives) died++;
        // As a queue delivers again, and sweep sends again.
        await unwrap(client.previews.handle(message!));
        await unwrap(client.previews.sweep());
        await deliver();
        expect({ step, ...(await now(preview)) }).toMatchObject({ step, status: 'deploying', generation: 2 });
        expect(outside.comments).toHaveLength(1);
        expect(outside.runtimes.map(({ key }) => key)).toEqual([`${preview.id}-2`]);
        expect((await now(preview)).runtimeId).toBe(outside.runtimes[0]!.runtimeId);
        expect(await report(preview, { status: 'running' })).toBe('applied');
        expect(step).toBeLessThan(80);
      }
      expect(died).toBeGreaterThan(20);
    });

    test('a message that comes twice, late, or for what is not there does no harm', async () => {
      const { client, org, outside, running, now, create } = await previewing(suite);
      const first = messageAbout(org, await create());
      const preview = await running();
      const before = { ...outside.calls };
      for (let times = 0; times < 3; times++) {
        expect(await unwrap(client.previews.handle(first))).toBe('told');
        expect(await unwrap(client.previews.handle({ ...first, sequence: 1_000 }))).toBe('told');
      }
      expect(outside.calls).toEqual({ ...before, comment: before.comment + 6 });
      expect(await now(preview)).toEqual(preview);
      const nowhere = '00000000-0000-7000-8000-00000000dead';
      expect(await unwrap(client.previews.handle({ ...first, projectEnvironmentId: nowhere }))).toBe('idle');
      const error = await refused(client.previews.handle({ ...first, orgId: 'another-org' }), 'invalid_input');
      expect(error.issues).toMatchObject([{ path: 'message.orgId' }]);
    });

    test('a comment that somebody has deleted is made again', async () => {
      const { outside, client, running, deliver } = await previewing(suite);
      const preview = await running();
      outside.deleteComment(outside.comments[0]!.id);
      await unwrap(client.previews.stop(preview.id));
      await deliver();
      expect(outside.comments).toHaveLength(1);
      expect(outside.comments[0]!.body).toContain('Stopped');
    });

    test('a queue that is down loses nothing: the preview is written, the host hears of it, and sweep sends it', async () => {
      const heard: unknown[] = [];
      const { client, org, outside, create, deliver, now } = await previewing(suite, {
        hooks: { onPreviewFailure: (failure) => void heard.push(failure) },
      });
      const fault = new Error('the queue is down');
      outside.before('send', () => {
        throw fault;
      });
      const preview = await create();
      expect(heard).toEqual([{ orgId: org, projectEnvironmentId: preview.id, step: 'send', error: fault }]);
      expect(outside.messages).toEqual([]);
      const action = { projectEnvironmentId: preview.id, action: 'send', why: expect.any(String) };
      expect(await unwrap(client.previews.sweep({ dryRun: true }))).toEqual([{ ...action, outcome: 'planned' }]);
      failing(outside, 'before', 'send');
      expect(await unwrap(client.previews.sweep())).toEqual([{ ...action, outcome: 'not_sent' }]);
      expect(await unwrap(client.previews.sweep())).toEqual([{ ...action, outcome: 'done' }]);
      expect(await unwrap(client.previews.sweep())).toEqual([]);
      expect(await deliver()).toEqual(['deploying', 'told']);
      expect(await now(preview)).toMatchObject({ status: 'deploying' });
    });

    test("without a queue messages are worked off in this process, and kept until then: what one process did not get to is the next one's", async () => {
      const { client, org, outside, app, another, report, now } = await previewing(suite);
      const { queue: _queue, ...ports } = outside.ports;
      const inProcess = another({ previews: ports });
      const unsent = () => unwrap(suite.harness.storage.previews.unsent(org, { limit: 10, after: null }));
      const wanted = { appId: app.id, pullRequest: 1, branch: 'feature', sha: commit('a') };
      const preview = await unwrap(inProcess.previews.create(wanted));
      await expect.poll(async () => (await now(preview)).status, { timeout: 20_000 }).toBe('deploying');
      await expect.poll(unsent, { timeout: 20_000 }).toEqual([]);
      expect(outside.comments).toHaveLength(1);
      await report(preview, { status: 'running' });
      outside.take(org);

      // Of a process that ends before it has told anybody.
      await unwrap(another({ previews: undefined }).previews.restart(preview.id));
      expect(await unsent()).toEqual([messageAbout(org, await now(preview))]);
      const action = { projectEnvironmentId: preview.id, action: 'send', why: expect.any(String) };
      failing(outside, 'before', 'head');
      expect(await unwrap(inProcess.previews.sweep())).toEqual([{ ...action, outcome: 'preview_step_failed' }]);
      expect(await unwrap(inProcess.previews.sweep())).toEqual([{ ...action, outcome: 'done' }]);
      expect(await now(preview)).toMatchObject({ status: 'deploying', generation: 2 });
      await expect.poll(unsent, { timeout: 20_000 }).toEqual([]);
      expect(outside.messages).toEqual([]);
      expect(await unwrap(client.previews.sweep())).toEqual([]);
    });

    test('analytics that fail, or never answer, hold nobody up', async () => {
      const { outside, create } = await previewing(suite);
      outside.before('track', () => {
        throw new Error('no');
      });
      await create();
      outside.before('track', () => new Promise(() => undefined));
      expect(await create('b', { pullRequest: 2 })).toMatchObject({ status: 'initializing' });
    });

    test('production is an environment of the default branch, with its own secrets and nobody to tell', async () => {
      const { client, app, outside, create, deliver, report, now } = await previewing(suite);
      for (const environmentType of ['preview', 'production'] as const) {
        const secret = { appId: app.id, environmentType, name: 'A', value: environmentType } as const;
        await unwrap(client.previews.secrets.set(secret));
      }
      const production = await create('a', { type: 'production', pullRequest: null, branch: 'main' });
      expect(production).toMatchObject({ environment: 'production', type: 'production', pullRequest: null });
      expect(await deliver()).toEqual(['deploying']);
      expect(outside.runtimes[0]!.request).toMatchObject({ type: 'production' });
      expect(outside.runtimes[0]!.request.secrets['A']!.reveal()).toBe('production');
      await report(production, { status: 'running' });
      expect(outside.comments).toEqual([]);
      expect(await unwrap(client.deployments.environments.get(production.id))).toMatchObject({ type: 'production' });
      expect(await now(production)).toMatchObject({ status: 'running' });
    });

    test('previews come in pages of every size, newest first, those of the same moment by id, with the same cursors as memory storage', async () => {
      const series = suite.newSeries();
      const [tested, reference] = await Promise.all(
        [suite.harness.storage, memoryStorage()].map(async (storage) => {
          // The same ids and times on both, and several previews of the same moment.
          const ports = { storage, clock: fakeClock(), ids: sequentialIds(series) };
          const { client, app, create, outside } = await previewing(suite, ports);
          for (let count = 1; count <= 7; count++) {
            const { id } = await create('a', { pullRequest: count });
            if (count % 2 === 0) await unwrap(client.previews.restart(id));
            if (count % 3 === 0) ports.clock.advance(1_000);
          }
          expect(outside.messages).toHaveLength(7);
          return (status?: PreviewStatus) => (page: PageInput) =>
            client.previews.list({ appId: app.id, ...(status && { status }), ...page });
        }),
      );
      for (const status of [undefined, 'initializing'] as const) {
        const whole = await everything(reference!(status));
        const inOrder = whole.toSorted(
          (a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1),
        );
        expect(whole).toEqual(inOrder);
        expect(whole).toHaveLength(7);
        for (let limit = 1; limit <= 8; limit++) {
          expect(await allPages(tested!(status), limit)).toEqual(await allPages(reference!(status), limit));
        }
      }
      expect(await everything(tested!('running'))).toEqual([]);
    });

    test('every change is one entry of its environment, of at most a kilobyte, and every version is there', async () => {
      const { client, outside, running, deliver, create, now } = await previewing(suite);
      const preview = await running();
      await create('b');
      await deliver();
      await unwrap(client.previews.stop(preview.id));
      failing(outside, 'before', 'remove', { refused: true });
      await deliver();
      await unwrap(client.previews.forget(preview.id, { note: '語'.repeat(1_000) }));
      const entries = await everything((page) =>
        client.journal.list({ subject: { type: 'project_environment', id: preview.id }, ...page }),
      );
      const { version } = await now(preview);
      expect(entries.map(({ sequence, stream }) => [sequence, stream])).toEqual(
        Array.from({ length: version }, (_, index) => [version - index, preview.id]),
      );
      for (const entry of entries) expect(Buffer.byteLength(JSON.stringify(entry.data))).toBeLessThanOrEqual(1_024);
      expect(entries.map(({ action }) => action).toReversed()).toEqual([
        'preview.created',
        'preview.preparing',
        'preview.deploying',
        'preview.running',
        'preview.asked_for',
        'preview.deploying',
        'preview.asked_to_stop',
        'preview.given_up',
        'preview.forgotten',
      ]);
    });

    test('inside the transaction of a host nothing is sent before it commits: sweep sends it', async () => {
      const { client, org, outside, app, deliver } = await previewing(suite);
      const { transaction } = suite.harness;
      if (transaction === undefined) {
        expect(suite.harness.storage.within).toBe(undefined);
        return;
      }
      const wanted = (pullRequest: number) => ({ appId: app.id, pullRequest, branch: 'feature', sha: commit('a') });
      await transaction(async (given) => {
        await unwrap(client.within(given).previews.create(wanted(1)));
        return 'rollback';
      });
      expect((await unwrap(client.previews.list({ appId: app.id }))).items).toEqual([]);
      expect(await unwrap(client.previews.sweep())).toEqual([]);
      expect(outside.messages).toEqual([]);
      await transaction(async (given) => {
        const { id } = await unwrap(client.within(given).previews.create(wanted(2)));
        await unwrap(client.within(given).previews.restart(id));
        return 'commit';
      });
      expect(outside.messages).toEqual([]);
      expect(await unwrap(client.previews.sweep())).toMatchObject([{ action: 'send', outcome: 'done' }]);
      expect(outside.messages).toMatchObject([{ orgId: org }]);
      expect(await deliver()).toEqual(['deploying', 'told']);
    });
  });
}
