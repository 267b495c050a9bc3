/** A preview as it is before anything has been asked for: what the first command is applied to. */
import type { App, StoredRepo } from '../deployments/model.ts';
import type { ParsedPreviewCommand, StoredPreview } from './model.ts';

/** The name of the environment that a command is about. */
export function environmentNameOf({
  environment,
  type,
  pullRequest,
}: Pick<ParsedPreviewCommand, 'environment' | 'type' | 'pullRequest'>): string {
  return environment ?? (type === 'production' ? 'production' : `pr-${pullRequest}`);
}

export function notYet(
  { id: appId, projectId, repoId }: App,
  repo: StoredRepo,
  command: ParsedPreviewCommand,
  { id, at }: { readonly id: string; readonly at: Date },
): StoredPreview {
  return {
    id,
    appId,
    projectId,
    repoId,
    environment: environmentNameOf(command),
    type: command.type,
    status: 'stopped',
    ...trackedBy(command, repo),
    approvedSha: null,
    waitingSha: null,
    pullRequest: command.pullRequest ?? null,
    sha: command.sha,
    headSha: command.sha,
    url: null,
    tests: null,
    commentId: null,
    runtimeId: null,
    hasRuntime: false,
    generation: 0,
    run: null,
    reportSequence: 0,
    reportKey: null,
    pendingCommand: null,
    tries: 0,
    reason: null,
    stopCause: null,
    note: null,
    deadline: null,
    requestedAt: at,
    version: 0,
    createdAt: at,
    updatedAt: at,
  };
}

/** Which branch a command is about, and whether it is a stranger's: head repository and name are a branch's identity. */
export function trackedBy(
  command: ParsedPreviewCommand,
  repo: StoredRepo,
): Pick<StoredPreview, 'branch' | 'headRepo' | 'fork'> {
  const { branch, headRepo = repo.fullName } = command;
  return { branch, headRepo, fork: headRepo.toLowerCase() !== repo.fullName.toLowerCase() };
}
