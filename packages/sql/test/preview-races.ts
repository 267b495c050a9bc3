/**
 * A preview and what it hangs from, each brought about on purpose: one writer has done its write and not committed, the other comes, and waits for it or not. What it
 * is answered must be true after both.
 */
import { unwrap } from '@vivarium/core';
import type { Storage, StoredDataKey, StoredPreview } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';

import {
  at,
  changeIn,
  messageOf,
  newPreview,
  newSecret,
  newWorld,
  next,
  writeWorld,
  writing,
} from './preview-making.ts';
import type { World } from './preview-making.ts';

/** A storage, and what is done in a transaction of the host's that commits. */
export interface Racing {
  readonly storage: Storage;
  inTransaction(work: (inside: Storage) => Promise<void>): Promise<void>;
}

const done = { done: true };
const refused = (by: string) => ({ done: false, refused: by });
const owners = ['app', 'repository', 'project'] as const;
type Owner = (typeof owners)[number];

export function testPreviewRaces(racing: () => Racing): void {
  describe.each(owners)('deleting the %s', (owner) => {
    test.each([
      ['of a preview that gets a runtime', false, true, refused('has_live_previews')],
      ['of a preview whose runtime is gone', true, false, done],
    ] as const)('%s: it is decided on what has become of it', async (_what, before, after, answer) => {
      const world = await written({ hasRuntime: before });
      const deleted = await overtaken(
        async (inside) => expect(await write(inside, world, { hasRuntime: after })).toEqual(done),
        (storage) => remove(storage, world, owner),
      );
      expect(deleted).toEqual(answer);
      expect(await there(world)).toBe(after);
    });

    test('no preview that has gone with it gets a runtime, or anything else', async () => {
      const world = await written();
      const late = await overtaken(
        async (inside) => expect(await remove(inside, world, owner)).toEqual(done),
        async (storage) => [
          await write(storage, world, { hasRuntime: true }),
          await unwrap(storage.previews.countTry(world.org, world.preview.id, 1)),
          await unwrap(storage.previews.keepStep(world.org, stepOf(world, 'runtime'))),
          await unwrap(storage.previews.keepStep(world.org, stepOf(world, 'comment'))),
        ],
      );
      expect(late).toEqual([refused('not_found'), null, undefined, undefined]);
      expect(await there(world)).toBe(false);
    });

    test.each([
      ['a preview', create],
      ['a secret', secret],
      ['a data key', key],
    ] as const)('%s that comes meanwhile finds it gone', async (_what, make) => {
      const world = await written();
      const late = await overtaken(
        async (inside) => expect(await remove(inside, world, owner)).toEqual(done),
        (storage): Promise<unknown> => make(storage, world),
      );
      expect([refused('gone'), 'not_found']).toContainEqual(late);
      const { secrets, keys } = await left(world);
      expect({ secrets, keys }).toEqual({ secrets: [], keys: [] });
    });

    test('a preview with a runtime that was made meanwhile holds it', async () => {
      const world = await written();
      const deleted = await overtaken(
        async (inside) => expect(await create(inside, world, { hasRuntime: true })).toEqual(done),
        (storage) => remove(storage, world, owner),
      );
      expect(deleted).toEqual(refused('has_live_previews'));
      expect(await there(world)).toBe(true);
    });

    test('what was written of it meanwhile goes with it', async () => {
      const world = await written();
      const deleted = await overtaken(
        async (inside) => {
          expect(await create(inside, world)).toEqual(done);
          expect(await secret(inside, world)).toEqual(done);
          await unwrap(inside.previews.keepStep(world.org, stepOf(world, 'comment')));
        },
        (storage) => remove(storage, world, owner),
      );
      expect(deleted).toEqual(done);
      const { secrets, environments, unsent } = await left(world);
      expect({ secrets, environments, unsent }).toEqual({ secrets: [], environments: [], unsent: [] });
    });

    test('at once, again and again: one of both, never both', async () => {
      for (let round = 0; round < 12; round++) {
        const world = await written();
        const { storage } = racing();
        const [writing, removing] = [
          () => write(storage, world, { hasRuntime: true }),
          () => remove(storage, world, owner),
        ];
        const [changed, deleted] = await Promise.all([
          setTimeout(round % 3).then(writing),
          setTimeout((round + 1) % 3).then(removing),
        ]);
        if (changed.done) expect(deleted).toEqual(refused('has_live_previews'));
        else expect([changed, deleted]).toEqual([refused('not_found'), done]);
        expect(await there(world)).toBe(changed.done);
      }
    });
  });

  test('a project with a child and a runtime below it is refused for the child', async () => {
    const world = await written({ hasRuntime: true });
    const { storage } = racing();
    const { environment, project } = newWorld(world.org);
    const { treeVersion } = await unwrap(storage.projects.lineage(world.org, world.project.id));
    const child = { ...project, parentProjectId: world.project.id };
    const command = { project: child, environments: [environment], treeVersion, change: changeIn(world.org) };
    expect(await unwrap(storage.projects.create(command))).toEqual(done);
    expect(await remove(storage, world, 'project')).toEqual(refused('has_children'));
    const stale = { ...world, project: { ...world.project, version: 2 } };
    expect(await remove(storage, stale, 'project')).toEqual(refused('stale'));
  });

  async function written(differing: Partial<StoredPreview> = {}) {
    const { storage } = racing();
    const world = await writeWorld(storage, newWorld());
    const preview = newPreview(world, 'pr-1', differing);
    const command = writing(world.org, preview, { message: messageOf(world.org, preview) });
    expect(await unwrap(storage.previews.create(command))).toEqual(done);
    return { ...world, preview };
  }
  type Written = Awaited<ReturnType<typeof written>>;

  /** Lets `first` write and hold its locks while `then` goes as far as it can, and commits. */
  async function overtaken<T>(
    first: (inside: Storage) => Promise<void>,
    then: (storage: Storage) => Promise<T>,
  ): Promise<T> {
    const { storage, inTransaction } = racing();
    let answer: Promise<T> | undefined;
    await inTransaction(async (inside) => {
      await first(inside);
      answer = then(storage);
      await Promise.race([answer.catch(() => undefined), setTimeout(150)]);
    });
    return answer!;
  }

  /** Whether there is an environment of the app that has a preview with a runtime. */
  async function there({ org, app }: World): Promise<boolean> {
    const page = await unwrap(racing().storage.previews.list(org, { appId: app.id }, { limit: 100, after: null }));
    return page?.items.some(({ hasRuntime }) => hasRuntime) ?? false;
  }

  async function left({ org, app, project }: World) {
    const { previews, dataKeys, deployments } = racing().storage;
    const page = { limit: 100, after: null };
    return {
      secrets: await unwrap(previews.secrets(org, { appId: app.id, type: 'preview' })),
      keys: await unwrap(dataKeys.ofScope(org, { type: 'app', id: app.id })),
      environments: (await unwrap(deployments.listEnvironments(org, { projectId: project.id }, page))).items,
      unsent: await unwrap(previews.unsent(org, page)),
    };
  }

  function stepOf({ preview: { id, generation } }: Written, step: 'comment' | 'runtime') {
    return { projectEnvironmentId: id, generation, step, result: 'r', at };
  }
}

