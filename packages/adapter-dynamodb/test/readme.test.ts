import { readFileSync } from 'node:fs';

import { unwrap } from '@vivarium/core';
import type { Client, Environment, Method, Project } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { sequentialIds } from '@vivarium/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

interface World {
  readonly ada: Client;
  readonly shop: Project;
  readonly child: Project;
  readonly development: Environment;
  readonly staging: Environment;
  readonly parkedId: string;
}

/** The others are measured on worlds of their own, in `ephemeral-readme.test.ts` and its like. */
type PlainMethod = Exclude<Method, `${'ephemeral' | 'keys' | 'builds' | 'deployments' | 'previews'}.${string}`>;

/** Each method as the table in the README measures it, on a project with a parent and two environments of less than 1 KB each. */
const calls: Record<PlainMethod, (world: World) => Answer> = {
  'projects.create': ({ ada }) => ada.projects.create({ name: 'New' }),
  'projects.get': ({ ada, child }) => ada.projects.get(child.id),
  'projects.getByName': ({ ada }) => ada.projects.getByName('child'),
  'projects.list': ({ ada }) => ada.projects.list(),
  'projects.update': ({ ada, child }) => ada.projects.update(child.id, { description: 'words' }),
  'projects.move': ({ ada, child }) => ada.projects.move(child.id, { parentProjectId: null }),
  'projects.ancestors': ({ ada, child }) => ada.projects.ancestors(child.id),
  'projects.delete': ({ ada, child }) => ada.projects.delete(child.id),
  'environments.create': ({ ada, child }) =>
    ada.environments.create({ projectId: child.id, name: 'Production', variables: [{ key: 'A', value: 'b' }] }),
  'environments.get': ({ ada, staging }) => ada.environments.get(staging.ref),
  'environments.getByName': ({ ada, child }) => ada.environments.getByName(child.id, 'staging'),
  'environments.getDefault': ({ ada, child }) => ada.environments.getDefault(child.id),
  'environments.list': ({ ada, child }) => ada.environments.list({ projectId: child.id }),
  'environments.search': ({ ada, child }) => ada.environments.search({ projectId: child.id, variableKey: 'A' }),
  'environments.update': ({ ada, staging }) => ada.environments.update(staging.ref, { name: 'Testing' }),
  'environments.setVariables': ({ ada, staging }) =>
    ada.environments.setVariables(staging.ref, { variables: [{ key: 'A', value: 'c' }] }),
  'environments.patchVariables': ({ ada, staging }) =>
    ada.environments.patchVariables(staging.ref, { set: [{ key: 'A', value: 'c' }] }),
  'environments.makeDefault': ({ ada, staging }) => ada.environments.makeDefault(staging.ref),
  'environments.duplicate': ({ ada, staging }) => ada.environments.duplicate(staging.ref, { name: 'Copy' }),
  'environments.diff': ({ ada, staging, development }) => ada.environments.diff(staging.ref, development.ref),
  'environments.delete': ({ ada, development }) => ada.environments.delete(development.ref),
  'environments.stats': ({ ada, child }) => ada.environments.stats(child.id),
  'environments.reveal': ({ ada, staging }) => ada.environments.reveal(staging.ref, { keys: ['A'] }),
  'environments.resolve': ({ ada, staging }) => ada.environments.resolve(staging.ref),
  'environments.render': ({ ada, staging }) => ada.environments.render(staging.ref, '{{A}}'),
  'journal.list': ({ ada }) => ada.journal.list(),
  'journal.deliver': ({ ada }) => ada.journal.deliver({ handler: () => undefined }),
  'journal.listParked': ({ ada }) => ada.journal.listParked(),
  'journal.retryParked': ({ ada, parkedId }) => ada.journal.retryParked(parkedId),
  'journal.prune': ({ ada }) => ada.journal.prune({ before: new Date(Date.now() + 60_000) }),
};

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] the table of the README', () => {
    let bench: Bench;
    let orgs = 0;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
      // The outbox looks at lanes from a random one on.
      vi.spyOn(Math, 'random').mockReturnValue(0);
    });
    afterAll(async () => {
      vi.restoreAllMocks();
      await bench.close();
    });

    const makeWorld = async (method: Method): Promise<World> => {
      // The same ids each time, so that the outbox has the same lanes.
      const ada = bench.as(`org-${++orgs}`, { ids: sequentialIds() });
      const environments = ['Development', 'Staging'].map((name) => ({ name, variables: [{ key: 'A', value: 'b' }] }));
      const shop = unwrap(await ada.projects.create({ name: 'Shop' }));
      const child = unwrap(await ada.projects.create({ name: 'Child', parentProjectId: shop.id, environments }));
      const named = async (name: string) => unwrap(await ada.environments.getByName(child.id, name));
      const handler = () => {
        if (method.endsWith('Parked')) throw new Error('no');
      };
      if (method !== 'journal.deliver') unwrap(await ada.journal.deliver({ handler, maxAttempts: 1 }));
      const parked = unwrap(await ada.journal.listParked()).items;
      return {
        ada,
        shop,
        child,
        development: await named('Development'),
        staging: await named('Staging'),
        parkedId: parked[0]?.entry.id ?? '',
      };
    };

    test.each(Object.keys(calls) as PlainMethod[])('%s', async (method) => {
      const world = await makeWorld(method);
      const { operations, readUnits, writeUnits, value } = await bench.traffic(async () => await calls[method](world));
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
