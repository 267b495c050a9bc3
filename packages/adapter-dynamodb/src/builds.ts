import type { BuildRepository } from '@vivarium/core/storage';

import { dynamodbFailures } from './build-failures.ts';
import { dynamodbBuildMoves } from './build-moves.ts';
import { dynamodbPlans } from './build-plans.ts';
import { dynamodbBuildReads } from './build-reads.ts';
import { dynamodbStarts } from './build-starts.ts';
import { dynamodbStats } from './build-stats.ts';
import type { Table } from './table.ts';
import { UsedEntries } from './used-entries.ts';

export function dynamodbBuilds(table: Table, secrets: Table): BuildRepository {
  const used = new UsedEntries();
  return {
    ...dynamodbPlans(table, used),
    ...dynamodbStarts(table, secrets, used),
    ...dynamodbBuildReads(table),
    ...dynamodbBuildMoves(table),
    ...dynamodbFailures(table),
    ...dynamodbStats(table),
  };
}
