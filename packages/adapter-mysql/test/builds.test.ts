/** Builds where the server itself matters: which index serves a list, what is prepared, how far a constraint reaches, and what a reader of the tables finds. */
import type { BuildFilter, FailureFilter } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { createPool } from 'mysql2/promise';
import type { Pool, RowDataPacket } from 'mysql2/promise';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import {
  changeOfBuilds,
  durations,
  figuresOf,
  historyOf,
  historyOfDurations,
  makeBuilds,
  nested,
  orgOfBuilds,
} from '../../sql/test/build-calls.ts';
import type { Builds } from '../../sql/test/build-calls.ts';
import { mysqlStorage } from '../src/index.ts';
import type { MysqlStorage } from '../src/index.ts';
import { database, everyEngine } from './databases.ts';
import type { Database } from './databases.ts';
import { unwrap } from './making.ts';

const org = orgOfBuilds;
const done = { done: true };
const first = { limit: 50, after: null };

interface Sent {
  readonly sql: string;
  readonly values: unknown[];
}

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] builds`, () => {
    let db: Database;
    let pool: Pool;
    let storage: MysqlStorage;
    let made: Builds;
    const sent: Sent[] = [];
    beforeAll(async () => {
      db = await database(engine);
      made = await makeBuilds(db.storage);
      pool = createPool({ uri: db.url, charset: 'utf8mb4', connectionLimit: 1 });
      pool.on('connection', (connection) => {
        const execute = connection.execute.bind(connection) as (...given: unknown[]) => never;
        connection.execute = (...given: unknown[]) => {
          sent.push(given[0] as Sent);
          return execute(...given);
        };
      });
      storage = mysqlStorage({ pool });
    });
    afterAll(async () => {
      await pool.end();
      await db.close();
    });

    test('whole seconds stand beside the times, for who reads the tables', async () => {
      const { build, states, failures } = historyOf(made, 2, 1);
      await unwrap(db.storage.builds.add({ build, states, failures, change: changeOfBuilds() }));
      const [row] = await db.query('SELECT duration_seconds FROM vivarium_builds WHERE id = ?', [build.id]);
      const attempts = await db.query(
        'SELECT duration_seconds, duration_ms FROM vivarium_build_states WHERE build_id = ? ORDER BY sequence',
        [build.id],
      );
      expect(row).toEqual({ duration_seconds: 3 });
      expect(attempts).toEqual([
        { duration_seconds: 1, duration_ms: 1_500 },
        { duration_seconds: 1, duration_ms: 1_500 },
      ]);
    });

    test.each(Object.entries(durations))('percentiles of durations %s, to the millisecond', async (_which, given) => {
      const own = await makeBuilds(db.storage);
      await unwrap(db.storage.builds.add(historyOfDurations(own, given)));
      for (const projectId of [own.references.projectId, undefined]) {
        const attempts = await db.query(
          `SELECT s.state, s.status, s.duration_ms AS ms FROM vivarium_build_states s JOIN vivarium_builds b ON b.id = s.build_id
          WHERE b.org_id = ? AND b.project_id = COALESCE(?, b.project_id)`,
          [org, projectId ?? null],
        );
        const { states } = await unwrap(db.storage.builds.stats(org, projectId === undefined ? {} : { projectId }));
        expect(states).toEqual(figuresOf(attempts as never));
      }
    });

    test('documents as deep as they may be come back equal', async () => {
      const { build, states, failures } = historyOf(made, 1, 1);
      const deep = failures.map((failure) => ({ ...failure, errorDetails: nested(60) }));
      await unwrap(storage.builds.add({ build, states, failures: deep, change: changeOfBuilds() }));
      expect((await unwrap(storage.builds.getFailure(org, deep[0]!.id))).found).toEqual(deep[0]);
      const manifest = JSON.stringify(nested(60));
      const command = { build: { ...build, version: 2 }, manifest, expectedVersion: 1, change: changeOfBuilds() };
      expect(await unwrap(storage.builds.attachManifest(command))).toEqual(done);
      const stored = await unwrap(storage.builds.getWithManifest(org, { id: build.id }));
      expect(JSON.parse(stored!.manifest!)).toEqual(nested(60));
    });

    test('histories of any length prepare no more statements than there are powers of two', async () => {
      const prepared = new Set<string>();
      for (const [attempts, failures] of [
        [1_000, 1_000],
        [999, 3],
        [517, 100],
        [3, 0],
      ] as const) {
        const history = historyOf(made, attempts, failures);
        sent.length = 0;
        expect(await unwrap(storage.builds.add({ ...history, change: changeOfBuilds() }))).toEqual(done);
        for (const { sql } of sent) prepared.add(sql);
        const page = { limit: 1_000, after: null };
        expect((await unwrap(storage.builds.listStates(org, history.build.id, page)))!.items).toEqual(history.states);
        expect((await unwrap(storage.builds.get(org, history.build.id))).found).toEqual(history.build);
      }
      const inserts = [...prepared].filter((sql) => /^INSERT INTO `vivarium_build_(states|failures)`/.test(sql));
      expect(inserts.length).toBeGreaterThan(8);
      expect(inserts.length).toBeLessThanOrEqual(16);
    });

    test('a history that is refused at its end leaves nothing', async () => {
      const { build, states, failures } = historyOf(made, 200, 200);
      const twice = [...failures.slice(0, -1), { ...failures.at(-1)!, id: failures[0]!.id }];
      expect((await storage.builds.add({ build, states, failures: twice, change: changeOfBuilds() })).isErr()).toBe(
        true,
      );
      expect((await unwrap(storage.builds.get(org, build.id))).found).toBe(null);
      expect((await unwrap(storage.builds.getFailure(org, failures[0]!.id))).found).toBe(null);
      expect(await unwrap(storage.builds.listStates(org, build.id, first))).toBe(null);
    });

    test('inside a transaction that is rolled back, a history is gone with it', async () => {
      const history = historyOf(made, 5, 5);
      const connection = await db.pool.getConnection();
      await connection.beginTransaction();
      const inside = db.storage.within(connection);
      expect(await unwrap(inside.builds.add({ ...history, change: changeOfBuilds() }))).toEqual(done);
      const again = { ...historyOf(made, 5, 5), change: changeOfBuilds() };
      const taken = { ...again, build: { ...again.build, buildNumber: history.build.buildNumber } };
      expect(await unwrap(inside.builds.add(taken))).toEqual({ done: false, refused: 'number_taken' });
      expect(await unwrap(inside.builds.add(again))).toEqual(done);
      await connection.rollback();
      connection.release();
      expect((await unwrap(storage.builds.get(org, history.build.id))).found).toBe(null);
      expect((await unwrap(storage.builds.get(org, again.build.id))).found).toBe(null);
    });

    test('numbers are compared as bytes', async () => {
      const started = (buildNumber: string) => {
        const build = { ...made.pending, id: randomUUID(), buildNumber };
        return unwrap(storage.builds.add({ build, states: [], failures: [], change: changeOfBuilds() }));
      };
      for (const number of ['straße', 'strasse', 'Straße', 'stra\u00dfe\u0301', 'a', 'á']) {
        expect([number, await started(number)]).toEqual([number, done]);
      }
      expect(await started('a')).toEqual({ done: false, refused: 'number_taken' });
      const { build } = (await unwrap(storage.builds.getWithManifest(org, { buildNumber: 'strasse' })))!;
      expect(build.buildNumber).toBe('strasse');
    });

    describe('lists among many', () => {
      beforeAll(async () => {
        // Builds of other projects, platforms and statuses, so that only the index for it leads straight to what is asked for.
        const columns = `org_id, project_id, platform_id, os_version_id, image_type_id, current_state, status, retry_count, plan_version,
          milestones, attempts, heartbeat_timeout_ms, heartbeat_at, created_by_type, created_by, version, updated_at`;
        const numbers = 'WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 400)';
        const worlds = [made];
        while (worlds.length < 12) worlds.push(await makeBuilds(db.storage));
        for (const { running, failed } of worlds) {
          for (const [{ id }, copies] of [[running, 40] as const, [failed, 400] as const]) {
            await db.query(
              `INSERT INTO vivarium_builds (id, build_number, created_at, ${columns})
              ${numbers} SELECT UUID(), CONCAT(build_number, n), created_at + INTERVAL n SECOND, ${columns}
              FROM vivarium_builds CROSS JOIN numbers WHERE id = ? AND n <= ?`,
              [id, copies],
            );
          }
        }
        await db.query(
          `INSERT INTO vivarium_build_failures (id, org_id, build_id, state, failure_type, error_message, component, retry_attempt,
            resolved, created_at, updated_at)
          SELECT UUID(), org_id, id, 0, CONCAT('type ', CRC32(id) % 50), 'e', CONCAT('part ', CRC32(id) % 50),
            0, CRC32(id) % 20 > 0, created_at, created_at FROM vivarium_builds`,
        );
        await db.query('ANALYZE TABLE vivarium_builds, vivarium_build_failures');
      });

      // MySQL 9 draws a tree when it is not asked for rows.
      const asRows = engine.name === 'mysql-9' ? 'FORMAT = TRADITIONAL' : '';

      /** The keys that are used, and what else is done, table by table. */
      async function planOf(call: () => PromiseLike<unknown>) {
        sent.length = 0;
        await call();
        const [{ sql, values }] = sent as [Sent];
        const [rows] = await pool.execute<RowDataPacket[]>(`EXPLAIN ${asRows} ${sql}`, values as string[]);
        return rows.map((row) => ({ table: row['table'], key: row['key'], extra: (row['Extra'] ?? '') as string }));
      }

      test.each<[string, (given: Builds) => BuildFilter, string]>([
        ['all of them', () => ({}), 'build_time'],
        ['a status', () => ({ status: 'running' }), 'build_status'],
        ['a project', ({ references: { projectId } }) => ({ projectId }), 'build_of_project'],
        [
          'a project and a status',
          ({ references: { projectId } }) => ({ projectId, status: 'running' }),
          'build_of_project_status',
        ],
        ['a platform', ({ references: { platformId } }) => ({ platformId }), 'build_of_platform'],
        ['an OS version', ({ references: { osVersionId } }) => ({ osVersionId }), 'build_of_os_version'],
        ['an image type', ({ references: { imageTypeId } }) => ({ imageTypeId }), 'build_of_image_type'],
      ])('%s: the index has them in their order', async (_what, filterOf, index) => {
        const [plan] = await planOf(() => unwrap(storage.builds.list(org, filterOf(made), first)));
        expect(plan).toMatchObject({ key: `vivarium_${index}` });
        expect(plan!.extra).not.toContain('filesort');
      });

      test.each<[string, (given: Builds) => FailureFilter, string]>([
        ['all of them', () => ({}), 'build_failure_time'],
        ['those unresolved', () => ({ resolved: false }), 'build_failure_resolved'],
        ['a type', () => ({ failureType: 'type 7' }), 'build_failure_type'],
        ['a component', () => ({ component: 'part 7' }), 'build_failure_component'],
      ])('failures, %s: the index has them in their order', async (_what, filterOf, index) => {
        const [plan] = await planOf(() => unwrap(storage.builds.listFailures(org, filterOf(made), first)));
        expect(plan).toMatchObject({ key: `vivarium_${index}` });
        expect(plan!.extra).not.toContain('filesort');
      });

      test('failures of a build: found by it', async () => {
        const filter = { buildId: made.failed.id };
        const plan = await planOf(() => unwrap(storage.builds.listFailures(org, filter, first)));
        expect(plan.map(({ key }) => key as string)).toContain('vivarium_build_failure_of_build');
      });

      test('builds that are due are looked for among the running ones', async () => {
        const now = new Date('2020-01-01');
        const [plan] = await planOf(() => unwrap(storage.builds.due(org, { now, limit: 100, after: null })));
        expect(plan).toMatchObject({ key: 'vivarium_build_due' });
        expect(plan!.extra).not.toContain('filesort');
      });
    });
  });
});
