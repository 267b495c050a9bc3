/**
 * A write, as data: decided in core, described once for every SQL engine, executed in one round trip where the engine can.
 *
 * A step reads nothing but its own row, and every value in it was decided before the plan was made. Steps take effect in their order. If the
 * first takes no effect, nothing has happened; if a later one does not, everything is undone. Lock order: org tree → owner → child; a
 * counter or a guard on the parent comes before the child's insert (inserting first deadlocked 47 writers of 50).
 */
import type { KeyRecord, KeyWrite } from '@vivarium/core/storage';

import type { Row } from './dialect.ts';
import type { Column, Constraint, Table } from './tables.ts';

export type Value = string | number | Date | null;

/** What a column is set to: a value, or its own plus so many. */
export type Assignment = Value | { readonly plus: number };

/** What a column has to be: this value, or related to it in this way, or anything but null, or null. */
export type Condition =
  | string
  | number
  | Date
  | { readonly '<': number | Date }
  | { readonly '<=': number | Date }
  | { readonly '>': number | Date }
  | { readonly '<>': string | number }
  | { readonly present: boolean };

/** A column has to be less than this other one of its row; where that is null, there is no limit. */
export interface Below<C extends string> {
  readonly below: C;
}

/** Columns of a table; none of them twice in one plan for the same row. */
export type Assignments<T extends Table> = { readonly [C in Column<T>]?: Assignment };
export type Conditions<T extends Table> = { readonly [C in Column<T>]?: Condition | Below<Column<T>> };
export type NewRow<T extends Table> = { readonly [C in Column<T>]?: Value };

/** Which guard a constraint stands for, when this step runs into it. */
export type Violations<Guard extends string> = { readonly [C in Constraint]?: Guard };

interface OnTable<T extends Table> {
  readonly table: T;
}

/** `1`: exactly one row, or the guard `else`. `'any'`: however many there are, which stops no plan. */
type Affecting<Guard extends string> =
  | { readonly rows: 1; readonly else: Guard }
  | { readonly rows: 'any'; readonly else?: Guard };

export type Update<T extends Table, Guard extends string> = OnTable<T> &
  Affecting<Guard> & {
    readonly do: 'update';
    readonly set: Assignments<T>;
    readonly where: Conditions<T>;
    readonly violations?: Violations<Guard>;
  };

export type Delete<T extends Table, Guard extends string> = OnTable<T> &
  Affecting<Guard> & {
    readonly do: 'delete';
    readonly where: Conditions<T>;
    readonly of?: Owners<T>;
    readonly violations?: Violations<Guard>;
  };

/**
 * Narrows a deletion to what belongs to these rows of another table, whose ids stand in the column. For rows that go with their owners, which a cascade of
 * those is about to take away: after it, nobody could say which they were.
 */
export type Owners<T extends Table> = {
  [O in Table]: { readonly column: Column<T>; readonly table: O; readonly where: Conditions<O> };
}[Table];

/**
 * The row exists, and stays until the write commits: `'undeleted'`, or `'unchanged'` as well. Those who hold it so never wait for one another. `'ours'`: nobody else
 * holds it either, because it is about to be deleted.
 */
export interface Hold<T extends Table, Guard extends string> extends OnTable<T> {
  readonly do: 'hold';
  readonly stays: 'undeleted' | 'unchanged' | 'ours';
  readonly where: Conditions<T>;
  readonly else: Guard;
}

/** One or more rows, all with the same columns. */
export interface Insert<T extends Table, Guard extends string> extends OnTable<T> {
  readonly do: 'insert';
  readonly rows: readonly [NewRow<T>, ...NewRow<T>[]];
  /**
   * The columns of the primary key: a row that has it already is replaced, but for when it was created. Only for tables without another unique key, which on
   * MySQL would do as well and replace a row that nobody meant.
   */
  readonly over?: readonly [Column<T>, ...Column<T>[]];
  readonly violations?: Violations<Guard>;
}

export type Step<Guard extends string = string> = {
  [T in Table]: Update<T, Guard> | Delete<T, Guard> | Hold<T, Guard> | Insert<T, Guard>;
}[Table];

/** What one read finds out about a write that was refused. Absent things are null. */
export interface Found {
  readonly key: KeyRecord | null;
  readonly project: {
    readonly version: number;
    readonly environmentCount: number;
    readonly defaultEnvironmentId: string;
    readonly hasChildren: boolean;
  } | null;
  readonly environment: { readonly version: number } | null;
  readonly type: {
    readonly version: number;
    readonly state: string;
    readonly liveInstances: number;
    readonly maximum: number | null;
  } | null;
  readonly instance: {
    readonly version: number;
    readonly pendingChangeId: string | null;
    readonly live: boolean;
  } | null;
  /** 0 without a tree. */
  readonly treeVersion: number;
  readonly treeGrowth: number;
  /** The one row, with the columns of `diagnosedColumns`, where that is what was looked at: then all else is absent. */
  readonly row: Row | null;
}

/** What a guard may ask of a row, table by table, where that row is all that a write is about. */
export const diagnosedColumns = {
  platforms: ['version'],
  os_versions: ['version'],
  image_types: ['version'],
  builds: ['version', 'heartbeat_at'],
  build_failures: ['resolved'],
  repos: ['version'],
  apps: ['version'],
  project_environments: ['version'],
  previews: ['version'],
} as const satisfies { readonly [T in Table]?: readonly Column<T>[] };

export type DiagnosedTable = keyof typeof diagnosedColumns;

/** What such a row is found by, where that is not `id`. */
export const diagnosedBy: { readonly [T in DiagnosedTable]?: Column<T> } = { previews: 'project_environment_id' };

/** What one read looks at. */
type Looking =
  | {
      readonly projectId: string | null;
      readonly environmentId: string | null;
      readonly typeId?: string;
      readonly instanceId?: string;
    }
  | { readonly row: { readonly table: DiagnosedTable; readonly id: string } };

/**
 * How to find out why a guard failed: what to look at, and the verdict on it, in the order not found, state, limit. `null`: nothing is
 * wrong (any more). A taken key goes before all of them and is no business of the verdict.
 */
export type Diagnosis<Guard extends string> = Looking & {
  verdict(found: Found): Guard | null;
};

export interface Plan<Guard extends string = string> {
  /**
   * Names the shape: plans of one name differ in nothing but values, so that there is one text, and one prepared statement, for each. Says
   * what makes shapes of one method differ: how many rows are inserted, whether there is a key.
   */
  readonly name: string;
  /**
   * Set where plans of this name have shapes without number, as one has that writes a whole history: then no text is kept for it, and what is
   * prepared is at most its steps, one by one.
   */
  readonly manyShapes?: true;
  readonly orgId: string;
  readonly steps: readonly Step<Guard>[];
  /** The idempotency key, always written last. */
  readonly key: KeyWrite | null;
  /** `null` where the first step's guard says it all. */
  readonly diagnosis: Diagnosis<Guard> | null;
}

/** Every step of a plan with its key's, in order: what an executor executes. `vivarium_key` is the constraint of the key's insert. */
export function stepsOf(plan: Plan): readonly Step[] {
  if (plan.key === null) return plan.steps;
  const { id, fingerprint, result, expiresAt } = plan.key;
  const row = {
    org_id: plan.orgId,
    key_id: id,
    fingerprint,
    result: JSON.stringify(result),
    expires_at: expiresAt,
  };
  return [...plan.steps, { do: 'insert', table: 'idempotency_keys', rows: [row] }];
}
