/** The port of environments in SQL: first the statements that its methods send, then the methods. */
import { encodeVariables, utf8Length } from '@vivarium/core/storage';
import type {
  EnvironmentRef,
  EnvironmentRepository,
  LoadedEnvironment,
  StoredEnvironment,
} from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect, Row } from './dialect.ts';
import type { Diagnosis, NewRow, Step } from './plan.ts';
import { pageOf, read } from './read.ts';
import { environmentColumns, keyColumns, summaryColumns, toEnvironment, toKey, toSummary } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, refuse, write } from './write.ts';
import type { Session } from './write.ts';

export function environmentStatements(dialect: Dialect) {
  const { table } = dialect;
  const columns = environmentColumns(dialect, 'e', 'p');
  const summary = summaryColumns(dialect, 'e', 'p');
  const statement = (name: string, text: string) => compile(dialect, `environments.${name}`, text);

  /** Environments with the project that says which of them is the default. */
  const owned = `${table('projects')} p JOIN ${table('environments')} e ON e.project_id = p.id`;
  const whole = `SELECT ${columns} FROM ${owned}`;
  /** At least one row for a project that exists, so that an empty page can be told from no project. */
  const listed = (which: string) =>
    `SELECT ${summary} FROM ${table('projects')} p LEFT JOIN ${table('environments')} e ON e.project_id = p.id ${which}
    WHERE p.org_id = :org::text AND p.id = :project::uuid`;
  const heir = (whose: string) =>
    `(SELECT h.id FROM ${table('environments')} h
      WHERE h.org_id = :org::text AND h.project_id = :project::uuid AND h.id <> :id::uuid ${whose}
      ORDER BY h.created_at, h.id LIMIT 1) AS heir`;
  const withKey = (further: string) =>
    `SELECT ${columns}, ${keyColumns(dialect, 'k')} ${further}
    FROM (SELECT 1 AS one) o
      LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
      LEFT JOIN (${owned}) ON p.org_id = :org::text AND p.id = :project::uuid AND e.id = :id::uuid`;

  return {
    get: statement('get', `${whole} WHERE p.org_id = :org::text AND p.id = :project::uuid AND e.id = :id::uuid`),

    getWithKey: statement('getWithKey', withKey('')),

    getByName: statement(
      'getByName',
      `${whole} WHERE p.org_id = :org::text AND p.id = :project::uuid AND e.name_key = :name::text`,
    ),

    getDefault: statement(
      'getDefault',
      `${whole} WHERE p.org_id = :org::text AND p.id = :project::uuid AND e.id = p.default_environment_id`,
    ),

    getTwo: statement(
      'getTwo',
      `${whole} WHERE p.org_id = :org::text AND p.id IN (:projectA::uuid, :projectB::uuid) AND e.id IN (:idA::uuid, :idB::uuid)`,
    ),

    list: statement(
      'list',
      `${listed('')}
      ORDER BY CASE WHEN e.id = p.default_environment_id THEN 0 ELSE 1 END, e.name_key LIMIT :limit::integer`,
    ),

    listFurther: statement(
      'listFurther',
      `${listed('AND e.id <> :first::uuid AND e.name_key > :after::text')} ORDER BY e.name_key LIMIT :limit::integer`,
    ),

    search: statement(
      'search',
      `${listed(`AND e.name_key > :after::text
        AND (:part::text IS NULL OR ${dialect.contains('e.name_key', ':part::text')})
        AND (:key::text IS NULL OR ${dialect.hasVariable('e.variables', ':key::text')})`)}
      ORDER BY e.name_key LIMIT :limit::integer`,
    ),

    stats: statement(
      'stats',
      `SELECT ${dialect.asText('count', 'COUNT(e.id)')} AS environments,
        ${dialect.asText('count', 'SUM(e.variable_count)')} AS variables, MAX(e.variable_count) AS most_variables,
        ${dialect.asText('count', 'SUM(e.variable_bytes)')} AS bytes, MAX(e.variable_bytes) AS most_bytes
      FROM ${table('projects')} p LEFT JOIN ${table('environments')} e ON e.project_id = p.id
      WHERE p.org_id = :org::text AND p.id = :project::uuid
      GROUP BY p.id`,
    ),

    deleteFacts: statement('deleteFacts', withKey(`, ${heir('')}`)),
    deleteFactsPromoting: statement('deleteFactsPromoting', withKey(`, ${heir('AND h.id = :promote::uuid')}`)),
  };
}

