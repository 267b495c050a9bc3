import { unwrap } from '@vivarium/core';
import type { Client } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, refused } from './answers.ts';
import { everyCall } from './every-call.ts';
import { failedHistory, referencesIn } from './every-build-call.ts';
import { buildsSnapshot } from './builds-making.ts';
import { deploymentsSnapshot } from './deployments-making.ts';
import { commit } from './every-deployment-call.ts';
import { everything } from './paging.ts';
import { previewsSnapshot } from './previews-making.ts';
import type { Suite } from './suite.ts';
import { makeWorld } from './world.ts';
import type { World } from './world.ts';

/** What is appended to one name to make orgs that a careless key, collation or trim would join. */
const lookalikes = [
  '',
  ' ',
  '  ',
  '#',
  '#P',
  '#P#',
  '/',
  '/a',
  '|',
  '|a',
  ':',
  ':1',
  '%',
  '%23',
  '%23P',
  '_',
  '\\',
  "'",
  '"',
  '.',
  '*',
  '\u00e9',
  'e\u0301',
  '🧪',
  'A',
  'a',
  'ß',
  'ss',
  'İ',
  'i',
  '\u200b',
  '\u00a0',
];

/** What a method that reads lists answers in another org: nothing of what is asked for, where all others have to say not_found. */
const emptyElsewhere = new Set<string>([
  'projects.list',
  'journal.list',
  'journal.listParked',
  'journal.deliver',
  'journal.prune',
  'ephemeral.types.list',
  'builds.catalog.platforms.list',
  'builds.catalog.osVersions.list',
  'builds.catalog.imageTypes.list',
  'builds.list',
  'deployments.repos.list',
  'deployments.apps.list',
  'deployments.environments.list',
  'deployments.environments.getByBranch',
]);

/** Those of them that list something of the caller's own, whatever they are given. */
const listsOwn = /^ephemeral\.types\.list$|^builds\.catalog\.|^deployments\.repos\.list$/;

/** What works on the caller's own org, whatever it is given. */
const atHome = new Set([
  'projects.getByName',
  'projects.create',
  'journal.deliver',
  'journal.prune',
  'ephemeral.types.create',
  'ephemeral.sweep',
  'keys.rewrap',
  'builds.catalog.platforms.create',
  'builds.catalog.platforms.getByName',
  'builds.catalog.osVersions.create',
  'builds.catalog.osVersions.getByName',
  'builds.catalog.imageTypes.create',
  'builds.catalog.imageTypes.getByName',
  'builds.getByNumber',
  'builds.sweep',
  'deployments.repos.register',
  'deployments.sweep',
  'previews.onEvent',
  'previews.sweep',
]);

/** What is refused in another org for more than that it is not there. */
const refusedElsewhere = new Map([
  ['previews.handle', 'invalid_input'],
  ['previews.report', 'invalid_signature'],
]);

