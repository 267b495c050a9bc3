import { createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { answerFaults, example, read } from './description.ts';

export interface Comment {
  readonly id: number;
  body: string;
  readonly pullRequest: number;
  readonly by: 'app' | 'other app' | 'person';
}

export interface Asked {
  readonly operation: string;
  readonly path: string;
  readonly authorization: string;
  readonly body: string;
}

export interface OddAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What there is on this GitHub, and how it behaves: a test changes it as it likes. */
export interface GitHubState {
  /** `owner/repo` in lower case → the installation that sees it. */
  readonly installations: Map<string, number>;
  permissions: Record<string, string>;
  suspended: boolean;
  /** `owner/repo#branch` in lower case → sha. */
  readonly heads: Map<string, string>;
  /** Repositories that only an installation on them sees. */
  readonly hidden: Set<string>;
  comments: Comment[];
  readonly tokens: Map<string, { readonly installation: number; readonly asked: Record<string, unknown> }>;
  readonly asked: Asked[];
  /** What new tokens may do, whatever was asked for. */
  generous: boolean;
  tokenLifeMs: number;
  /** Answers instead, when it has something to say. */
  odd: (asked: Asked) => OddAnswer | 'hang' | 'hang up' | null;
  /** Runs between what was done and its answer. */
  before: (asked: Asked) => Promise<void>;
}

/** A GitHub that runs. */
export interface GitHub {
  readonly baseUrl: string;
  readonly state: GitHubState;
  /** In what requests, or answers, have differed from GitHub's description. */
  readonly faults: readonly string[];
  close(): Promise<void>;
}

/** The app that is installed, and its private key, which has never signed anything else. */
export const appId = 4711;
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const privateKey = pair.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();

/** A GitHub of its own on loopback, as small as what is used of it. Each request and each answer is held against GitHub's official description. */
export async function startGitHub(): Promise<GitHub> {
  const state: GitHubState = {
    installations: new Map([['acme/shop', 77]]),
    permissions: { contents: 'read', pull_requests: 'write', metadata: 'read' },
    suspended: false,
    heads: new Map(),
    hidden: new Set(),
    comments: [],
    tokens: new Map(),
    asked: [],
    generous: false,
    tokenLifeMs: 3_600_000,
    odd: () => null,
    before: async () => {},
  };
  const wrong: string[] = [];
  let ids = 1_000;

  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await request.setEncoding('utf8').toArray()).join('');
    const url = new URL(request.url ?? '', 'http://github.test');
    const known = read(request.method ?? '', url, body);
    if (known === null) {
      wrong.push(`${request.method} ${url.pathname} is not in the description`);
      return void response.writeHead(404).end();
    }
    wrong.push(...known.faults.map((fault) => `${known.operation}: ${fault}`));
    const authorization = request.headers.authorization ?? '';
    const asked = { operation: known.operation, path: request.url ?? '', authorization, body };
    state.asked.push(asked);
    const odd = state.odd(asked);
    if (odd === 'hang') return;
    if (odd === 'hang up') return void request.socket.destroy();
    const given = odd ?? answerTo(known.operation, known.values, url, body, authorization);
    if (odd === null) {
      const faults = answerFaults(known.pointer, known.responses, given.status, given.body);
      wrong.push(...faults.map((fault) => `the answer to ${known.operation}: ${fault}`));
    }
    await state.before(asked);
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'x-github-request-id': 'ABC:1',
      ...given.headers,
    };
    response.writeHead(given.status, headers).end(given.body === undefined ? '' : JSON.stringify(given.body));
  }

  function answerTo(
    operation: string,
    values: Readonly<Record<string, string>>,
    url: URL,
    body: string,
    authorization: string,
  ): OddAnswer {
    const name = `${values['owner']}/${values['repo']}`.toLowerCase();
    const missing = {
      status: 404,
      body: { message: 'Not Found', documentation_url: 'https://docs.github.com', status: '404' },
    };
    const unauthorized = { status: 401, body: { message: 'Bad credentials', status: '401' } };

    if (operation.endsWith('/installation') || operation.endsWith('/access_tokens')) {
      if (!isOfTheApp(authorization)) return unauthorized;
      if (operation.endsWith('/installation')) {
        const id = state.installations.get(name);
        if (id === undefined) return missing;
        const suspended_at = state.suspended ? '2026-01-01T00:00:00Z' : null;
        return { status: 200, body: { ...example('installation'), id, permissions: state.permissions, suspended_at } };
      }
      const installation = Number(values['installation_id']);
      if (![...state.installations.values()].includes(installation)) return missing;
      const asked = JSON.parse(body || '{}') as { permissions?: object; repositories?: string[] };
      const token = `ghs_${randomBytes(18).toString('hex')}`;
      state.tokens.set(token, { installation, asked: { ...asked } });
      const [repository] = (example('installation-token') as { repositories: object[] }).repositories;
      const narrowed = asked.repositories !== undefined && !state.generous;
      return {
        status: 201,
        body: {
          token,
          expires_at: new Date(Date.now() + state.tokenLifeMs).toISOString(),
          permissions: state.generous
            ? state.permissions
            : { metadata: 'read', ...(asked.permissions ?? state.permissions) },
          repository_selection: narrowed ? 'selected' : 'all',
          ...(narrowed
            ? {
                repositories: asked.repositories!.map((repo) => ({
                  ...repository,
                  name: repo,
                  full_name: fullNameOf(installation, repo),
                })),
              }
            : {}),
        },
      };
    }

    const held = state.tokens.get(authorization.replace(/^token /, ''));
    if (held === undefined) return unauthorized;
    const isOwn = state.installations.get(name) === held.installation;
    if (state.hidden.has(name) && !isOwn) return missing;
    if (operation.includes('/git/ref/')) {
      const branch = values['ref']!.replace(/^heads\//, '');
      const sha = state.heads.get(`${name}#${branch}`);
      const ref = example('git-ref') as { object: object };
      return sha === undefined
        ? missing
        : {
            status: 200,
            body: { ...ref, ref: `refs/heads/${branch}`, object: { ...ref.object, type: 'commit', sha } },
          };
    }
    if (!isOwn) return missing;
    const shown = (comment: Comment) => {
      const whole = example('issue-comment') as { user: object };
      const app = { ...(example('integration') as object), id: comment.by === 'app' ? appId : 99 };
      return {
        ...whole,
        id: comment.id,
        body: comment.body,
        user: { ...whole.user, type: comment.by === 'person' ? 'User' : 'Bot' },
        performed_via_github_app: comment.by === 'person' ? null : app,
      };
    };
    if (operation.startsWith('GET')) {
      const pullRequest = Number(values['issue_number']);
      const [size, page] = [Number(url.searchParams.get('per_page')), Number(url.searchParams.get('page'))];
      const all = state.comments.filter((each) => each.pullRequest === pullRequest);
      const next = `<${url.origin}${url.pathname}?per_page=${size}&page=${page + 1}>; rel="next"`;
      const headers = all.length > size * page ? { link: next } : {};
      return { status: 200, headers, body: all.slice(size * (page - 1), size * page).map(shown) };
    }
    if (operation.startsWith('POST')) {
      const comment: Comment = {
        id: ++ids,
        body: (JSON.parse(body) as { body: string }).body,
        pullRequest: Number(values['issue_number']),
        by: 'app',
      };
      state.comments.push(comment);
      return { status: 201, body: shown(comment) };
    }
    const comment = state.comments.find(({ id }) => id === Number(values['comment_id']));
    if (comment === undefined) return missing;
    if (operation.startsWith('DELETE')) {
      state.comments.splice(state.comments.indexOf(comment), 1);
      return { status: 204 };
    }
    comment.body = (JSON.parse(body) as { body: string }).body;
    return { status: 200, body: shown(comment) };
  }

  function fullNameOf(installation: number, repo: string): string {
    const names = [...state.installations].filter(([, id]) => id === installation).map(([name]) => name);
    return names.find((name) => name.endsWith(`/${repo.toLowerCase()}`)) ?? repo;
  }

  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    state,
    faults: wrong,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Whether the token was signed by the app's key, is of the app, and lasts no longer than GitHub allows. */
function isOfTheApp(authorization: string): boolean {
  const [head = '', claims = '', signature = ''] = authorization.replace(/^bearer /, '').split('.');
  const signed = verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    createPublicKey(pair.privateKey),
    Buffer.from(signature, 'base64url'),
  );
  const { iss, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString() || '{}') as Record<string, number>;
  return signed && String(iss) === String(appId) && exp! - iat! <= 630 && exp! * 1_000 > Date.now();
}
