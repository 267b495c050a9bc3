/** Where rows of ephemeral environments become what core knows. Aliases of tables are part of the names of columns: see `columnsOf`. */
import { compareBytes, stateChangeTypes } from '@vivarium/core/storage';
import type {
  InstanceState,
  LoadedType,
  SecretDefinition,
  StateChangeAction,
  StateChangeType,
  StoredChange,
  StoredInstance,
  StoredSecret,
  StoredTypeSummary,
} from '@vivarium/core/storage';

import { columnsOf } from './columns.ts';
import type { Dialect, Row } from './dialect.ts';

const text = (value: unknown) => value as string;
const textOrNull = (value: unknown) => (value ?? null) as string | null;
const numberOrNull = (value: unknown) => (value == null ? null : Number(value));
const time = (value: unknown) => new Date(value as string);
const timeOrNull = (value: unknown) => (value == null ? null : time(value));

/** A type `t` by itself. */
export function summaryOfTypeColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'ephemeral_environment_types', 't');
}

/** A type `t` with its actions and secret definitions, each a list in one column: a type is one row. */
export function typeColumns(dialect: Dialect): string {
  const { table, asText, jsonList } = dialect;
  const actions = jsonList({
    id: 'a.id',
    stateChangeType: 'a.state_change_type',
    projectId: 'a.project_id',
    branch: 'a.branch',
    pipelineYamlName: 'a.pipeline_yaml_name',
    createdAt: asText('time', 'a.created_at'),
    updatedAt: asText('time', 'a.updated_at'),
  });
  const secrets = jsonList({
    id: 's.id',
    name: 's.name',
    description: 's.description',
    writableBy: asText('json', 's.actions_that_can_change_the_secret'),
    readableBy: asText('json', 's.actions_that_have_access_to_the_secret'),
    createdAt: asText('time', 's.created_at'),
    updatedAt: asText('time', 's.updated_at'),
  });
  return `${summaryOfTypeColumns(dialect)},
    (SELECT ${actions} FROM ${table('state_change_actions')} a WHERE a.environment_type_id = t.id) AS t_actions,
    (SELECT ${secrets} FROM ${table('ephemeral_secret_definitions')} s WHERE s.environment_type_id = t.id) AS t_secrets`;
}

export function toTypeSummary(row: Row): StoredTypeSummary {
  return {
    id: text(row['t_id']),
    name: text(row['t_name']),
    nameKey: text(row['t_name_key']),
    description: textOrNull(row['t_description']),
    state: row['t_state'] as LoadedType['state'],
    maxNumberOfInstances: numberOrNull(row['t_max_number_of_instances']),
    liveInstances: Number(row['t_live_count']),
    ttlMs: numberOrNull(row['t_ttl_ms']),
    maxTtlMs: numberOrNull(row['t_max_ttl_ms']),
    sleepAfterMs: numberOrNull(row['t_sleep_after_ms']),
    changeTimeoutMs: Number(row['t_change_timeout_ms']),
    createdBy: { type: text(row['t_created_by_type']), id: text(row['t_created_by']) },
    lastModifiedBy: { type: text(row['t_last_modified_by_type']), id: text(row['t_last_modified_by']) },
    version: Number(row['t_version']),
    createdAt: time(row['t_created_at']),
    updatedAt: time(row['t_updated_at']),
  };
}

export function toType(row: Row): LoadedType {
  return {
    ...toTypeSummary(row),
    actions: list(row['t_actions'])
      .map(toAction)
      .sort((a, b) => stateChangeTypes.indexOf(a.stateChangeType) - stateChangeTypes.indexOf(b.stateChangeType)),
    secrets: list(row['t_secrets'])
      .map(toDefinition)
      .sort((a, b) => compareBytes(a.name, b.name)),
  };
}

/** An aggregate over no rows is null. */
function list(json: unknown): readonly Row[] {
  return json == null ? [] : (JSON.parse(text(json)) as Row[]);
}

