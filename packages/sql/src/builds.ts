/** The port of builds in SQL: first the statements that its methods send, then the methods. Lock order everywhere: build → its history → its failures. */
import type { BuildRepository, StoredBuild } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { failureStatements, sqlFailures } from './builds-failures.ts';
import { milestonePlanStatements, newestVersion, sqlMilestonePlans } from './builds-milestone-plans.ts';
import {
  buildColumns,
  buildRow,
  endOf,
  failureColumns,
  failureRow,
  planColumns,
  standingOf,
  stateColumns,
  stateRow,
  toBuild,
  toFailure,
  toPlan,
  toState,
} from './builds-rows.ts';
import { sqlStats, statsStatements } from './builds-stats.ts';
import type { Dialect } from './dialect.ts';
import { Filtered } from './filtered.ts';
import type { Conditions, NewRow, Diagnosis, Step } from './plan.ts';
import { firstId, pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import type { Table } from './tables.ts';
import { journalSteps, planName, write, writeIf } from './write.ts';
import type { Session } from './write.ts';

export function buildStatements(dialect: Dialect) {
  const { table, asText, jsonList, before, later, readBy } = dialect;
  const columns = buildColumns(dialect);
  const builds = `${table('builds')} b`;
  const states = `${table('build_states')} s`;
  const statement = (name: string, text: string) => compile(dialect, `builds.${name}`, text);
  const withManifest = (name: string, which: string) =>
    statement(
      name,
      `SELECT ${columns}, ${asText('json', 'b.packer_manifest')} AS b_packer_manifest FROM ${builds}
      WHERE b.org_id = :org::text AND ${which}`,
    );

  return {
    milestonePlans: milestonePlanStatements(dialect),
    failures: failureStatements(dialect),
    stats: statsStatements(dialect),

    startFacts: statement(
      'startFacts',
      `SELECT p.id AS project_id, pl.id AS platform_id, os.id AS os_version_id, it.id AS image_type_id,
        ${planColumns(dialect)}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${table('projects')} p ON p.org_id = :org::text AND p.id = :project::uuid
        LEFT JOIN ${table('platforms')} pl ON pl.org_id = :org::text AND pl.id = :platform::uuid
        LEFT JOIN ${table('os_versions')} os ON os.org_id = :org::text AND os.id = :osVersion::uuid
        LEFT JOIN ${table('image_types')} it ON it.org_id = :org::text AND it.id = :imageType::uuid
        LEFT JOIN ${table('milestone_plans')} m ON m.org_id = :org::text AND m.project_id = p.id
          AND m.version = ${newestVersion(dialect, ':project::uuid')}`,
    ),

    isTaken: statement(
      'isTaken',
      `SELECT b.id FROM ${builds} WHERE b.org_id = :org::text AND b.build_number = :number::text`,
    ),

    get: statement(
      'get',
      `SELECT ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${builds} ON b.org_id = :org::text AND b.id = :id::uuid`,
    ),

    getWithManifest: withManifest('getWithManifest', 'b.id = :id::uuid'),
    getByNumber: withManifest('getByNumber', 'b.build_number = :number::text'),

    list: new Filtered(
      {
        projectId: 'b.project_id = :projectId::uuid',
        platformId: 'b.platform_id = :platformId::uuid',
        osVersionId: 'b.os_version_id = :osVersionId::uuid',
        imageTypeId: 'b.image_type_id = :imageTypeId::uuid',
        status: 'b.status = :status::text',
        after: before(['b.created_at', 'b.id'], [':afterTime::time', ':afterId::uuid']),
      },
      (variant, asked) =>
        statement(
          `list${variant}`,
          `SELECT ${columns} FROM ${builds} WHERE ${['b.org_id = :org::text', ...asked].join(' AND ')}
          ORDER BY b.created_at DESC, b.id DESC LIMIT :limit::integer`,
        ),
    ),

    /** At least one row for a build that exists, so that an empty page can be told from no build. */
    listStates: statement(
      'listStates',
      `SELECT p.* FROM ${builds}
        LEFT JOIN (
          SELECT ${stateColumns(dialect)} FROM ${states}
          WHERE s.org_id = :org::text AND s.build_id = :build::uuid AND s.sequence > :after::integer
          ORDER BY s.sequence LIMIT :limit::integer
        ) p ON 1 = 1
      WHERE b.org_id = :org::text AND b.id = :build::uuid
      ORDER BY p.s_sequence`,
    ),

    resumeFacts: statement(
      'resumeFacts',
      `SELECT ${columns}, ${failureColumns(dialect)},
        (SELECT ${jsonList({ state: asText('count', 'd.state') })} FROM (
          SELECT DISTINCT s.state FROM ${states} WHERE s.build_id = :id::uuid AND s.status = 'completed'
        ) d) AS completed,
        (SELECT COUNT(*) FROM ${table('build_failures')} u WHERE u.build_id = b.id AND NOT u.resolved) AS unresolved
      FROM ${builds}
        LEFT JOIN ${table('build_failures')} f ON f.id = (
          SELECT n.id FROM ${table('build_failures')} n WHERE n.build_id = :id::uuid
          ORDER BY n.created_at DESC, n.id DESC LIMIT 1
        )
      WHERE b.org_id = :org::text AND b.id = :id::uuid`,
    ),

    /** MariaDB would rather pass all builds in the order of their ids, hoping to meet enough that are due, and mostly none is. */
    due: statement(
      'due',
      `SELECT ${columns} FROM ${builds} ${readBy('build_due')}
      WHERE b.org_id = :org::text AND b.status = 'running' AND b.id > :after::uuid
        AND ${later('b.heartbeat_at', 'b.heartbeat_timeout_ms')} <= :now::time
      ORDER BY b.id LIMIT :limit::integer`,
    ),
  };
}

export function sqlBuilds(session: Session, statements: ReturnType<typeof buildStatements>): BuildRepository {
  return {
    ...sqlMilestonePlans(session, statements.milestonePlans),
    ...sqlFailures(session, statements.failures),
    ...sqlStats(session, statements.stats),

    startFacts: (orgId, { projectId, platformId, osVersionId, imageTypeId }, keyId) =>
      answer(async () => {
        const rows = await read(session, statements.startFacts, {
          org: orgId,
          project: projectId,
          platform: platformId,
          osVersion: osVersionId,
          imageType: imageTypeId,
          key: keyId ?? null,
        });
        const row = rows[0]!;
        return {
          project: projectId === null || row['project_id'] != null,
          platform: row['platform_id'] != null,
          osVersion: row['os_version_id'] != null,
          imageType: row['image_type_id'] != null,
          plan: toPlan(row),
          key: toKey(row),
        };
      }),

    /** build, with foreign keys on what it refers to → its history → its failures → journal. */
    add: ({ build, states, failures, change }) =>
      answer(async () => {
        const { orgId } = change;
        const history = [
          ...inserts(
            'build_states',
            states.map((state) => stateRow(orgId, state)),
          ),
          ...inserts(
            'build_failures',
            failures.map((failure) => failureRow(orgId, failure)),
          ),
        ];
        const written = await write<'number_taken' | 'gone'>(session, change, {
          name: planName('builds.add', change, ...(history.length === 0 ? [] : ['history'])),
          ...(history.length > 0 && { manyShapes: true }),
          orgId,
          steps: [
            {
              do: 'insert',
              table: 'builds',
              rows: [buildRow(orgId, build)],
              violations: {
                vivarium_build_number: 'number_taken',
                vivarium_build_project: 'gone',
                vivarium_build_platform: 'gone',
                vivarium_build_os_version: 'gone',
                vivarium_build_image_type: 'gone',
              },
            },
            ...history,
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        });
        // A number that is taken comes first, and MySQL looks at foreign keys before it looks at unique ones.
        if (written.done || written.refused !== 'gone') return written;
        const taken = await read(session, statements.isTaken, { org: orgId, number: build.buildNumber });
        return taken.length === 0 ? written : { done: false, refused: 'number_taken' };
      }),

    get: (orgId, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.get, { org: orgId, id, key: keyId ?? null }))[0]!;
        return { found: row['b_id'] == null ? null : toBuild(row), key: toKey(row) };
      }),

    getWithManifest: (orgId, which) =>
      answer(async () => {
        const [row] =
          'id' in which
            ? await read(session, statements.getWithManifest, { org: orgId, id: which.id })
            : await read(session, statements.getByNumber, { org: orgId, number: which.buildNumber });
        if (row === undefined) return null;
        return { build: toBuild(row), manifest: (row['b_packer_manifest'] ?? null) as string | null };
      }),

    list: (orgId, filter, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.list.with({ ...filter, after }), {
          org: orgId,
          limit: limit + 1,
          ...filter,
          ...(after && { afterTime: after.createdAt, afterId: after.id }),
        });
        return pageOf(rows, limit, toBuild);
      }),

    /** build → the attempt that ends → the one that begins → failure → journal. */
    move: ({ build, ended, begun, failure, expectedVersion, silentSince, change }) =>
      answer(() => {
        const { orgId } = change;
        const since: Conditions<'builds'> =
          silentSince === undefined ? {} : { heartbeat_at: silentSince ?? { present: false } };
        return write<'not_found' | 'stale'>(session, change, {
          name: planName(
            'builds.move',
            change,
            ...(silentSince === undefined ? [] : [silentSince === null ? 'unheard' : 'silent']),
            ...(ended === null ? [] : ['end']),
            ...(begun === null ? [] : ['begin']),
            ...(failure === null ? [] : ['fail']),
          ),
          orgId,
          steps: [
            {
              do: 'update',
              table: 'builds',
              set: standingOf(build),
              where: { org_id: orgId, id: build.id, version: expectedVersion, ...since },
              rows: 1,
              else: 'stale',
            },
            ...(ended === null
              ? []
              : [
                  {
                    do: 'update',
                    table: 'build_states',
                    set: endOf(ended, change.at),
                    where: { org_id: orgId, build_id: build.id, sequence: ended.sequence, status: 'started' },
                    rows: 1,
                    else: 'stale',
                  } as const,
                ]),
            ...inserts('build_states', begun === null ? [] : [stateRow(orgId, begun)]),
            ...inserts('build_failures', failure === null ? [] : [failureRow(orgId, failure)]),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: unmoved(build, expectedVersion, silentSince),
        });
      }),

    /** build → journal. */
    attachManifest: ({ build, manifest, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('builds.attachManifest', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'builds',
              set: { packer_manifest: manifest, version: build.version, updated_at: build.updatedAt },
              where: { org_id: change.orgId, id: build.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: unmoved(build, expectedVersion),
        }),
      ),

    beat: (orgId, id, at) =>
      answer(() =>
        writeIf(session, {
          name: 'builds.beat',
          orgId,
          steps: [
            {
              do: 'update',
              table: 'builds',
              set: { heartbeat_at: at },
              where: { org_id: orgId, id, status: 'running' },
              rows: 1,
              else: 'not_running',
            },
          ],
          key: null,
          diagnosis: null,
        }),
      ),

    listStates: (orgId, buildId, { limit, after }) =>
      answer(async () => {
        const page = { org: orgId, build: buildId, after: after ?? 0, limit: limit + 1 };
        const rows = await read(session, statements.listStates, page);
        if (rows.length === 0) return null;
        return pageOf(rows[0]!['s_id'] == null ? [] : rows, limit, toState);
      }),

    resumeFacts: (orgId, id) =>
      answer(async () => {
        const [row] = await read(session, statements.resumeFacts, { org: orgId, id });
        if (row === undefined) return null;
        const completed = JSON.parse((row['completed'] ?? '[]') as string) as { readonly state: string }[];
        return {
          build: toBuild(row),
          completed: completed.map(({ state }) => Number(state)).sort((a, b) => a - b),
          lastFailure: row['f_id'] == null ? null : toFailure(row),
          unresolvedFailures: Number(row['unresolved']),
        };
      }),

    due: (orgId, { now, limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.due, { org: orgId, now, limit, after: after ?? firstId });
        return rows.map(toBuild);
      }),
  };
}

