/** The life of a deployment, as data (seed 001). The service decides by this table, the tests run over every pair of it, and the picture in the docs is drawn from it. */

/** Every status that a deployment can have. */
export const deploymentStatuses = [
  'created',
  'running',
  'success',
  'failed',
  'canceled',
  'inactive',
  'superseded',
] as const;

/** One of `deploymentStatuses`. */
export type DeploymentStatus = (typeof deploymentStatuses)[number];

/** Everything that can be said of a deployment. `replaced`: a later one has succeeded. */
export const deploymentEvents = ['running', 'success', 'failed', 'canceled', 'replaced'] as const;

/** One of `deploymentEvents`. */
export type DeploymentEvent = (typeof deploymentEvents)[number];

/** One row of the table. */
export interface DeploymentTransition {
  readonly from: readonly DeploymentStatus[];
  readonly to: DeploymentStatus;
  /** Where it leads instead when a later deployment has succeeded before. */
  readonly late?: DeploymentStatus;
}

/** The table: for each event, from which status it is legal and where it leads. */
export const deploymentLifecycle: Readonly<Record<DeploymentEvent, DeploymentTransition>> = {
  running: { from: ['created'], to: 'running' },
  success: { from: ['running'], to: 'success', late: 'superseded' },
  failed: { from: ['created', 'running'], to: 'failed' },
  canceled: { from: ['created', 'running'], to: 'canceled' },
  replaced: { from: ['success'], to: 'inactive' },
};

/** The statuses in which a deployment is under way: it has a deadline. */
export const openDeploymentStatuses: ReadonlySet<DeploymentStatus> = new Set(['created', 'running']);

/** The statuses of what was deployed at some time: what can be rolled back to. */
export const deployedStatuses: ReadonlySet<DeploymentStatus> = new Set(['success', 'inactive', 'superseded']);

/** What may be reported of a deployment of this status. */
export function legalDeploymentEvents(status: DeploymentStatus): readonly DeploymentEvent[] {
  return deploymentEvents.filter((event) => event !== 'replaced' && deploymentLifecycle[event].from.includes(status));
}
