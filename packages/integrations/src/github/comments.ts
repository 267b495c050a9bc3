import type { GitHubApp } from './app.ts';
import { expectAnswer, GitHubFailure } from './failure.ts';
import type { Repository } from './repository.ts';

/** A comment, and where it belongs. */
export interface CommentToKeep {
  readonly repository: Repository;
  readonly pullRequest: number;
  readonly commentId: string | null;
  readonly marker: string;
  readonly body: string;
  readonly signal?: AbortSignal | undefined;
}

/** More comments than this are not looked through: 100 pages of 100. */
const mostPages = 100;

/**
 * Sees to it that there is one comment with the marker, with this body. It is found by its id, or else by its marker among the app's own comments. Two workers that
 * look at the same time find nothing and both write: so each looks again afterwards, and of several the oldest stays.
 */
export async function keepOneComment(app: GitHubApp, comment: CommentToKeep): Promise<string> {
  const { commentId } = comment;
  if (commentId !== null && /^[1-9]\d{0,17}$/.test(commentId) && (await update(app, comment, commentId))) {
    return commentId;
  }
  const found = await findAll(app, comment);
  const created = found.length === 0 ? await create(app, comment) : null;
  const all = created === null ? found : await findAll(app, comment);
  const [oldest = created!, ...others] = all;
  if (oldest !== created && !(await update(app, comment, oldest))) {
    throw new GitHubFailure('the comment was deleted while it was brought up to date', { retryAfterMs: 1_000 });
  }
  for (const other of others) await remove(app, comment, other);
  return oldest;
}

async function create(app: GitHubApp, { repository, pullRequest, body, signal }: CommentToKeep): Promise<string> {
  const { data } = await app.ask(
    repository,
    'writing a comment',
    'POST /repos/{owner}/{repo}/issues/{issue_number}/comments',
    { ...repository, issue_number: pullRequest, body },
    signal,
  );
  return String((data as { id: unknown }).id);
}

/** Whether the comment is there. */
async function update(
  app: GitHubApp,
  { repository, body, signal }: CommentToKeep,
  commentId: string,
): Promise<boolean> {
  const route = 'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}';
  return unlessGone(
    app.ask(repository, 'updating a comment', route, { ...repository, comment_id: Number(commentId), body }, signal),
  );
}

async function remove(app: GitHubApp, { repository, signal }: CommentToKeep, commentId: string): Promise<void> {
  const route = 'DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}';
  await unlessGone(
    app.ask(repository, 'deleting a second comment', route, { ...repository, comment_id: Number(commentId) }, signal),
  );
}

async function unlessGone(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (failure) {
    const { status } = failure as GitHubFailure;
    if (status === 404 || status === 410) return false;
    throw failure;
  }
}

/** The part of a comment that is looked at. */
interface Comment {
  readonly id: number;
  readonly body?: string | null;
  readonly user?: unknown;
  readonly performed_via_github_app?: unknown;
}

/** The ids of the app's comments with the marker, oldest first. Others may have copied the marker into theirs: those are left alone. */
async function findAll(app: GitHubApp, comment: CommentToKeep): Promise<string[]> {
  const { repository, pullRequest, marker, signal } = comment;
  const found: number[] = [];
  for (let page = 1; page <= mostPages; page++) {
    const { data, headers } = await app.ask(
      repository,
      'looking for the comment',
      'GET /repos/{owner}/{repo}/issues/{issue_number}/comments',
      { ...repository, issue_number: pullRequest, per_page: 100, page },
      signal,
    );
    expectAnswer(Array.isArray(data), 'looking for the comment');
    const comments: readonly Comment[] = data;
    for (const each of comments) if (each.body?.includes(marker) && app.isAuthorOf(each)) found.push(each.id);
    if (!/rel="next"/.test(String(headers['link'] ?? ''))) return found.sort((a, b) => a - b).map(String);
  }
  throw new GitHubFailure('looking for the comment: the pull request has too many of them', { refused: true });
}
