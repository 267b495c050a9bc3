import { StorageFailure } from '@vivarium/core/storage';
import type { App, DeploymentRepository, Written } from '@vivarium/core/storage';

import { integer, integerOf, optionalIntegerOf, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { appItem, appItems, changingAppAttributes, placesOfApp, readApp } from './app-items.ts';
import { keysEverAdded, keysOf, placesOf } from './data-keys.ts';
import { appRemoval, eraseHeldByApp } from './deployment-erasure.ts';
import { eraseLeftovers } from './erasure.ts';
import { all, equal, exists, missing, without } from './expressions.ts';
import {
  appDirectory,
  appKey,
  listedAppKey,
  projectAppKey,
  projectAppSpan,
  projectKey,
  repoAppSpan,
  repoKey,
} from './keys.ts';
import { hasRuntimes, withoutRuntimes } from './live-runtimes.ts';
import { pageOf } from './named-page.ts';
import { isThere, projectIsThere } from './project-items.ts';
import { repoIsThere } from './repo-items.ts';
import { settled } from './settle.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

type Apps = Pick<DeploymentRepository, 'appFacts' | 'createApp' | 'getApp' | 'listApps' | 'writeApp' | 'deleteApp'>;

export function dynamodbApps(table: Table, secrets: Table): Apps {
  return {
    appFacts: (orgId, { projectId, repoId }, keyId) =>
      table.answer('read', async () => {
        const [project, repo] = [projectKey(orgId, projectId), repoKey(orgId, repoId)];
        const found = await table.get(project, repo, ...keyOf(orgId, keyId));
        return {
          project: isThere(found.of(project)),
          repo: isThere(found.of(repo)),
          key: keptUnder(found, orgId, keyId),
        };
      }),

    createApp: ({ app, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const [project, repo] = [projectKey(orgId, app.projectId), repoKey(orgId, app.repoId)];
        const [own, ofProject, ...others] = appItems(orgId, app) as [Item, Item, ...Item[]];
        return write<'exists' | 'gone'>(table, change, {
          owners: [project, repo],
          steps: [
            { check: project, when: projectIsThere, else: () => 'gone' },
            { check: repo, when: repoIsThere, else: () => 'gone' },
            { put: ofProject, when: missing, else: () => 'exists' },
            { put: own, when: missing, else: (there) => idTaken(app, there!) },
            ...others.map((put) => ({ put, when: missing, else: () => 'exists' as const })),
          ],
        });
      }),

    getApp: (orgId, id, keyId) =>
      table.answer('read', async () => {
        const key = appKey(orgId, id);
        const found = await table.get(key, ...keyOf(orgId, keyId));
        const item = found.of(key);
        return { found: item === null ? null : readApp(item), key: keptUnder(found, orgId, keyId) };
      }),

    listApps: (orgId, { projectId, repoId }, page) =>
      table.answer('read', async () => {
        if (projectId !== undefined && repoId !== undefined) {
          const key = projectAppKey(orgId, projectId, repoId);
          const item = (await table.get(key)).of(key);
          return pageOf(item === null ? [] : [readApp(item)], positionOf, page);
        }
        if (projectId !== undefined || repoId !== undefined) {
          const span = projectId === undefined ? repoAppSpan(orgId, repoId!) : projectAppSpan(orgId, projectId);
          const items = await table.all({ pk: span.pk, between: [span.from, span.to] });
          return pageOf(items.map(readApp), positionOf, page);
        }
        const { limit, after } = page;
        const behind = after === null ? {} : { after: listedAppKey(orgId, after).sk };
        const items = await table.first({ pk: appDirectory(orgId), ...behind }, limit + 1);
        return { items: items.slice(0, limit).map(readApp), more: items.length > limit };
      }),

    writeApp: ({ app, expectedVersion, change }) =>
      table.answer('write', async () => {
        const { orgId } = change;
        const key = appKey(orgId, app.id);
        const found = (await table.get(key)).of(key);
        const before = found === null ? app : readApp(found);
        const when = all(exists, equal('version', integer(expectedVersion)));
        const [ofProject, ofRepo, listed] = placesOfApp(orgId, app);
        const stale = () => 'stale' as const;
        return write<'not_found' | 'stale'>(table, change, {
          owners: [key],
          steps: [
            { update: key, changes: { set: changingAppAttributes(app) }, when, else: changed },
            { put: appItem(ofProject, app), when, else: stale },
            { put: appItem(ofRepo, app), when, else: stale },
            // The list of the org is by name.
            ...(before.name === app.name
              ? [{ put: appItem(listed, app), when, else: stale }]
              : [
                  { remove: listedAppKey(orgId, before), when, else: stale },
                  { put: appItem(listed, app), when: missing, else: stale },
                ]),
          ],
        });
      }),

    deleteApp: ({ app, change }) =>
      table.answer('write', async () => {
        const { orgId, at } = change;
        const remove = appKey(orgId, app.id);
        // A data key that is added while its app is deleted must go with it: the app counts those that were ever added, and if the count is another one than
        // that of the keys that were found, they are looked for again.
        let counted: number | null = null;
        const written = await settled('the data keys of the app', async () => {
          const dataKeys = await keysOf(table, orgId, { type: 'app', id: app.id });
          const count = counted ?? dataKeys.length;
          const allFound = count === 0 ? without(keysEverAdded) : equal(keysEverAdded, integer(count));
          const answer = await write<AppRefusal | 'keys_moved'>(table, change, {
            owners: [remove],
            steps: [
              {
                remove,
                when: all(exists, equal('version', integer(app.version)), withoutRuntimes, allFound),
                else(there) {
                  if (there === null || integerOf(there, 'version') !== app.version) return changed(there);
                  if (hasRuntimes(there)) return 'has_live_previews';
                  counted = optionalIntegerOf(there, keysEverAdded) ?? 0;
                  return 'keys_moved';
                },
              },
              ...appRemoval(orgId, app, at),
              ...dataKeys.flatMap((dataKey) => placesOf(orgId, dataKey)).map((key) => ({ remove: key })),
            ],
          });
          if (!answer.done && answer.refused === 'keys_moved') return null;
          return { value: answer as Written<AppRefusal> };
        });
        // The app is gone for everybody now, and what it held goes in batches, as that of a project does.
        if (written.done)
          await eraseHeldByApp(table, secrets, orgId, app)
            .then(() => eraseLeftovers(table, secrets, orgId, at))
            .catch(() => undefined);
        return written;
      }),
  };
}

type AppRefusal = 'not_found' | 'stale' | 'has_live_previews';

const positionOf = ({ name, id }: App) => ({ name, id });

function changed(there: Item | null): 'not_found' | 'stale' {
  return there === null ? 'not_found' : 'stale';
}

/** The same app is written twice, or two have the same id. */
function idTaken({ id, projectId, repoId }: App, there: Item): 'exists' {
  if (textOf(there, 'project') === projectId && textOf(there, 'repo') === repoId) return 'exists';
  throw new StorageFailure(`there already is an app ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
