import { inspect } from 'node:util';
import { setTimeout as pause } from 'node:timers/promises';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { httpPipelines, PipelineRequestFailed, verifyPipelineRequest } from '../../src/pipeline-http/index.ts';
import type { HttpPipelinesOptions } from '../../src/pipeline-http/index.ts';
import { nobody, peer, serve } from '../loopback.ts';
import { cancel, changeId, secret, start, token } from './change.ts';

const runner = (url: string, more: Partial<HttpPipelinesOptions> = {}) =>
  httpPipelines({ url, secret, timeoutMs: 5_000, ...more });

const json = (value: unknown, status = 200) => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

const failureOf = async (call: Promise<unknown>): Promise<PipelineRequestFailed> => {
  const failure = await call.then(
    () => expect.unreachable('it succeeded'),
    (thrown: unknown) => thrown,
  );
  expect(failure).toBeInstanceOf(PipelineRequestFailed);
  return failure as PipelineRequestFailed;
};

describe('a start', () => {
  test('is one POST of JSON that says which pipeline, for what, and with which token', async () => {
    const { url, received } = await peer(json({ executionPipelineId: 'p-7', executionId: 'e-1' }, 202));
    const completionUrl = 'https://host.example/vivarium/complete';
    expect(await runner(`${url}/ci`, { completionUrl }).start(start)).toEqual({
      executionPipelineId: 'p-7',
      executionId: 'e-1',
    });

    expect(received).toHaveLength(1);
    expect(received[0]).toMatchObject({
      path: '/ci',
      headers: { 'content-type': 'application/json', 'idempotency-key': changeId },
    });
    expect(JSON.parse(received[0]!.body)).toEqual({
      version: 1,
      type: 'start',
      org: 'acme',
      stateChange: {
        id: changeId,
        type: 'provisioning',
        sequence: 1,
        prevState: 'zero_state',
        trigger: { type: 'user', id: 'ada' },
        startedAt: '2026-11-21T10:00:00.000Z',
        deadline: '2026-11-21T10:30:00.000Z',
      },
      instance: {
        id: start.instance.id,
        typeId: start.instance.typeId,
        name: 'feature-42',
        state: 'provisioning',
        expiresAt: '2026-11-22T10:00:00.000Z',
      },
      action: {
        id: start.action.id,
        stateChangeType: 'provisioning',
        projectId: 'infrastructure',
        branch: 'main',
        pipelineYamlName: 'provision.yml',
      },
      parameters: { size: 'small' },
      token,
      completionUrl,
    });
  });

  test('is signed so that the receiving side can verify it', async () => {
    const { url, received } = await peer({ status: 204 });
    await runner(url).start(start);
    const { headers, body } = received[0]!;
    const verified = verifyPipelineRequest({ headers, body, secret })._unsafeUnwrap();
    expect(verified).toMatchObject({ idempotencyKey: changeId, request: { type: 'start', org: 'acme', token } });
    expect(verifyPipelineRequest({ headers, body: body.replace('small', 'large'), secret }).isErr()).toBe(true);
  });

  test.each([
    ['nothing', { status: 204 }, {}],
    ['an empty body', { status: 200, headers: { 'content-type': 'text/html' } }, {}],
    ['no names', json({}), { executionPipelineId: null, executionId: null }],
    ['numbers', json({ executionPipelineId: 7, executionId: 4711 }), { executionPipelineId: '7', executionId: '4711' }],
    ['names of another kind', json({ executionId: { id: 1 } }), { executionPipelineId: null, executionId: null }],
    [
      'a JSON type of its own',
      {
        status: 201,
        headers: { 'content-type': 'application/vnd.ci+json; charset=utf-8' },
        body: '{"executionId":"e"}',
      },
      { executionPipelineId: null, executionId: 'e' },
    ],
  ])('is taken on by an answer with %s', async (_, answer, expected) => {
    const { url } = await peer(answer);
    expect(await runner(url).start(start)).toEqual(expected);
  });

  test('waits for a slow server, up to the timeout', async () => {
    const url = await serve(async (_, response) => {
      await pause(400);
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"executionId":');
      await pause(300);
      response.end('"late"}');
    });
    expect(await runner(url).start(start)).toMatchObject({ executionId: 'late' });
  });
});

