import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';

import { InvalidInput } from '@vivarium/core';
import { appId, privateKey } from '@vivarium/loopback-github';
import type { OddAnswer } from '@vivarium/loopback-github';
import { describe, expect, test, vi } from 'vitest';

import { GitHubFailure, githubSourceControl } from '../../src/github/index.ts';
import type { GitHubSourceControlOptions } from '../../src/github/index.ts';
import { nobody } from '../loopback.ts';
import { github } from './github.ts';

const repo = { provider: 'github', fullName: 'acme/shop' };
const sha = 'c'.repeat(40);
const marker = '<!-- vivarium:preview:1 -->';
const comment = { repo, pullRequest: 7, commentId: null, marker, body: `${marker}\nstarting` };

const sourceControl = (baseUrl: string, more: Partial<GitHubSourceControlOptions> = {}) =>
  githubSourceControl({ appId, privateKey, baseUrl, timeoutMs: 2_000, ...more });

const failureOf = async (call: Promise<unknown>): Promise<GitHubFailure> => {
  const failure = await call.then(
    () => expect.unreachable('it succeeded'),
    (thrown: unknown) => thrown,
  );
  expect(failure).toBeInstanceOf(GitHubFailure);
  return failure as GitHubFailure;
};

describe('authentication', () => {
  test('is of the installation on the repository', async () => {
    const { baseUrl, state } = await github();
    await sourceControl(baseUrl).authenticate({ repo });
    expect(state.asked.map(({ path }) => path)).toEqual(['/repos/acme/shop/installation']);
  });

  test.each([
    ['a repository without the app', (state) => state.installations.clear(), '404'],
    ['a suspended installation', (state) => (state.suspended = true), 'suspended'],
    ['no permission to read', (state) => delete state.permissions['contents'], 'read contents'],
    ['no permission to comment', (state) => (state.permissions['pull_requests'] = 'read'), 'pull requests'],
  ] satisfies [string, (state: Awaited<ReturnType<typeof github>>['state']) => unknown, string][])(
    'refuses %s',
    async (_, change, message) => {
      const { baseUrl, state } = await github();
      change(state);
      const failure = await failureOf(sourceControl(baseUrl).authenticate({ repo }));
      expect(failure).toMatchObject({ refused: true, retryAfterMs: null });
      expect(failure.message).toContain(message);
    },
  );

  test('takes issues:write for comments, too', async () => {
    const { baseUrl, state } = await github();
    state.permissions = { contents: 'read', issues: 'write' };
    await sourceControl(baseUrl).authenticate({ repo });
  });

  test.each(['shop', 'acme/..', 'acme/shop/x', './shop', 'acme/sh op'])('asks nobody about %s', async (fullName) => {
    const { baseUrl, state } = await github();
    const failure = await failureOf(sourceControl(baseUrl).authenticate({ repo: { ...repo, fullName } }));
    expect(failure.refused).toBe(true);
    expect(state.asked).toEqual([]);
  });

  test('is not for another provider', async () => {
    const { baseUrl } = await github();
    const failure = await failureOf(sourceControl(baseUrl).token({ repo: { ...repo, provider: 'gitlab' } }));
    expect(failure.refused).toBe(true);
  });
});

describe('the head of a branch', () => {
  test.each(['main', 'feature/login', 'odd#name%20?&', 'ümlaut'])('is found: %s', async (branch) => {
    const { baseUrl, state } = await github();
    state.heads.set(`acme/shop#${branch}`, sha);
    expect(await sourceControl(baseUrl).head({ repo, headRepo: 'Acme/Shop', branch })).toEqual({ sha });
  });

  test('is null when the branch is gone', async () => {
    const { baseUrl } = await github();
    expect(await sourceControl(baseUrl).head({ repo, headRepo: 'acme/shop', branch: 'gone' })).toBeNull();
  });

  test('is not taken for gone when it is the app that is gone', async () => {
    const { baseUrl, state } = await github();
    const control = sourceControl(baseUrl);
    state.heads.set('acme/shop#main', sha);
    await control.head({ repo, headRepo: 'acme/shop', branch: 'main' });
    state.hidden.add('acme/shop');
    state.installations.delete('acme/shop');
    const failure = await failureOf(control.head({ repo, headRepo: 'acme/shop', branch: 'main' }));
    expect(failure).toMatchObject({ refused: true, status: 404 });
  });

  test('of a public fork is read by the installation on the repository', async () => {
    const { baseUrl, state } = await github();
    state.heads.set('eve/shop#patch', sha);
    expect(await sourceControl(baseUrl).head({ repo, headRepo: 'eve/shop', branch: 'patch' })).toEqual({ sha });
  });

  test('of a private fork is read by the installation on the fork, if there is one', async () => {
    const { baseUrl, state } = await github();
    state.heads.set('eve/shop#patch', sha);
    state.hidden.add('eve/shop');
    const control = sourceControl(baseUrl);
    expect(await control.head({ repo, headRepo: 'eve/shop', branch: 'patch' })).toBeNull();
    state.installations.set('eve/shop', 78);
    expect(await control.head({ repo, headRepo: 'eve/shop', branch: 'patch' })).toEqual({ sha });
  });
});

