import { inspect } from 'node:util';

import { InvalidInput, SecretText } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { httpRuntime, RuntimeRequestFailed, verifyRuntimeRequest } from '../../src/runtime-http/index.ts';
import type { HttpRuntimeOptions } from '../../src/runtime-http/index.ts';
import { nobody, peer } from '../loopback.ts';
import { canaries, creation, removal, secret } from './run.ts';

const runtime = (url: string, more: Partial<HttpRuntimeOptions> = {}) =>
  httpRuntime({ url, secret: new SecretText(secret), timeoutMs: 1_000, ...more });
const json = (value: unknown, status = 200) => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});
const failureOf = async (call: Promise<unknown>): Promise<RuntimeRequestFailed> => {
  const failure = await call.then(
    () => expect.unreachable('it succeeded'),
    (thrown: unknown) => thrown,
  );
  expect(failure).toBeInstanceOf(RuntimeRequestFailed);
  return failure as RuntimeRequestFailed;
};

describe('a creation', () => {
  test('is one signed POST under the key of the run, with everything in its body', async () => {
    const { url, received } = await peer(json({ runtimeId: 'r-9' }, 202));
    const reportUrl = 'https://host.example/reports';
    expect(await runtime(`${url}/v1`, { reportUrl }).create(creation)).toEqual({ runtimeId: 'r-9' });
    expect(received).toHaveLength(1);
    const { path, headers, body } = received[0]!;
    expect([path, headers['idempotency-key']]).toEqual(['/v1', 'p1-3']);
    expect(JSON.parse(body)).toEqual({
      version: 1,
      type: 'create',
      key: 'p1-3',
      org: 'acme',
      preview: {
        id: 'p1',
        appId: 'a1',
        environment: 'pr-7',
        type: 'preview',
        generation: 3,
        pullRequest: 7,
        fork: true,
      },
      source: {
        provider: 'github',
        repo: 'acme/shop',
        headRepo: 'eve/shop',
        branch: 'feature/a',
        sha: 'c'.repeat(40),
        entrypoint: 'main.w',
        token: canaries[0],
      },
      secrets: { PASSWORD: canaries[1] },
      reportKey: canaries[2],
      reportUrl,
    });
    for (const canary of canaries) expect(JSON.stringify(headers)).not.toContain(canary);

    const verified = verifyRuntimeRequest({ headers, body, secret })._unsafeUnwrap();
    expect(verified).toMatchObject({ idempotencyKey: 'p1-3', request: { type: 'create', org: 'acme' } });
    const refusal = (changed: object) =>
      verifyRuntimeRequest({ headers, body, secret, ...changed })._unsafeUnwrapErr().reason;
    expect(refusal({ body: body.replace('acme', 'evil') })).toBe('wrong_signature');
    expect(refusal({ secret: 'x'.repeat(32) })).toBe('wrong_signature');
    expect(refusal({ headers: {} })).toBe('unsigned');
    expect(refusal({ now: Date.now() + 600_000 })).toBe('outside_window');
  });

  test.each([
    ['nothing', { status: 204 }, null],
    ['no name', json({}), null],
    ['a number', json({ runtimeId: 12 }), '12'],
    ['a name of another kind', json({ runtimeId: {} }), null],
  ])('is taken on by an answer with %s', async (_, answer, runtimeId) => {
    const { url } = await peer(answer);
    expect(await runtime(url).create(creation)).toEqual({ runtimeId });
  });

  test.each([
    ['a login page', { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>' }],
    ['JSON that is no object', json([1])],
    ['a redirect', { status: 307, headers: { location: 'http://127.0.0.1:1' } }],
  ])('is not taken on by %s', async (_, answer) => {
    const { url, received } = await peer(answer);
    expect(await failureOf(runtime(url).create(creation))).toMatchObject({ refused: false });
    expect(received).toHaveLength(1);
  });

  test('is tried again under the same key, as the server asks for, and at most so often', async () => {
    const busy = { status: 503, headers: { 'retry-after': '1' } };
    const { url, received } = await peer(busy, json({ runtimeId: 'r' }));
    expect(await runtime(url).create(creation)).toEqual({ runtimeId: 'r' });
    expect(received.map(({ headers }) => headers['idempotency-key'])).toEqual(['p1-3', 'p1-3']);
    expect(received[1]!.at - received[0]!.at).toBeGreaterThan(950);

    const broken = await peer('hang up');
    const failure = await failureOf(runtime(broken.url, { retries: 2 }).create(creation));
    expect([failure.attempts, failure.refused, failure.status]).toEqual([3, false, null]);
    expect(broken.received).toHaveLength(3);
  });

  test('that the server wants later than this call lasts is left to the queue', async () => {
    const { url, received } = await peer({ status: 429, headers: { 'retry-after': '120' } });
    const failure = await failureOf(runtime(url).create(creation));
    expect(failure).toMatchObject({ refused: false, status: 429, retryAfterMs: 120_000 });
    expect(received).toHaveLength(1);
  });

  test.each([400, 401, 403, 404, 422])('is refused by %i', async (status) => {
    const { url, received } = await peer({ status });
    expect(await failureOf(runtime(url).create(creation))).toMatchObject({ refused: true, status, retryAfterMs: null });
    expect(received).toHaveLength(1);
  });

  test('ends when the caller gives up', async () => {
    const { url, received } = await peer('hang');
    const giveUp = new AbortController();
    const asking = failureOf(
      runtime(url, { timeoutMs: 20_000, retries: 1 }).create({ ...creation, signal: giveUp.signal }),
    );
    setTimeout(() => giveUp.abort(), 100);
    expect((await asking).refused).toBe(false);
    expect(received).toHaveLength(1);
  });
});

describe('a removal', () => {
  test('names every run, and has a key of its own', async () => {
    const { url, received } = await peer({ status: 202 });
    await runtime(url).remove(removal);
    const { headers, body } = received[0]!;
    expect(headers['idempotency-key']).toBe('p1-3:remove');
    expect(JSON.parse(body)).toEqual({
      version: 1,
      type: 'remove',
      org: 'acme',
      keys: ['p1-2', 'p1-3'],
      runtimeId: 'r-9',
    });
    expect(verifyRuntimeRequest({ headers, body, secret }).isOk()).toBe(true);
  });

  test.each([404, 410])('of what is not there is done: %i', async (status) => {
    const { url, received } = await peer({ status });
    await runtime(url).remove(removal);
    expect(received).toHaveLength(1);
  });

  test.each([
    [403, true],
    [500, false],
  ])('is not done by %i', async (status, refused) => {
    const { url } = await peer({ status });
    expect(await failureOf(runtime(url, { retries: 0 }).remove(removal))).toMatchObject({ status, refused });
  });
});

test('no failure shows what was sent, or what was answered', async () => {
  const odds = [
    ...[200, 302, 400, 401, 404, 408, 409, 429, 500].map((status) => ({
      status,
      headers: { 'content-type': 'text/plain', 'x-echo': canaries[0]! },
      body: canaries.join(),
    })),
    'hang' as const,
    'hang up' as const,
  ];
  const failures: unknown[] = [];
  const keep = (failure: unknown) => void failures.push(failure);
  for (const odd of odds) {
    const { url } = await peer(odd);
    const asked = runtime(url, { retries: 0, timeoutMs: 100 });
    await asked.create(creation).catch(keep);
    await asked.remove(removal).catch(keep);
  }
  await runtime(await nobody(), { retries: 0 })
    .create(creation)
    .catch(keep);
  const echo = () => Promise.reject(new Error(canaries.join()));
  await runtime('http://127.0.0.1:1', { retries: 0, fetch: echo }).create(creation).catch(keep);
  expect(failures.length).toBeGreaterThan(18);
  const shown = failures.map((failure) => inspect(failure, { depth: 9, showHidden: true })).join('\n');
  for (const canary of canaries) expect(shown).not.toContain(canary);
});

test.each([
  ['url', { url: 'http://runtime.example' }],
  ['url', { url: 'https://user:canary@runtime.example' }],
  ['secret', { secret: 'canary' }],
  ['reportUrl', { reportUrl: 'reports' }],
  ['retries', { retries: 11 }],
  ['timeoutMs', { timeoutMs: 25_001 }],
  ['retry', { retry: 1 }],
])('a configuration is refused for its %s', (path, wrong) => {
  const options = { url: 'https://runtime.example', secret, ...wrong } as never;
  expect(() => httpRuntime(options)).toThrow(InvalidInput);
  expect(() => httpRuntime(options)).toThrow(path);
  expect(() => httpRuntime(options)).not.toThrow('canary');
});
