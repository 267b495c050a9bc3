import type { Storage } from '@vivarium/core';

/** One statement as the driver was given it. */
export interface Sent {
  readonly how: 'prepared' | 'text';
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A database reached in two ways: through the adapter, and by the driver alone. */
export interface Database {
  readonly name: string;
  readonly storage: Storage;
  /** The statements that reach the driver while this runs. */
  record(run: () => Promise<unknown>): Promise<readonly Sent[]>;
  /** Sends statements by the driver alone: one over any connection, several over the same one. Rows come back and are left alone. */
  send(statements: readonly Sent[]): Promise<void>;
  close(): Promise<void>;
}

/** The same statements with other texts in their values: other ids and names, so that they can be sent again. */
export function withOther(statements: readonly Sent[], others: ReadonlyMap<unknown, unknown>): readonly Sent[] {
  return statements.map((sent) => ({
    ...sent,
    values: sent.values.map((value) => (others.has(value) ? others.get(value) : value)),
  }));
}

/** The ids among the values, in the order in which they first appear. */
export function idsIn(statements: readonly Sent[]): readonly string[] {
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
  const values = statements.flatMap(({ values }) => values);
  return [...new Set(values.filter((value): value is string => typeof value === 'string' && uuid.test(value)))];
}
