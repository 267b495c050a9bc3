import { createPrivateKey } from 'node:crypto';

import { SecretText } from '@vivarium/core';
import type { RepoName, SourceControl } from '@vivarium/core';
import { checkOptions, may, must } from '@vivarium/core/storage';

import { privateUrl } from '../private-url.ts';
import { wholeNumber } from '../whole-number.ts';
import { GitHubApp } from './app.ts';
import { keepOneComment } from './comments.ts';
import { expectAnswer, GitHubFailure } from './failure.ts';
import { isSameRepository, repositoryOf } from './repository.ts';

/** Which GitHub App acts, and where. */
export interface GitHubSourceControlOptions {
  /** The app's id, or its client id. */
  readonly appId: string | number;
  /** The app's private key: PEM, in PKCS#1 (as GitHub hands it out) or PKCS#8. Line breaks may be written as `\n`. */
  readonly privateKey: SecretText | string;
  /** The name of this GitHub in repositories that are registered with Vivarium: `github` when not given. */
  readonly provider?: string | undefined;
  /** `https://api.github.com` when not given; for GitHub Enterprise Server `https://<host>/api/v3`. */
  readonly baseUrl?: string | undefined;
  /** For a proxy, tracing. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** How long one request may take: 10,000 when not given, at most 60,000. */
  readonly timeoutMs?: number | undefined;
}

/**
 * The source control of previews by a GitHub App: whether it is installed, the head of a branch, the one comment of each preview, and tokens that read one repository.
 *
 * The app needs the permissions Contents (read) and Pull requests (write); Issues (write) does for the latter, too. Nothing is tried again here: what it rejects with
 * ({@link GitHubFailure}) says when to do so. Throws `InvalidInput` on a wrong configuration.
 *
 * @example
 * createVivarium({ storage, keys, previews: { sourceControl: githubSourceControl({ appId, privateKey }), runtime } })
 */
export function githubSourceControl(options: GitHubSourceControlOptions): SourceControl {
  check(options);
  const { appId, provider = 'github', baseUrl = 'https://api.github.com' } = options;
  const { fetch = globalThis.fetch, timeoutMs = 10_000 } = options;
  const privateKey = new SecretText(pemOf(options.privateKey));
  const app = new GitHubApp({ appId, privateKey, baseUrl: baseUrl.replace(/\/+$/, ''), fetch, timeoutMs });

  const named = (repo: RepoName) => {
    if (repo.provider === provider) return repositoryOf(repo.fullName);
    throw new GitHubFailure('the repository belongs to another provider', { refused: true });
  };

  return {
    authenticate: async ({ repo, signal }) => {
      const { suspended, permissions } = await app.installation(named(repo), signal);
      const refuse = (why: string) => {
        throw new GitHubFailure(`the app may not act on this repository: ${why}`, { refused: true });
      };
      if (suspended) refuse('its installation is suspended');
      if (permissions['contents'] === undefined) refuse('it has no permission to read contents');
      const mayComment = [permissions['pull_requests'], permissions['issues']].includes('write');
      if (!mayComment) refuse('it has no permission to write on pull requests');
    },

    head: async ({ repo, headRepo, branch, signal }) => {
      const repository = named(repo);
      const head = repositoryOf(headRepo);
      const isFork = !isSameRepository(repo.fullName, headRepo);
      const read = (as: typeof repository) =>
        app
          .ask(
            as,
            'reading the head of a branch',
            'GET /repos/{owner}/{repo}/git/ref/{ref}',
            { ...head, ref: `heads/${branch}` },
            signal,
          )
          .then(({ data }) => shaOf(data), unlessMissing);

      const sha = await read(repository);
      if (sha !== null) return { sha };
      // GitHub says 404 of a branch that is gone, and of a repository that we may no longer see. The difference matters: the former ends a preview.
      const sees = await app.installation(head, signal).then(
        () => true,
        (failure: GitHubFailure) => (isFork && failure.status === 404 ? false : Promise.reject(failure)),
      );
      if (!isFork || !sees) return null;
      // A private fork is read by the installation on the fork.
      const own = await read(head);
      return own === null ? null : { sha: own };
    },

    comment: async ({ repo, pullRequest, commentId, marker, body, signal }) => {
      const marked = body.includes(marker) ? body : `${body}\n${marker}`;
      const comment = { repository: named(repo), pullRequest, commentId, marker, body: marked, signal };
      return { commentId: await keepOneComment(app, comment) };
    },

    token: async ({ repo, signal }) => {
      const repository = named(repo);
      const { id } = await app.installation(repository, signal);
      const less = { repositories: [repository.repo], permissions: { contents: 'read' } };
      const { token, expiresAt, permissions, repositories } = await app.token(id, less, signal);
      const isLess =
        Object.entries(permissions).every(
          ([name, level]) => (name === 'contents' || name === 'metadata') && level === 'read',
        ) &&
        repositories?.length === 1 &&
        isSameRepository(repositories[0]!, repo.fullName);
      if (isLess) return { token, expiresAt };
      throw new GitHubFailure('GitHub gave a token that may do more than read this repository', { refused: true });
    },
  };
}

/** No such branch, or a repository without any commit. */
function unlessMissing(failure: GitHubFailure): null {
  if (failure.status === 404 || failure.status === 409) return null;
  throw failure;
}

/** Some servers answer with all branches whose names begin like this one, when there is no such branch. */
function shaOf(data: unknown): string | null {
  if (Array.isArray(data)) return null;
  const { object } = data as { readonly object?: { readonly sha?: unknown } };
  const sha = object?.sha;
  expectAnswer(typeof sha === 'string', 'reading the head of a branch');
  return sha;
}

function pemOf(privateKey: SecretText | string): string {
  const text = typeof privateKey === 'string' ? privateKey : privateKey.reveal();
  return text.replaceAll('\\n', '\n');
}

function isPrivateKey(value: unknown): boolean {
  if (typeof value !== 'string' && !(value instanceof SecretText)) return false;
  try {
    return createPrivateKey(pemOf(value)).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
}

function check(options: GitHubSourceControlOptions): void {
  checkOptions(options, {
    appId: must((id) => /^\w[\w.]{0,63}$/.test(String(id)), 'must be the id or the client id of a GitHub App'),
    privateKey: must(isPrivateKey, 'must be an RSA private key in PEM'),
    provider: may(
      (name) => /^[a-z0-9-]{1,32}$/.test(String(name)),
      'must be 1 to 32 lower-case letters, digits or hyphens',
    ),
    baseUrl: (url) => (url === undefined ? null : privateUrl(url)),
    fetch: may((fetch) => typeof fetch === 'function', 'must be a function'),
    timeoutMs: wholeNumber(1, 60_000),
  });
}
