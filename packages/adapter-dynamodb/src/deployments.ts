import type { DeploymentRepository } from '@vivarium/core/storage';

import { dynamodbApps } from './apps.ts';
import { dynamodbDeploymentMoves } from './deployment-moves.ts';
import { dynamodbProjectEnvironments } from './project-environments.ts';
import { dynamodbRepos } from './repos.ts';
import type { Table } from './table.ts';

export function dynamodbDeployments(table: Table, secrets: Table): DeploymentRepository {
  return {
    ...dynamodbRepos(table, secrets),
    ...dynamodbApps(table, secrets),
    ...dynamodbProjectEnvironments(table, secrets),
    ...dynamodbDeploymentMoves(table),
  };
}