/** Orgs share nothing, whatever they are called. */
export function testIsolation(suite: Suite): void {
  describe('orgs', () => {
    test('every method finds nothing of another org and changes nothing in it', async () => {
      const base = suite.newOrg();
      // One of each kind: a separator, a space that padding would not see, an escape, another case. All the others are in the next test.
      const orgs = ['', '#P', ' ', '%23', 'A'].map((end) => base + end);
      const clients = orgs.map((org) => suite.vivarium().as({ org, type: 'user', id: 'ada' }));
      const worlds: World[] = [];
      for (const client of clients) worlds.push(await makeWorld(client));
      const before = await Promise.all(clients.map(snapshot));

      for (const [index, client] of clients.entries()) {
        const foreign = worlds[(index + 1) % worlds.length]!;
        for (const { method, call } of everyCall) {
          if (atHome.has(method)) continue;
          const answer = await call(client, foreign);
          if (method === 'builds.stats') {
            expect(unwrap(answer)).toMatchObject({ total: 0, states: [], failures: [] });
            continue;
          }
          if (!emptyElsewhere.has(method)) {
            const code = refusedElsewhere.get(method) ?? 'not_found';
            expect([method, answer.isErr() ? answer.error.code : 'ok']).toEqual([method, code]);
            continue;
          }
          const items = (unwrap(answer) as { items: readonly { orgId?: string; entry?: { orgId: string } }[] }).items;
          const theirs = orgs[(index + 1) % orgs.length]!;
          expect(items.filter((item) => (item.entry ?? item).orgId === theirs)).toEqual([]);
          const ids = new Set(items.map((item) => (item as { id?: string }).id));
          expect(idsOf(foreign).filter((id) => ids.has(id))).toEqual([]);
          if (method.endsWith('list') && !listsOwn.test(method)) expect(items).toEqual([]);
        }
        const mine = worlds[index]!;
        for (const answer of [
          client.projects.create({ name: 'X', parentProjectId: foreign.project.id }),
          client.projects.move(mine.child.id, { parentProjectId: foreign.project.id }),
          client.environments.delete(mine.staging.ref, { promote: foreign.staging.ref }),
          client.environments.diff(mine.staging.ref, foreign.staging.ref),
          client.environments.diff(foreign.staging.ref, mine.staging.ref),
          client.environments.get({ projectId: mine.project.id, id: foreign.staging.id }),
          client.environments.get({ projectId: foreign.project.id, id: mine.staging.id }),
          client.environments.makeDefault({ projectId: mine.project.id, id: foreign.staging.id }),
          client.environments.makeDefault({ projectId: foreign.project.id, id: mine.staging.id }),
          client.ephemeral.stateChanges.complete({
            ...mine.bearer,
            stateChangeId: foreign.pending.id,
            result: 'passed',
          }),
          client.ephemeral.secrets.readAll({ ...mine.bearer, stateChangeId: foreign.pending.id }),
          ...(['projectId', 'platformId', 'osVersionId', 'imageTypeId'] as const).flatMap((reference) => {
            const mixed = { ...referencesIn(mine), [reference]: referencesIn(foreign)[reference] };
            return [
              client.builds.start({ buildNumber: 'mixed', ...mixed }),
              client.builds.import({ buildNumber: 'mixed', ...mixed, ...failedHistory() }),
            ];
          }),
          ...[
            { projectId: mine.child.id, repoId: foreign.repo.id },
            { projectId: foreign.child.id, repoId: mine.repo.id },
          ].flatMap((mixed) => [
            client.deployments.apps.create({ ...mixed, name: 'Mixed' }),
            client.deployments.environments.ensure({ ...mixed, environment: 'mixed' }),
          ]),
          client.deployments.start({
            projectEnvironmentId: mine.production.id,
            gitRef: 'main',
            sha: commit('e'),
            configuration: { environmentId: foreign.staging.id },
          }),
          client.deployments.rollback({ projectEnvironmentId: mine.production.id, to: foreign.live.id }),
          client.deployments.rollback({ projectEnvironmentId: foreign.production.id, to: mine.live.id }),
        ]) {
          expect(await codeOf(answer)).toBe('not_found');
        }
      }
      expect(await Promise.all(clients.map(snapshot))).toEqual(before);
    });

    test('orgs whose names look alike, or hold separators, have everything of their own', async () => {
      const base = suite.newOrg();
      const orgs = lookalikes.map((end) => base + end);
      const clients = orgs.map((org) => suite.vivarium().as({ org, type: 'user', id: 'ada' }));
      const made = [];
      for (const client of clients)
        made.push(await unwrap(client.projects.create({ name: 'Same', idempotencyKey: 'same' })));
      expect(new Set(made.map(({ id }) => id)).size).toBe(orgs.length);

      for (const [index, client] of clients.entries()) {
        expect((await unwrap(client.projects.list())).items).toEqual([made[index]]);
        expect(await unwrap(client.projects.getByName('same'))).toEqual(made[index]);
        const { items } = await unwrap(client.journal.list());
        expect(items.map(({ orgId, subject }) => [orgId, subject.id])).toEqual([[orgs[index], made[index]!.id]]);
        for (const kind of ['projects', 'environments', 'journal', 'queue', 'keys'] as const) {
          expect([orgs[index], kind, await suite.harness.raw.count(kind, orgs[index]!)]).toEqual([
            orgs[index],
            kind,
            1,
          ]);
        }
      }
    });

    test('deliver and prune work in their own org', async () => {
      const base = suite.newOrg();
      const clients = ['', ' ', '#', 'A'].map((end) =>
        suite.vivarium().as({ org: base + end, type: 'user', id: 'ada' }),
      );
      for (const client of clients) await unwrap(client.projects.create({ name: 'P' }));
      for (const [index, client] of clients.entries()) {
        const seen: string[] = [];
        await unwrap(client.journal.deliver({ handler: ({ orgId }) => void seen.push(orgId) }));
        expect(seen).toEqual([base + ['', ' ', '#', 'A'][index]!]);
        const later = new Date(Date.now() + 60_000);
        expect(await unwrap(client.journal.prune({ before: later }))).toEqual({ deleted: 1 });
      }
    });

    test('deleting in one org leaves the tree, the names and the counters of another', async () => {
      const base = suite.newOrg();
      const [ada, eve] = ['', '#'].map((end) => suite.vivarium().as({ org: base + end, type: 'user', id: 'x' })) as [
        Client<unknown>,
        Client<unknown>,
      ];
      const mine = await makeWorld(ada);
      const before = await snapshot(ada);
      const theirs = await makeWorld(eve);
      await unwrap(eve.environments.delete(theirs.staging.ref));
      await unwrap(eve.projects.delete(theirs.child.id));
      await unwrap(eve.projects.delete(theirs.project.id));
      expect(await snapshot(ada)).toEqual(before);
      await refused(ada.projects.create({ name: 'World' }), 'project_name_taken');
      await unwrap(ada.projects.move(mine.child.id, { parentProjectId: null }));
    });

    test('a cursor of one org shows another nothing', async () => {
      const [one, two] = [suite.inNewOrg().ada, suite.inNewOrg().ada];
      for (const name of ['a', 'b', 'c']) await unwrap(one.projects.create({ name }));
      const { nextCursor } = await unwrap(one.projects.list({ limit: 1 }));
      const journal = await unwrap(one.journal.list({ limit: 1 }));
      expect((await unwrap(two.projects.list({ cursor: nextCursor! }))).items).toEqual([]);
      expect((await unwrap(two.journal.list({ cursor: journal.nextCursor! }))).items).toEqual([]);
    });
  });
}

