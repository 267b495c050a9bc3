import { postgresStorage } from '@vivarium/adapter-postgres';
import pg from 'pg';

import { postgres } from '../storage/postgres.ts';
import { figures } from './fleet.ts';
import type { OpenFleet } from './fleet.ts';

export const postgresFleet: OpenFleet = (url, countedUrl) => {
  const counted = new pg.Pool({ connectionString: countedUrl, max: 1 });
  const raw = new pg.Pool({
    connectionString: url,
    max: 1,
    options: '-c search_path=vivarium -c statement_timeout=300s',
  });
  const { listen, close } = postgres(url, 1);

  return {
    storage: postgresStorage({ pool: counted }),

    async fill({ org, builds, attemptsPerBuild, projects, platforms, osVersions, imageTypes }) {
      await raw.query(`SELECT setseed(0.5)`);
      await raw.query(
        `INSERT INTO builds (id, org_id, build_number, project_id, platform_id, os_version_id, image_type_id, current_state, status,
          retry_count, plan_version, milestones, attempts, start_time, end_time, heartbeat_timeout_ms, heartbeat_at,
          created_by_type, created_by, version, created_at, updated_at)
        SELECT gen_random_uuid(), $1::text, 'build ' || n, ($3::uuid[])[1 + n % 20], ($4::uuid[])[1 + n % 5], ($5::uuid[])[1 + n % 10],
          ($6::uuid[])[1 + n % 4], 98, (ARRAY['failed', 'canceled', 'running', 'completed'])[least(4, 1 + n % 20)],
          0, 0, '[0, 50, 100]', $7::int, t, t, 1800000, t, 'user', 'ada', 16, t, t
        FROM (SELECT n, '2025-01-01'::timestamptz + n * interval '5 minutes' AS t FROM generate_series(1, $2::int) n) numbered`,
        [org, builds, projects, platforms, osVersions, imageTypes, attemptsPerBuild],
      );
      await raw.query(
        `INSERT INTO build_states (org_id, build_id, sequence, id, state, status, start_time, end_time, duration_seconds, duration_ms,
          retry_count, created_at, updated_at)
        SELECT b.org_id, b.id, s, gen_random_uuid(), (s - 1) * 7, CASE WHEN luck < 0.03 THEN 'failed' ELSE 'completed' END,
          b.start_time, b.start_time, ms / 1000, ms, 0, b.start_time, b.start_time
        FROM builds b CROSS JOIN generate_series(1, $1::int) s
          CROSS JOIN LATERAL (SELECT random() AS luck, (s * 20000 + random() * 100000)::bigint AS ms WHERE b.id IS NOT NULL) drawn`,
        [attemptsPerBuild],
      );
      await raw.query(
        `INSERT INTO build_failures (id, org_id, build_id, state, failure_type, error_message, component, retry_attempt, resolved,
          created_at, updated_at)
        SELECT s.id, s.org_id, s.build_id, s.state, 'type ' || (random() * 29)::int, 'it failed',
          CASE WHEN random() < 0.7 THEN 'component ' || (random() * 9)::int END, 0, random() < 0.5, s.start_time, s.start_time
        FROM build_states s WHERE s.status = 'failed'`,
      );
      for (const table of ['builds', 'build_states', 'build_failures']) await raw.query(`VACUUM ANALYZE ${table}`);
    },

    async countInNode(org) {
      const text = 'SELECT state, status, duration_ms FROM build_states WHERE org_id = $1';
      return figures((await raw.query({ text, values: [org], rowMode: 'array' })).rows as never);
    },

    async explain(call) {
      const sent = (await listen(call)).find(({ text }) => text.includes('build_states'))!;
      const { rows } = await raw.query({ text: `EXPLAIN (ANALYZE, COSTS OFF) ${sent.text}`, values: [...sent.values] });
      return rows.map((row) => row['QUERY PLAN'] as string);
    },

    async close() {
      await Promise.all([counted.end(), raw.end(), close()]);
    },
  };
};
