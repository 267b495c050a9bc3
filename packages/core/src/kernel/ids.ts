import * as z from 'zod';

/** A UUID in lower case. Ids are made by core (version 7), so that no database has to return one. */
export const id = z
  .string()
  .regex(/^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/, 'must be a UUID')
  .transform((text) => text.toLowerCase());

/** Makes ids. Has to give UUIDs that never repeat; in time order is best for the databases' indexes. */
export interface IdSource {
  next(): string;
}

/** What every mutable thing carries. `version` counts its changes from 1; `createdAt` never changes, `updatedAt` moves with every change. */
export interface Versioned {
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