describe('a cancellation', () => {
  test('says what was started, has a key of its own, and no token', async () => {
    const { url, received } = await peer({ status: 202 });
    await runner(url).cancel(cancel);
    expect(received[0]!.headers['idempotency-key']).toBe(`${changeId}:cancel`);
    expect(JSON.parse(received[0]!.body)).toMatchObject({
      type: 'cancel',
      stateChange: { id: changeId },
      executionPipelineId: 'p-7',
      executionId: '4711',
    });
    const { headers, body } = received[0]!;
    expect(verifyPipelineRequest({ headers, body, secret })._unsafeUnwrap().idempotencyKey).toBe(`${changeId}:cancel`);
    expect(Object.keys(JSON.parse(body) as object)).not.toContain('token');
  });

  test.each([404, 410])('of what no longer runs is done: %i', async (status) => {
    const { url } = await peer({ status });
    await expect(runner(url).cancel(cancel)).resolves.toBeUndefined();
  });

  test.each([403, 409, 500])('that is answered %i has failed', async (status) => {
    const { url } = await peer({ status });
    expect(await failureOf(runner(url, { retries: 0 }).cancel(cancel))).toMatchObject({ status });
  });
});

describe('a server that fails at first', () => {
  test.each([
    ['answers 500', { status: 500 }],
    ['answers 503', { status: 503 }],
    ['answers 408', { status: 408 }],
    ['answers 429', { status: 429 }],
    ['hangs up', 'hang up' as const],
    ['hangs', 'hang' as const],
  ])('and %s is asked again: the same body under the same key', async (_, first) => {
    const { url, received } = await peer(first, json({ executionId: 'e-1' }));
    expect(await runner(url, { timeoutMs: 2_000 }).start(start)).toMatchObject({ executionId: 'e-1' });
    expect(received).toHaveLength(2);
    expect(received[1]!.body).toBe(received[0]!.body);
    expect(received.map(({ headers }) => headers['idempotency-key'])).toEqual([changeId, changeId]);
  });

  test('is given the time that it asks for, and a fresh signature', async () => {
    const { url, received } = await peer({ status: 429, headers: { 'retry-after': '2' } }, { status: 204 });
    await runner(url).start(start);
    const [first, second] = received as [(typeof received)[0], (typeof received)[0]];
    expect(second.at - first.at).toBeGreaterThan(1_950);
    expect(second.at - first.at).toBeLessThan(20_000);
    expect(Number(second.headers['vivarium-timestamp'])).toBeGreaterThan(Number(first.headers['vivarium-timestamp']));
    const now = performance.timeOrigin + second.at;
    expect(verifyPipelineRequest({ ...second, secret, toleranceMs: 1_500, now }).isOk()).toBe(true);
  });

  test('is given until a date that it names', async () => {
    const date = new Date(Date.now() + 2_500).toUTCString();
    const { url, received } = await peer({ status: 503, headers: { 'retry-after': date } }, { status: 204 });
    await runner(url).start(start);
    expect(received[1]!.at - received[0]!.at).toBeGreaterThan(1_000);
  });

  test('and then says that it is busy with the first try is asked again', async () => {
    const { url, received } = await peer('hang up', { status: 409 }, json({ executionId: 'e-1' }));
    expect(await runner(url).start(start)).toMatchObject({ executionId: 'e-1' });
    expect(received).toHaveLength(3);
  });
});

