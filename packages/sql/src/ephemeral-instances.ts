/** Instances in SQL: first the statements that their methods send, then the methods. */
import { finalStates } from '@vivarium/core/storage';
import type { Change, EphemeralRepository, InstanceFacts, StoredInstance } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect, Row } from './dialect.ts';
import { changeColumns, instanceColumns, toChange, toInstance, toType, typeColumns } from './ephemeral-rows.ts';
import type { Conditions, Diagnosis, Step } from './plan.ts';
import { firstId, pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function instanceStatements(dialect: Dialect) {
  const { table, after, later } = dialect;
  const columns = instanceColumns(dialect);
  const facts = `${columns}, ${typeColumns(dialect)}, ${changeColumns(dialect)}`;
  const types = `${table('ephemeral_environment_types')} t`;
  const instances = `${table('ephemeral_environment_instances')} i`;
  const changes = `${table('instance_state_changes')} c`;
  const statement = (name: string, text: string) => compile(dialect, `ephemeral.${name}`, text);

  /**
   * At least one row for a type that exists, so that an empty page can be told from no type. The page is cut out by itself, in the order of an
   * index, before it meets the type.
   */
  const list = (name: string, ...which: readonly string[]) =>
    statement(
      name,
      `SELECT p.* FROM ${types}
        LEFT JOIN (
          SELECT ${columns} FROM ${instances}
          WHERE ${['i.org_id = :org::text', 'i.environment_type_id = :type::uuid', ...which].join(' AND ')}
          ORDER BY i.name_key, i.id LIMIT :limit::integer
        ) p ON 1 = 1
      WHERE t.org_id = :org::text AND t.id = :type::uuid
      ORDER BY p.i_name_key, p.i_id`,
    );
  const inState = 'i.state = :state::text';
  const further = after(['i.name_key', 'i.id'], [':afterName::text', ':afterId::uuid']);

  return {
    getInstance: statement(
      'getInstance',
      `SELECT ${columns} FROM ${instances} WHERE i.org_id = :org::text AND i.id = :id::uuid`,
    ),

    lists: {
      all: list('listInstances'),
      allFurther: list('listInstances+further', further),
      inState: list('listInstances+state', inState),
      inStateFurther: list('listInstances+state+further', inState, further),
    },

    facts: statement(
      'facts',
      `SELECT ${facts}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${instances} ON i.org_id = :org::text AND i.id = :id::uuid
        LEFT JOIN ${types} ON t.id = i.environment_type_id
        LEFT JOIN ${changes} ON c.id = i.pending_change_id`,
    ),

    due: statement(
      'due',
      `SELECT ${facts}
      FROM ${instances}
        JOIN ${types} ON t.id = i.environment_type_id
        LEFT JOIN ${changes} ON c.id = i.pending_change_id
      WHERE i.org_id = :org::text AND i.ended_at IS NULL AND i.id > :after::uuid
        AND (
          c.deadline <= :now::time
          OR (c.accepted_at IS NULL AND (c.created_at <= :acceptedBy::time OR c.token_hashes = '[]'))
          OR (c.id IS NULL AND i.expires_at <= :now::time
            AND i.needs_attention = 0 AND (i.sweep_after IS NULL OR i.sweep_after <= :now::time))
          OR (c.id IS NULL AND i.state IN ('ready_to_use', 'in_use')
            AND ${later('i.last_active_at', 't.sleep_after_ms')} <= :now::time)
        )
      ORDER BY i.id LIMIT :limit::integer`,
    ),
  };
}

type InstanceMethods = Pick<
  EphemeralRepository,
  'createInstance' | 'getInstance' | 'listInstances' | 'facts' | 'writeInstance' | 'removeInstance' | 'due'
>;

export function sqlInstances(session: Session, statements: ReturnType<typeof instanceStatements>): InstanceMethods {
  return {
    /** type, whose count carries the capacity → instance → journal. */
    createInstance: ({ instance, change }) =>
      answer(() =>
        write<'not_found' | 'type_not_ready' | 'capacity_reached' | 'name_taken'>(session, change, {
          name: planName('ephemeral.createInstance', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'ephemeral_environment_types',
              set: { live_count: { plus: 1 } },
              where: {
                org_id: change.orgId,
                id: instance.typeId,
                state: 'ready',
                live_count: { below: 'max_number_of_instances' },
              },
              rows: 1,
              else: 'capacity_reached',
            },
            {
              do: 'insert',
              table: 'ephemeral_environment_instances',
              rows: [
                {
                  id: instance.id,
                  org_id: change.orgId,
                  environment_type_id: instance.typeId,
                  name: instance.name,
                  name_key: instance.nameKey,
                  live_name_key: instance.nameKey,
                  ...stateOf(instance),
                  created_at: instance.createdAt,
                },
              ],
              violations: { vivarium_instance_name: 'name_taken' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            projectId: null,
            environmentId: null,
            typeId: instance.typeId,
            verdict({ type }) {
              if (type === null) return 'not_found';
              if (type.state !== 'ready') return 'type_not_ready';
              return type.maximum !== null && type.liveInstances >= type.maximum ? 'capacity_reached' : null;
            },
          },
        }),
      ),

    getInstance: (orgId, id) =>
      answer(async () => {
        const [row] = await read(session, statements.getInstance, { org: orgId, id });
        return row === undefined ? null : toInstance(row);
      }),

    listInstances: (orgId, { typeId, state }, { limit, after }) =>
      answer(async () => {
        const { all, allFurther, inState, inStateFurther } = statements.lists;
        const list = state === undefined ? (after ? allFurther : all) : after ? inStateFurther : inState;
        const rows = await read(session, list, {
          org: orgId,
          type: typeId,
          limit: limit + 1,
          ...(state !== undefined && { state }),
          ...(after && { afterName: after.nameKey, afterId: after.id }),
        });
        if (rows.length === 0) return null;
        return pageOf(rows[0]!['i_id'] == null ? [] : rows, limit, toInstance);
      }),

    facts: (orgId, instanceId, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.facts, { org: orgId, id: instanceId, key: keyId ?? null }))[0]!;
        return { found: row['i_id'] == null ? null : toFacts(row), key: toKey(row) };
      }),

    /** instance → journal; and as `replaceInstance` says where it ends. */
    writeInstance: ({ instance, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('ephemeral.writeInstance', change, ...endVariant(instance)),
          orgId: change.orgId,
          steps: [...replaceInstance(change, instance, { version: expectedVersion }), ...journalSteps(change)],
          key: change.key,
          diagnosis: unchanged(instance, expectedVersion),
        }),
      ),

    /** instance, and with it its changes (cascade) → journal. One that lives has a place in its type's count and cannot go. */
    removeInstance: ({ instance, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('ephemeral.removeInstance', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'delete',
              table: 'ephemeral_environment_instances',
              where: {
                org_id: change.orgId,
                id: instance.id,
                version: instance.version,
                live_name_key: { present: false },
              },
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: unchanged(instance, instance.version, ({ live }) => !live),
        }),
      ),

    due: (orgId, { now, acceptedBy, limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.due, {
          org: orgId,
          now,
          acceptedBy,
          limit,
          after: after ?? firstId,
        });
        return rows.map(toFacts);
      }),
  };
}

