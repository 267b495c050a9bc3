/**
 * The races that wrong designs lose, each brought about on purpose: one writer has done its write and not committed, the other comes and waits
 * for its lock with a snapshot that is older than the commit. What it decides then must be true after it.
 */
import type { Deployment, StoredDataKey, StoredProjectEnvironment, StoredRepo, Written } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { postgresStorage } from '../src/index.ts';
import type { PostgresStorage } from '../src/index.ts';
import { database, servers } from './databases.ts';
import type { Database } from './databases.ts';
import { change, environment, given, key, later, loaded, project, refOf, unwrap } from './making.ts';

type Inside = ReturnType<PostgresStorage['within']>;

const done = { done: true };
const refused = (word: string) => ({ done: false, refused: word });
const org = 'interleavings';

await describeOnEngines(servers, (engine) => {
  describe(`[${engine.name}] interleavings`, () => {
    let db: Database;
    let second: pg.Pool;
    let storage: PostgresStorage;
    beforeAll(async () => {
      db = await database(engine);
      second = new pg.Pool({ connectionString: engine.url, application_name: db.schema });
      storage = postgresStorage({ pool: second }, { schema: db.schema });
    });
    afterAll(async () => {
      await second.end();
      await db.close();
    });

    /** Lets `first` write and hold its locks until `then` waits for them, ends `first`, and gives what `then` was answered. */
    async function overtaken<G extends string>(
      first: (inside: Inside) => PromiseLike<Written<string>>,
      end: 'COMMIT' | 'ROLLBACK',
      then: () => PromiseLike<Written<G>>,
    ): Promise<Written<G>> {
      const client = await (db.connection as { pool: pg.Pool }).pool.connect();
      try {
        await client.query('BEGIN');
        expect(await first(db.storage.within(client))).toEqual(done);
        const answer = then();
        await waiting();
        await client.query(end);
        return await answer;
      } catch (thrown) {
        await client.query('ROLLBACK');
        throw thrown;
      } finally {
        client.release();
      }
    }

    async function waiting(): Promise<void> {
      for (let tries = 0; tries < 300; tries++) {
        const waits = await db.query(
          `SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`,
          [db.schema],
        );
        if (waits.length > 0) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error('the second writer did not wait for the first');
    }

    const made = async (...names: string[]) => {
      const { project: owner, environments } = await given(storage, org, { environments: names });
      return { owner, environments: environments as [Env, Env, Env, Env] };
    };
    type Env = Awaited<ReturnType<typeof given>>['environments'][number];

    const create = (
      of: Pick<Inside, 'environments'>,
      projectId: string,
      name: string,
      maximum: number,
      used = change(org),
    ) => unwrap(of.environments.create({ environment: environment(projectId, name), maximum, change: used }));
    const remove = (of: Pick<Inside, 'environments'>, one: Env, promote: Env | null = null) =>
      unwrap(
        of.environments.delete({
          environment: loaded(one, promote !== null),
          promote: promote?.id ?? null,
          change: change(org),
        }),
      );
    const makeDefault = (of: Pick<Inside, 'environments'>, one: Env) =>
      unwrap(of.environments.makeDefault({ ref: refOf(one), change: change(org) }));
    const child = (of: Pick<Inside, 'projects'>, parent: string, treeVersion: number) => {
      const one = project(`P ${randomUUID()}`, '', parent);
      const only = environment(one.id, 'A');
      const whole = { ...one, defaultEnvironmentId: only.id };
      return unwrap(of.projects.create({ project: whole, environments: [only], treeVersion, change: change(org) }));
    };

    /** The pointer as it stands in the row, and whether what it points to is there. */
    async function pointerOf(
      projectId: string,
    ): Promise<{ readonly id: string; readonly exists: boolean; readonly counted: boolean }> {
      const [row] = await db.query(
        `SELECT default_environment_id AS id,
          EXISTS (SELECT FROM ${db.schema}.environments e WHERE e.project_id = p.id AND e.id = p.default_environment_id) AS exists,
          environment_count = (SELECT count(*) FROM ${db.schema}.environments e WHERE e.project_id = p.id) AS counted
        FROM ${db.schema}.projects p WHERE p.id = $1`,
        [projectId],
      );
      return row as never;
    }

    test('the last place goes to the first', async () => {
      const { owner } = await made('A', 'B');
      const answer = await overtaken(
        (inside) => create(inside, owner.id, 'C', 3),
        'COMMIT',
        () => create(storage, owner.id, 'D', 3),
      );
      expect(answer).toEqual(refused('limit_reached'));
      expect(await pointerOf(owner.id)).toMatchObject({ counted: true });
    });

    test('the last place is free again when the first gives up', async () => {
      const { owner } = await made('A', 'B');
      const answer = await overtaken(
        (inside) => create(inside, owner.id, 'C', 3),
        'ROLLBACK',
        () => create(storage, owner.id, 'D', 3),
      );
      expect(answer).toEqual(done);
      expect(await pointerOf(owner.id)).toMatchObject({ counted: true });
    });

    test('what is deleted does not become the default', async () => {
      const {
        owner,
        environments: [a, b],
      } = await made('A', 'B', 'C');
      const answer = await overtaken(
        (inside) => remove(inside, b),
        'COMMIT',
        () => makeDefault(storage, b),
      );
      expect(answer).toEqual(refused('not_found'));
      expect(await pointerOf(owner.id)).toEqual({ id: a.id, exists: true, counted: true });
    });

    test('what becomes the default is not deleted as if it were none', async () => {
      const {
        owner,
        environments: [, b],
      } = await made('A', 'B', 'C');
      const answer = await overtaken(
        (inside) => makeDefault(inside, b),
        'COMMIT',
        () => remove(storage, b),
      );
      expect(answer).toEqual(refused('stale'));
      expect(await pointerOf(owner.id)).toEqual({ id: b.id, exists: true, counted: true });
    });

    test('who was to take over is gone: nobody takes over, nothing is deleted', async () => {
      const {
        owner,
        environments: [a, b],
      } = await made('A', 'B', 'C');
      const answer = await overtaken(
        (inside) => remove(inside, b),
        'COMMIT',
        () => remove(storage, a, b),
      );
      expect(answer).toEqual(refused('stale'));
      expect(await pointerOf(owner.id)).toEqual({ id: a.id, exists: true, counted: true });
    });

    test('of the last two one stays', async () => {
      const {
        owner,
        environments: [a, b],
      } = await made('A', 'B');
      const answer = await overtaken(
        (inside) => remove(inside, b),
        'COMMIT',
        () => remove(storage, a, b),
      );
      expect(answer).toEqual(refused('last_environment'));
      expect(await pointerOf(owner.id)).toEqual({ id: a.id, exists: true, counted: true });
    });

    /** A parent below a root, and the move that takes it away from there, as it was decided on now. */
    async function aboutToMove() {
      const { project: root } = await given(storage, org);
      const { project: parent } = await given(storage, org, { parent: root.id });
      const { treeVersion, treeGrowth } = await unwrap(storage.projects.moveFacts(org, parent.id, null));
      const move = (of: Pick<Inside, 'projects'>) =>
        unwrap(
          of.projects.move({
            project: { ...parent, parentProjectId: null, version: 2 },
            previousParentId: root.id,
            expectedVersion: 1,
            treeVersion,
            treeGrowth,
            change: change(org),
          }),
        );
      return { parent, treeVersion, move };
    }

    test('a child is not put under a parent on the move, with nobody knowing how deep that is', async () => {
      const { parent, treeVersion, move } = await aboutToMove();
      const answer = await overtaken(move, 'COMMIT', () => child(storage, parent.id, treeVersion));
      expect(answer).toEqual(refused('stale'));
    });

    test('a parent does not move by a height that a child has changed', async () => {
      const { parent, treeVersion, move } = await aboutToMove();
      const answer = await overtaken(
        (inside) => child(inside, parent.id, treeVersion),
        'COMMIT',
        () => move(storage),
      );
      expect(answer).toEqual(refused('stale'));
      expect((await unwrap(storage.projects.lineage(org, parent.id))).treeVersion).toBe(treeVersion);
    });

    test('a parent moves when the child that might have changed its height does not come', async () => {
      const { parent, treeVersion, move } = await aboutToMove();
      const answer = await overtaken(
        (inside) => child(inside, parent.id, treeVersion),
        'ROLLBACK',
        () => move(storage),
      );
      expect(answer).toEqual(done);
    });

    test('a lane is not taken over while what was done under its lease is not committed', async () => {
      const orgId = randomUUID();
      await unwrap(storage.journal.append(change(orgId)));
      const [now, afterwards] = [later(), later()];
      const claim = (token: string, when: Date) =>
        unwrap(storage.journal.claim({ orgId, now: when, leaseUntil: afterwards, token, limit: 9, except: [] }));
      const claimed = await claim('first', now);
      const lease = { orgId, lane: claimed!.lane, token: 'first' };

      const client = await (db.connection as { pool: pg.Pool }).pool.connect();
      try {
        await client.query('BEGIN');
        const { journal } = db.storage.within(client);
        expect(await unwrap(journal.acknowledge(lease, claimed!.entries[0]!.entry))).toBe(true);
        const taking = claim('second', afterwards);
        await waiting();
        await client.query('COMMIT');
        expect(await taking).toBe(null);
      } finally {
        await client.query('ROLLBACK');
        client.release();
      }
    });

    test('no child of a project that goes, no going of a project that gets a child', async () => {
      const { project: root } = await given(storage, org);
      await given(storage, org, { parent: root.id });
      const { treeVersion } = await unwrap(storage.projects.lineage(org, root.id));
      const remover = (of: Pick<Inside, 'projects'>, one: typeof root) =>
        unwrap(of.projects.delete({ project: one, change: change(org) }));

      const { project: going } = await given(storage, org);
      expect(
        await overtaken(
          (inside) => remover(inside, going),
          'COMMIT',
          () => child(storage, going.id, treeVersion),
        ),
      ).toEqual(refused('stale'));
      const { project: staying } = await given(storage, org);
      expect(
        await overtaken(
          (inside) => child(inside, staying.id, treeVersion),
          'COMMIT',
          () => remover(storage, staying),
        ),
      ).toEqual(refused('has_children'));
    });

    test('a key that is being used is waited for', async () => {
      const { owner } = await made('A');
      const used = key(randomUUID());
      const twice = (end: 'COMMIT' | 'ROLLBACK', name: string) =>
        overtaken(
          (inside) => create(inside, owner.id, `${name} 1`, 50, change(org, {}, used)),
          end,
          () => create(storage, owner.id, `${name} 2`, 50, change(org, {}, used)),
        );
      expect(await twice('ROLLBACK', 'first')).toEqual(done);
      expect(await create(storage, owner.id, 'third', 50, change(org, {}, used))).toMatchObject(refused('key_taken'));
    });

    test('a version is changed by one of two', async () => {
      const {
        environments: [a],
      } = await made('A');
      const set = (of: Pick<Inside, 'environments'>, value: string) => {
        const after = { ...a, variables: [{ key: 'K', value }], version: 2 };
        return unwrap(of.environments.setVariables({ environment: after, expectedVersion: 1, change: change(org) }));
      };
      expect(
        await overtaken(
          (inside) => set(inside, 'first'),
          'COMMIT',
          () => set(storage, 'second'),
        ),
      ).toEqual(refused('stale'));
      expect((await unwrap(storage.environments.get(org, refOf(a)))).found?.variables).toEqual([
        { key: 'K', value: 'first' },
      ]);
    });

    const dataKeyOf = (projectId: string): StoredDataKey => ({
      id: randomUUID(),
      scope: { type: 'project', id: projectId },
      generation: 1,
      wrapped: 'd3JhcHBlZA',
      wrappedBy: 'ring:1',
      commitment: 'c'.repeat(43),
      version: 1,
      createdAt: later(),
      updatedAt: later(),
    });
    const add = async (of: Pick<Inside, 'dataKeys'>, dataKey: StoredDataKey): Promise<Written<string>> => {
      const answer = await unwrap(of.dataKeys.add(org, dataKey));
      return answer === 'added' ? { done: true } : { done: false, refused: answer };
    };
    const removeProject = (of: Pick<Inside, 'projects'>, owner: Owner) =>
      unwrap(of.projects.delete({ project: owner, change: change(org) }));
    type Owner = Awaited<ReturnType<typeof given>>['project'];
    const rowsOf = (id: string) => db.query(`SELECT id FROM ${db.schema}.data_keys WHERE id = $1`, [id]);

    test('a data key is not added to a project that is being deleted', async () => {
      const [{ owner: gone }, { owner: kept }] = [await made('A'), await made('A')];
      const addedDuring = (owner: Owner, end: 'COMMIT' | 'ROLLBACK') =>
        overtaken(
          (inside) => removeProject(inside, owner),
          end,
          () => add(storage, dataKeyOf(owner.id)),
        );
      expect(await addedDuring(gone, 'COMMIT')).toEqual(refused('not_found'));
      expect(await addedDuring(kept, 'ROLLBACK')).toEqual(done);
    });

    test('a data key that was being added while its project was deleted goes when it is wrapped anew, at the latest', async () => {
      const { owner } = await made('A');
      const dataKey = dataKeyOf(owner.id);
      const answer = await overtaken(
        (inside) => add(inside, dataKey),
        'COMMIT',
        () => removeProject(storage, owner),
      );
      expect(answer).toEqual(done);
      expect(await unwrap(storage.dataKeys.rewrap(org, { ...dataKey, version: 2 }))).toBe(false);
      expect(await rowsOf(dataKey.id)).toEqual([]);
    });

    test('a data key that is not wrapped anew because somebody else was quicker stays', async () => {
      const { owner } = await made('A');
      const dataKey = dataKeyOf(owner.id);
      expect(await add(storage, dataKey)).toEqual(done);
      expect(await unwrap(storage.dataKeys.rewrap(org, { ...dataKey, version: 3 }))).toBe(false);
      expect(await rowsOf(dataKey.id)).toHaveLength(1);
    });

    describe('of deployments', () => {
      const at = later();
      const stored = () => ({ id: randomUUID(), version: 1, createdAt: at, updatedAt: at });
      const register = async (): Promise<StoredRepo> => {
        const fullName = `acme/${randomUUID()}`;
        const repo = { ...stored(), provider: 'github', fullName, nameKey: fullName, defaultBranch: 'main' };
        expect(await unwrap(storage.deployments.createRepo({ repo, change: change(org) }))).toEqual(done);
        return repo;
      };
      const createApp = (of: Pick<Inside, 'deployments'>, projectId: string, repoId: string) => {
        const app = { ...stored(), projectId, repoId, name: 'Shop', entrypoint: null };
        return unwrap(of.deployments.createApp({ app, change: change(org) }));
      };
      const place = (projectId: string, repoId: string): StoredProjectEnvironment => ({
        ...stored(),
        projectId,
        repoId,
        environment: 'production',
        type: 'production',
        branch: null,
        pullRequest: null,
        managedBy: null,
        deploymentSequence: 0,
        latestDeployment: null,
        activeDeployment: null,
        activeSequence: 0,
      });
      const createPlace = (of: Pick<Inside, 'deployments'>, projectId: string, repoId: string) =>
        unwrap(of.deployments.createEnvironment({ environment: place(projectId, repoId), change: change(org) }));
      const removeRepo = (of: Pick<Inside, 'deployments'>, repo: StoredRepo) =>
        unwrap(of.deployments.deleteRepo({ repo, change: change(org) }));
      const removeProject = (of: Pick<Inside, 'projects'>, one: Awaited<ReturnType<typeof given>>['project']) =>
        unwrap(of.projects.delete({ project: one, change: change(org) }));

      test.each(Object.entries({ app: createApp, environment: createPlace }))(
        'no %s comes to a repository or a project that goes',
        async (_what, come) => {
          const [{ project: owner }, repo] = [await given(storage, org), await register()];
          expect(
            await overtaken(
              (inside) => removeRepo(inside, repo),
              'COMMIT',
              () => come(storage, owner.id, repo.id),
            ),
          ).toEqual(refused('gone'));
          const staying = await register();
          expect(
            await overtaken(
              (inside) => removeProject(inside, owner),
              'COMMIT',
              () => come(storage, owner.id, staying.id),
            ),
          ).toEqual(refused('gone'));
        },
      );

      test('what has just come to a repository or a project goes with it', async () => {
        const [{ project: owner }, { project: other }] = [await given(storage, org), await given(storage, org)];
        const [repo, another] = [await register(), await register()];
        expect(
          await overtaken(
            (inside) => createApp(inside, owner.id, repo.id),
            'COMMIT',
            () => removeRepo(storage, repo),
          ),
        ).toEqual(done);
        expect(
          await overtaken(
            (inside) => createPlace(inside, other.id, another.id),
            'COMMIT',
            () => removeProject(storage, other),
          ),
        ).toEqual(done);
        const page = { limit: 9, after: null };
        const { deployments } = storage;
        expect((await unwrap(deployments.listApps(org, { projectId: owner.id }, page))).items).toEqual([]);
        expect((await unwrap(deployments.listEnvironments(org, { repoId: another.id }, page))).items).toEqual([]);
      });

      test('of two that start a deployment at one version one does, and no sequence is given twice', async () => {
        const [{ project: owner }, repo] = [await given(storage, org), await register()];
        const before = place(owner.id, repo.id);
        await unwrap(storage.deployments.createEnvironment({ environment: before, change: change(org) }));
        const start = (of: Pick<Inside, 'deployments'>) => {
          const deployment: Deployment = {
            id: randomUUID(),
            projectEnvironmentId: before.id,
            sequence: 1,
            status: 'created',
            gitRef: 'main',
            sha: '0'.repeat(40),
            url: null,
            description: null,
            rollbackOf: null,
            configuration: null,
            createdBy: { type: 'user', id: 'ada' },
            deadline: at,
            createdAt: at,
            startedAt: null,
            endedAt: null,
            updatedAt: at,
          };
          const moved = { ...before, version: 2, deploymentSequence: 1, latestDeployment: deployment.id };
          const move = { environment: moved, deployment, replaced: null, adds: true, expectedVersion: 1 };
          return unwrap(of.deployments.move({ ...move, change: change(org) }));
        };
        expect(await overtaken(start, 'COMMIT', () => start(storage))).toEqual(refused('stale'));
        const history = await unwrap(storage.deployments.history(org, before.id, { limit: 9, after: null }));
        expect(history?.items.map(({ sequence }) => sequence)).toEqual([1]);
      });
    });
  });
});
