import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { Stored } from '../storage/port.ts';
import type { KeyScope, StoredDataKey } from './model.ts';

/**
 * The port of data keys. Deleting a project, an app, or an environment type, deletes its data keys in the same write, which makes what they sealed unreadable also
 * in a backup of the rows. A project that is created with sensitive variables brings its first one with it (`ProjectRepository.create`).
 */
export interface DataKeyRepository {
  /** The newest generation of a scope. */
  newest(orgId: string, scope: KeyScope): Stored<StoredDataKey | null>;

  /** One data key of a scope. */
  get(orgId: string, scope: KeyScope, id: string): Stored<StoredDataKey | null>;

  /**
   * Adds a generation, provided that the scope has none of this number (`taken`), and that what it is for is there (`not_found`): a project, an app, or an
   * environment type that is not deleted. Both hold until it is written, so that no key is left of something that was deleted meanwhile.
   */
  add(orgId: string, key: StoredDataKey): Stored<'added' | 'taken' | 'not_found'>;

  /** Replaces how a key is wrapped, at its version (one less than `key.version`); `false` when that has changed, or the key or what it is for is gone. */
  rewrap(orgId: string, key: StoredDataKey): Stored<boolean>;

  /** The data keys of one scope, oldest generation first. */
  ofScope(orgId: string, scope: KeyScope): Stored<readonly StoredDataKey[]>;

  /** Every data key of the org, by id. */
  list(orgId: string, page: PageRequest<string>): Stored<StoredPage<StoredDataKey>>;

  /** Forgets a key: whatever is still sealed with it is lost. */
  remove(orgId: string, scope: KeyScope, id: string): Stored<void>;
}
