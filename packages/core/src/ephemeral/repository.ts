import type { KeyId } from '../kernel/idempotency.ts';
import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { Change, Loaded, Stored, Written } from '../storage/port.ts';
import type { InstanceState, StateChangeType } from './lifecycle.ts';
import type {
  LoadedType,
  SecretDefinition,
  StateChangeAction,
  StoredChange,
  StoredInstance,
  StoredSecret,
  StoredType,
} from './model.ts';

/** A type in a list: without its actions and secret definitions. */
export type StoredTypeSummary = Omit<LoadedType, 'actions' | 'secrets'>;

/** An instance with what is decided about it: its type, and its pending change. */
export interface InstanceFacts {
  readonly instance: StoredInstance;
  readonly type: LoadedType;
  readonly pending: StoredChange | null;
}

/** A change, pending or ended, with its instance as that is now, and the type. */
export interface ChangeFacts {
  readonly stateChange: StoredChange;
  readonly instance: StoredInstance;
  readonly type: LoadedType;
}

/** A place in the list of a type's instances: ended ones may share a name. */
export interface InstancePosition {
  readonly nameKey: string;
  readonly id: string;
}

/** The port of ephemeral environments. */
export interface EphemeralRepository {
  /** Names are unique among the org's types that are not deleted. */
  createType(command: { readonly type: StoredType; readonly change: Change }): Stored<Written<'name_taken'>>;

  /** The type with its actions and definitions, and what is kept under the key. */
  getType(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<LoadedType>>;

  /** By name, without the deleted ones. */
  listTypes(orgId: string, page: PageRequest<string>): Stored<StoredPage<StoredTypeSummary>>;

  /**
   * Replaces a type's own fields by those of `type`, whose version is one more than `expectedVersion`, and at most one of its actions and one of its
   * secret definitions: `put` adds it or takes the place of the one for the same kind of change or of the same name. A type whose state becomes
   * `deleted` gives its name free, must have no live instance (`has_instances`), and its data keys go with it.
   */
  writeType(command: {
    readonly type: StoredType;
    readonly previousNameKey: string;
    readonly expectedVersion: number;
    readonly action?: { readonly put: StateChangeAction } | { readonly remove: StateChangeType };
    readonly secret?: { readonly put: SecretDefinition } | { readonly remove: string };
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'name_taken' | 'has_instances'>>;

  /**
   * Guards, with the type's own row, that the type is ready and has a place left, and takes the place. Names are unique among the live
   * instances of a type.
   */
  createInstance(command: {
    readonly instance: StoredInstance;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'type_not_ready' | 'capacity_reached' | 'name_taken'>>;

  /** The instance, also one that has ended. */
  getInstance(orgId: string, id: string): Stored<StoredInstance | null>;

  /** By name, then id; `null` when there is no such type. */
  listInstances(
    orgId: string,
    filter: { readonly typeId: string; readonly state?: InstanceState },
    page: PageRequest<InstancePosition>,
  ): Stored<StoredPage<StoredInstance> | null>;

  /** What changes of an instance are decided on, and what is kept under the key. */
  facts(orgId: string, instanceId: string, keyId?: KeyId): Stored<Loaded<InstanceFacts>>;

  /** Replaces the instance at `expectedVersion`, provided that no change is pending, and adds the change. */
  startChange(command: {
    readonly instance: StoredInstance;
    readonly stateChange: StoredChange;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /**
   * Ends a pending change and replaces the instance at `expectedVersion`. An instance whose state is final gives its place and its name free and
   * loses its secrets, in the same write.
   */
  endChange(command: {
    readonly instance: StoredInstance;
    readonly stateChange: StoredChange;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** Replaces the instance at `expectedVersion`; one that becomes final as in `endChange`. */
  writeInstance(command: {
    readonly instance: StoredInstance;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** Deletes an instance that has ended, at its version, with its changes. */
  removeInstance(command: {
    readonly instance: StoredInstance;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** Notes that the runner took a pending change on, and its names for it; `false` when the change is not pending. Moves no version. */
  acceptChange(
    orgId: string,
    accepted: Pick<StoredChange, 'id' | 'instanceId' | 'acceptedAt' | 'executionPipelineId' | 'executionId'>,
  ): Stored<boolean>;

  /** Replaces the tokens of a pending change, if they are `expected`; `false` when not. Moves no version. */
  setTokens(
    orgId: string,
    tokens: Pick<StoredChange, 'id' | 'instanceId' | 'tokenHashes'> & { readonly expected: readonly string[] },
  ): Stored<boolean>;

  /** What the end of a change, and the use of secrets, are decided on, and what is kept under the key. */
  changeFacts(orgId: string, stateChangeId: string, keyId?: KeyId): Stored<Loaded<ChangeFacts>>;

  /** Newest first, by sequence; `null` when there is no such instance. */
  listChanges(orgId: string, instanceId: string, page: PageRequest<number>): Stored<StoredPage<StoredChange> | null>;

  /** The values of an instance's secrets, by name; of these names only, where given. */
  secrets(orgId: string, instanceId: string, names?: readonly string[]): Stored<readonly StoredSecret[]>;

  /**
   * Writes a secret's value at its version (`sealVersion` 1: there must be none yet), provided that this change is the instance's
   * pending one (`not_pending`).
   */
  writeSecret(command: {
    readonly secret: StoredSecret;
    readonly stateChangeId: string;
    readonly change: Change;
  }): Stored<Written<'stale' | 'not_pending'>>;

  /**
   * At most `limit` instances that `sweep` should look at, in the order of their ids, behind `after`: not ended, and with a pending change that
   * is past its deadline, has no token yet, or was not taken on by a runner since `acceptedBy`; or with none, and expired (and neither given up nor waiting
   * for `sweepAfter`) or idle for longer than their type's `sleepAfterMs` while ready or in use. It may give others, too: the rules decide.
   */
  due(
    orgId: string,
    request: { readonly now: Date; readonly acceptedBy: Date; readonly limit: number; readonly after: string | null },
  ): Stored<readonly InstanceFacts[]>;
}
