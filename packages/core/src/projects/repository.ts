import type { StoredEnvironment } from '../environments/model.ts';
import type { KeyId, KeyRecord } from '../kernel/idempotency.ts';
import type { StoredDataKey } from '../keys/model.ts';
import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { Change, Loaded, Stored, Written } from '../storage/port.ts';
import type { StoredProject } from './model.ts';

/** A project with all its ancestors: itself first, the root last. `treeVersion` is the org tree's, 0 while the org has no tree row yet. */
export interface Lineage {
  readonly lineage: readonly StoredProject[];
  readonly treeVersion: number;
  readonly key: KeyRecord | null;
}

/** What `move` decides on. `height` counts the levels of the project's subtree, the project included: 1 without children. */
export interface MoveFacts {
  readonly project: StoredProject | null;
  readonly height: number;
  /** The new parent first, its root last; empty when it moves to the root, or when the new parent does not exist. */
  readonly parentLineage: readonly StoredProject[];
  readonly treeVersion: number;
  /** How many projects were ever made under a parent: whether the subtree may have grown since. */
  readonly treeGrowth: number;
  readonly key: KeyRecord | null;
}

/** The port of projects. Names are unique per org by `nameKey`; lists are in the byte order of `nameKey`. */
export interface ProjectRepository {
  /**
   * Writes a project with its first environments, the first of which is its default. With a parent, guards that the org's tree is still
   * at `treeVersion` (`stale`), so that neither depth nor parent can have changed; such creates do not disturb one another, but
   * each moves the tree's growth on, so that no move goes by a height that is out of date. `dataKey` is what sensitive variables among them are sealed with.
   */
  create(command: {
    readonly project: StoredProject;
    readonly environments: readonly StoredEnvironment[];
    readonly dataKey?: StoredDataKey;
    readonly treeVersion: number | null;
    readonly change: Change;
  }): Stored<Written<'name_taken' | 'stale'>>;

  /** The project of this id, and what is kept under the key. */
  get(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<StoredProject>>;
  /** The org's project of this name key. */
  getByName(orgId: string, nameKey: string): Stored<StoredProject | null>;

  /** Projects by name. `parentProjectId`: only the children of this one; `null`: only roots; not given: all. */
  list(
    orgId: string,
    filter: { readonly parentProjectId?: string | null },
    page: PageRequest<string>,
  ): Stored<StoredPage<StoredProject>>;

  /** The project and its ancestors; an empty `lineage` when there is no such project. */
  lineage(orgId: string, id: string, keyId?: KeyId): Stored<Lineage>;
  /** What `move` decides on, read together. */
  moveFacts(orgId: string, id: string, parentProjectId: string | null, keyId?: KeyId): Stored<MoveFacts>;

  /** Replaces name and description by those of `project`, whose version is one more than `expectedVersion`. `previousNameKey` is what it was called. */
  update(command: {
    readonly project: StoredProject;
    readonly previousNameKey: string;
    readonly expectedVersion: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'name_taken'>>;

  /** Hangs the project under `project.parentProjectId`, guarding the project's version and the tree's version and growth; the tree's version moves on. */
  move(command: {
    readonly project: StoredProject;
    readonly previousParentId: string | null;
    readonly expectedVersion: number;
    readonly treeVersion: number;
    readonly treeGrowth: number;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale'>>;

  /** Deletes the project with its environments. */
  delete(command: {
    readonly project: StoredProject;
    readonly change: Change;
  }): Stored<Written<'not_found' | 'stale' | 'has_children' | 'has_live_previews'>>;
}
