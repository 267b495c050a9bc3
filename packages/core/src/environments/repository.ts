import type { KeyId, KeyRecord } from '../kernel/idempotency.ts';
import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { Change, Loaded, Stored, Written } from '../storage/port.ts';
import type { EnvironmentRef, EnvironmentStats, LoadedEnvironment, StoredEnvironment, StoredSummary } from './model.ts';

/**
 * A place in the list of a project's environments, where the default comes first and the others follow by name. It remembers which
 * environment was shown as the default, so that moving the default between two pages neither hides nor repeats one.
 */
export interface EnvironmentPosition {
  /** The environment that the first page began with. */
  readonly first: string;
  /** `null` right behind the first. */
  readonly nameKey: string | null;
}

/** What `delete` decides on. */
export interface DeleteFacts {
  readonly environment: LoadedEnvironment | null;
  /**
   * Who would become the default: the `promote` that was asked for, if it is another environment of the project; where none was asked for,
   * the project's oldest other environment (by `createdAt`, then id). `null` when there is none.
   */
  readonly heir: string | null;
  readonly key: KeyRecord | null;
}

/** The port of environments. A ref whose project does not hold the environment finds nothing. */
export interface EnvironmentRepository {
  /** Guards that the project exists (`not_found`) and has fewer than `maximum` environments, with the one row that owns the set. */
  create(command: {
    readonly environment: StoredEnvironment;
    readonly maximum: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'limit_reached' | 'name_taken'>>;

  /** The environment of this ref, and what is kept under the key. */
  get(orgId: string, ref: EnvironmentRef, keyId?: KeyId): Stored<Loaded<LoadedEnvironment>>;
  /** The project's environment of this name key. */
  getByName(orgId: string, projectId: string, nameKey: string): Stored<LoadedEnvironment | null>;
  /** The environment that the project points to; `null` when there is no such project. */
  getDefault(orgId: string, projectId: string): Stored<LoadedEnvironment | null>;
  /** Both at once; in the order asked for. */
  getTwo(
    orgId: string,
    a: EnvironmentRef,
    b: EnvironmentRef,
  ): Stored<readonly [LoadedEnvironment | null, LoadedEnvironment | null]>;

  /** Summaries: the default first, then by name. `null` when there is no such project. Never reads variables or descriptions. */
  list(
    orgId: string,
    projectId: string,
    page: PageRequest<EnvironmentPosition>,
  ): Stored<StoredPage<StoredSummary> | null>;

  /**
   * Summaries by name of the environments whose `nameKey` contains this and that have a variable of exactly this key. `null` when there is
   * no such project.
   */
  search(
    orgId: string,
    projectId: string,
    filter: { readonly nameKey?: string; readonly variableKey?: string },
    page: PageRequest<string>,
  ): Stored<StoredPage<StoredSummary> | null>;

  /** Figures over the project's environments; `null` when there is no such project. */
  stats(orgId: string, projectId: string): Stored<EnvironmentStats | null>;

  /** Replaces name and description by those of `environment`, whose version is one more than `expectedVersion`. `previousNameKey` is what it was called. */
  update(command: {
    readonly environment: StoredEnvironment;
    readonly previousNameKey: string;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'name_taken'>>;

  /** Replaces the variables by those of `environment`, whose version is one more than `expectedVersion`. */
  setVariables(command: {
    readonly environment: StoredEnvironment;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** Points the project's default to this environment, which has to exist when the write commits. */
  makeDefault(command: { readonly ref: EnvironmentRef; readonly change: Change }): Stored<Written<'not_found'>>;

  /** What `delete` decides on, read together. */
  deleteFacts(orgId: string, ref: EnvironmentRef, promote: string | undefined, keyId?: KeyId): Stored<DeleteFacts>;

  /**
   * Deletes the environment at its version. `promote` becomes the default if, and only if, this was it: `environment.isDefault` is what
   * was decided on, and the write is `stale` when that has changed or when `promote` is gone.
   */
  delete(command: {
    readonly environment: LoadedEnvironment;
    readonly promote: string | null;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'last_environment'>>;
}
