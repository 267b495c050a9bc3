/** Failures of builds in SQL: first the statements that their methods send, then the methods. */
import type { BuildRepository } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { failureColumns, resolutionOf, toFailure } from './builds-rows.ts';
import type { Dialect } from './dialect.ts';
import { Filtered } from './filtered.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function failureStatements(dialect: Dialect) {
  const { table, before } = dialect;
  const columns = failureColumns(dialect);
  const failures = `${table('build_failures')} f`;
  const statement = (name: string, text: string) => compile(dialect, `builds.${name}`, text);
  const conditions = {
    resolved: 'f.resolved = :resolved::boolean',
    failureType: 'f.failure_type = :failureType::text',
    component: 'f.component = :component::text',
    after: before(['f.created_at', 'f.id'], [':afterTime::time', ':afterId::uuid']),
  };
  const page = (which: readonly string[]) =>
    `SELECT ${columns} FROM ${failures} WHERE ${['f.org_id = :org::text', ...which].join(' AND ')}
    ORDER BY f.created_at DESC, f.id DESC LIMIT :limit::integer`;

  return {
    list: new Filtered(conditions, (variant, asked) => statement(`listFailures${variant}`, page(asked))),

    /** At least one row for a build that exists, so that an empty page can be told from no build. */
    listOfBuild: new Filtered(conditions, (variant, asked) =>
      statement(
        `listFailures+build${variant}`,
        `SELECT p.* FROM ${table('builds')} b
          LEFT JOIN (${page(['f.build_id = :build::uuid', ...asked])}) p ON 1 = 1
        WHERE b.org_id = :org::text AND b.id = :build::uuid
        ORDER BY p.f_created_at DESC, p.f_id DESC`,
      ),
    ),

    getFailure: statement(
      'getFailure',
      `SELECT ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${failures} ON f.org_id = :org::text AND f.id = :id::uuid`,
    ),
  };
}

type FailureMethods = Pick<BuildRepository, 'listFailures' | 'getFailure' | 'resolveFailure'>;

export function sqlFailures(session: Session, statements: ReturnType<typeof failureStatements>): FailureMethods {
  return {
    listFailures: (orgId, { buildId, resolved, ...filter }, { limit, after }) =>
      answer(async () => {
        const list = buildId === undefined ? statements.list : statements.listOfBuild;
        const rows = await read(session, list.with({ ...filter, resolved, after }), {
          org: orgId,
          limit: limit + 1,
          ...filter,
          ...(buildId !== undefined && { build: buildId }),
          ...(resolved !== undefined && { resolved: resolved ? 1 : 0 }),
          ...(after && { afterTime: after.createdAt, afterId: after.id }),
        });
        if (buildId !== undefined && rows.length === 0) return null;
        return pageOf(rows[0]?.['f_id'] == null ? [] : rows, limit, toFailure);
      }),

    getFailure: (orgId, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.getFailure, { org: orgId, id, key: keyId ?? null }))[0]!;
        return { found: row['f_id'] == null ? null : toFailure(row), key: toKey(row) };
      }),

    /** failure, which is unresolved → journal. */
    resolveFailure: ({ failure, change }) =>
      answer(() =>
        write<'not_found' | 'resolved'>(session, change, {
          name: planName('builds.resolveFailure', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'build_failures',
              set: resolutionOf(failure, change.at),
              where: { org_id: change.orgId, id: failure.id, resolved: 0 },
              rows: 1,
              else: 'resolved',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            row: { table: 'build_failures', id: failure.id },
            verdict: ({ row }) => (row === null ? 'not_found' : Number(row['resolved']) === 1 ? 'resolved' : null),
          },
        }),
      ),
  };
}
