/** Removes what is left of an instance that was removed: its changes, of which there may be any number. */
import { integerOf, textOf } from './attributes.ts';
import { secretsOf } from './ephemeral-replacement.ts';
import { instanceErasureKey, instanceErasurePartition, instancePartition, stateChangeKey } from './keys.ts';
import type { Table } from './table.ts';

/** How many instances that others left undone one removal takes along. */
const leftoversAtOnce = 10;
const leftoverAfterMs = 60_000;

/** Safe to repeat, and to do by several at once: a pointer to a change goes after the change itself. */
export async function eraseInstance(table: Table, secrets: Table, orgId: string, id: string): Promise<void> {
  for await (const page of table.pages({ pk: instancePartition(orgId, id) })) {
    await table.removeAll(page.map((pointer) => stateChangeKey(orgId, textOf(pointer, 'id'))));
    await table.removeAll(page.map((pointer) => ({ pk: textOf(pointer, 'pk'), sk: textOf(pointer, 'sk') })));
  }
  await secrets.removeAll(await secretsOf(secrets, orgId, id));
  await table.removeAll([instanceErasureKey(orgId, id)]);
}

/** Goes on with erasures whose process died or was refused on the way. Younger ones are still being worked on by who began them. */
export async function eraseLeftoverInstances(table: Table, secrets: Table, orgId: string, now: Date): Promise<void> {
  for (const item of await table.first({ pk: instanceErasurePartition(orgId) }, leftoversAtOnce)) {
    const left = now.getTime() - integerOf(item, 'since') > leftoverAfterMs;
    if (left) await eraseInstance(table, secrets, orgId, textOf(item, 'id'));
  }
}
