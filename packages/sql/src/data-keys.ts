/** The port of data keys in SQL: first the statements that its methods send, then the methods. */
import type { DataKeyRepository, KeyScope, StoredDataKey } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { columnsOf } from './columns.ts';
import type { Dialect, Row } from './dialect.ts';
import type { Step } from './plan.ts';
import { pageOf, read } from './read.ts';
import { compile } from './statement.ts';
import { writeIf, writeUnless } from './write.ts';
import type { Session } from './write.ts';

export function dataKeyStatements(dialect: Dialect) {
  const select = `SELECT ${columnsOf(dialect, 'data_keys', 'd')} FROM ${dialect.table('data_keys')} d`;
  const scoped = `${select} WHERE d.org_id = :org::text AND d.scope_type = :type::text AND d.scope_id = :scope::uuid`;
  const statement = (name: string, text: string) => compile(dialect, `dataKeys.${name}`, text);

  return {
    newest: statement('newest', `${scoped} ORDER BY d.generation DESC LIMIT 1`),
    get: statement('get', `${scoped} AND d.id = :id::uuid`),
    ofScope: statement('ofScope', `${scoped} ORDER BY d.generation`),
    project: statement(
      'project',
      `SELECT p.id FROM ${dialect.table('projects')} p WHERE p.org_id = :org::text AND p.id = :id::uuid`,
    ),
    app: statement(
      'app',
      `SELECT a.id FROM ${dialect.table('apps')} a WHERE a.org_id = :org::text AND a.id = :id::uuid`,
    ),
    environment_type: statement(
      'type',
      `SELECT t.id FROM ${dialect.table('ephemeral_environment_types')} t
      WHERE t.org_id = :org::text AND t.id = :id::uuid AND t.state <> 'deleted'`,
    ),
    list: statement('list', `${select} WHERE d.org_id = :org::text ORDER BY d.id LIMIT :limit::integer`),
    listFurther: statement(
      'listFurther',
      `${select} WHERE d.org_id = :org::text AND d.id > :after::uuid ORDER BY d.id LIMIT :limit::integer`,
    ),
  };
}

export function sqlDataKeys(session: Session, statements: ReturnType<typeof dataKeyStatements>): DataKeyRepository {
  return {
    newest: (orgId, scope) =>
      answer(async () => {
        const [row] = await read(session, statements.newest, of(orgId, scope));
        return row === undefined ? null : toDataKey(row);
      }),

    get: (orgId, scope, id) =>
      answer(async () => {
        const [row] = await read(session, statements.get, { ...of(orgId, scope), id });
        return row === undefined ? null : toDataKey(row);
      }),

    add: (orgId, key) =>
      answer(async () => {
        const refused = await writeUnless<'taken' | 'not_found'>(session, {
          name: `dataKeys.add+${key.scope.type}`,
          orgId,
          steps: [
            holdOwner(orgId, key.scope),
            { ...insertKey(orgId, key), violations: { vivarium_data_key: 'taken' } },
          ],
          key: null,
          diagnosis: null,
        });
        return refused ?? 'added';
      }),

    /**
     * A key that was added at the very moment its owner was deleted may be left: on PostgreSQL the deletion sees the keys that were there when it
     * began. It sealed nothing, and here is where it goes.
     */
    rewrap: (orgId, { id, scope, wrapped, wrappedBy, version, updatedAt }) =>
      answer(async () => {
        const done = await writeIf(session, {
          name: `dataKeys.rewrap+${scope.type}`,
          orgId,
          steps: [
            holdOwner(orgId, scope),
            {
              do: 'update',
              table: 'data_keys',
              set: { wrapped, wrapped_by: wrappedBy, version, updated_at: updatedAt },
              where: { ...rowsOf(orgId, scope), id, version: version - 1 },
              rows: 1,
              else: 'stale',
            },
          ],
          key: null,
          diagnosis: null,
        });
        if (!done && !(await isOwned(orgId, scope))) await remove(orgId, scope, id);
        return done;
      }),

    ofScope: (orgId, scope) =>
      answer(async () => (await read(session, statements.ofScope, of(orgId, scope))).map(toDataKey)),

    list: (orgId, { limit, after }) =>
      answer(async () => {
        const page = { org: orgId, limit: limit + 1 };
        const rows =
          after === null
            ? await read(session, statements.list, page)
            : await read(session, statements.listFurther, { ...page, after });
        return pageOf(rows, limit, toDataKey);
      }),

    remove: (orgId, scope, id) => answer(() => remove(orgId, scope, id)),
  };

  async function remove(orgId: string, scope: KeyScope, id: string): Promise<void> {
    const where = { ...rowsOf(orgId, scope), id };
    await writeIf(session, {
      name: 'dataKeys.remove',
      orgId,
      steps: [{ do: 'delete', table: 'data_keys', where, rows: 'any' }],
      key: null,
      diagnosis: null,
    });
  }

  async function isOwned(orgId: string, { type, id }: KeyScope): Promise<boolean> {
    return (await read(session, statements[type], { org: orgId, id })).length > 0;
  }
}

