import * as z from 'zod';

import type { Actor } from '../kernel/actor.ts';
import type { Versioned } from '../kernel/ids.ts';
import { anyText, displayName, freeText } from '../kernel/text.ts';
import { stateChangeTypes } from './lifecycle.ts';
import type { InstanceState, StateChangeType } from './lifecycle.ts';

/** `draft → ready ⇄ cordoned`, any of them → `deleted`. Only a ready type takes new instances. */
export type TypeState = 'draft' | 'ready' | 'cordoned' | 'deleted';

export const typeName = displayName;
export const instanceName = displayName;
export const description = freeText(500);
export const stateChangeType = z.enum(stateChangeTypes);

/** A year: no time to live, no timeout is longer. */
export const longestMs = 366 * 24 * 60 * 60 * 1_000;
export const durationMs = z.int().min(1).max(longestMs);

/** How long a change may take when its type does not say: 30 minutes. */
export const defaultChangeTimeoutMs = 1_800_000;

/** Secret definitions that a type may have. All values of an instance are destroyed in its last write, which bounds their number. */
export const maximumSecretDefinitions = 40;

/** Names of secrets: as keys of variables. */
export const secretName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,256}$/, 'must be 1 to 256 letters (A-Z, a-z), digits, hyphens or underscores');

/** A secret's value: at most 64 KiB. */
export const secretValue = anyText.refine(
  (text) => Buffer.byteLength(text) <= 65_536,
  'must have at most 65,536 bytes',
);

/** What a pipeline is told besides the rest: at most 2 KiB as JSON. Stored as it is: no place for secrets. */
export const parameters = z
  .record(
    z
      .string()
      .max(200)
      .refine((key) => anyText.safeParse(key).success),
    anyText,
  )
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= 2_048, 'must have at most 2,048 bytes as JSON');

/** Who or what asked for a change. */
export interface Trigger {
  readonly type: 'user' | 'automation_rule' | 'system';
  readonly id: string;
}

export const trigger = z.strictObject({
  type: z.enum(['user', 'automation_rule', 'system']),
  id: anyText.refine((text) => text.length >= 1 && text.length <= 128, 'must have 1 to 128 characters'),
});

/** The pipeline that carries out one kind of change for a type; one per (type, kind). */
export interface StateChangeAction {
  readonly id: string;
  readonly stateChangeType: StateChangeType;
  /** The host's own project and branch, where the pipeline's definition is. */
  readonly projectId: string | null;
  readonly branch: string | null;
  readonly pipelineYamlName: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A secret that instances of a type have, and which kinds of change may write and read it. */
export interface SecretDefinition {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly writableBy: readonly StateChangeType[];
  readonly readableBy: readonly StateChangeType[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A type with its actions and secret definitions, which its version counts, too. */
export interface StoredType extends Versioned {
  readonly id: string;
  readonly name: string;
  readonly nameKey: string;
  readonly description: string | null;
  readonly state: TypeState;
  /** `null`: no limit. */
  readonly maxNumberOfInstances: number | null;
  readonly ttlMs: number | null;
  readonly maxTtlMs: number | null;
  readonly sleepAfterMs: number | null;
  readonly changeTimeoutMs: number;
  readonly createdBy: Actor;
  readonly lastModifiedBy: Actor;
  /** In the order of the lifecycle. */
  readonly actions: readonly StateChangeAction[];
  /** By name. */
  readonly secrets: readonly SecretDefinition[];
}

/** A type as it is read, with how many of its instances live: that number is no part of what its version counts. */
export interface LoadedType extends StoredType {
  readonly liveInstances: number;
}

/** A kind of ephemeral environment: how many there may be, how long they live, which pipelines carry their changes out (seed 000). */
export type EnvironmentType = Omit<LoadedType, 'nameKey'>;

/** An instance as it is stored. */
export interface StoredInstance extends Versioned {
  readonly id: string;
  readonly typeId: string;
  readonly name: string;
  readonly nameKey: string;
  readonly state: InstanceState;
  /** The change that is under way. */
  readonly pendingChangeId: string | null;
  /** Counts the changes that were started. */
  readonly changeSequence: number;
  /** Where `wake_up` leads back to. */
  readonly sleptFrom: 'ready_to_use' | 'in_use' | null;
  readonly expiresAt: Date | null;
  /** The last change or `touch`: what `sleepAfterMs` counts from. */
  readonly lastActiveAt: Date;
  /** Failed tries of `sweep` to take the instance down. */
  readonly sweepFailures: number;
  /** Not before this time does `sweep` try again. */
  readonly sweepAfter: Date | null;
  /** `sweep` has given up: a person has to look. */
  readonly needsAttention: boolean;
  /** What a person said with `acknowledgeCleanUp`. */
  readonly note: string | null;
  readonly endedAt: Date | null;
}

/** One ephemeral environment. */
export type Instance = Omit<StoredInstance, 'nameKey' | 'sweepFailures' | 'sweepAfter'>;

/** How a change ended; `pending` while it has not. */
export type ChangeResult = 'pending' | 'passed' | 'failed' | 'canceled';

/** A change as it is stored. It keeps what its action was when it started. */
export interface StoredChange {
  readonly id: string;
  readonly instanceId: string;
  readonly typeId: string;
  /** The instance's `changeSequence`. */
  readonly sequence: number;
  readonly type: StateChangeType;
  readonly prevState: InstanceState;
  /** Where it led; `null` while it is pending. */
  readonly nextState: InstanceState | null;
  readonly result: ChangeResult;
  /** Why it failed or was canceled. */
  readonly reason: string | null;
  readonly trigger: Trigger;
  readonly actionId: string;
  readonly projectId: string | null;
  readonly branch: string | null;
  readonly pipelineYamlName: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** SHA-256 of the tokens that were handed out, in hexadecimal: one for each time that the runner was called; none before that. */
  readonly tokenHashes: readonly string[];
  /** When the runner took the change on; `null` while that is not known. */
  readonly acceptedAt: Date | null;
  readonly executionPipelineId: string | null;
  readonly executionId: string | null;
  readonly deadline: Date;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

/** A change of an instance's state, carried out by a pipeline. */
export type StateChange = Omit<StoredChange, 'tokenHashes'>;

/** A secret's value as it is stored: sealed with the data key of the type. */
export interface StoredSecret {
  readonly instanceId: string;
  readonly name: string;
  readonly sealed: string;
  /** Counts the values that this secret of this instance has had; also the row's version. */
  readonly sealVersion: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
