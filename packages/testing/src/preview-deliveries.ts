import { createVivarium, localKeyring, unwrap } from '@vivarium/core';
import type { App, Client, Preview, QueueMessage, SourceEvent, Storage, Vivarium } from '@vivarium/core';
import { describe, expect, it } from 'vitest';

import { loopbackPreviews } from './loopback-previews.ts';
import type { LoopbackPreviews } from './loopback-previews.ts';
import { lifeUntil } from './mortal.ts';
import type { Life } from './mortal.ts';
import { seededRandom } from './seeded-random.ts';
import type { SeededRandom } from './seeded-random.ts';

/** How much the deliveries of previews are shuffled. */
export interface DeliveriesSize {
  /** Orders of five messages, each delivered twice: 2,000 of the 113,400 when not given; 113,400 for all of them. */
  readonly orders?: number;
  /** Stories of a pull request with a process that dies in each of them: 2,000 when not given. */
  readonly crashes?: number;
}

/** Opens a storage for the next so many worlds. */
export type OpenStorage = () => Promise<{ readonly storage: Storage; close(): Promise<void> }>;

const allOrders = 113_400;
/** So many worlds share a storage, that one in memory does not grow without end. */
const worldsOfAStorage = 200;
const keys = localKeyring({ keys: `deliveries:${Buffer.alloc(32, 7).toString('base64')}` });
const repo = { provider: 'github', repo: 'acme/shop' } as const;
const branch = 'feature';
const commit = (number: number) => number.toString(16).padStart(40, 'c');

/**
 * Delivers what concerns a preview in any order, twice, and with a process that dies at any step: between an effect outside and its record, too. In the end there has to be
 * one comment and one runtime, of the newest commit, or none; and nothing is lost.
 */
export function describePreviewDeliveries(
  name: string,
  open: OpenStorage,
  { orders = 2_000, crashes = 2_000 }: DeliveriesSize = {},
): void {
  const timeout = 60_000 + orders * 500 + crashes * 3_000;
  describe(`[${name}] deliveries of previews`, { timeout }, () => {
    if (orders > 0) {
      it(`${orders} orders of five messages, each delivered twice, come to the same`, async () => {
        await inWorlds(open, orders, async (storage, index) => {
          const order = orderAt(Math.floor((index * allOrders) / orders));
          await inThisOrder(storage, `order ${index}`, order);
        });
      });
    }

    if (crashes === 0) return;
    it(`${crashes} stories with a process that dies in each lose nothing`, async ({ annotate }) => {
      const died = { anywhere: 0, betweenEffectAndRecord: 0 };
      await inWorlds(open, crashes, async (storage, seed) => {
        const outcome = await withADeath(storage, `story ${seed}`, seededRandom(seed));
        if (outcome.died) died.anywhere++;
        if (outcome.afterAnEffect) died.betweenEffectAndRecord++;
      });
      await annotate(
        `${crashes} stories: ${died.anywhere} processes died, ${died.betweenEffectAndRecord} of them right after an effect outside`,
      );
      expect(died.anywhere).toBeGreaterThan(crashes / 2);
    });
  });
}

async function inWorlds(
  open: OpenStorage,
  worlds: number,
  run: (storage: Storage, index: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < worlds; from += worldsOfAStorage) {
    const { storage, close } = await open();
    for (let index = from; index < Math.min(worlds, from + worldsOfAStorage); index++) await run(storage, index);
    await close();
  }
}

/** One app with one pull request, and the outside of it. */
interface Scene {
  readonly org: string;
  readonly outside: LoopbackPreviews;
  readonly app: App;
  /** What was taken out of the queue, and stays with whoever delivers until it was worked off. */
  readonly taken: QueueMessage[];
  vivarium(life?: Life): Vivarium;
}

async function newScene(storage: Storage, org: string): Promise<Scene> {
  const outside = loopbackPreviews();
  const vivarium = (life?: Life) =>
    createVivarium({
      keys,
      storage: life === undefined ? storage : life.living(storage),
      previews: life === undefined ? outside.ports : life.living(outside.ports),
    });
  const client = vivarium().system(org);
  const { id: projectId } = await unwrap(client.projects.create({ name: 'Shop' }));
  const { id: repoId } = await unwrap(
    client.deployments.repos.register({ provider: repo.provider, fullName: repo.repo }),
  );
  const app = await unwrap(client.deployments.apps.create({ projectId, repoId, name: 'Shop' }));
  return { org, outside, app, taken: [], vivarium };
}

