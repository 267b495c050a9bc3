import { unwrap } from '@vivarium/core';
import type { DataKeyRepository, KeyScope } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import { tally, together } from './answers.ts';
import { afterMs, changeIn, dataKey, writerOf } from './ephemeral-making.ts';
import type { Suite } from './suite.ts';

/** The port of data keys, asked without the services in front of it. */
export function testDataKeysPort(suite: Suite): void {
  describe('port of data keys', () => {
    const port = (): DataKeyRepository => suite.harness.storage.dataKeys;
    const scopes = (): Readonly<Record<string, KeyScope>> => {
      const id = randomUUID();
      return {
        project: { type: 'project', id },
        type: { type: 'environment_type', id },
        other: { type: 'project', id: randomUUID() },
      };
    };

    test('a key is read as it was added, as the newest, by its id and in the list of its scope', async () => {
      const org = suite.newOrg();
      const scope: KeyScope = { type: 'app', id: randomUUID() };
      const key = {
        ...dataKey(scope),
        wrapped: 'w'.repeat(8_192),
        wrappedBy: `arn:aws:kms:eu-central-1:1:key/${'ü'.repeat(200)}`,
        version: 3,
        updatedAt: afterMs(7),
      };
      expect(await unwrap(port().add(org, key))).toBe(true);
      expect(await unwrap(port().newest(org, scope))).toEqual(key);
      expect(await unwrap(port().get(org, scope, key.id))).toEqual(key);
      expect(await unwrap(port().ofScope(org, scope))).toEqual([key]);
    });

    test('generations are in their order, and the newest has the highest number', async () => {
      const org = suite.newOrg();
      const { project } = scopes();
      const keys = [2, 10, 1].map((generation) => dataKey(project!, generation));
      for (const key of keys) await unwrap(port().add(org, key));
      const found = await unwrap(port().ofScope(org, project!));
      expect(found.map(({ generation }) => generation)).toEqual([1, 2, 10]);
      expect((await unwrap(port().newest(org, project!)))?.generation).toBe(10);
    });

    test('of many that add the same generation at once, one does', async () => {
      const org = suite.newOrg();
      const { project } = scopes();
      const other = (await suite.other()).dataKeys;
      const added = await together(20, async (index) =>
        String(await unwrap((index % 2 ? other : port()).add(org, dataKey(project!, 1)))),
      );
      expect(tally(added)).toEqual({ true: 1, false: 19 });
      expect(await unwrap(port().ofScope(org, project!))).toHaveLength(1);
    });

    test('a key is wrapped anew at its version, by one of many', async () => {
      const org = suite.newOrg();
      const { project, other } = scopes();
      const key = dataKey(project!);
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
      expect(await unwrap(port().newest(org, project!))).toEqual(again(done.indexOf(true)));
      expect(await unwrap(port().newest(org, other!))).toBeNull();
    });

    test('the list has every key of the org, by id, page by page', async () => {
      const org = suite.newOrg();
      const { project, type, other } = scopes();
      const keys = [dataKey(project!), dataKey(project!, 2), dataKey(type!), dataKey(other!), dataKey(other!, 2)];
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

    test('one key goes, or all of a scope, and none of another scope, kind or org', async () => {
      const [org, stranger] = [suite.newOrg(), suite.newOrg()];
      const { project, type, other } = scopes();
      const old = dataKey(project!);
      for (const key of [old, dataKey(project!, 2), dataKey(type!), dataKey(other!)])
        await unwrap(port().add(org, key));
      await unwrap(port().add(stranger, dataKey(project!)));
      const left = async () => [
        (await unwrap(port().ofScope(org, project!))).length,
        (await unwrap(port().ofScope(org, type!))).length,
        (await unwrap(port().ofScope(org, other!))).length,
        (await unwrap(port().ofScope(stranger, project!))).length,
      ];
      await unwrap(port().remove(stranger, project!, old.id));
      await unwrap(port().remove(org, type!, old.id));
      await unwrap(port().remove(org, project!, randomUUID()));
      expect(await left()).toEqual([2, 1, 1, 1]);
      await unwrap(port().remove(org, project!, old.id));
      expect(await left()).toEqual([1, 1, 1, 1]);
      expect(await unwrap(port().get(org, project!, old.id))).toBeNull();
      await unwrap(port().removeScope(org, project!));
      expect(await left()).toEqual([0, 1, 1, 1]);
    });

    test('nothing is found under another org, scope or kind', async () => {
      const org = suite.newOrg();
      const { project, type, other } = scopes();
      const key = dataKey(project!);
      await unwrap(port().add(org, key));
      for (const [where, scope] of [
        [`${org} `, project!],
        [org, type!],
        [org, other!],
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
    });
  });
}
