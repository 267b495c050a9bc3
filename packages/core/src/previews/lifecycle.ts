/** The life of a preview environment, as data (seed 002). The manager decides by this table, the tests run over every pair of it, and the picture in the docs is drawn from it. */

/** Every status that a preview can have. */
export const previewStatuses = [
  'initializing',
  'deploying',
  'running_tests',
  'running',
  'error',
  'stopping',
  'stopped',
  'stop_error',
  'deleted',
] as const;

/** One of `previewStatuses`. */
export type PreviewStatus = (typeof previewStatuses)[number];

/** Where a preview can be when something happens to it: `none` before there is one. */
export type PreviewState = PreviewStatus | 'none';

/** Everything that can happen to a preview. */
export const previewEvents = [
  'create',
  'runtime_accepted',
  'tests_started',
  'running',
  'error',
  'restart',
  'stop',
  'runtime_gone',
  'stop_failed',
  'remove',
  'forget',
] as const;

/** One of `previewEvents`. */
export type PreviewEvent = (typeof previewEvents)[number];

/** One row of the table. */
export interface PreviewTransition {
  readonly from: readonly PreviewState[];
  readonly to: PreviewStatus;
  /** A run of its own begins: whatever is still said of the one before it is out of date. */
  readonly newRun?: true;
  /** Where it has to wait until the preview settles: it is kept as the pending command. */
  readonly waits?: readonly PreviewStatus[];
}

const underWay = ['initializing', 'deploying', 'running_tests'] as const;

/** The table: for each event, where it is legal and where it leads. */
export const previewLifecycle: Readonly<Record<PreviewEvent, PreviewTransition>> = {
  create: { from: ['none', 'stopped', 'deleted'], to: 'initializing', newRun: true, waits: ['stopping'] },
  runtime_accepted: { from: ['initializing'], to: 'deploying' },
  tests_started: { from: ['deploying'], to: 'running_tests' },
  running: { from: ['deploying', 'running_tests'], to: 'running' },
  error: { from: underWay, to: 'error' },
  restart: {
    from: ['running', 'error', 'stopped', 'stop_error'],
    to: 'initializing',
    newRun: true,
    waits: [...underWay, 'stopping'],
  },
  stop: {
    from: ['deploying', 'running_tests', 'running', 'error', 'stop_error'],
    to: 'stopping',
    waits: ['initializing'],
  },
  runtime_gone: { from: ['stopping'], to: 'stopped' },
  stop_failed: { from: ['stopping'], to: 'stop_error' },
  remove: { from: ['stopped', 'error'], to: 'deleted' },
  forget: { from: ['stop_error'], to: 'deleted' },
};

/** The statuses in which something is under way: these have a deadline. */
export const busyPreviewStatuses: ReadonlySet<PreviewStatus> = new Set([...underWay, 'stopping']);

/** What may be asked for in this status, at once or as soon as it settles. */
export function legalPreviewCommands(status: PreviewState): readonly PreviewEvent[] {
  return (['create', 'restart', 'stop', 'remove', 'forget'] as const).filter((event) => {
    const { from, waits = [] } = previewLifecycle[event];
    return from.includes(status) || (waits as readonly PreviewState[]).includes(status);
  });
}