/** The verdict on a build that had to be there at a version, and silent since then. */
function unmoved({ id }: StoredBuild, version: number, silentSince?: Date | null): Diagnosis<'not_found' | 'stale'> {
  const silent = (heartbeatAt: unknown) =>
    silentSince === undefined ||
    (heartbeatAt == null ? silentSince === null : new Date(heartbeatAt as string).getTime() === silentSince?.getTime());
  return {
    row: { table: 'builds', id },
    verdict({ row }) {
      if (row === null) return 'not_found';
      return Number(row['version']) === version && silent(row['heartbeat_at']) ? null : 'stale';
    },
  };
}

/** Rows that one insert takes at most. */
const mostRows = 128;

/**
 * Inserts of any number of rows: as many at once as a power of two, so that a server meets a table's inserts in eight lengths and prepares each once. One
 * that took a thousand would also be larger than a server's packets may be.
 */
function inserts<T extends Table>(table: T, rows: readonly NewRow<T>[]): readonly Step<never>[] {
  const steps: Step<never>[] = [];
  for (let at = 0; at < rows.length;) {
    const length = Math.min(mostRows, 2 ** Math.floor(Math.log2(rows.length - at)));
    steps.push({ do: 'insert', table, rows: rows.slice(at, at + length) } as unknown as Step<never>);
    at += length;
  }
  return steps;
}
