import { unwrap } from '@vivarium/core';
import type { App, Client, Preview } from '@vivarium/core';

import { commit } from './every-deployment-call.ts';
import type { LoopbackPreviews } from './loopback-previews.ts';
import { everything } from './paging.ts';

/** Everything of previews that an org can see of itself. */
export async function previewsSnapshot({ previews, deployments }: Client<unknown>): Promise<object> {
  const all = [];
  for (const { id: appId } of await everything((page) => deployments.apps.list(page))) {
    const secrets = [];
    for (const environmentType of ['preview', 'production'] as const) {
      secrets.push(await unwrap(previews.secrets.list({ appId, environmentType })));
    }
    all.push({ appId, secrets, previews: await everything((page) => previews.list({ appId, ...page })) });
  }
  return { previews: all };
}

/** A project, a repository, and the app of the two. */
export async function makeApp(client: Client<unknown>, name = 'Shop', fullName = 'acme/shop'): Promise<App> {
  const { id: projectId } = await unwrap(client.projects.create({ name }));
  const { id: repoId } = await unwrap(client.deployments.repos.register({ provider: 'github', fullName }));
  return unwrap(client.deployments.apps.create({ projectId, repoId, name }));
}

/** Previews of one app, with what a test says of them in few words. */
export interface Previewing {
  readonly client: Client<unknown>;
  readonly org: string;
  readonly outside: LoopbackPreviews;
  readonly app: App;
  /** Asks for the preview of the pull request 1 at this commit. */
  create(digit?: string): Promise<Preview>;
  /** Delivers every message that is there, and those that come of it, each once; answers what they came to. */
  deliver(): Promise<string[]>;
  /** What a runtime says of a run, the newest one unless another is meant: what became of it. */
  report(preview: Preview, said: Parameters<LoopbackPreviews['report']>[1], generation?: number): Promise<string>;
  now(preview: Preview): Promise<Preview>;
}

export async function previewing(org: string, client: Client<unknown>, outside: LoopbackPreviews): Promise<Previewing> {
  const app = await makeApp(client);
  const { previews } = client;
  return {
    client,
    org,
    outside,
    app,
    create: (digit = 'a') =>
      unwrap(previews.create({ appId: app.id, pullRequest: 1, branch: 'feature', sha: commit(digit) })),
    async deliver() {
      const came = [];
      for (let rounds = 0; rounds < 20; rounds++) {
        const messages = outside.take(org);
        if (messages.length === 0) return came;
        for (const message of messages) {
          came.push(
            await previews.handle(message).match(
              (worked) => worked as string,
              ({ code }) => code as string,
            ),
          );
        }
      }
      throw new Error('messages without an end');
    },
    async report({ id }, said, generation) {
      const run = generation ?? (await unwrap(previews.get(id))).generation;
      return (await unwrap(previews.report(outside.report(`${id}-${run}`, said)))).why;
    },
    now: ({ id }) => unwrap(previews.get(id)),
  };
}
