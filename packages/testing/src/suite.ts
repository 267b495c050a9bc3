import { createVivarium, localKeyring } from '@vivarium/core';
import type { Client, Method, Telemetry, Vivarium, VivariumOptions } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';

import type { StorageHarness } from './harness.ts';
import { worldOutside, worldRunner } from './world.ts';

/** How much the random parts of the suite do. */
export interface SuiteSize {
  /** Seed of everything random. A failure names it; give it again to repeat the run. */
  readonly seed: number;
  /** Commands of the chaos run, over all its clients. */
  readonly chaosCommands: number;
  /** Commands of the contest of builds, over all its clients. */
  readonly buildCommands: number;
  /** Commands of the model test. */
  readonly modelCommands: number;
  /** Clients of one race; at least 20. */
  readonly raceClients: number;
}

/** Ports of Vivarium in place of the suite's; `undefined` where there is to be none. */
export type SuiteOptions = {
  readonly [Name in keyof VivariumOptions<unknown>]?: VivariumOptions<unknown>[Name] | undefined;
};

/** What every test of the suite works with. */
export interface Suite {
  readonly size: SuiteSize;
  /** There from the first test on. */
  readonly harness: StorageHarness;
  /** How calls ended, by method: `ok` and the codes of errors. */
  readonly outcomes: ReadonlyMap<Method, ReadonlySet<string>>;
  /** Writes outcomes down; for clients with a telemetry of their own. */
  readonly telemetry: Telemetry;
  /** A second storage on the same database, the same for all tests. */
  other(): Promise<Storage<unknown>>;
  /** The name of an org that no other test uses. */
  newOrg(): string;
  /** A series for `sequentialIds` that no other test uses. */
  newSeries(): number;
  /** Vivarium on the storage under test, with keys, with the runner of worlds and with the outside of their previews, or with other ports. */
  vivarium(options?: SuiteOptions): Vivarium<unknown>;
  /** A client for the user ada in an org of her own. */
  inNewOrg(options?: SuiteOptions): { readonly org: string; readonly ada: Client<unknown> };
}

export interface StartableSuite extends Suite {
  start(harness: StorageHarness): void;
}

export function createSuite(size: SuiteSize): StartableSuite {
  const outcomes = new Map<Method, Set<string>>();
  const run = Date.now().toString(36);
  let started: StorageHarness | undefined;
  let other: Promise<Storage<unknown>> | undefined;
  let orgs = 0;
  let series = 0;

  const keys = localKeyring({ keys: `suite:${Buffer.alloc(32, 5).toString('base64')}` });
  const telemetry = {
    call({ method, outcome }: { method: string; outcome: string }) {
      outcomes.set(method as Method, (outcomes.get(method as Method) ?? new Set()).add(outcome));
    },
  };
  const suite: StartableSuite = {
    size,
    outcomes,
    telemetry,
    get harness() {
      if (started === undefined) throw new Error('the harness is there from the first test on, not before');
      return started;
    },
    other: () => (other ??= suite.harness.another()),
    start: (harness) => void (started = harness),
    newOrg: () => `org-${run}-${++orgs}`,
    newSeries: () => ++series,
    vivarium: (options = {}) => {
      const previews = { ...worldOutside.ports, forks: 'approve' as const };
      const ports = { storage: suite.harness.storage, telemetry, keys, pipelines: worldRunner, previews, ...options };
      return createVivarium<unknown>(ports as VivariumOptions<unknown>);
    },
    inNewOrg(options) {
      const org = suite.newOrg();
      return { org, ada: suite.vivarium(options).as({ org, type: 'user', id: 'ada' }) };
    },
  };
  return suite;
}
