import { mysqlStorage } from '@vivarium/adapter-mysql';
import { createPool } from 'mysql2/promise';

import { mysql } from '../storage/mysql.ts';
import { figures } from './fleet.ts';
import type { OpenFleet } from './fleet.ts';

export const mysqlFleet: OpenFleet = (url, countedUrl) => {
  const counted = createPool({ uri: countedUrl, charset: 'utf8mb4', connectionLimit: 1 });
  const raw = createPool({ uri: url, charset: 'utf8mb4', connectionLimit: 1, timezone: 'Z' });
  const { listen, close } = mysql(url, 1);
  const numbers = (most: number) =>
    `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${most})`;
  // Not RAND(): the server may evaluate an expression again wherever its name stands, and each time it would be another number.
  const oneOf = (ids: readonly string[]) => `ELT(1 + n % ${ids.length}, ${ids.map((id) => `'${id}'`).join(', ')})`;

  return {
    storage: mysqlStorage({ pool: counted }),

    async fill({ org, builds, attemptsPerBuild, projects, platforms, osVersions, imageTypes }) {
      await raw.query(`SET SESSION cte_max_recursion_depth = ${builds + 1}`);
      await raw.query(
        `INSERT INTO vivarium_builds (id, org_id, build_number, project_id, platform_id, os_version_id, image_type_id, current_state, status,
          retry_count, plan_version, milestones, attempts, start_time, end_time, heartbeat_timeout_ms, heartbeat_at,
          created_by_type, created_by, version, created_at, updated_at)
        ${numbers(builds)}
        SELECT CONCAT(LPAD(HEX(n), 8, '0'), '-0000-7000-8000-000000000000'), ?, CONCAT('build ', n), ${oneOf(projects)}, ${oneOf(platforms)},
          ${oneOf(osVersions)}, ${oneOf(imageTypes)}, 98, ELT(LEAST(4, 1 + n % 20), 'failed', 'canceled', 'running', 'completed'),
          0, 0, '[0, 50, 100]', ?, t, t, 1800000, t, 'user', 'ada', 16, t, t
        FROM (SELECT n, TIMESTAMP('2025-01-01') + INTERVAL n * 5 MINUTE AS t FROM numbers) numbered`,
        [org, attemptsPerBuild],
      );
      await raw.query(
        `INSERT INTO vivarium_build_states (org_id, build_id, sequence, id, state, status, start_time, end_time, duration_seconds, duration_ms,
          retry_count, created_at, updated_at)
        ${numbers(attemptsPerBuild)},
        drawn AS (
          SELECT b.org_id, b.id, n, b.start_time, CRC32(CONCAT('luck', b.id, n)) % 100 AS luck,
            n * 20000 + CRC32(CONCAT('ms', b.id, n)) % 100000 AS ms
          FROM vivarium_builds b CROSS JOIN numbers
        )
        SELECT org_id, id, n, CONCAT(LEFT(id, 24), LPAD(n, 12, '0')), (n - 1) * 7, IF(luck < 3, 'failed', 'completed'),
          start_time, start_time, ms DIV 1000, ms, 0, start_time, start_time FROM drawn ORDER BY id, n`,
      );
      await raw.query(
        `INSERT INTO vivarium_build_failures (id, org_id, build_id, state, failure_type, error_message, component, retry_attempt, resolved,
          created_at, updated_at)
        SELECT s.id, s.org_id, s.build_id, s.state, CONCAT('type ', FLOOR(RAND(13) * 30)), 'it failed',
          IF(RAND(17) < 0.7, CONCAT('component ', FLOOR(RAND(19) * 10)), NULL), 0, RAND(23) < 0.5, s.start_time, s.start_time
        FROM vivarium_build_states s WHERE s.status = 'failed'`,
      );
      await raw.query('ANALYZE TABLE vivarium_builds, vivarium_build_states, vivarium_build_failures');
    },

    async countInNode(org) {
      const sql = 'SELECT state, status, duration_ms FROM vivarium_build_states WHERE org_id = ?';
      return figures((await raw.query({ sql, values: [org], rowsAsArray: true }))[0] as never);
    },

    async explain(call) {
      const sent = (await listen(call)).find(({ text }) => text.includes('build_states'))!;
      const [rows] = await raw.execute(`EXPLAIN ANALYZE ${sent.text}`, [...sent.values] as never[]);
      return (rows as { readonly EXPLAIN: string }[])[0]!.EXPLAIN.trimEnd().split('\n');
    },

    async close() {
      await Promise.all([counted.end(), raw.end(), close()]);
    },
  };
};
