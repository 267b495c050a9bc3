import { maximumProjectDepth, StorageFailure } from '@vivarium/core/storage';
import type { KeyId, KeyRecord, ProjectRepository, StoredPage, StoredProject } from '@vivarium/core/storage';

import { integer, integerOf, optionalTextOf, text, textOf, time } from './attributes.ts';
import type { Item } from './attributes.ts';
import { environmentItems } from './environment-items.ts';
import { dataKeyItems } from './data-keys.ts';
import { erase, eraseLeftovers } from './erasure.ts';
import { all, equal, exists, missing, without } from './expressions.ts';
import type { Condition } from './expressions.ts';
import {
  erasureKey,
  projectDirectory,
  projectKey,
  projectNameKey,
  siblingDirectory,
  siblingKey,
  treeKey,
} from './keys.ts';
import { withoutRuntimes } from './live-runtimes.ts';
import { isThere, projectIsThere, projectItem, projectNameItem, readProject, siblingItem } from './project-items.ts';
import { settled } from './settle.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';
import type { Step } from './write.ts';

export function dynamodbProjects(table: Table, secrets: Table): ProjectRepository {
  return {
    create: ({ project, environments, dataKey, treeVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const parent = project.parentProjectId === null ? null : projectKey(orgId, project.parentProjectId);
        return write<'name_taken' | 'stale'>(table, change, {
          owners: parent === null ? [] : [treeKey(orgId), parent],
          steps: [
            ...(treeVersion === null ? [] : [growTree(orgId, treeVersion)]),
            ...(parent === null ? [] : [countChild(parent, 1)]),
            { put: projectItem(orgId, project, environments.length), when: missing, else: () => idTaken(project.id) },
            { put: projectNameItem(orgId, project), when: missing, else: () => 'name_taken' },
            { put: siblingItem(orgId, project) },
            ...environments.flatMap((environment) =>
              Object.values(environmentItems(orgId, environment)).map((item) => ({ put: item })),
            ),
            ...(dataKey === undefined ? [] : dataKeyItems(orgId, dataKey).map((item) => ({ put: item }))),
          ],
        });
      }),

    get: (orgId, id, keyId) =>
      table.answer('read', async () => {
        const project = projectKey(orgId, id);
        const found = await table.get(project, ...keyOf(orgId, keyId));
        return { found: readProject(found.of(project)), key: keptUnder(found, orgId, keyId) };
      }),

    getByName: (orgId, nameKey) =>
      table.answer('read', () =>
        settled('the project', async () => {
          const claim = projectNameKey(orgId, nameKey);
          const holder = (await table.get(claim)).of(claim);
          if (holder === null) return { value: null };
          const [project] = await projectsOf(orgId, [textOf(holder, 'id')]);
          // Renamed or deleted in between: somebody else may have the name by now.
          return project?.nameKey === nameKey ? { value: project } : null;
        }),
      ),

    list: (orgId, { parentProjectId }, { limit, after }) =>
      table.answer('read', () =>
        settled<StoredPage<StoredProject>>('the list of projects', async () => {
          const pk = parentProjectId === undefined ? projectDirectory(orgId) : siblingDirectory(orgId, parentProjectId);
          const projects: StoredProject[] = [];
          for (let last = after; ;) {
            const room = limit - projects.length;
            const names = await firstOf(pk, last, room + 1);
            const page = await projectsOf(
              orgId,
              names.slice(0, room).map((name) => textOf(name, 'id')),
            );
            for (const [index, project] of page.entries()) {
              last = textOf(names[index]!, 'sk');
              if (project === null) continue;
              const moved = parentProjectId !== undefined && project.parentProjectId !== parentProjectId;
              if (moved || project.nameKey !== last) return null;
              projects.push(project);
            }
            const more = names.length > room;
            if (!more || projects.length === limit) return { value: { items: projects, more } };
          }
        }),
      ),

    lineage: (orgId, id, keyId) =>
      table.answer('read', () => {
        const lineageOfProject = lineageReader(orgId, id);
        return inOneTree(orgId, keyId, async () => {
          const lineage = await lineageOfProject();
          return lineage === null ? null : { facts: { lineage }, mixed: lineage.length > 1 };
        });
      }),

    moveFacts: (orgId, id, parentProjectId, keyId) =>
      table.answer('read', () => {
        const key = projectKey(orgId, id);
        const lineageOfParent = parentProjectId === null ? async () => [] : lineageReader(orgId, parentProjectId);
        return inOneTree(orgId, keyId, async () => {
          const [found, parentLineage] = await Promise.all([table.get(key), lineageOfParent()]);
          if (parentLineage === null) return null;
          const item = found.of(key);
          const height = isThere(item) && integerOf(item, 'children') > 0 ? await heightOf(orgId, id) : 1;
          return {
            facts: { project: readProject(item), height, parentLineage },
            mixed: parentLineage.length > 1 || height > 1,
          };
        });
      }),

    update: ({ project, previousNameKey, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const { id, name, nameKey, description, version, updatedAt } = project;
        const key = projectKey(orgId, id);
        return write<'not_found' | 'stale' | 'name_taken'>(table, change, {
          owners: [key],
          steps: [
            {
              update: key,
              changes: {
                set: {
                  name: text(name),
                  nameKey: text(nameKey),
                  description: description === null ? null : text(description),
                  version: integer(version),
                  updatedAt: time(updatedAt),
                },
              },
              when: all(projectIsThere, equal('version', integer(expectedVersion))),
              else: changed,
            },
            ...(nameKey === previousNameKey ? [] : renameSteps(orgId, project, previousNameKey)),
          ],
        });
      }),

    move: ({ project, previousParentId, expectedVersion, treeVersion, treeGrowth, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const { id, nameKey, parentProjectId, version, updatedAt } = project;
        const key = projectKey(orgId, id);
        const stays = previousParentId === parentProjectId;
        const from = stays || previousParentId === null ? [] : [projectKey(orgId, previousParentId)];
        const to = stays || parentProjectId === null ? [] : [projectKey(orgId, parentProjectId)];
        const parent = parentProjectId === null ? null : text(parentProjectId);
        return write<'not_found' | 'stale'>(table, change, {
          owners: [treeKey(orgId), key, ...from, ...to],
          steps: [
            {
              update: key,
              changes: { set: { parent, version: integer(version), updatedAt: time(updatedAt) } },
              when: all(projectIsThere, equal('version', integer(expectedVersion))),
              else: changed,
            },
            {
              update: treeKey(orgId),
              changes: { set: { version: integer(treeVersion + 1) } },
              when: all(isTreeAt(treeVersion), hasGrownTo(treeGrowth)),
              else: () => 'stale',
            },
            ...from.map((key) => countChild(key, -1)),
            ...to.map((key) => countChild(key, 1)),
            ...(stays
              ? []
              : [
                  { update: projectNameKey(orgId, nameKey), changes: { set: { parent } }, ...claimedBy(id) },
                  { remove: siblingKey(orgId, previousParentId, nameKey) },
                  { put: siblingItem(orgId, project) },
                ]),
          ],
        });
      }),

    delete: ({ project, change }) =>
      table.answer('write', async () => {
        const { orgId, at } = change;
        const { id, nameKey, parentProjectId, version } = project;
        const key = projectKey(orgId, id);
        const parent = parentProjectId === null ? null : projectKey(orgId, parentProjectId);
        const left = erasureKey(orgId, id);
        const written = await write<'not_found' | 'stale' | 'has_children' | 'has_live_previews'>(table, change, {
          owners: [key, ...(parent === null ? [] : [parent])],
          steps: [
            {
              update: key,
              changes: { set: { erasing: time(at) } },
              when: all(
                projectIsThere,
                equal('version', integer(version)),
                equal('children', integer(0)),
                withoutRuntimes,
              ),
              else(there) {
                if (!isThere(there) || integerOf(there, 'version') !== version) return changed(there);
                return integerOf(there, 'children') > 0 ? 'has_children' : 'has_live_previews';
              },
            },
            { remove: projectNameKey(orgId, nameKey), ...claimedBy(id) },
            { remove: siblingKey(orgId, parentProjectId, nameKey) },
            ...(parent === null ? [] : [countChild(parent, -1)]),
            { put: { pk: text(left.pk), sk: text(left.sk), id: text(id), since: time(at) } },
          ],
        });
        // The project is gone for everybody now. Removing what it held may take many requests, and whoever deletes next goes on with it.
        if (written.done)
          await erase(table, secrets, orgId, id)
            .then(() => eraseLeftovers(table, secrets, orgId, at))
            .catch(() => undefined);
        return written;
      }),
  };

  /** The first names of a directory behind this one. */
  async function firstOf(pk: string, after: string | null, count: number): Promise<Item[]> {
    const names: Item[] = [];
    const range = { pk, pageSize: count, ...(after === null ? {} : { after }) };
    for await (const page of table.pages(range)) {
      names.push(...page);
      if (names.length >= count) break;
    }
    return names.slice(0, count);
  }

  /** Projects in the order of their ids; `null` for those that are gone. */
  async function projectsOf(orgId: string, ids: readonly string[]): Promise<(StoredProject | null)[]> {
    const keys = ids.map((id) => projectKey(orgId, id));
    const found = await table.get(...keys);
    return keys.map((key) => readProject(found.of(key)));
  }

  /**
   * Reads a project and its ancestors, one request each, because each names the next; `null` when an ancestor disappeared meanwhile. When it is
   * used again, what it found the time before is read in a single request, and only what has changed is walked. In a tree where something
   * is always being moved, the walk along a deep lineage would otherwise never be finished before the next move.
   */
  function lineageReader(orgId: string, id: string): () => Promise<StoredProject[] | null> {
    let trail: readonly string[] = [];
    return async () => {
      const known = new Map((await projectsOf(orgId, trail)).map((project) => [project?.id, project]));
      const lineage: StoredProject[] = [];
      for (let next: string | null = id; next !== null;) {
        const project: StoredProject | null | undefined = known.get(next) ?? (await projectsOf(orgId, [next]))[0];
        if (project === undefined || project === null) return lineage.length === 0 ? [] : null;
        if (lineage.push(project) > 2 * maximumProjectDepth) return null;
        trail = lineage.map((one) => one.id);
        next = project.parentProjectId;
      }
      return lineage;
    };
  }

  /**
   * Reads what depends on the shape of the org's tree. The tree's version is read before everything else, and again behind facts that are
   * `mixed` from several items, because a move in between would show a tree that never was.
   */
  function inOneTree<T>(
    orgId: string,
    keyId: KeyId | undefined,
    read: () => Promise<{ readonly facts: T; readonly mixed: boolean } | null>,
  ): Promise<T & { readonly treeVersion: number; readonly treeGrowth: number; readonly key: KeyRecord | null }> {
    const tree = treeKey(orgId);
    return settled("the org's tree of projects", async () => {
      const found = await table.get(tree, ...keyOf(orgId, keyId));
      const treeVersion = versionOf(found.of(tree));
      const answer = await read();
      if (answer === null) return null;
      if (answer.mixed && versionOf((await table.get(tree)).of(tree)) !== treeVersion) return null;
      const treeGrowth = growthOf(found.of(tree));
      return { value: { ...answer.facts, treeVersion, treeGrowth, key: keptUnder(found, orgId, keyId) } };
    });
  }

  /** Levels of the subtree of a project that has children. The directory shows the whole tree, 1 MB of it a request. */
  async function heightOf(orgId: string, id: string): Promise<number> {
    const children = new Map<string, string[]>();
    for await (const page of table.pages({ pk: projectDirectory(orgId) })) {
      for (const name of page) {
        const parent = optionalTextOf(name, 'parent');
        if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), textOf(name, 'id')]);
      }
    }
    let height = 0;
    for (let level = [id]; level.length > 0 && height <= maximumProjectDepth; height++) {
      level = level.flatMap((parent) => children.get(parent) ?? []);
    }
    return height;
  }
}

