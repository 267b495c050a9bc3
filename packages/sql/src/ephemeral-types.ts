/** Environment types in SQL: first the statements that their methods send, then the methods. */
import type {
  EphemeralRepository,
  SecretDefinition,
  StateChangeAction,
  StateChangeType,
  StoredType,
} from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { forgetScope } from './data-keys.ts';
import type { Dialect } from './dialect.ts';
import { summaryOfTypeColumns, toType, toTypeSummary, typeColumns } from './ephemeral-rows.ts';
import type { Diagnosis, NewRow, Step } from './plan.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function typeStatements(dialect: Dialect) {
  const { table } = dialect;
  const statement = (name: string, text: string) => compile(dialect, `ephemeral.${name}`, text);

  return {
    getType: statement(
      'getType',
      `SELECT ${typeColumns(dialect)}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${table('ephemeral_environment_types')} t ON t.org_id = :org::text AND t.id = :id::uuid`,
    ),

    /** Those that are deleted have no live name. */
    listTypes: statement(
      'listTypes',
      `SELECT ${summaryOfTypeColumns(dialect)} FROM ${table('ephemeral_environment_types')} t
      WHERE t.org_id = :org::text AND t.live_name_key > :after::text
      ORDER BY t.live_name_key LIMIT :limit::integer`,
    ),
  };
}

type TypeMethods = Pick<EphemeralRepository, 'createType' | 'getType' | 'listTypes' | 'writeType'>;

export function sqlTypes(session: Session, statements: ReturnType<typeof typeStatements>): TypeMethods {
  return {
    /** type → actions → secret definitions → journal. */
    createType: ({ type, change }) =>
      answer(() => {
        const actions = type.actions.map((action) => actionRow(change.orgId, type.id, action));
        const secrets = type.secrets.map((secret) => definitionRow(change.orgId, type.id, secret));
        return write<'name_taken'>(session, change, {
          name: planName('ephemeral.createType', change, `${actions.length}`, `${secrets.length}`),
          orgId: change.orgId,
          steps: [
            {
              do: 'insert',
              table: 'ephemeral_environment_types',
              rows: [typeRow(change.orgId, type)],
              violations: { vivarium_type_name: 'name_taken' },
            },
            ...(isFilled(actions) ? [{ do: 'insert', table: 'state_change_actions', rows: actions } as const] : []),
            ...(isFilled(secrets)
              ? [{ do: 'insert', table: 'ephemeral_secret_definitions', rows: secrets } as const]
              : []),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        });
      }),

    getType: (orgId, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.getType, { org: orgId, id, key: keyId ?? null }))[0]!;
        return { found: row['t_id'] == null ? null : toType(row), key: toKey(row) };
      }),

    listTypes: (orgId, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.listTypes, { org: orgId, after: after ?? '', limit: limit + 1 });
        return pageOf(rows, limit, toTypeSummary);
      }),

    /** type → its action or secret definition → journal. One that is deleted has no live instance, and its data keys go with it. */
    writeType: ({ type, expectedVersion, action, secret, change }) =>
      answer(() => {
        const { orgId } = change;
        const deleted = type.state === 'deleted';
        return write<'not_found' | 'stale' | 'name_taken' | 'has_instances'>(session, change, {
          name: planName(
            'ephemeral.writeType',
            change,
            ...(deleted ? ['delete'] : []),
            ...(action === undefined ? [] : ['put' in action ? 'putAction' : 'removeAction']),
            ...(secret === undefined ? [] : ['put' in secret ? 'putSecret' : 'removeSecret']),
          ),
          orgId,
          steps: [
            {
              do: 'update',
              table: 'ephemeral_environment_types',
              set: { ...settingsOf(type), version: type.version, updated_at: type.updatedAt },
              where: { org_id: orgId, id: type.id, version: expectedVersion, ...(deleted && { live_count: 0 }) },
              rows: 1,
              else: 'stale',
              violations: { vivarium_type_name: 'name_taken' },
            },
            ...(action === undefined ? [] : actionSteps(orgId, type.id, action)),
            ...(secret === undefined ? [] : definitionSteps(orgId, type.id, secret)),
            ...(deleted ? [forgetScope(orgId, { type: 'environment_type', id: type.id })] : []),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion(type, expectedVersion),
        });
      }),
  };
}