/** What a list of another org could show of this one. */
function idsOf(world: World) {
  const { type, draft, cordoned, platform, osVersion, imageType, spare, running, failed } = world;
  const entries = [platform, osVersion, imageType, spare.platform, spare.osVersion, spare.imageType];
  const { repo, spareRepo, app, spareApp, production, preview } = world;
  const { previewed, asked, waiting, unstoppable } = world;
  const places = [repo, spareRepo, app, spareApp, production, preview, previewed.app, asked, waiting, unstoppable];
  return [type, draft, cordoned, running, failed, ...entries, ...places].map(({ id }) => id);
}

/** Everything that an org can see of itself. */
async function snapshot(client: Client<unknown>): Promise<unknown> {
  const projects = await everything((page) => client.projects.list(page));
  const environments = [];
  for (const { id } of projects) {
    for (const { ref } of await everything((page) => client.environments.list({ projectId: id, ...page }))) {
      environments.push(await unwrap(client.environments.get(ref)));
    }
  }
  const journal = await everything((page) => client.journal.list(page));
  const parked = await everything((page) => client.journal.listParked(page));
  return {
    projects,
    environments,
    journal,
    parked,
    ...(await ephemeralSnapshot(client)),
    ...(await buildsSnapshot(client)),
    ...(await deploymentsSnapshot(client)),
    ...(await previewsSnapshot(client)),
  };
}

async function ephemeralSnapshot({ ephemeral }: Client<unknown>): Promise<object> {
  const types = await everything((page) => ephemeral.types.list(page));
  const whole = [];
  for (const { id: typeId } of types) {
    const instances = await everything((page) => ephemeral.instances.list({ typeId, ...page }));
    const changes = [];
    for (const { id } of instances) {
      changes.push(await everything((page) => ephemeral.stateChanges.list({ instanceId: id, ...page })));
    }
    whole.push({ type: await unwrap(ephemeral.types.get(typeId)), instances, changes });
  }
  return { ephemeral: whole };
}
