/** Builds where PostgreSQL itself matters: which index serves a list, what is prepared, what is locked, and what a reader of the tables finds. */
import type { BuildFilter, FailureFilter } from '@vivarium/core/storage';
import { createVivarium } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
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
import { postgresStorage } from '../src/index.ts';
import type { PostgresStorage } from '../src/index.ts';
import { database, everyEngine, servers } from './databases.ts';
import type { Database } from './databases.ts';
import { unwrap } from './making.ts';

const org = orgOfBuilds;
const done = { done: true };
const first = { limit: 50, after: null };

await describeOnEngines(everyEngine, (engine) => {
  describe(`[${engine.name}] builds`, () => {
    let db: Database;
    let made: Builds;
    beforeAll(async () => {
      db = await database(engine);
      made = await makeBuilds(db.storage);
    });
    afterAll(() => db.close());

    test('whole seconds stand beside the times, for who reads the tables', async () => {
      const { build, states, failures } = historyOf(made, 2, 1);
      await unwrap(db.storage.builds.add({ build, states, failures, change: changeOfBuilds() }));
      const [row] = await db.query(`SELECT duration_seconds::int AS seconds FROM ${db.schema}.builds WHERE id = $1`, [
        build.id,
      ]);
      const attempts = await db.query(
        `SELECT duration_seconds::int AS seconds, duration_ms::int AS ms FROM ${db.schema}.build_states WHERE build_id = $1 ORDER BY sequence`,
        [build.id],
      );
      expect(row).toEqual({ seconds: 3 });
      expect(attempts).toEqual([
        { seconds: 1, ms: 1_500 },
        { seconds: 1, ms: 1_500 },
      ]);
    });

    test.each(Object.entries(durations))('percentiles of durations %s, to the millisecond', async (_which, given) => {
      const own = await makeBuilds(db.storage);
      await unwrap(db.storage.builds.add(historyOfDurations(own, given)));
      for (const projectId of [own.references.projectId, undefined]) {
        const attempts = await db.query(
          `SELECT s.state, s.status, s.duration_ms::int8::float8 AS ms FROM ${db.schema}.build_states s JOIN ${db.schema}.builds b ON b.id = s.build_id
          WHERE b.org_id = $1 AND b.project_id = coalesce($2, b.project_id)`,
          [org, projectId ?? null],
        );
        const { states } = await unwrap(db.storage.builds.stats(org, projectId === undefined ? {} : { projectId }));
        expect(states).toEqual(figuresOf(attempts as never));
      }
    });

    test('documents as deep as they may be come back equal', async () => {
      const { build, states, failures } = historyOf(made, 1, 1);
      const deep = failures.map((failure) => ({ ...failure, errorDetails: nested(60) }));
      await unwrap(db.storage.builds.add({ build, states, failures: deep, change: changeOfBuilds() }));
      expect((await unwrap(db.storage.builds.getFailure(org, deep[0]!.id))).found).toEqual(deep[0]);
      const manifest = JSON.stringify(nested(60));
      const command = { build: { ...build, version: 2 }, manifest, expectedVersion: 1, change: changeOfBuilds() };
      expect(await unwrap(db.storage.builds.attachManifest(command))).toEqual(done);
      const stored = await unwrap(db.storage.builds.getWithManifest(org, { id: build.id }));
      expect(JSON.parse(stored!.manifest!)).toEqual(nested(60));
    });
  });
});

