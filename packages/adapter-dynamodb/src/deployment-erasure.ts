/**
 * What goes with a repository, a project, an app or a project environment, once that is gone for everybody: in batches, safe to repeat, and to do by several at
 * once. A project environment goes with all its records and its preview in one transaction, its deployments and the steps of its preview behind it.
 */
import type { App, StoredPreview, StoredProjectEnvironment } from '@vivarium/core/storage';

import { text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { placesOfApp, readApp } from './app-items.ts';
import { forgetScope } from './data-keys.ts';
import { equal, has } from './expressions.ts';
import type { Condition } from './expressions.ts';
import {
  appErasureKey,
  appKey,
  appPartition,
  behind,
  deploymentIdKey,
  environmentRestSpan,
  historyErasureKey,
  isDeploymentKey,
  listedPreviewKey,
  messageKey,
  openDeploymentKey,
  placesByName,
  placesOfApps,
  previewKey,
  projectEnvironmentKey,
  projectPartition,
  repoErasureKey,
  repoKey,
  repoPartition,
  upPreviewKey,
} from './keys.ts';
import type { Key } from './keys.ts';
import { readPreview } from './preview-items.ts';
import { isAt, placesOf, readProjectEnvironment } from './project-environment-items.ts';
import { settled } from './settle.ts';
import { sideBySide } from './side-by-side.ts';
import type { Range, Table } from './table.ts';
import type { Step } from './write.ts';

/** Apps and environments that are erased side by side. */
const atOnce = 10;

/** An erasure that nobody has begun: whoever comes by may go on with it. */
const begunByNobody = new Date(0);

/** Removes everything that a fenced repository holds, the repository's own item last. */
export async function eraseRepo(table: Table, secrets: Table, orgId: string, id: string): Promise<void> {
  await eraseHeldIn(table, secrets, orgId, repoPartition(orgId, id));
  await table.remove(repoKey(orgId, id), has('erasing'));
  await table.removeAll([repoErasureKey(orgId, id)]);
}

/** Removes the apps and the project environments of a project or a repository, whose partition this is. Its fence lets no others come. */
export async function eraseHeldIn(table: Table, secrets: Table, orgId: string, pk: string): Promise<void> {
  await eachUnder(table, { pk, prefix: placesOfApps }, (id) => eraseApp(table, secrets, orgId, id));
  await eachUnder(table, { pk, prefix: placesByName }, (id) => eraseEnvironment(table, orgId, id));
}

/** Removes the project environments that an app which is gone has managed, and its secrets. Without the app no others come. */
export async function eraseHeldByApp(
  table: Table,
  secrets: Table,
  orgId: string,
  { id, projectId }: Pick<App, 'id' | 'projectId'>,
): Promise<void> {
  const places = { pk: projectPartition(orgId, projectId), prefix: placesByName, where: equal('managedBy', text(id)) };
  await eachUnder(table, places, (environmentId) => eraseEnvironment(table, orgId, environmentId));
  const values = await secrets.all({ pk: appPartition(orgId, id), keysOnly: true });
  await secrets.removeAll(values.map((item) => ({ pk: textOf(item, 'pk'), sk: textOf(item, 'sk') })));
  await table.removeAll([appErasureKey(orgId, id)]);
}

async function eachUnder(
  table: Table,
  { pk, prefix, where }: { readonly pk: string; readonly prefix: string; readonly where?: Condition },
  erase: (id: string) => Promise<void>,
): Promise<void> {
  const range: Range = { pk, between: [prefix, behind(prefix)], ...(where === undefined ? {} : { where }) };
  for await (const page of table.pages(range)) {
    for (let i = 0; i < page.length; i += atOnce) {
      await sideBySide(page.slice(i, i + atOnce).map((item) => erase(textOf(item, 'id'))));
    }
  }
}

async function eraseApp(table: Table, secrets: Table, orgId: string, id: string): Promise<void> {
  const key = appKey(orgId, id);
  const scope = { type: 'app', id } as const;
  // First of all what makes everything else that was sealed unreadable; and once the app is gone, a key that came in between.
  await forgetScope(table, orgId, scope);
  const app = await untilGone(table, key, async (item) => {
    const app = readApp(item);
    return [{ remove: key, when: isAt(app.version) }, ...appRemoval(orgId, app, begunByNobody)];
  });
  if (app === null) return;
  await forgetScope(table, orgId, scope);
  await eraseHeldByApp(table, secrets, orgId, readApp(app));
}

export async function eraseEnvironment(table: Table, orgId: string, id: string): Promise<void> {
  const key = projectEnvironmentKey(orgId, id);
  await untilGone(table, key, async (item) => {
    const environment = readProjectEnvironment(item);
    const preview = await managedPreview(table, orgId, environment);
    return environmentRemoval(orgId, { environment, preview }, begunByNobody);
  });
  await eraseHistory(table, orgId, id);
}

/** The preview of an environment that an app manages, which goes with it. */
export async function managedPreview(
  table: Table,
  orgId: string,
  { id, managedBy }: StoredProjectEnvironment,
): Promise<StoredPreview | null> {
  if (managedBy === null) return null;
  const key = previewKey(orgId, id);
  const item = (await table.get(key)).of(key);
  return item && readPreview(item);
}

/** Removes what is there now, and looks again where it was changed in between. Answers what it was; `null` when there was nothing any more. */
async function untilGone(
  table: Table,
  key: Key,
  removal: (item: Item) => Promise<readonly Step<string>[]>,
): Promise<Item | null> {
  return settled('what is being deleted', async () => {
    const item = (await table.get(key)).of(key);
    if (item === null) return { value: null };
    const broken = await table.transact(await removal(item), { owners: [key] });
    return Array.isArray(broken) && broken.length === 0 ? { value: item } : null;
  });
}

/** Removes the deployments of an environment that is gone, and the steps of its preview. What leads to a deployment goes first, so that it is found again from where it stands. */
export async function eraseHistory(table: Table, orgId: string, environmentId: string): Promise<void> {
  const { pk, from, to } = environmentRestSpan(orgId, environmentId);
  for await (const page of table.pages({ pk, between: [from, to] })) {
    const ids = page.filter((item) => isDeploymentKey(textOf(item, 'sk'))).map((item) => textOf(item, 'id'));
    await table.removeAll(ids.flatMap((id) => [deploymentIdKey(orgId, id), openDeploymentKey(orgId, id)]));
    await table.removeAll(page.map((item) => ({ pk: textOf(item, 'pk'), sk: textOf(item, 'sk') })));
  }
  await table.removeAll([historyErasureKey(orgId, environmentId)]);
}

/** Every record of an app but its own, at its version, and a note of what it managed, which is to be erased. */
export function appRemoval(orgId: string, app: App, since: Date): readonly Step<'stale'>[] {
  const { id, projectId, version } = app;
  const when = isAt(version);
  const left = appErasureKey(orgId, id);
  return [
    ...placesOfApp(orgId, app).map((remove) => ({ remove, when, else: () => 'stale' as const })),
    { put: { pk: text(left.pk), sk: text(left.sk), id: text(id), project: text(projectId), since: time(since) } },
  ];
}

/** Every record of a project environment, at its version, its preview, and a note of its deployments, which are to be erased. */
export function environmentRemoval(
  orgId: string,
  { environment, preview }: { readonly environment: StoredProjectEnvironment; readonly preview: StoredPreview | null },
  since: Date,
): readonly Step<'not_found' | 'stale'>[] {
  const { id, version } = environment;
  const left = historyErasureKey(orgId, id);
  const when = isAt(version);
  return [
    { remove: projectEnvironmentKey(orgId, id), when, else: changed },
    ...placesOf(orgId, environment).map((remove) => ({ remove, when, else: () => 'stale' as const })),
    ...(preview === null ? [] : previewRemoval(orgId, preview)),
    { put: { pk: text(left.pk), sk: text(left.sk), id: text(id), since: time(since) } },
  ];
}

function previewRemoval(orgId: string, preview: StoredPreview): readonly Step<'stale'>[] {
  const { id, appId, version } = preview;
  return [
    { remove: previewKey(orgId, id), when: isAt(version), else: () => 'stale' },
    { remove: listedPreviewKey(orgId, appId, preview) },
    { remove: upPreviewKey(orgId, id) },
    { remove: messageKey(orgId, id) },
  ];
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}
