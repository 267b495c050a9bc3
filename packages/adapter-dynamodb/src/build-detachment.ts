/** Builds outlive their project. */
import { text, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { equal } from './expressions.ts';
import { buildKey, isProjectBuildKey, listedBuildKey, positionIn } from './keys.ts';
import { sideBySide } from './side-by-side.ts';
import type { Table } from './table.ts';

const atOnce = 25;

/** Takes the builds among these items of a project's partition out of the project. That is no change of theirs: their versions stay. Safe to repeat. */
export async function detachBuilds(
  table: Table,
  orgId: string,
  projectId: string,
  items: readonly Item[],
): Promise<void> {
  const builds = items
    .map((item) => textOf(item, 'sk'))
    .filter(isProjectBuildKey)
    .map(positionIn);
  const detach = { set: { project: null } };
  const attached = equal('project', text(projectId));
  for (let i = 0; i < builds.length; i += atOnce) {
    const batch = builds
      .slice(i, i + atOnce)
      .flatMap((build) => [listedBuildKey(orgId, build), buildKey(orgId, build.id)]);
    await sideBySide(batch.map((key) => table.update(key, detach, attached)));
  }
}
