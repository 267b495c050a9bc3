import * as z from 'zod';

import type { Actor } from '../kernel/actor.ts';
import type { Versioned } from '../kernel/ids.ts';
import { jsonObject } from '../kernel/json.ts';
import type { JsonObject } from '../kernel/json.ts';
import { displayName, freeText } from '../kernel/text.ts';
import { buildStatuses } from './lifecycle.ts';
import type { BuildStatus } from './lifecycle.ts';

/** The last milestone: completing it completes the build. */
export const lastMilestone = 100;

/** A milestone, 0–100. */
export const milestone = z.int().min(0).max(lastMilestone);

/** What a build is known by outside: 1–100 characters, unique in the org as they are. */
export const buildNumber = displayName;
export const buildStatus = z.enum(buildStatuses);
export const failureType = displayName;
export const component = displayName;
export const errorMessage = freeText(2_000).refine((text) => text.trim() !== '', 'must say what went wrong');
export const errorDetails = jsonObject(4_096);
export const notes = freeText(2_000).refine((text) => text.trim() !== '', 'must say what was done');

/** How long a running build may be silent when it does not say: 30 minutes. */
export const defaultHeartbeatTimeoutMs = 1_800_000;

/** From a second to a week. */
export const heartbeatTimeoutMs = z.int().min(1_000).max(604_800_000);

/** Attempts that one build may have, at all its milestones together. */
export const maximumAttempts = 1_000;

/** A point that builds pass: a number that only grows, and what people call it. */
export interface Milestone {
  readonly state: number;
  readonly name: string | null;
}

/** The milestones of a project's builds. Version 0 is the built-in plan, which is no project's own. */
export interface MilestonePlan {
  readonly id: string | null;
  readonly projectId: string;
  readonly version: number;
  /** Ascending; the last is 100. */
  readonly milestones: readonly Milestone[];
  /** `null` for the built-in plan. */
  readonly createdAt: Date | null;
}

/** A plan that a project has defined, as it is stored. Versions are never changed. */
export interface StoredPlan extends MilestonePlan {
  readonly id: string;
  readonly createdAt: Date;
}

/** The built-in plan: a milestone every 5, without names. */
export const builtInMilestones: readonly Milestone[] = Array.from({ length: 21 }, (_, i) => ({
  state: i * 5,
  name: null,
}));

/** A build as it is stored, without its manifest. */
export interface StoredBuild extends Versioned {
  readonly id: string;
  readonly buildNumber: string;
  /** `null` for a build of no project, or of one that has been deleted. */
  readonly projectId: string | null;
  readonly platformId: string;
  readonly osVersionId: string;
  readonly imageTypeId: string;
  /** The milestone last entered; 0 while the build is pending. */
  readonly currentState: number;
  readonly status: BuildStatus;
  /** Which try of `currentState` this is: 0 for the first. */
  readonly retryCount: number;
  /** The version of the project's plan that the build was started with; 0 for the built-in one. */
  readonly planVersion: number;
  /** The milestones of that plan. */
  readonly milestones: readonly number[];
  /** How many attempts there have been, at all milestones together: the sequence of the newest. */
  readonly attempts: number;
  /** Since when an attempt is under way; `null` when none is. */
  readonly attemptStartedAt: Date | null;
  /** When the first milestone was entered. */
  readonly startTime: Date | null;
  /** When the build was completed, failed or was canceled; `null` again when it is resumed. */
  readonly endTime: Date | null;
  readonly heartbeatTimeoutMs: number;
  /** The last sign of life: a change of its state, or a heartbeat. */
  readonly heartbeatAt: Date | null;
  readonly createdBy: Actor;
}

/** One build of an image. Its history is in `listStates`, its failures in `listFailures`. */
export interface Build extends Omit<StoredBuild, 'attemptStartedAt'> {
  /** From `startTime` to `endTime`; `null` while one of them is. */
  readonly durationMs: number | null;
  /** When `sweep` fails the build unless there is a sign of life before; `null` unless it is running. */
  readonly deadline: Date | null;
}

