import { unwrap } from '@vivarium/core';
import type { App, Client, ForkPolicy, Preview } from '@vivarium/core';

import { commit } from './every-deployment-call.ts';
import { loopbackPreviews } from './loopback-previews.ts';
import type { LoopbackCall, LoopbackPreviews } from './loopback-previews.ts';
import { everything } from './paging.ts';
import type { Suite, SuiteOptions } from './suite.ts';

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
  /** Another client of the same org with the same outside world, or with other ports. */
  another(options?: SuiteOptions): Client<unknown>;
  /** Asks for the preview of a pull request at this commit: that of 1. */
  create(digit?: string, differing?: Partial<Parameters<Client['previews']['create']>[0]>): Promise<Preview>;
  /** Delivers every message that is there, and those that come of it, each once; answers what they came to. */
  deliver(): Promise<string[]>;
  /** What a runtime says of a run, the newest one unless another is meant: what became of it. */
  report(preview: Preview, said: Parameters<LoopbackPreviews['report']>[1], generation?: number): Promise<string>;
  now(preview: Preview): Promise<Preview>;
  /** A preview of the pull request 1 that runs. */
  running(): Promise<Preview>;
}

/** An app in an org of its own, with an outside world of its own. */
export async function previewing(
  suite: Suite,
  { forks = 'approve', ...options }: SuiteOptions & { readonly forks?: ForkPolicy } = {},
): Promise<Previewing> {
  const outside = loopbackPreviews();
  const org = suite.newOrg();
  const another = (differing: SuiteOptions = {}) =>
    suite
      .vivarium({ previews: { ...outside.ports, forks }, ...options, ...differing })
      .as({ org, type: 'user', id: 'ada' });
  const client = another();
  const app = await makeApp(client);
  const { previews } = client;
  const made: Previewing = {
    client,
    org,
    outside,
    app,
    another,
    create: (digit = 'a', differing = {}) =>
      unwrap(previews.create({ appId: app.id, pullRequest: 1, branch: 'feature', sha: commit(digit), ...differing })),
    async deliver() {
      const came = [];
      for (let rounds = 0; rounds < 20; rounds++) {
        const messages = outside.take(org);
        if (messages.length === 0) return came;
        for (const message of messages) came.push(await workedOn(previews.handle(message)));
      }
      throw new Error('messages without an end');
    },
    async report({ id }, said, generation) {
      const run = generation ?? (await unwrap(previews.get(id))).generation;
      return (await unwrap(previews.report(outside.report(`${id}-${run}`, said)))).why;
    },
    now: ({ id }) => unwrap(previews.get(id)),
    async running() {
      const preview = await made.create();
      await made.deliver();
      await made.report(preview, { status: 'running', url: 'https://pr-1.example.com' });
      await made.deliver();
      return made.now(preview);
    },
  };
  return made;
}

/** What a message came to: also where that is an error. */
export function workedOn(handled: ReturnType<Client['previews']['handle']>): Promise<string> {
  return handled.match(
    (worked) => worked as string,
    ({ code }) => code as string,
  );
}

/** The message of a preview, as a queue delivers it. */
export function messageAbout(org: string, { id, version }: Preview) {
  return { version: 1, orgId: org, projectEnvironmentId: id, sequence: version } as const;
}

/** The next call of this kind fails, before its effect or after it. */
export function failing(
  outside: LoopbackPreviews,
  when: 'before' | 'after',
  call: LoopbackCall,
  said: { readonly refused?: boolean; readonly retryAfterMs?: number; readonly status?: number } = {},
): void {
  outside[when](call, () => {
    throw Object.assign(new Error(`the double fails ${when} ${call}`), said);
  });
}