await describeOnEngines(servers, (engine) => {
  describe(`[${engine.name}] builds on a server`, () => {
    let db: Database;
    let pool: pg.Pool;
    let storage: PostgresStorage;
    let made: Builds;
    const sent: pg.QueryConfig[] = [];
    beforeAll(async () => {
      db = await database(engine);
      made = await makeBuilds(db.storage);
      pool = new pg.Pool({ connectionString: engine.url, max: 1, application_name: db.schema });
      pool.on('connect', (client) => {
        const query = client.query.bind(client) as (...given: unknown[]) => unknown;
        client.query = ((...given: unknown[]) => {
          sent.push(given[0] as pg.QueryConfig);
          return query(...given);
        }) as typeof client.query;
      });
      storage = postgresStorage({ pool }, { schema: db.schema });
    });
    afterAll(async () => {
      await pool.end();
      await db.close();
    });

    async function planOf(call: () => PromiseLike<unknown>): Promise<string> {
      sent.length = 0;
      await call();
      const [{ text, values }] = sent as [pg.QueryConfig];
      const rows = await db.query(`EXPLAIN (COSTS OFF) ${text}`, values);
      return rows.map((row) => row['QUERY PLAN'] as string).join('\n');
    }

    describe('lists among many', () => {
      beforeAll(async () => {
        // Builds of other projects, platforms and statuses, so that only the index for it leads straight to what is asked for.
        const columns = `org_id, project_id, platform_id, os_version_id, image_type_id, current_state, status, retry_count, plan_version,
          milestones, attempts, heartbeat_timeout_ms, heartbeat_at, created_by_type, created_by, version, updated_at`;
        const others = [made, await makeBuilds(db.storage), await makeBuilds(db.storage)];
        for (const { running, failed } of others) {
          for (const { id } of [running, failed]) {
            await db.query(
              `INSERT INTO ${db.schema}.builds (id, build_number, created_at, ${columns})
              SELECT gen_random_uuid(), build_number || n, created_at + n * interval '1 second', ${columns}
              FROM ${db.schema}.builds CROSS JOIN generate_series(1, 2000) n WHERE id = $1`,
              [id],
            );
          }
        }
        await db.query(
          `INSERT INTO ${db.schema}.build_failures (id, org_id, build_id, state, failure_type, error_message, component, retry_attempt,
            resolved, created_at, updated_at)
          SELECT gen_random_uuid(), org_id, id, 0, 'type ' || row_number() OVER () % 50, 'e', 'part ' || row_number() OVER () % 50,
            0, row_number() OVER () % 20 > 0, created_at, created_at FROM ${db.schema}.builds`,
        );
        await db.query(
          `INSERT INTO ${db.schema}.build_states (org_id, build_id, sequence, id, state, status, start_time, retry_count, created_at, updated_at)
          SELECT org_id, id, 100 + n, id, 0, 'started', created_at, 0, created_at, created_at
          FROM ${db.schema}.builds CROSS JOIN generate_series(1, 3) n`,
        );
        for (const table of ['builds', 'build_states', 'build_failures']) {
          await db.query(`VACUUM ANALYZE ${db.schema}.${table}`);
        }
      });

      test.each<[string, (given: Builds) => BuildFilter, string]>([
        ['all of them', () => ({}), 'vivarium_build_time'],
        ['a status', () => ({ status: 'failed' }), 'vivarium_build_status'],
        ['a project', ({ references: { projectId } }) => ({ projectId }), 'vivarium_build_of_project'],
        [
          'a project and a status',
          ({ references: { projectId } }) => ({ projectId, status: 'failed' }),
          'vivarium_build_of_project_status',
        ],
        ['a platform', ({ references: { platformId } }) => ({ platformId }), 'vivarium_build_of_platform'],
        ['an OS version', ({ references: { osVersionId } }) => ({ osVersionId }), 'vivarium_build_of_os_version'],
        ['an image type', ({ references: { imageTypeId } }) => ({ imageTypeId }), 'vivarium_build_of_image_type'],
      ])('%s: the index has them in their order', async (_what, filterOf, index) => {
        const after = { createdAt: made.failed.createdAt, id: made.failed.id };
        for (const page of [first, { limit: 50, after: { ...after, createdAt: new Date(Date.now() + 1_800_000) } }]) {
          const plan = await planOf(() => unwrap(storage.builds.list(org, filterOf(made), page)));
          expect(plan).toMatch(new RegExp(`Index Scan Backward using ${index}\\b`));
          expect(plan).not.toContain('Sort');
        }
      });

      test.each<[string, (given: Builds) => FailureFilter, string]>([
        ['all of them', () => ({}), 'vivarium_build_failure_time'],
        ['a build', ({ failed: { id } }) => ({ buildId: id }), 'vivarium_build_failure_of_build'],
        ['those unresolved', () => ({ resolved: false }), 'vivarium_build_failure_resolved'],
        ['a type', () => ({ failureType: 'type 7' }), 'vivarium_build_failure_type'],
        ['a component', () => ({ component: 'part 7' }), 'vivarium_build_failure_component'],
      ])('failures, %s: the index has them in their order', async (_what, filterOf, index) => {
        const plan = await planOf(() => unwrap(storage.builds.listFailures(org, filterOf(made), first)));
        // The few of one build are sorted when they have been found.
        expect(plan).toMatch(new RegExp(`Index Scan (Backward using|on) ${index}\\b`));
      });

      test('builds that are due are looked for among the running ones, by id', async () => {
        const now = new Date(0);
        const plan = await planOf(() => unwrap(storage.builds.due(org, { now, limit: 100, after: null })));
        expect(plan).toContain('Index Scan using vivarium_build_due');
        expect(plan).not.toContain('Sort');
      });

      test('figures of all are read off an index, without the attempts themselves', async () => {
        const plan = await planOf(() => unwrap(storage.builds.stats(org, {})));
        expect(plan).toContain('Index Only Scan using vivarium_build_state_figures');
        expect(plan).not.toContain('Join');
      });
    });

    test('a thousand attempts and failures are one round trip, and nothing stays prepared', async () => {
      const { build, states, failures } = historyOf(made, 1_000, 1_000);
      const before = await pool.query('SELECT count(*)::int AS statements FROM pg_prepared_statements');
      sent.length = 0;
      expect(await unwrap(storage.builds.add({ build, states, failures, change: changeOfBuilds() }))).toEqual(done);
      expect(sent).toHaveLength(1);
      const after = await pool.query('SELECT count(*)::int AS statements FROM pg_prepared_statements');
      expect(after.rows).toEqual(before.rows);
      const page = { limit: 1_000, after: null };
      expect((await unwrap(storage.builds.listStates(org, build.id, page)))!.items).toEqual(states);
      expect((await unwrap(storage.builds.get(org, build.id))).found).toEqual(build);
    });

    /** Lets `inside` write and hold its locks until `then` waits for them, commits, and gives what `then` was answered. */
    async function overtaken<T>(
      inside: (given: ReturnType<PostgresStorage['within']>) => PromiseLike<unknown>,
      then: () => PromiseLike<T>,
    ): Promise<T> {
      const client = await (db.connection as { pool: pg.Pool }).pool.connect();
      try {
        await client.query('BEGIN');
        expect(await inside(db.storage.within(client))).toEqual(done);
        const answer = then();
        for (let tries = 0; ; tries++) {
          const waits = await db.query(
            `SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`,
            [db.schema],
          );
          if (waits.length > 0) break;
          if (tries === 300) throw new Error('the second writer did not wait for the first');
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        await client.query('COMMIT');
        return await answer;
      } catch (thrown) {
        await client.query('ROLLBACK');
        throw thrown;
      } finally {
        client.release();
      }
    }

    const startOf = ({ pending }: Builds, references: Partial<Builds['references']> = {}) => ({
      build: { ...pending, ...references, id: randomUUID(), buildNumber: randomUUID() },
      states: [],
      failures: [],
      change: changeOfBuilds(),
    });

    test('an entry that is being deleted is not built on', async () => {
      const { unused } = await makeBuilds(db.storage);
      const answer = await overtaken(
        ({ catalog }) => unwrap(catalog.delete({ kind: 'platform', entry: unused, change: changeOfBuilds() })),
        () => unwrap(storage.builds.add(startOf(made, { platformId: unused.id }))),
      );
      expect(answer).toEqual({ done: false, refused: 'gone' });
    });

    test('an entry that is being built on is not deleted', async () => {
      const { unused } = await makeBuilds(db.storage);
      const answer = await overtaken(
        ({ builds }) => unwrap(builds.add(startOf(made, { platformId: unused.id }))),
        () => unwrap(storage.catalog.delete({ kind: 'platform', entry: unused, change: changeOfBuilds() })),
      );
      expect(answer).toEqual({ done: false, refused: 'in_use' });
    });

    test('a build that moves while its project is deleted keeps its move, and loses its project', async () => {
      const own = await makeBuilds(db.storage);
      const ada = createVivarium({ storage: db.storage }).as({ org, type: 'user', id: 'ada' });
      const { found: project } = await unwrap(db.storage.projects.get(org, own.references.projectId));
      const build = { ...own.pending, status: 'canceled', version: 2 } as const;
      const nothing = { ended: null, begun: null, failure: null };
      const answer = await overtaken(
        ({ projects }) => unwrap(projects.delete({ project: project!, change: changeOfBuilds() })),
        () => unwrap(storage.builds.move({ build, ...nothing, expectedVersion: 1, change: changeOfBuilds() })),
      );
      expect(answer).toEqual(done);
      expect(await unwrap(ada.builds.get(build.id))).toMatchObject({ status: 'canceled', version: 2, projectId: null });
    });

    test('of two who move a build from one version, the one that comes late is stale', async () => {
      const { running } = await makeBuilds(db.storage);
      const nothing = { ended: null, begun: null, failure: null };
      const command = (status: 'failed' | 'canceled') => {
        const build = { ...running, status, version: running.version + 1 };
        return { build, ...nothing, expectedVersion: running.version, change: changeOfBuilds() };
      };
      const answer = await overtaken(
        ({ builds }) => unwrap(builds.move(command('failed'))),
        () => unwrap(storage.builds.move(command('canceled'))),
      );
      expect(answer).toEqual({ done: false, refused: 'stale' });
    });

    test('a sign of life that comes first keeps the build from being failed for its silence', async () => {
      const { running } = await makeBuilds(db.storage);
      const build = { ...running, status: 'failed', version: running.version + 1 } as const;
      const nothing = { ended: null, begun: null, failure: null };
      const silent = { expectedVersion: running.version, silentSince: running.heartbeatAt, change: changeOfBuilds() };
      const answer = await overtaken(
        async ({ builds }) => ({ done: await unwrap(builds.beat(org, running.id, new Date(1_900_000_000_000))) }),
        () => unwrap(storage.builds.move({ build, ...nothing, ...silent })),
      );
      expect(answer).toEqual({ done: false, refused: 'stale' });
    });
  });
});
