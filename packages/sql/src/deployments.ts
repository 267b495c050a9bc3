/**
 * The port of deployments in SQL: first the statements that its methods send, then the methods. Lock order everywhere: project → repository → app, or
 * project environment → its deployments.
 */
import { openDeploymentStatuses } from '@vivarium/core/storage';
import type { DeploymentRepository } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { appStatements, sqlApps } from './deployments-apps.ts';
import { projectEnvironmentStatements, sqlProjectEnvironments } from './deployments-environments.ts';
import { repoStatements, sqlRepos } from './deployments-repos.ts';
import {
  atVersion,
  deploymentColumns,
  deploymentIn,
  deploymentRow,
  moveOn,
  projectEnvironmentColumns,
  standingOf,
  toDeployment,
  toProjectEnvironment,
} from './deployments-rows.ts';
import type { Dialect } from './dialect.ts';
import { firstId, pageOf, read } from './read.ts';
import { keyColumns, toKey, toVariables } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function deploymentStatements(dialect: Dialect) {
  const { table, asText } = dialect;
  const columns = deploymentColumns(dialect);
  const deployments = `${table('deployments')} d`;
  const environments = `${table('project_environments')} e`;
  const statement = (name: string, text: string) => compile(dialect, `deployments.${name}`, text);
  const open = [...openDeploymentStatuses].map((status) => `'${status}'`).join(', ');
  const key = `LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text`;

  return {
    repos: repoStatements(dialect),
    apps: appStatements(dialect),
    environments: projectEnvironmentStatements(dialect),

    startFacts: statement(
      'startFacts',
      `SELECT ${projectEnvironmentColumns(dialect)}, c.id AS c_id, c.version AS c_version,
        ${asText('json', 'c.variables')} AS c_variables, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${environments} ON e.org_id = :org::text AND e.id = :id::uuid
        LEFT JOIN ${table('environments')} c ON c.org_id = :org::text AND c.id = :configuration::uuid
          AND c.project_id = e.project_id`,
    ),

    /** The deployment that is live is \`l\`. */
    facts: statement(
      'facts',
      `SELECT ${columns}, ${projectEnvironmentColumns(dialect)}, ${deploymentColumns(dialect, 'l')}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${deployments} ON d.org_id = :org::text AND d.id = :id::uuid
        LEFT JOIN ${environments} ON e.id = d.project_environment_id
        LEFT JOIN ${table('deployments')} l ON l.id = e.active_deployment`,
    ),

    get: statement('get', `SELECT ${columns} FROM ${deployments} WHERE d.org_id = :org::text AND d.id = :id::uuid`),

    latest: statement(
      'latest',
      `SELECT ${columns} FROM ${environments} LEFT JOIN ${deployments} ON d.id = e.latest_deployment
      WHERE e.org_id = :org::text AND e.id = :environment::uuid`,
    ),

    /** At least one row for an environment that exists, so that an empty page can be told from no environment. */
    history: statement(
      'history',
      `SELECT p.* FROM ${environments}
        LEFT JOIN (
          SELECT ${columns} FROM ${deployments}
          WHERE d.org_id = :org::text AND d.project_environment_id = :environment::uuid AND d.sequence < :before::integer
          ORDER BY d.sequence DESC LIMIT :limit::integer
        ) p ON 1 = 1
      WHERE e.org_id = :org::text AND e.id = :environment::uuid
      ORDER BY p.d_sequence DESC`,
    ),

    due: statement(
      'due',
      `SELECT ${columns} FROM ${deployments}
      WHERE d.org_id = :org::text AND d.status IN (${open}) AND d.id > :after::uuid
        AND d.deadline <= :now::time
      ORDER BY d.id LIMIT :limit::integer`,
    ),
  };
}

/** Behind every sequence. */
const newest = 2_147_483_647;

export function sqlDeployments(
  session: Session,
  statements: ReturnType<typeof deploymentStatements>,
): DeploymentRepository {
  return {
    ...sqlRepos(session, statements.repos),
    ...sqlApps(session, statements.apps),
    ...sqlProjectEnvironments(session, statements.environments),

    startFacts: (orgId, { projectEnvironmentId, configurationId }, keyId) =>
      answer(async () => {
        const given = { org: orgId, id: projectEnvironmentId, configuration: configurationId, key: keyId ?? null };
        const row = (await read(session, statements.startFacts, given))[0]!;
        return {
          found: row['e_id'] == null ? null : toProjectEnvironment(row),
          configuration:
            row['c_id'] == null
              ? null
              : {
                  version: Number(row['c_version']),
                  variables: toVariables(row['c_id'] as string, row['c_variables'] as string),
                },
          key: toKey(row),
        };
      }),

    facts: (orgId, deploymentId, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.facts, { org: orgId, id: deploymentId, key: keyId ?? null }))[0]!;
        const deployment = deploymentIn(row);
        return {
          found:
            deployment === null
              ? null
              : { deployment, environment: toProjectEnvironment(row), active: deploymentIn(row, 'l') },
          key: toKey(row),
        };
      }),

    /** environment → deployment → the one that it replaces → journal. */
    move: ({ environment, deployment, replaced, adds, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName(
            'deployments.move',
            change,
            ...(adds ? ['add'] : []),
            ...(replaced === null ? [] : ['replace']),
          ),
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
            adds
              ? { do: 'insert', table: 'deployments', rows: [deploymentRow(change.orgId, deployment)] }
              : moveOn(change.orgId, deployment),
            ...(replaced === null ? [] : [moveOn(change.orgId, replaced)]),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion('project_environments', environment, expectedVersion),
        }),
      ),

    get: (orgId, id) =>
      answer(async () => {
        const [row] = await read(session, statements.get, { org: orgId, id });
        return row === undefined ? null : toDeployment(row);
      }),

    latest: (orgId, projectEnvironmentId) =>
      answer(async () => {
        const [row] = await read(session, statements.latest, { org: orgId, environment: projectEnvironmentId });
        return { environment: row !== undefined, deployment: row === undefined ? null : deploymentIn(row) };
      }),

    history: (orgId, projectEnvironmentId, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.history, {
          org: orgId,
          environment: projectEnvironmentId,
          before: after ?? newest,
          limit: limit + 1,
        });
        if (rows.length === 0) return null;
        return pageOf(rows[0]!['d_id'] == null ? [] : rows, limit, (row) => toDeployment(row));
      }),

    due: (orgId, { now, limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.due, { org: orgId, now, limit, after: after ?? firstId });
        return rows.map((row) => toDeployment(row));
      }),
  };
}
