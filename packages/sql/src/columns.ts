import type { Dialect } from './dialect.ts';
import { tables } from './tables.ts';
import type { Column, ColumnType, Table } from './tables.ts';

/**
 * Every column of a table, each named after the table's alias, so that rows of several tables can stand side by side: `i.state AS i_state`.
 * What drivers and hosts read in ways of their own is read as text.
 */
export function columnsOf<T extends Table>(
  dialect: Dialect,
  table: T,
  alias: string,
  without: readonly Column<T>[] = [],
): string {
  return Object.entries<ColumnType>(tables[table])
    .filter(([column]) => !without.includes(column as Column<T>))
    .map(([column, type]) => `${spelled(dialect, type, `${alias}.${column}`)} AS ${alias}_${column}`)
    .join(', ');
}

export function spelled({ asText }: Dialect, type: ColumnType, column: string): string {
  switch (type) {
    case 'time':
    case 'json':
    case 'boolean':
      return asText(type, column);
    case 'bigint':
      return asText('count', column);
    default:
      return column;
  }
}
