import { NotFound } from '../kernel/errors.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import type { ReadyPreviews } from './ports.ts';
import type { PreviewPosition } from './repository.ts';
import { isStoppable, missesEvent } from './rules.ts';
import { allPages, createOf, fulfil, lastOf } from './wishes.ts';
import type { HandledPreview, OpenPullRequest, Wish, WishFailure } from './wishes.ts';

/** Holds the previews of an app against the pull requests that are open. */
export function reconcile(
  scope: Scope,
  ports: ReadyPreviews,
  { appId, openPullRequests }: { readonly appId: string; readonly openPullRequests: readonly OpenPullRequest[] },
): ResultAsync<readonly HandledPreview[], WishFailure | NotFound> {
  const { storage } = scope.ports;
  const { org } = scope.caller;
  return safeTry(async function* () {
    const { found: app } = yield* storage.deployments.getApp(org, appId);
    if (app === null) return err(new NotFound('app', appId));
    const previews = yield* allPages((after: PreviewPosition | null) =>
      storage.previews.list(org, { appId }, { limit: 100, after }).map((page) => ({
        items: page?.items ?? [],
        more: page?.more ?? false,
        last: lastOf(page?.items ?? [], ({ createdAt, id }) => ({ createdAt, id })),
      })),
    );

    const open = new Map(openPullRequests.map((one) => [one.pullRequest, one]));
    const known = new Set<number>();
    const wishes: Wish[] = [];
    for (const preview of previews) {
      const { pullRequest, type, environment } = preview;
      if (pullRequest === null || type !== 'preview') continue;
      known.add(pullRequest);
      const one = open.get(pullRequest);
      if (one === undefined) {
        if (isStoppable(preview)) wishes.push({ asked: 'stop', preview });
      } else if (missesEvent(preview, one.sha)) {
        wishes.push(createOf(app, { ...one, environment }));
      }
    }
    for (const one of open.values()) if (!known.has(one.pullRequest)) wishes.push(createOf(app, one));

    const handled: HandledPreview[] = [];
    for (const wish of wishes) handled.push(yield* fulfil(scope, ports, wish));
    return ok(handled);
  });
}
