import * as z from 'zod';

import { branchName, environmentName, fullName, pullRequest, sha, url } from '../deployments/model.ts';
import { orgId } from '../kernel/actor.ts';
import { id } from '../kernel/ids.ts';
import type { Versioned } from '../kernel/ids.ts';
import { anyText, freeText } from '../kernel/text.ts';
import { busyPreviewStatuses } from './lifecycle.ts';
import type { PreviewStatus } from './lifecycle.ts';

/** Environment types of version 1 (seed 002): previews of pull requests, and the one production of an app. */
export const previewTypes = ['preview', 'production'] as const;

/** One of `previewTypes`. */
export type PreviewType = (typeof previewTypes)[number];

/** How long a run may take until it runs, and a stop until the runtime is gone: 30 minutes. */
export const defaultPreviewTimeoutMs = 1_800_000;

/** How often a worker tries the steps of one run: then the preview is in error. */
export const maximumTries = 5;

/** Reasons and notes, which people read: at most 1,000 characters. */
export const reason = freeText(1_000);

/** Names of app secrets: as keys of variables. */
export const secretName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,256}$/, 'must be 1 to 256 letters (A-Z, a-z), digits, hyphens or underscores');

/** A secret's value: at most 64 KiB. */
export const secretValue = anyText.refine(
  (text) => Buffer.byteLength(text) <= 65_536,
  'must have at most 65,536 bytes',
);

/** What is asked for: an environment of an app that tracks a branch. Also what `previews.create` takes. */
export const previewCommand = z
  .strictObject({
    appId: id,
    type: z.enum(previewTypes).default('preview'),
    /** `pr-<n>` or `production` when not given. */
    environment: environmentName.optional(),
    branch: branchName,
    /** Whose branch it is: the repository itself unless the pull request comes from a fork. */
    headRepo: fullName.optional(),
    pullRequest: pullRequest.nullish(),
    sha,
  })
  .refine(
    ({ type, pullRequest: number, environment }) =>
      type === 'production' || number != null || environment !== undefined,
    {
      path: ['pullRequest'],
      message: 'must be given, or else an environment name',
    },
  );

/** A command as it is given. */
export type PreviewCommand = z.input<typeof previewCommand>;
/** A command as it has been read. */
export type ParsedPreviewCommand = z.output<typeof previewCommand>;

/** What stands in the queue: look at this environment. What is to be done stands in the environment itself, so that a message delivered twice, late or in another order does no harm. */
export const queueMessage = z.strictObject({
  version: z.literal(1),
  orgId,
  projectEnvironmentId: id,
  /** The version of the environment that the message was sent for: a queue may leave out what it has seen. */
  sequence: z.int().min(1),
});

/** A message of the queue. */
export type QueueMessage = z.infer<typeof queueMessage>;

/** What a runtime says of a run. */
export const runtimeReport = z.strictObject({
  version: z.literal(1),
  orgId,
  projectEnvironmentId: id,
  generation: z.int().min(1),
  /** Counts the reports of a run from 1. */
  sequence: z.int().min(1),
  status: z.enum(['tests_started', 'running', 'error']),
  url: url.nullish(),
  tests: z.enum(['passed', 'failed']).nullish(),
  reason: reason.nullish(),
});

/** A report of a runtime. */
export type RuntimeReport = z.infer<typeof runtimeReport>;

/** Why previews are stopped: somebody asked for it, the pull request was closed, or it was past its age. */
export const stopCauses = ['asked', 'closed', 'aged'] as const;

/** One of `stopCauses`. */
export type StopCause = (typeof stopCauses)[number];

/** What has to wait until the preview settles. The most recent one counts. */
export interface PendingCommand {
  readonly type: 'create' | 'restart' | 'stop';
  /** Of what is to run: the newest that is known when `null`. */
  readonly sha: string | null;
  /** Of a stop. */
  readonly cause: StopCause | null;
}

/** A preview as it is stored: a project environment that the manager drives. */
export interface StoredPreview extends Versioned {
  /** That of its project environment. */
  readonly id: string;
  readonly appId: string;
  readonly projectId: string;
  readonly repoId: string;
  readonly environment: string;
  readonly type: PreviewType;
  readonly status: PreviewStatus;
  readonly branch: string;
  /** Whose branch: head repository and name are a branch's identity. */
  readonly headRepo: string;
  /** Whether the head is another repository than the app's own: then it is untrusted code. */
  readonly fork: boolean;
  /** The commit of a fork that a person has approved. */
  readonly approvedSha: string | null;
  /** The commit of a fork that waits for a person's word. */
  readonly waitingSha: string | null;
  readonly pullRequest: number | null;
  /** The commit of the current run. */
  readonly sha: string;
  /** The newest head of the branch that anybody has told us about. */
  readonly headSha: string;
  readonly url: string | null;
  readonly tests: 'passed' | 'failed' | null;
  readonly commentId: string | null;
  /** The runtime's own name; `null` while there is none, or where it gives none. */
  readonly runtimeId: string | null;
  /** Whether a runtime may exist: asked for, and not known to be gone. */
  readonly hasRuntime: boolean;
  /** Counts the runs; 0 before the first. */
  readonly generation: number;
  /** The deployment of the current run. */
  readonly run: string | null;
  /** Of the last report of the current run that was applied. */
  readonly reportSequence: number;
  /** What the keys of its runs, which reports are signed with, are derived from: sealed with the app's data key, and made before the first run. */
  readonly reportKey: string | null;
  readonly pendingCommand: PendingCommand | null;
  /** Tries of the worker at what is under way now. */
  readonly tries: number;
  /** Why it is in error, or could not be stopped. */
  readonly reason: string | null;
  /** Why it was, or is being, stopped; `null` while it is to run. */
  readonly stopCause: StopCause | null;
  /** What a person said with `forget`. */
  readonly note: string | null;
  /** When `sweep` ends what is under way; `null` while nothing is. */
  readonly deadline: Date | null;
  /** When it was last asked to run: what `sweep` counts its age from. */
  readonly requestedAt: Date;
}

/** A preview environment, or the production environment of an app. */
export type Preview = Omit<StoredPreview, 'reportKey' | 'tries'>;

/** The steps of a worker that leave something outside. */
export const previewSteps = ['comment', 'clearing', 'runtime'] as const;

/** A step of a run that has been done, and what it left: the id of the comment, or of the runtime. */
export interface PreviewStep {
  readonly projectEnvironmentId: string;
  readonly generation: number;
  /** `comment`: people were told; `clearing`: the runtimes of the runs before are gone; `runtime`: the runtime has taken the run on. */
  readonly step: (typeof previewSteps)[number];
  readonly result: string | null;
  readonly at: Date;
}

/** An app secret as lists show it: never with its value. */
export interface AppSecret {
  readonly appId: string;
  readonly environmentType: PreviewType;
  readonly name: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Whether something has been under way for too long. */
export function isOverdue({ status, deadline }: StoredPreview, now: Date): boolean {
  return busyPreviewStatuses.has(status) && deadline !== null && deadline <= now;
}

/** Whether `sweep` should look at a preview: it is overdue, or one that ages was asked for by `askedBy` and is still to run. */
export function isDue(preview: StoredPreview, now: Date, askedBy: Date | null): boolean {
  if (isOverdue(preview, now)) return true;
  const { status, type, requestedAt } = preview;
  const ages = type === 'preview' && status !== 'stopping' && status !== 'stopped' && status !== 'deleted';
  return askedBy !== null && ages && requestedAt <= askedBy;
}
