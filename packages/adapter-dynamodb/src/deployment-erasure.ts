/**
 * What goes with a repository, a project or a project environment, once that is gone for everybody: in batches, safe to repeat, and to do by several at
 * once. A project environment goes with all its records in one transaction, and its deployments behind it.
 */
import type { App, StoredProjectEnvironment } from '@vivarium/core/storage';

import { integer, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { placesOfApp, readApp } from './app-items.ts';
import { forgetScope } from './data-keys.ts';
import { all, equal, exists, has } from './expressions.ts';
import {
  appKey,
  behind,
  deploymentIdKey,
  deploymentSpan,
  historyErasureKey,
  openDeploymentKey,
  placesByName,
  placesOfApps,
  projectEnvironmentKey,
  repoErasureKey,
  repoKey,
  repoPartition,
} from './keys.ts';
import { isAt, placesOf, readProjectEnvironment } from './project-environment-items.ts';
import { settled } from './settle.ts';
import type { Table } from './table.ts';
import type { Step } from './write.ts';

/** Apps and environments that are erased side by side. */
const atOnce = 10;

/** An erasure that nobody has begun: whoever comes by may go on with it. */
const begunByNobody = new Date(0);

/** Removes everything that a fenced repository holds, the repository's own item last. */
export async function eraseRepo(table: Table, orgId: string, id: string): Promise<void> {
  await eraseHeldIn(table, orgId, repoPartition(orgId, id));
  await table.remove(repoKey(orgId, id), has('erasing'));
  await table.removeAll([repoErasureKey(orgId, id)]);
}

/** Removes the apps and the project environments of a project or a repository, whose partition this is. Its fence lets no others come. */
export async function eraseHeldIn(table: Table, orgId: string, pk: string): Promise<void> {
  for (const [prefix, erase] of [
    [placesOfApps, eraseApp],
    [placesByName, eraseEnvironment],
  ] as const) {
    for await (const page of table.pages({ pk, between: [prefix, behind(prefix)] })) {
      for (let i = 0; i < page.length; i += atOnce) {
        await Promise.all(page.slice(i, i + atOnce).map((item) => erase(table, orgId, textOf(item, 'id'))));
      }
    }
  }
}

async function eraseApp(table: Table, orgId: string, id: string): Promise<void> {
  const key = appKey(orgId, id);
  // First of all what makes everything else that was sealed unreadable.
  await forgetScope(table, orgId, { type: 'app', id });
  await untilGone(table, key, (item) => appRemoval(orgId, readApp(item)));
}

async function eraseEnvironment(table: Table, orgId: string, id: string): Promise<void> {
  const key = projectEnvironmentKey(orgId, id);
  await untilGone(table, key, (item) => environmentRemoval(orgId, readProjectEnvironment(item), begunByNobody));
  await eraseHistory(table, orgId, id);
}

/** Removes what is there now, and looks again where it was changed in between. */
async function untilGone(
  table: Table,
  key: ReturnType<typeof appKey>,
  removal: (item: Item) => readonly Step<string>[],
): Promise<void> {
  await settled('what is being deleted', async () => {
    const item = (await table.get(key)).of(key);
    if (item === null) return { value: undefined };
    const broken = await table.transact(removal(item), { owners: [key] });
    return Array.isArray(broken) && broken.length === 0 ? { value: undefined } : null;
  });
}

/** Removes the deployments of an environment that is gone. What leads to one goes first, so that it is found again from where it stands. */
export async function eraseHistory(table: Table, orgId: string, environmentId: string): Promise<void> {
  const { pk, to } = deploymentSpan(orgId, environmentId, null);
  for await (const page of table.pages({ pk, between: ['D#', to] })) {
    const ids = page.map((item) => textOf(item, 'id'));
    await table.removeAll(ids.flatMap((id) => [deploymentIdKey(orgId, id), openDeploymentKey(orgId, id)]));
    await table.removeAll(page.map((item) => ({ pk: textOf(item, 'pk'), sk: textOf(item, 'sk') })));
  }
  await table.removeAll([historyErasureKey(orgId, environmentId)]);
}

/** Every record of an app, at its version. */
export function appRemoval(orgId: string, app: App): readonly Step<'not_found' | 'stale'>[] {
  const when = all(exists, equal('version', integer(app.version)));
  return [
    { remove: appKey(orgId, app.id), when, else: changed },
    ...placesOfApp(orgId, app).map((remove) => ({ remove, when, else: () => 'stale' as const })),
  ];
}

/** Every record of a project environment, at its version, and a note of its deployments, which are to be erased. */
export function environmentRemoval(
  orgId: string,
  environment: StoredProjectEnvironment,
  since: Date,
): readonly Step<'not_found' | 'stale'>[] {
  const { id, version } = environment;
  const left = historyErasureKey(orgId, id);
  const when = isAt(version);
  return [
    { remove: projectEnvironmentKey(orgId, id), when, else: changed },
    ...placesOf(orgId, environment).map((remove) => ({ remove, when, else: () => 'stale' as const })),
    { put: { pk: text(left.pk), sk: text(left.sk), id: text(id), since: time(since) } },
  ];
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}
