import { createVivarium, localKeyring, StorageFailure, unwrap } from '@vivarium/core';
import type { Client, Preview } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { errAsync } from '@vivarium/core/storage';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { fakeClock, loopbackPreviews } from '../../src/index.ts';

const keys = localKeyring({ keys: `workers:${Buffer.alloc(32, 3).toString('base64')}` });
const sha = 'a'.repeat(40);

async function aPreview(storage: Storage = memoryStorage()) {
  const outside = loopbackPreviews();
  const clock = fakeClock();
  const vivarium = createVivarium({ storage, keys, clock, previews: outside.ports });
  const client = vivarium.system('acme');
  const { id: projectId } = await unwrap(client.projects.create({ name: 'Shop' }));
  const { id: repoId } = await unwrap(client.deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
  const { id: appId } = await unwrap(client.deployments.apps.create({ projectId, repoId, name: 'Shop' }));
  const preview = await unwrap(client.previews.create({ appId, pullRequest: 1, branch: 'feature', sha }));
  return { outside, clock, client, preview };
}

/** A point that somebody waits at until it is let go. */
function gate() {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  const { promise: open, resolve: letGo } = Promise.withResolvers<void>();
  const wait = () => {
    reach();
    return open;
  };
  return { reached, wait, letGo };
}

const now = ({ previews }: Client, { id }: Preview) => unwrap(previews.get(id));

async function deliver({ previews }: Client, outside: ReturnType<typeof loopbackPreviews>) {
  for (const message of outside.take('acme')) await unwrap(previews.handle(message));
}

describe('workers of previews that are late', () => {
  test('take back a runtime that was made for a run which has been stopped meanwhile', async () => {
    const { outside, clock, client, preview } = await aPreview();
    const { reached, wait, letGo } = gate();
    outside.before('create', wait);
    const [message] = outside.take('acme');
    const late = client.previews.handle(message!);
    await reached;

    clock.advance(31 * 60_000);
    unwrap(await client.previews.sweep());
    expect(await now(client, preview)).toMatchObject({ status: 'error', hasRuntime: true });
    unwrap(await client.previews.stop(preview.id));
    await deliver(client, outside);
    expect(await now(client, preview)).toMatchObject({ status: 'stopped', hasRuntime: false });

    letGo();
    expect(await unwrap(late)).toBe('overtaken');
    expect(outside.runtimes).toEqual([]);
    expect(await now(client, preview)).toMatchObject({ status: 'stopped', hasRuntime: false });
  });

  test('do not leave the comment as they had seen the preview', async () => {
    const { outside, client, preview } = await aPreview();
    const [first] = outside.take('acme');
    await unwrap(client.previews.handle(first!));
    const { reached, wait, letGo } = gate();
    outside.before('comment', wait);
    const [second] = outside.take('acme');
    const late = client.previews.handle(second!);
    await reached;

    await unwrap(client.previews.report(outside.report(`${preview.id}-1`, { status: 'running' })));
    await deliver(client, outside);
    expect(outside.comments[0]!.body).toContain('Running');
    letGo();
    expect(await unwrap(late)).toBe('told');
    expect(outside.comments.map(({ body }) => body)).toEqual([expect.stringContaining('Running')]);
  });

  test('go on where the last try ended: what was done is not asked for again', async () => {
    const storage = memoryStorage();
    const { write } = storage.previews;
    let writes = 0;
    // The second write is the one that says that the runtime was taken on; the first says that there may be one.
    const failing: Storage = {
      ...storage,
      previews: {
        ...storage.previews,
        write: (command) =>
          ++writes === 2
            ? errAsync(new StorageFailure('the database is gone', { retryable: true, outcome: 'none' }))
            : write(command),
      },
    };
    const { outside, client, preview } = await aPreview(failing);
    const [message] = outside.take('acme');
    expect((await client.previews.handle(message!))._unsafeUnwrapErr().code).toBe('storage_failure');
    const asked = { ...outside.calls };
    expect(await unwrap(client.previews.handle(message!))).toBe('deploying');
    expect(await now(client, preview)).toMatchObject({ status: 'deploying', generation: 1 });
    expect(outside.calls).toEqual({ ...asked, send: asked.send + 1 });
  });
});

test('a fork that somebody approves is counted when its first run begins, and not when it waits', async () => {
  const outside = loopbackPreviews();
  const previews = { ...outside.ports, forks: 'approve' } as const;
  const client = createVivarium({ storage: memoryStorage(), keys, previews }).system('acme');
  const { id: projectId } = await unwrap(client.projects.create({ name: 'Shop' }));
  const { id: repoId } = await unwrap(client.deployments.repos.register({ provider: 'github', fullName: 'acme/shop' }));
  const { id: appId } = await unwrap(client.deployments.apps.create({ projectId, repoId, name: 'Shop' }));
  const fork = { headRepo: 'eve/shop', branch: 'feature', pullRequest: 1, sha };
  const { id: projectEnvironmentId } = await unwrap(client.previews.create({ appId, ...fork }));
  expect(outside.tracked).toEqual([]);
  await unwrap(client.previews.approve({ projectEnvironmentId, sha }));
  expect(outside.tracked.map(({ name }) => name)).toEqual(['environment_created']);
});
