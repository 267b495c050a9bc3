import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { unwrap } from '@vivarium/core';
import type { Client, Project } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';

import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] environments', () => {
    let bench: Bench;
    let ada: Client;
    let project: Project;
    let orgs = 0;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());
    beforeEach(async () => {
      ada = bench.as(`org-${++orgs}`);
      project = unwrap(await ada.projects.create({ name: 'Shop', environments: [{ name: 'One' }, { name: 'Two' }] }));
    });
    afterEach(() => bench.client.middlewareStack.remove('between'));

    /** Does something once, right before the nth request of this kind. */
    const before = (command: string, nth: number, work: () => Promise<unknown> | Answer) => {
      let count = 0;
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName === command && ++count === nth) await work();
          return next(args);
        },
        { step: 'initialize', name: 'between' },
      );
    };
    const named = async (name: string) => unwrap(await ada.environments.getByName(project.id, name));

    test('an environment and its texts are never shown of two states', async () => {
      const { ref } = await named('One');
      const write = (value: string) => ada.environments.setVariables(ref, { variables: [{ key: 'A', value }] });
      unwrap(await write('before'));
      let batches = 0;
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          const answer = await next(args);
          if (context.commandName !== 'BatchGetItemCommand' || ++batches !== 1) return answer;
          // A batch that read the texts before a write and the environment after it.
          unwrap(await write('after'));
          const second = await next(args);
          const items = (of: typeof answer) =>
            Object.values(
              (of.output as unknown as { Responses: Record<string, { sk: { S: string } }[]> }).Responses,
            )[0]!;
          const texts = items(answer).filter(({ sk }) => sk.S.startsWith('#V#'));
          const others = items(second).filter(({ sk }) => !sk.S.startsWith('#V#'));
          (second.output as unknown as { Responses: unknown }).Responses = { [bench.table]: [...texts, ...others] };
          return second;
        },
        { step: 'initialize', name: 'between' },
      );
      const read = unwrap(await ada.environments.get(ref));
      expect(read).toMatchObject({ version: 3, variables: [{ key: 'A', value: 'after' }] });
    });

    test('a name that changes hands between claim and environment is followed', async () => {
      const [one, two] = [await named('One'), await named('Two')];
      before('BatchGetItemCommand', 1, async () => {
        bench.client.middlewareStack.remove('between');
        unwrap(await ada.environments.update(one.ref, { name: 'Three' }));
        unwrap(await ada.environments.update(two.ref, { name: 'One' }));
      });
      expect((await named('One')).id).toBe(two.id);
    });

    test('a default that moves between project and environment is followed', async () => {
      const two = await named('Two');
      before('BatchGetItemCommand', 1, async () => {
        bench.client.middlewareStack.remove('between');
        unwrap(await ada.environments.delete((await named('One')).ref));
      });
      expect(unwrap(await ada.environments.getDefault(project.id))).toMatchObject({ id: two.id, isDefault: true });
    });

    test('a list is never of two states of the project, also when it takes several pages', async () => {
      const many = bench.as(`org-${orgs}`, { limits: { environmentsPerProject: 10_000 } });
      for (let i = 0; i < 120; i++)
        unwrap(await many.environments.create({ projectId: project.id, name: `environment ${i}` }));
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: { items: readonly { name: string }[]; nextCursor: string | null } = unwrap(
          await ada.environments.list({ projectId: project.id, limit: 50, ...(cursor === null ? {} : { cursor }) }),
        );
        seen.push(...page.items.map(({ name }) => name));
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(seen).toHaveLength(122);
      expect(new Set(seen).size).toBe(122);
      expect(seen[0]).toBe('One');
    });

    test('a list that was read while its default was deleted is read again', async () => {
      const one = await named('One');
      let queries = 0;
      bench.client.middlewareStack.add(
        (next, context) => async (args) => {
          const answer = await next(args);
          if (context.commandName !== 'QueryCommand' || ++queries !== 1) return answer;
          // The project was read before the deletion, its environments after it.
          const output = answer.output as unknown as { Items: { sk: { S: string } }[] };
          output.Items = output.Items.filter(({ sk }) => sk.S !== `#E#${one.id}`);
          return answer;
        },
        { step: 'initialize', name: 'between' },
      );
      const { items } = unwrap(await ada.environments.list({ projectId: project.id }));
      expect(items.map(({ name, isDefault }) => [name, isDefault])).toEqual([
        ['One', true],
        ['Two', false],
      ]);
      expect(queries).toBe(2);
    });

    test('a search by key that sees an environment change between two pages reads it again', async () => {
      const big = 'x'.repeat(300_000 - 40);
      const roomy = bench.as(`org-${orgs}`, { limits: { variableBytesPerEnvironment: 300_000 } });
      for (let i = 0; i < 8; i++) {
        unwrap(
          await roomy.environments.create({
            projectId: project.id,
            name: `Big ${i}`,
            variables: [{ key: 'OLD', value: big }],
          }),
        );
      }
      const last = await named('Big 7');
      before('QueryCommand', 2, () =>
        roomy.environments.setVariables(last.ref, { variables: [{ key: 'NEW', value: 'v' }] }),
      );
      const found = unwrap(await ada.environments.search({ projectId: project.id, variableKey: 'NEW' }));
      expect(found.items).toMatchObject([{ id: last.id, version: 2, variableCount: 1 }]);
    });

    test('a description comes and goes without its variables, and both are kept apart from the list', async () => {
      const { ref } = await named('Two');
      unwrap(await ada.environments.setVariables(ref, { variables: [{ key: 'A', value: '1', description: 'a' }] }));
      unwrap(await ada.environments.update(ref, { description: 'words' }));
      expect(unwrap(await ada.environments.get(ref))).toMatchObject({
        description: 'words',
        variables: [{ key: 'A' }],
      });
      unwrap(await ada.environments.setVariables(ref, { variables: [] }));
      expect(unwrap(await ada.environments.get(ref))).toMatchObject({ description: 'words', variables: [] });
      unwrap(await ada.environments.update(ref, { description: null }));
      expect(unwrap(await ada.environments.get(ref)).description).toBeNull();
      const heads = (await bench.items()).filter(({ sk }) => sk!.S!.startsWith('#E#'));
      expect(heads.every((head) => head['variables'] === undefined && head['description'] === undefined)).toBe(true);
    });

    test('the last environment stays, and the default is handed over in the same write that deletes it', async () => {
      const [one, two] = [await named('One'), await named('Two')];
      const refused = await ada.environments.delete(one.ref, { promote: one.ref });
      expect(refused.isErr() && refused.error.code).toBe('not_found');
      unwrap(await ada.environments.delete(one.ref));
      expect(unwrap(await ada.projects.get(project.id)).defaultEnvironmentId).toBe(two.id);
      const last = await ada.environments.delete(two.ref);
      expect(last.isErr() && last.error.code).toBe('last_environment');
    });

    test('what an item lacks is a storage failure that names it, never a half-read environment', async () => {
      const { ref } = await named('Two');
      const { UpdateItemCommand } = await import('@aws-sdk/client-dynamodb');
      await bench.client.send(
        new UpdateItemCommand({
          TableName: bench.table,
          Key: { pk: { S: `org-${orgs}#P#${project.id}` }, sk: { S: `#V#${ref.id}` } },
          UpdateExpression: 'REMOVE variables',
        }),
      );
      const result = await ada.environments.get(ref);
      expect(result.isErr() && result.error).toMatchObject({ code: 'storage_failure', retryable: false });
      expect(result.isErr() && result.error.message).toContain('has no variables');
    });
  });
});