describe('a comment', () => {
  test('is created, and then brought up to date by its id', async () => {
    const { baseUrl, state } = await github();
    const control = sourceControl(baseUrl);
    const { commentId } = await control.comment(comment);
    const again = await control.comment({ ...comment, commentId, body: `${marker}\nrunning` });
    expect(again).toEqual({ commentId });
    expect(state.comments).toMatchObject([{ body: `${marker}\nrunning`, pullRequest: 7 }]);
  });

  test('is found by its marker on a later page, when its id was lost', async () => {
    const { baseUrl, state } = await github();
    for (let id = 1; id <= 205; id++) state.comments.push({ id, body: 'chat', pullRequest: 7, by: 'person' });
    state.comments.push({ id: 900, body: `${marker}\nold`, pullRequest: 7, by: 'app' });
    expect(await sourceControl(baseUrl).comment(comment)).toEqual({ commentId: '900' });
    expect(state.comments.at(-1)!.body).toBe(comment.body);
    expect(state.comments).toHaveLength(206);
  });

  test('is made again when it was deleted by hand', async () => {
    const { baseUrl, state } = await github();
    const control = sourceControl(baseUrl);
    const first = await control.comment(comment);
    state.comments.length = 0;
    const second = await control.comment({ ...comment, commentId: first.commentId });
    expect(second.commentId).not.toBe(first.commentId);
    expect(state.comments).toHaveLength(1);
  });

  test.each(['person', 'other app'] as const)('of a %s with the same marker is left alone', async (by) => {
    const { baseUrl, state } = await github();
    state.comments.push({ id: 1, body: `${marker} mine`, pullRequest: 7, by });
    const { commentId } = await sourceControl(baseUrl).comment(comment);
    expect(commentId).not.toBe('1');
    expect(state.comments[0]!.body).toBe(`${marker} mine`);
  });

  test('is one, also when many write it for the first time at once', async () => {
    const { baseUrl, state } = await github();
    const controls = Array.from({ length: 5 }, () => sourceControl(baseUrl));
    // None may write before all have looked.
    const looked = Promise.withResolvers<void>();
    let looks = 0;
    state.before = async ({ operation }) => {
      if (operation.startsWith('GET') && operation.endsWith('/comments')) {
        if (++looks === 5) looked.resolve();
        await looked.promise;
      }
    };
    await Promise.all(controls.map((control) => control.comment(comment)));
    const written = state.asked.filter(({ operation }) => operation.startsWith('POST /repos'));
    expect(written).toHaveLength(5);
    expect(state.comments).toHaveLength(1);
  });

  test('is one, also when its creation was not answered', async () => {
    const { baseUrl, state } = await github();
    const control = sourceControl(baseUrl);
    state.before = async ({ operation }) => {
      if (operation.startsWith('POST /repos')) await new Promise((resolve) => setTimeout(resolve, 400));
    };
    await failureOf(sourceControl(baseUrl, { timeoutMs: 150 }).comment(comment));
    state.before = async () => {};
    await control.comment(comment);
    expect(state.comments).toHaveLength(1);
  });
});

describe('a token for the runtime', () => {
  test('is a new one each time, for this repository and for reading alone', async () => {
    const { baseUrl, state } = await github();
    const control = sourceControl(baseUrl);
    const [one, two] = [await control.token({ repo }), await control.token({ repo })];
    expect(one.token.reveal()).not.toBe(two.token.reveal());
    expect(state.tokens.get(one.token.reveal())).toEqual({
      installation: 77,
      asked: { repositories: ['shop'], permissions: { contents: 'read' } },
    });
    expect(one.expiresAt.getTime()).toBeGreaterThan(Date.now());
    expect(inspect(one)).not.toContain(one.token.reveal());
  });

  test('is not handed on when it may do more', async () => {
    const { baseUrl, state } = await github();
    state.generous = true;
    expect((await failureOf(sourceControl(baseUrl).token({ repo }))).refused).toBe(true);
  });
});

