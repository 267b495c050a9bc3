import { queueMessage } from '@vivarium/core';
import type { QueueMessage } from '@vivarium/core';

/** Names each field, so that nothing travels that was added to a message for other purposes. */
export function bodyOf({ version, orgId, projectEnvironmentId, sequence }: QueueMessage): string {
  return JSON.stringify({ version, orgId, projectEnvironmentId, sequence });
}

/** `null` for what is no message of a version that is known here. */
export function messageOf(body: string | undefined): QueueMessage | null {
  try {
    return queueMessage.safeParse(JSON.parse(body ?? '')).data ?? null;
  } catch {
    return null;
  }
}
