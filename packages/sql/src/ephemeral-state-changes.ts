/** Changes of instances' states in SQL: first the statements that their methods send, then the methods. */
import type { EphemeralRepository, StoredChange } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect } from './dialect.ts';
import { endVariant, replaceInstance, unchanged } from './ephemeral-instances.ts';
import { changeColumns, instanceColumns, toChange, toInstance, toType, typeColumns } from './ephemeral-rows.ts';
import type { NewRow } from './plan.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write, writeIf } from './write.ts';
import type { Session } from './write.ts';

/** Behind every sequence. */
const lastSequence = 2 ** 31 - 1;

export function stateChangeStatements(dialect: Dialect) {
  const { table } = dialect;
  const columns = changeColumns(dialect);
  const instances = `${table('ephemeral_environment_instances')} i`;
  const changes = `${table('instance_state_changes')} c`;
  const statement = (name: string, text: string) => compile(dialect, `ephemeral.${name}`, text);

  return {
    changeFacts: statement(
      'changeFacts',
      `SELECT ${columns}, ${instanceColumns(dialect)}, ${typeColumns(dialect)}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${changes} ON c.org_id = :org::text AND c.id = :id::uuid
        LEFT JOIN ${instances} ON i.id = c.instance_id
        LEFT JOIN ${table('ephemeral_environment_types')} t ON t.id = i.environment_type_id`,
    ),

    /** At least one row for an instance that exists, so that an empty page can be told from no instance. */
    listChanges: statement(
      'listChanges',
      `SELECT p.* FROM ${instances}
        LEFT JOIN (
          SELECT ${columns} FROM ${changes}
          WHERE c.org_id = :org::text AND c.instance_id = :instance::uuid AND c.sequence < :before::integer
          ORDER BY c.sequence DESC LIMIT :limit::integer
        ) p ON 1 = 1
      WHERE i.org_id = :org::text AND i.id = :instance::uuid
      ORDER BY p.c_sequence DESC`,
    ),
  };
}

type StateChangeMethods = Pick<
  EphemeralRepository,
  'startChange' | 'endChange' | 'acceptChange' | 'setTokens' | 'changeFacts' | 'listChanges'
>;

export function sqlStateChanges(
  session: Session,
  statements: ReturnType<typeof stateChangeStatements>,
): StateChangeMethods {
  return {
    /** instance, on which none is pending → change → journal. */
    startChange: ({ instance, stateChange, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('ephemeral.startChange', change),
          orgId: change.orgId,
          steps: [
            ...replaceInstance(change, instance, { version: expectedVersion, pending_change_id: { present: false } }),
            { do: 'insert', table: 'instance_state_changes', rows: [changeRow(change.orgId, stateChange)] },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: unchanged(instance, expectedVersion, ({ pendingChangeId }) => pendingChangeId === null),
        }),
      ),

    /**
     * instance, on which this one is pending → change → journal; as `replaceInstance` says where the instance ends with it. Who took the change on,
     * and its tokens, stay: they are written without a version, and may have been since this was decided.
     */
    endChange: ({ instance, stateChange, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('ephemeral.endChange', change, ...endVariant(instance)),
          orgId: change.orgId,
          steps: [
            ...replaceInstance(change, instance, { version: expectedVersion, pending_change_id: stateChange.id }, [
              {
                do: 'update',
                table: 'instance_state_changes',
                set: {
                  next_state: stateChange.nextState,
                  result: stateChange.result,
                  reason: stateChange.reason,
                  ended_at: stateChange.endedAt,
                  updated_at: change.at,
                },
                where: { org_id: change.orgId, id: stateChange.id, result: 'pending' },
                rows: 1,
                else: 'stale',
              },
            ]),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: unchanged(instance, expectedVersion, ({ pendingChangeId }) => pendingChangeId === stateChange.id),
        }),
      ),

    acceptChange: (orgId, { id, acceptedAt, executionPipelineId, executionId }) =>
      answer(() =>
        writeIf(session, {
          name: 'ephemeral.acceptChange',
          orgId,
          steps: [
            {
              do: 'update',
              table: 'instance_state_changes',
              set: { accepted_at: acceptedAt, execution_ppl_id: executionPipelineId, execution_id: executionId },
              where: { org_id: orgId, id, result: 'pending' },
              rows: 1,
              else: 'not_pending',
            },
          ],
          key: null,
          diagnosis: null,
        }),
      ),

    setTokens: (orgId, { id, tokenHashes, expected }) =>
      answer(() =>
        writeIf(session, {
          name: 'ephemeral.setTokens',
          orgId,
          steps: [
            {
              do: 'update',
              table: 'instance_state_changes',
              set: { token_hashes: JSON.stringify(tokenHashes) },
              where: { org_id: orgId, id, result: 'pending', token_hashes: JSON.stringify(expected) },
              rows: 1,
              else: 'stale',
            },
          ],
          key: null,
          diagnosis: null,
        }),
      ),

    changeFacts: (orgId, stateChangeId, keyId) =>
      answer(async () => {
        const given = { org: orgId, id: stateChangeId, key: keyId ?? null };
        const row = (await read(session, statements.changeFacts, given))[0]!;
        const found =
          row['c_id'] == null ? null : { stateChange: toChange(row), instance: toInstance(row), type: toType(row) };
        return { found, key: toKey(row) };
      }),

    listChanges: (orgId, instanceId, { limit, after }) =>
      answer(async () => {
        const given = { org: orgId, instance: instanceId, before: after ?? lastSequence, limit: limit + 1 };
        const rows = await read(session, statements.listChanges, given);
        if (rows.length === 0) return null;
        return pageOf(rows[0]!['c_id'] == null ? [] : rows, limit, toChange);
      }),
  };
}

function changeRow(orgId: string, change: StoredChange): NewRow<'instance_state_changes'> {
  return {
    org_id: orgId,
    instance_id: change.instanceId,
    sequence: change.sequence,
    id: change.id,
    environment_type_id: change.typeId,
    state_change_type: change.type,
    prev_state: change.prevState,
    next_state: change.nextState,
    state_change_action_id: change.actionId,
    project_id: change.projectId,
    branch: change.branch,
    pipeline_yaml_name: change.pipelineYamlName,
    parameters: JSON.stringify(change.parameters),
    result: change.result,
    reason: change.reason,
    trigger_type: change.trigger.type,
    trigger_id: change.trigger.id,
    token_hashes: JSON.stringify(change.tokenHashes),
    accepted_at: change.acceptedAt,
    execution_ppl_id: change.executionPipelineId,
    execution_id: change.executionId,
    deadline: change.deadline,
    ended_at: change.endedAt,
    created_at: change.startedAt,
    updated_at: change.startedAt,
  };
}
