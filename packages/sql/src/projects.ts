/** The port of projects in SQL: first the statements that its methods send, then the methods. */
import { compareBytes, maximumProjectDepth } from '@vivarium/core/storage';
import type { Change, ProjectRepository, StoredEnvironment, StoredProject } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { forgetApps, forgetScope, insertKey } from './data-keys.ts';
import { forgetEnvironments } from './deployments-owners.ts';
import type { Dialect, Row } from './dialect.ts';
import { environmentRow } from './environments.ts';
import type { Diagnosis, NewRow, Step } from './plan.ts';
import { pageOf, read } from './read.ts';
import { keyColumns, projectColumns, toKey, toProject } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

/** One level more than there may be: whoever reads the facts sees that there are too many, and a walk always ends. */
const deepest = maximumProjectDepth + 1;

export function projectStatements(dialect: Dialect) {
  const { table } = dialect;
  const columns = projectColumns(dialect, 'p');
  const statement = (name: string, text: string) => compile(dialect, `projects.${name}`, text);
  const list = (name: string, whose: string) =>
    statement(
      name,
      `SELECT ${columns} FROM ${table('projects')} p
      WHERE p.org_id = :org::text AND p.name_key > :after::text ${whose}
      ORDER BY p.name_key LIMIT :limit::integer`,
    );

  /** The project `:start` as \`line\`, with its ancestors. */
  const line = (start: string) =>
    `line (id, parent_project_id, level) AS (
      SELECT s.id, s.parent_project_id, 1 FROM ${table('projects')} s WHERE s.org_id = :org::text AND s.id = ${start}
      UNION ALL
      SELECT a.id, a.parent_project_id, l.level + 1
      FROM line l JOIN ${table('projects')} a ON a.org_id = :org::text AND a.id = l.parent_project_id
      WHERE l.level < ${deepest}
    )`;

  return {
    get: statement(
      'get',
      `SELECT ${columns} FROM ${table('projects')} p WHERE p.org_id = :org::text AND p.id = :id::uuid`,
    ),

    getWithKey: statement(
      'getWithKey',
      `SELECT ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${table('projects')} p ON p.org_id = :org::text AND p.id = :id::uuid`,
    ),

    getByName: statement(
      'getByName',
      `SELECT ${columns} FROM ${table('projects')} p WHERE p.org_id = :org::text AND p.name_key = :name::text`,
    ),

    list: list('list', ''),
    listRoots: list('listRoots', 'AND p.parent_project_id IS NULL'),
    listChildren: list('listChildren', 'AND p.parent_project_id = :parent::uuid'),

    lineage: statement(
      'lineage',
      `WITH RECURSIVE ${line(':id::uuid')}
      SELECT ${columns}, t.version AS tree_version, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('org_trees')} t ON t.org_id = :org::text
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN line l ON 1 = 1
        LEFT JOIN ${table('projects')} p ON p.id = l.id
      ORDER BY l.level`,
    ),

    /** One row for each project of interest, told apart by `moved_level`: 0 is the project itself, 1 the new parent, 2 its parent, … */
    moveFacts: statement(
      'moveFacts',
      `WITH RECURSIVE ${line(':parent::uuid')},
      below (id, level) AS (
        SELECT s.id, 1 FROM ${table('projects')} s WHERE s.org_id = :org::text AND s.id = :id::uuid
        UNION ALL
        SELECT c.id, b.level + 1
        FROM below b JOIN ${table('projects')} c ON c.org_id = :org::text AND c.parent_project_id = b.id
        WHERE b.level < ${deepest}
      ),
      moved (id, level) AS (
        SELECT b.id, 0 FROM below b WHERE b.level = 1
        UNION ALL
        SELECT l.id, l.level FROM line l
      )
      SELECT ${columns}, m.level AS moved_level, h.height, t.version AS tree_version, t.growth AS tree_growth, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN (SELECT MAX(b.level) AS height FROM below b) h ON 1 = 1
        LEFT JOIN ${table('org_trees')} t ON t.org_id = :org::text
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN moved m ON 1 = 1
        LEFT JOIN ${table('projects')} p ON p.id = m.id
      ORDER BY m.level`,
    ),
  };
}

