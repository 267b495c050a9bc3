/** What writes promise at the level of the port, where core's services would hide it. */
import type { Storage } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { database, everyEngine } from './databases.ts';
import type { Database } from './databases.ts';
import { change, changed, environment, given, key, loaded, project, refOf, unwrap } from './making.ts';

const done = { done: true };
const refused = (word: string) => ({ done: false, refused: word });

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] writes`, () => {
    let db: Database;
    let storage: Storage;
    beforeAll(async () => {
      db = await database(engine);
      storage = db.storage;
    });
    afterAll(() => db.close());

    const create = (orgId: string, projectId: string, name: string, made = change(orgId), maximum = 50) =>
      unwrap(storage.environments.create({ environment: environment(projectId, name), maximum, change: made }));

    test('a taken key goes before every other refusal', async () => {
      const org = randomUUID();
      const { project: owner } = await given(storage, org, { environments: ['A'] });
      const used = key(randomUUID(), 'the first');
      expect(await create(org, owner.id, 'B', change(org, {}, used))).toEqual(done);
      const again = (projectId: string, name: string, maximum: number) =>
        create(org, projectId, name, change(org, {}, { ...used, fingerprint: 'the second' }), maximum);
      for (const answer of [
        await again(owner.id, 'C', 50),
        await again(owner.id, 'B', 50),
        await again(owner.id, 'C', 1),
        await again(randomUUID(), 'C', 50),
      ]) {
        expect(answer).toEqual({
          ...refused('key_taken'),
          record: { fingerprint: 'the first', result: { id: 'made' }, expiresAt: used.expiresAt },
        });
      }
      expect((await unwrap(storage.environments.stats(org, owner.id)))?.environments).toBe(2);
    });

    test('a key that has expired stands in nobody’s way, and hides no refusal', async () => {
      const org = randomUUID();
      const { project: owner } = await given(storage, org, { environments: ['A'] });
      const old = key(randomUUID(), 'old', 0);
      expect(await create(org, owner.id, 'B', change(org, {}, old))).toEqual(done);
      const fresh = { ...key(old.id, 'fresh') };
      expect(await create(org, owner.id, 'B', change(org, {}, fresh))).toEqual(refused('name_taken'));
      expect(await create(org, owner.id, 'C', change(org, {}, fresh))).toEqual(done);
      expect(await create(org, owner.id, 'D', change(org, {}, fresh))).toMatchObject({
        refused: 'key_taken',
        record: { fingerprint: 'fresh' },
      });
      expect((await unwrap(storage.environments.stats(org, owner.id)))?.environments).toBe(3);
    });

    test('one of many with the same expired key wins', async () => {
      const org = randomUUID();
      const { project: owner } = await given(storage, org, { environments: ['A'] });
      const old = key(randomUUID(), 'old', 0);
      await create(org, owner.id, 'B', change(org, {}, old));
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_none, index) =>
          create(org, owner.id, `C ${index}`, change(org, {}, key(old.id, 'fresh'))),
        ),
      );
      expect(answers.filter((answer) => answer.done)).toHaveLength(1);
      expect(answers.filter((answer) => !answer.done && answer.refused === 'key_taken')).toHaveLength(11);
      expect((await unwrap(storage.environments.stats(org, owner.id)))?.environments).toBe(3);
    });

    test('a key belongs to its org', async () => {
      const [one, other] = [randomUUID(), randomUUID()];
      const used = key(randomUUID());
      for (const org of [one, other]) {
        const { project: owner } = await given(storage, org);
        expect(await create(org, owner.id, 'B', change(org, {}, used))).toEqual(done);
        expect((await unwrap(storage.projects.get(org, owner.id, used.id))).key?.fingerprint).toBe('f');
      }
      const third = await given(storage, randomUUID());
      expect(await unwrap(storage.projects.get(randomUUID(), third.project.id, used.id))).toEqual({
        found: null,
        key: null,
      });
    });

    test('a refused write leaves no journal entry, no place in the queue, no key and no count', async () => {
      const org = randomUUID();
      const { project: owner, environments } = await given(storage, org, { environments: ['A', 'B'] });
      const before = await counts(org);
      const used = () => change(org, {}, key(randomUUID()));
      const gone = { ...environments[1]!, id: randomUUID() };
      // Refused by the first guard, by a constraint, and by guards after the count was changed.
      expect(await create(org, owner.id, 'C', used(), 2)).toEqual(refused('limit_reached'));
      expect(await create(org, owner.id, 'A', used())).toEqual(refused('name_taken'));
      expect(
        await unwrap(storage.environments.delete({ environment: loaded(gone, false), promote: null, change: used() })),
      ).toEqual(refused('not_found'));
      const stale = { environment: { ...loaded(environments[1]!, false), version: 7 }, promote: null, change: used() };
      expect(await unwrap(storage.environments.delete(stale))).toEqual(refused('stale'));
      const heirless = { environment: loaded(environments[0]!, true), promote: randomUUID(), change: used() };
      expect(await unwrap(storage.environments.delete(heirless))).toEqual(refused('stale'));
      expect(
        await unwrap(
          storage.projects.update({
            project: { ...owner, version: 9 },
            previousNameKey: owner.nameKey,
            expectedVersion: 8,
            change: used(),
          }),
        ),
      ).toEqual(refused('stale'));
      expect(await counts(org)).toEqual(before);
    });

    test('what was decided on an old default is stale', async () => {
      const org = randomUUID();
      const {
        environments: [a, b, c],
      } = await given(storage, org, { environments: ['A', 'B', 'C'] });
      const remove = (one: typeof a, isDefault: boolean, promote: string | null) =>
        unwrap(storage.environments.delete({ environment: loaded(one!, isDefault), promote, change: change(org) }));
      expect(await unwrap(storage.environments.makeDefault({ ref: refOf(b!), change: change(org) }))).toEqual(done);
      expect(await remove(a, true, c!.id)).toEqual(refused('stale'));
      expect(await remove(b, false, null)).toEqual(refused('stale'));
      expect(await remove(b, true, null)).toEqual(refused('stale'));
      expect(await remove(b, true, c!.id)).toEqual(done);
      expect(await remove(a, false, null)).toEqual(done);
      expect(await remove(c, true, null)).toEqual(refused('last_environment'));
      expect(await remove(c, false, null)).toEqual(refused('last_environment'));
    });

    test('creations under parents do not disturb one another; a move disturbs them', async () => {
      const org = randomUUID();
      const { project: root } = await given(storage, org);
      const { project: moved } = await given(storage, org, { parent: root.id });
      const { treeVersion } = await unwrap(storage.projects.lineage(org, root.id));
      expect(treeVersion).toBe(1);

      const child = (at: number) => {
        const made = project(`P ${randomUUID()}`, '', root.id);
        const only = environment(made.id, 'A');
        const whole = { ...made, defaultEnvironmentId: only.id };
        return unwrap(
          storage.projects.create({ project: whole, environments: [only], treeVersion: at, change: change(org) }),
        );
      };
      expect(await Promise.all(Array.from({ length: 12 }, () => child(1)))).toEqual(
        Array.from({ length: 12 }, () => done),
      );

      const away = { ...moved, parentProjectId: null, version: 2 };
      const move = {
        project: away,
        previousParentId: root.id,
        expectedVersion: 1,
        treeVersion: 1,
        treeGrowth: (await unwrap(storage.projects.moveFacts(org, moved.id, null))).treeGrowth,
        change: change(org),
      };
      // A move goes by the height of what it moves, which every child that was made since may have changed.
      expect(await unwrap(storage.projects.move({ ...move, treeGrowth: move.treeGrowth - 1 }))).toEqual(
        refused('stale'),
      );
      expect(await unwrap(storage.projects.move(move))).toEqual(done);
      expect(await child(1)).toEqual(refused('stale'));
      expect(await child(2)).toEqual(done);
      expect(await unwrap(storage.projects.move({ ...move, change: change(org) }))).toEqual(refused('stale'));
    });

    test('the first that need a tree make it together with nobody', async () => {
      const org = randomUUID();
      const { project: root } = await given(storage, org);
      const child = () => {
        const made = project(`P ${randomUUID()}`, '', root.id);
        const only = environment(made.id, 'A');
        return unwrap(
          storage.projects.create({
            project: { ...made, defaultEnvironmentId: only.id },
            environments: [only],
            treeVersion: 0,
            change: change(org),
          }),
        );
      };
      const answers = await Promise.all(Array.from({ length: 8 }, child));
      expect(answers.filter((answer) => answer.done)).toHaveLength(1);
      expect(answers.filter((answer) => !answer.done && answer.refused === 'stale')).toHaveLength(7);
      expect((await unwrap(storage.projects.lineage(org, root.id))).treeVersion).toBe(1);
    });

    test('a project with children stays, a child of a project that is gone does not come', async () => {
      const org = randomUUID();
      const { project: root } = await given(storage, org);
      const { project: child } = await given(storage, org, { parent: root.id });
      const remove = (one: typeof root) => unwrap(storage.projects.delete({ project: one, change: change(org) }));
      expect(await remove(root)).toEqual(refused('has_children'));
      expect(await remove({ ...root, version: 2 })).toEqual(refused('stale'));
      expect(await remove(child)).toEqual(done);
      expect(await remove(root)).toEqual(done);
      expect(await remove(root)).toEqual(refused('not_found'));

      const made = project('orphan', '', root.id);
      const only = environment(made.id, 'A');
      const orphan = {
        project: { ...made, defaultEnvironmentId: only.id },
        environments: [only],
        treeVersion: 1,
        change: change(org),
      };
      expect(await unwrap(storage.projects.create(orphan))).toEqual(refused('stale'));
    });

    test('an environment is changed only through its own project and org', async () => {
      const org = randomUUID();
      const {
        environments: [a],
      } = await given(storage, org, { environments: ['A'] });
      const { project: elsewhere } = await given(storage, org);
      const after = changed(a!, { name: 'Z', nameKey: 'z' });
      const through = (orgId: string, projectId: string) =>
        unwrap(
          storage.environments.update({
            environment: { ...after, projectId },
            previousNameKey: 'a',
            expectedVersion: 1,
            change: change(orgId),
          }),
        );
      expect(await through(org, elsewhere.id)).toEqual(refused('not_found'));
      expect(await through(randomUUID(), a!.projectId)).toEqual(refused('not_found'));
      expect(
        await unwrap(
          storage.environments.makeDefault({ ref: { projectId: elsewhere.id, id: a!.id }, change: change(org) }),
        ),
      ).toEqual(refused('not_found'));
      expect(await through(org, a!.projectId)).toEqual(done);
    });

    async function counts(orgId: string): Promise<unknown> {
      const tables = ['environments', 'journal', 'journal_queue', 'idempotency_keys'];
      const counted = tables.map(
        (table) => `(SELECT count(*)::int FROM ${db.schema}.${table} WHERE org_id = $1) AS ${table}`,
      );
      const [row] = await db.query(
        `SELECT ${counted.join(', ')}, (SELECT sum(environment_count)::int FROM ${db.schema}.projects WHERE org_id = $1) AS counted`,
        [orgId],
      );
      return row;
    }
  });
});
