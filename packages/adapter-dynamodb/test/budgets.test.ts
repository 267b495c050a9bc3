import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { unwrap } from '@vivarium/core';
import type { EnvironmentRef, Project } from '@vivarium/core';
import type { Change, JournalSubject, StoredEnvironment } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';

import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

const id = () => crypto.randomUUID();

type Call = () => Answer;

/** A change as core makes one. */
function changeOf(orgId: string, subject: JournalSubject, withKey = false): Change {
  const at = new Date();
  return {
    orgId,
    at,
    entry: {
      id: id(),
      orgId,
      subject,
      stream: subject.id,
      sequence: 1,
      action: `${subject.type}.changed`,
      actor: { type: 'user', id: 'ada' },
      at,
      data: { projectId: id(), name: 'Some name' },
    },
    key: withKey
      ? {
          id: 'a'.repeat(64),
          fingerprint: 'f'.repeat(43),
          result: { id: id() },
          expiresAt: new Date(at.getTime() + 1_000),
        }
      : null,
  };
}

function environmentOf(projectId: string, name: string, bytes: number): StoredEnvironment {
  const at = new Date();
  const empty = JSON.stringify([{ key: 'KEY', value: '' }]).length;
  return {
    id: id(),
    projectId,
    name,
    nameKey: name.toLowerCase(),
    description: null,
    variables: [{ key: 'KEY', value: 'x'.repeat(bytes - empty) }],
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
}

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] budgets', () => {
    let bench: Bench;
    let project: Project;
    let staging: EnvironmentRef;
    let org: string;
    let orgs = 0;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());
    beforeEach(async () => {
      org = `org-${++orgs}`;
      const ada = bench.as(org);
      project = await unwrap(
        ada.projects.create({ name: 'Shop', environments: [{ name: 'Development' }, { name: 'Staging' }] }),
      );
      staging = (await unwrap(ada.environments.getByName(project.id, 'Staging'))).ref;
    });

    const ada = () => bench.as(org);
    const ask = <T>(call: () => T) => bench.traffic(async (): Promise<Awaited<T>> => await call());

    test.each<[string, number, Call]>([
      ['projects.get', 1, () => ada().projects.get(project.id)],
      ['projects.getByName', 2, () => ada().projects.getByName('shop')],
      ['environments.get', 1, () => ada().environments.get(staging)],
      ['environments.getByName', 2, () => ada().environments.getByName(project.id, 'Staging')],
      ['environments.getDefault', 2, () => ada().environments.getDefault(project.id)],
      [
        'environments.diff',
        1,
        () => ada().environments.diff(staging, { projectId: project.id, id: project.defaultEnvironmentId }),
      ],
      ['environments.list', 1, () => ada().environments.list({ projectId: project.id })],
      ['environments.search', 1, () => ada().environments.search({ projectId: project.id, name: 'stag' })],
      ['environments.stats', 1, () => ada().environments.stats(project.id)],
      ['journal.list of a subject', 1, () => ada().journal.list({ subject: { type: 'project', id: project.id } })],
      ['journal.list of the org', 2, () => ada().journal.list()],
    ])('%s takes %i request(s)', async (_method, requests, call) => {
      const { operations, value } = await ask(call);
      expect(unwrap(value)).not.toBeNull();
      expect(operations).toHaveLength(requests);
    });

    test('a list of 50 environments is one page of at most 5 read units, however large they are', async () => {
      const { environments } = bench.storage;
      for (let i = 0; i < 48; i++) {
        const environment = {
          ...environmentOf(project.id, `environment number ${i}`, 40_000),
          description: 'd'.repeat(500),
        };
        const subject = { type: 'environment', id: environment.id };
        await unwrap(environments.create({ environment, maximum: 50, change: changeOf(org, subject) }));
      }
      const { operations, readUnits, value } = await ask(() => ada().environments.list({ projectId: project.id }));
      expect(unwrap(value).items).toHaveLength(50);
      expect(operations).toEqual(['Query']);
      expect(readUnits).toBeLessThanOrEqual(5);
    });

    test('a search by key over 50 full environments takes at most 3 pages', async () => {
      const { environments } = bench.storage;
      for (let i = 0; i < 48; i++) {
        const environment = environmentOf(project.id, `environment ${i}`, 51_200);
        const subject = { type: 'environment', id: environment.id };
        await unwrap(environments.create({ environment, maximum: 50, change: changeOf(org, subject) }));
      }
      const { operations, value } = await ask(() =>
        ada().environments.search({ projectId: project.id, variableKey: 'KEY' }),
      );
      expect(unwrap(value).items).toHaveLength(48);
      expect(operations).toEqual(['Query', 'Query', 'Query']);
    });

    test.each([
      ['no key', 100, false],
      ['a key', 100, true],
      ['1 KB to the byte', 1_024, false],
      ['50 KB and a key', 51_200, true],
    ])('creating an environment, %s, costs at most 13 + 2 a KB, and 2 for the key', async (_title, bytes, withKey) => {
      const environment = environmentOf(project.id, 'Production of the whole company', bytes);
      const change = changeOf(org, { type: 'environment', id: environment.id }, withKey);
      const { operations, writeUnits, value } = await ask(() =>
        bench.storage.environments.create({ environment, maximum: 50, change }),
      );
      expect(unwrap(value)).toEqual({ done: true });
      expect(operations).toEqual(['TransactWriteItems']);
      expect(writeUnits).toBeLessThanOrEqual(13 + 2 * Math.ceil(bytes / 1_024) + (withKey ? 2 : 0));
    });

    test('a guarded write is one transaction', async () => {
      const { projects, environments } = bench.storage;
      const there = (await unwrap(environments.get(org, staging))).found!;
      const owner = (await unwrap(projects.get(org, project.id))).found!;
      const change = () => changeOf(org, { type: 'environment', id: staging.id });
      const [renamed, changed] = [
        { ...there, version: 2, nameKey: 'pre' },
        { ...there, version: 3 },
      ];
      const writes: Call[] = [
        () =>
          environments.update({
            environment: renamed,
            previousNameKey: 'staging',
            expectedVersion: 1,
            change: change(),
          }),
        () => environments.setVariables({ environment: changed, expectedVersion: 2, change: change() }),
        () => environments.makeDefault({ ref: staging, change: change() }),
        () =>
          environments.delete({
            environment: { ...renamed, version: 3, isDefault: true },
            promote: project.defaultEnvironmentId,
            change: change(),
          }),
        () =>
          projects.update({
            project: { ...owner, version: 2 },
            previousNameKey: 'shop',
            expectedVersion: 1,
            change: change(),
          }),
        () =>
          projects.move({
            project: { ...owner, version: 3 },
            previousParentId: null,
            expectedVersion: 2,
            treeVersion: 0,
            treeGrowth: 0,
            change: change(),
          }),
        () => bench.storage.journal.append(change()),
      ];
      for (const write of writes) {
        const { operations, value } = await ask(write);
        expect(unwrap(value)).toEqual({ done: true });
        expect(operations).toEqual(['TransactWriteItems']);
      }
    });

    test('a refused write is one request', async () => {
      const { projects, environments } = bench.storage;
      const there = (await unwrap(environments.get(org, staging))).found!;
      const owner = (await unwrap(projects.get(org, project.id))).found!;
      const first = (await unwrap(environments.getDefault(org, project.id)))!;
      const only = (await unwrap(ada().projects.create({ name: 'Only' }))).id;
      const last = (await unwrap(environments.getDefault(org, only)))!;
      const child = await unwrap(ada().projects.create({ name: 'Child', parentProjectId: project.id }));
      const change = () => changeOf(org, { type: 'environment', id: staging.id });
      const fresh = () => environmentOf(project.id, 'New', 100);
      const refusals: Record<string, readonly Call[]> = {
        not_found: [
          () => environments.create({ environment: environmentOf(id(), 'New', 100), maximum: 9, change: change() }),
          () => environments.makeDefault({ ref: { ...staging, id: id() }, change: change() }),
          () =>
            environments.setVariables({ environment: { ...there, id: id() }, expectedVersion: 1, change: change() }),
          () =>
            projects.update({
              project: { ...owner, id: id() },
              previousNameKey: 'shop',
              expectedVersion: 1,
              change: change(),
            }),
        ],
        limit_reached: [() => environments.create({ environment: fresh(), maximum: 2, change: change() })],
        name_taken: [
          () => environments.create({ environment: { ...fresh(), nameKey: 'staging' }, maximum: 9, change: change() }),
          () =>
            projects.update({
              project: { ...owner, nameKey: 'child' },
              previousNameKey: 'shop',
              expectedVersion: 1,
              change: change(),
            }),
        ],
        stale: [
          () => environments.setVariables({ environment: there, expectedVersion: 7, change: change() }),
          () => environments.delete({ environment: { ...there, isDefault: true }, promote: id(), change: change() }),
          () => environments.delete({ environment: { ...there, isDefault: true }, promote: null, change: change() }),
          () => environments.delete({ environment: { ...first, isDefault: false }, promote: null, change: change() }),
          () => environments.delete({ environment: first, promote: id(), change: change() }),
          () =>
            projects.move({
              project: owner,
              previousParentId: null,
              expectedVersion: 1,
              treeVersion: 5,
              treeGrowth: 0,
              change: change(),
            }),
        ],
        last_environment: [() => environments.delete({ environment: last, promote: null, change: change() })],
        has_children: [() => projects.delete({ project: owner, change: change() })],
      };
      for (const [refused, writes] of Object.entries(refusals)) {
        for (const write of writes) {
          const { operations, value } = await ask(write);
          expect(unwrap(value)).toEqual({ done: false, refused });
          expect(operations).toHaveLength(1);
        }
      }
      expect((await unwrap(projects.get(org, child.id))).found?.id).toBe(child.id);
    });

    test('a replay under an idempotency key writes nothing', async () => {
      const create = () =>
        ada().environments.create({
          projectId: project.id,
          name: 'Production',
          idempotencyKey: 'a key of enough length',
        });
      const first = unwrap(await create());
      const { operations, value } = await ask(create);
      expect(unwrap(value)).toEqual(first);
      expect(operations).toEqual(['TransactWriteItems']);
    });

    test('the lineage of the deepest project takes one request a level, and the tree before and behind', async () => {
      let parent = project;
      for (let level = 2; level <= 16; level++) {
        parent = await unwrap(ada().projects.create({ name: `Level ${level}`, parentProjectId: parent.id }));
      }
      const { operations, value } = await ask(() => ada().projects.ancestors(parent.id));
      expect(unwrap(value)).toHaveLength(15);
      expect(operations).toEqual(Array.from({ length: 18 }, () => 'GetItem'));
    });

    test('an outbox with nothing to deliver costs two requests', async () => {
      await unwrap(ada().journal.deliver({ handler: () => undefined }));
      const { operations } = await ask(() => ada().journal.deliver({ handler: () => undefined }));
      expect(operations).toEqual(['Query', 'Query']);
    });
  });
});
