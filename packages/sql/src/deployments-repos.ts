/** Repositories in SQL: first the statements that their methods send, then the methods. */
import type { DeploymentRepository } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { forgetApps } from './data-keys.ts';
import { forgetEnvironments } from './deployments-owners.ts';
import { atVersion, registrationOf, repoColumns, repoRow, toRepo } from './deployments-rows.ts';
import type { Dialect } from './dialect.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function repoStatements(dialect: Dialect) {
  const { table, after } = dialect;
  const columns = repoColumns(dialect);
  const repos = `${table('repos')} r`;
  const statement = (name: string, text: string) => compile(dialect, `deployments.${name}`, text);
  const withKey = (name: string, which: string) =>
    statement(
      name,
      `SELECT ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${repos} ON r.org_id = :org::text AND ${which}`,
    );
  const list = (name: string, ...which: readonly string[]) =>
    statement(
      name,
      `SELECT ${columns} FROM ${repos} WHERE ${['r.org_id = :org::text', ...which].join(' AND ')}
      ORDER BY r.provider, r.name_key LIMIT :limit::integer`,
    );

  return {
    get: withKey('getRepo', 'r.id = :id::uuid'),
    getByName: withKey('getRepoByName', 'r.provider = :provider::text AND r.name_key = :name::text'),
    list: list('listRepos'),
    listFurther: list(
      'listRepos+further',
      after(['r.provider', 'r.name_key'], [':afterProvider::text', ':afterName::text']),
    ),
  };
}

type RepoMethods = Pick<
  DeploymentRepository,
  'getRepoByName' | 'createRepo' | 'writeRepo' | 'getRepo' | 'listRepos' | 'deleteRepo'
>;

export function sqlRepos(session: Session, statements: ReturnType<typeof repoStatements>): RepoMethods {
  return {
    getRepoByName: (orgId, provider, nameKey, keyId) =>
      answer(async () => {
        const given = { org: orgId, provider, name: nameKey, key: keyId ?? null };
        const row = (await read(session, statements.getByName, given))[0]!;
        return { found: row['r_id'] == null ? null : toRepo(row), key: toKey(row) };
      }),

    /** repository → journal. */
    createRepo: ({ repo, change }) =>
      answer(() =>
        write<'stale'>(session, change, {
          name: planName('deployments.createRepo', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'insert',
              table: 'repos',
              rows: [repoRow(change.orgId, repo)],
              violations: { vivarium_repo_name: 'stale' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        }),
      ),

    /** repository → journal. */
    writeRepo: ({ repo, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('deployments.writeRepo', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'repos',
              set: registrationOf(repo),
              where: { org_id: change.orgId, id: repo.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion('repos', repo, expectedVersion),
        }),
      ),

    getRepo: (orgId, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.get, { org: orgId, id, key: keyId ?? null }))[0]!;
        return { found: row['r_id'] == null ? null : toRepo(row), key: toKey(row) };
      }),

    listRepos: (orgId, { limit, after }) =>
      answer(async () => {
        const page = { org: orgId, limit: limit + 1 };
        const rows =
          after === null
            ? await read(session, statements.list, page)
            : await read(session, statements.listFurther, {
                ...page,
                afterProvider: after.provider,
                afterName: after.nameKey,
              });
        return pageOf(rows, limit, toRepo);
      }),

    /** repository → data keys of its apps → where it is deployed to, unless a preview there has a runtime → the repository, and with it its apps (cascade) → journal. */
    deleteRepo: ({ repo, change }) =>
      answer(() =>
        write<'not_found' | 'stale' | 'has_live_previews'>(session, change, {
          name: planName('deployments.deleteRepo', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'hold',
              table: 'repos',
              stays: 'ours',
              where: { org_id: change.orgId, id: repo.id, version: repo.version },
              else: 'stale',
            },
            forgetApps(change.orgId, { repo_id: repo.id }),
            forgetEnvironments(change.orgId, { repo_id: repo.id }),
            {
              do: 'delete',
              table: 'repos',
              where: { org_id: change.orgId, id: repo.id, version: repo.version },
              rows: 1,
              else: 'stale',
              violations: { vivarium_preview_runtime: 'has_live_previews' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion('repos', repo, repo.version),
        }),
      ),
  };
}
