import { unwrap } from '@vivarium/core';
import type { Client, SourceEvent } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { commit } from './every-deployment-call.ts';
import { fakeClock } from './fake-clock.ts';
import { failing, makeApp, previewing } from './previews-making.ts';
import type { Previewing } from './previews-making.ts';
import type { Suite } from './suite.ts';

const day = 86_400_000;
const from = { provider: 'github', repo: 'acme/shop' } as const;

/** What happens at the source control, what webhooks have missed, and what time brings. */
export function testPreviewEvents(suite: Suite): void {
  describe('events of previews', () => {
    test('a pull request is previewed when it is opened, follows its branch, stops when it is closed, and is back when it is reopened', async () => {
      const here = await previewing(suite);
      const { client, app, outside, deliver, report } = here;
      const opened = await happen(here, 'opened', 'a');
      expect(opened).toEqual({
        duplicate: false,
        previews: [{ appId: app.id, environment: 'pr-1', asked: 'create', outcome: 'done' }],
      });
      const preview = (await unwrap(client.previews.list({ appId: app.id }))).items[0]!;
      expect(preview).toMatchObject({ pullRequest: 1, branch: 'feature', sha: commit('a'), fork: false });
      await deliver();
      await report(preview, { status: 'running' });
      expect(await happen(here, 'synchronized', 'a')).toMatchObject({ previews: [] });
      expect((await happen(here, 'synchronized', 'b')).previews).toHaveLength(1);
      await deliver();
      await report(preview, { status: 'running' });
      expect(await here.now(preview)).toMatchObject({ status: 'running', generation: 2, sha: commit('b') });

      const closed = { appId: app.id, environment: 'pr-1', asked: 'stop', outcome: 'done' };
      expect((await happen(here, 'closed')).previews).toEqual([closed]);
      expect(await here.now(preview)).toMatchObject({ status: 'stopping', stopCause: 'closed' });
      expect((await happen(here, 'closed')).previews).toEqual([]);
      // Webhooks may come in another order than what they tell of.
      expect((await happen(here, 'synchronized', 'c')).previews).toEqual([]);
      await deliver();
      expect((await happen(here, 'synchronized', 'd')).previews).toEqual([]);
      expect(await here.now(preview)).toMatchObject({ status: 'stopped', generation: 2 });
      expect(outside.runtimes).toEqual([]);

      await happen(here, 'reopened', 'd');
      await deliver();
      expect(await here.now(preview)).toMatchObject({
        status: 'deploying',
        generation: 3,
        sha: commit('d'),
        stopCause: null,
      });
      expect(outside.comments).toHaveLength(1);
    });

    test('what somebody has stopped follows its branch again, what somebody has removed does not', async () => {
      const here = await previewing(suite);
      const preview = await here.running();
      await unwrap(here.client.previews.stop(preview.id));
      await here.deliver();
      expect((await happen(here, 'synchronized', 'b')).previews).toHaveLength(1);
      await here.deliver();
      await unwrap(here.client.previews.stop(preview.id));
      await here.deliver();
      await unwrap(here.client.previews.remove(preview.id));
      expect((await happen(here, 'synchronized', 'c')).previews).toEqual([]);
      expect((await happen(here, 'closed')).previews).toEqual([]);
      expect(await here.now(preview)).toMatchObject({ status: 'deleted' });
      expect((await happen(here, 'reopened', 'c')).previews).toHaveLength(1);
    });

    test('a closed pull request whose preview is only just being made is stopped as soon as it can be', async () => {
      const here = await previewing(suite);
      const preview = await here.create();
      await happen(here, 'closed');
      expect(await here.now(preview)).toMatchObject({
        status: 'initializing',
        pendingCommand: { type: 'stop', cause: 'closed' },
      });
      expect((await happen(here, 'synchronized', 'b')).previews).toEqual([]);
      await here.deliver();
      expect(await here.now(preview)).toMatchObject({ status: 'stopped', stopCause: 'closed' });
      expect(here.outside.runtimes).toEqual([]);
    });

    test('a delivery counts once, in its org, and for 30 days', async () => {
      const clock = fakeClock();
      const here = await previewing(suite, { clock });
      const other = await previewing(suite, { clock });
      const event = eventOf('opened', 'a', 'the same');
      expect(await unwrap(here.client.previews.onEvent(event))).toMatchObject({ duplicate: false });
      const again = { duplicate: true, previews: [] };
      expect(await unwrap(here.client.previews.onEvent(event))).toEqual(again);
      expect(await unwrap(other.client.previews.onEvent(event))).toMatchObject({ duplicate: false });
      clock.advance(30 * day - 1);
      await unwrap(here.client.previews.sweep());
      expect(await unwrap(here.client.previews.onEvent(event))).toEqual(again);
      clock.advance(1);
      expect(await unwrap(here.client.previews.onEvent(event))).toMatchObject({ duplicate: false });
    });

    test('a delivery that failed for a reason that passes may come again, and does what is still to do', async () => {
      const here = await previewing(suite);
      const { client, outside } = here;
      const second = await appInAnotherProject(client, here.app.repoId);
      const event = eventOf('opened', 'a', 'one');
      outside.before('authenticate', () => undefined);
      failing(outside, 'before', 'authenticate');
      await refused(client.previews.onEvent(event), 'preview_step_failed');
      const all = async () => {
        const lists = [here.app.id, second].map((appId) => unwrap(client.previews.list({ appId })));
        return (await Promise.all(lists)).flatMap(({ items }) => items);
      };
      expect(await all()).toHaveLength(1);
      expect(await unwrap(client.previews.onEvent(event))).toMatchObject({ duplicate: false });
      expect(await all()).toHaveLength(2);
    });

    test('a repository has a preview for each of its apps; one that nobody knows has none', async () => {
      const here = await previewing(suite);
      const { client, app, deliver, outside } = here;
      const second = await appInAnotherProject(client, app.repoId);
      await makeApp(client, 'Other', 'acme/other');
      const opened = await unwrap(client.previews.onEvent({ ...eventOf('opened', 'a'), repo: 'ACME/Shop' }));
      expect(opened.previews.map(({ appId }) => appId).toSorted()).toEqual([app.id, second].toSorted());
      await deliver();
      expect(outside.runtimes).toHaveLength(2);
      expect(outside.comments).toHaveLength(2);
      expect((await happen(here, 'closed')).previews).toHaveLength(2);
      for (const nowhere of [{ repo: 'acme/nowhere' }, { provider: 'gitlab' }]) {
        const nobody = { ...eventOf('opened', 'a'), ...nowhere };
        expect(await unwrap(client.previews.onEvent(nobody))).toEqual({ duplicate: false, previews: [] });
      }
    });

    test('what a preview cannot have is part of the answer', async () => {
      const here = await previewing(suite, { forks: 'ignore' });
      const { client, app } = here;
      const named = { projectId: app.projectId, repoId: app.repoId, environment: 'pr-2' };
      await unwrap(client.deployments.environments.ensure(named));
      const outcomes = async (event: SourceEvent) =>
        (await unwrap(client.previews.onEvent(event))).previews.map(({ outcome }) => outcome);
      expect(await outcomes({ ...eventOf('opened', 'a'), headRepo: 'eve/shop' } as SourceEvent)).toEqual([
        'fork_not_allowed',
      ]);
      expect(await outcomes(eventOf('opened', 'a', 'another', 2))).toEqual(['managed_elsewhere']);
    });

    test('what is pushed to a branch is followed by production, and by what tracks the branch without a pull request', async () => {
      const here = await previewing(suite);
      const { client, app, create, deliver } = here;
      const production = await create('a', { type: 'production', pullRequest: null, branch: 'main' });
      const staging = await create('a', { environment: 'staging', pullRequest: null, branch: 'main' });
      const ofPull = await create('a', { branch: 'main' });
      const otherBranch = await create('a', { environment: 'next', pullRequest: null, branch: 'next' });
      const ofFork = await create('a', {
        environment: 'fork',
        pullRequest: null,
        branch: 'main',
        headRepo: 'eve/shop',
      });
      await unwrap(
        client.deployments.environments.ensure({
          projectId: app.projectId,
          repoId: app.repoId,
          environment: 'theirs',
          branch: 'main',
        }),
      );
      await deliver();
      const pushed = { type: 'branch_pushed', ...from, branch: 'main', sha: commit('b') } as const;
      const { previews } = await unwrap(client.previews.onEvent({ ...pushed, deliveryId: 'push' }));
      expect(previews.map(({ environment }) => environment).toSorted()).toEqual(['production', 'staging']);
      const heads = [];
      for (const one of [production, staging, ofPull, otherBranch, ofFork]) heads.push((await here.now(one)).headSha);
      expect(heads).toEqual(['b', 'b', 'a', 'a', 'a'].map(commit));
      expect((await unwrap(client.previews.onEvent({ ...pushed, deliveryId: 'again' }))).previews).toEqual([]);
      await unwrap(client.previews.stop(staging.id));
      await deliver();
      await unwrap(client.previews.remove(staging.id));
      const later = await unwrap(client.previews.onEvent({ ...pushed, sha: commit('c'), deliveryId: 'later' }));
      expect(later.previews.map(({ environment }) => environment)).toEqual(['production']);
    });
  });

  describe('reconciling previews', () => {
    test('what is missing, out of date or reopened is asked for, what is closed is stopped, and all else is let be', async () => {
      const here = await previewing(suite);
      const { client, app, create, deliver, outside } = here;
      const pulls = [1, 2, 3, 4, 5, 6];
      const previews = new Map<number, Awaited<ReturnType<typeof create>>>();
      for (const pullRequest of pulls) previews.set(pullRequest, await create('a', { pullRequest }));
      const production = await create('a', { type: 'production', pullRequest: null, branch: 'main' });
      const branch = await create('a', { environment: 'branch', pullRequest: null });
      await deliver();
      await unwrap(client.previews.stop(previews.get(4)!.id));
      await happen(here, 'closed', 'a', 5);
      await deliver();
      await unwrap(client.previews.stop(previews.get(6)!.id));
      await deliver();
      await unwrap(client.previews.remove(previews.get(6)!.id));

      const open = (pullRequest: number, digit = 'a') => ({ pullRequest, branch: 'feature', sha: commit(digit) });
      const openPullRequests = [open(1), open(2, 'b'), open(4), open(5), open(6), open(7)];
      const handled = await unwrap(client.previews.reconcile({ appId: app.id, openPullRequests }));
      expect(handled.toSorted((a, b) => (a.environment < b.environment ? -1 : 1))).toMatchObject([
        { environment: 'pr-2', asked: 'create', outcome: 'done' },
        { environment: 'pr-3', asked: 'stop', outcome: 'done' },
        { environment: 'pr-5', asked: 'create', outcome: 'done' },
        { environment: 'pr-7', asked: 'create', outcome: 'done' },
      ]);
      await deliver();
      const statuses = [];
      for (const pullRequest of pulls) statuses.push((await here.now(previews.get(pullRequest)!)).status);
      expect(statuses).toEqual(['deploying', 'deploying', 'stopped', 'stopped', 'deploying', 'deleted']);
      expect((await here.now(previews.get(2)!)).headSha).toBe(commit('b'));
      for (const one of [production, branch]) expect(await here.now(one)).toMatchObject({ status: 'deploying' });
      expect(await unwrap(client.previews.reconcile({ appId: app.id, openPullRequests }))).toEqual([]);
      expect(outside.runtimes).toHaveLength(6);
    });

    test('more previews than fit a page are all held against what is open', async () => {
      const { client, app, create } = await previewing(suite);
      for (let pullRequest = 1; pullRequest <= 103; pullRequest++) await create('a', { pullRequest });
      const handled = await unwrap(client.previews.reconcile({ appId: app.id, openPullRequests: [] }));
      expect(new Set(handled.map(({ environment }) => environment)).size).toBe(103);
      expect(handled.every(({ asked, outcome }) => asked === 'stop' && outcome === 'done')).toBe(true);
    });
  });

  describe('sweeping previews', () => {
    test('what takes too long is in error or stop_error with the reason, and not before', async () => {
      const clock = fakeClock();
      const here = await previewing(suite, { clock });
      const { client, create, deliver, report, running } = here;
      const stopping = await running();
      const [initializing, deploying, testing] = [
        await create('a', { pullRequest: 2 }),
        await create('a', { pullRequest: 3 }),
        await create('a', { pullRequest: 4 }),
      ];
      await deliver();
      await report(testing, { status: 'tests_started' });
      await unwrap(client.previews.restart(initializing.id));
      await report(initializing, { status: 'running' });
      await unwrap(client.previews.stop(stopping.id));
      here.outside.take(here.org);
      const sweep = (dryRun = false) => unwrap(client.previews.sweep({ dryRun }));
      clock.advance(1_800_000 - 1);
      expect((await sweep(true)).filter(({ action }) => action === 'give_up')).toEqual([]);
      clock.advance(1);
      const planned = (await sweep(true)).filter(({ action }) => action === 'give_up');
      expect(planned.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 4 }, () => 'planned'));
      expect(await here.now(deploying)).toMatchObject({ status: 'deploying' });
      const swept = (await sweep()).filter(({ action }) => action === 'give_up');
      expect(swept).toEqual(planned.map((one) => ({ ...one, outcome: 'done' })));
      for (const one of [initializing, deploying, testing]) {
        const after = await here.now(one);
        expect(after).toMatchObject({ status: 'error', deadline: null });
        expect(after.reason).toContain('did not end by 2025-01-01T00:30:00.000Z');
        expect(await unwrap(client.deployments.latest(one.id))).toMatchObject({ status: 'failed' });
      }
      expect(await here.now(stopping)).toMatchObject({
        status: 'stop_error',
        reason: expect.stringContaining('stopping'),
      });
      expect((await sweep()).filter(({ action }) => action === 'give_up')).toEqual([]);
      // Too late is too late.
      expect(await report(deploying, { status: 'running' })).toBe('out_of_place');
    });

    test('previews that nobody has asked for in a while are stopped, production and what has ended never', async () => {
      const clock = fakeClock();
      const here = await previewing(suite, { clock });
      const { client, create, deliver, report } = here;
      const production = await create('a', { type: 'production', pullRequest: null, branch: 'main' });
      const old = await create('a', { pullRequest: 1 });
      const asked = await create('a', { pullRequest: 2 });
      const stopped = await create('a', { pullRequest: 3 });
      await deliver();
      for (const one of [production, old, asked, stopped]) await report(one, { status: 'running' });
      await unwrap(client.previews.stop(stopped.id));
      await deliver();
      clock.advance(day);
      await create('a', { pullRequest: 2 });
      await deliver();
      expect(await unwrap(client.previews.sweep({ olderThanMs: day + 1 }))).toEqual([]);
      expect(await unwrap(client.previews.sweep())).toEqual([]);
      const swept = { projectEnvironmentId: old.id, action: 'stop', why: expect.stringContaining('2025-01-01') };
      expect(await unwrap(client.previews.sweep({ olderThanMs: day, dryRun: true }))).toEqual([
        { ...swept, outcome: 'planned' },
      ]);
      expect(await here.now(old)).toMatchObject({ status: 'running' });
      expect(await unwrap(client.previews.sweep({ olderThanMs: day }))).toEqual([{ ...swept, outcome: 'done' }]);
      expect(await here.now(old)).toMatchObject({ status: 'stopping', stopCause: 'aged' });
      await deliver();
      expect(await unwrap(client.previews.sweep({ olderThanMs: day }))).toEqual([]);
      expect(await here.now(production)).toMatchObject({ status: 'running' });
      expect(await here.now(asked)).toMatchObject({ status: 'running' });
      // Aged is not closed: its branch brings it back.
      expect((await happen(here, 'synchronized', 'b', 1)).previews).toHaveLength(1);
    });

    test('one sweep does no more than its limit, and the next ones the rest', async () => {
      const clock = fakeClock();
      const { client, create, org, outside } = await previewing(suite, { clock });
      for (let pullRequest = 1; pullRequest <= 7; pullRequest++) await create('a', { pullRequest });
      outside.take(org);
      clock.advance(1_800_000);
      const swept = [];
      for (const expected of [3, 3, 1]) {
        const some = await unwrap(client.previews.sweep({ limit: 3 }));
        expect(some.filter(({ action }) => action === 'give_up')).toHaveLength(expected);
        expect(some.length).toBeLessThanOrEqual(3);
        swept.push(...some);
      }
      const ids = swept
        .filter(({ action }) => action === 'give_up')
        .map(({ projectEnvironmentId }) => projectEnvironmentId);
      expect(new Set(ids).size).toBe(7);
    });
  });
}

let deliveries = 0;

function eventOf(
  what: 'opened' | 'reopened' | 'synchronized',
  digit: string,
  deliveryId = `delivery ${++deliveries}`,
  pullRequest = 1,
): SourceEvent {
  const head = { pullRequest, branch: 'feature', headRepo: 'acme/shop', sha: commit(digit) };
  return { type: `pull_request_${what}`, ...from, deliveryId, ...head };
}

function happen(
  { client }: Previewing,
  what: 'opened' | 'reopened' | 'synchronized' | 'closed',
  digit = 'a',
  pullRequest = 1,
) {
  if (what !== 'closed') return unwrap(client.previews.onEvent(eventOf(what, digit, undefined, pullRequest)));
  const closed = { type: 'pull_request_closed', ...from, deliveryId: `delivery ${++deliveries}`, pullRequest } as const;
  return unwrap(client.previews.onEvent(closed));
}

async function appInAnotherProject({ projects, deployments }: Client<unknown>, repoId: string): Promise<string> {
  const { id: projectId } = await unwrap(projects.create({ name: 'Another project' }));
  return (await unwrap(deployments.apps.create({ projectId, repoId, name: 'The same repository' }))).id;
}