describe('what is kept', () => {
  test('is one token for everything that is asked within its life', async () => {
    const { baseUrl, state } = await github();
    const control = sourceControl(baseUrl);
    for (let i = 0; i < 5; i++) await control.comment({ ...comment, commentId: String(i) });
    expect(state.tokens.size).toBe(1);
  });

  test('is not a token that is about to expire', async () => {
    const { baseUrl, state } = await github();
    state.heads.set('acme/shop#main', sha);
    state.tokenLifeMs = 60_000;
    const control = sourceControl(baseUrl);
    await control.head({ repo, headRepo: 'acme/shop', branch: 'main' });
    await control.head({ repo, headRepo: 'acme/shop', branch: 'main' });
    expect(state.tokens.size).toBe(2);
  });

  test('is forgotten when the app was installed again', async () => {
    const { baseUrl, state } = await github();
    state.heads.set('acme/shop#main', sha);
    const control = sourceControl(baseUrl);
    await control.head({ repo, headRepo: 'acme/shop', branch: 'main' });
    state.tokens.clear();
    state.installations.set('acme/shop', 78);
    expect(await control.head({ repo, headRepo: 'acme/shop', branch: 'main' })).toEqual({ sha });
  });

  test('a token that is refused although it is new is a refusal', async () => {
    const { baseUrl, state } = await github();
    state.odd = ({ operation }) => (operation.includes('/git/ref/') ? { status: 401, body: {} } : null);
    const failure = await failureOf(sourceControl(baseUrl).head({ repo, headRepo: 'acme/shop', branch: 'main' }));
    expect(failure).toMatchObject({ status: 401, refused: true });
  });
});