export function sqlProjects(session: Session, statements: ReturnType<typeof projectStatements>): ProjectRepository {
  return {
    /**
     * org tree grown at its version (only under a parent) → project → environments → journal. A parent that is deleted meanwhile fails the
     * foreign key, so that deleting needs no word with the tree.
     */
    create: ({ project, environments, dataKey, treeVersion, change }) =>
      answer(() =>
        write<'name_taken' | 'stale'>(session, change, {
          name: planName(
            'projects.create',
            change,
            ...treeVariant(treeVersion),
            `${environments.length}`,
            ...(dataKey === undefined ? [] : ['dataKey']),
          ),
          orgId: change.orgId,
          steps: [
            ...(treeVersion === null ? [] : [growTree(change, treeVersion)]),
            {
              do: 'insert',
              table: 'projects',
              rows: [projectRow(change.orgId, project, environments)],
              violations: { vivarium_project_name: 'name_taken', vivarium_project_parent: 'stale' },
            },
            { do: 'insert', table: 'environments', rows: environmentRows(change.orgId, environments) },
            ...(dataKey === undefined ? [] : [insertKey(change.orgId, dataKey)]),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            projectId: null,
            environmentId: null,
            verdict: (found) => (treeVersion !== null && found.treeVersion !== treeVersion ? 'stale' : null),
          },
        }),
      ),

    get: (orgId, id, keyId) =>
      answer(async () => {
        if (keyId === undefined) {
          const [row] = await read(session, statements.get, { org: orgId, id });
          return { found: row === undefined ? null : toProject(row), key: null };
        }
        const row = (await read(session, statements.getWithKey, { org: orgId, id, key: keyId }))[0]!;
        return { found: projectIn(row), key: toKey(row) };
      }),

    getByName: (orgId, nameKey) =>
      answer(async () => {
        const [row] = await read(session, statements.getByName, { org: orgId, name: nameKey });
        return row === undefined ? null : toProject(row);
      }),

    list: (orgId, { parentProjectId }, { limit, after }) =>
      answer(async () => {
        const page = { org: orgId, after: after ?? '', limit: limit + 1 };
        const rows =
          parentProjectId === undefined
            ? await read(session, statements.list, page)
            : parentProjectId === null
              ? await read(session, statements.listRoots, page)
              : await read(session, statements.listChildren, { ...page, parent: parentProjectId });
        return pageOf(rows, limit, toProject);
      }),

    lineage: (orgId, id, keyId) =>
      answer(async () => {
        const rows = await read(session, statements.lineage, { org: orgId, id, key: keyId ?? null });
        return {
          lineage: rows.flatMap((row) => projectIn(row) ?? []),
          treeVersion: Number(rows[0]!['tree_version'] ?? 0),
          key: toKey(rows[0]!),
        };
      }),

    moveFacts: (orgId, id, parentProjectId, keyId) =>
      answer(async () => {
        const rows = await read(session, statements.moveFacts, {
          org: orgId,
          id,
          parent: parentProjectId,
          key: keyId ?? null,
        });
        const first = rows[0]!;
        const itself = rows.find((row) => Number(row['moved_level'] ?? -1) === 0);
        return {
          project: itself === undefined ? null : toProject(itself),
          height: Number(first['height'] ?? 1),
          parentLineage: rows.filter((row) => Number(row['moved_level'] ?? 0) > 0).map(toProject),
          treeVersion: Number(first['tree_version'] ?? 0),
          treeGrowth: Number(first['tree_growth'] ?? 0),
          key: toKey(first),
        };
      }),

    /** project → journal. */
    update: ({ project, expectedVersion, change }) =>
      answer(() =>
        write<'not_found' | 'stale' | 'name_taken'>(session, change, {
          name: planName('projects.update', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'projects',
              set: {
                name: project.name,
                name_key: project.nameKey,
                description: project.description,
                version: project.version,
                updated_at: project.updatedAt,
              },
              where: { org_id: change.orgId, id: project.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
              violations: { vivarium_project_name: 'name_taken' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: atVersion(project.id, expectedVersion),
        }),
      ),

    /** org tree moved on → project → journal. Every other move, and every create under a parent, decided on the tree as it was, and is stale. */
    move: ({ project, expectedVersion, treeVersion, treeGrowth, change }) =>
      answer(() =>
        write<'not_found' | 'stale'>(session, change, {
          name: planName('projects.move', change, ...treeVariant(treeVersion)),
          orgId: change.orgId,
          steps: [
            moveTree(change, treeVersion, treeGrowth),
            {
              do: 'update',
              table: 'projects',
              set: {
                parent_project_id: project.parentProjectId,
                version: project.version,
                updated_at: project.updatedAt,
              },
              where: { org_id: change.orgId, id: project.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
              violations: { vivarium_project_parent: 'stale' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            ...atVersion(project.id, expectedVersion),
            verdict: (found) =>
              atVersion(project.id, expectedVersion).verdict(found) ??
              (found.treeVersion === treeVersion && found.treeGrowth === treeGrowth ? null : 'stale'),
          },
        }),
      ),

    /**
     * project → data keys of its apps, and its own → where it is deployed to, unless a preview there has a runtime → the project, and with it its environments and its apps
     * (cascade) → journal. The tree is neither held nor moved on: children fail the foreign key here, a child on its way in waits for this row and then fails it there, and what goes was
     * nobody's ancestor, so that no depth that anybody counted changes. With a child and a runtime below it, it is the server's to say which it meets first.
     */
    delete: ({ project, change }) =>
      answer(() =>
        write<'not_found' | 'stale' | 'has_children' | 'has_live_previews'>(session, change, {
          name: planName('projects.delete', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'hold',
              table: 'projects',
              stays: 'ours',
              where: { org_id: change.orgId, id: project.id, version: project.version },
              else: 'stale',
            },
            forgetApps(change.orgId, { project_id: project.id }),
            forgetScope(change.orgId, { type: 'project', id: project.id }),
            forgetEnvironments(change.orgId, { project_id: project.id }),
            {
              do: 'delete',
              table: 'projects',
              where: { org_id: change.orgId, id: project.id, version: project.version },
              rows: 1,
              else: 'stale',
              violations: { vivarium_project_parent: 'has_children', vivarium_preview_runtime: 'has_live_previews' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            ...atVersion(project.id, project.version),
            verdict: (found) =>
              atVersion(project.id, project.version).verdict(found) ??
              (found.project?.hasChildren ? 'has_children' : null),
          },
        }),
      ),
  };
}

function projectIn(row: Row): StoredProject | null {
  return row['id'] == null ? null : toProject(row);
}

function projectRow(
  orgId: string,
  project: StoredProject,
  environments: readonly StoredEnvironment[],
): NewRow<'projects'> {
  return {
    id: project.id,
    org_id: orgId,
    name: project.name,
    name_key: project.nameKey,
    description: project.description,
    parent_project_id: project.parentProjectId,
    default_environment_id: project.defaultEnvironmentId,
    environment_count: environments.length,
    version: project.version,
    created_at: project.createdAt,
    updated_at: project.updatedAt,
  };
}

/** In the order of their names, like everything that several writers may lock. */
function environmentRows(
  orgId: string,
  environments: readonly StoredEnvironment[],
): [NewRow<'environments'>, ...NewRow<'environments'>[]] {
  const sorted = [...environments].sort((a, b) => compareBytes(a.nameKey, b.nameKey));
  return sorted.map((environment) => environmentRow(orgId, environment)) as [NewRow<'environments'>];
}

function atVersion(projectId: string, version: number): Diagnosis<'not_found' | 'stale'> {
  return {
    projectId,
    environmentId: null,
    verdict: ({ project }) => (project === null ? 'not_found' : project.version === version ? null : 'stale'),
  };
}

/** Version 0 is a tree without a row: the first that decides on it makes the row. */
const treeVariant = (treeVersion: number | null) =>
  treeVersion === null ? [] : [treeVersion === 0 ? 'first' : 'tree'];

/** No move comes in between, and every move that was decided on before is stale. Creates only wait for one another. */
function growTree(change: Change, treeVersion: number): Step<'stale'> {
  if (treeVersion === 0) return plantTree(change);
  return {
    do: 'update',
    table: 'org_trees',
    set: { growth: { plus: 1 }, updated_at: change.at },
    where: { org_id: change.orgId, version: treeVersion },
    rows: 1,
    else: 'stale',
  };
}

function moveTree(change: Change, treeVersion: number, treeGrowth: number): Step<'stale'> {
  if (treeVersion === 0) return plantTree(change);
  return {
    do: 'update',
    table: 'org_trees',
    set: { version: { plus: 1 }, updated_at: change.at },
    where: { org_id: change.orgId, version: treeVersion, growth: treeGrowth },
    rows: 1,
    else: 'stale',
  };
}

function plantTree({ orgId, at }: Change): Step<'stale'> {
  return {
    do: 'insert',
    table: 'org_trees',
    rows: [{ org_id: orgId, version: 1, growth: 0, created_at: at, updated_at: at }],
    violations: { vivarium_org_tree: 'stale' },
  };
}
