import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { createVivarium, unwrap } from '@vivarium/core';
import type { Client, Project } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';

import { dynamodbStorage } from '../src/index.ts';
import { clientAt, makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] projects', () => {
    let bench: Bench;
    let org: string;
    let ada: Client;
    let orgs = 0;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());
    beforeEach(() => {
      org = `org-${++orgs}`;
      ada = bench.as(org);
    });
    afterEach(() => bench.client.middlewareStack.remove('broken'));

    /** Lets no request of these kinds through. */
    const breakDown = (...operations: string[]) =>
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          if (operations.includes(context.commandName!)) throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
          return next(args);
        },
        { step: 'initialize', name: 'broken' },
      );
    const itemsOf = async (projectId: string) =>
      (await bench.items()).filter(({ pk, sk }) => pk!.S!.startsWith(org) && `${pk!.S}${sk!.S}`.includes(projectId));

    test('a project with thirty environments is one transaction of at most a hundred actions', async () => {
      const parent = unwrap(await ada.projects.create({ name: 'Parent' }));
      const environments = Array.from({ length: 30 }, (_, i) => ({ name: `environment ${i}`, description: 'words' }));
      const { operations, value } = await bench.traffic(async () =>
        ada.projects.create({
          name: 'Child',
          description: 'more words',
          parentProjectId: parent.id,
          environments,
          idempotencyKey: 'a key of some length',
        }),
      );
      expect(operations.filter((operation) => operation.startsWith('Transact'))).toEqual(['TransactWriteItems']);
      const list = unwrap(await ada.environments.list({ projectId: unwrap(value).id, limit: 100 }));
      expect(list.items).toHaveLength(30);
    });

    test('the ancestors of a deep project are read although something in the tree is always being moved', async () => {
      const line: Project[] = [];
      for (let level = 0; level < 9; level++) {
        const parentProjectId = line.at(-1)?.id;
        line.push(unwrap(await ada.projects.create({ name: `Level ${level}`, parentProjectId })));
      }
      const restless = unwrap(await ada.projects.create({ name: 'Restless' }));
      const client = clientAt(engine.url);
      const storage = dynamodbStorage({ client, table: bench.table });
      const bob = createVivarium({ storage }).as({ org, type: 'user', id: 'bob' });

      // Too often for a walk along the whole line, of one request a level, to come through between two moves.
      let [requests, moves] = [0, 0];
      bench.client.middlewareStack.add(
        (next) => async (args) => {
          if (++requests % 5 === 0) {
            const parentProjectId = moves++ % 2 === 0 ? line[0]!.id : null;
            unwrap(await bob.projects.move(restless.id, { parentProjectId }));
          }
          return next(args);
        },
        { step: 'initialize', name: 'moves' },
      );
      try {
        const ancestors = unwrap(await ada.projects.ancestors(line.at(-1)!.id));
        expect(ancestors).toEqual(line.slice(0, -1).reverse());
        expect(moves).toBeGreaterThan(0);
      } finally {
        bench.client.middlewareStack.remove('moves');
        client.destroy();
      }
    });

    test('a project too large for one transaction is refused in words, not half written', async () => {
      const large = bench.as(org, { limits: { variableBytesPerEnvironment: 300_000 } });
      const environments = Array.from({ length: 15 }, (_, i) => ({
        name: `environment ${i}`,
        variables: [{ key: 'BIG', value: 'x'.repeat(290_000) }],
      }));
      const result = await large.projects.create({ name: 'Big', environments });
      expect(result.isErr() && result.error).toMatchObject({
        code: 'storage_failure',
        retryable: false,
        outcome: 'none',
      });
      expect(result.isErr() && result.error.message).toMatch(/4 MB/);
      expect((await ada.projects.getByName('Big')).isErr()).toBe(true);

      const fits = await large.projects.create({ name: 'Big', environments: environments.slice(0, 10) });
      expect(fits.isOk()).toBe(true);
    });

    test('a deletion that breaks down behind the fence has happened for everybody, and the next one finishes it', async () => {
      const parent = unwrap(await ada.projects.create({ name: 'Parent' }));
      const environments = Array.from({ length: 30 }, (_, i) => ({ name: `environment ${i}` }));
      const shop = unwrap(await ada.projects.create({ name: 'Shop', parentProjectId: parent.id, environments }));
      const ref = { projectId: shop.id, id: shop.defaultEnvironmentId };

      breakDown('BatchWriteItemCommand');
      expect((await ada.projects.delete(shop.id)).isOk()).toBe(true);
      const left = await itemsOf(shop.id);
      expect(left.length).toBeGreaterThan(60);

      const codes = await Promise.all(
        [
          ada.projects.get(shop.id),
          ada.projects.getByName('Shop'),
          ada.projects.update(shop.id, { description: 'x' }),
          ada.projects.delete(shop.id),
          ada.projects.move(shop.id, { parentProjectId: null }),
          ada.projects.create({ name: 'Orphan', parentProjectId: shop.id }),
          ada.environments.get(ref),
          ada.environments.getByName(shop.id, 'environment 1'),
          ada.environments.getDefault(shop.id),
          ada.environments.list({ projectId: shop.id }),
          ada.environments.search({ projectId: shop.id, variableKey: 'X' }),
          ada.environments.stats(shop.id),
          ada.environments.create({ projectId: shop.id, name: 'New' }),
          ada.environments.makeDefault(ref),
          ada.environments.delete(ref),
        ].map(async (call) => (await (call as PromiseLike<{ error?: { code: string } }>)).error?.code),
      );
      expect(codes).toEqual(codes.map(() => 'not_found'));
      expect(unwrap(await ada.projects.list()).items.map(({ name }) => name)).toEqual(['Parent']);
      expect(unwrap(await ada.projects.list({ parentProjectId: parent.id })).items).toEqual([]);

      bench.client.middlewareStack.remove('broken');
      const again = unwrap(await ada.projects.create({ name: 'Shop' }));
      const later = bench.as(org, { clock: { now: () => new Date(Date.now() + 120_000) } });
      expect((await later.projects.delete(again.id)).isOk()).toBe(true);
      expect((await itemsOf(shop.id)).map(({ pk }) => pk!.S!).filter((pk) => /#(P|X|C|PD)(#|$)/.test(pk))).toEqual([]);
      expect((await ada.projects.delete(parent.id)).isOk()).toBe(true);
    });

    test('variables that are written while their project is erased do not stay behind', async () => {
      const environments = Array.from({ length: 20 }, (_, i) => ({ name: `environment ${i}` }));
      const shop = unwrap(await ada.projects.create({ name: 'Shop', environments }));
      const { items } = unwrap(await ada.environments.list({ projectId: shop.id }));
      const writing = items.map(async ({ ref }) => {
        for (let i = 0; i < 5; i++)
          await ada.environments.setVariables(ref, { variables: [{ key: 'N', value: `${i}` }] });
      });
      expect((await ada.projects.delete(shop.id)).isOk()).toBe(true);
      await Promise.all(writing);
      expect((await itemsOf(shop.id)).map(({ pk }) => pk!.S!).filter((pk) => pk.includes('#P#'))).toEqual([]);
    });

    test('an erasure looks again until nothing is left', async () => {
      const shop = unwrap(await ada.projects.create({ name: 'Shop' }));
      const variables = (await itemsOf(shop.id)).find(({ sk }) => sk!.S!.startsWith('#V#'))!;
      let restored = false;
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          const result = await next(args);
          if (context.commandName === 'BatchWriteItemCommand' && !restored) {
            restored = true;
            const { PutItemCommand } = await import('@aws-sdk/client-dynamodb');
            await bench.client.send(new PutItemCommand({ TableName: bench.table, Item: variables }));
          }
          return result;
        },
        { step: 'initialize', name: 'broken' },
      );
      expect((await ada.projects.delete(shop.id)).isOk()).toBe(true);
      expect((await itemsOf(shop.id)).map(({ pk }) => pk!.S!).filter((pk) => pk.includes('#P#'))).toEqual([]);
    });

    test('a renamed project is found under its new name everywhere, and its old one is free', async () => {
      const parent = unwrap(await ada.projects.create({ name: 'Parent' }));
      const shop = unwrap(await ada.projects.create({ name: 'Shop', parentProjectId: parent.id }));
      unwrap(await ada.projects.update(shop.id, { name: 'Bazaar' }));
      expect(unwrap(await ada.projects.getByName('bazaar')).id).toBe(shop.id);
      expect((await ada.projects.getByName('shop')).isErr()).toBe(true);
      unwrap(await ada.projects.create({ name: 'Shop', parentProjectId: parent.id }));
      const children = unwrap(await ada.projects.list({ parentProjectId: parent.id })).items;
      expect(children.map(({ name }) => name)).toEqual(['Bazaar', 'Shop']);

      unwrap(await ada.projects.move(shop.id, { parentProjectId: null }));
      const roots = unwrap(await ada.projects.list({ parentProjectId: null })).items;
      expect(roots.map(({ name }) => name)).toEqual(['Bazaar', 'Parent']);
      unwrap(await ada.projects.update(shop.id, { name: 'BAZAAR' }));
      expect(unwrap(await ada.projects.getByName('Bazaar')).name).toBe('BAZAAR');
    });

    test('moving to where it is already changes nothing but the versions', async () => {
      const parent = unwrap(await ada.projects.create({ name: 'Parent' }));
      const child = unwrap(await ada.projects.create({ name: 'Child', parentProjectId: parent.id }));
      expect(unwrap(await ada.projects.move(child.id, { parentProjectId: parent.id })).version).toBe(2);
      expect(unwrap(await ada.projects.move(parent.id, { parentProjectId: null })).version).toBe(2);
      const refused = await ada.projects.delete(parent.id);
      expect(refused.isErr() && refused.error.code).toBe('project_has_children');
      unwrap(await ada.projects.delete(child.id));
      unwrap(await ada.projects.delete(parent.id));
    });

    test('the height of a subtree counts when it moves', async () => {
      const chain = async (name: string, length: number) => {
        let parent = unwrap(await ada.projects.create({ name: `${name} 1` }));
        const first = parent;
        for (let i = 2; i <= length; i++) {
          parent = unwrap(await ada.projects.create({ name: `${name} ${i}`, parentProjectId: parent.id }));
        }
        return { first, last: parent };
      };
      const [long, short] = [await chain('long', 10), await chain('short', 7)];
      const refused = await ada.projects.move(short.first.id, { parentProjectId: long.last.id });
      expect(refused.isErr() && refused.error.code).toBe('limit_reached');
      unwrap(await ada.projects.delete(short.last.id));
      unwrap(await ada.projects.move(short.first.id, { parentProjectId: long.last.id }));
    });

    test('pages of projects hold what they should, also while some are deleted', async () => {
      const made: Project[] = [];
      for (let i = 0; i < 12; i++)
        made.push(unwrap(await ada.projects.create({ name: `Project ${String(i).padStart(2, '0')}` })));
      const first = unwrap(await ada.projects.list({ limit: 5 }));
      expect(first.items.map(({ name }) => name)).toEqual(made.slice(0, 5).map(({ name }) => name));
      unwrap(await ada.projects.delete(made[4]!.id));
      unwrap(await ada.projects.delete(made[6]!.id));
      const second = unwrap(await ada.projects.list({ limit: 5, cursor: first.nextCursor! }));
      expect(second.items.map(({ id }) => id)).toEqual([5, 7, 8, 9, 10].map((i) => made[i]!.id));
      const third = unwrap(await ada.projects.list({ limit: 5, cursor: second.nextCursor! }));
      expect(third).toMatchObject({ items: [{ id: made[11]!.id }], nextCursor: null });
    });

    test('a project that disappears between the directory and its item is made up for by the next one', async () => {
      const made: Project[] = [];
      for (const name of ['a', 'b', 'c', 'd']) made.push(unwrap(await ada.projects.create({ name })));
      let deleted = false;
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName === 'BatchGetItemCommand' && !deleted) {
            deleted = true;
            unwrap(await ada.projects.delete(made[1]!.id));
          }
          return next(args);
        },
        { step: 'initialize', name: 'broken' },
      );
      const page = unwrap(await ada.projects.list({ limit: 3 }));
      expect(page.items.map(({ name }) => name)).toEqual(['a', 'c', 'd']);
      expect(page.nextCursor).toBeNull();
    });
  });
});
