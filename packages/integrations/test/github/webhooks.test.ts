import { createHmac } from 'node:crypto';

import { err, InvalidInput, ok, ResultAsync } from '@vivarium/core';
import type { SourceEvent } from '@vivarium/core';
import { payloads, realPayloads } from '@vivarium/loopback-github';
import { describe, expect, test } from 'vitest';

import { githubWebhooks } from '../../src/github/index.ts';
import type { GitHubWebhooksOptions } from '../../src/github/index.ts';

const secret = 'canary-secret-of-the-webhook';
type Failure = { readonly code: string; readonly message: string };

/** A Vivarium whose orgs answer in one way each, and that remembers what it was told. */
function told(failures: Readonly<Record<string, Failure | Error>> = {}) {
  const events: (SourceEvent & { readonly org: string })[] = [];
  const system = (org: string) => ({
    previews: {
      onEvent: (event: SourceEvent) => {
        const failure = failures[org];
        if (failure instanceof Error) throw failure;
        events.push({ org, ...event });
        return new ResultAsync<unknown, Failure>(Promise.resolve(failure === undefined ? ok({}) : err(failure)));
      },
    },
  });
  return { vivarium: { system }, events };
}

const signed = (name: string, body: string | Uint8Array, headers: Readonly<Record<string, string | null>> = {}) => {
  const all: Record<string, string | null> = {
    'content-type': 'application/json',
    'x-github-event': name,
    'x-github-delivery': crypto.randomUUID(),
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    ...headers,
  };
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null);
  return new Request('http://host.test/github', { method: 'POST', headers: given, body: body as string });
};

const pullRequest = (action: string) =>
  payloads('pull_request').find((payload) => payload.action === action && payload.installation !== undefined)!;
const push = () => payloads('push').find(({ ref, installation }) => ref === 'refs/heads/master' && installation)!;

const handler = (more: Partial<GitHubWebhooksOptions> = {}, failures: Parameters<typeof told>[0] = {}) => {
  const { vivarium, events } = told(failures);
  const asked: number[] = [];
  const orgsOf = (id: number) => (asked.push(id), ['acme']);
  return { handle: githubWebhooks({ vivarium, secret, orgsOf, ...more }), events, asked };
};

