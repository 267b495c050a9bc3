import type { App } from '@vivarium/core/storage';

import { integer, integerOf, optionalText, optionalTextOf, present, text, textOf, time, timeOf } from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { appKey, listedAppKey, projectAppKey, repoAppKey } from './keys.ts';
import type { Key } from './keys.ts';

/** Where an app stands besides its id: under its project and its repository, of which it is the only one, and in the list of its org. */
export function placesOfApp(orgId: string, app: App): readonly [ofProject: Key, ofRepo: Key, listed: Key] {
  const { projectId, repoId } = app;
  return [projectAppKey(orgId, projectId, repoId), repoAppKey(orgId, repoId, projectId), listedAppKey(orgId, app)];
}

/** The app at one of its places, or by its id. All of them say all about it. Its own item also has counts, which a change of the app leaves alone. */
export function appItem({ pk, sk }: Key, app: App): Item {
  const { id, projectId, repoId, createdAt } = app;
  return present({
    pk: text(pk),
    sk: text(sk),
    id: text(id),
    project: text(projectId),
    repo: text(repoId),
    ...changingAppAttributes(app),
    createdAt: time(createdAt),
  });
}

export function changingAppAttributes({ name, entrypoint, version, updatedAt }: App): Attributes {
  return {
    name: text(name),
    entrypoint: optionalText(entrypoint),
    version: integer(version),
    updatedAt: time(updatedAt),
  };
}

export function appItems(orgId: string, app: App): readonly Item[] {
  return [appKey(orgId, app.id), ...placesOfApp(orgId, app)].map((key) => appItem(key, app));
}

export function readApp(item: Item): App {
  return {
    id: textOf(item, 'id'),
    projectId: textOf(item, 'project'),
    repoId: textOf(item, 'repo'),
    name: textOf(item, 'name'),
    entrypoint: optionalTextOf(item, 'entrypoint'),
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}
