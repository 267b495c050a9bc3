import type { DeployedConfiguration, Deployment, DeploymentStatus } from '@vivarium/core/storage';

import { integer, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { deploymentIdKey, deploymentKey, openDeploymentKey, partsOf } from './keys.ts';

/** A deployment as it is written, without its environment. Short, because it also stands in each record of the environment: these are to stay below 1 KB. Times are milliseconds. */
type Told = readonly [
  id: string,
  sequence: number,
  status: DeploymentStatus,
  gitRef: string,
  sha: string,
  url: string | null,
  description: string | null,
  rollbackOf: string | null,
  configuration: readonly [environmentId: string, version: number, digest: string] | null,
  createdBy: readonly [type: string, id: string],
  deadline: number,
  createdAt: number,
  startedAt: number | null,
  endedAt: number | null,
  updatedAt: number,
];

export function tell(deployment: Deployment): string {
  const { id, sequence, status, gitRef, sha, url, description, rollbackOf, configuration, createdBy } = deployment;
  const { deadline, createdAt, startedAt, endedAt, updatedAt } = deployment;
  const told: Told = [
    id,
    sequence,
    status,
    gitRef,
    sha,
    url,
    description,
    rollbackOf,
    configuration && [configuration.environmentId, configuration.version, configuration.digest],
    [createdBy.type, createdBy.id],
    deadline.getTime(),
    createdAt.getTime(),
    startedAt?.getTime() ?? null,
    endedAt?.getTime() ?? null,
    updatedAt.getTime(),
  ];
  return JSON.stringify(told);
}

export function readTold(told: string, projectEnvironmentId: string): Deployment {
  const [
    id,
    sequence,
    status,
    gitRef,
    sha,
    url,
    description,
    rollbackOf,
    configuration,
    [type, by],
    deadline,
    createdAt,
    startedAt,
    endedAt,
    updatedAt,
  ] = JSON.parse(told) as Told;
  return {
    id,
    projectEnvironmentId,
    sequence,
    status,
    gitRef,
    sha,
    url,
    description,
    rollbackOf,
    configuration: configuration && readConfiguration(configuration),
    createdBy: { type, id: by },
    deadline: new Date(deadline),
    createdAt: new Date(createdAt),
    startedAt: startedAt === null ? null : new Date(startedAt),
    endedAt: endedAt === null ? null : new Date(endedAt),
    updatedAt: new Date(updatedAt),
  };
}

function readConfiguration([environmentId, version, digest]: NonNullable<Told[8]>): DeployedConfiguration {
  return { environmentId, version, digest };
}

export function deploymentItem(orgId: string, deployment: Deployment): Item {
  const { pk, sk } = deploymentKey(orgId, deployment.projectEnvironmentId, deployment.sequence);
  return { pk: text(pk), sk: text(sk), id: text(deployment.id), told: text(tell(deployment)) };
}

export function readDeployment(item: Item): Deployment {
  return readTold(textOf(item, 'told'), partsOf(textOf(item, 'pk'))[2]!);
}

/** Leads from the id of a deployment to its place. */
export function deploymentIdItem(orgId: string, { id, projectEnvironmentId, sequence }: Deployment): Item {
  const { pk, sk } = deploymentIdKey(orgId, id);
  return { pk: text(pk), sk: text(sk), environment: text(projectEnvironmentId), sequence: integer(sequence) };
}

/** Says of a deployment that it has not ended, and by when it should have. */
export function openDeploymentItem(orgId: string, deployment: Deployment): Item {
  const { pk, sk } = openDeploymentKey(orgId, deployment.id);
  const { projectEnvironmentId, sequence, deadline } = deployment;
  return {
    pk: text(pk),
    sk: text(sk),
    environment: text(projectEnvironmentId),
    sequence: integer(sequence),
    deadline: time(deadline),
  };
}
