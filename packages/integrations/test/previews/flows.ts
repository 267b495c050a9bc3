import { randomUUID } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { QueueByHand } from './by-hand.ts';
import { password, world } from './world.ts';
import type { Place } from './world.ts';

export const [first, second, third] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [string, string, string];
export const url = 'https://pr-2.previews.example';

/** A team whose messages are worked off by hand. */
export const byHand = async (place: Place = {}) => {
  const queue = new QueueByHand();
  const made = await world({ ...place, queue });
  return { ...made, queue, settle: () => queue.workOff(made.vivarium) };
};

/** What is to be so wherever everything is kept, and whoever carries the messages. */
export function flows(
  name: string,
  team: (place?: Place) => Promise<Awaited<ReturnType<typeof world>> & { settle(): Promise<void> }>,
): void {
  describe(`[${name}] previews on GitHub`, () => {
    test('live as long as their pull request, whatever is delivered twice', async () => {
      const { deliver, settle, preview, history, hub, runtime } = await team();
      const comment = () => hub.comments.map(({ body }) => body).join();

      expect([await deliver('opened'), await deliver('opened')]).toEqual([200, 200]);
      await settle();
      expect(await preview()).toMatchObject({ status: 'deploying', generation: 1, sha: first, pullRequest: 2 });
      expect(runtime.runs()).toHaveLength(1);
      const { asked, times } = runtime.newest();
      expect(times).toBe(1);
      expect(asked).toMatchObject({
        preview: { environment: 'pr-2', type: 'preview', generation: 1, fork: false },
        source: { repo: 'Codertocat/Hello-World', branch: 'changes', sha: first, entrypoint: 'main.w' },
        secrets: { PASSWORD: password },
      });
      expect(hub.tokens.get(asked.source.token)!.asked).toEqual({
        repositories: ['Hello-World'],
        permissions: { contents: 'read' },
      });

      expect(await runtime.newest().report({ status: 'tests_started' })).toBe(204);
      await settle();
      expect(comment()).toContain('Running tests');
      expect(await runtime.newest().report({ status: 'running', url, tests: 'passed' })).toBe(204);
      await settle();
      expect(comment()).toContain(`<${url}>`);
      expect(await preview()).toMatchObject({ status: 'running', url, tests: 'passed' });

      expect([await deliver('synchronize', { sha: second }), await deliver('synchronize', { sha: second })]).toEqual([
        200, 200,
      ]);
      await settle();
      expect(await preview()).toMatchObject({ status: 'deploying', generation: 2, sha: second });
      expect(runtime.living().map((run) => run.asked.preview.generation)).toEqual([2]);
      expect(await runtime.newest().report({ status: 'running', url })).toBe(204);
      await settle();

      expect([await deliver('closed'), await deliver('closed')]).toEqual([200, 200]);
      await settle();
      expect(await preview()).toMatchObject({ status: 'stopped', stopCause: 'closed' });
      expect(runtime.living()).toEqual([]);
      expect(comment()).toContain('Stopped');

      await deliver('reopened', { sha: second });
      await settle();
      await runtime.newest().report({ status: 'running', url });
      await settle();
      expect(await preview()).toMatchObject({ status: 'running', generation: 3 });
      expect(hub.comments).toHaveLength(1);
      expect(comment()).toContain('Running');
      expect((await history()).map(({ status, sha }) => `${status} ${sha}`)).toEqual([
        'inactive a',
        'inactive b',
        'success b',
      ]);
    });

    test('start once more when somebody asks, after what is under way', async () => {
      const { deliver, settle, preview, ada, runtime, hub } = await team();
      await deliver('opened');
      await settle();
      const { id } = (await preview())!;
      expect((await ada.previews.restart(id))._unsafeUnwrap()).toMatchObject({ pendingCommand: { type: 'restart' } });
      expect((await ada.previews.stop(id))._unsafeUnwrap()).toMatchObject({ status: 'stopping' });
      await settle();
      expect(await preview()).toMatchObject({ status: 'stopped', stopCause: 'asked', pendingCommand: null });
      expect(runtime.living()).toEqual([]);
      await ada.previews.restart(id);
      await settle();
      await runtime.newest().report({ status: 'running', url });
      await settle();
      expect(await preview()).toMatchObject({ status: 'running', generation: 2 });
      expect(hub.comments).toHaveLength(1);
    });

    test('are a production, too, which follows the branch it tracks', async () => {
      const { push, settle, ada, app, runtime, hub } = await team();
      hub.heads.set('codertocat/hello-world#master', first);
      const made = await ada.previews.create({ appId: app.id, type: 'production', branch: 'master', sha: first });
      const { id } = made._unsafeUnwrap();
      await settle();
      await runtime.newest().report({ status: 'running', url });
      await settle();
      expect(await push(second)).toBe(200);
      await settle();
      await runtime.newest().report({ status: 'running', url });
      await settle();
      expect((await ada.previews.get(id))._unsafeUnwrap()).toMatchObject({ status: 'running', sha: second });
      expect(runtime.living().map(({ asked }) => [asked.source.sha, asked.secrets])).toEqual([[second, {}]]);
      expect(hub.comments).toEqual([]);
    });

    test('show a failure with its reason, and a comment that was deleted by hand is made again', async () => {
      const { deliver, settle, preview, history, hub, runtime } = await team();
      await deliver('opened');
      await settle();
      const gone = hub.comments.splice(0);
      await runtime.newest().report({ status: 'error', reason: 'the tests `failed` | <b>' });
      await settle();
      expect(await preview()).toMatchObject({ status: 'error', reason: 'the tests `failed` | <b>' });
      expect(hub.comments).toHaveLength(1);
      expect(hub.comments[0]!.id).not.toBe(gone[0]!.id);
      expect(hub.comments[0]!.body).toContain('| Reason | `the tests  failed    <b>` |');
      expect((await preview())!.commentId).toBe(String(hub.comments[0]!.id));
      expect((await history()).map(({ status }) => status)).toEqual(['failed']);
    });

    test('believe no report but one of the run that goes on, signed with its own key', async () => {
      const { deliver, settle, preview, runtime, org, ada } = await team();
      await deliver('opened');
      await settle();
      const old = runtime.newest();
      await deliver('synchronize', { sha: second });
      await old.report({ status: 'running', url: 'https://first.example' });
      await settle();
      const before = await preview();
      expect(before).toMatchObject({ status: 'deploying', generation: 2 });

      const run = runtime.newest();
      expect(await run.report({ status: 'running', url }, 'another key')).toBe(401);
      expect(await run.report({ status: 'running', url }, old.asked.reportKey)).toBe(401);
      expect(await old.report({ status: 'running', url }, run.asked.reportKey)).toBe(401);
      expect(await run.report({ status: 'running', url, projectEnvironmentId: randomUUID() })).toBe(401);
      expect(await run.report({ status: 'running', url, orgId: 'others' })).toBe(401);
      const unsigned = await fetch(run.asked.reportUrl!, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ version: 1, orgId: org, projectEnvironmentId: before!.id, generation: 2 }),
      });
      expect(unsigned.status).toBe(401);
      expect(await preview()).toEqual(before);

      expect(await old.report({ status: 'error', reason: 'too late' })).toBe(204);
      expect(await run.report({ status: 'running', url, sequence: 9 })).toBe(204);
      expect(await run.report({ status: 'error', reason: 'an earlier one', sequence: 8 })).toBe(204);
      await settle();
      expect(await preview()).toMatchObject({ status: 'running', generation: 2, url, reason: null });
      const ignored = await ada.journal.list({ action: 'preview.report_ignored' });
      expect(ignored._unsafeUnwrap().items.map(({ data }) => data['why'])).toEqual(['older_report', 'older_run']);
    });
  });
}