describe('a delivery', () => {
  test.each([
    ['opened', 'pull_request_opened'],
    ['reopened', 'pull_request_reopened'],
    ['synchronize', 'pull_request_synchronized'],
  ])('of a pull request: %s', async (action, type) => {
    const { handle, events, asked } = handler();
    const payload = pullRequest(action);
    const response = await handle(signed('pull_request', JSON.stringify(payload)));
    expect(response.status).toBe(200);
    expect(events).toEqual([
      {
        org: 'acme',
        type,
        deliveryId: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        provider: 'github',
        repo: payload.repository.full_name,
        pullRequest: payload.pull_request!.number,
        branch: payload.pull_request!.head.ref,
        headRepo: payload.pull_request!.head.repo!.full_name,
        sha: payload.pull_request!.head.sha,
      },
    ]);
    expect(asked).toEqual([payload.installation!.id]);
  });

  test('of a pull request that was closed says no head: it may be gone', async () => {
    const { handle, events } = handler({ provider: 'ghe' });
    const payload = pullRequest('closed');
    payload.pull_request!.head.repo = null;
    await handle(signed('pull_request', JSON.stringify(payload)));
    const { number } = payload.pull_request!;
    const deliveryId = expect.stringMatching(/^sha256:/);
    const common = { org: 'acme', provider: 'ghe', repo: payload.repository.full_name, deliveryId };
    expect(events).toEqual([{ ...common, type: 'pull_request_closed', pullRequest: number }]);
  });

  test('of a fork says whose head it is, and one whose fork is gone is let pass', async () => {
    const { handle, events } = handler();
    const payload = pullRequest('opened');
    payload.pull_request!.head.repo!.full_name = 'eve/fork';
    await handle(signed('pull_request', JSON.stringify(payload)));
    expect(events).toMatchObject([{ headRepo: 'eve/fork', repo: payload.repository.full_name }]);
    payload.pull_request!.head.repo = null;
    const response = await handle(signed('pull_request', JSON.stringify(payload)));
    expect([response.status, await response.json()]).toEqual([200, { outcome: 'ignored' }]);
    expect(events).toHaveLength(1);
  });

  test('of a push says the branch and its new head', async () => {
    const { handle, events } = handler();
    const payload = push();
    await handle(signed('push', JSON.stringify(payload)));
    await handle(signed('push', JSON.stringify({ ...payload, ref: 'refs/heads/feature/a' })));
    expect(events).toMatchObject([
      { type: 'branch_pushed', branch: 'master', sha: payload.after },
      { type: 'branch_pushed', branch: 'feature/a', sha: payload.after },
    ]);
  });

  test('of every kind that GitHub has is answered with 200, and means what the table says', async () => {
    const means: Record<string, string> = {
      'pull_request opened': 'pull_request_opened',
      'pull_request reopened': 'pull_request_reopened',
      'pull_request synchronize': 'pull_request_synchronized',
      'pull_request closed': 'pull_request_closed',
      'push refs/heads/master': 'branch_pushed',
    };
    let seen = 0;
    for (const { name, examples: payloadsOf } of realPayloads) {
      for (const example of payloadsOf) {
        const { handle, events } = handler();
        const body = JSON.stringify({ ...example, installation: { id: 5 } });
        expect((await handle(signed(name, body))).status).toBe(200);
        const type = means[`${name} ${example.action ?? (name === 'push' ? example.ref : '')}`];
        expect(events.map((event) => event.type)).toEqual(type === undefined ? [] : [type]);
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(150);
  });

  test.each([
    ['a deleted branch', { deleted: true }],
    ['a branch whose new head is none', { after: '0'.repeat(40) }],
    ['a tag', { ref: 'refs/tags/v1' }],
  ])('of %s is let pass', async (_, change) => {
    const { handle, events } = handler();
    const response = await handle(signed('push', JSON.stringify({ ...push(), ...change })));
    expect(response.status).toBe(200);
    expect(events).toEqual([]);
  });

  test('has the same id when it comes again, also under another header, and another one when anything differs', async () => {
    const { handle, events } = handler();
    const body = JSON.stringify(push());
    await handle(signed('push', body));
    await handle(signed('push', body));
    await handle(signed('push', JSON.stringify({ ...push(), ref: 'refs/heads/other' })));
    const ids = events.map(({ deliveryId }) => deliveryId);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });
});

describe('who is believed', () => {
  const body = JSON.stringify(push());
  const flipped = `sha256=${createHmac('sha256', 'another secret').update(body).digest('hex')}`;

  test.each([
    ['no signature', { 'x-hub-signature-256': null }],
    ['the old signature alone', { 'x-hub-signature-256': null, 'x-hub-signature': 'sha1=0' }],
    ['another secret', { 'x-hub-signature-256': flipped }],
    ['an empty signature', { 'x-hub-signature-256': '' }],
    ['another algorithm', { 'x-hub-signature-256': flipped.replace('256', '1') }],
  ])('is nobody with %s', async (_, headers) => {
    const { handle, events, asked } = handler();
    const response = await handle(signed('push', body, headers));
    expect(response.status).toBe(401);
    expect(await response.text()).not.toContain('canary');
    expect([events, asked]).toEqual([[], []]);
  });

  test('is the bytes as they came: the same JSON in other words is not what was signed', async () => {
    const { handle, events } = handler();
    const signature = signed('push', body).headers.get('x-hub-signature-256');
    const rewritten = JSON.stringify(JSON.parse(body), null, 1);
    expect((await handle(signed('push', rewritten, { 'x-hub-signature-256': signature }))).status).toBe(401);
    const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(body)]);
    expect((await handle(signed('push', marked, { 'x-hub-signature-256': signature }))).status).toBe(401);
    expect((await handle(signed('push', Buffer.from([0x7b, 0xff, 0x7d])))).status).toBe(400);
    expect(events).toEqual([]);
  });

  test('is who has any of several secrets', async () => {
    const { handle } = handler({ secret: ['the-next-secret-of-the-webhook', secret] });
    expect((await handle(signed('push', body))).status).toBe(200);
  });
});

