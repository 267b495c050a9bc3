import { openDeploymentStatuses } from '../../src/deployments/lifecycle.ts';
import type { DeploymentStatus } from '../../src/deployments/lifecycle.ts';
import type { Deployment, StoredProjectEnvironment } from '../../src/deployments/model.ts';

export const at = new Date('2026-01-01T00:00:00.000Z');
export const later = new Date('2026-01-01T00:05:00.000Z');
export const by = { type: 'user', id: 'ada' };

export function environment(differing: Partial<StoredProjectEnvironment> = {}): StoredProjectEnvironment {
  return {
    id: 'environment',
    projectId: 'project',
    repoId: 'repo',
    environment: 'production',
    type: 'production',
    branch: null,
    pullRequest: null,
    managedBy: null,
    deploymentSequence: 0,
    latestDeployment: null,
    activeDeployment: null,
    activeSequence: 0,
    version: 1,
    createdAt: at,
    updatedAt: at,
    ...differing,
  };
}

export function deploymentOf(status: DeploymentStatus, differing: Partial<Deployment> = {}): Deployment {
  return {
    id: 'deployment',
    projectEnvironmentId: 'environment',
    sequence: 1,
    status,
    gitRef: 'main',
    sha: 'a'.repeat(40),
    url: null,
    description: null,
    rollbackOf: null,
    configuration: null,
    createdBy: by,
    deadline: later,
    createdAt: at,
    startedAt: status === 'created' ? null : at,
    endedAt: openDeploymentStatuses.has(status) ? null : at,
    updatedAt: at,
    ...differing,
  };
}
