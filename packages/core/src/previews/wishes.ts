/** What events and reconciling want of previews: that there be one, or that there be none. */
import type { App } from '../deployments/model.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import type { Stored } from '../storage/port.ts';
import { follow } from './changing.ts';
import { create } from './creating.ts';
import type { CreateFailure } from './creating.ts';
import { environmentNameOf } from './first.ts';
import type { ParsedPreviewCommand, StoredPreview } from './model.ts';
import type { ReadyPreviews } from './ports.ts';
import { ask } from './rules.ts';

/** What is wanted of one preview. */
export type Wish =
  | { readonly asked: 'create'; readonly command: ParsedPreviewCommand }
  | { readonly asked: 'stop'; readonly preview: StoredPreview };

/** What became of an event, or of reconciling, for one preview. */
export interface HandledPreview {
  readonly appId: string;
  /** The name of its environment. */
  readonly environment: string;
  readonly asked: 'create' | 'stop';
  /** `done`, or the code of an error that would be the same if it were tried again. */
  readonly outcome: string;
}

/** A failure that passes: the delivery should come again. */
export type WishFailure = Extract<CreateFailure, { code: 'preview_step_failed' | 'stale_version' }> | StorageFailure;

/** An open pull request. */
export interface OpenPullRequest {
  readonly pullRequest: number;
  readonly branch: string;
  /** Whose branch it is: the repository itself when not given. */
  readonly headRepo?: string | undefined;
  readonly sha: string;
}

/** Does what is wanted. What one preview cannot have is part of the answer; what passes is an error. */
export function fulfil(scope: Scope, ports: ReadyPreviews, wish: Wish): ResultAsync<HandledPreview, WishFailure> {
  const { asked } = wish;
  if (asked === 'stop') {
    const { id, appId, environment } = wish.preview;
    return follow(scope, id, 'preview.asked_to_stop', (now, at) =>
      ask(now, { type: 'stop', sha: null, cause: 'closed' }, at).unwrapOr(null),
    ).map(() => ({ appId, environment, asked, outcome: 'done' }));
  }
  const { appId } = wish.command;
  const environment = environmentNameOf(wish.command);
  return create(scope, ports, wish.command, {})
    .map((): HandledPreview => ({ appId, environment, asked, outcome: 'done' }))
    .orElse((error) => {
      const passes = error.code === 'storage_failure' || error.code === 'stale_version';
      if (passes || (error.code === 'preview_step_failed' && !error.refused)) return err(error);
      return ok({ appId, environment, asked, outcome: error.code });
    });
}

/** The command for a pull request of an app. */
export function createOf(
  { id: appId }: App,
  { pullRequest, branch, headRepo, sha, environment }: OpenPullRequest & { readonly environment?: string },
): Wish {
  return { asked: 'create', command: { appId, type: 'preview', pullRequest, branch, headRepo, sha, environment } };
}

/** The preview of a pull request: the one of the name that previews of pull requests have by themselves. */
export function previewOf(scope: Scope, app: App, pullRequest: number): Stored<StoredPreview | null> {
  const environment = environmentNameOf({ type: 'preview', pullRequest });
  return scope.ports.storage.previews
    .askFacts(scope.caller.org, { appId: app.id, environment })
    .map(({ preview }) => preview);
}

/** Everything that a list of storage has. */
export function allPages<T, Position>(
  read: (after: Position | null) => Stored<{
    readonly items: readonly T[];
    readonly more: boolean;
    readonly last: Position | null;
  }>,
): ResultAsync<readonly T[], StorageFailure> {
  return safeTry(async function* () {
    const all: T[] = [];
    let after: Position | null = null;
    for (;;) {
      const page: { readonly items: readonly T[]; readonly more: boolean; readonly last: Position | null } =
        yield* read(after);
      all.push(...page.items);
      if (!page.more || page.last === null) return ok(all);
      after = page.last;
    }
  });
}

export function lastOf<T, Position>(items: readonly T[], positionOf: (item: T) => Position): Position | null {
  const last = items.at(-1);
  return last === undefined ? null : positionOf(last);
}
