import type { StorageStatus } from '@vivarium/core/storage';

/** A step of the schema. Append-only: a migration that was published is never changed. */
export interface Migration {
  readonly name: string;
  /** Whether code that does not know it must not work with the schema any more. */
  readonly breaking: boolean;
  readonly statements: readonly string[];
}

/** A migration as the database remembers it. */
export interface Recorded {
  readonly name: string;
  readonly breaking: boolean;
}

/** Compares what this version knows with what the database remembers. */
export function standing(known: readonly Migration[], recorded: readonly Recorded[]): StorageStatus {
  const done = new Set(recorded.map(({ name }) => name));
  const ours = new Set(known.map(({ name }) => name));
  const pending = known.filter(({ name }) => !done.has(name)).map(({ name }) => name);
  const foreign = recorded.filter(({ name }) => !ours.has(name));
  return {
    ready: pending.length === 0 && !foreign.some(({ breaking }) => breaking),
    applied: recorded.filter(({ name }) => ours.has(name)).map(({ name }) => name),
    pending,
    unknown: foreign.map(({ name }) => name),
  };
}