describe('a server that keeps failing', () => {
  test.each([
    ['answers 500', { status: 500 }, 500],
    ['answers 429', { status: 429 }, 429],
    ['hangs up', 'hang up' as const, null],
    ['hangs', 'hang' as const, null],
  ])('and %s has not refused: nobody knows', async (_, answer, status) => {
    const { url, received } = await peer(answer);
    const failure = await failureOf(runner(url, { timeoutMs: 1_000, retries: 2 }).start(start));
    expect(failure).toMatchObject({ refused: false, status, attempts: 3 });
    expect(received).toHaveLength(3);
  });

  test('is asked once without retries', async () => {
    const { url, received } = await peer({ status: 500 });
    expect(await failureOf(runner(url, { retries: 0 }).start(start))).toMatchObject({ attempts: 1 });
    expect(received).toHaveLength(1);
  });

  test('because nothing listens there has not refused', async () => {
    const failure = await failureOf(runner(await nobody(), { retries: 1 }).start(start));
    expect(failure).toMatchObject({
      refused: false,
      status: null,
      attempts: 2,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('and asks for more time than a call has is left alone at once', async () => {
    const { url, received } = await peer({ status: 503, headers: { 'retry-after': '3600' } });
    const before = performance.now();
    expect(await failureOf(runner(url).start(start))).toMatchObject({ refused: false, status: 503, attempts: 1 });
    expect(performance.now() - before).toBeLessThan(20_000);
    expect(received).toHaveLength(1);
  });

  test('and sends its answer in drips is not waited for beyond the timeout', async () => {
    const url = await serve(async (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      while (!response.destroyed) {
        response.write(' ');
        await pause(50);
      }
    });
    const before = performance.now();
    expect(await failureOf(runner(url, { timeoutMs: 300, retries: 0 }).start(start))).toMatchObject({ refused: false });
    expect(performance.now() - before).toBeLessThan(20_000);
  });

  test('is not waited for by a fetch that does not listen to its signal, either', async () => {
    const deaf: typeof globalThis.fetch = () => new Promise(() => {});
    const failure = await failureOf(
      runner('https://ci.example', { fetch: deaf, timeoutMs: 100, retries: 0 }).start(start),
    );
    expect(failure).toMatchObject({ refused: false, status: null, message: expect.stringContaining('100 ms') });
  });
});

describe('all tries of one call', () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  test('take at most 25 seconds, however many are allowed', async () => {
    vi.useFakeTimers();
    const began = performance.now();
    let asked = 0;
    const busy: typeof globalThis.fetch = async () => {
      asked++;
      return new Response(null, { status: 503, headers: { 'retry-after': '9' } });
    };
    const failed = failureOf(runner('https://ci.example', { fetch: busy, retries: 10 }).start(start));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await failed).toMatchObject({ attempts: 3, refused: false });
    expect(asked).toBe(3);
    expect(performance.now() - began).toBeGreaterThan(18_000);
  });

  test('are spread at random below a bound that doubles, so that many who failed together do not come back together', async () => {
    vi.useFakeTimers();
    const luck = vi.spyOn(Math, 'random');
    for (const [random, pauses] of [
      [0.5, [125, 250, 500, 1_000, 2_000, 2_000]],
      [0.1, [25, 50, 100, 200, 400, 400]],
    ] as const) {
      luck.mockReturnValue(random);
      const asked: number[] = [];
      const ill: typeof globalThis.fetch = async () => {
        asked.push(performance.now());
        return new Response(null, { status: 500 });
      };
      const failed = failureOf(runner('https://ci.example', { fetch: ill, retries: 6 }).start(start));
      await vi.advanceTimersByTimeAsync(30_000);
      await failed;
      expect(asked.slice(1).map((at, index) => Math.round(at - asked[index]!))).toEqual(pauses);
    }
  });
});

describe('a server that says no', () => {
  test.each([400, 401, 403, 404, 409, 410, 413, 422, 451])(
    'with %i has refused, and is not asked again',
    async (status) => {
      const { url, received } = await peer({ status, body: 'no' });
      expect(await failureOf(runner(url).start(start))).toMatchObject({ refused: true, status, attempts: 1 });
      expect(received).toHaveLength(1);
    },
  );
});

describe('a server that is not what it should be', () => {
  test.each([301, 302, 303, 307, 308])('and redirects with %i is not followed: the token stays', async (status) => {
    const elsewhere = await peer({ status: 200 });
    const { url, received } = await peer({ status, headers: { location: `${elsewhere.url}/steal` } });
    expect(await failureOf(runner(url).start(start))).toMatchObject({ refused: false, status, attempts: 1 });
    expect(received).toHaveLength(1);
    expect(elsewhere.received).toEqual([]);
  });

  test('is noticed, too, behind a fetch that follows redirects', async () => {
    const elsewhere = await peer(json({ executionId: 'stolen' }));
    const { url } = await peer({ status: 307, headers: { location: elsewhere.url } });
    const following: typeof globalThis.fetch = (input, init) => fetch(input, { ...init, redirect: 'follow' });
    expect(await failureOf(runner(url, { fetch: following }).start(start))).toMatchObject({ refused: false });
  });

  test.each([
    ['a login page', { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Sign in</h1>' }],
    [
      'JSON that says it is a page',
      { status: 200, headers: { 'content-type': 'text/html' }, body: '{"executionId":"e"}' },
    ],
    ['broken JSON', { status: 200, headers: { 'content-type': 'application/json' }, body: '{"executionId":' }],
    ['a JSON list', json(['e-1'])],
    ['JSON null', json(null)],
    [
      'bytes that are no text',
      {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from('{"executionId":"\xff"}', 'latin1'),
      },
    ],
    ['more than it may', json({ executionId: 'x'.repeat(70_000) })],
  ])('and answers with %s has taken nothing on, and not refused either', async (_, answer) => {
    const { url, received } = await peer(answer);
    expect(await failureOf(runner(url).start(start))).toMatchObject({ refused: false, status: 200, attempts: 1 });
    expect(received).toHaveLength(1);
  });

  test('leaves nothing of what it was sent or has answered in the error', async () => {
    const canary = 'CANARY-77aa';
    for (const answer of [
      { status: 400, body: `${canary} ${token}` },
      { status: 307, headers: { location: `http://${canary}.example/?token=${token}` } },
      { status: 200, headers: { 'content-type': 'text/html' }, body: `${canary} ${token}` },
    ]) {
      const { url } = await peer(answer);
      const failure = await failureOf(runner(`${url}/${canary}?key=${canary}`).start(start));
      const everything = `${inspect(failure, { depth: 10, showHidden: true })} ${JSON.stringify(failure)} ${failure.stack}`;
      for (const text of [canary, token, secret]) expect(everything).not.toContain(text);
    }
  });
});

describe('a configuration of httpPipelines', () => {
  const url = 'https://ci.example/vivarium';

  test.each([
    ['nothing', undefined as never, ''],
    ['no URL', { url: 'ci', secret }, 'url'],
    ['a URL that is no text', { url: new URL(url) as never, secret }, 'url'],
    ['an option that there is not', { url, secret, timeout: 1_000 } as never, 'timeout'],
    ['plain http as a text', { url, secret, allowPlainHttp: 'yes' as never }, 'allowPlainHttp'],
    ['a fetch that is none', { url, secret, fetch: null as never }, 'fetch'],
    ['another protocol', { url: 'ftp://ci.example', secret }, 'url'],
    ['userinfo', { url: 'https://me:pw@ci.example', secret }, 'url'],
    ['http on another machine', { url: 'http://ci.example', secret }, 'url'],
    ['http on a name that only looks like this machine', { url: 'http://localhost.ci.example', secret }, 'url'],
    ['a short secret', { url, secret: 'short' }, 'secret'],
    ['no secret', { url, secret: undefined as never }, 'secret'],
    ['a completion URL that is none', { url, secret, completionUrl: '/complete' }, 'completionUrl'],
    ['no time', { url, secret, timeoutMs: 0 }, 'timeoutMs'],
    ['more time than a call has', { url, secret, timeoutMs: 25_001 }, 'timeoutMs'],
    ['half a retry', { url, secret, retries: 0.5 }, 'retries'],
    ['too many retries', { url, secret, retries: 11 }, 'retries'],
  ])('with %s is refused, and says where', (_, options, path) => {
    const refusal = { code: 'invalid_input', issues: [expect.objectContaining({ path })] };
    expect(() => httpPipelines(options)).toThrow(expect.objectContaining(refusal));
  });

  test.each([
    { url: 'http://localhost:3000', secret },
    { url: 'http://127.8.0.1', secret },
    { url: 'http://[::1]:3000', secret },
    { url: 'http://ci.internal', secret, allowPlainHttp: true },
  ])('may be $url', (options) => {
    expect(httpPipelines(options)).toMatchObject({ start: expect.any(Function), cancel: expect.any(Function) });
  });
});
