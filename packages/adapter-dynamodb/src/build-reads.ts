import type { BuildRepository, ResumeFacts, StoredBuild, StoredBuildState } from '@vivarium/core/storage';

import { integerOf, optionalIntegerOf, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { buildsOf } from './build-filters.ts';
import { endedOf, isResolved, positionOf, readAttempt, readBuild, readFailure, readSummary } from './build-items.ts';
import {
  attemptSpan,
  buildDirectory,
  buildKey,
  buildNumberKey,
  failureKey,
  failuresOfBuilds,
  firstPlace,
  lastPlace,
  listedBuildKey,
  manifestKey,
  projectBuildKey,
  projectBuildSpan,
  projectKey,
  runningBuildKey,
  runningPartition,
} from './keys.ts';
import { newestFirst } from './newest-first.ts';
import { isThere } from './project-items.ts';
import { settled } from './settle.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf } from './write.ts';

type BuildReads = Pick<BuildRepository, 'get' | 'getWithManifest' | 'list' | 'listStates' | 'resumeFacts' | 'due'>;

export function dynamodbBuildReads(table: Table): BuildReads {
  return {
    get: (orgId, id, keyId) =>
      table.answer('read', async () => {
        const head = buildKey(orgId, id);
        const found = await table.get(head, ...keyOf(orgId, keyId));
        const item = found.of(head);
        return { found: item === null ? null : readBuild(item), key: keptUnder(found, orgId, keyId) };
      }),

    getWithManifest: (orgId, which) =>
      table.answer('read', async () => {
        const id = 'id' in which ? which.id : await holderOf(orgId, which.buildNumber);
        if (id === null) return null;
        return settled('the build', async () => {
          const [head, manifest] = [buildKey(orgId, id), manifestKey(orgId, id)];
          const found = await table.get(head, manifest);
          const [build, written] = [found.of(head), found.of(manifest)];
          if (build === null) return { value: null };
          // Attached between the reads of the two items.
          if (optionalIntegerOf(build, 'manifestVersion') !== (written && integerOf(written, 'version'))) return null;
          return { value: { build: readBuild(build), manifest: written && textOf(written, 'manifest') } };
        });
      }),

    list: (orgId, { projectId, status, ...references }, page) =>
      table.answer('read', async () => {
        const ofProject = projectId !== undefined;
        const project = ofProject ? [projectKey(orgId, projectId)] : [];
        const { after } = page;
        return newestFirst(table, page, {
          span: ofProject
            ? projectBuildSpan(orgId, projectId)
            : { pk: buildDirectory(orgId), from: firstPlace, to: lastPlace },
          before: after && (ofProject ? projectBuildKey(orgId, projectId, after) : listedBuildKey(orgId, after)).sk,
          // The list of a project does not know how its builds stand.
          where: buildsOf(ofProject ? references : { ...references, status }),
          uncertain: ofProject && status !== undefined,
          async read(places) {
            const keys = places.map((place) => buildKey(orgId, positionOf(place).id));
            const found = await table.get(...project, ...keys);
            // Its builds are being detached from it, and are in no project any more.
            if (project.some((key) => !isThere(found.of(key)))) return [];
            return keys.map((key) => {
              const build = readBuild(found.of(key)!);
              return status === undefined || build.status === status ? build : null;
            });
          },
        });
      }),

    listStates: (orgId, buildId, { limit, after }) =>
      table.answer('read', () => {
        let before: number | null = null;
        return settled('the history of the build', async () => {
          const { pk, from, to } = attemptSpan(orgId, buildId, after);
          const range = { pk, between: [from, to] as const };
          const [head, items] =
            after === null
              ? await table.first(range, limit + 2).then(([first, ...rest]) => [headIn(first), rest] as const)
              : await Promise.all([headOf(orgId, buildId), table.first(range, limit + 1)]);
          if (head === null) return { value: null };
          const history = items.map(readAttempt);
          const value = { items: history.slice(0, limit), more: history.length > limit };
          const build = readBuild(head);
          // If the build has not moved since it was last looked at, that is how its history was written.
          if (build.version === before || belongTo(build, history, { after, ...value })) return { value };
          before = build.version;
          return null;
        });
      }),

    resumeFacts: (orgId, id) =>
      table.answer('read', () =>
        settled<ResumeFacts | null>('the build and its failures', async () => {
          const head = await headOf(orgId, id);
          if (head === null) return { value: null };
          const build = readBuild(head);
          const { pk, from, to } = failuresOfBuilds(orgId, build, build);
          const failures = await table.all({ pk, between: [from, to] });
          const last = failures.at(-1);
          const summaries = endedOf(head).map(readSummary);
          const completed = summaries.filter(({ status }) => status === 'completed').map(({ state }) => state);
          const facts = {
            build,
            completed: [...new Set(completed)].sort((a, b) => a - b),
            lastFailure: null,
            unresolvedFailures: failures.filter((failure) => !isResolved(failure)).length,
          };
          if (last === undefined) return { value: facts };

          const [failure, again] = [failureKey(orgId, positionOf(last).id), buildKey(orgId, id)];
          const found = await table.get(failure, again);
          // It has failed, or gone on, since it was read.
          if (integerOf(found.of(again)!, 'version') !== build.version) return null;
          return { value: { ...facts, lastFailure: readFailure(found.of(failure)!) } };
        }),
      ),

    due: (orgId, { now, limit, after }) =>
      table.answer('read', async () => {
        const due: StoredBuild[] = [];
        const range = { pk: runningPartition(orgId), pageSize: limit };
        const behind = after === null ? {} : { after: runningBuildKey(orgId, after).sk };
        for await (const page of table.pages({ ...range, ...behind })) {
          const keys = page.map((running) => buildKey(orgId, textOf(running, 'id')));
          const found = await table.get(...keys);
          for (const key of keys) {
            const build = readBuild(found.of(key)!);
            if (isSilent(build, now) && due.push(build) === limit) return due;
          }
        }
        return due;
      }),
  };

  async function headOf(orgId: string, id: string): Promise<Item | null> {
    const key = buildKey(orgId, id);
    return (await table.get(key)).of(key);
  }

  async function holderOf(orgId: string, buildNumber: string): Promise<string | null> {
    const key = buildNumberKey(orgId, buildNumber);
    const holder = (await table.get(key)).of(key);
    return holder === null ? null : textOf(holder, 'id');
  }
}

/** The build at the beginning of its partition; `null` where a history stands without one. */
function headIn(first: Item | undefined): Item | null {
  return first !== undefined && textOf(first, 'sk') === '#' ? first : null;
}

/** Whether attempts that were not read at one instant with their build are those that it has. */
function belongTo(
  { attempts, attemptStartedAt }: StoredBuild,
  history: readonly StoredBuildState[],
  { after, more }: { readonly after: number | null; readonly more: boolean },
): boolean {
  const open = attemptStartedAt === null ? null : attempts;
  const last = history.at(-1)?.sequence ?? Math.min(after ?? 0, attempts);
  const complete = more ? last <= attempts : last === attempts;
  return complete && history.every(({ status, sequence }) => (status === 'started') === (sequence === open));
}

function isSilent({ status, heartbeatAt, heartbeatTimeoutMs }: StoredBuild, now: Date): boolean {
  return status === 'running' && heartbeatAt !== null && heartbeatAt.getTime() + heartbeatTimeoutMs <= now.getTime();
}
