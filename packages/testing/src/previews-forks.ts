import { inspect } from 'node:util';
import { unwrap } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { changeIn } from './ephemeral-making.ts';
import { commit } from './every-deployment-call.ts';
import { fakeClock } from './fake-clock.ts';
import type { LoopbackCall } from './loopback-previews.ts';
import { everything } from './paging.ts';
import { messageAbout, previewing, workedOn } from './previews-making.ts';
import type { Previewing } from './previews-making.ts';
import type { Suite } from './suite.ts';

const fork = { headRepo: 'eve/shop' };

/** Code of strangers, and the secrets that it must not get. */
export function testPreviewForks(suite: Suite): void {
  describe('forks and secrets of previews', () => {
    test('approve: nothing of a fork runs until a person has approved the very commit, and only that one gets secrets', async () => {
      const here = await previewing(suite, { forks: 'approve' });
      const { client, outside, create, deliver, report, now } = here;
      await setSecret(here, 'API_KEY', 's3cr3t');
      const preview = await create('a', fork);
      expect(preview).toMatchObject({
        status: 'stopped',
        generation: 0,
        fork: true,
        headRepo: 'eve/shop',
        waitingSha: commit('a'),
      });
      expect(preview).toMatchObject({ run: null, hasRuntime: false });
      expect(await deliver()).toEqual(['told']);
      expect(outside.calls).toMatchObject({ create: 0, token: 0, head: 0 });
      const approve = (digit: string) =>
        client.previews.approve({ projectEnvironmentId: preview.id, sha: commit(digit) });
      await refused(approve('b'), 'illegal_transition');
      await create('b', fork);
      await refused(approve('a'), 'illegal_transition');
      expect(await unwrap(approve('b'))).toMatchObject({
        status: 'initializing',
        approvedSha: commit('b'),
        waitingSha: null,
      });
      await refused(approve('b'), 'illegal_transition');
      await deliver();
      expect(secretsOf(here)).toEqual([['API_KEY', 's3cr3t']]);
      await report(preview, { status: 'running' });

      // What runs goes on while the next commit waits; the branch has moved on, but nobody has looked at where to.
      outside.setHead('eve/shop', 'feature', commit('c'));
      const waits = await create('c', fork);
      expect(waits).toMatchObject({
        status: 'running',
        sha: commit('b'),
        headSha: commit('b'),
        waitingSha: commit('c'),
      });
      await unwrap(client.previews.restart(preview.id));
      expect(await deliver()).toContain('deploying');
      expect(await now(preview)).toMatchObject({ sha: commit('b'), waitingSha: commit('c') });
      expect(outside.runtimes.map(({ request }) => request.sha)).toEqual([commit('b')]);
      await report(preview, { status: 'running' });
      expect(await now(preview)).toMatchObject({ status: 'running', sha: commit('b') });
      await unwrap(approve('c'));
      await deliver();
      expect(await now(preview)).toMatchObject({ status: 'deploying', sha: commit('c'), approvedSha: commit('c') });
      expect(secretsOf(here)).toEqual([['API_KEY', 's3cr3t']]);
      // Approved once is approved: asked for again it waits for nobody.
      expect(await create('c', fork)).toMatchObject({ waitingSha: null });
    });

    test('approve: a commit that is approved while a run is under way is run when that ends', async () => {
      const { client, create, deliver, report, now } = await previewing(suite, { forks: 'approve' });
      const preview = await create('a', fork);
      const approve = (digit: string) =>
        unwrap(client.previews.approve({ projectEnvironmentId: preview.id, sha: commit(digit) }));
      await approve('a');
      await deliver();
      await create('b', fork);
      expect(await approve('b')).toMatchObject({ status: 'deploying', sha: commit('a'), headSha: commit('b') });
      await report(preview, { status: 'error' });
      expect(await now(preview)).toMatchObject({ status: 'initializing', sha: commit('b'), generation: 2 });
    });

    test('without_secrets: a fork runs at once, and gets none', async () => {
      const here = await previewing(suite, { forks: 'without_secrets' });
      const { create, deliver, outside } = here;
      await setSecret(here, 'API_KEY', 's3cr3t');
      const preview = await create('a', fork);
      expect(preview).toMatchObject({ status: 'initializing', fork: true, waitingSha: null });
      outside.setHead('eve/shop', 'feature', commit('b'));
      await deliver();
      expect(outside.runtimes.map(({ request }) => [request.sha, request.secrets])).toEqual([[commit('a'), {}]]);
      // A branch of the repository of the same name is not a fork's.
      await create('a', { pullRequest: 2 });
      await deliver();
      expect(Object.keys(outside.runtimes.at(-1)!.request.secrets)).toEqual(['API_KEY']);
    });

    test('ignore: a fork is refused also where an approved one was previewed before', async () => {
      const here = await previewing(suite, { forks: 'approve' });
      const preview = await here.create('a', fork);
      await unwrap(here.client.previews.approve({ projectEnvironmentId: preview.id, sha: commit('a') }));
      const strict = here.another({ previews: { ...here.outside.ports, forks: 'ignore' } });
      const wanted = { appId: here.app.id, pullRequest: 1, branch: 'feature', sha: commit('b'), ...fork };
      await refused(strict.previews.create(wanted), 'fork_not_allowed');
    });

    test('app secrets are set over one another, listed by name without values, and removed; runs that begin then get them', async () => {
      const clock = fakeClock();
      const here = await previewing(suite, { clock });
      const { client, app, outside, create, deliver } = here;
      const of = { appId: app.id, environmentType: 'preview' } as const;
      const { secrets } = client.previews;
      expect(await unwrap(secrets.list(of))).toEqual([]);
      const made = await setSecret(here, 'b', 'one');
      expect(made).toEqual({ ...of, name: 'b', createdAt: clock.now(), updatedAt: clock.now() });
      clock.advance(5);
      for (const name of ['a', 'B', '_', 'x'.repeat(256)]) await setSecret(here, name, '🧪'.repeat(16_384));
      const changed = await setSecret(here, 'b', '');
      expect(changed).toEqual({ ...made, updatedAt: clock.now() });
      const listed = await unwrap(secrets.list(of));
      expect(listed.map(({ name }) => name)).toEqual(['B', '_', 'a', 'b', 'x'.repeat(256)]);
      expect(listed[3]).toEqual(changed);
      expect(await unwrap(secrets.list({ ...of, environmentType: 'production' }))).toEqual([]);

      const preview = await create();
      await unwrap(secrets.remove({ ...of, name: '_' }));
      await refused(secrets.remove({ ...of, name: '_' }), 'not_found');
      await deliver();
      const handed = outside.runtimes[0]!.request.secrets;
      expect(Object.keys(handed).toSorted()).toEqual(['B', 'a', 'b', 'x'.repeat(256)].toSorted());
      expect([handed['b']!.reveal(), handed['a']!.reveal()]).toEqual(['', '🧪'.repeat(16_384)]);
      expect(JSON.stringify(handed)).not.toContain('🧪');
      await setSecret(here, 'b', 'two');
      expect(handed['b']!.reveal()).toBe('');
      await here.report(preview, { status: 'running' });
      await unwrap(client.previews.restart(preview.id));
      await deliver();
      expect(outside.runtimes[0]!.request.secrets['b']!.reveal()).toBe('two');
    });

    test('a secret that was moved to another name, type or app does not open', async () => {
      const here = await previewing(suite);
      const { client, org, create, deliver, now } = here;
      await setSecret(here, 'A', 'one');
      const preview = await create();
      await deliver();
      await here.report(preview, { status: 'running' });
      await deliver();
      const { previews } = suite.harness.storage;
      const [stored] = await unwrap(previews.secrets(org, { appId: here.app.id, type: 'preview' }));
      await unwrap(previews.writeSecret({ secret: { ...stored!, name: 'B' }, change: changeIn(org) }));
      await unwrap(client.previews.restart(preview.id));
      expect(await deliver()).toEqual(['unsealing_failed']);
      for (let tried = 2; tried <= 5; tried++)
        await workedOn(client.previews.handle(messageAbout(org, await now(preview))));
      const failed = await now(preview);
      expect(failed.status).toBe('error');
      expect(failed.reason).toContain('in 5 tries');
    });

    test('secrets, tokens, keys of reports and private words are found nowhere but where they belong', async () => {
      const heard: unknown[] = [];
      const seen: unknown[] = [];
      const here = await previewing(suite, {
        hooks: { onPreviewFailure: ({ error: _error, ...failure }) => void heard.push(failure) },
        telemetry: {
          call(record) {
            seen.push(record);
            suite.telemetry.call(record);
          },
        },
      });
      const { client, org, outside, create, deliver, report } = here;
      const words = ['s3cr3t', 'private', 'n3w'].map((word) => `c4n4ry-${org}-${word}`) as [string, string, string];
      const [secret, privately, newer] = words;
      seen.push(await setSecret(here, 'API_KEY', secret, 'k'), await setSecret(here, 'API_KEY', newer));
      const preview = await create();
      const spilling = () => {
        throw Object.assign(new Error(privately, { cause: new Error(privately) }), {
          body: privately,
          name: privately,
        });
      };
      const failed = async (call: LoopbackCall) => {
        outside.before(call, spilling);
        const message = messageAbout(org, await here.now(preview));
        seen.push(await refused(client.previews.handle(message), 'preview_step_failed'));
      };
      for (const call of ['head', 'comment', 'token', 'create'] as const) await failed(call);
      outside.before('send', spilling);
      seen.push(await create('b'));
      outside.before('authenticate', spilling);
      const wanted = { appId: here.app.id, pullRequest: 1, branch: 'feature', sha: commit('a') };
      seen.push(await refused(client.previews.create(wanted), 'preview_step_failed'));
      await deliver();
      await unwrap(client.previews.handle(messageAbout(org, await here.now(preview))));
      const made = outside.made(`${preview.id}-1`);
      expect(made.secrets['API_KEY']!.reveal()).toBe(newer);
      await report(preview, { status: 'tests_started' });
      const forged = { ...outside.report(`${preview.id}-1`, { status: 'running' }), signature: `sha256=${privately}` };
      seen.push(await refused(client.previews.report(forged), 'invalid_signature'));
      await report(preview, { status: 'running' });
      await deliver();
      seen.push(made, await here.now(preview), await unwrap(client.previews.list({ appId: here.app.id })));
      seen.push(...outside.comments, ...outside.tracked, ...outside.messages);

      const hidden = [...words, made.token.reveal(), made.reportKey.reveal()];
      const journal = await everything((page) => client.journal.list(page));
      const dump = await suite.harness.raw.dump();
      expect(dump).toContain(preview.id);
      expect(heard.length).toBeGreaterThan(4);
      const places = {
        dump,
        journal: JSON.stringify(journal),
        hooks: inspect(heard, { depth: 20, showHidden: true }),
        answers: seen.map((one) => inspect(one, { depth: 20, showHidden: true }) + JSON.stringify(one)).join('\n'),
      };
      for (const [place, text] of Object.entries(places)) {
        const forms = hidden.flatMap((word) => [
          word,
          Buffer.from(word).toString('hex'),
          Buffer.from(word).toString('base64').slice(0, -4),
        ]);
        expect([place, forms.filter((form) => text.includes(form))]).toEqual([place, []]);
      }
    });
  });
}

function setSecret({ client, app }: Previewing, name: string, value: string, idempotencyKey?: string) {
  const secret = { appId: app.id, environmentType: 'preview', name, value } as const;
  return unwrap(client.previews.secrets.set({ ...secret, ...(idempotencyKey !== undefined && { idempotencyKey }) }));
}

/** What the newest runtime was handed. */
function secretsOf({ outside }: Previewing) {
  return Object.entries(outside.runtimes.at(-1)!.request.secrets).map(([name, value]) => [name, value.reveal()]);
}
