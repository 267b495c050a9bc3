import type { Storage } from '@vivarium/core/storage';

/** What the suite counts behind the adapter's back: rows of SQL tables, items of one kind in DynamoDB. */
export type RowKind = 'projects' | 'environments' | 'journal' | 'queue' | 'keys';

/** Names an environment completely, for stores whose keys begin with the org. */
export interface EnvironmentAddress {
  readonly orgId: string;
  readonly projectId: string;
  readonly id: string;
}

/**
 * The database itself, read and written without the adapter: with the bare driver, never with the adapter's own code, because a mapping that
 * is wrong in both directions looks right through itself.
 */
export interface RawDatabase {
  /** The environment's variables as they are stored: the text of the JSON document. */
  environmentVariables(environment: EnvironmentAddress): Promise<string>;

  /** Stores this JSON document in place of the environment's variables, as another tool would that knows nothing of Vivarium. */
  setEnvironmentVariables(environment: EnvironmentAddress, json: string): Promise<void>;

  /**
   * How many rows there are of this kind in the org. `queue` are the entries that wait for delivery, parked ones included; `keys` are the
   * idempotency keys, expired ones included as long as they are there.
   */
  count(kind: RowKind, orgId: string): Promise<number>;

  /**
   * Everything that is stored for all orgs, as one text: every column of every row, or every item as JSON. The suite searches it for what
   * must not be there.
   */
  dump(): Promise<string>;
}

/**
 * One empty database with the storage under test on it. The suite asks for one harness and uses it for all its tests; tests keep apart by
 * working in orgs of their own.
 *
 * @example
 * describeStorage('my-engine', async () => {
 *   const pool = createPool(url);
 *   const storage = myStorage({ pool });
 *   unwrap(await storage.migrate());
 *   return {
 *     storage,
 *     raw: rawDatabase(pool),
 *     another: async () => myStorage({ pool: createPool(url) }),
 *     broken: async () => myStorage({ pool: await closedPool(url) }),
 *     reset: () => truncateEverything(pool),
 *     close: () => pool.end(),
 *   };
 * });
 */
export interface StorageHarness {
  /** The storage under test, migrated and ready. */
  readonly storage: Storage<unknown>;

  readonly raw: RawDatabase;

  /**
   * One more storage on the same database, that shares nothing with `storage` in this process: a connection or pool of its own where the
   * engine allows more than one. It stands for a second process. The harness closes it in `close`.
   */
  another(): Promise<Storage<unknown>>;

  /**
   * A storage whose database does not answer: its pool has been closed, or nothing listens where it connects to. It has to fail within
   * seconds. The database of `storage` stays as it is.
   */
  broken(): Promise<Storage<unknown>>;

  /**
   * Opens a transaction as a host does, gives it to `work` in the form that `storage.within` takes, and ends it as `work` answers. When `work`
   * throws, rolls back and throws the same. Present exactly where `storage.within` is.
   */
  readonly transaction?: (work: (transaction: unknown) => Promise<'commit' | 'rollback'>) => Promise<void>;

  /** Empties the database. Called once, before the first test. */
  reset(): Promise<void>;

  /** Ends everything that the harness opened. */
  close(): Promise<void>;
}

/** Makes the harness; called once, when the suite's tests begin. */
export type MakeHarness = () => Promise<StorageHarness> | StorageHarness;
