/** A step as SQL, in the parts that executors put together: as one statement each, or chained into one. */
import type { Dialect } from './dialect.ts';
import type { Assignment, Below, Condition as Compared, Step, Value } from './plan.ts';
import type { Parameter } from './statement.ts';
import { columnType, tables } from './tables.ts';
import type { ColumnType, Table } from './tables.ts';

type Condition = Compared | Below<string>;

/** The rows of a table that a step is about, or their owners. */
interface Which {
  readonly table: Table;
  readonly where: Readonly<Partial<Record<string, Condition>>>;
}

/** What a delete is narrowed to, whatever its table. */
export type AnyOwners = Which & { readonly column: string };

/** Makes a placeholder for the next value, and remembers its type. Shared by all steps that go into one statement. */
export class Placeholders {
  readonly parameters: Parameter[] = [];
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  next(name: string, type: ColumnType): string {
    return this.#dialect.placeholder(this.parameters.push({ name, type }), type);
  }
}

/** `set` of an update: `name = ?, environment_count = environment_count + 1`. */
export function assignmentsText(step: Step & { readonly do: 'update' }, placeholders: Placeholders): string {
  return columnsOf<Assignment>(step.set)
    .map(([column, value]) =>
      isRelative(value)
        ? `${column} = ${column} ${value.plus < 0 ? '-' : '+'} ${Math.abs(value.plus)}`
        : `${column} = ${placeholders.next(column, columnType(step.table, column))}`,
    )
    .join(', ');
}

/** `where` of an update, a delete or a hold, or of the owners that a delete is about. `alias` where there are two tables. */
export function conditionsText({ table, where }: Which, placeholders: Placeholders, alias?: string): string {
  return columnsOf<Condition>(where)
    .map(([name, condition]) => {
      const column = alias === undefined ? name : `${alias}.${name}`;
      if (isPresence(condition)) return `${column} IS ${condition.present ? 'NOT NULL' : 'NULL'}`;
      if (isBelow(condition)) return `(${condition.below} IS NULL OR ${column} < ${condition.below})`;
      return `${column} ${operatorOf(condition)} ${placeholders.next(name, columnType(table, name))}`;
    })
    .join(' AND ');
}

/** Columns and rows of an insert: `org_id, version` and one `?, ?` for each row. */
export function rowsText(
  step: Step & { readonly do: 'insert' },
  placeholders: Placeholders,
): { readonly columns: string; readonly rows: readonly string[] } {
  const columns = Object.keys(step.rows[0]);
  return {
    columns: columns.join(', '),
    rows: step.rows.map(() =>
      columns.map((column) => placeholders.next(column, columnType(step.table, column))).join(', '),
    ),
  };
}

/** What an insert gives to a row that it replaces: all but its key, and when it was created. Its key where there is nothing else, which changes nothing. */
export function replacedColumns({ rows, over }: Step & { readonly do: 'insert' }): readonly string[] {
  const key: readonly string[] = over ?? [];
  const others = Object.keys(rows[0]).filter((column) => !key.includes(column) && column !== 'created_at');
  return others.length === 0 ? key.slice(0, 1) : others;
}

/**
 * The values of a step, put behind those that are there already, in the order in which the functions above ask for placeholders: set before
 * where, and where before the owners'. Every write comes by here, so it makes nothing that it does not give back.
 */
export function stepValues(dialect: Dialect, step: Step, values: unknown[] = []): unknown[] {
  const types: Readonly<Record<string, ColumnType>> = tables[step.table];
  const bind = (column: string, value: Value) =>
    values.push(value === null ? null : dialect.bind(types[column]!, value));

  if (step.do === 'insert') {
    const columns = Object.keys(step.rows[0]);
    for (const row of step.rows as readonly Readonly<Record<string, Value>>[]) {
      for (const column of columns) bind(column, row[column]!);
    }
    return values;
  }
  if (step.do === 'update') {
    const set: Readonly<Record<string, Assignment>> = step.set;
    for (const column of Object.keys(set)) {
      const value = set[column]!;
      if (!isRelative(value)) bind(column, value);
    }
  }
  operandsOf(dialect, step, values);
  if (step.do === 'delete' && step.of !== undefined) operandsOf(dialect, step.of, values);
  return values;
}

function operandsOf(dialect: Dialect, { table, where }: Which, values: unknown[]): void {
  for (const column of Object.keys(where)) {
    const condition = where[column]!;
    if (!hasOperand(condition)) continue;
    const value = operandOf(condition);
    values.push(value === null ? null : dialect.bind(columnType(table, column), value));
  }
}

const columnsOf = <T>(columns: Partial<Record<string, T>>) => Object.entries(columns) as [string, T][];

function isRelative(value: Assignment): value is { readonly plus: number } {
  return typeof value === 'object' && value !== null && 'plus' in value;
}

type WithOperand = Exclude<Compared, { readonly present: boolean }>;

function hasOperand(condition: Condition): condition is WithOperand {
  return !isPresence(condition) && !isBelow(condition);
}

/** An object, because the text `present` is a value like any other: an org may have this name. */
function isPresence(condition: Condition): condition is { readonly present: boolean } {
  return typeof condition === 'object' && 'present' in condition;
}

function isBelow(condition: Condition): condition is Below<string> {
  return typeof condition === 'object' && 'below' in condition;
}

function operatorOf(condition: WithOperand): string {
  return isCompared(condition) ? Object.keys(condition)[0]! : '=';
}

function operandOf(condition: WithOperand): Value {
  return isCompared(condition) ? (Object.values(condition)[0] as Value) : condition;
}

function isCompared(condition: WithOperand): condition is Exclude<WithOperand, string | number | Date> {
  return typeof condition === 'object' && !(condition instanceof Date);
}