function toAction(fields: Row): StateChangeAction {
  return {
    id: text(fields['id']),
    stateChangeType: fields['stateChangeType'] as StateChangeType,
    projectId: textOrNull(fields['projectId']),
    branch: textOrNull(fields['branch']),
    pipelineYamlName: text(fields['pipelineYamlName']),
    createdAt: time(fields['createdAt']),
    updatedAt: time(fields['updatedAt']),
  };
}

function toDefinition(fields: Row): SecretDefinition {
  return {
    id: text(fields['id']),
    name: text(fields['name']),
    description: textOrNull(fields['description']),
    writableBy: JSON.parse(text(fields['writableBy'])) as StateChangeType[],
    readableBy: JSON.parse(text(fields['readableBy'])) as StateChangeType[],
    createdAt: time(fields['createdAt']),
    updatedAt: time(fields['updatedAt']),
  };
}

/** An instance `i`. */
export function instanceColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'ephemeral_environment_instances', 'i');
}

export function toInstance(row: Row): StoredInstance {
  return {
    id: text(row['i_id']),
    typeId: text(row['i_environment_type_id']),
    name: text(row['i_name']),
    nameKey: text(row['i_name_key']),
    state: row['i_state'] as InstanceState,
    pendingChangeId: textOrNull(row['i_pending_change_id']),
    changeSequence: Number(row['i_change_sequence']),
    sleptFrom: (row['i_slept_from'] ?? null) as StoredInstance['sleptFrom'],
    expiresAt: timeOrNull(row['i_expires_at']),
    lastActiveAt: time(row['i_last_active_at']),
    sweepFailures: Number(row['i_sweep_failures']),
    sweepAfter: timeOrNull(row['i_sweep_after']),
    needsAttention: Number(row['i_needs_attention']) === 1,
    note: textOrNull(row['i_note']),
    endedAt: timeOrNull(row['i_ended_at']),
    version: Number(row['i_version']),
    createdAt: time(row['i_created_at']),
    updatedAt: time(row['i_updated_at']),
  };
}

/** A change `c`. */
export function changeColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'instance_state_changes', 'c');
}

export function toChange(row: Row): StoredChange {
  return {
    id: text(row['c_id']),
    instanceId: text(row['c_instance_id']),
    typeId: text(row['c_environment_type_id']),
    sequence: Number(row['c_sequence']),
    type: row['c_state_change_type'] as StateChangeType,
    prevState: row['c_prev_state'] as InstanceState,
    nextState: (row['c_next_state'] ?? null) as InstanceState | null,
    result: row['c_result'] as StoredChange['result'],
    reason: textOrNull(row['c_reason']),
    trigger: { type: row['c_trigger_type'] as StoredChange['trigger']['type'], id: text(row['c_trigger_id']) },
    actionId: text(row['c_state_change_action_id']),
    projectId: textOrNull(row['c_project_id']),
    branch: textOrNull(row['c_branch']),
    pipelineYamlName: text(row['c_pipeline_yaml_name']),
    parameters: JSON.parse(text(row['c_parameters'])) as Readonly<Record<string, string>>,
    tokenHashes: JSON.parse(text(row['c_token_hashes'])) as string[],
    acceptedAt: timeOrNull(row['c_accepted_at']),
    executionPipelineId: textOrNull(row['c_execution_ppl_id']),
    executionId: textOrNull(row['c_execution_id']),
    deadline: time(row['c_deadline']),
    startedAt: time(row['c_created_at']),
    endedAt: timeOrNull(row['c_ended_at']),
  };
}

/** The value `v` of a secret. */
export function secretColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'ephemeral_secret_instances', 'v');
}

export function toSecret(row: Row): StoredSecret {
  return {
    instanceId: text(row['v_instance_id']),
    name: text(row['v_name']),
    sealed: text(row['v_value']),
    sealVersion: Number(row['v_seal_version']),
    createdAt: time(row['v_created_at']),
    updatedAt: time(row['v_updated_at']),
  };
}
