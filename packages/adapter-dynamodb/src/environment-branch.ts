/** The record of a project environment under the branch that it tracks. */
import type { StoredProjectEnvironment } from '@vivarium/core/storage';

import type { Attributes } from './attributes.ts';
import { missing } from './expressions.ts';
import { placeInProject, placeOnBranch } from './keys.ts';
import { isAt, latestTold, listedItem, movingAttributes } from './project-environment-items.ts';
import type { Table } from './table.ts';
import type { Step } from './write.ts';

/** Changes the record, or moves it to another branch: then what it says of the latest deployment goes along. `told` is what it says anew. */
export async function onBranch(
  table: Table,
  orgId: string,
  {
    environment,
    previousBranch,
    expectedVersion,
    told,
  }: {
    readonly environment: StoredProjectEnvironment;
    readonly previousBranch: string | null;
    readonly expectedVersion: number;
    readonly told: Attributes;
  },
): Promise<readonly Step<'stale'>[]> {
  const { branch } = environment;
  const when = isAt(expectedVersion);
  const stale = () => 'stale' as const;
  if (branch === previousBranch) {
    if (branch === null) return [];
    const update = placeOnBranch(orgId, branch, environment);
    return [{ update, changes: { set: { ...movingAttributes(environment), ...told } }, when, else: stale }];
  }
  const left: Step<'stale'>[] =
    previousBranch === null ? [] : [{ remove: placeOnBranch(orgId, previousBranch, environment), when, else: stale }];
  if (branch === null) return left;
  const latest = told['latest']?.S ?? (await latestOf(table, orgId, environment));
  const put = listedItem(placeOnBranch(orgId, branch, environment), environment, latest);
  return [...left, { put, when: missing, else: stale }];
}

/** Of another version than what a write is decided on it may say anything: then nothing is written. */
async function latestOf(table: Table, orgId: string, environment: StoredProjectEnvironment): Promise<string | null> {
  if (environment.latestDeployment === null) return null;
  const place = placeInProject(orgId, environment);
  const record = (await table.get(place)).of(place);
  return record && latestTold(record);
}
