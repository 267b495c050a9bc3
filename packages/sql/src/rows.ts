/** Where rows become what core knows: what is selected, and how it is read, side by side. */
import { decodeVariables, isVivariumError, StorageFailure } from '@vivarium/core/storage';
import type {
  JournalData,
  JournalEntry,
  KeyRecord,
  KeyResult,
  LoadedEnvironment,
  StoredProject,
  StoredSummary,
  StoredVariables,
} from '@vivarium/core/storage';

import type { Dialect, Row } from './dialect.ts';

const text = (value: unknown) => value as string;
const textOrNull = (value: unknown) => (value ?? null) as string | null;
const time = (value: unknown) => new Date(value as string);

export function projectColumns({ asText }: Dialect, p: string): string {
  return `${p}.id, ${p}.name, ${p}.name_key, ${p}.description, ${p}.parent_project_id, ${p}.default_environment_id, ${p}.version,
    ${asText('time', `${p}.created_at`)} AS created_at, ${asText('time', `${p}.updated_at`)} AS updated_at`;
}

export function toProject(row: Row): StoredProject {
  return {
    id: text(row['id']),
    name: text(row['name']),
    nameKey: text(row['name_key']),
    description: textOrNull(row['description']),
    parentProjectId: textOrNull(row['parent_project_id']),
    defaultEnvironmentId: text(row['default_environment_id']),
    version: Number(row['version']),
    createdAt: time(row['created_at']),
    updatedAt: time(row['updated_at']),
  };
}

export function environmentColumns({ asText }: Dialect, e: string, p: string): string {
  return `${e}.id, ${e}.project_id, ${e}.name, ${e}.name_key, ${e}.description, ${asText('json', `${e}.variables`)} AS variables, ${e}.version,
    ${asText('time', `${e}.created_at`)} AS created_at, ${asText('time', `${e}.updated_at`)} AS updated_at, ${p}.default_environment_id`;
}

export function toEnvironment(row: Row): LoadedEnvironment {
  return {
    id: text(row['id']),
    projectId: text(row['project_id']),
    name: text(row['name']),
    nameKey: text(row['name_key']),
    description: textOrNull(row['description']),
    variables: toVariables(text(row['id']), text(row['variables'])),
    version: Number(row['version']),
    createdAt: time(row['created_at']),
    updatedAt: time(row['updated_at']),
    isDefault: row['id'] === row['default_environment_id'],
  };
}

/** Other tools may write variables. What is no list of variables fails with the environment's id, and never with what stands there. */
export function toVariables(environmentId: string, json: string): StoredVariables {
  try {
    return decodeVariables(json);
  } catch (thrown) {
    throw new StorageFailure(`the variables of environment ${environmentId} cannot be read`, {
      retryable: false,
      outcome: 'none',
      cause: isVivariumError(thrown) ? thrown : undefined,
    });
  }
}

export function summaryColumns({ asText }: Dialect, e: string, p: string): string {
  return `${e}.id, ${e}.project_id, ${e}.name, ${e}.name_key, ${e}.variable_count, ${e}.variable_bytes, ${e}.version,
    ${asText('time', `${e}.created_at`)} AS created_at, ${asText('time', `${e}.updated_at`)} AS updated_at, ${p}.default_environment_id`;
}

export function toSummary(row: Row): StoredSummary {
  return {
    id: text(row['id']),
    projectId: text(row['project_id']),
    name: text(row['name']),
    nameKey: text(row['name_key']),
    variableCount: Number(row['variable_count']),
    variableBytes: Number(row['variable_bytes']),
    version: Number(row['version']),
    createdAt: time(row['created_at']),
    updatedAt: time(row['updated_at']),
    isDefault: row['id'] === row['default_environment_id'],
  };
}

export function keyColumns({ asText }: Dialect, k: string): string {
  return `${k}.fingerprint AS key_fingerprint, ${asText('json', `${k}.result`)} AS key_result,
    ${asText('time', `${k}.expires_at`)} AS key_expires_at`;
}

export function toKey(row: Row): KeyRecord | null {
  if (row['key_fingerprint'] == null) return null;
  return {
    fingerprint: text(row['key_fingerprint']),
    result: JSON.parse(text(row['key_result'])) as KeyResult,
    expiresAt: time(row['key_expires_at']),
  };
}

export function entryColumns({ asText }: Dialect, j: string): string {
  return `${j}.id, ${j}.org_id, ${j}.stream, ${j}.sequence, ${j}.subject_type, ${j}.subject_id, ${j}.action, ${j}.actor_type, ${j}.actor_id,
    ${asText('time', `${j}.at`)} AS at, ${asText('json', `${j}.data`)} AS data`;
}

export function toEntry(row: Row): JournalEntry {
  return {
    id: text(row['id']),
    orgId: text(row['org_id']),
    stream: text(row['stream']),
    sequence: Number(row['sequence']),
    subject: { type: text(row['subject_type']), id: text(row['subject_id']) },
    action: text(row['action']),
    actor: { type: text(row['actor_type']), id: text(row['actor_id']) },
    at: time(row['at']),
    data: JSON.parse(text(row['data'])) as JournalData,
  };
}
