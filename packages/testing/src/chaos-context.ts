import type { Client, CommandOptions, ResultAsync, VivariumError } from '@vivarium/core';

import type { ChaosRunner } from './chaos-runner.ts';
import type { StorageHarness } from './harness.ts';
import type { SeededRandom } from './seeded-random.ts';

/** A random command, ready to be sent, and sent again. */
export interface ChaosCommand {
  readonly method: string;
  readonly send: (client: Client<unknown>, options: CommandOptions) => ResultAsync<unknown, VivariumError>;
  /** Remembers what was made. */
  readonly learn?: (answer: unknown) => void;
  /** Whether it may be sent with an `idempotencyKey`. Only what always writes when it succeeds: one row is looked for, for each success. */
  readonly keyed?: boolean;
  /** Whether it may be sent with an `expectedVersion`. */
  readonly versioned?: boolean;
}

/** A command that succeeded, once, however often it was sent under its key. */
export interface Done {
  readonly method: string;
  readonly key: string | undefined;
  readonly answer: unknown;
  /** Sends the same command again. */
  readonly repeat: (client: Client<unknown>) => ResultAsync<unknown, VivariumError>;
}

/** What a context needs to begin in an org. */
export interface ChaosScene {
  readonly org: string;
  readonly client: Client<unknown>;
  readonly harness: StorageHarness;
  readonly runner: ChaosRunner;
  readonly done: (done: Done) => void;
}

/** What is found in an org after a run. */
export interface Found {
  readonly violations: readonly string[];
  /** What is there and has a version, for the journal to be held against. */
  readonly living: readonly { readonly id: string; readonly version: number }[];
}

/** One context in one org of a chaos run. */
export interface ChaosPart {
  /** Types of the journal's subjects of which every success has one entry. */
  readonly subjects: ReadonlySet<string>;
  readonly command: (random: SeededRandom) => ChaosCommand;
  /** Looks, while the others work, at what has to be true at every moment. */
  readonly watch: (client: Client<unknown>) => Promise<readonly string[]>;
  /** Looks at everything, after the run. */
  readonly look: (client: Client<unknown>) => Promise<Found>;
  /** Fills up what has a limit: as many get in as are missing, so that whatever counts them has not drifted from what is there. */
  readonly fill: (client: Client<unknown>) => Promise<readonly string[]>;
}

/** What one context adds to the chaos run. */
export interface ChaosContext {
  /** Codes that a command may run into when others are at work; anything else is a violation. */
  readonly refusals: readonly string[];
  readonly begin: (scene: ChaosScene) => Promise<ChaosPart>;
}

/** Mostly something made lately, now and then something old that may be gone. */
export function recent<T>(items: readonly T[], random: SeededRandom): T {
  return random.next() < 0.8 ? random.pick(items.slice(-20)) : random.pick(items);
}

/** Collects promises that were not kept. */
export function checker(what: string) {
  const violations: string[] = [];
  const check = (holds: boolean, promise: string) => void (holds || violations.push(`${what}: ${promise}`));
  return { violations, check };
}
