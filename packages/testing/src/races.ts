import { unwrap } from '@vivarium/core';
import type { Client, EnvironmentSummary, Project } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, tally, together } from './answers.ts';
import { everything } from './paging.ts';
import { seededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

/** Many clients at once, in two storages on one database: what must hold under any interleaving. */
export function testRaces(suite: Suite): void {
  const clients = suite.size.raceClients;

  describe('races', () => {
    test('an environment limit of N lets exactly N in', async () => {
      const { both, org } = await racers({ limits: { environmentsPerProject: 10 } });
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      const answers = await together(clients, (index) =>
        codeOf(both(index).environments.create({ projectId: project.id, name: `E ${index}` })),
      );
      expect(tally(answers)).toEqual({ ok: 9, limit_reached: clients - 9 });
      expect(await environmentsOf(both(0), project)).toHaveLength(10);
      expect(await suite.harness.raw.count('environments', org)).toBe(10);
      expect((await unwrap(both(0).environments.stats(project.id))).environments).toBe(10);
    });

    test('a limit holds while environments come and go, and a place that is free again is taken', async () => {
      const { both } = await racers({ limits: { environmentsPerProject: 5 } });
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      for (let round = 0; round < 4; round++) {
        const answers = await together(clients, async (index) => {
          if (index % 5 !== 0) {
            return codeOf(both(index).environments.create({ projectId: project.id, name: `E ${round} ${index}` }));
          }
          const environment = await unwrap(both(index).environments.getDefault(project.id));
          return codeOf(both(index).environments.delete(environment.ref));
        });
        expect(unexpected(answers, ['ok', 'limit_reached', 'not_found', 'last_environment', 'stale_version'])).toEqual(
          [],
        );
        const there = await environmentsOf(both(0), project);
        expect(there.length).toBeGreaterThanOrEqual(1);
        expect(there.length).toBeLessThanOrEqual(5);
        expect((await unwrap(both(0).environments.stats(project.id))).environments).toBe(there.length);
        await oneDefault(both(0), project);
      }
      const missing = 5 - (await environmentsOf(both(0), project)).length;
      const answers = await together(missing + 3, (index) =>
        codeOf(both(index).environments.create({ projectId: project.id, name: `Fill ${index}` })),
      );
      expect(tally(answers)).toEqual({ ...(missing > 0 ? { ok: missing } : {}), limit_reached: 3 });
    });

    test('one name has one winner among environments', async () => {
      const { both, org } = await racers();
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      const answers = await together(clients, (index) =>
        codeOf(both(index).environments.create({ projectId: project.id, name: index % 2 === 0 ? 'QA' : 'qa' })),
      );
      expect(tally(answers)).toEqual({ ok: 1, environment_name_taken: clients - 1 });
      expect(await suite.harness.raw.count('environments', org)).toBe(2);
    });

    test('one name has one winner among projects', async () => {
      const { both, org } = await racers();
      const answers = await together(clients, (index) =>
        codeOf(both(index).projects.create({ name: index % 2 === 0 ? 'Name' : 'NAME' })),
      );
      expect(tally(answers)).toEqual({ ok: 1, project_name_taken: clients - 1 });
      expect(await suite.harness.raw.count('projects', org)).toBe(1);
      expect(await suite.harness.raw.count('environments', org)).toBe(1);
    });

    test('one name has one winner among renames, and the old names are free again', async () => {
      const { both } = await racers();
      const environments = Array.from({ length: 20 }, (_, index) => ({ name: `E ${index}` }));
      const project = await unwrap(both(0).projects.create({ name: 'P', environments }));
      const there = await environmentsOf(both(0), project);
      const answers = await together(there.length, (index) =>
        codeOf(both(index).environments.update(there[index]!.ref, { name: 'Prize' })),
      );
      expect(tally(answers)).toEqual({ ok: 1, environment_name_taken: there.length - 1 });
      const names = (await environmentsOf(both(0), project)).map(({ name }) => name);
      const [freed] = environments.map(({ name }) => name).filter((name) => !names.includes(name));
      await unwrap(both(0).environments.create({ projectId: project.id, name: freed! }));
    });

    test('two that swap their names never have the same one', async () => {
      const { both } = await racers();
      const project = await unwrap(
        both(0).projects.create({ name: 'P', environments: [{ name: 'A' }, { name: 'B' }] }),
      );
      const [a, b] = await environmentsOf(both(0), project);
      await together(clients, (index) =>
        codeOf(both(index).environments.update((index % 2 === 0 ? a! : b!).ref, { name: ['A', 'B', 'C'][index % 3]! })),
      );
      const names = (await environmentsOf(both(0), project)).map(({ name }) => name);
      expect(new Set(names).size).toBe(2);
      for (const name of names) await unwrap(both(0).environments.getByName(project.id, name));
    });

    test('the default moves to one of those that asked for it', async () => {
      const { both } = await racers();
      const environments = Array.from({ length: 10 }, (_, index) => ({ name: `E ${index}` }));
      const project = await unwrap(both(0).projects.create({ name: 'P', environments }));
      const there = await environmentsOf(both(0), project);
      const answers = await together(clients, (index) =>
        codeOf(both(index).environments.makeDefault(there[index % there.length]!.ref)),
      );
      expect(tally(answers)).toEqual({ ok: clients });
      await oneDefault(both(0), project);
    });

    test('the default exists whatever is deleted while it moves', async () => {
      const { both } = await racers();
      for (let round = 0; round < 5; round++) {
        const environments = Array.from({ length: 12 }, (_, index) => ({ name: `E ${index}` }));
        const project = await unwrap(both(0).projects.create({ name: `P ${round}`, environments }));
        const there = await environmentsOf(both(0), project);
        const random = seededRandom(suite.size.seed + round);
        const answers = await together(clients, (index) => {
          const [one, other] = [random.pick(there), random.pick(there)];
          const client = both(index);
          if (index % 2 === 0) return codeOf(client.environments.makeDefault(one.ref));
          if (index % 4 === 1) return codeOf(client.environments.delete(one.ref));
          return codeOf(client.environments.delete(one.ref, { promote: other.ref }));
        });
        expect(unexpected(answers, ['ok', 'not_found', 'last_environment', 'stale_version'])).toEqual([]);
        await oneDefault(both(0), project);
      }
    });

    test('an heir that is deleted while it inherits leaves a default that exists', async () => {
      const { both } = await racers();
      for (let round = 0; round < 12; round++) {
        const project = await unwrap(
          both(0).projects.create({ name: `P ${round}`, environments: [{ name: 'A' }, { name: 'B' }, { name: 'C' }] }),
        );
        const [a, b, c] = await environmentsOf(both(0), project);
        const promote = round % 3 === 0 ? {} : { promote: b!.ref };
        const calls = [
          () => codeOf(both(1).environments.delete(b!.ref)),
          () => codeOf(both(0).environments.delete(a!.ref, promote)),
          ...(round % 2 === 0 ? [() => codeOf(both(1).environments.makeDefault(c!.ref))] : []),
          ...(round % 4 < 2 ? [() => codeOf(both(0).environments.makeDefault(b!.ref))] : []),
        ];
        const answers = await inEveryOrder(round, calls);
        expect(unexpected(answers, ['ok', 'not_found', 'stale_version', 'last_environment'])).toEqual([]);
        await oneDefault(both(0), project);
      }
    });

    test('of environments that are all deleted at once one stays, and it is the default', async () => {
      const { both, org } = await racers();
      const environments = Array.from({ length: 12 }, (_, index) => ({ name: `E ${index}` }));
      const project = await unwrap(both(0).projects.create({ name: 'P', environments }));
      const there = await environmentsOf(both(0), project);
      const answers = await together(there.length, (index) =>
        untilSettled(() => codeOf(both(index).environments.delete(there[index]!.ref))),
      );
      expect(tally(answers)).toEqual({ ok: 11, last_environment: 1 });
      const left = await oneDefault(both(0), project);
      expect(left).toHaveLength(1);
      expect(await suite.harness.raw.count('environments', org)).toBe(1);
    });

    test('of two that are deleted at once one stays', async () => {
      const { both } = await racers();
      for (let round = 0; round < 10; round++) {
        const project = await unwrap(
          both(0).projects.create({ name: `P ${round}`, environments: [{ name: 'A' }, { name: 'B' }] }),
        );
        const there = await environmentsOf(both(0), project);
        const answers = await inEveryOrder(round, [
          () => codeOf(both(0).environments.delete(there[0]!.ref)),
          () => codeOf(both(1).environments.delete(there[1]!.ref)),
        ]);
        expect(answers.toSorted()).toEqual(['last_environment', 'ok']);
        expect(await oneDefault(both(0), project)).toHaveLength(1);
      }
    });

    test('one environment is deleted once', async () => {
      const { both, org } = await racers();
      const project = await unwrap(
        both(0).projects.create({ name: 'P', environments: [{ name: 'A' }, { name: 'B' }] }),
      );
      const { ref } = await unwrap(both(0).environments.getByName(project.id, 'B'));
      const answers = await together(clients, (index) => codeOf(both(index).environments.delete(ref)));
      expect(tally(answers)).toEqual({ ok: 1, not_found: clients - 1 });
      expect((await unwrap(both(0).environments.stats(project.id))).environments).toBe(1);
      expect(await suite.harness.raw.count('journal', org)).toBe(2);
    });

    test('no child is created below a parent that is gone', async () => {
      const { both } = await racers();
      for (let round = 0; round < 8; round++) {
        const parent = await unwrap(both(0).projects.create({ name: `Parent ${round}` }));
        const [deleted, created] = await inEveryOrder(round, [
          () => codeOf(both(0).projects.delete(parent.id)),
          () => codeOf(both(1).projects.create({ name: `Child ${round}`, parentProjectId: parent.id })),
        ]);
        expect([
          ['ok', 'not_found'],
          ['project_has_children', 'ok'],
        ]).toContainEqual([deleted, created]);
        await everyParentExists(both(0));
      }
    });

    test('no child moves below a parent that is gone', async () => {
      const { both } = await racers();
      for (let round = 0; round < 8; round++) {
        const parent = await unwrap(both(0).projects.create({ name: `Parent ${round}` }));
        const child = await unwrap(both(0).projects.create({ name: `Child ${round}` }));
        const [deleted, moved] = await inEveryOrder(round, [
          () => codeOf(both(0).projects.delete(parent.id)),
          () => codeOf(both(1).projects.move(child.id, { parentProjectId: parent.id })),
        ]);
        expect([
          ['ok', 'not_found'],
          ['project_has_children', 'ok'],
        ]).toContainEqual([deleted, moved]);
        await everyParentExists(both(0));
      }
    });

    test('two opposite moves make no cycle', async () => {
      const { both } = await racers();
      for (let round = 0; round < 8; round++) {
        const a = await unwrap(both(0).projects.create({ name: `A ${round}` }));
        const b = await unwrap(both(0).projects.create({ name: `B ${round}` }));
        const answers = await inEveryOrder(round, [
          () => codeOf(both(0).projects.move(a.id, { parentProjectId: b.id })),
          () => codeOf(both(1).projects.move(b.id, { parentProjectId: a.id })),
        ]);
        expect(answers.toSorted()).toEqual(['ok', 'project_cycle']);
      }
      await everyParentExists(both(0));
    });

    test('a ring of moves makes no cycle', async () => {
      const { both } = await racers();
      const ring = await together(6, (index) => unwrap(both(index).projects.create({ name: `P ${index}` })));
      const answers = await together(ring.length, (index) =>
        untilSettled(() =>
          codeOf(both(index).projects.move(ring[index]!.id, { parentProjectId: ring[(index + 1) % ring.length]!.id })),
        ),
      );
      expect(tally(answers)).toEqual({ ok: 5, project_cycle: 1 });
      await everyParentExists(both(0));
    });

    test('moves and creations at once never make a tree of more than 16 levels', async () => {
      const { both } = await racers();
      const chain = async (name: string, levels: number) => {
        const made: Project[] = [];
        for (let level = 0; level < levels; level++) {
          const parentProjectId = made.at(-1)?.id ?? null;
          made.push(await unwrap(both(0).projects.create({ name: `${name} ${level}`, parentProjectId })));
        }
        return made;
      };
      const [upper, middle, lower] = [await chain('upper', 8), await chain('middle', 5), await chain('lower', 5)];
      const answers = await Promise.all([
        untilSettled(() => codeOf(both(0).projects.move(middle[0]!.id, { parentProjectId: upper.at(-1)!.id }))),
        untilSettled(() => codeOf(both(1).projects.move(lower[0]!.id, { parentProjectId: middle.at(-1)!.id }))),
        untilSettled(() => codeOf(both(0).projects.create({ name: 'X', parentProjectId: lower.at(-1)!.id }))),
      ]);
      expect(answers.filter((code) => code === 'limit_reached').length).toBeGreaterThanOrEqual(1);
      expect(unexpected(answers, ['ok', 'limit_reached'])).toEqual([]);
      expect(await everyParentExists(both(0))).toBeLessThanOrEqual(16);
    });

    test('a subtree that grows while it moves down stays within 16 levels', async () => {
      const { both } = await racers();
      const top = await unwrap(both(0).projects.create({ name: 'Top' }));
      let leaf = await unwrap(both(0).projects.create({ name: 'Root' }));
      const root = leaf;
      for (let level = 2; level <= 15; level++) {
        leaf = await unwrap(both(0).projects.create({ name: `Level ${level}`, parentProjectId: leaf.id }));
      }
      for (let round = 0; round < 16; round++) {
        const answers = await inEveryOrder(round, [
          () => codeOf(both(0).projects.move(root.id, { parentProjectId: top.id })),
          () => codeOf(both(1).projects.create({ name: 'Level 16', parentProjectId: leaf.id })),
        ]);
        expect(answers.toSorted()).toEqual(['limit_reached', 'ok']);
        expect(await everyParentExists(both(0))).toBe(16);
        await unwrap(both(0).projects.move(root.id, { parentProjectId: null }));
        const grown = await both(0).projects.getByName('Level 16');
        if (grown.isOk()) await unwrap(both(0).projects.delete(grown.value.id));
      }
    });

    test('nothing is created in a project that is gone', async () => {
      const { both, org } = await racers();
      for (let round = 0; round < 5; round++) {
        const project = await unwrap(both(0).projects.create({ name: `P ${round}` }));
        const answers = await together(20, (index) =>
          index === 10
            ? untilSettled(() => codeOf(both(index).projects.delete(project.id)))
            : codeOf(both(index).environments.create({ projectId: project.id, name: `E ${index}` })),
        );
        expect(answers[10]).toBe('ok');
        expect(unexpected(answers, ['ok', 'not_found'])).toEqual([]);
        expect(await suite.harness.raw.count('projects', org)).toBe(0);
        expect(await suite.harness.raw.count('environments', org)).toBe(0);
      }
    });

    test('patches of 10 clients lose nothing of one another', async () => {
      const { both } = await racers();
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      const { ref } = await unwrap(both(0).environments.getDefault(project.id));
      const rounds = 3;
      await together(10, async (index) => {
        for (let round = 0; round < rounds; round++) {
          const set = [{ key: `CLIENT_${index}_${round}`, value: `${index}` }];
          const unset = round > 0 ? [`CLIENT_${index}_${round - 1}`] : [];
          const answer = await untilSettled(() => codeOf(both(index).environments.patchVariables(ref, { set, unset })));
          expect(answer).toBe('ok');
        }
      });
      const environment = await unwrap(both(0).environments.get(ref));
      expect(environment.variables.map(({ key }) => key).sort()).toEqual(
        Array.from({ length: 10 }, (_, index) => `CLIENT_${index}_${rounds - 1}`),
      );
      expect(environment.version).toBe(1 + 10 * rounds);
    });

    test('of changes that expect the same version one is made', async () => {
      const { both } = await racers();
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      const { ref } = await unwrap(both(0).environments.getDefault(project.id));
      const answers = await together(clients, (index) =>
        codeOf(
          both(index).environments.setVariables(ref, {
            variables: [{ key: 'WINNER', value: `${index}` }],
            expectedVersion: 1,
          }),
        ),
      );
      expect(tally(answers)).toEqual({ ok: 1, stale_version: clients - 1 });
      const { variables, version } = await unwrap(both(0).environments.get(ref));
      expect(version).toBe(2);
      expect(variables).toEqual([{ key: 'WINNER', value: `${answers.indexOf('ok')}`, sensitive: false }]);
    });

    test('creating environments does not make a rename of the project stale', async () => {
      const { both } = await racers();
      const project = await unwrap(both(0).projects.create({ name: 'P' }));
      const answers = await together(20, (index) =>
        index === 10
          ? codeOf(both(index).projects.update(project.id, { name: 'Renamed', expectedVersion: 1 }))
          : codeOf(both(index).environments.create({ projectId: project.id, name: `E ${index}` })),
      );
      expect(tally(answers)).toEqual({ ok: 20 });
    });

    test('two that migrate at once do no harm', async () => {
      const storages = await Promise.all([suite.harness.another(), suite.harness.another(), suite.harness.another()]);
      for (const report of await Promise.all(storages.map((storage) => storage.migrate()))) {
        expect(unwrap(report).applied).toEqual([]);
      }
      expect(unwrap(await suite.harness.storage.status())).toMatchObject({ ready: true, pending: [] });
    });
  });

  /** Clients of one org, on one storage and another one on the same database by turns. */
  async function racers(options: Parameters<Suite['vivarium']>[0] = {}) {
    const org = suite.newOrg();
    const other = await suite.other();
    const vivaria = [suite.vivarium(options), suite.vivarium({ ...options, storage: other })];
    const both = (index: number): Client<unknown> =>
      vivaria[index % 2]!.as({ org, type: 'user', id: `client ${index}` });
    return { org, both };
  }
}

/**
 * Makes the calls at once, and again where one keeps losing the race. Which of them goes first, and by how little, differs from round to
 * round: where everything is in one process, calls that begin together would always meet in the same way.
 */
async function inEveryOrder(round: number, calls: readonly (() => Promise<string>)[]): Promise<string[]> {
  const first = round % calls.length;
  const ahead = Math.floor(round / calls.length);
  return together(calls.length, async (index) => {
    for (let turn = 0; turn < ahead && index !== first; turn++) await Promise.resolve();
    return untilSettled(calls[index]!);
  });
}

/** A call that keeps losing the race is made again: it is always safe. */
export async function untilSettled(call: () => Promise<string>): Promise<string> {
  for (let tries = 0; tries < 50; tries++) {
    const code = await call();
    if (code !== 'stale_version') return code;
  }
  return 'stale_version';
}

function unexpected(answers: readonly string[], expected: readonly string[]): readonly string[] {
  return answers.filter((answer) => !expected.includes(answer));
}

function environmentsOf(client: Client<unknown>, { id }: Project): Promise<EnvironmentSummary[]> {
  return everything((page) => client.environments.list({ projectId: id, ...page }));
}

/** Exactly one default, first in the list, and the same wherever it is asked for. Gives the list. */
async function oneDefault(client: Client<unknown>, project: Project): Promise<EnvironmentSummary[]> {
  const there = await environmentsOf(client, project);
  expect(there.map(({ isDefault }) => isDefault)).toEqual(there.map((_, index) => index === 0));
  expect((await unwrap(client.environments.getDefault(project.id))).id).toBe(there[0]?.id);
  expect((await unwrap(client.projects.get(project.id))).defaultEnvironmentId).toBe(there[0]?.id);
  return there;
}

/** Every project's ancestors lead to a root. Gives the levels of the deepest. */
async function everyParentExists(client: Client<unknown>): Promise<number> {
  const projects = await everything((page) => client.projects.list(page));
  const parents = new Map(projects.map(({ id, parentProjectId }) => [id, parentProjectId]));
  const levels = projects.map(({ id }) => {
    let level = 0;
    for (let at: string | null = id; at !== null; at = parents.get(at)!) {
      expect(parents.has(at), 'the parent exists').toBe(true);
      expect(++level, 'no cycle').toBeLessThanOrEqual(projects.length);
    }
    return level;
  });
  return Math.max(0, ...levels);
}
