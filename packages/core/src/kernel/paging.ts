import * as z from 'zod';

import { InvalidInput } from './errors.ts';
import { err, ok } from './result.ts';
import type { Result } from './result.ts';

/** A page of a list. `nextCursor` asks for the next one; `null` on the last. Cursors are opaque and the same on every storage. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** The part of every list's input that says which page. `limit` is 1–100, 50 when not given. */
export const pageInput = {
  limit: z.int().min(1).max(100).optional(),
  cursor: z.string().max(4_096).optional(),
};

/** Which page of a list. */
export interface PageInput {
  /** 1–100; 50 when not given. */
  readonly limit?: number | undefined;
  /** The `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

/** What a storage is asked for: so many items after this position in the list's order, from the start when `null`. */
export interface PageRequest<Position> {
  readonly limit: number;
  readonly after: Position | null;
}

/** What a storage answers: the items, and whether there are more behind them. */
export interface StoredPage<T> {
  readonly items: readonly T[];
  readonly more: boolean;
}

/** How one list's positions become cursors and are read back. `list` names the list, so that a cursor of another one is refused. */
export interface Cursors<Position> {
  read(input: PageInput): Result<PageRequest<Position>, InvalidInput>;
  page<S, T>(stored: StoredPage<S>, position: (last: S) => Position, view: (item: S) => T): Page<T>;
}

export function cursorsOf<Position>(list: string, schema: z.ZodType<Position>): Cursors<Position> {
  const encode = (position: Position) => Buffer.from(JSON.stringify([list, position]), 'utf8').toString('base64url');
  const decode = (cursor: string): Position | null => {
    try {
      const [name, position] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as [unknown, unknown];
      const parsed = schema.safeParse(position);
      return name === list && parsed.success ? parsed.data : null;
    } catch {
      return null;
    }
  };

  return {
    read({ limit = 50, cursor }) {
      if (cursor === undefined) return ok({ limit, after: null });
      const after = decode(cursor);
      if (after === null)
        return err(new InvalidInput([{ path: 'cursor', message: `must be a nextCursor of ${list}` }]));
      return ok({ limit, after });
    },
    page(stored, position, view) {
      const last = stored.items.at(-1);
      return {
        items: stored.items.map(view),
        nextCursor: stored.more && last !== undefined ? encode(position(last)) : null,
      };
    },
  };
}
