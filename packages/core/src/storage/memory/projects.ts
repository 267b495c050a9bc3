import { compareBytes } from '../../kernel/text.ts';
import type { StoredProject } from '../../projects/model.ts';
import type { ProjectRepository } from '../../projects/repository.ts';
import { environmentRow, row } from './tables.ts';
import { forgetProject } from './builds.ts';
import { forgetDeployments } from './deployments.ts';
import { forgetScope } from './data-keys.ts';
import { hasLivePreviews } from './previews.ts';
import type { OrgTables, Session } from './tables.ts';
import { answer, keptUnder, write } from './writing.ts';

export function memoryProjects(session: Session): ProjectRepository {
  return {
    create: ({ project, environments, dataKey, treeVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          if (treeVersion !== null && org.treeVersion !== treeVersion) return 'stale';
          if (project.parentProjectId !== null && !org.projects.has(project.parentProjectId)) return 'stale';
          return named(org, project.nameKey) === null ? null : 'name_taken';
        },
        (org) => {
          if (project.parentProjectId !== null) org.treeGrowth++;
          org.projects.set(project.id, row(project));
          for (const environment of environments) org.environments.set(environment.id, environmentRow(environment));
          if (dataKey !== undefined) org.dataKeys.set(dataKey.id, row(dataKey));
        },
      ),

    get: (orgId, id, keyId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        return { found: org.projects.get(id) ?? null, key: keptUnder(org, keyId) };
      }),

    getByName: (orgId, nameKey) => answer(session, () => named(session.tables.of(orgId), nameKey)),

    list: (orgId, { parentProjectId }, { limit, after }) =>
      answer(session, () => {
        const behind = [...session.tables.of(orgId).projects.values()]
          .filter((project) => parentProjectId === undefined || project.parentProjectId === parentProjectId)
          .filter((project) => after === null || compareBytes(project.nameKey, after) > 0)
          .sort((a, b) => compareBytes(a.nameKey, b.nameKey));
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    lineage: (orgId, id, keyId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        return { lineage: lineageOf(org, id), treeVersion: org.treeVersion, key: keptUnder(org, keyId) };
      }),

    moveFacts: (orgId, id, parentProjectId, keyId) =>
      answer(session, () => {
        const org = session.tables.of(orgId);
        return {
          project: org.projects.get(id) ?? null,
          height: heightOf(org, id),
          parentLineage: lineageOf(org, parentProjectId),
          treeVersion: org.treeVersion,
          treeGrowth: org.treeGrowth,
          key: keptUnder(org, keyId),
        };
      }),

    update: ({ project, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.projects.get(project.id);
          if (there === undefined) return 'not_found';
          if (there.version !== expectedVersion) return 'stale';
          const holder = named(org, project.nameKey);
          return holder === null || holder.id === project.id ? null : 'name_taken';
        },
        (org) => {
          const there = org.projects.get(project.id)!;
          const { name, nameKey, description, version, updatedAt } = project;
          org.projects.set(project.id, row({ ...there, name, nameKey, description, version, updatedAt }));
        },
      ),

    move: ({ project, expectedVersion, treeVersion, treeGrowth, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.projects.get(project.id);
          if (there === undefined) return 'not_found';
          if (there.version !== expectedVersion) return 'stale';
          if (org.treeVersion !== treeVersion || org.treeGrowth !== treeGrowth) return 'stale';
          return project.parentProjectId === null || org.projects.has(project.parentProjectId) ? null : 'stale';
        },
        (org) => {
          const there = org.projects.get(project.id)!;
          const { parentProjectId, version, updatedAt } = project;
          org.projects.set(project.id, row({ ...there, parentProjectId, version, updatedAt }));
          org.treeVersion++;
        },
      ),

    delete: ({ project, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.projects.get(project.id);
          if (there === undefined) return 'not_found';
          if (there.version !== project.version) return 'stale';
          if (childrenOf(org, project.id).length > 0) return 'has_children';
          return hasLivePreviews(org, ({ projectId }) => projectId === project.id) ? 'has_live_previews' : null;
        },
        (org) => {
          org.projects.delete(project.id);
          forgetScope(org, { type: 'project', id: project.id });
          forgetProject(org, project.id);
          forgetDeployments(org, ({ projectId }) => projectId === project.id);
          for (const [id, { projectId }] of org.environments) if (projectId === project.id) org.environments.delete(id);
        },
      ),
  };
}

function named(org: OrgTables, nameKey: string): StoredProject | null {
  for (const project of org.projects.values()) if (project.nameKey === nameKey) return project;
  return null;
}

function lineageOf(org: OrgTables, id: string | null): readonly StoredProject[] {
  const project = id === null ? undefined : org.projects.get(id);
  return project === undefined ? [] : [project, ...lineageOf(org, project.parentProjectId)];
}

function childrenOf(org: OrgTables, id: string): readonly StoredProject[] {
  return [...org.projects.values()].filter(({ parentProjectId }) => parentProjectId === id);
}

function heightOf(org: OrgTables, id: string): number {
  return 1 + Math.max(0, ...childrenOf(org, id).map((child) => heightOf(org, child.id)));
}
