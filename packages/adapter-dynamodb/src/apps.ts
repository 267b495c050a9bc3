import { StorageFailure } from '@vivarium/core/storage';
import type { App, DeploymentRepository } from '@vivarium/core/storage';

import { integer, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { appItem, appItems, placesOfApp, readApp } from './app-items.ts';
import { keysOf, placesOf } from './data-keys.ts';
import { appRemoval } from './deployment-erasure.ts';
import { all, equal, exists, missing } from './expressions.ts';
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
import { pageOf } from './named-page.ts';
import { isThere, projectIsThere } from './project-items.ts';
import { repoIsThere } from './repo-items.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

type Apps = Pick<DeploymentRepository, 'appFacts' | 'createApp' | 'getApp' | 'listApps' | 'writeApp' | 'deleteApp'>;

export function dynamodbApps(table: Table): Apps {
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
            { put: appItem(key, app), when, else: changed },
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
        const { orgId } = change;
        const dataKeys = await keysOf(table, orgId, { type: 'app', id: app.id });
        return write<'not_found' | 'stale'>(table, change, {
          owners: [appKey(orgId, app.id)],
          steps: [
            ...appRemoval(orgId, app),
            ...dataKeys.flatMap((dataKey) => placesOf(orgId, dataKey)).map((remove) => ({ remove })),
          ],
        });
      }),
  };
}

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
