import { describe, expect, test, vi } from 'vitest';

import { segmentAnalytics } from '../../src/segment/index.ts';
import { peer } from '../loopback.ts';
import { byHand, first, flows, second, third } from './flows.ts';
import { password, world } from './world.ts';

flows('memory', byHand);

describe('[memory] who is believed', () => {
  test('a delivery with a wrong signature starts nothing', async () => {
    const { deliver, settle, preview } = await byHand();
    expect(await deliver('opened', { secret: 'another secret' })).toBe(401);
    await settle();
    expect(await preview()).toBeNull();
  });

  test('a delivery that is sent again later does nothing, under whichever id', async () => {
    const { deliver, settle, preview, queue } = await byHand();
    await deliver('opened');
    await settle();
    await deliver('closed');
    await settle();
    const [before, sent] = [await preview(), queue.sent.length];
    expect(await deliver('opened')).toBe(200);
    await settle();
    expect(await preview()).toEqual(before);
    expect(queue.sent).toHaveLength(sent);
    expect(before).toMatchObject({ status: 'stopped' });
  });
});

describe('[memory] a pull request from a fork', () => {
  const headRepo = 'eve/hello-world';

  test('runs nothing by default', async () => {
    const { deliver, settle, preview, runtime, hub } = await byHand();
    expect(await deliver('opened', { headRepo })).toBe(200);
    await settle();
    expect([await preview(), runtime.runs(), hub.comments, hub.asked]).toEqual([null, [], [], []]);
  });

  test('gets no secret without them', async () => {
    const { deliver, settle, runtime } = await byHand({ forks: 'without_secrets' });
    await deliver('opened', { headRepo });
    await settle();
    expect(runtime.newest().asked).toMatchObject({ preview: { fork: true }, source: { headRepo }, secrets: {} });
  });

  test('needs a word for each commit, and has the secrets then', async () => {
    const { deliver, settle, preview, runtime, ada } = await byHand({ forks: 'approve' });
    await deliver('opened', { headRepo });
    await settle();
    const waiting = (await preview())!;
    expect([waiting.waitingSha, runtime.runs()]).toEqual([first, []]);
    const approval = { projectEnvironmentId: waiting.id };
    expect((await ada.previews.approve({ ...approval, sha: second }))._unsafeUnwrapErr().code).toBe(
      'illegal_transition',
    );
    await ada.previews.approve({ ...approval, sha: first });
    await settle();
    expect(runtime.newest().asked).toMatchObject({ source: { sha: first }, secrets: { PASSWORD: password } });
    await deliver('synchronize', { headRepo, sha: third });
    await settle();
    expect(runtime.runs()).toHaveLength(1);
    expect(await preview()).toMatchObject({ waitingSha: third, sha: first });
  });
});