function event(type: 'opened' | 'synchronized' | 'reopened', head: number, delivery: string): SourceEvent {
  const { provider, repo: fullName } = repo;
  return {
    type: `pull_request_${type}`,
    deliveryId: delivery,
    provider,
    repo: fullName,
    pullRequest: 1,
    branch,
    headRepo: fullName,
    sha: commit(head),
  };
}

function closed(delivery: string): SourceEvent {
  return { type: 'pull_request_closed', deliveryId: delivery, ...repo, pullRequest: 1 };
}

// Orders

type Message = 'opened' | 'synchronized' | 'queued' | 'tests_started' | 'running';
const messages: readonly Message[] = ['opened', 'synchronized', 'queued', 'tests_started', 'running'];

/** The order of this number among all orders of five messages that are each delivered twice. */
function orderAt(number: number): readonly Message[] {
  const left = new Map(messages.map((message) => [message, 2]));
  const order: Message[] = [];
  let rest = number;
  for (let place = 0; place < messages.length * 2; place++) {
    for (const [message, count] of left) {
      if (count === 0) continue;
      left.set(message, count - 1);
      const orders = ordersOf(left);
      if (rest < orders) {
        order.push(message);
        break;
      }
      rest -= orders;
      left.set(message, count);
    }
  }
  return order;
}

/** (Σn)! / Πn! */
function ordersOf(left: ReadonlyMap<Message, number>): number {
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  const counts = [...left.values()];
  return counts.reduce((product, count) => product / factorial(count), factorial(counts.reduce((a, b) => a + b, 0)));
}

async function inThisOrder(storage: Storage, org: string, order: readonly Message[]): Promise<void> {
  const scene = await newScene(storage, org);
  const client = scene.vivarium().system(org);
  // The branch was pushed to before anything was delivered.
  scene.outside.setHead(repo.repo, branch, commit(2));
  for (const message of order) await deliver(scene, client, message);
  await untilQuiet(scene, client);
  await expectRunning(scene, client, 2, order.join(', '));
}

async function deliver(scene: Scene, client: Client, message: Message): Promise<void> {
  const { previews } = client;
  switch (message) {
    case 'opened':
      unwrap(await previews.onEvent(event('opened', 1, 'first')));
      return;
    case 'synchronized':
      unwrap(await previews.onEvent(event('synchronized', 2, 'second')));
      return;
    case 'queued': {
      // Whatever stands there now, and once more what stood there before: queues deliver at least once.
      const [first] = scene.outside.messages;
      if (first !== undefined) unwrap(await previews.handle(first));
      return;
    }
    case 'tests_started':
    case 'running': {
      const runtime = scene.outside.runtimes.at(-1);
      if (runtime === undefined) return;
      const sequence = message === 'tests_started' ? 1 : 2;
      unwrap(await previews.report(scene.outside.report(runtime.key, { status: message, sequence, url })));
    }
  }
}

const url = 'https://pr-1.example.com';

// Stories

