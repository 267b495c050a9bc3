/** What is locked, and for whom. Outcomes of races are the conformance suite's; here is how far they reach. */
import { describeOnEngines } from '@vivarium/engines/vitest';
import { createPool } from 'mysql2/promise';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { mysqlStorage } from '../src/index.ts';
import { database, everyEngine } from './databases.ts';
import type { Database } from './databases.ts';
import { changeIn, newEnvironment, next, unwrap, writeProject } from './making.ts';

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] locks`, () => {
    let db: Database;
    beforeAll(async () => {
      db = await database(engine, { onConnection: ['SET SESSION innodb_lock_wait_timeout = 1'] });
    });
    afterAll(() => db.close());

    /** Holds what the statement locks while the work goes on. */
    async function holding<T>(text: string, values: unknown[], work: () => Promise<T>): Promise<T> {
      const connection = await db.pool.getConnection();
      await connection.beginTransaction();
      await connection.query(text, values);
      try {
        return await work();
      } finally {
        await connection.rollback();
        connection.release();
      }
    }

    test('pruning touches what is pruned and nothing else of the org', async () => {
      const org = randomUUID();
      const append = async (at: string) => {
        const change = changeIn(org);
        await unwrap(db.storage.journal.append({ ...change, entry: { ...change.entry, at: new Date(at) } }));
        return change.entry;
      };
      const old = [await append('2020-01-01'), await append('2020-01-02'), await append('2020-01-03')];
      const recent = [await append('2026-01-01'), await append('2026-01-02'), await append('2026-01-03')];
      const request = { orgId: org, before: new Date('2025-01-01'), now: new Date('2026-03-01'), limit: 10 };
      const left = await holding(
        'SELECT * FROM vivarium_journal WHERE org_id = ? AND stream IN (?) FOR UPDATE',
        [org, recent.slice(1).map(({ stream }) => stream)],
        () => unwrap(db.storage.journal.prune({ ...request, undelivered: 'drop' })),
      );
      expect(left).toBe(old.length);
      const { items } = await unwrap(db.storage.journal.list(org, {}, { limit: 50, after: null }));
      expect(items.map(({ id }) => id)).toEqual(recent.map(({ id }) => id).reverse());
    });

    test('a project that is being written to is in nobody else’s way', async () => {
      const org = randomUUID();
      const [busy, free] = [await writeProject(db.storage, org, ['A']), await writeProject(db.storage, org, ['A'])];
      await holding('UPDATE vivarium_projects SET updates = updates + 1 WHERE id = ?', [busy.project.id], async () => {
        const command = (projectId: string) => ({
          environment: newEnvironment(projectId, 'B'),
          maximum: 9,
          change: changeIn(org),
        });
        expect(await unwrap(db.storage.environments.create(command(free.project.id)))).toEqual({ done: true });
        // Its environments can be changed: only what concerns the set of them waits.
        const environment = next(busy.environments[0]!);
        const changed = { environment, expectedVersion: 1, change: changeIn(org) };
        expect(await unwrap(db.storage.environments.setVariables(changed))).toEqual({ done: true });
        expect((await unwrap(db.storage.environments.get(org, environment))).found).toMatchObject({ version: 2 });
      });
    });

    test('a lock timeout is tried again after a rollback, until the lock is free', async () => {
      const org = randomUUID();
      const { project } = await writeProject(db.storage, org, ['A']);
      const command = { environment: newEnvironment(project.id, 'B'), maximum: 9, change: changeIn(org) };
      const written = await holding(
        'UPDATE vivarium_projects SET updates = updates + 1 WHERE id = ?',
        [project.id],
        async () => {
          const creating = db.storage.environments.create(command);
          await new Promise((resolve) => setTimeout(resolve, 1_500));
          return { creating };
        },
      );
      expect(await unwrap(written.creating)).toEqual({ done: true });
    });

    test('a lock that is never free is a failure that may be retried, and nothing was written', async () => {
      const org = randomUUID();
      const { project } = await writeProject(db.storage, org, ['A']);
      const pool = createPool({ uri: db.url, charset: 'utf8mb4' });
      pool.on('connection', (connection) => void connection.query('SET SESSION innodb_lock_wait_timeout = 1'));
      const command = { environment: newEnvironment(project.id, 'B'), maximum: 9, change: changeIn(org) };
      const refused = await holding('SELECT * FROM vivarium_projects WHERE id = ? FOR UPDATE', [project.id], () =>
        Promise.resolve(mysqlStorage({ pool }).environments.create(command)),
      );
      expect(refused._unsafeUnwrapErr()).toMatchObject({ retryable: true, outcome: 'none', transaction: null });
      await pool.end();
      const [left] = await db.query('SELECT COUNT(*) AS n FROM vivarium_environments WHERE project_id = ?', [
        project.id,
      ]);
      expect(left!['n']).toBe(1);
    });
  });
});