describe('[memory] GitHub has trouble', () => {
  /** What never answers is not waited for as long as what is only slow. */
  const patience = (trouble: () => unknown) => (trouble() === 'hang' ? { timeoutMs: 2_000 } : {});
  const arrives = (deliver: (action: 'opened') => Promise<number>) =>
    vi.waitFor(async () => expect(await deliver('opened')).toBe(200), { timeout: 30_000 });
  const inAMinute = () => String(Math.ceil(Date.now() / 1_000) + 60);
  const troubles = [
    ['500', () => ({ status: 500, headers: { 'retry-after': '7' } }), [7_000, 7_000], 'HTTP 500'],
    ['a rate limit', () => ({ status: 403, headers: { 'retry-after': '30' } }), [30_000, 30_000], 'HTTP 403'],
    [
      'a rate limit until',
      () => ({ status: 403, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': inAMinute() } }),
      [50_000, 61_000],
      'HTTP 403',
    ],
    ['nothing', () => 'hang' as const, [1_000, 60_000], 'did not succeed'],
    ['half an answer', () => 'hang up' as const, [1_000, 60_000], 'did not succeed'],
  ] as const;

  test.each(troubles)('%s: it is asked again when it says so, and all goes well', async (_, trouble, [least, most]) => {
    const { deliver, settle, preview, hub, queue, runtime } = await byHand(patience(trouble));
    await arrives(deliver);
    let left = 2;
    hub.odd = ({ operation }) => (operation.startsWith('POST /repos/') && left-- > 0 ? trouble() : null);
    await settle();
    const failed = queue.tries.flatMap(({ error }) => (error === null ? [] : [error]));
    expect(failed.map(({ code }) => code)).toEqual(['preview_step_failed', 'preview_step_failed']);
    for (const { retryAfterMs } of failed) {
      expect(retryAfterMs).toBeGreaterThanOrEqual(least);
      expect(retryAfterMs).toBeLessThanOrEqual(most);
    }
    expect(await preview()).toMatchObject({ status: 'deploying', reason: null });
    expect([hub.comments.length, runtime.newest().times]).toEqual([1, 1]);
  });

  test.each(troubles)(
    '%s, and it stays so: then the preview is in error, with the reason',
    async (_, trouble, __, says) => {
      const { deliver, settle, preview, hub, queue, runtime, ada } = await byHand(patience(trouble));
      await arrives(deliver);
      hub.odd = ({ operation }) => (operation.includes('/git/ref/') ? trouble() : null);
      await settle();
      const failed = queue.tries.filter(({ error }) => error !== null);
      expect(failed).toHaveLength(4);
      const ended = (await preview())!;
      expect(ended.status).toBe('error');
      expect(ended.reason).toContain('the step head');
      expect(ended.reason).toContain(says);
      expect(ended.reason).toContain('in 5 tries');
      expect(runtime.runs()).toEqual([]);
      expect(hub.comments.map(({ body }) => body).join()).toContain('the step head');

      hub.odd = () => null;
      await ada.previews.restart(ended.id);
      await settle();
      expect(await preview()).toMatchObject({ status: 'deploying', reason: null, generation: 2 });
    },
  );

  test('a refusal is not asked again', async () => {
    const { deliver, settle, preview, hub, queue } = await byHand();
    await deliver('opened');
    hub.odd = ({ operation }) => (operation.includes('/git/ref/') ? { status: 403 } : null);
    await settle();
    expect(queue.tries.filter(({ error }) => error !== null)).toEqual([]);
    expect(await preview()).toMatchObject({ status: 'error', reason: 'the step head was refused (HTTP 403)' });
  });

  test('a delivery that meets it is answered 503, and does everything when it comes again', async () => {
    const { deliver, settle, preview, hub } = await byHand();
    hub.odd = () => ({ status: 502 });
    expect(await deliver('opened')).toBe(503);
    expect(await preview()).toBeNull();
    hub.odd = () => null;
    expect(await deliver('opened')).toBe(200);
    await settle();
    expect(await preview()).toMatchObject({ status: 'deploying' });
  });

  test('a comment whose answer got lost is not written twice', async () => {
    const { deliver, settle, hub } = await byHand({ timeoutMs: 2_000 });
    await arrives(deliver);
    let left = 1;
    hub.before = async ({ operation }) => {
      if (operation.startsWith('POST /repos/') && left-- > 0)
        await new Promise((resolve) => setTimeout(resolve, 3_000));
    };
    await settle();
    expect(hub.comments).toHaveLength(1);
  });

  test('without a queue it is this process that waits, for as long as GitHub says', async () => {
    const { deliver, preview, hub } = await world();
    const asked: number[] = [];
    hub.odd = ({ operation }) => {
      if (!operation.includes('/git/ref/')) return null;
      asked.push(performance.now());
      return asked.length === 1 ? { status: 500, headers: { 'retry-after': '2' } } : null;
    };
    await deliver('opened');
    await vi.waitFor(async () => expect(await preview()).toMatchObject({ status: 'deploying' }), { timeout: 20_000 });
    expect(asked[1]! - asked[0]!).toBeGreaterThanOrEqual(1_990);
    expect(hub.comments).toHaveLength(1);
  });
});

describe('[memory] the runtime service has trouble', () => {
  test('it is asked again under the same key', async () => {
    const { deliver, settle, preview, runtime } = await byHand();
    let left = 3;
    runtime.state.odd = () => (left-- > 0 ? 503 : null);
    await deliver('opened');
    await settle();
    expect(await preview()).toMatchObject({ status: 'deploying' });
    expect(runtime.runs()).toHaveLength(1);
  });

  test('what it refuses is in error at once, and what it does not remove cannot be stopped until a person says so', async () => {
    const { deliver, settle, preview, runtime, ada, hub } = await byHand();
    await deliver('opened');
    await settle();
    runtime.state.odd = (type) => (type === 'remove' ? 422 : null);
    await deliver('closed');
    await settle();
    const stuck = (await preview())!;
    expect(stuck).toMatchObject({ status: 'stop_error', reason: 'the step removal was refused (HTTP 422)' });
    expect(hub.comments[0]!.body).toContain('Could not be stopped');
    await ada.previews.forget(stuck.id, { note: 'removed it by hand' });
    expect(await preview()).toMatchObject({ status: 'deleted', note: 'removed it by hand' });

    runtime.state.odd = (type) => (type === 'create' ? 422 : null);
    await deliver('reopened', { sha: second });
    await settle();
    expect(await preview()).toMatchObject({ status: 'error', reason: 'the step runtime was refused (HTTP 422)' });
  });
});

describe('[memory] what is counted', () => {
  test('is each thing that happens, under an id of its own, by whom; and nobody waits for it', async () => {
    const segment = await peer({ status: 200 });
    const analytics = segmentAnalytics({ writeKey: 'write-key', url: segment.url });
    const { deliver, settle, runtime, app, org } = await byHand({ analytics });
    await deliver('opened');
    await settle();
    await runtime.newest().report({ status: 'running' });
    await deliver('closed');
    await settle();
    await vi.waitFor(() => expect(segment.received).toHaveLength(3));
    const told = segment.received.map(({ body }) => JSON.parse(body) as { event: string; messageId: string });
    expect(told.map(({ event }) => event).sort()).toEqual([
      'environment_created',
      'environment_running',
      'environment_stopped',
    ]);
    expect(new Set(told.map(({ messageId }) => messageId)).size).toBe(3);
    expect(told[0]).toMatchObject({
      anonymousId: `${org}:system:system`,
      properties: { appId: app.id, environment: 'pr-2', pullRequest: 2, orgId: org },
    });
  });

  test('does not matter when it fails', async () => {
    const segment = await peer('hang up');
    const { deliver, settle, preview } = await byHand({
      analytics: segmentAnalytics({ writeKey: 'write-key', url: segment.url }),
    });
    await deliver('opened');
    await settle();
    expect(await preview()).toMatchObject({ status: 'deploying' });
    await vi.waitFor(() => expect(segment.received).toHaveLength(1));
  });
});
