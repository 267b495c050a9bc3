import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';

import { getRequestListener } from '@hono/node-server';
import { createRequestListener } from '@remix-run/node-fetch-server';
import { unwrap } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { appId, payloads, privateKey, signedDelivery } from '@vivarium/loopback-github';
import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';

import { github } from '../github/github.ts';
import { serve } from '../loopback.ts';
import { runtimeService } from './documented/runtime.ts';
import type { Cluster } from './documented/runtime.ts';

const modules = new URL('documented/', import.meta.url);
const page = readFileSync(new URL('../../../../docs/previews.md', import.meta.url), 'utf8');

test('the modules in docs/previews.md are those that run here', () => {
  const shown = [...page.matchAll(/^```ts\n(\/\/ [a-z-]+\.ts\n[\s\S]*?)^```$/gm)].map(([, text]) => text!).sort();
  const files = readdirSync(modules).map((name) => readFileSync(new URL(name, modules), 'utf8'));
  expect(shown).toEqual(files.sort());
});

/** The service of the page, with a GitHub and a runtime service on loopback, and a database of its own. */
await describeOnEngines(['postgres-18'], ({ name, url: serverUrl }) => {
  test(`[${name}] the service of docs/previews.md previews a pull request, in Hono, in Express and in a Lambda`, async () => {
    const { baseUrl, state: hub } = await github();
    const [runtimeSecret, webhookSecret] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
    const living = new Set<string>();
    const cluster: Cluster = {
      start: async (key, { preview, secrets }) => {
        if (secrets['DATABASE_URL'] !== 'postgres://qa') throw new Error('there is no database');
        living.add(key);
        return { url: `https://${preview.environment}.example` };
      },
      remove: async (key) => void living.delete(key),
    };

    let listener: RequestListener = (_request, response) => void response.writeHead(503).end();
    const host = await serve((request, response) => listener(request, response));
    const environment = {
      DATABASE_URL: await databaseAt(serverUrl),
      VIVARIUM_KEYS: `test:${randomBytes(32).toString('base64')}`,
      GITHUB_APP_ID: String(appId),
      GITHUB_PRIVATE_KEY: privateKey,
      GITHUB_API_URL: baseUrl,
      GITHUB_WEBHOOK_SECRET: webhookSecret,
      GITHUB_INSTALLATION_ID: '1',
      RUNTIME_URL: await serve(createRequestListener(runtimeService(runtimeSecret, cluster))),
      RUNTIME_SECRET: runtimeSecret,
      PUBLIC_URL: host,
    };
    onTestFinished(() => void vi.unstubAllEnvs());
    for (const [key, value] of Object.entries(environment)) vi.stubEnv(key, value);
    const { vivarium } = await import('./documented/vivarium.ts');
    const { app: hono } = await import('./documented/hono.ts');
    const { app: express } = await import('./documented/express.ts');
    const { handler } = await import('./documented/lambda.ts');
    const { reconcile, sweep } = await import('./documented/schedule.ts');
    const { setUp } = await import('./documented/set-up.ts');

    hub.installations.set('acme/shop', 1);
    const app = await setUp('postgres://qa');
    const delivery = (action: string, number: number) => {
      const payload = payloads('pull_request').find((each) => each.action === action && each.installation)!;
      payload.repository.full_name = 'acme/shop';
      payload.pull_request!.number = number;
      const { head } = payload.pull_request!;
      head.repo!.full_name = 'acme/shop';
      hub.heads.set(`acme/shop#${head.ref}`, head.sha);
      return signedDelivery('pull_request', JSON.stringify(payload), webhookSecret);
    };
    const { previews } = vivarium.system('acme');
    const statuses = async () => {
      const { items } = await unwrap(previews.list({ appId: app.id }));
      return Object.fromEntries(items.map(({ environment: named, status }) => [named, status]));
    };
    const become = (expected: object) =>
      vi.waitFor(async () => expect(await statuses()).toEqual(expected), { timeout: 90_000, interval: 100 });

    const answers = getRequestListener(hono.fetch);
    listener = (request, response) => void answers(request, response);
    expect((await fetch(`${host}/github`, delivery('opened', 1))).status).toBe(200);
    await become({ 'pr-1': 'running' });

    listener = (request, response) => void express(request, response);
    expect((await fetch(`${host}/github`, delivery('opened', 2))).status).toBe(200);
    await become({ 'pr-1': 'running', 'pr-2': 'running' });

    const { headers, body } = delivery('opened', 3);
    const base64 = { headers, body: Buffer.from(body).toString('base64'), isBase64Encoded: true };
    expect(await handler(base64)).toMatchObject({ statusCode: 200, body: '{"outcome":"handled"}' });
    expect(await handler({ headers, body: `${body} `, isBase64Encoded: false })).toMatchObject({ statusCode: 401 });
    await become({ 'pr-1': 'running', 'pr-2': 'running', 'pr-3': 'running' });

    await vi.waitFor(async () => expect(await sweep()).toEqual([]), { timeout: 30_000 });
    const { branch, sha } = (await unwrap(previews.list({ appId: app.id }))).items[0]!;
    await reconcile(app.id, [{ pullRequest: 3, branch, sha }]);
    await become({ 'pr-1': 'stopped', 'pr-2': 'stopped', 'pr-3': 'running' });
    expect(living.size).toBe(1);
    expect(hub.comments).toHaveLength(3);
  });
});

async function databaseAt(serverUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  const name = `previews_page_${process.pid}_${Date.now()}`;
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}
