import { request as octokitRequest } from '@octokit/request';
import { SecretText } from '@vivarium/core';
import githubAppJwt from 'universal-github-app-jwt';

import { expectAnswer, GitHubFailure } from './failure.ts';
import type { Repository } from './repository.ts';

/** How an app reaches its GitHub. */
export interface GitHubAppSettings {
  readonly appId: string | number;
  readonly privateKey: SecretText;
  readonly baseUrl: string;
  readonly fetch: typeof globalThis.fetch;
  readonly timeoutMs: number;
}

/** The app's installation on the account that a repository belongs to. */
export interface Installation {
  readonly id: number;
  readonly suspended: boolean;
  readonly permissions: Readonly<Record<string, string>>;
}

/** A token, as GitHub has made it. */
export interface InstallationToken {
  readonly token: SecretText;
  readonly expiresAt: Date;
  readonly permissions: Readonly<Record<string, string>>;
  /** The repositories it is for; `null` for all of the installation. */
  readonly repositories: readonly string[] | null;
}

export type Parameters = Readonly<Record<string, unknown>>;
export interface Answer {
  readonly data: unknown;
  readonly headers: Readonly<Record<string, string | number | undefined>>;
}

/** An installation may be moved or made anew at any time; its id is believed for that long. */
const installationsLastMs = 300_000;
/** A token that is about to expire is not begun with. */
const tokenReserveMs = 300_000;
const mostKept = 1_000;

/** Says nothing: what the client would print on the console contains addresses, and is the host's to print. */
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** A GitHub App: asks as itself, or as one of its installations. */
export class GitHubApp {
  readonly #settings: GitHubAppSettings;
  readonly #installations = new Map<string, { readonly id: number; readonly until: number }>();
  readonly #tokens = new Map<number, InstallationToken>();

  constructor(settings: GitHubAppSettings) {
    this.#settings = settings;
  }

  /** Whether it was this app that has written something. Some servers of GitHub Enterprise do not say which app, only that it was one. */
  isAuthorOf(comment: { readonly performed_via_github_app?: unknown; readonly user?: unknown }): boolean {
    const app = comment.performed_via_github_app as { id?: unknown; client_id?: unknown } | null | undefined;
    if (app == null) return (comment.user as { type?: unknown } | null | undefined)?.type === 'Bot';
    const appId = String(this.#settings.appId);
    return String(app.id) === appId || app.client_id === appId;
  }

  async installation(repository: Repository, signal?: AbortSignal): Promise<Installation> {
    const task = 'finding the installation of the app on this repository';
    const { data } = await this.#asApp(task, 'GET /repos/{owner}/{repo}/installation', { ...repository }, signal);
    const { id, suspended_at, permissions } = data as {
      id: number;
      suspended_at?: unknown;
      permissions?: Record<string, string>;
    };
    expectAnswer(Number.isSafeInteger(id), task);
    keep(this.#installations, nameOf(repository), { id, until: performance.now() + installationsLastMs });
    return { id, suspended: suspended_at != null, permissions: permissions ?? {} };
  }

  /** A new token of an installation, for everything that it may do, or for less. */
  async token(id: number, less: Parameters = {}, signal?: AbortSignal): Promise<InstallationToken> {
    const task = 'taking an installation token';
    const { data } = await this.#asApp(
      task,
      'POST /app/installations/{installation_id}/access_tokens',
      { installation_id: id, ...less },
      signal,
    );
    const { token, expires_at, permissions, repositories } = data as {
      token: string;
      expires_at: string;
      permissions?: Record<string, string>;
      repositories?: readonly { readonly full_name: string }[];
    };
    expectAnswer(typeof token === 'string' && !Number.isNaN(Date.parse(expires_at)), task);
    return {
      token: new SecretText(token),
      expiresAt: new Date(expires_at),
      permissions: permissions ?? {},
      repositories: repositories?.map(({ full_name }) => full_name) ?? null,
    };
  }

  /**
   * Asks as the installation on this repository. Its id and its token are kept for a while; where GitHub no longer knows one of them, it is taken anew, once: the app may have
   * been installed again in the meantime.
   */
  async ask(
    repository: Repository,
    task: string,
    route: string,
    parameters: Parameters,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const name = nameOf(repository);
    for (;;) {
      const known = this.#installations.get(name);
      const isKnown = known !== undefined && known.until > performance.now();
      const id = isKnown ? known.id : (await this.installation(repository, signal)).id;
      const kept = this.#tokens.get(id);
      const isKept = kept !== undefined && kept.expiresAt.getTime() - Date.now() > tokenReserveMs;
      const forget = () => {
        this.#installations.delete(name);
        this.#tokens.delete(id);
      };

      let held = kept;
      if (!isKept) {
        try {
          held = await this.token(id, {}, signal);
          keep(this.#tokens, id, held);
        } catch (failure) {
          if (!isKnown || (failure as GitHubFailure).status !== 404) throw failure;
          forget();
          continue;
        }
      }
      try {
        return await this.#send(task, route, parameters, `token ${held!.token.reveal()}`, signal);
      } catch (failure) {
        const isUnknown = (failure as GitHubFailure).status === 401;
        if (isUnknown) forget();
        if (!isUnknown || !isKept) throw failure;
      }
    }
  }

  async #asApp(task: string, route: string, parameters: Parameters, signal?: AbortSignal): Promise<Answer> {
    const { appId, privateKey } = this.#settings;
    const { token } = await githubAppJwt({ id: appId, privateKey: privateKey.reveal() }).catch(() => {
      throw new GitHubFailure(`${task}: the private key of the app does not sign`, { refused: true });
    });
    return this.#send(task, route, parameters, `bearer ${token}`, signal);
  }

  async #send(
    task: string,
    route: string,
    parameters: Parameters,
    authorization: string,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const { baseUrl, fetch, timeoutMs } = this.#settings;
    const patience = AbortSignal.timeout(timeoutMs);
    const both = signal === undefined ? patience : AbortSignal.any([signal, patience]);
    try {
      const { data, headers, status } = await octokitRequest(route, {
        ...parameters,
        baseUrl,
        headers: { authorization, 'x-github-api-version': '2022-11-28', 'user-agent': 'vivarium' },
        request: { fetch, signal: both, log: silent },
      });
      expectAnswer(status === 204 || (typeof data === 'object' && data !== null), task);
      return { data, headers };
    } catch (cause) {
      if (signal?.aborted !== true && patience.aborted) {
        throw new GitHubFailure(`${task}: GitHub did not answer within ${timeoutMs} ms`, { retryAfterMs: 5_000 });
      }
      throw GitHubFailure.from(task, cause);
    }
  }
}

function nameOf({ owner, repo }: Repository): string {
  return `${owner}/${repo}`.toLowerCase();
}

/** The oldest goes when there are too many. */
function keep<Key, Value>(kept: Map<Key, Value>, key: Key, value: Value): void {
  kept.delete(key);
  kept.set(key, value);
  if (kept.size > mostKept) kept.delete(kept.keys().next().value!);
}
