import type { KeyObject } from 'node:crypto';
import * as z from 'zod';

/** How long, and for how much, an opened data key is kept in memory before the key management is asked again. */
export interface KeyCacheLimits {
  /** 5 minutes when not given. */
  readonly maxAgeMs: number;
  /** Seals and opens: 1,000,000 when not given. */
  readonly maxUses: number;
  /** Bytes sealed and opened: 1 GiB when not given. */
  readonly maxBytes: number;
  /** Keys kept at once: 1,000 when not given. The one that was not used for the longest time goes first. */
  readonly maxKeys: number;
}

export const defaultKeyCacheLimits: KeyCacheLimits = {
  maxAgeMs: 300_000,
  maxUses: 1_000_000,
  maxBytes: 1_073_741_824,
  maxKeys: 1_000,
};

export const keyCacheLimits = z.strictObject({
  maxAgeMs: z.int().min(0).optional(),
  maxUses: z.int().min(1).optional(),
  maxBytes: z.int().min(1).optional(),
  maxKeys: z.int().min(1).optional(),
});

interface Entry {
  readonly key: KeyObject;
  readonly until: number;
  uses: number;
  bytes: number;
}

/**
 * Opened data keys, bounded in age, uses, bytes and number. Opening one that is being opened waits for that, so that a burst of calls asks
 * the key management once.
 */
export class OpenedKeys {
  readonly #limits: KeyCacheLimits;
  readonly #entries = new Map<string, Entry>();
  readonly #opening = new Map<string, Promise<KeyObject>>();

  constructor(limits: KeyCacheLimits) {
    this.#limits = limits;
  }

  /** The key, if it is kept. */
  peek(id: string, now: number): KeyObject | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    this.#entries.delete(id);
    if (now >= entry.until) return null;
    this.#entries.set(id, entry);
    return entry.key;
  }

  /** The key, opened if it is not kept. */
  async get(id: string, now: number, open: () => Promise<KeyObject>): Promise<KeyObject> {
    const kept = this.peek(id, now);
    if (kept !== null) return kept;
    const already = this.#opening.get(id);
    if (already !== undefined) return already;
    const opening = open();
    this.#opening.set(id, opening);
    try {
      const key = await opening;
      this.put(id, key, now);
      return key;
    } finally {
      this.#opening.delete(id);
    }
  }

  put(id: string, key: KeyObject, now: number): void {
    this.#entries.set(id, { key, until: now + this.#limits.maxAgeMs, uses: 0, bytes: 0 });
    if (this.#entries.size <= this.#limits.maxKeys) return;
    const [longestUnused] = this.#entries.keys();
    this.#entries.delete(longestUnused!);
  }

  /** Counts what a key was used for; one that has done its share is forgotten. */
  used(id: string, uses: number, bytes: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.uses += uses;
    entry.bytes += bytes;
    if (entry.uses >= this.#limits.maxUses || entry.bytes >= this.#limits.maxBytes) this.#entries.delete(id);
  }
}
