import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';

import { createRequestListener } from '@remix-run/node-fetch-server';
import { createVivarium, localKeyring, unwrap } from '@vivarium/core';
import type { Analytics, CommandQueue, ForkPolicy, KeyManagement, Storage } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { appId, payloads, privateKey, signedDelivery } from '@vivarium/loopback-github';
import { expect, onTestFinished, vi } from 'vitest';

import { githubSourceControl, githubWebhooks } from '../../src/github/index.ts';
import { httpRuntime, reportHandler } from '../../src/runtime-http/index.ts';
import { github } from '../github/github.ts';
import { serve } from '../loopback.ts';
import { runtimeService } from './runtime.ts';

const webhookSecret = 'canary-secret-of-the-webhook';
const runtimeSecret = 'canary-secret-of-the-runtime-service';
/** The app's secret: in the request to its runtime, and nowhere else. */
export const password = 'canary-password-of-the-app';

/** Where everything is kept, and by what it is worked off. */
export interface Place {
  readonly storage?: Storage | undefined;
  readonly keys?: KeyManagement | undefined;
  /** In this process when not given. */
  readonly queue?: CommandQueue | undefined;
  readonly forks?: ForkPolicy | undefined;
  readonly analytics?: Analytics | undefined;
  /** How long GitHub may take. */
  readonly timeoutMs?: number | undefined;
}

let worlds = 0;

/**
 * A team: a service that embeds Vivarium, GitHub and a runtime service, as three servers on loopback that speak HTTP. When the test is over, nothing that anybody may read has a secret in it, and
 * every request to GitHub was one of GitHub's description.
 */
export async function world({
  storage = memoryStorage(),
  keys,
  queue,
  forks,
  analytics,
  timeoutMs = 30_000,
}: Place = {}) {
  const org = `team-${process.pid}-${Date.now()}-${worlds++}`;
  const { baseUrl, state: hub } = await github();
  const runtime = await runtimeService(runtimeSecret);
  const readable: string[] = [];
  const overheard = (['log', 'info', 'warn', 'error', 'debug'] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation((...said) => void readable.push(inspect(said))),
  );
  onTestFinished(() => overheard.forEach((spy) => spy.mockRestore()));

  const repo = 'codertocat/hello-world';
  hub.installations.set(repo, 1);

  // The address is known once the host listens, and it listens to what is made here.
  let answer = async (_request: Request): Promise<Response> => new Response(null, { status: 503 });
  const host = await serve(createRequestListener((request) => answer(request)));
  const vivarium = createVivarium({
    storage,
    keys: keys ?? localKeyring({ keys: `test:${randomBytes(32).toString('base64')}` }),
    hooks: { onPreviewFailure: (failure) => void readable.push(inspect(failure, { depth: 10 })) },
    previews: {
      sourceControl: githubSourceControl({ appId, privateKey, baseUrl, timeoutMs }),
      runtime: httpRuntime({ url: runtime.url, secret: runtimeSecret, reportUrl: `${host}/reports`, retries: 0 }),
      ...(queue !== undefined && { queue }),
      ...(forks !== undefined && { forks }),
      ...(analytics !== undefined && { analytics }),
    },
  });
  const webhooks = githubWebhooks({ vivarium, secret: webhookSecret, orgsOf: () => [org] });
  const reports = reportHandler({ vivarium });
  answer = async (request) => {
    const response = await (new URL(request.url).pathname === '/reports' ? reports : webhooks)(request);
    readable.push(await response.clone().text());
    return response;
  };

  const ada = vivarium.as({ org, type: 'user', id: 'ada' });
  const project = await unwrap(ada.projects.create({ name: 'Shop' }));
  const registered = await unwrap(
    ada.deployments.repos.register({
      provider: 'github',
      fullName: 'Codertocat/Hello-World',
      defaultBranch: 'master',
    }),
  );
  const app = await unwrap(
    ada.deployments.apps.create({ projectId: project.id, repoId: registered.id, name: 'web', entrypoint: 'main.w' }),
  );
  const secret = { appId: app.id, environmentType: 'preview', name: 'PASSWORD' } as const;
  await unwrap(ada.previews.secrets.set({ ...secret, value: password }));

  const team = {
    vivarium,
    org,
    ada,
    app,
    hub,
    runtime,
    readable,

    /** Delivers a real payload, changed in what matters; the branch has the commit by then. Answers the status. */
    deliver: async (
      action: 'opened' | 'reopened' | 'synchronize' | 'closed',
      { sha = 'a'.repeat(40), headRepo = 'Codertocat/Hello-World', secret: signedWith = webhookSecret } = {},
    ) => {
      const payload = payloads('pull_request').find((each) => each.action === action && each.installation)!;
      payload.pull_request!.head.sha = sha;
      payload.pull_request!.head.repo!.full_name = headRepo;
      if (action !== 'closed') hub.heads.set(`${headRepo}#changes`.toLowerCase(), sha);
      const response = await fetch(host, signedDelivery('pull_request', JSON.stringify(payload), signedWith));
      return response.status;
    },

    push: async (sha: string) => {
      const payload = payloads('push').find(({ ref, installation: by }) => ref === 'refs/heads/master' && by)!;
      hub.heads.set(`${repo}#master`, sha);
      const body = JSON.stringify({ ...payload, after: sha });
      return (await fetch(host, signedDelivery('push', body, webhookSecret))).status;
    },

    /** The preview of the pull request that the payloads are about. */
    preview: async () => {
      const { items } = await unwrap(ada.previews.list({ appId: app.id }));
      return items.find(({ environment }) => environment === 'pr-2') ?? null;
    },

    history: async () => {
      const preview = await team.preview();
      const { items } = await unwrap(ada.deployments.history({ projectEnvironmentId: preview!.id }));
      return items.map(({ status, sha, url }) => ({ status, sha: sha?.[0], url })).reverse();
    },
  };

  onTestFinished(async () => {
    const { items: journal } = await unwrap(ada.journal.list({ limit: 100 }));
    const { items: previews } = await unwrap(ada.previews.list({ appId: app.id }));
    readable.push(inspect({ journal, previews, comments: hub.comments, sent: sentBy(queue) }, { depth: 10 }));
    const secrets = [
      password,
      webhookSecret,
      runtimeSecret,
      privateKey.split('\n')[1]!,
      ...hub.tokens.keys(),
      ...runtime.runs().flatMap(({ asked }) => [asked.reportKey, asked.source.token]),
    ];
    for (const each of secrets) expect(readable.filter((text) => text.includes(each))).toEqual([]);
  });
  return team;
}

function sentBy(queue: CommandQueue | undefined): unknown {
  return queue !== undefined && 'sent' in queue ? queue.sent : [];
}