function toFacts(row: Row): InstanceFacts {
  return { instance: toInstance(row), type: toType(row), pending: row['c_id'] == null ? null : toChange(row) };
}

/**
 * The steps that replace an instance where it is still as `where` says. One that ends gives its place and its name free and loses its secrets.
 * `between` are steps for the rows below it.
 *
 * The type comes first, as it does for whoever creates an instance. Ending the instance first would deadlock with somebody who creates another one of its name:
 * they hold the type, and wait to see whether the name becomes free.
 */
export function replaceInstance(
  change: Change,
  instance: StoredInstance,
  where: Conditions<'ephemeral_environment_instances'>,
  between: readonly Step<'stale'>[] = [],
): readonly Step<'stale'>[] {
  const { orgId } = change;
  const table = 'ephemeral_environment_instances';
  const set = stateOf(instance);
  const there = { org_id: orgId, id: instance.id, ...where };
  if (!finalStates.has(instance.state)) {
    return [{ do: 'update', table, set, where: there, rows: 1, else: 'stale' }, ...between];
  }
  return [
    {
      do: 'update',
      table: 'ephemeral_environment_types',
      set: { live_count: { plus: -1 } },
      // With none that lives, this one has ended.
      where: { org_id: orgId, id: instance.typeId, live_count: { '>': 0 } },
      rows: 1,
      else: 'stale',
    },
    {
      do: 'update',
      table,
      set: { ...set, live_name_key: null },
      where: { ...there, live_name_key: { present: true } },
      rows: 1,
      else: 'stale',
    },
    ...between,
    {
      do: 'delete',
      table: 'ephemeral_secret_instances',
      where: { org_id: orgId, instance_id: instance.id },
      rows: 'any',
    },
  ];
}

/** What makes the shape of a plan that may end an instance. */
export function endVariant({ state }: StoredInstance): readonly string[] {
  return finalStates.has(state) ? ['end'] : [];
}

/** Everything about an instance that changes. */
function stateOf(instance: StoredInstance) {
  return {
    state: instance.state,
    pending_change_id: instance.pendingChangeId,
    change_sequence: instance.changeSequence,
    slept_from: instance.sleptFrom,
    expires_at: instance.expiresAt,
    last_active_at: instance.lastActiveAt,
    sweep_failures: instance.sweepFailures,
    sweep_after: instance.sweepAfter,
    needs_attention: instance.needsAttention ? 1 : 0,
    note: instance.note,
    ended_at: instance.endedAt,
    version: instance.version,
    updated_at: instance.updatedAt,
  };
}

type FoundInstance = { readonly pendingChangeId: string | null; readonly live: boolean };

/** The verdict on an instance that had to be there at a version, and what else had to hold for it. */
export function unchanged(
  { id, state }: StoredInstance,
  version: number,
  holds: (instance: FoundInstance) => boolean = ({ live }) => live || !finalStates.has(state),
): Diagnosis<'not_found' | 'stale'> {
  return {
    projectId: null,
    environmentId: null,
    instanceId: id,
    verdict: ({ instance }) =>
      instance === null ? 'not_found' : instance.version === version && holds(instance) ? null : 'stale',
  };
}