describe('when GitHub does not answer as wished', () => {
  const inSeconds = (seconds: number) => String(Math.floor(Date.now() / 1_000) + seconds);
  const limited = (headers: Record<string, string>, message = 'no', status = 403): OddAnswer => ({
    status,
    headers,
    body: { message },
  });

  test.each([
    ['retry-after', () => limited({ 'retry-after': '42' }), 42_000, 42_000],
    ['retry-after on 429', () => limited({ 'retry-after': '7' }, 'no', 429), 7_000, 7_000],
    [
      'the reset of the limit',
      () => limited({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': inSeconds(600) }),
      590_000,
      600_000,
    ],
    [
      'a secondary limit that does not say',
      () => limited({}, 'You have exceeded a secondary rate limit.'),
      60_000,
      60_000,
    ],
    ['429 that does not say', () => limited({}, 'no', 429), 60_000, 60_000],
    ['500', () => ({ status: 500, body: {} }), 10_000, 10_000],
    ['503 with retry-after', () => ({ status: 503, headers: { 'retry-after': '3' }, body: {} }), 3_000, 3_000],
    [
      '502 that is no JSON',
      () => ({ status: 502, headers: { 'content-type': 'text/html' }, body: '<p>' }),
      10_000,
      10_000,
    ],
    ['a connection that breaks', () => 'hang up' as const, 5_000, 5_000],
  ])('it says when to try again: %s', async (_, odd, least, most) => {
    const { baseUrl, state } = await github();
    state.odd = odd;
    const failure = await failureOf(sourceControl(baseUrl).comment(comment));
    expect(failure.refused).toBe(false);
    expect(failure.retryAfterMs).toBeGreaterThanOrEqual(least);
    expect(failure.retryAfterMs).toBeLessThanOrEqual(most);
    expect(state.asked).toHaveLength(1);
  });

  test('no answer at all is given up after the timeout', async () => {
    const { baseUrl, state } = await github();
    state.odd = () => 'hang';
    const failure = await failureOf(sourceControl(baseUrl, { timeoutMs: 100 }).authenticate({ repo }));
    expect(failure).toMatchObject({ status: null, refused: false, retryAfterMs: 5_000 });
    expect(failure.message).toContain('100 ms');
  });

  test('nobody there is something that may pass', async () => {
    const failure = await failureOf(sourceControl(await nobody()).authenticate({ repo }));
    expect(failure).toMatchObject({ status: null, refused: false, retryAfterMs: 5_000 });
    expect(failure.message).toContain('ECONNREFUSED');
  });

  test('a caller that gives up is followed', async () => {
    const { baseUrl, state } = await github();
    state.odd = () => 'hang';
    const giveUp = new AbortController();
    const asking = failureOf(sourceControl(baseUrl).authenticate({ repo, signal: giveUp.signal }));
    setTimeout(() => giveUp.abort(), 50);
    expect(await asking).toMatchObject({ refused: false, retryAfterMs: null });
  });

  test.each([401, 403, 404, 410, 422])('%i is a refusal', async (status) => {
    const { baseUrl, state } = await github();
    state.odd = () => ({ status, body: { message: 'no' } });
    const failure = await failureOf(sourceControl(baseUrl).token({ repo }));
    expect(failure).toMatchObject({ status, refused: true, retryAfterMs: null, requestId: 'ABC:1' });
  });

  test('no failure and no line on the console shows a key, a token or what GitHub wrote', async () => {
    const written: string[] = [];
    const spies = [
      ...[process.stdout, process.stderr].map((stream) =>
        vi.spyOn(stream, 'write').mockImplementation((text) => (written.push(String(text)), true)),
      ),
      ...(['debug', 'info', 'log', 'warn', 'error'] as const).map((level) =>
        vi.spyOn(console, level).mockImplementation((...words) => void written.push(words.join(' '))),
      ),
    ];
    const failures: unknown[] = [];
    const secrets = new Set(['canary-of-github', privateKey.split('\n')[1]!]);
    const odds: (OddAnswer | 'hang' | 'hang up')[] = [
      ...[301, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503].map((status) => ({
        status,
        headers: { deprecation: 'true', 'x-canary': 'canary-of-github', 'retry-after': 'canary-of-github' },
        body: { message: 'canary-of-github' },
      })),
      { status: 200, headers: { 'content-type': 'text/html' }, body: 'canary-of-github' },
      { status: 200, body: { message: 'canary-of-github' } },
      'hang',
      'hang up',
    ];
    try {
      for (const odd of odds) {
        for (const at of ['/installation', '/access_tokens', '/git/ref/', '/comments']) {
          const { baseUrl, state } = await github();
          state.odd = ({ operation }) => (operation.includes(at) ? odd : null);
          const control = sourceControl(baseUrl, { timeoutMs: 150 });
          const keep = (failure: unknown) => void failures.push(failure);
          await control.authenticate({ repo }).catch(keep);
          await control.token({ repo }).catch(keep);
          await control.head({ repo, headRepo: 'acme/shop', branch: 'main' }).catch(keep);
          await control.comment(comment).catch(keep);
          for (const token of state.tokens.keys()) secrets.add(token);
          for (const { authorization } of state.asked) secrets.add(authorization.replace(/^\w+ /, ''));
        }
      }
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
    expect(failures.length).toBeGreaterThan(80);
    expect(written).toEqual([]);
    const shown = [...failures.map((failure) => inspect(failure, { depth: 9, showHidden: true })), ...written].join(
      '\n',
    );
    for (const secret of secrets) expect(shown).not.toContain(secret);
    for (const failure of failures) expect(failure).toBeInstanceOf(GitHubFailure);
  });
});

describe('a configuration', () => {
  const pkcs8 = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' });

  test('takes a key in PKCS#8, and one with its line breaks written out', () => {
    githubSourceControl({ appId: 'Iv1.abc', privateKey: pkcs8.toString() });
    githubSourceControl({ appId: '1', privateKey: privateKey.replaceAll('\n', '\\n') });
  });

  test.each([
    ['appId', { appId: '' }],
    ['privateKey', { privateKey: 'canary' }],
    ['baseUrl', { baseUrl: 'http://github.example' }],
    ['provider', { provider: 'Git Hub' }],
    ['timeoutMs', { timeoutMs: 0 }],
    ['fetch', { fetch: 1 }],
    ['privatKey', { privatKey: privateKey }],
  ])('is refused for its %s', (path, wrong) => {
    const options = { appId, privateKey, ...wrong } as never;
    expect(() => githubSourceControl(options)).toThrow(InvalidInput);
    expect(() => githubSourceControl(options)).toThrow(path);
    expect(() => githubSourceControl(options)).not.toThrow('canary');
  });
});
