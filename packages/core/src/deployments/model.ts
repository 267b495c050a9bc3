import * as z from 'zod';

import type { Actor } from '../kernel/actor.ts';
import type { Versioned } from '../kernel/ids.ts';
import { anyText, displayName, freeText } from '../kernel/text.ts';
import { openDeploymentStatuses } from './lifecycle.ts';
import type { DeploymentStatus } from './lifecycle.ts';

const short = (maximum: number) =>
  anyText.refine((text) => text.length >= 1 && text.length <= maximum, `must have 1 to ${maximum} characters`);

/** `github`, `gitlab`, or another one: the provider's name is the host's own. */
export const provider = z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be 1 to 32 lower-case letters, digits or hyphens');
/** `acme/shop`: as the provider writes it, compared without regard to case. */
export const fullName = z
  .string()
  .regex(/^[\w.-]{1,100}(\/[\w.-]{1,100}){1,8}$/, 'must be owner/name: letters, digits, ., _ and - between slashes');
export const branchName = short(255);
export const gitRef = short(255);
export const sha = z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/, 'must be a commit: 40 or 64 hexadecimal digits');
export const appName = displayName;
export const entrypoint = short(255);
export const description = freeText(500);
/** An address that people open: without credentials, because it is kept and shown as it is. */
export const url = anyText
  .pipe(z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }).max(2_000))
  .refine((address) => !hasCredentials(address), 'must not have a user name or a password');
export const pullRequest = z.int().min(1).max(2_147_483_647);

/** Name of a project environment (seed 001): `production`, `staging`, `pr-42`, `feature/login`. */
export const environmentName = z
  .string()
  .regex(/^[a-z0-9._/-]{1,100}$/, 'must be 1 to 100 lower-case letters, digits, hyphens, underscores, dots or slashes');

export const environmentTypes = ['production', 'staging', 'development', 'preview', 'other'] as const;

/** What a project environment is for. */
export type ProjectEnvironmentType = (typeof environmentTypes)[number];

/** How long a deployment may take when it does not say: an hour. */
export const defaultDeploymentTimeoutMs = 3_600_000;
/** From a second to a week. */
export const deploymentTimeoutMs = z.int().min(1_000).max(604_800_000);

/** A repository of source code. */
export interface Repo extends Versioned {
  readonly id: string;
  readonly provider: string;
  readonly fullName: string;
  readonly defaultBranch: string;
}

/** A repository as it is stored. */
export interface StoredRepo extends Repo {
  /** `fullName` as it is compared. */
  readonly nameKey: string;
}

/** What one project makes of one repository: at most one app for each pair. */
export interface App extends Versioned {
  readonly id: string;
  readonly projectId: string;
  readonly repoId: string;
  readonly name: string;
  /** Where in the repository the app begins. */
  readonly entrypoint: string | null;
}

/** A place where a project's repository is deployed to. */
export interface StoredProjectEnvironment extends Versioned {
  readonly id: string;
  readonly projectId: string;
  readonly repoId: string;
  readonly environment: string;
  readonly type: ProjectEnvironmentType;
  readonly branch: string | null;
  readonly pullRequest: number | null;
  /** The app whose previews drive it; then nobody else does (`managed_by_preview`). */
  readonly managedBy: string | null;
  /** Counts the deployments: the sequence of the newest. */
  readonly deploymentSequence: number;
  /** The deployment that started last. */
  readonly latestDeployment: string | null;
  /** The deployment that is live: of those that succeeded the one that started last. */
  readonly activeDeployment: string | null;
  readonly activeSequence: number;
}

/** A place where a project's repository is deployed to (seed 001). */
export type ProjectEnvironment = Omit<StoredProjectEnvironment, 'activeSequence'>;

/** A project environment in a list: with the deployment that started last. */
export interface ListedProjectEnvironment extends ProjectEnvironment {
  readonly latest: Deployment | null;
}

/** Which configuration a deployment was made with: its version, and a digest of its variables as they were stored. */
export interface DeployedConfiguration {
  readonly environmentId: string;
  readonly version: number;
  /** SHA-256 of the stored variables, in hexadecimal. */
  readonly digest: string;
}

/** One deployment to a project environment. */
export interface Deployment {
  readonly id: string;
  readonly projectEnvironmentId: string;
  /** Counts the deployments of its environment from 1. */
  readonly sequence: number;
  readonly status: DeploymentStatus;
  readonly gitRef: string;
  readonly sha: string;
  readonly url: string | null;
  readonly description: string | null;
  /** The deployment that this one goes back to. */
  readonly rollbackOf: string | null;
  readonly configuration: DeployedConfiguration | null;
  readonly createdBy: Actor;
  /** `sweep` fails it when it has not ended by then. */
  readonly deadline: Date;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly updatedAt: Date;
}

/** What happens at once: the environment after it, the deployment, and the one that is not live any more. */
export interface DeploymentMove {
  readonly environment: StoredProjectEnvironment;
  readonly deployment: Deployment;
  readonly replaced: Deployment | null;
}

/** Whether a deployment has not ended by its deadline. */
export function isOverdue({ status, deadline }: Deployment, now: Date): boolean {
  return openDeploymentStatuses.has(status) && deadline <= now;
}

function hasCredentials(address: string): boolean {
  const url = URL.parse(address);
  return url !== null && (url.username !== '' || url.password !== '');
}
