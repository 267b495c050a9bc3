/** What the SQL adapters share. Private: bundled into both. */
export { answer } from './answer.ts';
export type { Dialect, Engine, Executor, Ran, Row } from './dialect.ts';
export { standing } from './migration.ts';
export type { Migration, Recorded } from './migration.ts';
export { stepsOf } from './plan.ts';
export type { Delete, Hold, Insert, Plan, Step, Update, Value } from './plan.ts';
export { assignmentsText, conditionsText, Placeholders, replacedColumns, rowsText, stepValues } from './step-text.ts';
export type { AnyOwners } from './step-text.ts';
export { bindings, compile, statement } from './statement.ts';
export type { Arguments, Parameter, Statement } from './statement.ts';
export { sqlStorage } from './storage.ts';
export { tables } from './tables.ts';
export type { ColumnType, Constraint, Table } from './tables.ts';
export { isoTime, storableTime } from './time.ts';
