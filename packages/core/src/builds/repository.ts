import type { KeyId } from '../kernel/idempotency.ts';
import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { Change, Loaded, Stored, Written } from '../storage/port.ts';
import type { CatalogKind, StoredEntry } from './catalog-model.ts';
import type { BuildStatus } from './lifecycle.ts';
import type {
  BuildFailure,
  BuildMove,
  BuildStats,
  StatsFilter,
  StoredBuild,
  StoredBuildState,
  StoredPlan,
} from './model.ts';

/** The port of the catalog: what builds refer to. */
export interface CatalogRepository {
  /** Names are unique in the org among entries of a kind. */
  create<K extends CatalogKind>(command: {
    readonly kind: K;
    readonly entry: StoredEntry<K>;
    readonly change: Change;
  }): Stored<Written<'name_taken'>>;

  /** The entry, and what is kept under the key. */
  get<K extends CatalogKind>(orgId: string, kind: K, id: string, keyId?: KeyId): Stored<Loaded<StoredEntry<K>>>;

  /** The entry whose name has this key. */
  getByName<K extends CatalogKind>(orgId: string, kind: K, nameKey: string): Stored<StoredEntry<K> | null>;

  /** By name. */
  list<K extends CatalogKind>(orgId: string, kind: K, page: PageRequest<string>): Stored<StoredPage<StoredEntry<K>>>;

  /** Replaces the entry at `expectedVersion`. */
  update<K extends CatalogKind>(command: {
    readonly kind: K;
    readonly entry: StoredEntry<K>;
    readonly previousNameKey: string;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'name_taken'>>;

  /** Deletes the entry at its version, unless a build refers to it. */
  delete<K extends CatalogKind>(command: {
    readonly kind: K;
    readonly entry: StoredEntry<K>;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'in_use'>>;
}

/** What a new build is decided on. */
export interface StartFacts {
  /** Whether the project exists; also true when none was asked for. */
  readonly project: boolean;
  readonly platform: boolean;
  readonly osVersion: boolean;
  readonly imageType: boolean;
  /** The newest plan of the project's own. */
  readonly plan: StoredPlan | null;
}

/** What a new build refers to. */
export type BuildReferences = Pick<StoredBuild, 'projectId' | 'platformId' | 'osVersionId' | 'imageTypeId'>;

/** Which builds a list is of. */
export interface BuildFilter {
  readonly projectId?: string;
  readonly platformId?: string;
  readonly osVersionId?: string;
  readonly imageTypeId?: string;
  readonly status?: BuildStatus;
}

/** Which failures a list is of. */
export interface FailureFilter {
  readonly buildId?: string;
  readonly resolved?: boolean;
  readonly failureType?: string;
  readonly component?: string;
}

/** A place in a list that goes from the newest to the oldest; those of one millisecond by id, the highest first. */
export interface NewestPosition {
  readonly createdAt: Date;
  readonly id: string;
}

/** What `planResume` is decided on. */
export interface ResumeFacts {
  readonly build: StoredBuild;
  /** States with a completed attempt. */
  readonly completed: readonly number[];
  readonly lastFailure: BuildFailure | null;
  readonly unresolvedFailures: number;
}

/** The port of builds and milestone plans. */
export interface BuildRepository {
  /** The project's newest plan, or this version of it; `exists` says whether there is such a project. */
  plan(
    orgId: string,
    projectId: string,
    version?: number,
    keyId?: KeyId,
  ): Stored<Loaded<StoredPlan> & { readonly exists: boolean }>;

  /** Adds a version to a project's plan, provided that it is the next one (`stale`). It goes with its project. */
  addPlan(command: { readonly plan: StoredPlan; readonly change: Change }): Stored<Written<'not_found' | 'stale'>>;

  /** What a new build is decided on, and what is kept under the key. */
  startFacts(
    orgId: string,
    references: BuildReferences,
    keyId?: KeyId,
  ): Stored<StartFacts & Pick<Loaded<never>, 'key'>>;

  /**
   * Adds a build, with its history where it has one: all of it is there at once, or nothing. Numbers are unique in the org. `gone`: what it refers to
   * is not there any more.
   */
  add(command: {
    readonly build: StoredBuild;
    readonly states: readonly StoredBuildState[];
    readonly failures: readonly BuildFailure[];
    readonly change: Change;
  }): Stored<Written<'number_taken' | 'gone'>>;

  /** The build, and what is kept under the key. */
  get(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<StoredBuild>>;

  /** The build with its manifest, as JSON. */
  getWithManifest(
    orgId: string,
    which: { readonly id: string } | { readonly buildNumber: string },
  ): Stored<{ readonly build: StoredBuild; readonly manifest: string | null } | null>;

  /** Newest first. */
  list(orgId: string, filter: BuildFilter, page: PageRequest<NewestPosition>): Stored<StoredPage<StoredBuild>>;

  /**
   * Replaces the build at `expectedVersion`; ends the attempt under way, begins another one and adds a failure, where the move says so. `silentSince`: only
   * while that is still its `heartbeatAt` (`stale`), which moves without a version.
   */
  move(
    command: BuildMove & {
      readonly expectedVersion: number;
      readonly silentSince?: Date | null;
      readonly change: Change;
    },
  ): Stored<Written<'not_found' | 'stale'>>;

  /** Sets the build's version and `updatedAt`, and its manifest, at `expectedVersion`. Nothing else of it: a heartbeat may have come in between. */
  attachManifest(command: {
    readonly build: StoredBuild;
    readonly manifest: string;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** Sets `heartbeatAt` of a running build; `false` when it is not running, or not there. Moves no version. */
  beat(orgId: string, id: string, at: Date): Stored<boolean>;

  /** The history in its order, by sequence; `null` when there is no such build. */
  listStates(orgId: string, buildId: string, page: PageRequest<number>): Stored<StoredPage<StoredBuildState> | null>;

  /** Newest first; `null` when a build is asked for and there is none. */
  listFailures(
    orgId: string,
    filter: FailureFilter,
    page: PageRequest<NewestPosition>,
  ): Stored<StoredPage<BuildFailure> | null>;

  /** The failure, and what is kept under the key. */
  getFailure(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<BuildFailure>>;

  /** Writes the resolution of a failure that has none yet. */
  resolveFailure(command: {
    readonly failure: BuildFailure;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'resolved'>>;

  /** What `planResume` is decided on; `null` when there is no such build. */
  resumeFacts(orgId: string, id: string): Stored<ResumeFacts | null>;

  /** Aggregated where the data is. */
  stats(orgId: string, filter: StatsFilter): Stored<BuildStats>;

  /** At most `limit` running builds whose deadline has passed by `now`, in the order of their ids, behind `after`. */
  due(
    orgId: string,
    request: { readonly now: Date; readonly limit: number; readonly after: string | null },
  ): Stored<readonly StoredBuild[]>;
}
