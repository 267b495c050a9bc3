/**
 * A history made elsewhere may have more attempts and failures than fit into one transaction. Then they are written first, in batches, under a build that
 * is not there yet, with a note by which they are found again if it never comes. One transaction then brings the build and takes the note away. Who
 * reads such a row by itself asks whether its build is there: it says that it was `imported`.
 */
import type { StoredBuild } from '@vivarium/core/storage';

import { integer, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { positionOf } from './build-items.ts';
import { all, exists, without } from './expressions.ts';
import { buildPartition, failureKey, failuresOfBuilds, importKey, listedFailureKey } from './keys.ts';
import type { Table } from './table.ts';
import type { Step } from './write.ts';

type FailureItems = { readonly head: Item; readonly listed: Item; readonly ofBuild: Item };
type Unplaced = Pick<StoredBuild, 'id' | 'createdAt'>;

const actionsPerTransaction = 100;

/** Its journal entry, that entry's place in the outbox, and its idempotency key. */
const actionsOfEveryWrite = 3;

export function fitsIntoOne(steps: readonly unknown[], rows: readonly Item[]): boolean {
  return steps.length + rows.length + actionsOfEveryWrite <= actionsPerTransaction;
}

export async function beginImport(
  table: Table,
  orgId: string,
  build: StoredBuild,
  history: { readonly attempts: readonly Item[]; readonly failures: readonly FailureItems[] },
  at: Date,
): Promise<void> {
  const { pk, sk } = importKey(orgId, build.id);
  const note = { id: text(build.id), createdAt: time(build.createdAt), since: time(at) };
  await table.putAll([{ pk: text(pk), sk: text(sk), ...note }]);
  // The places of failures first: they lead to everything else that there is of one.
  await table.putAll(history.failures.map(({ ofBuild }) => ofBuild));
  const imported = history.failures.flatMap(({ head, listed }) => [head, listed]);
  await table.putAll([...imported.map((item) => ({ ...item, imported: integer(1) })), ...history.attempts]);
}

/** Goes into the transaction that brings the build: the history is still there, and stays. */
export function commitImport(orgId: string, { id }: StoredBuild): Step<'swept'> {
  return { remove: importKey(orgId, id), when: all(exists, without('erasing')), else: () => 'swept' };
}

/** Removes a history whose build has not come. Safe to repeat. */
export async function dropImport(table: Table, orgId: string, build: Unplaced): Promise<void> {
  const { pk, from, to } = failuresOfBuilds(orgId, build, build);
  const places = await table.all({ pk, between: [from, to], keysOnly: true });
  const failures = places.map(positionOf);
  await table.removeAll(failures.map(({ id }) => failureKey(orgId, id)));
  await table.removeAll(failures.map((failure) => listedFailureKey(orgId, failure)));
  const attempts = await table.all({ pk: buildPartition(orgId, build.id), keysOnly: true });
  await table.removeAll([...attempts, ...places].map((item) => ({ pk: textOf(item, 'pk'), sk: textOf(item, 'sk') })));
  await table.removeAll([importKey(orgId, build.id)]);
}

/** The same for one that a process left behind. If it is still at work after all, either its build comes, or this. */
export async function sweepImport(table: Table, orgId: string, note: Item): Promise<void> {
  const build = { id: textOf(note, 'id'), createdAt: timeOf(note, 'createdAt') };
  const mine = await table.update(importKey(orgId, build.id), { set: { erasing: integer(1) } }, exists);
  if (mine) await dropImport(table, orgId, build);
}
