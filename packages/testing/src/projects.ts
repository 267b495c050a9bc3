import { unwrap } from '@vivarium/core';
import type { Client, Project } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import { fakeClock } from './fake-clock.ts';
import { everything } from './paging.ts';
import type { Suite } from './suite.ts';

/** Projects and their tree. */
export function testProjects(suite: Suite): void {
  describe('projects', () => {
    test('a project begins with Development as its default', async () => {
      const { org, ada } = suite.inNewOrg();
      const project = await unwrap(ada.projects.create({ name: 'Checkout' }));
      expect(project).toMatchObject({ name: 'Checkout', description: null, parentProjectId: null, version: 1 });
      const { items } = await unwrap(ada.environments.list({ projectId: project.id }));
      expect(items).toMatchObject([{ name: 'Development', isDefault: true, version: 1, variableCount: 0 }]);
      expect(items[0]?.id).toBe(project.defaultEnvironmentId);
      expect(await suite.harness.raw.count('environments', org)).toBe(1);
    });

    test('30 first environments are made in one write, and the first is the default', async () => {
      const { org, ada } = suite.inNewOrg();
      const environments = Array.from({ length: 30 }, (_, index) => ({
        name: `Environment ${29 - index}`,
        description: `${index}`,
        variables: [{ key: 'INDEX', value: `${index}` }],
      }));
      const project = await unwrap(ada.projects.create({ name: 'P', environments }));
      expect(await suite.harness.raw.count('environments', org)).toBe(30);
      expect(await suite.harness.raw.count('journal', org)).toBe(1);
      const made = await unwrap(ada.environments.getDefault(project.id));
      expect(made).toMatchObject({ name: 'Environment 29', description: '0', id: project.defaultEnvironmentId });
      for (const [index, { name }] of environments.entries()) {
        const environment = await unwrap(ada.environments.getByName(project.id, name));
        expect(environment.variables).toEqual([{ key: 'INDEX', value: `${index}`, sensitive: false }]);
      }
      expect((await unwrap(ada.environments.stats(project.id))).environments).toBe(30);
    });

    test('30 first environments with much in them are made in one write', async () => {
      const { ada } = suite.inNewOrg();
      const value = '語'.repeat(17_000);
      const environments = Array.from({ length: 30 }, (_, index) => ({
        name: `E ${index}`,
        variables: [{ key: 'FILL', value }],
      }));
      const project = await unwrap(ada.projects.create({ name: 'P', environments }));
      const last = await unwrap(ada.environments.getByName(project.id, 'E 29'));
      expect(last.variables).toEqual([{ key: 'FILL', value, sensitive: false }]);
    });

    test('a project that is refused leaves none of its environments', async () => {
      const { org, ada } = suite.inNewOrg();
      await unwrap(ada.projects.create({ name: 'P' }));
      const environments = Array.from({ length: 10 }, (_, index) => ({ name: `E ${index}` }));
      await refused(ada.projects.create({ name: 'p', environments }), 'project_name_taken');
      expect(await suite.harness.raw.count('environments', org)).toBe(1);
      expect(await suite.harness.raw.count('journal', org)).toBe(1);
      expect(await suite.harness.raw.count('queue', org)).toBe(1);
    });

    test('no more first environments than the limit allows', async () => {
      const { org, ada } = suite.inNewOrg({ limits: { environmentsPerProject: 2 } });
      const environments = [{ name: 'A' }, { name: 'B' }, { name: 'C' }];
      await refused(ada.projects.create({ name: 'P', environments }), 'invalid_input');
      await unwrap(ada.projects.create({ name: 'P', environments: environments.slice(1) }));
      expect(await suite.harness.raw.count('environments', org)).toBe(2);
    });

    test('ancestors lead from the parent to the root, also after a move', async () => {
      const { ada } = suite.inNewOrg();
      const chain = await chainOf(ada, 'A', 5);
      const ids = chain.map(({ id }) => id);
      const ancestorsOf = async (id: string) =>
        (await unwrap(ada.projects.ancestors(id))).map((ancestor) => ancestor.id);
      expect(await ancestorsOf(ids[4]!)).toEqual([ids[3], ids[2], ids[1], ids[0]]);
      expect(await ancestorsOf(ids[0]!)).toEqual([]);

      const other = await chainOf(ada, 'B', 2);
      const moved = await unwrap(ada.projects.move(ids[2]!, { parentProjectId: other[1]!.id }));
      expect(moved).toMatchObject({ parentProjectId: other[1]!.id, version: 2 });
      expect(await ancestorsOf(ids[4]!)).toEqual([ids[3], ids[2], other[1]!.id, other[0]!.id]);
      await unwrap(ada.projects.move(ids[2]!, { parentProjectId: null }));
      expect(await ancestorsOf(ids[4]!)).toEqual([ids[3], ids[2]]);
      expect(await unwrap(ada.projects.ancestors(ids[3]!))).toEqual([await unwrap(ada.projects.get(ids[2]!))]);
    });

    test('a project moves below anything but itself and what is below it', async () => {
      const { ada } = suite.inNewOrg();
      const [a, b, c] = (await chainOf(ada, 'A', 3)) as [Project, Project, Project];
      expect((await refused(ada.projects.move(a.id, { parentProjectId: a.id }), 'project_cycle')).path).toEqual([a.id]);
      const cycle = await refused(ada.projects.move(a.id, { parentProjectId: c.id }), 'project_cycle');
      expect(cycle.path).toEqual([c.id, b.id, a.id]);
      await unwrap(ada.projects.move(c.id, { parentProjectId: a.id }));
      await unwrap(ada.projects.move(b.id, { parentProjectId: c.id }));
      expect((await unwrap(ada.projects.ancestors(b.id))).map(({ id }) => id)).toEqual([c.id, a.id]);
    });

    test('a move counts the whole subtree against the 16 levels', async () => {
      const { ada } = suite.inNewOrg();
      const upper = await chainOf(ada, 'upper', 10);
      const lower = await chainOf(ada, 'lower', 6);
      const side = await unwrap(ada.projects.create({ name: 'side', parentProjectId: lower[2]!.id }));
      await unwrap(ada.projects.move(lower[0]!.id, { parentProjectId: upper[9]!.id }));
      expect(await unwrap(ada.projects.ancestors(lower[5]!.id))).toHaveLength(15);
      await refused(ada.projects.create({ name: 'below', parentProjectId: lower[5]!.id }), 'limit_reached');
      await unwrap(ada.projects.create({ name: 'below', parentProjectId: side.id }));
    });

    test('children are listed where they hang, and only there', async () => {
      const { ada } = suite.inNewOrg();
      const [a, b] = [
        await unwrap(ada.projects.create({ name: 'A' })),
        await unwrap(ada.projects.create({ name: 'B' })),
      ];
      const child = await unwrap(ada.projects.create({ name: 'Child', parentProjectId: a.id }));
      const childrenOf = async (parentProjectId: string | null) =>
        (await everything((page) => ada.projects.list({ parentProjectId, ...page }))).map(({ id }) => id);
      expect([await childrenOf(a.id), await childrenOf(b.id)]).toEqual([[child.id], []]);
      await unwrap(ada.projects.update(child.id, { name: 'Renamed' }));
      await unwrap(ada.projects.move(child.id, { parentProjectId: b.id }));
      expect([await childrenOf(a.id), await childrenOf(b.id)]).toEqual([[], [child.id]]);
      await unwrap(ada.projects.move(child.id, { parentProjectId: null }));
      expect([await childrenOf(b.id), await childrenOf(null)]).toEqual([[], [a.id, b.id, child.id]]);
      await unwrap(ada.projects.delete(child.id));
      expect(await childrenOf(null)).toEqual([a.id, b.id]);
    });

    test('moving to where it is changes nothing but the version', async () => {
      const { ada } = suite.inNewOrg();
      const [a, b] = (await chainOf(ada, 'A', 2)) as [Project, Project];
      await unwrap(ada.projects.move(b.id, { parentProjectId: a.id }));
      await unwrap(ada.projects.move(a.id, { parentProjectId: null }));
      expect(await unwrap(ada.projects.get(b.id))).toMatchObject({ parentProjectId: a.id, version: 2 });
      expect((await unwrap(ada.projects.list({ parentProjectId: a.id }))).items).toHaveLength(1);
    });

    test('deleting a project leaves nothing of it', async () => {
      const clock = fakeClock();
      const { org, ada } = suite.inNewOrg({ clock });
      const environments = Array.from({ length: 30 }, (_, index) => ({
        name: `E ${index}`,
        description: 'd',
        variables: [{ key: 'A', value: 'x'.repeat(100) }],
      }));
      const project = await unwrap(ada.projects.create({ name: 'Doomed', environments }));
      for (let index = 30; index < 50; index++) {
        await unwrap(ada.environments.create({ projectId: project.id, name: `E ${index}` }));
      }
      const other = await unwrap(ada.projects.create({ name: 'Other' }));
      const { ref } = await unwrap(ada.environments.getDefault(project.id));

      await unwrap(ada.projects.delete(project.id));
      expect(await suite.harness.raw.count('projects', org)).toBe(1);
      expect(await suite.harness.raw.count('environments', org)).toBe(1);
      await refused(ada.projects.get(project.id), 'not_found');
      await refused(ada.environments.get(ref), 'not_found');
      await refused(ada.environments.list({ projectId: project.id }), 'not_found');
      await refused(ada.projects.delete(project.id), 'not_found');
      expect((await unwrap(ada.projects.list())).items.map(({ id }) => id)).toEqual([other.id]);
      const again = await unwrap(ada.projects.create({ name: 'Doomed' }));
      expect(again.id).not.toBe(project.id);
    });

    test('a move that was decided before the subtree grew is decided again', async () => {
      const { org, ada } = suite.inNewOrg();
      const { projects } = suite.harness.storage;
      const deep = await chainOf(ada, 'deep', 14);
      const moving = await chainOf(ada, 'moving', 2);
      const parent = deep.at(-1)!;
      const facts = await unwrap(projects.moveFacts(org, moving[0]!.id, parent.id));
      expect(facts).toMatchObject({ height: 2, project: { id: moving[0]!.id } });
      await unwrap(ada.projects.create({ name: 'a third level', parentProjectId: moving[1]!.id }));

      const at = new Date();
      const entry = {
        id: '01936f5e-0000-7000-8000-0000000000aa',
        orgId: org,
        subject: { type: 'project', id: moving[0]!.id },
        stream: moving[0]!.id,
        sequence: 2,
        action: 'project.moved',
        actor: { type: 'user', id: 'ada' },
        at,
        data: {},
      };
      const late = await unwrap(
        projects.move({
          project: { ...facts.project!, parentProjectId: parent.id, version: 2, updatedAt: at },
          previousParentId: null,
          expectedVersion: 1,
          treeVersion: facts.treeVersion,
          treeGrowth: facts.treeGrowth,
          change: { orgId: org, at, entry, key: null },
        }),
      );
      expect(late).toEqual({ done: false, refused: 'stale' });
      await refused(ada.projects.move(moving[0]!.id, { parentProjectId: parent.id }), 'limit_reached');
    });

    test('names are free again after a rename and after a deletion', async () => {
      const { ada } = suite.inNewOrg();
      const a = await unwrap(ada.projects.create({ name: 'A' }));
      await unwrap(ada.projects.update(a.id, { name: 'B' }));
      const second = await unwrap(ada.projects.create({ name: 'A' }));
      await refused(ada.projects.update(a.id, { name: 'a' }), 'project_name_taken');
      await unwrap(ada.projects.delete(second.id));
      expect((await unwrap(ada.projects.update(a.id, { name: 'a' }))).name).toBe('a');
      await refused(ada.projects.getByName('B'), 'not_found');
      expect((await unwrap(ada.projects.getByName('A'))).id).toBe(a.id);
    });
  });
}

async function chainOf(client: Client<unknown>, name: string, levels: number): Promise<Project[]> {
  const chain: Project[] = [];
  for (let level = 0; level < levels; level++) {
    chain.push(
      await unwrap(client.projects.create({ name: `${name} ${level}`, parentProjectId: chain.at(-1)?.id ?? null })),
    );
  }
  return chain;
}
