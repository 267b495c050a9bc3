import type { Versioned } from '../kernel/ids.ts';

/** What one data key is for: all sealed values of a project, of an environment type, or of an app. */
export interface KeyScope {
  readonly type: 'project' | 'environment_type' | 'app';
  readonly id: string;
}

/**
 * A data key as storage keeps it: wrapped by the key management, never in the clear. The newest generation of a scope seals; the older
 * ones only open, until a rotation has re-sealed what they sealed.
 */
export interface StoredDataKey extends Versioned {
  readonly id: string;
  readonly scope: KeyScope;
  /** Counts the data keys of a scope from 1. */
  readonly generation: number;
  /** The wrapped key in base64url, as the key management gave it. */
  readonly wrapped: string;
  /** Which of the key management's keys wrapped it. */
  readonly wrappedBy: string;
  /** Binds the key to this row: another key under this id is noticed when it is loaded. */
  readonly commitment: string;
}
