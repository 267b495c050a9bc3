import { createHash } from 'node:crypto';

import { payloads, signedDelivery, startGitHub } from '@vivarium/loopback-github';
import type { GitHub } from '@vivarium/loopback-github';

/** The repository of the payloads that GitHub has really sent. */
export const repository = 'Codertocat/Hello-World';
export const installation = 1;

/** A pull request, as far as the story changes the payloads. */
export interface PullRequest {
  readonly number: number;
  readonly branch: string;
  readonly headRepo?: string;
}

/** What happens at GitHub, and how its webhooks tell of it. */
export class Hub {
  readonly github: GitHub;
  readonly #secret: string;
  readonly #hostUrl: () => string;

  private constructor(github: GitHub, secret: string, hostUrl: () => string) {
    this.github = github;
    this.#secret = secret;
    this.#hostUrl = hostUrl;
  }

  static async open(secret: string, hostUrl: () => string): Promise<Hub> {
    const github = await startGitHub();
    github.state.installations.set(repository.toLowerCase(), installation);
    return new Hub(github, secret, hostUrl);
  }

  /** Somebody pushes a commit to a branch of a pull request; nobody has been told yet. */
  commit({ branch, headRepo = repository }: PullRequest, message: string): string {
    const sha = shaOf(message);
    this.github.state.heads.set(`${headRepo}#${branch}`.toLowerCase(), sha);
    return sha;
  }

  /** The webhook of a pull request: a payload that GitHub has really sent, about this commit. Answers what the host has answered. */
  async tell(
    action: 'opened' | 'reopened' | 'synchronize' | 'closed',
    { number, branch, headRepo = repository }: PullRequest,
    message: string,
    secret = this.#secret,
  ): Promise<number> {
    const payload = payloads('pull_request').find((each) => each.action === action && each.installation !== undefined)!;
    const { head } = payload.pull_request!;
    payload.pull_request!.number = number;
    Object.assign(head, { ref: branch, sha: shaOf(message) });
    head.repo!.full_name = headRepo;
    return this.#deliver('pull_request', payload, secret);
  }

  /** A push to the default branch. */
  async push(message: string): Promise<number> {
    this.commit({ number: 0, branch: 'master' }, message);
    const payload = payloads('push').find(({ ref, installation: by }) => ref === 'refs/heads/master' && by)!;
    return this.#deliver('push', { ...payload, after: shaOf(message) }, this.#secret);
  }

  async #deliver(name: string, payload: object, secret: string): Promise<number> {
    const response = await fetch(`${this.#hostUrl()}/github`, signedDelivery(name, JSON.stringify(payload), secret));
    return response.status;
  }
}

/** Commits are known by what they say: the rest of a commit is no part of this story. */
export function shaOf(message: string): string {
  return createHash('sha1').update(message).digest('hex');
}
