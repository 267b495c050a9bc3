/**
 * Deleting a project is the one command that does not fit into one transaction: it may hold more items than the hundred that DynamoDB
 * changes at once. So a first write fences the project, which makes it gone for everybody, and its items are removed afterwards.
 */
import { integerOf, textOf } from './attributes.ts';
import { forgetScope } from './data-keys.ts';
import { has } from './expressions.ts';
import { erasureKey, erasurePartition, projectKey, projectPartition } from './keys.ts';
import type { Table } from './table.ts';

/** How many erasures that others left undone one deletion takes along. */
const leftoversAtOnce = 10;
const leftoverAfterMs = 60_000;

/** Removes everything that a fenced project holds, the project's own item last. Safe to repeat, and to do by several at once. */
export async function erase(table: Table, orgId: string, projectId: string): Promise<void> {
  const project = projectKey(orgId, projectId);
  // First of all what makes everything else that was sealed unreadable.
  await forgetScope(table, orgId, { type: 'project', id: projectId });
  // A write that was under way may have put variables back before its environment was gone: look until nothing is left.
  for (let left = 1; left > 0;) {
    left = 0;
    for await (const page of table.pages({
      pk: projectPartition(orgId, projectId),
      after: project.sk,
      keysOnly: true,
    })) {
      await table.removeAll(page.map((item) => ({ pk: textOf(item, 'pk'), sk: textOf(item, 'sk') })));
      left += page.length;
    }
  }
  await table.remove(project, has('erasing'));
  await table.removeAll([erasureKey(orgId, projectId)]);
}

/** Goes on with erasures whose process died or was refused on the way. Younger ones are still being worked on by who began them. */
export async function eraseLeftovers(table: Table, orgId: string, now: Date): Promise<void> {
  for await (const page of table.pages({ pk: erasurePartition(orgId), pageSize: leftoversAtOnce })) {
    for (const item of page) {
      if (now.getTime() - integerOf(item, 'since') > leftoverAfterMs) await erase(table, orgId, textOf(item, 'id'));
    }
    return;
  }
}
