import { LimitReached } from '../kernel/errors.ts';
import { maximumProjectDepth } from '../kernel/limits.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { nameKey } from '../kernel/text.ts';
import { ProjectCycle } from './errors.ts';
import type { Project, StoredProject } from './model.ts';
import type { MoveFacts } from './repository.ts';

/** A project at its first version. */
export function newProject(
  input: {
    readonly name: string;
    readonly description?: string | null | undefined;
    readonly parentProjectId?: string | null | undefined;
  },
  made: { readonly id: string; readonly defaultEnvironmentId: string; readonly at: Date },
): StoredProject {
  return {
    id: made.id,
    name: input.name,
    nameKey: nameKey(input.name),
    description: input.description ?? null,
    parentProjectId: input.parentProjectId ?? null,
    defaultEnvironmentId: made.defaultEnvironmentId,
    version: 1,
    createdAt: made.at,
    updatedAt: made.at,
  };
}

/** A child is one level below its parent, whose lineage this is; the tree has at most 16 levels. */
export function canHoldChild(parentLineage: readonly StoredProject[]): Result<void, LimitReached> {
  return fits(parentLineage.length + 1);
}

export function rename(
  project: StoredProject,
  input: { readonly name?: string | undefined; readonly description?: string | null | undefined },
  at: Date,
): StoredProject {
  const name = input.name ?? project.name;
  const description = input.description === undefined ? project.description : input.description;
  return { ...project, name, nameKey: nameKey(name), description, version: project.version + 1, updatedAt: at };
}

/** A project goes below any project but itself and its own descendants, as long as its deepest descendant stays within 16 levels. */
export function move(
  project: StoredProject,
  facts: MoveFacts,
  at: Date,
): Result<StoredProject, ProjectCycle | LimitReached> {
  const cycle = facts.parentLineage.findIndex((ancestor) => ancestor.id === project.id);
  if (cycle >= 0) return err(new ProjectCycle(facts.parentLineage.slice(0, cycle + 1).map((ancestor) => ancestor.id)));

  const parentProjectId = facts.parentLineage[0]?.id ?? null;
  return fits(facts.parentLineage.length + facts.height).map(() => ({
    ...project,
    parentProjectId,
    version: project.version + 1,
    updatedAt: at,
  }));
}

function fits(levels: number): Result<void, LimitReached> {
  return levels > maximumProjectDepth ? err(new LimitReached('projectDepth', maximumProjectDepth)) : ok(undefined);
}

/** What callers see of a stored project. */
export function toProject({ nameKey: _nameKey, ...project }: StoredProject): Project {
  return project;
}
