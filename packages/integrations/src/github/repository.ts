import { GitHubFailure } from './failure.ts';

/** A repository of GitHub, in the two parts that its addresses have. */
export interface Repository {
  readonly owner: string;
  readonly repo: string;
}

/** `acme/shop`. `.` and `..` would lead to another address. */
export function repositoryOf(fullName: string): Repository {
  const [, owner, repo] = /^([\w.-]{1,100})\/([\w.-]{1,100})$/.exec(fullName) ?? [];
  if (owner === undefined || repo === undefined || [owner, repo].some((part) => /^\.{1,2}$/.test(part))) {
    throw new GitHubFailure('this is not the name of a repository of GitHub: it has to be owner/name', {
      refused: true,
    });
  }
  return { owner, repo };
}

/** GitHub compares names without regard to case. */
export function isSameRepository(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