export function sqlEnvironments(
  session: Session,
  statements: ReturnType<typeof environmentStatements>,
): EnvironmentRepository {
  return {
    /** project, whose count carries the limit → environment → journal. */
    create: ({ environment, maximum, change }) =>
      answer(() =>
        write<'not_found' | 'limit_reached' | 'name_taken'>(session, change, {
          name: planName('environments.create', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'projects',
              set: { environment_count: { plus: 1 } },
              where: { org_id: change.orgId, id: environment.projectId, environment_count: { '<': maximum } },
              rows: 1,
              else: 'limit_reached',
            },
            {
              do: 'insert',
              table: 'environments',
              rows: [environmentRow(change.orgId, environment)],
              violations: { vivarium_environment_name: 'name_taken' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            projectId: environment.projectId,
            environmentId: null,
            verdict: ({ project }) =>
              project === null ? 'not_found' : project.environmentCount >= maximum ? 'limit_reached' : null,
          },
        }),
      ),

    get: (orgId, { projectId, id }, keyId) =>
      answer(async () => {
        const where = { org: orgId, project: projectId, id };
        if (keyId === undefined) return { found: only(await read(session, statements.get, where)), key: null };
        const row = (await read(session, statements.getWithKey, { ...where, key: keyId }))[0]!;
        return { found: environmentIn(row), key: toKey(row) };
      }),

    getByName: (orgId, projectId, nameKey) =>
      answer(async () =>
        only(await read(session, statements.getByName, { org: orgId, project: projectId, name: nameKey })),
      ),

    getDefault: (orgId, projectId) =>
      answer(async () => only(await read(session, statements.getDefault, { org: orgId, project: projectId }))),

    getTwo: (orgId, a, b) =>
      answer(async () => {
        const rows = await read(session, statements.getTwo, {
          org: orgId,
          projectA: a.projectId,
          idA: a.id,
          projectB: b.projectId,
          idB: b.id,
        });
        const found = rows.map(toEnvironment);
        const named = (ref: EnvironmentRef) =>
          found.find(({ id, projectId }) => id === ref.id && projectId === ref.projectId) ?? null;
        return [named(a), named(b)];
      }),

    list: (orgId, projectId, { limit, after }) =>
      answer(async () => {
        const page = { org: orgId, project: projectId, limit: limit + 1 };
        const rows =
          after === null
            ? await read(session, statements.list, page)
            : await read(session, statements.listFurther, { ...page, first: after.first, after: after.nameKey ?? '' });
        return summariesIn(rows, limit);
      }),

    search: (orgId, projectId, filter, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.search, {
          org: orgId,
          project: projectId,
          part: filter.nameKey ?? null,
          key: filter.variableKey ?? null,
          after: after ?? '',
          limit: limit + 1,
        });
        return summariesIn(rows, limit);
      }),

    stats: (orgId, projectId) =>
      answer(async () => {
        const [row] = await read(session, statements.stats, { org: orgId, project: projectId });
        if (row === undefined) return null;
        const environments = Number(row['environments']);
        const figures = (sum: unknown, largest: unknown) => {
          const total = Number(sum ?? 0);
          return { total, mean: environments === 0 ? 0 : total / environments, largest: Number(largest ?? 0) };
        };
        return {
          environments,
          variables: figures(row['variables'], row['most_variables']),
          bytes: figures(row['bytes'], row['most_bytes']),
        };
      }),

    /** environment → journal. */
    update: ({ environment, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale' | 'name_taken'>(session, change, {
          name: planName('environments.update', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'environments',
              set: {
                name: environment.name,
                name_key: environment.nameKey,
                description: environment.description,
                version: environment.version,
                updated_at: environment.updatedAt,
              },
              where: rowAtVersion(change.orgId, environment, expectedVersion),
              rows: 1,
              else: 'stale',
              violations: { vivarium_environment_name: 'name_taken' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion(environment, expectedVersion),
        }),
      ),

    /** environment → journal. */
    setVariables: ({ environment, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('environments.setVariables', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'environments',
              set: { ...variablesOf(environment), version: environment.version, updated_at: environment.updatedAt },
              where: rowAtVersion(change.orgId, environment, expectedVersion),
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion(environment, expectedVersion),
        }),
      ),

    /** project, whose pointer moves → the environment, held so that it is there when this commits → journal. */
    makeDefault: ({ ref, change }) =>
      answer(() =>
        write<'not_found'>(session, change, {
          name: planName('environments.makeDefault', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'projects',
              set: { default_environment_id: ref.id },
              where: { org_id: change.orgId, id: ref.projectId },
              rows: 1,
              else: 'not_found',
              violations: { vivarium_project_default: 'not_found' },
            },
            holdEnvironment(change.orgId, ref, 'not_found'),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            projectId: ref.projectId,
            environmentId: ref.id,
            verdict: ({ environment }) => (environment === null ? 'not_found' : null),
          },
        }),
      ),

    deleteFacts: (orgId, { projectId, id }, promote, keyId) =>
      answer(async () => {
        const where = { org: orgId, project: projectId, id, key: keyId ?? null };
        const rows =
          promote === undefined
            ? await read(session, statements.deleteFacts, where)
            : await read(session, statements.deleteFactsPromoting, { ...where, promote });
        const row = rows[0]!;
        return { environment: environmentIn(row), heir: (row['heir'] ?? null) as string | null, key: toKey(row) };
      }),

    /**
     * project, whose count goes down and, if this was the default, whose pointer goes to `promote` → `promote`, held → environment → journal.
     * `promote` was chosen before the plan was made: chosen in the statement, it would come from a snapshot older than the lock.
     */
    delete: ({ environment, promote, change }) =>
      answer(() => {
        const { projectId, id, version, isDefault } = environment;
        const diagnosis: Diagnosis<'not_found' | 'stale' | 'last_environment'> = {
          projectId,
          environmentId: id,
          verdict: ({ project, environment: there }) => {
            if (project === null || there === null) return 'not_found';
            if (there.version !== version) return 'stale';
            if (project.environmentCount <= 1) return 'last_environment';
            return (project.defaultEnvironmentId === id) === isDefault ? null : 'stale';
          },
        };
        // A default goes only if another takes over. With nobody to take over, it was the last when that was decided.
        if (isDefault && promote === null) return refuse(session, change, diagnosis, 'stale');

        const leave = { org_id: change.orgId, id: projectId, environment_count: { '>': 1 } } as const;
        return write<'not_found' | 'stale' | 'last_environment'>(session, change, {
          name: planName('environments.delete', change, ...(isDefault ? ['promote'] : [])),
          orgId: change.orgId,
          steps: [
            isDefault
              ? {
                  do: 'update',
                  table: 'projects',
                  set: { environment_count: { plus: -1 }, default_environment_id: promote },
                  where: { ...leave, default_environment_id: id },
                  rows: 1,
                  else: 'stale',
                  violations: { vivarium_project_default: 'stale' },
                }
              : {
                  do: 'update',
                  table: 'projects',
                  set: { environment_count: { plus: -1 } },
                  where: { ...leave, default_environment_id: { '<>': id } },
                  rows: 1,
                  else: 'stale',
                },
            ...(isDefault ? [holdEnvironment(change.orgId, { projectId, id: promote! }, 'stale' as const)] : []),
            {
              do: 'delete',
              table: 'environments',
              where: rowAtVersion(change.orgId, environment, version),
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis,
        });
      }),
  };
}

/** A new environment, as it is inserted by itself or with its project. */
export function environmentRow(orgId: string, environment: StoredEnvironment): NewRow<'environments'> {
  return {
    id: environment.id,
    org_id: orgId,
    project_id: environment.projectId,
    name: environment.name,
    name_key: environment.nameKey,
    description: environment.description,
    ...variablesOf(environment),
    version: environment.version,
    created_at: environment.createdAt,
    updated_at: environment.updatedAt,
  };
}

/** The variables, with their figures beside them, so that lists and statistics need not read them. */
function variablesOf({ variables }: StoredEnvironment) {
  const json = encodeVariables(variables);
  return { variables: json, variable_count: variables.length, variable_bytes: utf8Length(json) };
}

function only(rows: readonly Row[]): LoadedEnvironment | null {
  return rows[0] === undefined ? null : toEnvironment(rows[0]);
}

function environmentIn(row: Row): LoadedEnvironment | null {
  return row['id'] == null ? null : toEnvironment(row);
}

function summariesIn(rows: readonly Row[], limit: number) {
  if (rows.length === 0) return null;
  return pageOf(rows[0]!['id'] == null ? [] : rows, limit, toSummary);
}

function rowAtVersion(orgId: string, { projectId, id }: EnvironmentRef, version: number) {
  return { org_id: orgId, project_id: projectId, id, version };
}

function atVersion({ projectId, id }: EnvironmentRef, version: number): Diagnosis<'not_found' | 'stale'> {
  return {
    projectId,
    environmentId: id,
    verdict: ({ environment }) =>
      environment === null ? 'not_found' : environment.version === version ? null : 'stale',
  };
}

function holdEnvironment<Guard extends string>(
  orgId: string,
  { projectId, id }: EnvironmentRef,
  guard: Guard,
): Step<Guard> {
  return {
    do: 'hold',
    table: 'environments',
    stays: 'undeleted',
    where: { org_id: orgId, project_id: projectId, id },
    else: guard,
  };
}
