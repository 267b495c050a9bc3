/**
 * Previews of pull requests, with GitHub and a runtime service on the other side of HTTP: webhooks that come twice or never, a comment that somebody deletes, a rate limit, tests that fail, a
 * fork, a forgery, and production, which follows its branch. Every request to GitHub is held against GitHub's own description of its API.
 */
import { randomBytes } from 'node:crypto';

import { createVivarium, unwrap } from '@vivarium/core';
import type { Vivarium } from '@vivarium/core';
import { githubSourceControl } from '@vivarium/integrations/github';
import { httpRuntime, signedReport } from '@vivarium/integrations/runtime-http';
import { appId, privateKey } from '@vivarium/loopback-github';
import { openStorage } from 'quickstart/storage.ts';
import { done, heading, say, title } from 'quickstart/terminal.ts';

import { openCarriers } from './carriers.ts';
import { Hub, repository, shaOf } from './github.ts';
import { startHost } from './host.ts';
import { Lives } from './lives.ts';
import { startRuntime } from './runtime.ts';

const org = `team-${Date.now().toString(36)}`;
const [webhookSecret, runtimeSecret] = [randomBytes(24).toString('hex'), randomBytes(32).toString('hex')];

const { storage, place, close } = await openStorage();
await unwrap(storage.migrate());
const carriers = await openCarriers();
const runtime = await startRuntime(runtimeSecret, (text) => say(`  ${text}`));
const made: { vivarium?: Vivarium } = {};
const host = await startHost(() => made.vivarium!, org, webhookSecret);
const hub = await Hub.open(webhookSecret, () => host.url);
const { baseUrl, state: github, faults } = hub.github;

const vivarium = createVivarium({
  storage,
  keys: carriers.keys,
  hooks: {
    onPreviewFailure: ({ step, error }) => say(`  ${step}: ${(error as Error).message}`),
  },
  previews: {
    sourceControl: githubSourceControl({ appId, privateKey, baseUrl }),
    runtime: httpRuntime({ url: runtime.url, secret: runtimeSecret, reportUrl: `${host.url}/reports` }),
    ...(carriers.queue !== undefined && { queue: carriers.queue }),
    forks: 'approve',
  },
});
made.vivarium = vivarium;
carriers.work(vivarium);

try {
  await tell();
} finally {
  await carriers.close();
  host.close();
  runtime.close();
  await hub.github.close();
  await close();
}

async function tell(): Promise<void> {
  title('Previews of pull requests');
  say(`Everything is kept in ${place}; the work is carried by ${carriers.named}.`);
  const ada = vivarium.as({ org, type: 'user', id: 'ada' });
  const { previews } = ada;
  const { id: projectId } = await unwrap(ada.projects.create({ name: 'Hello' }));
  const registration = { provider: 'github', fullName: repository, defaultBranch: 'master' };
  const { id: repoId } = await unwrap(ada.deployments.repos.register(registration));
  const app = await unwrap(ada.deployments.apps.create({ projectId, repoId, name: 'web', entrypoint: 'main.w' }));
  const secret = { appId: app.id, environmentType: 'preview', name: 'DATABASE_URL' } as const;
  await unwrap(previews.secrets.set({ ...secret, value: 'postgres://qa:hunter2@db/qa' }));
  const lives = new Lives(ada, app);
  const runs = (environment: string, message: string) =>
    lives.until(environment, ({ status, sha }) => status === 'running' && sha === shaOf(message));

  heading('A pull request is opened, and GitHub says so twice');
  const changes = { number: 2, branch: 'changes' };
  hub.commit(changes, 'a better README');
  const answers = [await hub.tell('opened', changes, 'a better README')];
  answers.push(await hub.tell('opened', changes, 'a better README'));
  await runs('pr-2', 'a better README');
  done(`answered ${answers.join(' and ')}; ${github.comments.length} comment, ${runtime.running.size} runtime`);

  heading('Two commits, the second before the first is up; and somebody deletes the comment');
  hub.commit(changes, 'fix a typo');
  await hub.tell('synchronize', changes, 'fix a typo');
  github.comments.splice(0);
  hub.commit(changes, 'fix another typo');
  await hub.tell('synchronize', changes, 'fix another typo');
  await runs('pr-2', 'fix another typo');
  done(
    `the newest commit runs, ${runtime.running.size} runtime is left, and there is ${github.comments.length} comment`,
  );

  heading('GitHub has had enough of us for a second');
  const search = { number: 3, branch: 'search' };
  hub.commit(search, 'add a search');
  let limited = 1;
  github.odd = ({ operation }) =>
    operation.includes('/git/ref/') && limited-- > 0 ? { status: 403, headers: { 'retry-after': '1' } } : null;
  runtime.broken.set(shaOf('add a search'), '3 of 214 tests failed');
  await hub.tell('opened', search, 'add a search');
  const failed = await lives.until('pr-3', ({ status }) => status === 'error');
  done('it was asked again when it had said that it may be');

  heading('The tests of that one fail; once they are mended, somebody starts it again');
  runtime.broken.clear();
  await unwrap(previews.restart(failed.id));
  await runs('pr-3', 'add a search');

  heading('A stranger sends a pull request from a fork');
  const stranger = { number: 4, branch: 'miner', headRepo: 'eve/Hello-World' };
  hub.commit(stranger, 'improve performance');
  await hub.tell('opened', stranger, 'improve performance');
  const waiting = await lives.until('pr-4', ({ waitingSha }) => waitingSha !== null);
  done(`nothing runs: ${runtime.running.size} runtimes, as before`);
  await unwrap(previews.approve({ projectEnvironmentId: waiting.id, sha: shaOf('improve performance') }));
  await runs('pr-4', 'improve performance');
  done('Ada has read this commit, and let it run');

  heading('Who is not believed');
  say(`a webhook with another secret: ${await hub.tell('closed', changes, 'fix another typo', 'a'.repeat(24))}`);
  const about = { version: 1, orgId: org, projectEnvironmentId: waiting.id, generation: 1, sequence: 9 } as const;
  const forged = signedReport({ ...about, status: 'running', url: 'https://evil.example' }, 'a guess');
  say(`a report with another key: ${(await fetch(`${host.url}/reports`, forged)).status}`);

  heading('Production follows its branch');
  hub.commit({ number: 0, branch: 'master' }, 'the first release');
  const first = { appId: app.id, type: 'production', branch: 'master', sha: shaOf('the first release') } as const;
  await unwrap(previews.create(first));
  await runs('production', 'the first release');
  await hub.push('the second release');
  await runs('production', 'the second release');

  heading('Webhooks that never came: two were closed, one was opened');
  const dark = { number: 5, branch: 'dark-mode' };
  const sha = hub.commit(dark, 'a dark mode');
  const openPullRequests = [{ pullRequest: 5, branch: 'dark-mode', sha }];
  openPullRequests.push({ pullRequest: 2, branch: 'changes', sha: shaOf('fix another typo') });
  for (const { environment, asked } of await unwrap(previews.reconcile({ appId: app.id, openPullRequests })))
    say(`reconcile: ${asked} ${environment}`);
  await runs('pr-5', 'a dark mode');
  await lives.until('pr-3', ({ status }) => status === 'stopped');
  await lives.until('pr-4', ({ status }) => status === 'stopped');

  heading('Closed');
  await hub.tell('closed', changes, 'fix another typo');
  await lives.until('pr-2', ({ status }) => status === 'stopped');

  heading('Their lives');
  await lives.tell(github.comments);
  say('');
  if (faults.length > 0) throw new Error(faults.join('\n'));
  done(`${github.asked.length} requests to GitHub, all of them as its description says`);
}
