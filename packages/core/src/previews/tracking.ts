import type { Scope } from '../operation.ts';
import type { StoredPreview } from './model.ts';
import type { Analytics } from './ports.ts';

type EventName = Parameters<Analytics['track']>[0]['name'];

/** Counts what has happened. Nobody waits for it, and nothing fails because of it. */
export function track({ ports, caller }: Scope, before: StoredPreview, after: StoredPreview): void {
  const analytics = ports.previews?.analytics;
  const name = eventOf(before, after);
  if (analytics === undefined || name === null) return;
  const { id, appId, type, environment, generation, pullRequest, updatedAt } = after;
  const event = {
    name,
    orgId: caller.org,
    actor: { type: caller.type, id: caller.id },
    properties: { environmentId: id, appId, type, environment, generation, pullRequest },
    messageId: `${id}-${generation}-${name}`,
    at: updatedAt,
  };
  void (async () => analytics.track(event))().catch(() => undefined);
}

function eventOf(before: StoredPreview, after: StoredPreview): EventName | null {
  const wasGone = before.status === 'stopped' || before.status === 'deleted';
  if (wasGone && after.generation > before.generation) return 'environment_created';
  if (after.status === before.status) return null;
  switch (after.status) {
    case 'running':
      return 'environment_running';
    case 'error':
      return 'environment_failed';
    case 'stopped':
      return 'environment_stopped';
    default:
      return null;
  }
}
