/**
 * The life of a build, as data (seed 003). Two things are told apart: its state, a milestone from 0 to 100 that only grows, and its status.
 * The service decides by this table, the tests run over every pair of it, and the picture in the docs is drawn from it.
 */

/** Every status that a build can have. */
export const buildStatuses = ['pending', 'running', 'failed', 'completed', 'canceled'] as const;

/** One of `buildStatuses`. */
export type BuildStatus = (typeof buildStatuses)[number];

/** Everything that can happen to a build. */
export const buildEvents = ['enter', 'complete', 'fail', 'resume', 'cancel'] as const;

/** One of `buildEvents`. */
export type BuildEvent = (typeof buildEvents)[number];

/** One row of the table. */
export interface BuildTransition {
  readonly from: readonly BuildStatus[];
  readonly to: BuildStatus;
  /** Where it leads instead at the last milestone, 100. */
  readonly atLast?: BuildStatus;
}

/** The table: for each event, from which status it is legal and where it leads. */
export const buildLifecycle: Readonly<Record<BuildEvent, BuildTransition>> = {
  enter: { from: ['pending', 'running'], to: 'running' },
  complete: { from: ['running'], to: 'running', atLast: 'completed' },
  fail: { from: ['running'], to: 'failed' },
  resume: { from: ['failed'], to: 'running' },
  cancel: { from: ['pending', 'running', 'failed'], to: 'canceled' },
};

/** The statuses in which a build has ended. */
export const finalBuildStatuses: ReadonlySet<BuildStatus> = new Set(['completed', 'canceled']);

/** What may happen to a build of this status. */
export function legalBuildEvents(status: BuildStatus): readonly BuildEvent[] {
  return buildEvents.filter((event) => buildLifecycle[event].from.includes(status));
}
