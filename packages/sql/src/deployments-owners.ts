/** What project environments belong to: it has to stay while one is added, and takes them along when it is deleted. */
import type { Step } from './plan.ts';

/** Project and repository of something new are there, in its org, and stay. */
export function holdOwners(
  orgId: string,
  { projectId, repoId }: { readonly projectId: string; readonly repoId: string },
): readonly Step<'gone'>[] {
  const held = { do: 'hold', stays: 'undeleted', else: 'gone' } as const;
  return [
    { ...held, table: 'projects', where: { org_id: orgId, id: projectId } },
    { ...held, table: 'repos', where: { org_id: orgId, id: repoId } },
  ];
}

/**
 * Part of deleting what project environments belong to, which is held: they go with it in any case, and here they go first. A cascade that takes several of them, each with
 * what it has below it, forgets some on MySQL 9.7, of what is below and of them; one that begins with them does not.
 */
export function forgetEnvironments(
  orgId: string,
  of: { readonly project_id: string } | { readonly repo_id: string } | { readonly managed_by: string },
): Step<'has_live_previews'> {
  return {
    do: 'delete',
    table: 'project_environments',
    where: { org_id: orgId, ...of },
    rows: 'any',
    violations: { vivarium_preview_runtime: 'has_live_previews' },
  };
}
