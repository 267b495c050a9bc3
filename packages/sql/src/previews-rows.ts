/** Where rows of previews become what core knows, and back. Aliases of tables are part of the names of columns: see `columnsOf`. */
import { previewSteps } from '@vivarium/core/storage';
import type { PendingCommand, PreviewStep, QueueMessage, StoredAppSecret, StoredPreview } from '@vivarium/core/storage';

import { columnsOf } from './columns.ts';
import type { Dialect, Row } from './dialect.ts';
import type { Diagnosis, NewRow } from './plan.ts';

const text = (value: unknown) => value as string;
const textOrNull = (value: unknown) => (value ?? null) as string | null;
const numberOrNull = (value: unknown) => (value == null ? null : Number(value));
const time = (value: unknown) => new Date(value as string);
const timeOrNull = (value: unknown) => (value == null ? null : time(value));

/** A preview `p`. */
export function previewColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'previews', 'p', ['org_id']);
}

export function toPreview(row: Row): StoredPreview {
  return {
    id: text(row['p_project_environment_id']),
    appId: text(row['p_app_id']),
    projectId: text(row['p_project_id']),
    repoId: text(row['p_repo_id']),
    environment: text(row['p_environment']),
    type: row['p_type'] as StoredPreview['type'],
    status: row['p_status'] as StoredPreview['status'],
    branch: text(row['p_branch']),
    headRepo: text(row['p_head_repo']),
    fork: Number(row['p_fork']) === 1,
    approvedSha: textOrNull(row['p_approved_sha']),
    waitingSha: textOrNull(row['p_waiting_sha']),
    pullRequest: numberOrNull(row['p_pull_request']),
    sha: text(row['p_sha']),
    headSha: text(row['p_head_sha']),
    url: textOrNull(row['p_url']),
    tests: (row['p_tests'] ?? null) as StoredPreview['tests'],
    commentId: textOrNull(row['p_comment_id']),
    runtimeId: textOrNull(row['p_runtime_id']),
    hasRuntime: Number(row['p_has_runtime']) === 1,
    generation: Number(row['p_generation']),
    run: textOrNull(row['p_run']),
    reportSequence: Number(row['p_report_sequence']),
    reportKey: textOrNull(row['p_report_key']),
    pendingCommand: toPendingCommand(row),
    tries: Number(row['p_tries']),
    reason: textOrNull(row['p_reason']),
    stopCause: (row['p_stop_cause'] ?? null) as StoredPreview['stopCause'],
    note: textOrNull(row['p_note']),
    deadline: timeOrNull(row['p_deadline']),
    requestedAt: time(row['p_requested_at']),
    version: Number(row['p_version']),
    createdAt: time(row['p_created_at']),
    updatedAt: time(row['p_updated_at']),
  };
}

/** The preview of a row that may have none. */
export function previewIn(row: Row): StoredPreview | null {
  return row['p_project_environment_id'] == null ? null : toPreview(row);
}

function toPendingCommand(row: Row): PendingCommand | null {
  if (row['p_pending_type'] == null) return null;
  return {
    type: row['p_pending_type'] as PendingCommand['type'],
    sha: textOrNull(row['p_pending_sha']),
    cause: (row['p_pending_cause'] ?? null) as PendingCommand['cause'],
  };
}

export function previewRow(orgId: string, preview: StoredPreview): NewRow<'previews'> {
  return {
    project_environment_id: preview.id,
    org_id: orgId,
    app_id: preview.appId,
    project_id: preview.projectId,
    repo_id: preview.repoId,
    environment: preview.environment,
    comment_id: preview.commentId,
    ...courseOfPreview(preview),
    created_at: preview.createdAt,
  };
}

/** Everything about a preview that a write changes. Its comment is kept by a step, and by nothing else. */
export function courseOfPreview(preview: StoredPreview) {
  const { pendingCommand } = preview;
  return {
    type: preview.type,
    status: preview.status,
    branch: preview.branch,
    head_repo: preview.headRepo,
    fork: preview.fork ? 1 : 0,
    approved_sha: preview.approvedSha,
    waiting_sha: preview.waitingSha,
    pull_request: preview.pullRequest,
    sha: preview.sha,
    head_sha: preview.headSha,
    url: preview.url,
    tests: preview.tests,
    runtime_id: preview.runtimeId,
    has_runtime: preview.hasRuntime ? 1 : 0,
    generation: preview.generation,
    run: preview.run,
    report_sequence: preview.reportSequence,
    report_key: preview.reportKey,
    pending_type: pendingCommand?.type ?? null,
    pending_sha: pendingCommand?.sha ?? null,
    pending_cause: pendingCommand?.cause ?? null,
    tries: preview.tries,
    reason: preview.reason,
    stop_cause: preview.stopCause,
    note: preview.note,
    deadline: preview.deadline,
    requested_at: preview.requestedAt,
    version: preview.version,
    updated_at: preview.updatedAt,
  };
}

/** The steps of the current generation of a preview `p`, as a list in one column: what is decided on is one row. */
export function stepsColumn({ table, asText, jsonList }: Dialect): string {
  const steps = jsonList({ step: 's.step', result: 's.result', at: asText('time', 's.updated_at') });
  return `(SELECT ${steps} FROM ${table('preview_steps')} s
    WHERE s.project_environment_id = p.project_environment_id AND s.generation = p.generation) AS p_steps`;
}

/** In the order in which a worker takes them. */
export function toSteps(row: Row): readonly PreviewStep[] {
  const listed = row['p_steps'] == null ? [] : (JSON.parse(text(row['p_steps'])) as readonly Row[]);
  const steps = listed.map((step) => ({
    projectEnvironmentId: text(row['p_project_environment_id']),
    generation: Number(row['p_generation']),
    step: step['step'] as PreviewStep['step'],
    result: textOrNull(step['result']),
    at: time(step['at']),
  }));
  return steps.sort((a, b) => previewSteps.indexOf(a.step) - previewSteps.indexOf(b.step));
}

export function stepRow(orgId: string, { projectEnvironmentId, generation, step, result, at }: PreviewStep) {
  return {
    project_environment_id: projectEnvironmentId,
    org_id: orgId,
    generation,
    step,
    result,
    created_at: at,
    updated_at: at,
  } as const satisfies NewRow<'preview_steps'>;
}

export function toMessage(orgId: string, row: Row): QueueMessage {
  return {
    version: 1,
    orgId,
    projectEnvironmentId: text(row['project_environment_id']),
    sequence: Number(row['sequence']),
  };
}

/** An app secret `s`. */
export function appSecretColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'app_secrets', 's', ['org_id']);
}

export function toAppSecret(row: Row): StoredAppSecret {
  return {
    appId: text(row['s_app_id']),
    type: row['s_type'] as StoredAppSecret['type'],
    name: text(row['s_name']),
    sealed: text(row['s_sealed']),
    sealVersion: Number(row['s_seal_version']),
    createdAt: time(row['s_created_at']),
    updatedAt: time(row['s_updated_at']),
  };
}

/** The verdict on a preview that had to be there at a version. */
export function previewAtVersion({ id }: StoredPreview, version: number): Diagnosis<'not_found' | 'stale'> {
  return {
    row: { table: 'previews', id },
    verdict: ({ row }) => (row === null ? 'not_found' : Number(row['version']) === version ? null : 'stale'),
  };
}
