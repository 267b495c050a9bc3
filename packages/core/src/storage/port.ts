import type { BuildRepository, CatalogRepository } from '../builds/repository.ts';
import type { DeploymentRepository } from '../deployments/repository.ts';
import type { EnvironmentRepository } from '../environments/repository.ts';
import type { EphemeralRepository } from '../ephemeral/repository.ts';
import type { JournalEntry } from '../journal/model.ts';
import type { JournalRepository } from '../journal/repository.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import type { KeyRecord, KeyWrite } from '../kernel/idempotency.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { DataKeyRepository } from '../keys/repository.ts';
import type { PreviewRepository } from '../previews/repository.ts';
import type { ProjectRepository } from '../projects/repository.ts';

/** What every repository method answers with: a value, or the one failure that storage itself can have. */
export type Stored<T> = ResultAsync<T, StorageFailure>;

/**
 * What a load gives: the thing, if it is there, and what is kept under the command's idempotency key, if anything is. An expired key may be
 * given: only the command knows what time it is.
 */
export interface Loaded<T> {
  readonly found: T | null;
  readonly key: KeyRecord | null;
}

/**
 * What a guarded write answers. A refusal is an answer, not a failure: a guard did not hold and nothing was written. `key_taken` comes before every
 * other refusal and brings what is kept under the key; a key that expired by `change.at` is overwritten and refuses nothing. `'stale'` means: what was decided on has changed; load and decide again.
 */
export type Written<Refusal extends string> =
  | { readonly done: true }
  | { readonly done: false; readonly refused: Refusal }
  | { readonly done: false; readonly refused: 'key_taken'; readonly record: KeyRecord };

/** What goes into every write besides the change itself, in the same atomic write: its journal entry and its idempotency key. */
export interface Change {
  readonly orgId: string;
  readonly at: Date;
  readonly entry: JournalEntry;
  readonly key: KeyWrite | null;
}

/** What `migrate` did. */
export interface MigrationReport {
  /** Names of the migrations that ran now, in order; empty when the storage was up to date. */
  readonly applied: readonly string[];
}

/**
 * Where a storage stands. `pending` migrations still have to run; `unknown` ones were made by a newer version of this library. `ready` says
 * whether this version can work with it: nothing pending, and nothing unknown that is marked as breaking.
 */
export interface StorageStatus {
  readonly ready: boolean;
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  readonly unknown: readonly string[];
}

/**
 * All repositories of one database. Each write method is one command that is atomic by itself; there is no interactive
 * transaction, because not every storage has one. Prove an implementation with `@vivarium/testing`.
 *
 * `Transaction` is what `within` takes: the host's own transaction, on storages that have one.
 */
export interface Storage<Transaction = never> {
  /** A short name for messages: `memory`, `postgres`, `mysql`, `dynamodb`. */
  readonly name: string;
  readonly projects: ProjectRepository;
  readonly environments: EnvironmentRepository;
  readonly ephemeral: EphemeralRepository;
  readonly catalog: CatalogRepository;
  readonly builds: BuildRepository;
  readonly deployments: DeploymentRepository;
  readonly previews: PreviewRepository;
  readonly journal: JournalRepository;
  readonly dataKeys: DataKeyRepository;
  /** Creates or upgrades tables. Safe to call from several processes at once. */
  migrate(): Stored<MigrationReport>;
  /** Where the storage stands, without changing it. */
  status(): Stored<StorageStatus>;
  /** Closes what the storage opened by itself; what the host handed in stays open. */
  close(): Stored<void>;
  /** The same storage inside the host's transaction. Absent where the engine has no interactive transactions. */
  within?(transaction: Transaction): Storage;
}
