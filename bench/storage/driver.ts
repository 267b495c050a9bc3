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
  /** What reaches the driver while this runs. */
  record(run: () => Promise<unknown>): Promise<Recording>;
  close(): Promise<void>;
}

/** A database that is spoken to in SQL. */
export interface SqlDatabase extends Database {
  /** The statements that reach the driver while this runs. */
  listen(run: () => Promise<unknown>): Promise<readonly Sent[]>;
}

/** What a call has sent, to be sent again by the driver alone. What comes back is left alone. */
export interface Recording {
  /** The ids in it, in the order in which they first appear. */
  readonly ids: readonly string[];
  /** The names of environments that are values of their own. */
  readonly names: readonly string[];
  /** Sends it with other ids and names in their places. */
  again(others: ReadonlyMap<unknown, unknown>): Promise<void>;
}

/** Statements of SQL as a recording. `send` sends one over any connection, several over the same one. */
export function recordingOf(
  statements: readonly Sent[],
  send: (statements: readonly Sent[]) => Promise<void>,
): Recording {
  const texts = [...new Set(statements.flatMap(({ values }) => values))].filter((value) => typeof value === 'string');
  return {
    ids: texts.filter((text) => uuid.test(text)),
    names: texts.filter((text) => text.startsWith('environment ')),
    again: (others) => send(withOther(statements, others)),
  };
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The same statements with other values: other ids and names, so that they can be sent again. */
function withOther(statements: readonly Sent[], others: ReadonlyMap<unknown, unknown>): readonly Sent[] {
  return statements.map((sent) => ({
    ...sent,
    values: sent.values.map((value) => (others.has(value) ? others.get(value) : value)),
  }));
}
