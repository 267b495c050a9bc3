import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { localKeyring, unwrap } from '@vivarium/core';
import type { App, Client, Method, Preview } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { loopbackPreviews } from '@vivarium/testing';
import type { LoopbackPreviews } from '@vivarium/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

type PreviewMethod = Extract<Method, `previews.${string}`>;
type Call = () => Answer;

/** An app with two previews, one that runs and one whose run is to be begun, and one secret, whose data key is open already. */
interface World {
  readonly org: string;
  readonly previews: Client['previews'];
  /** An hour later. */
  readonly later: Client['previews'];
  readonly outside: LoopbackPreviews;
  readonly app: App;
  readonly running: Preview;
  readonly asked: Preview;
  /** Delivers what has been sent. */
  deliver(): Promise<void>;
}

const sha = (digit: string) => digit.repeat(40);
const secret = ({ app }: World) => ({ appId: app.id, environmentType: 'preview', name: 'API_KEY' }) as const;

/** Each method as the table in the README measures it; what has to be there before is prepared without being counted. */
const calls: Record<PreviewMethod, (world: World) => Call | Promise<Call>> = {
  'previews.create':
    ({ previews, app }) =>
    () =>
      previews.create({ appId: app.id, pullRequest: 3, branch: 'three', sha: sha('3') }),
  'previews.restart':
    ({ previews, running }) =>
    () =>
      previews.restart(running.id),
  'previews.stop':
    ({ previews, running }) =>
    () =>
      previews.stop(running.id),
  'previews.remove': async ({ previews, running, deliver }) => {
    unwrap(await previews.stop(running.id));
    await deliver();
    return () => previews.remove(running.id);
  },
  'previews.approve': async ({ previews, app }) => {
    const fork = { appId: app.id, pullRequest: 4, branch: 'four', headRepo: 'stranger/shop', sha: sha('4') };
    const { id } = unwrap(await previews.create(fork));
    return () => previews.approve({ projectEnvironmentId: id, sha: sha('4') });
  },
  'previews.forget': async ({ previews, later, running }) => {
    unwrap(await previews.stop(running.id));
    unwrap(await later.sweep());
    return () => previews.forget(running.id, { note: 'removed by hand' });
  },
  'previews.get':
    ({ previews, running }) =>
    () =>
      previews.get(running.id),
  'previews.list':
    ({ previews, app }) =>
    () =>
      previews.list({ appId: app.id }),
  'previews.handle': ({ previews, outside, org }) => {
    const [message] = outside.take(org);
    return () => previews.handle(message!);
  },
  'previews.report': async ({ previews, outside, asked, deliver }) => {
    await deliver();
    const report = outside.report(`${asked.id}-1`, { status: 'running', url: 'https://pr-2.shop.example.com' });
    return () => previews.report(report);
  },
  'previews.onEvent':
    ({ previews }) =>
    () =>
      previews.onEvent({
        type: 'pull_request_closed',
        deliveryId: 'delivery',
        provider: 'github',
        repo: 'acme/shop',
        pullRequest: 1,
      }),
  'previews.reconcile':
    ({ previews, app }) =>
    () =>
      previews.reconcile({
        appId: app.id,
        openPullRequests: [
          { pullRequest: 1, branch: 'one', sha: sha('1') },
          { pullRequest: 2, branch: 'two', sha: sha('2') },
        ],
      }),
  'previews.sweep':
    ({ previews }) =>
    () =>
      previews.sweep(),
  'previews.secrets.set': (world) => () => world.previews.secrets.set({ ...secret(world), value: 'another' }),
  'previews.secrets.list':
    ({ previews, app }) =>
    () =>
      previews.secrets.list({ appId: app.id, environmentType: 'preview' }),
  'previews.secrets.remove': (world) => () => world.previews.secrets.remove(secret(world)),
};

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] the table of the README, of previews', () => {
    let bench: Bench;
    let orgs = 0;
    const keys = localKeyring({ keys: `one:${randomBytes(32).toString('base64')}` });
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    const makeWorld = async (): Promise<World> => {
      const org = `org-${++orgs}`;
      const outside = loopbackPreviews();
      const options = { keys, previews: { ...outside.ports, forks: 'approve' as const } };
      const { projects, deployments, previews } = bench.as(org, options);
      const { id: projectId } = unwrap(await projects.create({ name: 'Shop' }));
      const { id: repoId } = unwrap(await deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
      const app = unwrap(await deployments.apps.create({ projectId, repoId, name: 'Shop' }));
      const world = { org, previews, outside, app };
      const deliver = async () => {
        for (const message of outside.take(org)) unwrap(await previews.handle(message));
      };
      unwrap(
        await previews.secrets.set({ appId: app.id, environmentType: 'preview', name: 'API_KEY', value: 'hidden' }),
      );
      const ask = async (pullRequest: number, branch: string, digit: string) =>
        unwrap(await previews.create({ appId: app.id, pullRequest, branch, sha: sha(digit) }));
      const running = await ask(1, 'one', '1');
      await deliver();
      unwrap(await previews.report(outside.report(`${running.id}-1`, { status: 'running' })));
      await deliver();
      const clock = { now: () => new Date(Date.now() + 3_600_000) };
      return {
        ...world,
        later: bench.as(org, { ...options, clock }).previews,
        running,
        asked: await ask(2, 'two', '2'),
        deliver,
      };
    };

    test.each(Object.keys(calls) as PreviewMethod[])('%s', async (method) => {
      const call = await calls[method](await makeWorld());
      const { operations, readUnits, writeUnits, value } = await bench.traffic(async () => await call());
      expect(value.isOk()).toBe(true);
      const counted = Object.entries(Object.groupBy(operations, (operation) => operation)).map(([operation, all]) =>
        all!.length === 1 ? operation : `${all!.length} ${operation}`,
      );
      const line = readme.split('\n').find((row) => row.startsWith(`| \`${method}\` `)) ?? '';
      const cells = line.split('|').map((cell) => cell.trim());
      expect([cells[2], cells[4], cells[5]]).toEqual([counted.join(' + '), `${readUnits}`, `${writeUnits}`]);
    });
  });
});
