/** Apps in SQL: first the statements that their methods send, then the methods. */
import type { DeploymentRepository } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { forgetScope } from './data-keys.ts';
import { forgetEnvironments, holdOwners } from './deployments-owners.ts';
import { appColumns, appRow, atVersion, settingsOf, toApp } from './deployments-rows.ts';
import type { Dialect } from './dialect.ts';
import { Filtered } from './filtered.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function appStatements(dialect: Dialect) {
  const { table, after } = dialect;
  const columns = appColumns(dialect);
  const apps = `${table('apps')} a`;
  const statement = (name: string, text: string) => compile(dialect, `deployments.${name}`, text);
  const key = `LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text`;

  return {
    facts: statement(
      'appFacts',
      `SELECT p.id AS project_id, r.id AS repo_id, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${table('projects')} p ON p.org_id = :org::text AND p.id = :project::uuid
        LEFT JOIN ${table('repos')} r ON r.org_id = :org::text AND r.id = :repo::uuid`,
    ),

    get: statement(
      'getApp',
      `SELECT ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${apps} ON a.org_id = :org::text AND a.id = :id::uuid`,
    ),

    list: new Filtered(
      {
        projectId: 'a.project_id = :projectId::uuid',
        repoId: 'a.repo_id = :repoId::uuid',
        after: after(['a.name', 'a.id'], [':afterName::text', ':afterId::uuid']),
      },
      (variant, asked) =>
        statement(
          `listApps${variant}`,
          `SELECT ${columns} FROM ${apps} WHERE ${['a.org_id = :org::text', ...asked].join(' AND ')}
          ORDER BY a.name, a.id LIMIT :limit::integer`,
        ),
    ),
  };
}

type AppMethods = Pick<
  DeploymentRepository,
  'appFacts' | 'createApp' | 'getApp' | 'listApps' | 'writeApp' | 'deleteApp'
>;

export function sqlApps(session: Session, statements: ReturnType<typeof appStatements>): AppMethods {
  return {
    appFacts: (orgId, { projectId, repoId }, keyId) =>
      answer(async () => {
        const given = { org: orgId, project: projectId, repo: repoId, key: keyId ?? null };
        const row = (await read(session, statements.facts, given))[0]!;
        return { project: row['project_id'] != null, repo: row['repo_id'] != null, key: toKey(row) };
      }),

    /** project and repository, which stay → app → journal. Of two for one pair, the unique constraint takes one. */
    createApp: ({ app, change }) =>
      answer(() =>
        write<'exists' | 'gone'>(session, change, {
          name: planName('deployments.createApp', change),
          orgId: change.orgId,
          steps: [
            ...holdOwners(change.orgId, app),
            {
              do: 'insert',
              table: 'apps',
              rows: [appRow(change.orgId, app)],
              violations: { vivarium_app_pair: 'exists', vivarium_app_project: 'gone', vivarium_app_repo: 'gone' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        }),
      ),

    getApp: (orgId, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.get, { org: orgId, id, key: keyId ?? null }))[0]!;
        return { found: row['a_id'] == null ? null : toApp(row), key: toKey(row) };
      }),

    listApps: (orgId, filter, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.list.with({ ...filter, after }), {
          org: orgId,
          limit: limit + 1,
          ...filter,
          ...(after && { afterName: after.name, afterId: after.id }),
        });
        return pageOf(rows, limit, toApp);
      }),

    /** app → journal. */
    writeApp: ({ app, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('deployments.writeApp', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'apps',
              set: settingsOf(app),
              where: { org_id: change.orgId, id: app.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion('apps', app, expectedVersion),
        }),
      ),

    /** app → its data keys → the environments that it manages, unless a preview there has a runtime → the app, and with it its secrets (cascade) → journal. */
    deleteApp: ({ app, change }) =>
      answer(() =>
        write<'not_found' | 'stale' | 'has_live_previews'>(session, change, {
          name: planName('deployments.deleteApp', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'hold',
              table: 'apps',
              stays: 'ours',
              where: { org_id: change.orgId, id: app.id, version: app.version },
              else: 'stale',
            },
            forgetScope(change.orgId, { type: 'app', id: app.id }),
            forgetEnvironments(change.orgId, { managed_by: app.id }),
            {
              do: 'delete',
              table: 'apps',
              where: { org_id: change.orgId, id: app.id, version: app.version },
              rows: 1,
              else: 'stale',
              violations: { vivarium_preview_runtime: 'has_live_previews' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion('apps', app, app.version),
        }),
      ),
  };
}