/** A pull request's life with everything delivered in its order, some of it twice, and a process that dies somewhere on the way. */
async function withADeath(
  storage: Storage,
  org: string,
  random: SeededRandom,
): Promise<{ readonly died: boolean; readonly afterAnEffect: boolean }> {
  const scene = await newScene(storage, org);
  const { outside } = scene;
  const life = lifeUntil(1 + random.integer(160));
  let client: Client = scene.vivarium(life).system(org);
  let died = false;
  /** Does something as the process that is alive; one that dies over it leaves it to the next, as whoever delivers does. */
  const survive = async (act: (client: Client) => Promise<unknown>) => {
    if (died || (await Promise.race([act(client), life.death])) === 'died') {
      if (!died) client = scene.vivarium().system(org);
      died = true;
      await act(client);
    }
  };

  let head = 0;
  let open = false;
  const delivered: SourceEvent[] = [];
  for (let step = 0; step < 14; step++) {
    const choice = random.integer(10);
    if (choice < 3 || head === 0) {
      const closes: boolean = open && random.integer(3) === 0;
      if (!closes && (open || head === 0)) head++;
      const next = closes
        ? closed(`${step}`)
        : event(delivered.length === 0 ? 'opened' : open ? 'synchronized' : 'reopened', head, `${step}`);
      open = !closes;
      outside.setHead(repo.repo, branch, commit(head));
      delivered.push(next);
      await survive(async ({ previews }) => unwrap(await previews.onEvent(next)));
    } else if (choice === 3) {
      const again = random.pick(delivered);
      await survive(async ({ previews }) => unwrap(await previews.onEvent(again)));
    } else if (choice < 8) {
      const message = outside.messages.length === 0 ? undefined : random.pick(outside.messages);
      if (message !== undefined) await survive(async ({ previews }) => unwrap(await previews.handle(message)));
    } else {
      const runtime = outside.runtimes.at(-1);
      if (runtime === undefined) continue;
      const [status, sequence] = random.pick([['tests_started', 1] as const, ['running', 2] as const]);
      const report = outside.report(runtime.key, { status, sequence, url });
      await survive(async ({ previews }) => unwrap(await previews.report(report)));
    }
  }

  await survive((alive) => untilQuiet(scene, alive));
  if (open) await expectRunning(scene, client, head, org);
  else await expectStopped(scene, client, org);
  return { died, afterAnEffect: died && life.steps % 2 === 0 };
}

/** Delivers what is still to be delivered, as queues and runtimes do, until there is nothing more. */
async function untilQuiet({ outside, org, app, taken }: Scene, { previews }: Client): Promise<void> {
  for (let round = 0; round < 30; round++) {
    unwrap(await previews.sweep());
    taken.push(...outside.take(org));
    const isQuiet = taken.length === 0;
    while (taken.length > 0) {
      unwrap(await previews.handle(taken[0]!));
      taken.shift();
    }
    const [preview] = unwrap(await previews.list({ appId: app.id })).items;
    const runtime = outside.runtimes.find(({ key }) => key === `${preview?.id}-${preview?.generation}`);
    const waits = preview?.status === 'deploying' || preview?.status === 'running_tests';
    if (runtime !== undefined && waits) {
      for (const [status, sequence] of [['tests_started', 1] as const, ['running', 2] as const]) {
        unwrap(await previews.report(outside.report(runtime.key, { status, sequence, url })));
      }
    } else if (isQuiet) return;
  }
  throw new Error('the deliveries do not come to an end');
}

async function theOne({ app }: Scene, { previews }: Client, what: string): Promise<Preview> {
  const { items } = unwrap(await previews.list({ appId: app.id }));
  expect(items, what).toHaveLength(1);
  return items[0]!;
}

async function expectRunning(scene: Scene, client: Client, head: number, what: string): Promise<void> {
  const preview = await theOne(scene, client, what);
  const { outside } = scene;
  const sha = commit(head);
  expect(preview, what).toMatchObject({
    status: 'running',
    sha,
    headSha: sha,
    url,
    hasRuntime: true,
    pendingCommand: null,
    stopCause: null,
    reason: null,
  });
  const runtimes = outside.runtimes.map(({ key, runtimeId, request }) => ({ key, runtimeId, sha: request.sha }));
  const key = `${preview.id}-${preview.generation}`;
  expect(runtimes, what).toEqual([{ key, runtimeId: preview.runtimeId, sha }]);
  expectOneComment(scene, preview, '✅ Running', what);

  const { items } = unwrap(await client.deployments.history({ projectEnvironmentId: preview.id, limit: 100 }));
  expect(items[0], what).toMatchObject({ id: preview.run, status: 'success', sha, sequence: preview.generation });
  expect(
    items.filter(({ status }) => status === 'success' || status === 'created' || status === 'running'),
    what,
  ).toHaveLength(1);
}

async function expectStopped(scene: Scene, client: Client, what: string): Promise<void> {
  const preview = await theOne(scene, client, what);
  expect(preview, what).toMatchObject({
    status: 'stopped',
    stopCause: 'closed',
    hasRuntime: false,
    pendingCommand: null,
  });
  expect(scene.outside.runtimes, what).toEqual([]);
  expectOneComment(scene, preview, '💤 Stopped', what);
}

function expectOneComment({ outside }: Scene, { commentId }: Preview, says: string, what: string): void {
  expect(
    outside.comments.map(({ id }) => id),
    what,
  ).toEqual([commentId]);
  expect(outside.comments[0]!.body, what).toContain(says);
}
