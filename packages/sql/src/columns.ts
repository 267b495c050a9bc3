import type { Dialect } from './dialect.ts';
import { tables } from './tables.ts';
import type { ColumnType, Table } from './tables.ts';

/**
 * Every column of a table, each named after the table's alias, so that rows of several tables can stand side by side: `i.state AS i_state`.
 * What drivers and hosts read in ways of their own is read as text.
 */
export function columnsOf(dialect: Dialect, table: Table, alias: string): string {
  return Object.entries<ColumnType>(tables[table])
    .map(([column, type]) => `${spelled(dialect, type, `${alias}.${column}`)} AS ${alias}_${column}`)
    .join(', ');
}

function spelled({ asText }: Dialect, type: ColumnType, column: string): string {
  switch (type) {
    case 'time':
    case 'json':
      return asText(type, column);
    case 'bigint':
      return asText('count', column);
    default:
      return column;
  }
}
