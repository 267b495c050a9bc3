import type { BuildStats, Storage } from '@vivarium/core';

/** Many builds in one database. */
export interface Fleet {
  /** Reached through the proxy that counts. */
  readonly storage: Storage;
  /** Writes them by statements of the database's own, which is quicker than a million calls. */
  fill(fleet: FleetSize): Promise<void>;
  /** The figures by state, by reading every attempt. */
  countInNode(org: string): Promise<BuildStats['states']>;
  /** The plan of the one statement that the call sends. */
  explain(call: () => Promise<unknown>): Promise<readonly string[]>;
  close(): Promise<void>;
}

export type OpenFleet = (url: string, countedUrl: string) => Fleet;

export interface FleetSize {
  readonly org: string;
  readonly builds: number;
  readonly attemptsPerBuild: number;
  readonly projects: readonly string[];
  readonly platforms: readonly string[];
  readonly osVersions: readonly string[];
  readonly imageTypes: readonly string[];
}

/** The figures by state of attempts: a row for each, `[state, status, milliseconds]`. */
export function figures(attempts: readonly (readonly [unknown, unknown, unknown])[]): BuildStats['states'] {
  return [...Map.groupBy(attempts, ([state]) => Number(state))]
    .sort(([a], [b]) => a - b)
    .map(([state, all]) => {
      const durations = all
        .filter(([, status]) => status === 'completed')
        .map(([, , duration]) => Number(duration))
        .sort((a, b) => a - b);
      const failed = all.filter(([, status]) => status === 'failed').length;
      const rank = (percent: number) => durations[Math.ceil((percent / 100) * durations.length) - 1] ?? null;
      return {
        state,
        attempts: all.length,
        completed: durations.length,
        failed,
        p50Ms: rank(50),
        p95Ms: rank(95),
      };
    });
}
