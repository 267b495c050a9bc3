/** Project environments in SQL: first the statements that their methods send, then the methods. */
import type {
  DeploymentRepository,
  NamedPosition,
  PageRequest,
  ProjectEnvironmentFilter,
} from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { holdOwners } from './deployments-owners.ts';
import {
  atVersion,
  deploymentColumns,
  projectEnvironmentColumns,
  projectEnvironmentRow,
  standingOf,
  toListed,
  toProjectEnvironment,
} from './deployments-rows.ts';
import type { Dialect } from './dialect.ts';
import { Filtered } from './filtered.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function projectEnvironmentStatements(dialect: Dialect) {
  const { table, after } = dialect;
  const columns = projectEnvironmentColumns(dialect);
  const environments = `${table('project_environments')} e`;
  const statement = (name: string, text: string) => compile(dialect, `deployments.${name}`, text);
  const key = `LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text`;
  const named = `e.org_id = :org::text AND e.project_id = :project::uuid AND e.repo_id = :repo::uuid
    AND e.environment = :environment::text`;

  return {
    ensureFacts: statement(
      'ensureFacts',
      `SELECT p.id AS project_id, r.id AS repo_id, ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${table('projects')} p ON p.org_id = :org::text AND p.id = :project::uuid
        LEFT JOIN ${table('repos')} r ON r.org_id = :org::text AND r.id = :repo::uuid
        LEFT JOIN ${environments} ON ${named}`,
    ),

    get: statement(
      'getEnvironment',
      `SELECT ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${environments} ON e.org_id = :org::text AND e.id = :id::uuid`,
    ),

    getByName: statement('getEnvironmentByName', `SELECT ${columns} FROM ${environments} WHERE ${named}`),

    /** The page is cut out by itself, in the order of an index, before it meets the deployments. */
    list: new Filtered(
      {
        projectId: 'e.project_id = :projectId::uuid',
        repoId: 'e.repo_id = :repoId::uuid',
        type: 'e.type = :type::text',
        branch: 'e.branch = :branch::text',
        after: after(['e.environment', 'e.id'], [':afterName::text', ':afterId::uuid']),
      },
      (variant, asked) =>
        statement(
          `listEnvironments${variant}`,
          `SELECT ${columns}, ${deploymentColumns(dialect)}
          FROM (
            SELECT e.* FROM ${environments} WHERE ${['e.org_id = :org::text', ...asked].join(' AND ')}
            ORDER BY e.environment, e.id LIMIT :limit::integer
          ) e LEFT JOIN ${table('deployments')} d ON d.id = e.latest_deployment
          ORDER BY e.environment, e.id`,
        ),
    ),
  };
}

type ProjectEnvironmentMethods = Pick<
  DeploymentRepository,
  | 'ensureFacts'
  | 'createEnvironment'
  | 'writeEnvironment'
  | 'getEnvironment'
  | 'getEnvironmentByName'
  | 'listByBranch'
  | 'listEnvironments'
  | 'deleteEnvironment'
>;

export function sqlProjectEnvironments(
  session: Session,
  statements: ReturnType<typeof projectEnvironmentStatements>,
): ProjectEnvironmentMethods {
  const list = (
    orgId: string,
    filter: ProjectEnvironmentFilter & { readonly branch?: string },
    { limit, after }: PageRequest<NamedPosition>,
  ) =>
    answer(async () => {
      const rows = await read(session, statements.list.with({ ...filter, after }), {
        org: orgId,
        limit: limit + 1,
        ...filter,
        ...(after && { afterName: after.name, afterId: after.id }),
      });
      return pageOf(rows, limit, toListed);
    });

  return {
    ensureFacts: (orgId, { projectId, repoId, environment }, keyId) =>
      answer(async () => {
        const given = { org: orgId, project: projectId, repo: repoId, environment, key: keyId ?? null };
        const row = (await read(session, statements.ensureFacts, given))[0]!;
        return {
          project: row['project_id'] != null,
          repo: row['repo_id'] != null,
          environment: row['e_id'] == null ? null : toProjectEnvironment(row),
          key: toKey(row),
        };
      }),

    /** project and repository, which stay → environment → journal. Of two with one name, the unique constraint takes one. */
    createEnvironment: ({ environment, change }) =>
      answer(() =>
        write<'stale' | 'gone'>(session, change, {
          name: planName('deployments.createEnvironment', change),
          orgId: change.orgId,
          steps: [
            ...holdOwners(change.orgId, environment),
            {
              do: 'insert',
              table: 'project_environments',
              rows: [projectEnvironmentRow(change.orgId, environment)],
              violations: {
                vivarium_project_environment_name: 'stale',
                vivarium_project_environment_project: 'gone',
                vivarium_project_environment_repo: 'gone',
              },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        }),
      ),

    /** environment → journal. */
    writeEnvironment: ({ environment, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('deployments.writeEnvironment', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'project_environments',
              set: standingOf(environment),
              where: { org_id: change.orgId, id: environment.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion('project_environments', environment, expectedVersion),
        }),
      ),

    getEnvironment: (orgId, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.get, { org: orgId, id, key: keyId ?? null }))[0]!;
        return { found: row['e_id'] == null ? null : toProjectEnvironment(row), key: toKey(row) };
      }),

    getEnvironmentByName: (orgId, { projectId, repoId, environment }) =>
      answer(async () => {
        const given = { org: orgId, project: projectId, repo: repoId, environment };
        const [row] = await read(session, statements.getByName, given);
        return row === undefined ? null : toProjectEnvironment(row);
      }),

    listByBranch: list,
    listEnvironments: list,

    /** environment, and with it its deployments (cascade) → journal. */
    deleteEnvironment: ({ environment, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('deployments.deleteEnvironment', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'delete',
              table: 'project_environments',
              where: { org_id: change.orgId, id: environment.id, version: environment.version },
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion('project_environments', environment, environment.version),
        }),
      ),
  };
}
