/** What happens at a source control, whichever it is. `@vivarium/integrations/github` turns verified webhooks into these. */
import * as z from 'zod';

import { branchName, fullName, provider, pullRequest, sha } from '../deployments/model.ts';
import type { App } from '../deployments/model.ts';
import type { NamedPosition } from '../deployments/repository.ts';
import { repoKey } from '../deployments/rules.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { ok, okAsync, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import type { ReadyPreviews } from './ports.ts';
import { followsBranch, isStoppable } from './rules.ts';
import { allPages, createOf, fulfil, lastOf, previewOf } from './wishes.ts';
import type { HandledPreview, Wish, WishFailure } from './wishes.ts';

const delivery = {
  /** The delivery's own id, or a digest of its body: what comes twice counts once. */
  deliveryId: z.string().min(1).max(255),
  provider,
  repo: fullName,
};

/** An event of a source control. */
export const sourceEvent = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.enum(['pull_request_opened', 'pull_request_reopened', 'pull_request_synchronized']),
    ...delivery,
    pullRequest,
    branch: branchName,
    headRepo: fullName,
    sha,
  }),
  z.strictObject({ type: z.literal('pull_request_closed'), ...delivery, pullRequest }),
  z.strictObject({
    type: z.literal('branch_pushed'),
    ...delivery,
    branch: branchName,
    sha,
  }),
]);

/** An event of a source control. */
export type SourceEvent = z.infer<typeof sourceEvent>;

/** What became of an event. */
export interface HandledEvent {
  /** Whether this delivery has been handled before: then nothing was done. */
  readonly duplicate: boolean;
  readonly previews: readonly HandledPreview[];
}

/** How long deliveries are remembered: 30 days, longer than any provider delivers them again. */
const rememberedMs = 30 * 86_400_000;

/**
 * Handles an event for every app of the repository in this org. A delivery is remembered once all of it was handled: one that was cut off, or that failed for a reason which
 * passes, may come again, and does what is still to do.
 */
export function handleEvent(
  scope: Scope,
  ports: ReadyPreviews,
  event: SourceEvent,
): ResultAsync<HandledEvent, WishFailure> {
  const { storage, clock } = scope.ports;
  const { org } = scope.caller;
  return safeTry(async function* () {
    if (yield* storage.previews.knowsDelivery(org, event.deliveryId, clock.now())) {
      return ok({ duplicate: true, previews: [] });
    }
    const { found: repo } = yield* storage.deployments.getRepoByName(org, event.provider, repoKey(event.repo));
    const previews: HandledPreview[] = [];
    if (repo !== null) {
      for (const app of yield* appsOf(scope, repo.id)) {
        for (const wish of yield* wishesOf(scope, app, event)) previews.push(yield* fulfil(scope, ports, wish));
      }
    }
    yield* storage.previews.keepDelivery(org, event.deliveryId, new Date(clock.now().getTime() + rememberedMs));
    return ok({ duplicate: false, previews });
  });
}

function appsOf(scope: Scope, repoId: string): ResultAsync<readonly App[], StorageFailure> {
  const { deployments } = scope.ports.storage;
  return allPages((after: NamedPosition | null) =>
    deployments.listApps(scope.caller.org, { repoId }, { limit: 100, after }).map((page) => ({
      ...page,
      last: lastOf(page.items, ({ name, id }) => ({ name, id })),
    })),
  );
}

function wishesOf(scope: Scope, app: App, event: SourceEvent): ResultAsync<readonly Wish[], StorageFailure> {
  switch (event.type) {
    case 'pull_request_opened':
    case 'pull_request_reopened':
      return okAsync([createOf(app, event)]);
    case 'pull_request_synchronized':
      return previewOf(scope, app, event.pullRequest).map((preview) =>
        preview === null || followsBranch(preview, event.sha) ? [createOf(app, event)] : [],
      );
    case 'pull_request_closed':
      return previewOf(scope, app, event.pullRequest).map((preview) =>
        preview !== null && isStoppable(preview) ? [{ asked: 'stop', preview }] : [],
      );
    case 'branch_pushed':
      return trackersOf(scope, app, event);
  }
}

/** The app's environments that track this branch themselves, production among them: a pull request tells of its own branch. */
function trackersOf(
  scope: Scope,
  app: App,
  { branch, sha: head }: Extract<SourceEvent, { type: 'branch_pushed' }>,
): ResultAsync<readonly Wish[], StorageFailure> {
  const { deployments, previews } = scope.ports.storage;
  const { org } = scope.caller;
  return safeTry(async function* () {
    const tracking = yield* allPages((after: NamedPosition | null) =>
      deployments.listByBranch(org, { repoId: app.repoId, branch }, { limit: 100, after }).map((page) => ({
        ...page,
        last: lastOf(page.items, ({ environment: name, id }) => ({ name, id })),
      })),
    );
    const wishes: Wish[] = [];
    for (const { id, managedBy, pullRequest: number } of tracking) {
      if (managedBy !== app.id || number !== null) continue;
      const { found } = yield* previews.facts(org, id);
      if (found === null || found.preview.fork || !followsBranch(found.preview, head)) continue;
      const { type, environment } = found.preview;
      wishes.push({ asked: 'create', command: { appId: app.id, type, environment, branch, sha: head } });
    }
    return ok(wishes);
  });
}
