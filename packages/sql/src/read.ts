import type { StoredPage } from '@vivarium/core/storage';

import type { Row } from './dialect.ts';
import { bindings } from './statement.ts';
import type { Arguments, Statement } from './statement.ts';
import type { Session } from './write.ts';

/** Before every id. */
export const firstId = '00000000-0000-0000-0000-000000000000';

/** Sends one statement: one round trip. */
export function read({ dialect, executor }: Session, statement: Statement, given: Arguments): Promise<readonly Row[]> {
  return executor.query(statement, bindings(dialect, statement, given));
}

/** The page in rows of which one more was asked for than fits. */
export function pageOf<T>(rows: readonly Row[], limit: number, toItem: (row: Row) => T): StoredPage<T> {
  return { items: rows.slice(0, limit).map(toItem), more: rows.length > limit };
}
