import type { Versioned } from '../kernel/ids.ts';
import { displayName, freeText } from '../kernel/text.ts';

/** Project names: 1–100 characters, unique in the org without regard to case (seeds 003 and 004). */
export const projectName = displayName;

export const projectDescription = freeText(500);

/** A project as storage keeps it. */
export interface StoredProject extends Versioned {
  readonly id: string;
  readonly name: string;
  readonly nameKey: string;
  readonly description: string | null;
  readonly parentProjectId: string | null;
  readonly defaultEnvironmentId: string;
}

/** A project: the owner of environments, and a node of the org's tree of projects (seeds 003 and 004). */
export interface Project extends Versioned {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  /** `null` at the root. */
  readonly parentProjectId: string | null;
  /** The environment that `environments.getDefault` gives. There always is one. */
  readonly defaultEnvironmentId: string;
}
