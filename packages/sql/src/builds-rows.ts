/** Where rows of builds become what core knows, and back. Aliases of tables are part of the names of columns: see `columnsOf`. */
import type {
  BuildFailure,
  BuildStatus,
  Milestone,
  StoredBuild,
  StoredBuildState,
  StoredPlan,
} from '@vivarium/core/storage';

import { columnsOf } from './columns.ts';
import type { Dialect, Row } from './dialect.ts';
import type { NewRow } from './plan.ts';

const text = (value: unknown) => value as string;
const textOrNull = (value: unknown) => (value ?? null) as string | null;
const time = (value: unknown) => new Date(value as string);
const timeOrNull = (value: unknown) => (value == null ? null : time(value));

/** A build `b` without its manifest, which may be large. */
export function buildColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'builds', 'b', ['packer_manifest', 'duration_seconds']);
}

export function toBuild(row: Row): StoredBuild {
  return {
    id: text(row['b_id']),
    buildNumber: text(row['b_build_number']),
    projectId: textOrNull(row['b_project_id']),
    platformId: text(row['b_platform_id']),
    osVersionId: text(row['b_os_version_id']),
    imageTypeId: text(row['b_image_type_id']),
    currentState: Number(row['b_current_state']),
    status: row['b_status'] as BuildStatus,
    retryCount: Number(row['b_retry_count']),
    planVersion: Number(row['b_plan_version']),
    milestones: JSON.parse(text(row['b_milestones'])) as number[],
    attempts: Number(row['b_attempts']),
    attemptStartedAt: timeOrNull(row['b_attempt_started_at']),
    startTime: timeOrNull(row['b_start_time']),
    endTime: timeOrNull(row['b_end_time']),
    heartbeatTimeoutMs: Number(row['b_heartbeat_timeout_ms']),
    heartbeatAt: timeOrNull(row['b_heartbeat_at']),
    createdBy: { type: text(row['b_created_by_type']), id: text(row['b_created_by']) },
    version: Number(row['b_version']),
    createdAt: time(row['b_created_at']),
    updatedAt: time(row['b_updated_at']),
  };
}

export function buildRow(orgId: string, build: StoredBuild): NewRow<'builds'> {
  return {
    id: build.id,
    org_id: orgId,
    build_number: build.buildNumber,
    project_id: build.projectId,
    platform_id: build.platformId,
    os_version_id: build.osVersionId,
    image_type_id: build.imageTypeId,
    plan_version: build.planVersion,
    milestones: JSON.stringify(build.milestones),
    heartbeat_timeout_ms: build.heartbeatTimeoutMs,
    created_by_type: build.createdBy.type,
    created_by: build.createdBy.id,
    created_at: build.createdAt,
    ...standingOf(build),
  };
}

/** Everything about a build that a move changes. Not its project: that may have been deleted since the move was decided. */
export function standingOf(build: StoredBuild) {
  return {
    current_state: build.currentState,
    status: build.status,
    retry_count: build.retryCount,
    attempts: build.attempts,
    attempt_started_at: build.attemptStartedAt,
    start_time: build.startTime,
    end_time: build.endTime,
    duration_seconds: seconds(build.startTime, build.endTime),
    heartbeat_at: build.heartbeatAt,
    version: build.version,
    updated_at: build.updatedAt,
  };
}

/** An attempt `s`. */
export function stateColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'build_states', 's', ['duration_seconds', 'duration_ms']);
}

export function toState(row: Row): StoredBuildState {
  return {
    id: text(row['s_id']),
    buildId: text(row['s_build_id']),
    sequence: Number(row['s_sequence']),
    state: Number(row['s_state']),
    status: row['s_status'] as StoredBuildState['status'],
    startTime: time(row['s_start_time']),
    endTime: timeOrNull(row['s_end_time']),
    errorMessage: textOrNull(row['s_error_message']),
    retryCount: Number(row['s_retry_count']),
  };
}

export function stateRow(orgId: string, state: StoredBuildState): NewRow<'build_states'> {
  return {
    org_id: orgId,
    build_id: state.buildId,
    sequence: state.sequence,
    id: state.id,
    state: state.state,
    retry_count: state.retryCount,
    created_at: state.startTime,
    start_time: state.startTime,
    ...endOf(state, state.endTime ?? state.startTime),
  };
}

/** Everything about an attempt that its end changes. */
export function endOf(
  {
    status,
    startTime,
    endTime,
    errorMessage,
  }: Pick<StoredBuildState, 'status' | 'startTime' | 'endTime' | 'errorMessage'>,
  at: Date,
) {
  return {
    status,
    end_time: endTime,
    duration_seconds: seconds(startTime, endTime),
    duration_ms: endTime === null ? null : endTime.getTime() - startTime.getTime(),
    error_message: errorMessage,
    updated_at: at,
  };
}

function seconds(start: Date | null, end: Date | null): number | null {
  return start === null || end === null ? null : Math.floor((end.getTime() - start.getTime()) / 1_000);
}

/** A failure `f`. */
export function failureColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'build_failures', 'f');
}

export function toFailure(row: Row): BuildFailure {
  return {
    id: text(row['f_id']),
    buildId: text(row['f_build_id']),
    state: Number(row['f_state']),
    failureType: text(row['f_failure_type']),
    errorMessage: text(row['f_error_message']),
    errorDetails:
      row['f_error_details'] == null
        ? null
        : (JSON.parse(text(row['f_error_details'])) as NonNullable<BuildFailure['errorDetails']>),
    component: textOrNull(row['f_component']),
    retryAttempt: Number(row['f_retry_attempt']),
    resolved: Number(row['f_resolved']) === 1,
    resolutionNotes: textOrNull(row['f_resolution_notes']),
    createdAt: time(row['f_created_at']),
    resolvedAt: timeOrNull(row['f_resolved_at']),
  };
}

export function failureRow(orgId: string, failure: BuildFailure): NewRow<'build_failures'> {
  return {
    id: failure.id,
    org_id: orgId,
    build_id: failure.buildId,
    state: failure.state,
    failure_type: failure.failureType,
    error_message: failure.errorMessage,
    error_details: failure.errorDetails === null ? null : JSON.stringify(failure.errorDetails),
    component: failure.component,
    retry_attempt: failure.retryAttempt,
    created_at: failure.createdAt,
    ...resolutionOf(failure, failure.resolvedAt ?? failure.createdAt),
  };
}

/** Everything about a failure that resolving it changes. */
export function resolutionOf({ resolved, resolutionNotes, resolvedAt }: BuildFailure, at: Date) {
  return {
    resolved: resolved ? 1 : 0,
    resolution_notes: resolutionNotes,
    resolved_at: resolvedAt,
    updated_at: at,
  };
}

/** A version `m` of a project's plan. */
export function planColumns(dialect: Dialect): string {
  return columnsOf(dialect, 'milestone_plans', 'm');
}

export function toPlan(row: Row): StoredPlan | null {
  if (row['m_id'] == null) return null;
  return {
    id: text(row['m_id']),
    projectId: text(row['m_project_id']),
    version: Number(row['m_version']),
    milestones: JSON.parse(text(row['m_milestones'])) as Milestone[],
    createdAt: time(row['m_created_at']),
  };
}

export function planRow(orgId: string, plan: StoredPlan): NewRow<'milestone_plans'> {
  return {
    org_id: orgId,
    project_id: plan.projectId,
    version: plan.version,
    id: plan.id,
    milestones: JSON.stringify(plan.milestones),
    created_at: plan.createdAt,
    updated_at: plan.createdAt,
  };
}
