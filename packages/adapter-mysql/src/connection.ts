/**
 * The connections that this package can work on, by what it needs of them: pools and connections of mysql2, with promises or callbacks, and
 * Kysely's transactions.
 */
import type { Row } from '@vivarium/sql';

import { inlined } from './literal.ts';

/** A connection of mysql2, or of mysql2/promise. */
export interface MysqlConnection {
  execute(...given: never[]): unknown;
  query(...given: never[]): unknown;
  beginTransaction(...given: never[]): unknown;
}

/** A pool of mysql2, or of mysql2/promise. */
export interface MysqlPool {
  getConnection(...given: never[]): unknown;
}

/** A transaction of Kysely on MySQL, controlled or not. Its plugins are left aside. */
export interface KyselyTransaction {
  readonly isTransaction: boolean;
  withoutPlugins(): object;
}

/** What `within` takes: the caller's own open transaction. */
export type MysqlTransaction = MysqlConnection | KyselyTransaction;

/** What a statement came to. */
export interface Answer {
  readonly rows: readonly Row[];
  /** How many rows it changed; `null` for a statement that answers with rows. */
  readonly affected: number | null;
  /** Whether a transaction is open now, or nothing is committed by itself; `null` where this cannot be seen. */
  readonly inTransaction: boolean | null;
}

/** One connection, as a way to send statements. Rejects with whatever the driver has to say. */
export interface Line {
  /** What stands for the connection: the same object whenever the same connection comes by. */
  readonly identity: object;
  /** Sends text as it is. Of several statements, answers the last one's. */
  query(text: string): Promise<Answer>;
  /** Sends a statement with a value for each `?`: prepared, where the connection can. */
  execute(text: string, values: readonly unknown[]): Promise<Answer>;
}

type Callback = (error: Error | null, result?: unknown) => void;

/** The callback connection in the middle of all of mysql2's, by what is used of it. */
export interface DriverConnection {
  readonly config?: { readonly typeCast?: unknown };
  execute(options: object, callback: Callback): unknown;
  query(options: object, callback: Callback): unknown;
}

/** Takes the callback connection, or pool, out of its promise wrapper. */
export function unwrapped<T>(given: object, wrapped: 'connection' | 'pool', method: string): T | null {
  const inner = (given as Record<string, unknown>)[wrapped] as object | undefined;
  for (const one of [inner, given]) {
    if (typeof (one as Record<string, unknown> | undefined)?.[method] === 'function') return one as T;
  }
  return null;
}

/** Rows as objects of the column's own values, whatever the host has set for its own queries. */
function plainRows({ config }: DriverConnection) {
  // A function of the pool's is called also where a query says `true`: only another function takes its place.
  const hostCasts = typeof config?.typeCast === 'function';
  return { rowsAsArray: false, nestTables: false, typeCast: hostCasts ? ownValue : true };
}

const ownValue = (_field: unknown, next: () => unknown) => next();

/** The server keeps no more prepared statements, has lost this one, or cannot prepare it again while tables change. Nothing was done. */
const notPrepared = new Set([1461, 1243, 1615]);

/** Older versions of mysql2 bind every number as a floating-point one, which MySQL does not take for a LIMIT. */
const asBound = (value: unknown) => (typeof value === 'number' ? String(value) : value);

/** A connection of mysql2. */
export class DriverLine implements Line {
  readonly identity: DriverConnection;
  readonly #options: ReturnType<typeof plainRows>;

  constructor(connection: DriverConnection) {
    this.identity = connection;
    this.#options = plainRows(connection);
  }

  query(text: string): Promise<Answer> {
    return this.#send('query', text, []);
  }

  async execute(text: string, values: readonly unknown[]): Promise<Answer> {
    try {
      return await this.#send('execute', text, values.map(asBound));
    } catch (thrown) {
      if (!notPrepared.has((thrown as { errno?: number }).errno ?? 0)) throw thrown;
      return this.query(inlined(text, values));
    }
  }

  #send(how: 'query' | 'execute', sql: string, values: readonly unknown[]): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.identity[how]({ sql, values, ...this.#options }, (error, result) => {
        if (error) reject(error);
        else resolve(answerOf(result));
      });
    });
  }
}

/** The header that mysql2 gives for a statement without rows. */
interface Header {
  readonly affectedRows: number;
  readonly serverStatus?: number;
}

const statusInTransaction = 1;
const statusAutocommit = 2;

function answerOf(result: unknown): Answer {
  if (!Array.isArray(result)) {
    const { affectedRows, serverStatus = null } = result as Header;
    const inTransaction =
      serverStatus === null
        ? null
        : (serverStatus & statusInTransaction) !== 0 || (serverStatus & statusAutocommit) === 0;
    return { rows: [], affected: affectedRows, inTransaction };
  }
  const last: unknown = result.at(-1);
  const several = Array.isArray(last) || (typeof last === 'object' && last !== null && 'affectedRows' in last);
  return several ? answerOf(last) : { rows: result as Row[], affected: null, inTransaction: null };
}

interface PlainTransaction {
  executeQuery(query: object): Promise<{ readonly rows: readonly Row[]; readonly numAffectedRows?: bigint }>;
}

/** A transaction of Kysely. It binds values by writing them into the text, with backslashes; literals of our own need no such thing. */
export class KyselyLine implements Line {
  readonly identity: object;
  readonly #transaction: PlainTransaction;

  constructor(transaction: KyselyTransaction) {
    this.identity = transaction;
    this.#transaction = transaction.withoutPlugins() as PlainTransaction;
  }

  /** A compiled query as Kysely's own `CompiledQuery.raw` makes it. */
  async query(sql: string): Promise<Answer> {
    const query = { kind: 'RawNode', sqlFragments: [sql], parameters: [] };
    const { rows, numAffectedRows } = await this.#transaction.executeQuery({
      sql,
      parameters: [],
      query,
      queryId: { queryId: 'vivarium' },
    });
    return { rows, affected: numAffectedRows === undefined ? null : Number(numAffectedRows), inTransaction: null };
  }

  execute(text: string, values: readonly unknown[]): Promise<Answer> {
    return this.query(inlined(text, values));
  }
}

/** Tells what the caller has handed over, and refuses what is no transaction: nothing there could be undone. */
export function lineWithin(transaction: MysqlTransaction): Line {
  const given = transaction as object as Readonly<Record<string, unknown>>;
  if (typeof given['withoutPlugins'] === 'function') {
    if (given['isTransaction'] === true) return new KyselyLine(transaction as KyselyTransaction);
    throw new TypeError('within() takes a Kysely transaction, and this Kysely is not in one');
  }
  if (typeof given['getConnection'] === 'function') {
    throw new TypeError('within() takes a connection on which a transaction was begun, not the pool');
  }
  const connection = unwrapped<DriverConnection>(transaction, 'connection', 'execute');
  if (connection === null || typeof given['beginTransaction'] !== 'function') {
    throw new TypeError('within() takes an open transaction: a connection of mysql2, or a transaction of Kysely');
  }
  return new DriverLine(connection);
}