/** How an attempt at a milestone stands. */
export type AttemptStatus = 'started' | 'completed' | 'failed' | 'canceled';

/** An attempt as it is stored: one row of the history. */
export interface StoredBuildState {
  readonly id: string;
  readonly buildId: string;
  /** Counts the attempts of the build from 1. */
  readonly sequence: number;
  readonly state: number;
  readonly status: AttemptStatus;
  readonly startTime: Date;
  readonly endTime: Date | null;
  readonly errorMessage: string | null;
  /** Which try of this state it is: 0 for the first. */
  readonly retryCount: number;
}

/** One attempt at a milestone. */
export interface BuildState extends StoredBuildState {
  readonly durationMs: number | null;
}

/** What ends an attempt. */
export interface EndedAttempt {
  readonly sequence: number;
  readonly state: number;
  readonly status: Exclude<AttemptStatus, 'started'>;
  readonly startTime: Date;
  readonly endTime: Date;
  readonly errorMessage: string | null;
}

/** Why an attempt failed, and what was done about it. */
export interface BuildFailure {
  readonly id: string;
  readonly buildId: string;
  readonly state: number;
  readonly failureType: string;
  readonly errorMessage: string;
  readonly errorDetails: JsonObject | null;
  readonly component: string | null;
  /** The `retryCount` of the attempt that failed: 0 for the first. */
  readonly retryAttempt: number;
  readonly resolved: boolean;
  readonly resolutionNotes: string | null;
  readonly createdAt: Date;
  readonly resolvedAt: Date | null;
}

/** What happens to a build at once: the build after it, the attempt that ends, the one that begins, and the failure. */
export interface BuildMove {
  readonly build: StoredBuild;
  readonly ended: EndedAttempt | null;
  readonly begun: StoredBuildState | null;
  readonly failure: BuildFailure | null;
}

/** When a running build is silent for too long; `null` for one that is not running. */
export function deadlineOf({
  status,
  heartbeatAt,
  heartbeatTimeoutMs,
}: Pick<StoredBuild, 'status' | 'heartbeatAt' | 'heartbeatTimeoutMs'>): Date | null {
  if (status !== 'running' || heartbeatAt === null) return null;
  return new Date(heartbeatAt.getTime() + heartbeatTimeoutMs);
}

/** Which builds `stats` is about; what is not given does not matter. */
export interface StatsFilter {
  readonly projectId?: string | undefined;
  readonly platformId?: string | undefined;
  readonly osVersionId?: string | undefined;
  readonly imageTypeId?: string | undefined;
  /** Builds created at this time or later. */
  readonly from?: Date | undefined;
  /** Builds created before this time. */
  readonly to?: Date | undefined;
}

/** Figures about many builds. */
export interface BuildStats {
  readonly total: number;
  readonly byStatus: Readonly<Record<BuildStatus, number>>;
  /** Completed builds among those that were completed or have failed, 0–1; `null` where there is neither. */
  readonly successRate: number | null;
  /** By state, ascending: those with an attempt. */
  readonly states: readonly StateStats[];
  /** The most frequent first; at most 100. */
  readonly failures: readonly FailureStats[];
  /** Whether the percentiles are read off a histogram: then they are at most 1 % off. */
  readonly approximate: boolean;
}

/** Figures about the attempts at one milestone. */
export interface StateStats {
  readonly state: number;
  readonly attempts: number;
  readonly completed: number;
  readonly failed: number;
  /** Nearest-rank percentiles of the durations of completed attempts; `null` where there are none. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
}

/** How often this went wrong in this component. */
export interface FailureStats {
  readonly component: string | null;
  readonly failureType: string;
  readonly count: number;
  readonly unresolved: number;
}

/** Groups of failures that `stats` tells at most. */
export const maximumFailureGroups = 100;
