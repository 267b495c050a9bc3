/** Everything that differs between SQL engines. The statements in this package are written once, in terms of it. */
import type { MigrationReport, StorageFailure, StorageStatus } from '@vivarium/core/storage';

import type { Plan, Value } from './plan.ts';
import type { Statement } from './statement.ts';
import type { ColumnType, Table } from './tables.ts';

/** How statements are spelled. */
export interface Dialect {
  /** The table's name as it stands in a statement, with its schema or prefix, quoted. */
  table(name: Table): string;

  /**
   * Behind a table in a FROM: that it is read by this index (its name without `vivarium_`), on engines that guess wrong. Nothing on others.
   */
  readBy(index: string): string;

  /** The placeholder of the parameter at this position, counted from 1, cast where the engine needs it. */
  placeholder(position: number, type: ColumnType): string;
  /** Whether one position can stand in several places (`$1`); where not (`?`), the value is bound once for each. */
  readonly positional: boolean;
  /** What the driver is handed for a value. JSON comes as text already, integers as numbers, a truth as 0 or 1. */
  bind(type: ColumnType, value: Exclude<Value, null>): unknown;

  /**
   * Reads an expression as text, whatever type parsers the host has set on its connections: a time as ISO 8601 in UTC that `new Date`
   * takes, JSON as JSON, a count as decimal digits, a truth as 0 or 1.
   */
  asText(type: 'time' | 'json' | 'count' | 'boolean', expression: string): string;

  /** An aggregate: an object with these fields for each row, as one JSON list in a text; null without rows. The fields are texts, or null. */
  jsonList(fields: Readonly<Record<string, string>>): string;

  /**
   * A query with a row for each `state` of the attempts \`s\` in \`from\`: how many \`attempts\` there are, how many \`completed\` and \`failed\`, and the
   * nearest-rank percentiles of \`duration_ms\` of the completed ones, \`p50\` and \`p95\`; null without.
   */
  attemptFigures(attempts: { readonly from: string; readonly where: string }): string;

  /** A time so many milliseconds later. */
  later(time: string, milliseconds: string): string;

  /** The columns, together, come after (before) the values in the order of the columns: a row-value comparison, spelled so that the index is used. */
  after(columns: readonly [string, string], values: readonly [string, string]): string;
  before(columns: readonly [string, string], values: readonly [string, string]): string;

  /** Whether a text contains another, byte by byte, with nothing in it read as a pattern. */
  contains(text: string, part: string): string;
  /** Whether the JSON list of variables in a column has one of exactly this key. */
  hasVariable(column: string, key: string): string;

  /** A deletion of at most so many rows, the first in this order. Answers `deleted`, how many there were. */
  deletingSome(table: string, which: Few): string;

  /**
   * How deletions that hang together are made.
   *
   * - `together`: as one statement that answers `deleted`, how many rows the last of them took.
   * - `listed`: one by one, each of the rows whose `stream` and `sequence` stand in a JSON list of such objects and whose org is `:org`. The
   *   list is read before, so that rows which stay are neither looked at nor locked.
   */
  readonly deleting:
    | { together(deletions: readonly string[]): string }
    | { listed(table: string, list: string): string };
}

/** Some of the rows of a table. */
export interface Few {
  readonly key: readonly string[];
  readonly where: string;
  readonly order: string;
  readonly limit: string;
}

export type Row = Readonly<Record<string, unknown>>;

/**
 * How one try of a plan ended.
 *
 * - `stopped`: this step (its index in `stepsOf`) took no effect.
 * - `violated`: it ran into this constraint. A name from `Constraint`, or the engine's own word for another one.
 * - `conflict`: the engine gave up for the sake of others (deadlock, serialization, lock timeout); trying again is safe.
 *
 * In each of the three nothing was written.
 */
export type Ran =
  | { readonly as: 'done' }
  | { readonly as: 'stopped'; readonly step: number }
  | { readonly as: 'violated'; readonly constraint: string }
  | { readonly as: 'conflict'; readonly failure: StorageFailure };

/** Sends statements: over connections of its own choosing, or over the one of the host's transaction. Both reject with `StorageFailure`s only. */
export interface Executor {
  /** Whether a plan is a transaction by itself. In the host's one nothing is retried after a conflict. */
  readonly owns: boolean;
  /** Runs a statement as it is. For deletions, the number of rows stands in the first row's `deleted`. */
  query(statement: Statement, values: unknown[]): Promise<readonly Row[]>;
  /** Tries a plan once, in as few round trips as the engine can. */
  run(plan: Plan): Promise<Ran>;
}

/** What an adapter gives to `sqlStorage`. Promises reject with `StorageFailure`s only. */
export interface Engine<Transaction> {
  /** A short name for messages: `postgres`, `mysql`. */
  readonly name: string;
  readonly dialect: Dialect;
  readonly executor: Executor;
  /** Throws a TypeError when this is no transaction. */
  within(transaction: Transaction): Executor;
  migrate(): Promise<MigrationReport>;
  status(): Promise<StorageStatus>;
  close(): Promise<void>;
}
