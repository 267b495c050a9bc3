import type { SourceEvent } from '@vivarium/core';

/** What a delivery means: an event; nothing that previews care for; or something that GitHub would not send. */
export type Understood =
  | { readonly event: SourceEvent; readonly installationId: number }
  | 'ignored'
  | { readonly fault: string };

const pullRequestTypes = {
  opened: 'pull_request_opened',
  reopened: 'pull_request_reopened',
  synchronize: 'pull_request_synchronized',
  closed: 'pull_request_closed',
} as const;

/** Reads a payload by the name of its event (`x-github-event`). */
export function understand(
  name: string,
  payload: unknown,
  common: { readonly deliveryId: string; readonly provider: string },
): Understood {
  if (name !== 'pull_request' && name !== 'push') return 'ignored';
  const { repository, installation } = payload as PullRequestPayload & PushPayload;
  const repo = repository?.full_name;
  if (typeof repo !== 'string') return { fault: 'repository.full_name: must be a text' };
  const event =
    name === 'push'
      ? pushed(payload as PushPayload, { ...common, repo })
      : ofPullRequest(payload as PullRequestPayload, { ...common, repo });
  if (event === null) return 'ignored';
  if ('fault' in event) return event;
  const installationId = installation?.id;
  if (!Number.isSafeInteger(installationId)) {
    return { fault: 'installation.id: must be there; only the webhook of a GitHub App says it' };
  }
  return { event, installationId: installationId as number };
}

interface PullRequestPayload {
  readonly action?: string;
  readonly repository?: { readonly full_name?: unknown };
  readonly installation?: { readonly id?: unknown };
  readonly pull_request?: {
    readonly number?: unknown;
    readonly head?: { readonly ref?: unknown; readonly sha?: unknown; readonly repo?: { full_name?: unknown } | null };
  };
}

interface PushPayload {
  readonly ref?: unknown;
  readonly after?: unknown;
  readonly deleted?: unknown;
  readonly repository?: { readonly full_name?: unknown };
  readonly installation?: { readonly id?: unknown };
}

type Common = Pick<SourceEvent, 'deliveryId' | 'provider' | 'repo'>;

function ofPullRequest(
  { action = '', pull_request: pull }: PullRequestPayload,
  common: Common,
): SourceEvent | { fault: string } | null {
  if (!Object.hasOwn(pullRequestTypes, action)) return null;
  const type = pullRequestTypes[action as keyof typeof pullRequestTypes];
  const { number: pullRequest, head } = pull ?? {};
  if (typeof pullRequest !== 'number') return { fault: 'pull_request.number: must be a number' };
  if (type === 'pull_request_closed') return { type, ...common, pullRequest };

  // The fork was deleted: there is nothing left to run, and it must never be taken for the repository itself.
  if (head?.repo === null) return null;
  const [branch, sha, headRepo] = [head?.ref, head?.sha, head?.repo?.full_name];
  if (typeof branch !== 'string' || typeof sha !== 'string' || typeof headRepo !== 'string') {
    return { fault: 'pull_request.head: must have ref, sha and repo.full_name' };
  }
  return { type, ...common, pullRequest, branch, headRepo, sha };
}

function pushed({ ref, after: sha, deleted }: PushPayload, common: Common): SourceEvent | { fault: string } | null {
  if (typeof ref !== 'string' || typeof sha !== 'string') return { fault: 'ref, after: must be texts' };
  const isGone = deleted === true || /^0+$/.test(sha);
  if (!ref.startsWith('refs/heads/') || isGone) return null;
  const branch = ref.slice('refs/heads/'.length);
  return { type: 'branch_pushed', ...common, branch, sha };
}