function atVersion(
  { id, state }: StoredType,
  expectedVersion: number,
): Diagnosis<'not_found' | 'stale' | 'has_instances'> {
  return {
    projectId: null,
    environmentId: null,
    typeId: id,
    verdict({ type }) {
      if (type === null) return 'not_found';
      if (type.version !== expectedVersion) return 'stale';
      return state === 'deleted' && type.liveInstances > 0 ? 'has_instances' : null;
    },
  };
}

/** Takes the place of the one for this kind of change, whether there is one or not: the type's version has said who may. */
function actionSteps(
  orgId: string,
  typeId: string,
  patch: { readonly put: StateChangeAction } | { readonly remove: StateChangeType },
): readonly Step<never>[] {
  const kind = 'put' in patch ? patch.put.stateChangeType : patch.remove;
  const where = { org_id: orgId, environment_type_id: typeId, state_change_type: kind };
  const remove: Step<never> = { do: 'delete', table: 'state_change_actions', where, rows: 'any' };
  if ('remove' in patch) return [remove];
  return [remove, { do: 'insert', table: 'state_change_actions', rows: [actionRow(orgId, typeId, patch.put)] }];
}

function definitionSteps(
  orgId: string,
  typeId: string,
  patch: { readonly put: SecretDefinition } | { readonly remove: string },
): readonly Step<never>[] {
  const name = 'put' in patch ? patch.put.name : patch.remove;
  const where = { org_id: orgId, environment_type_id: typeId, name };
  const remove: Step<never> = { do: 'delete', table: 'ephemeral_secret_definitions', where, rows: 'any' };
  if ('remove' in patch) return [remove];
  const row = definitionRow(orgId, typeId, patch.put);
  return [remove, { do: 'insert', table: 'ephemeral_secret_definitions', rows: [row] }];
}

function typeRow(orgId: string, type: StoredType): NewRow<'ephemeral_environment_types'> {
  return {
    id: type.id,
    org_id: orgId,
    ...settingsOf(type),
    live_count: 0,
    created_by_type: type.createdBy.type,
    created_by: type.createdBy.id,
    version: type.version,
    created_at: type.createdAt,
    updated_at: type.updatedAt,
  };
}

function settingsOf(type: StoredType) {
  return {
    name: type.name,
    name_key: type.nameKey,
    live_name_key: type.state === 'deleted' ? null : type.nameKey,
    description: type.description,
    state: type.state,
    max_number_of_instances: type.maxNumberOfInstances,
    ttl_ms: type.ttlMs,
    max_ttl_ms: type.maxTtlMs,
    sleep_after_ms: type.sleepAfterMs,
    change_timeout_ms: type.changeTimeoutMs,
    last_modified_by_type: type.lastModifiedBy.type,
    last_modified_by: type.lastModifiedBy.id,
  };
}

function actionRow(orgId: string, typeId: string, action: StateChangeAction): NewRow<'state_change_actions'> {
  return {
    id: action.id,
    org_id: orgId,
    environment_type_id: typeId,
    state_change_type: action.stateChangeType,
    project_id: action.projectId,
    branch: action.branch,
    pipeline_yaml_name: action.pipelineYamlName,
    created_at: action.createdAt,
    updated_at: action.updatedAt,
  };
}

function definitionRow(
  orgId: string,
  typeId: string,
  secret: SecretDefinition,
): NewRow<'ephemeral_secret_definitions'> {
  return {
    id: secret.id,
    org_id: orgId,
    environment_type_id: typeId,
    name: secret.name,
    description: secret.description,
    actions_that_can_change_the_secret: JSON.stringify(secret.writableBy),
    actions_that_have_access_to_the_secret: JSON.stringify(secret.readableBy),
    created_at: secret.createdAt,
    updated_at: secret.updatedAt,
  };
}

function isFilled<T>(rows: readonly T[]): rows is readonly [T, ...T[]] {
  return rows.length > 0;
}
