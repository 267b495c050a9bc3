/** Figures about builds in SQL: one statement, whose answer is one row, however many builds there are. */
import { buildStats, maximumFailureGroups } from '@vivarium/core/storage';
import type { BuildRepository, BuildStatus, FailureStats, StateStats, StatsFilter } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect, Row } from './dialect.ts';
import { Filtered } from './filtered.ts';
import { read } from './read.ts';
import { compile } from './statement.ts';
import type { Arguments } from './statement.ts';
import type { Session } from './write.ts';

export function statsStatements(dialect: Dialect) {
  const { table, asText, jsonList, attemptFigures } = dialect;
  const conditions = {
    projectId: 'b.project_id = :projectId::uuid',
    platformId: 'b.platform_id = :platformId::uuid',
    osVersionId: 'b.os_version_id = :osVersionId::uuid',
    imageTypeId: 'b.image_type_id = :imageTypeId::uuid',
    from: 'b.created_at >= :from::time',
    to: 'b.created_at < :to::time',
  };
  const builds = `${table('builds')} b`;

  return new Filtered(conditions, (variant, asked) => {
    const ofBuilds = ['b.org_id = :org::text', ...asked].join(' AND ');
    /** Rows of builds that are asked for. Where all of the org's are, there is no need to look at the builds. */
    const below = (child: string, alias: string) =>
      asked.length === 0
        ? { from: child, where: `${alias}.org_id = :org::text` }
        : {
            from: `(${builds} JOIN ${child} ON ${alias}.build_id = b.id AND ${alias}.org_id = :org::text)`,
            where: ofBuilds,
          };
    const failures = below(`${table('build_failures')} f`, 'f');
    const count = (expression: string) => asText('count', expression);

    const byStatus = `SELECT b.status, COUNT(*) AS builds FROM ${builds} WHERE ${ofBuilds} GROUP BY b.status`;
    const byState = attemptFigures(below(`${table('build_states')} s`, 's'));
    const byFailure = `SELECT f.component, f.failure_type, COUNT(*) AS failures,
        SUM(CASE WHEN f.resolved THEN 0 ELSE 1 END) AS unresolved
      FROM ${failures.from} WHERE ${failures.where}
      GROUP BY f.component, f.failure_type
      ORDER BY COUNT(*) DESC, COALESCE(f.component, ''), f.failure_type LIMIT ${maximumFailureGroups}`;

    return compile(
      dialect,
      `builds.stats${variant}`,
      `SELECT
        (SELECT ${jsonList({ status: 'g.status', builds: count('g.builds') })} FROM (${byStatus}) g) AS by_status,
        (SELECT ${jsonList({
          state: count('g.state'),
          attempts: count('g.attempts'),
          completed: count('g.completed'),
          failed: count('g.failed'),
          p50: count('g.p50'),
          p95: count('g.p95'),
        })} FROM (${byState}) g) AS by_state,
        (SELECT ${jsonList({
          component: 'g.component',
          failureType: 'g.failure_type',
          failures: count('g.failures'),
          unresolved: count('g.unresolved'),
        })} FROM (${byFailure}) g) AS by_failure`,
    );
  });
}

export function sqlStats(
  session: Session,
  statements: ReturnType<typeof statsStatements>,
): Pick<BuildRepository, 'stats'> {
  return {
    stats: (orgId, filter) =>
      answer(async () => {
        const row = (await read(session, statements.with(filter), { org: orgId, ...given(filter) }))[0]!;
        const statuses = list(row['by_status']).map((group) => [
          group['status'] as BuildStatus,
          number(group['builds']),
        ]);
        return buildStats({
          byStatus: Object.fromEntries(statuses) as Partial<Record<BuildStatus, number>>,
          states: list(row['by_state']).map(toStateStats),
          failures: list(row['by_failure']).map(toFailureStats),
          approximate: false,
        });
      }),
  };
}

function given(filter: StatsFilter): Arguments {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as Arguments;
}

/** An aggregate over no rows is null. */
function list(json: unknown): readonly Row[] {
  return json == null ? [] : (JSON.parse(json as string) as Row[]);
}

const number = (value: unknown) => Number(value);
const numberOrNull = (value: unknown) => (value == null ? null : Number(value));

function toStateStats(group: Row): StateStats {
  return {
    state: number(group['state']),
    attempts: number(group['attempts']),
    completed: number(group['completed']),
    failed: number(group['failed']),
    p50Ms: numberOrNull(group['p50']),
    p95Ms: numberOrNull(group['p95']),
  };
}

function toFailureStats(group: Row): FailureStats {
  return {
    component: (group['component'] ?? null) as string | null,
    failureType: group['failureType'] as string,
    count: number(group['failures']),
    unresolved: number(group['unresolved']),
  };
}
