/** A project environment goes with the app that manages it. What is still there of it once its app is gone counts as gone, and is in nobody's way. */
import type { StoredProjectEnvironment } from '@vivarium/core/storage';

import { eraseEnvironment } from './deployment-erasure.ts';
import { appKey } from './keys.ts';
import type { Table } from './table.ts';

export async function isOrphan(
  table: Table,
  orgId: string,
  { managedBy }: Pick<StoredProjectEnvironment, 'managedBy'>,
): Promise<boolean> {
  if (managedBy === null) return false;
  const key = appKey(orgId, managedBy);
  return (await table.get(key)).of(key) === null;
}

/** Whether it was one: then its name is free. */
export async function eraseOrphan(
  table: Table,
  orgId: string,
  environment: Pick<StoredProjectEnvironment, 'id' | 'managedBy'>,
): Promise<boolean> {
  const orphan = await isOrphan(table, orgId, environment);
  if (orphan) await eraseEnvironment(table, orgId, environment.id);
  return orphan;
}
