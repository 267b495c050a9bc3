import { createHash } from 'node:crypto';

import type { Actor } from '../kernel/actor.ts';

/** Something that entries are about: `{ type: 'environment', id }`. */
export interface JournalSubject {
  readonly type: string;
  readonly id: string;
}

/** Small facts about a change: names of keys, ids, numbers. At most 1 KB as JSON, never a value of a variable. */
export type JournalData = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/**
 * One entry: who did what to which subject, when. Entries with the same `stream` are delivered in the order of `sequence`; the stream of a
 * change is its subject, with the subject's version as sequence. An entry that moves no version (opening a secret, moving the
 * default) is a stream of its own.
 */
export interface JournalEntry {
  readonly id: string;
  readonly orgId: string;
  readonly subject: JournalSubject;
  readonly stream: string;
  readonly sequence: number;
  readonly action: string;
  readonly actor: Actor;
  readonly at: Date;
  readonly data: JournalData;
}

/** An entry that failed `maxAttempts` times and was put aside, so that what came after it could go on. */
export interface ParkedEntry {
  readonly entry: JournalEntry;
  readonly attempts: number;
  readonly parkedAt: Date;
  /** The message of the last failure, cut to 500 characters. */
  readonly reason: string;
}

/** How many lanes deliver side by side, on every storage. */
export const laneCount = 64;

/** The lane of a stream, 0–63. */
export function laneOf(stream: string): number {
  return createHash('sha256').update(stream).digest()[0]! % laneCount;
}