/** A tree in which nothing has moved yet has no version, and one in which nothing was made under a parent no growth. */
const versionOf = (tree: Item | null): number => (tree?.['version'] === undefined ? 0 : integerOf(tree, 'version'));
const growthOf = (tree: Item | null): number => (tree?.['growth'] === undefined ? 0 : integerOf(tree, 'growth'));

const isTreeAt = (version: number): Condition => at('version', version);
const hasGrownTo = (growth: number): Condition => at('growth', growth);

function at(counter: 'version' | 'growth', count: number): Condition {
  return count === 0 ? without(counter) : equal(counter, integer(count));
}

/** No move comes in between, and every move that was decided on before is stale. Projects made side by side do not make each other stale. */
function growTree(orgId: string, version: number): Step<'stale'> {
  return { update: treeKey(orgId), changes: { add: { growth: 1 } }, when: isTreeAt(version), else: () => 'stale' };
}

/** A parent counts its children, so that one that has any is not deleted and none is hung below one that is being erased. */
function countChild(parent: ReturnType<typeof projectKey>, by: 1 | -1): Step<'stale'> {
  return { update: parent, changes: { add: { children: by } }, when: projectIsThere, else: () => 'stale' };
}

/** Moves the claim on the name, and the project's place among its siblings, to the new name. */
function renameSteps(
  orgId: string,
  project: StoredProject,
  previousNameKey: string,
): readonly Step<'stale' | 'name_taken'>[] {
  return [
    { remove: projectNameKey(orgId, previousNameKey), ...claimedBy(project.id) },
    { put: projectNameItem(orgId, project), when: missing, else: () => 'name_taken' },
    { remove: siblingKey(orgId, project.parentProjectId, previousNameKey) },
    { put: siblingItem(orgId, project) },
  ];
}

/** The name is this project's own; its version, guarded in the same write, says that it still has it. */
function claimedBy(id: string) {
  return { when: all(exists, equal('id', text(id))), else: () => 'stale' as const };
}

function changed(there: Item | null): 'not_found' | 'stale' {
  return isThere(there) ? 'stale' : 'not_found';
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is a project ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
