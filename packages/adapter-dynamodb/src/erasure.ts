/**
 * Deleting a project is the one command that does not fit into one transaction: it may hold more items than the hundred that DynamoDB
 * changes at once. So a first write fences the project, which makes it gone for everybody, and its items are removed afterwards.
 */
import { integerOf, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { detachBuilds } from './build-detachment.ts';
import { sweepImport } from './build-imports.ts';
import { forgetScope } from './data-keys.ts';
import { eraseHeldByApp, eraseHeldIn, eraseHistory, eraseRepo } from './deployment-erasure.ts';
import { has } from './expressions.ts';
import {
  erasureKey,
  erasurePartition,
  isAppErasureKey,
  isHistoryErasureKey,
  isImportKey,
  isRepoErasureKey,
  projectKey,
  projectPartition,
} from './keys.ts';
import type { Table } from './table.ts';

/** How many erasures and imports that others left undone one deletion or import takes along: more than a deletion leaves that breaks down, one of its own and ten of apps or environments. */
const leftoversAtOnce = 25;
const leftoverAfterMs = 60_000;

/** Removes everything that a fenced project holds, the project's own item last. Safe to repeat, and to do by several at once. */
export async function erase(table: Table, secrets: Table, orgId: string, projectId: string): Promise<void> {
  const project = projectKey(orgId, projectId);
  // First of all what makes everything else that was sealed unreadable.
  await forgetScope(table, orgId, { type: 'project', id: projectId });
  await eraseHeldIn(table, secrets, orgId, projectPartition(orgId, projectId));
  // A write that was under way may have put variables back before its environment was gone: look until nothing is left.
  for (let left = 1; left > 0;) {
    left = 0;
    for await (const page of table.pages({
      pk: projectPartition(orgId, projectId),
      after: project.sk,
      keysOnly: true,
    })) {
      await detachBuilds(table, orgId, projectId, page);
      await table.removeAll(page.map((item) => ({ pk: textOf(item, 'pk'), sk: textOf(item, 'sk') })));
      left += page.length;
    }
  }
  await table.remove(project, has('erasing'));
  await table.removeAll([erasureKey(orgId, projectId)]);
}

/** Goes on with erasures, and removes imports, whose process died or was refused on the way. Younger ones are still being worked on by who began them. */
export async function eraseLeftovers(table: Table, secrets: Table, orgId: string, now: Date): Promise<void> {
  for (const item of await table.first({ pk: erasurePartition(orgId) }, leftoversAtOnce)) {
    if (now.getTime() - integerOf(item, 'since') <= leftoverAfterMs) continue;
    const sk = textOf(item, 'sk');
    const id = textOf(item, 'id');
    if (isImportKey(sk)) await sweepImport(table, orgId, item);
    else if (isRepoErasureKey(sk)) await eraseRepo(table, secrets, orgId, id);
    else if (isAppErasureKey(sk)) await resumeApp(table, secrets, orgId, item);
    else if (isHistoryErasureKey(sk)) await eraseHistory(table, orgId, id);
    else await erase(table, secrets, orgId, id);
  }
}

async function resumeApp(table: Table, secrets: Table, orgId: string, note: Item): Promise<void> {
  const app = { id: textOf(note, 'id'), projectId: textOf(note, 'project') };
  await forgetScope(table, orgId, { type: 'app', id: app.id });
  await eraseHeldByApp(table, secrets, orgId, app);
}
