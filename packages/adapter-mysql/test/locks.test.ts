/** What is locked, and for whom. Outcomes of races are the conformance suite's; here is how far they reach. */
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

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

    test.each(['keep', 'drop'] as const)(
      'pruning (%s) touches what is pruned and nothing else of the org',
      async (undelivered) => {
        const org = randomUUID();
        const append = async (at: string) => {
          const change = changeIn(org);
          await unwrap(db.storage.journal.append({ ...change, entry: { ...change.entry, at: new Date(at) } }));
          return change.entry;
        };
        const delivered = [await append('2020-01-01'), await append('2020-01-02')];
        const waiting = await append(undelivered === 'keep' ? '2020-01-03' : '2026-01-01');
        await db.query('DELETE FROM vivarium_journal_queue WHERE org_id = ? AND stream <> ?', [org, waiting.stream]);
        const request = { orgId: org, before: new Date('2025-01-01'), now: new Date('2026-03-01'), limit: 10 };
        // As somebody does who is just delivering it.
        const gone = await holding('SELECT * FROM vivarium_journal_queue WHERE org_id = ? FOR UPDATE', [org], () =>
          unwrap(db.storage.journal.prune({ ...request, undelivered })),
        );
        expect(gone).toBe(delivered.length);
        const { items } = await unwrap(db.storage.journal.list(org, {}, { limit: 50, after: null }));
        expect(items.map(({ id }) => id)).toEqual([waiting.id]);
      },
    );

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
      const { project, environments } = await writeProject(db.storage, org, ['A', 'B']);
      const ref = environments[1]!;
      // The pointer can be moved; it is the second step that waits.
      const refused = await holding('SELECT * FROM vivarium_environments WHERE id = ? FOR UPDATE', [ref.id], async () =>
        db.storage.environments.makeDefault({ ref, change: changeIn(org) }),
      );
      expect(refused._unsafeUnwrapErr()).toMatchObject({ retryable: true, outcome: 'none', transaction: null });
      // Whoever uses the connection next would commit what was left open on it.
      await writeProject(db.storage, org, ['A']);
      expect(await unwrap(db.storage.environments.getDefault(org, project.id))).toMatchObject({ name: 'A' });
    });
  });
});