function remove({ deployments, projects }: Storage, { org, app, repo, project }: World, owner: Owner) {
  const change = changeIn(org);
  switch (owner) {
    case 'app':
      return unwrap(deployments.deleteApp({ app, change }));
    case 'repository':
      return unwrap(deployments.deleteRepo({ repo, change }));
    case 'project':
      return unwrap(projects.delete({ project, change }));
  }
}

function write(
  { previews }: Storage,
  world: World & { readonly preview: StoredPreview },
  differing: Partial<StoredPreview>,
) {
  const { org, preview } = world;
  const command = { ...writing(org, next(preview, differing)), expectedVersion: 1, previousBranch: preview.branch };
  return unwrap(previews.write(command));
}

function create({ previews }: Storage, world: World, differing: Partial<StoredPreview> = {}) {
  const preview = newPreview(world, 'pr-2', differing);
  return unwrap(previews.create(writing(world.org, preview, { message: messageOf(world.org, preview) })));
}

function secret({ previews }: Storage, world: World) {
  return unwrap(previews.writeSecret({ secret: newSecret(world, 'A'), change: changeIn(world.org) }));
}

function key({ dataKeys }: Storage, { org, app }: World) {
  const scope = { type: 'app', id: app.id } as const;
  const sealed = { wrapped: 'a2V5', wrappedBy: 'local', commitment: 'c' };
  const made: StoredDataKey = {
    id: randomUUID(),
    scope,
    generation: 1,
    ...sealed,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
  return unwrap(dataKeys.add(org, made));
}
