import { isPreviewDue, previewSteps } from '@vivarium/core/storage';
import type {
  AskFacts,
  Loaded,
  PreviewFacts,
  PreviewRepository,
  QueueMessage,
  StoredPage,
  StoredPreview,
} from '@vivarium/core/storage';

import { readApp } from './app-items.ts';
import { integer, integerOf, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { atMost, either, equal } from './expressions.ts';
import {
  appKey,
  listedPreviewKey,
  listedPreviewSpan,
  messageKey,
  messagePartition,
  placeInProject,
  positionIn,
  previewKey,
  previewStepKey,
  projectEnvironmentKey,
  projectKey,
  repoKey,
  upPreviewKey,
  upPreviewPartition,
} from './keys.ts';
import type { Key } from './keys.ts';
import { newestFirst } from './newest-first.ts';
import { eraseOrphan } from './orphans.ts';
import { readMessage, readPreview, readRun, readStep } from './preview-items.ts';
import { readActive, readProjectEnvironment } from './project-environment-items.ts';
import { isThere } from './project-items.ts';
import { readRepo } from './repo-items.ts';
import { settled } from './settle.ts';
import type { Found, Table } from './table.ts';
import { keptUnder, keyOf } from './write.ts';

type PreviewReads = Pick<PreviewRepository, 'askFacts' | 'facts' | 'list' | 'unsent' | 'sent' | 'due'>;

/** What `askFacts` finds where there is nothing. */
const nothing: AskFacts = { app: null, repo: null, environment: null, preview: null, run: null, active: null };

/** Previews that a sweep looks at in one request for those that are due. */
const sweepPage = 1_000;

export function dynamodbPreviewReads(table: Table): PreviewReads {
  return {
    askFacts: (orgId, { appId, environment: name }, keyId) =>
      table.answer('read', async () => {
        const [key, keys] = [appKey(orgId, appId), keyOf(orgId, keyId)];
        const found = await table.get(key, ...keys);
        const item = found.of(key);
        if (item === null) return { ...nothing, key: keptUnder(found, orgId, keyId) };
        const app = readApp(item);
        const [project, repo] = [projectKey(orgId, app.projectId), repoKey(orgId, app.repoId)];
        const place = placeInProject(orgId, { ...app, environment: name });
        let torn = false;
        return settled('the environment', async () => {
          const owners = await table.get(project, repo, place, ...keys);
          const [itsRepo, record] = [owners.of(repo), owners.of(place)];
          const kept = keptUnder(owners, orgId, keyId);
          if (!isThere(owners.of(project)) || !isThere(itsRepo)) return { value: { ...nothing, key: kept } };
          const known = { ...nothing, app, repo: readRepo(itsRepo), key: kept };
          if (record === null) return { value: known };

          const id = textOf(record, 'id');
          const [own, its] = [projectEnvironmentKey(orgId, id), previewKey(orgId, id)];
          const together = torn ? await table.snapshot(own, its, ...keys) : await table.get(own, its, ...keys);
          const [head, preview] = [together.of(own), together.of(its)];
          // Deleted or written between two reads.
          const isWhole = head !== null && (torn || belongTogether(head, preview));
          torn = true;
          if (!isWhole) return null;
          const environment = readProjectEnvironment(head);
          if (environment.managedBy !== appId && (await eraseOrphan(table, orgId, environment))) return null;
          return {
            value: {
              ...known,
              environment,
              preview: preview && readPreview(preview),
              run: preview && readRun(preview),
              active: readActive(head),
              key: keptUnder(together, orgId, keyId),
            },
          };
        });
      }),

    facts: (orgId, id, keyId) =>
      table.answer('read', async () => {
        const [own, key, keys] = [projectEnvironmentKey(orgId, id), previewKey(orgId, id), keyOf(orgId, keyId)];
        let before = (await table.get(key)).of(key);
        let torn = false;
        return settled<Loaded<PreviewFacts>>('the preview', async () => {
          if (before === null) {
            const kept = keyId === undefined ? null : keptUnder(await table.get(...keys), orgId, keyId);
            return { value: { found: null, key: kept } };
          }
          const { generation, appId, projectId, repoId, version } = readPreview(before);
          const [app, project, repo] = [appKey(orgId, appId), projectKey(orgId, projectId), repoKey(orgId, repoId)];
          const steps = previewSteps.map((step) => previewStepKey(orgId, id, generation, step));
          const wanted = [own, key, app, project, repo, ...steps, ...keys];
          // What is written all the time is read at one instant, for twice the units.
          const found = torn ? await table.snapshot(...wanted) : await table.get(...wanted);
          const [environment, preview, itsApp, itsRepo] = [own, key, app, repo].map((one) => found.of(one)) as Four;
          const kept = keptUnder(found, orgId, keyId);
          if (itsApp === null || !isThere(found.of(project)) || !isThere(itsRepo)) {
            return { value: { found: null, key: kept } };
          }
          before = preview;
          if (preview === null || environment === null) return null;
          // Written between two reads. What is kept under the key must not be older than what is decided on, either.
          const isWhole = torn || (belongTogether(environment, preview) && integerOf(preview, 'version') === version);
          // The steps that were read may be those of the run before.
          const isOfThisRun = readPreview(preview).generation === generation;
          torn = true;
          if (!isWhole || !isOfThisRun) return null;
          const facts = {
            preview: readPreview(preview),
            environment: readProjectEnvironment(environment),
            app: readApp(itsApp),
            repo: readRepo(itsRepo),
            run: readRun(preview),
            active: readActive(environment),
            steps: itemsIn(found, steps).map(readStep),
          };
          return { value: { found: facts, key: kept } };
        });
      }),

    list: (orgId, { appId, status }, page) =>
      table.answer('read', async (): Promise<StoredPage<StoredPreview> | null> => {
        const app = appKey(orgId, appId);
        let isApp: boolean | null = null;
        const listed = await newestFirst<StoredPreview>(table, page, {
          span: listedPreviewSpan(orgId, appId),
          before: page.after && listedPreviewKey(orgId, appId, page.after).sk,
          where: status === undefined ? undefined : equal('status', text(status)),
          uncertain: false,
          async read(places) {
            const keys = places.map((place) => previewKey(orgId, positionIn(textOf(place, 'sk')).id));
            const found = await table.get(app, ...keys);
            isApp = found.of(app) !== null;
            return keys.map((key) => {
              const item = found.of(key);
              const preview = item && readPreview(item);
              return preview !== null && (status === undefined || preview.status === status) ? preview : null;
            });
          },
        });
        isApp ??= (await table.get(app)).of(app) !== null;
        return isApp ? listed : null;
      }),

    unsent: (orgId, { limit, after }) =>
      table.answer('read', async () => {
        const unsent: QueueMessage[] = [];
        const range = { pk: messagePartition(orgId), pageSize: limit };
        const behind = after === null ? {} : { after: messageKey(orgId, after).sk };
        for await (const page of table.pages({ ...range, ...behind })) {
          const apps = await appsOf(orgId, page);
          unsent.push(...page.filter((item) => apps.has(textOf(item, 'app'))).map((item) => readMessage(orgId, item)));
          if (unsent.length >= limit) break;
        }
        return unsent.slice(0, limit);
      }),

    sent: (orgId, { projectEnvironmentId, sequence }) =>
      table.answer('write', async () => {
        await table.remove(messageKey(orgId, projectEnvironmentId), equal('sequence', integer(sequence)));
      }),

    due: (orgId, { now, askedBy, limit, after }) =>
      table.answer('read', async () => {
        const due: StoredPreview[] = [];
        const late = atMost('deadline', time(now));
        for await (const page of table.pages({
          pk: upPreviewPartition(orgId),
          where: askedBy === null ? late : either(late, atMost('asked', time(askedBy))),
          pageSize: sweepPage,
          ...(after === null ? {} : { after: upPreviewKey(orgId, after).sk }),
        })) {
          for (let i = 0; i < page.length; i += limit) {
            const places = page.slice(i, i + limit);
            const keys = places.map((place) => previewKey(orgId, textOf(place, 'id')));
            const [found, apps] = await Promise.all([table.get(...keys), appsOf(orgId, places)]);
            const previews = itemsIn(found, keys).map(readPreview);
            due.push(...previews.filter((preview) => apps.has(preview.appId) && isPreviewDue(preview, now, askedBy)));
            if (due.length >= limit) return due.slice(0, limit);
          }
        }
        return due;
      }),
  };

  /** The apps of these items that are there. */
  async function appsOf(orgId: string, items: readonly Item[]): Promise<ReadonlySet<string>> {
    const ids = [...new Set(items.map((item) => textOf(item, 'app')))];
    const found = await table.get(...ids.map((id) => appKey(orgId, id)));
    return new Set(ids.filter((id) => found.of(appKey(orgId, id)) !== null));
  }
}

type Four = [Item | null, Item | null, Item | null, Item | null];

function itemsIn(found: Found, keys: readonly Key[]): readonly Item[] {
  return keys.map((key) => found.of(key)).filter((item) => item !== null);
}

/** Both change in one transaction, which gives them one version. */
function belongTogether(environment: Item, preview: Item | null): boolean {
  return preview === null || integerOf(preview, 'version') === integerOf(environment, 'version');
}