describe('what is answered with', () => {
  const body = JSON.stringify(push());

  test.each([
    [405, () => new Request('http://host.test', { method: 'GET' })],
    [415, () => signed('push', body, { 'content-type': 'application/x-www-form-urlencoded' })],
    [400, () => signed('push', body, { 'x-github-event': null })],
    [400, () => signed('push', '[]')],
    [400, () => signed('push', 'no json')],
    [401, () => signed('push', '')],
    [400, () => signed('push', JSON.stringify({ ...push(), installation: undefined }))],
    [400, () => signed('push', JSON.stringify({ ...push(), repository: undefined }))],
    [400, () => signed('pull_request', JSON.stringify({ ...pullRequest('opened'), pull_request: { number: 1 } }))],
    [413, () => signed('push', 'x'.repeat(200_001))],
  ])('%i, which redelivering would not change', async (status, request) => {
    const { handle, events } = handler({ maximumBytes: 200_000 });
    const response = await handle(request());
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(events).toEqual([]);
  });

  test('413 also where the length was not said', async () => {
    const { handle } = handler({ maximumBytes: 1_000 });
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(600)) });
    const { headers } = signed('push', body);
    const request = new Request('http://host.test', {
      method: 'POST',
      headers,
      body: endless,
      duplex: 'half',
    });
    expect((await handle(request)).status).toBe(413);
  });

  test('200 for an installation that belongs to no org', async () => {
    const { handle, events } = handler({ orgsOf: async () => [] });
    expect((await handle(signed('push', body))).status).toBe(200);
    expect(events).toEqual([]);
  });

  test('503 when the orgs cannot be found, without the reason', async () => {
    const orgsOf = () => Promise.reject(new Error('canary'));
    const response = await handler({ orgsOf }).handle(signed('push', body));
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await response.text()).not.toContain('canary');
    const thrown = () => {
      throw new Error('canary');
    };
    expect((await handler({ orgsOf: thrown }).handle(signed('push', body))).status).toBe(503);
  });

  test.each([
    ['storage_failure', 503],
    ['stale_version', 503],
    ['invalid_input', 400],
    ['access_denied', 403],
    ['not_configured', 500],
  ])('the trouble of one org, %s, as %i, when all the others have had theirs', async (code, status) => {
    const failure = { code, message: status >= 500 ? 'canary' : 'branch: is too long' };
    const { handle, events } = handler({ orgsOf: () => ['a', 'b', 'b', 'c'] }, { a: failure });
    const response = await handle(signed('push', body));
    expect(response.status).toBe(status);
    expect(await response.text()).not.toContain('canary');
    expect(events.map(({ org }) => org)).toEqual(['a', 'b', 'c']);
  });

  test('the worst of several', async () => {
    const failures = { a: { code: 'invalid_input', message: 'x' }, b: { code: 'storage_failure', message: 'x' } };
    const { handle } = handler({ orgsOf: () => ['a', 'b'] }, failures);
    expect((await handle(signed('push', body))).status).toBe(503);
  });

  test('500 for an org that Vivarium does not take, while a defect goes to the host', async () => {
    const malformed = new InvalidInput([{ path: 'org', message: 'must be shorter' }]);
    const { handle, events } = handler({ orgsOf: () => ['a', 'b'] }, { a: malformed });
    expect((await handle(signed('push', body))).status).toBe(500);
    expect(events).toHaveLength(1);
    const defect = handler({ orgsOf: () => ['a', 'b'] }, { a: new TypeError('a defect') });
    await expect(defect.handle(signed('push', body))).rejects.toThrow('a defect');
    expect(defect.events).toHaveLength(1);
  });
});

test.each([
  ['secret', { secret: '' }],
  ['secret', { secret: ['canary-short', secret] }],
  ['secret', { secret: [] }],
  ['orgsOf', { orgsOf: 'acme' }],
  ['vivarium', { vivarium: {} }],
  ['maximumBytes', { maximumBytes: 0 }],
  ['orgs', { orgs: [] }],
])('a configuration is refused for its %s', (path, wrong) => {
  const options = { vivarium: told().vivarium, secret, orgsOf: () => [], ...wrong } as never;
  expect(() => githubWebhooks(options)).toThrow(InvalidInput);
  expect(() => githubWebhooks(options)).toThrow(path);
  expect(() => githubWebhooks(options)).not.toThrow('canary');
});
