import { createHash, createHmac } from 'node:crypto';
import * as z from 'zod';

import { anyText } from './text.ts';

/** How long a key is kept: 7 days from the call that succeeded under it. */
export const keyLifetimeMs = 7 * 24 * 60 * 60 * 1_000;

/** A caller's idempotency key: 1–255 characters. Use one with at least 128 random bits: it also protects the fingerprint of the input. */
export const idempotencyKey = anyText.refine(
  (key) => key.length >= 1 && key.length <= 255,
  'must have 1 to 255 characters',
);

/** Names a key in storage: SHA-256 of method and key, in hexadecimal. What the caller chose is stored nowhere. */
export type KeyId = string;

/** What is kept of a command that succeeded under a key: ids, version and times of its result, and a fingerprint of its input. */
export interface KeyRecord {
  readonly fingerprint: string;
  readonly result: KeyResult;
  readonly expiresAt: Date;
}

/** Small JSON from which the service rebuilds the command's result. */
export type KeyResult = Readonly<Record<string, string | number | readonly string[]>>;

/** A key about to be written, in the same atomic write as what it protects. */
export interface KeyWrite extends KeyRecord {
  readonly id: KeyId;
}

export function keyIdOf(method: string, key: string): KeyId {
  return createHash('sha256').update(`${method.length}:${method}`).update(key).digest('hex');
}

/**
 * A keyed fingerprint of an input. The key is the caller's own, of which storage has only a hash: who reads the database cannot try
 * out short values against it.
 */
export function fingerprintOf(key: string, input: unknown): string {
  return createHmac('sha256', key).update(canonicalJson(input)).digest('base64url');
}

/** JSON with the keys of objects sorted, so that equal inputs have equal texts. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) && !(inner instanceof Date)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** The options that every command takes in its last object. */
export const commandOptions = {
  idempotencyKey: idempotencyKey.optional(),
  signal: z.instanceof(AbortSignal).optional(),
};

/** The same for a command on something that has a version. */
export const changeOptions = {
  ...commandOptions,
  expectedVersion: z.int().min(1).optional(),
};

/** Options of a command that has no other object. */
export interface CommandOptions {
  /** Repeating a call with the same key and input has its effect once; see `IdempotencyMismatch`. */
  readonly idempotencyKey?: string | undefined;
  /** Refuses the call with `stale_version` unless the thing is at this version. */
  readonly expectedVersion?: number | undefined;
  /** Checked before anything is read and before anything is written. */
  readonly signal?: AbortSignal | undefined;
}