/** What a key is for is there, and stays until the key is written. */
function holdOwner(orgId: string, { type, id }: KeyScope): Step<'not_found'> {
  const where = { org_id: orgId, id };
  switch (type) {
    case 'project':
      return { do: 'hold', table: 'projects', stays: 'undeleted', where, else: 'not_found' };
    case 'app':
      return { do: 'hold', table: 'apps', stays: 'undeleted', where, else: 'not_found' };
    case 'environment_type': {
      const table = 'ephemeral_environment_types';
      const there = { ...where, state: { '<>': 'deleted' } };
      return { do: 'hold', table, stays: 'unchanged', where: there, else: 'not_found' };
    }
  }
}

/** A data key as a row of its own; also part of making what it is for. */
export function insertKey(orgId: string, key: StoredDataKey) {
  return {
    do: 'insert',
    table: 'data_keys',
    rows: [
      {
        ...rowsOf(orgId, key.scope),
        generation: key.generation,
        id: key.id,
        wrapped: key.wrapped,
        wrapped_by: key.wrappedBy,
        commitment: key.commitment,
        version: key.version,
        created_at: key.createdAt,
        updated_at: key.updatedAt,
      },
    ],
  } as const satisfies Step<never>;
}

/** Part of deleting what the keys are for: nothing that they sealed can be read again, also not from a backup of the rows. */
export function forgetScope(orgId: string, scope: KeyScope): Step<never> {
  return { do: 'delete', table: 'data_keys', where: rowsOf(orgId, scope), rows: 'any' };
}

/**
 * Part of deleting a project or a repository, whose apps go with it: forgets the keys of all of them. Comes before the deletion, which takes away what says
 * whose keys these are.
 */
export function forgetApps(
  orgId: string,
  of: { readonly project_id: string } | { readonly repo_id: string },
): Step<never> {
  return {
    do: 'delete',
    table: 'data_keys',
    where: { org_id: orgId, scope_type: 'app' },
    of: { column: 'scope_id', table: 'apps', where: { org_id: orgId, ...of } },
    rows: 'any',
  };
}

function rowsOf(orgId: string, { type, id }: KeyScope) {
  return { org_id: orgId, scope_type: type, scope_id: id };
}

function of(orgId: string, { type, id }: KeyScope) {
  return { org: orgId, type, scope: id };
}

function toDataKey(row: Row): StoredDataKey {
  return {
    id: row['d_id'] as string,
    scope: { type: row['d_scope_type'] as KeyScope['type'], id: row['d_scope_id'] as string },
    generation: Number(row['d_generation']),
    wrapped: row['d_wrapped'] as string,
    wrappedBy: row['d_wrapped_by'] as string,
    commitment: row['d_commitment'] as string,
    version: Number(row['d_version']),
    createdAt: new Date(row['d_created_at'] as string),
    updatedAt: new Date(row['d_updated_at'] as string),
  };
}
