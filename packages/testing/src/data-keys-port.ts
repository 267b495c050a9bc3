import { unwrap } from '@vivarium/core';
import type { DataKeyRepository, KeyScope } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { refused, tally, together } from './answers.ts';
import { deploymentWriterOf } from './deployments-stored.ts';
import { afterMs, changeIn, dataKey, writerOf } from './ephemeral-making.ts';
import type { Suite } from './suite.ts';

/** The port of data keys, asked without the services in front of it. */
export function testDataKeysPort(suite: Suite): void {
  describe('port of data keys', () => {
    const port = (): DataKeyRepository => suite.harness.storage.dataKeys;
    const everyKey = (org: string) => unwrap(port().list(org, { limit: 100, after: null }));
    /** An app that is there. */
    const appIn = async (org: string): Promise<KeyScope> => {
      const write = deploymentWriterOf(suite.harness.storage, org);
      const client = suite.vivarium().system(org);
      const { id: projectId } = await unwrap(client.projects.create({ name: randomUUID() }));
      const { id: repoId } = await write.repo(`acme/${randomUUID()}`);
      const { id } = await write.app({ projectId, repoId });
      return { type: 'app', id };
    };
    /** Scopes whose apps are there; `kind` is another one of the same id. */
    const scopesIn = async (org: string) => {
      const [app, other] = [await appIn(org), await appIn(org)];
      const kind: KeyScope = { type: 'project', id: app.id };
      return { app, kind, other };
    };

    test('a key is read as it was added, as the newest, by its id and in the list of its scope', async () => {
      const org = suite.newOrg();
      const scope = await appIn(org);
      const key = {
        ...dataKey(scope),
        wrapped: 'w'.repeat(8_192),
        wrappedBy: `arn:aws:kms:eu-central-1:1:key/${'ü'.repeat(200)}`,
        version: 3,
        updatedAt: afterMs(7),
      };
      expect(await unwrap(port().add(org, key))).toBe('added');
      expect(await unwrap(port().newest(org, scope))).toEqual(key);
      expect(await unwrap(port().get(org, scope, key.id))).toEqual(key);
      expect(await unwrap(port().ofScope(org, scope))).toEqual([key]);
    });

    test('generations are in their order, and the newest has the highest number', async () => {
      const org = suite.newOrg();
      const { app } = await scopesIn(org);
      const keys = [2, 10, 1].map((generation) => dataKey(app, generation));
      for (const key of keys) await unwrap(port().add(org, key));
      const found = await unwrap(port().ofScope(org, app));
      expect(found.map(({ generation }) => generation)).toEqual([1, 2, 10]);
      expect((await unwrap(port().newest(org, app)))?.generation).toBe(10);
    });

    test('of many that add the same generation at once, one does', async () => {
      const org = suite.newOrg();
      const { app } = await scopesIn(org);
      const other = (await suite.other()).dataKeys;
      const added = await together(20, (index) => unwrap((index % 2 ? other : port()).add(org, dataKey(app, 1))));
      expect(tally(added)).toEqual({ added: 1, taken: 19 });
      expect(await unwrap(port().ofScope(org, app))).toHaveLength(1);
    });

    test('a key is wrapped anew at its version, by one of many', async () => {
      const org = suite.newOrg();
      const { app, other } = await scopesIn(org);
      const key = dataKey(app);
      await unwrap(port().add(org, key));
      const again = (index: number) => ({
        ...key,
        wrapped: `again${index}`,
        wrappedBy: 'ring:2',
        version: 2,
        updatedAt: afterMs(index),
      });
      expect(await unwrap(port().rewrap(org, { ...again(0), version: 3 }))).toBe(false);
      expect(await unwrap(port().rewrap(org, { ...again(0), id: randomUUID() }))).toBe(false);
      expect(await unwrap(port().rewrap(suite.newOrg(), again(0)))).toBe(false);
      const done = await together(10, (index) => unwrap(port().rewrap(org, again(index))));
      expect(done.filter(Boolean)).toHaveLength(1);
      expect(await unwrap(port().newest(org, app))).toEqual(again(done.indexOf(true)));
      expect(await unwrap(port().newest(org, other))).toBeNull();
    });

    test('the list has every key of the org, by id, page by page', async () => {
      const org = suite.newOrg();
      const { app, other } = await scopesIn(org);
      const keys = [dataKey(app), dataKey(app, 2), dataKey(app, 3), dataKey(other), dataKey(other, 2)];
      for (const key of keys) await unwrap(port().add(org, key));
      const first = await unwrap(port().list(org, { limit: 3, after: null }));
      const second = await unwrap(port().list(org, { limit: 3, after: first.items.at(-1)!.id }));
      const exact = await unwrap(port().list(org, { limit: 5, after: null }));
      expect([first.more, second.more, exact.more]).toEqual([true, false, false]);
      const ids = keys.map(({ id }) => id).sort();
      expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(ids);
      expect(exact.items.map(({ id }) => id)).toEqual(ids);
      expect((await unwrap(port().list(suite.newOrg(), { limit: 3, after: null }))).items).toEqual([]);
    });

    test('one key goes, and none of another scope, kind or org', async () => {
      const [org, stranger] = [suite.newOrg(), suite.newOrg()];
      const { app, kind, other } = await scopesIn(org);
      const old = dataKey(app);
      for (const key of [old, dataKey(app, 2), dataKey(other)]) await unwrap(port().add(org, key));
      const theirs = await appIn(stranger);
      await unwrap(port().add(stranger, dataKey(theirs)));
      const left = async () => [
        (await unwrap(port().ofScope(org, app))).length,
        (await unwrap(port().ofScope(org, other))).length,
        (await unwrap(port().ofScope(stranger, theirs))).length,
      ];
      await unwrap(port().remove(stranger, app, old.id));
      await unwrap(port().remove(org, kind, old.id));
      await unwrap(port().remove(org, app, randomUUID()));
      expect(await left()).toEqual([2, 1, 1]);
      await unwrap(port().remove(org, app, old.id));
      expect(await left()).toEqual([1, 1, 1]);
      expect(await unwrap(port().get(org, app, old.id))).toBeNull();
    });

    test('nothing is found under another org, scope or kind', async () => {
      const org = suite.newOrg();
      const { app, kind, other } = await scopesIn(org);
      const key = dataKey(app);
      await unwrap(port().add(org, key));
      for (const [where, scope] of [
        [`${org} `, app],
        [org, kind],
        [org, other],
      ] as const) {
        expect(await unwrap(port().get(where, scope, key.id))).toBeNull();
        expect(await unwrap(port().newest(where, scope))).toBeNull();
        expect(await unwrap(port().ofScope(where, scope))).toEqual([]);
      }
    });

    test('a project takes its data keys with it, and only when it goes', async () => {
      const { org, ada } = suite.inNewOrg();
      const parent = await unwrap(ada.projects.create({ name: 'P' }));
      const child = await unwrap(ada.projects.create({ name: 'C', parentProjectId: parent.id }));
      const scopeOf = ({ id }: { readonly id: string }): KeyScope => ({ type: 'project', id });
      for (const generation of [1, 2]) await unwrap(port().add(org, dataKey(scopeOf(parent), generation)));
      await unwrap(port().add(org, dataKey(scopeOf(child))));
      expect((await ada.projects.delete(parent.id)).isErr()).toBe(true);
      expect(await unwrap(port().ofScope(org, scopeOf(parent)))).toHaveLength(2);
      await unwrap(ada.projects.delete(child.id));
      expect(await unwrap(port().ofScope(org, scopeOf(child)))).toEqual([]);
      expect(await unwrap(port().ofScope(org, scopeOf(parent)))).toHaveLength(2);
      await unwrap(ada.projects.delete(parent.id));
      expect(await unwrap(port().ofScope(org, scopeOf(parent)))).toEqual([]);
    });

    test('a type takes its data keys with it when it is deleted', async () => {
      const org = suite.newOrg();
      const { ephemeral } = suite.harness.storage;
      const type = await writerOf(suite.harness.storage, org).type();
      const scope: KeyScope = { type: 'environment_type', id: type.id };
      for (const generation of [1, 2]) await unwrap(port().add(org, dataKey(scope, generation)));
      const write = (state: 'cordoned' | 'deleted', version: number) =>
        unwrap(
          ephemeral.writeType({
            type: { ...type, state, version },
            previousNameKey: type.nameKey,
            expectedVersion: version - 1,
            change: changeIn(org),
          }),
        );
      expect(await write('cordoned', 2)).toEqual({ done: true });
      expect(await unwrap(port().ofScope(org, scope))).toHaveLength(2);
      expect(await write('deleted', 2)).toEqual({ done: false, refused: 'stale' });
      expect(await unwrap(port().ofScope(org, scope))).toHaveLength(2);
      expect(await write('deleted', 3)).toEqual({ done: true });
      expect(await unwrap(port().ofScope(org, scope))).toEqual([]);
      expect(await unwrap(port().add(org, dataKey(scope, 3)))).toBe('not_found');
      expect((await everyKey(org)).items).toEqual([]);
    });

    test('there is none of what is not there, was deleted, or is in another org', async () => {
      const { org, ada } = suite.inNewOrg();
      const stranger = suite.newOrg();
      const project = await unwrap(ada.projects.create({ name: 'P' }));
      const type = await unwrap(ada.ephemeral.types.create({ name: 'T' }));
      const app = await appIn(org);
      const owners: readonly KeyScope[] = [
        { type: 'project', id: project.id },
        { type: 'environment_type', id: type.id },
        app,
      ];
      const swapped: readonly KeyScope[] = [
        { type: 'project', id: type.id },
        { type: 'environment_type', id: project.id },
        { type: 'app', id: project.id },
        { type: 'project', id: app.id },
      ];
      const add = async (where: string, scope: KeyScope) => unwrap(port().add(where, dataKey(scope)));
      for (const scope of owners) expect(await add(stranger, scope)).toBe('not_found');
      for (const scope of swapped) expect(await add(org, scope)).toBe('not_found');
      await unwrap(ada.projects.delete(project.id));
      await unwrap(ada.ephemeral.types.delete(type.id));
      await unwrap(ada.deployments.apps.delete(app.id));
      for (const scope of owners) expect(await add(org, scope)).toBe('not_found');
      expect((await everyKey(org)).items).toEqual([]);
      expect((await everyKey(stranger)).items).toEqual([]);
    });

    test('one that is added while its project, type or app is deleted goes with it, at the latest when it is wrapped anew', async () => {
      const { org, ada } = suite.inNewOrg();
      const other = (await suite.other()).dataKeys;
      for (let round = 0; round < 6; round++) {
        const project = await unwrap(ada.projects.create({ name: `P ${round}` }));
        const type = await unwrap(ada.ephemeral.types.create({ name: `T ${round}` }));
        const app = await appIn(org);
        const owners: readonly KeyScope[] = [
          { type: 'project', id: project.id },
          { type: 'environment_type', id: type.id },
          app,
        ];
        const added = together(12, (index) =>
          unwrap((index < 6 ? other : port()).add(org, dataKey(owners[index % 3]!, 1 + index))),
        );
        await unwrap(ada.projects.delete(project.id));
        await unwrap(ada.ephemeral.types.delete(type.id));
        await unwrap(ada.deployments.apps.delete(app.id));
        expect((await added).every((answer) => answer === 'added' || answer === 'not_found')).toBe(true);
      }
      for (const key of (await everyKey(org)).items) {
        expect(await unwrap(port().rewrap(org, { ...key, version: key.version + 1 }))).toBe(false);
      }
      expect((await everyKey(org)).items).toEqual([]);
    });

    test("a project's first key comes with it, or not at all", async () => {
      const { org, ada } = suite.inNewOrg();
      const environments = [{ name: 'E', variables: [{ key: 'SECRET', value: 's3cr3t', sensitive: true }] }];
      const { id } = await unwrap(ada.projects.create({ name: 'P', environments }));
      const [key, ...more] = (await everyKey(org)).items;
      expect(more).toEqual([]);
      expect(key).toMatchObject({ scope: { type: 'project', id }, generation: 1, version: 1 });
      expect(await unwrap(port().newest(org, key!.scope))).toEqual(key);
      await refused(ada.projects.create({ name: 'p', environments }), 'project_name_taken');
      await refused(ada.environments.create({ projectId: randomUUID(), ...environments[0]! }), 'not_found');
      expect((await everyKey(org)).items).toEqual([key]);
      const { ref } = await unwrap(ada.environments.getDefault(id));
      const other = suite.vivarium({ storage: await suite.other() }).as({ org, type: 'user', id: 'ada' });
      const values = await unwrap(other.environments.reveal(ref, { keys: ['SECRET'] }));
      expect(values.get('SECRET')?.reveal()).toBe('s3cr3t');
    });
  });
}
