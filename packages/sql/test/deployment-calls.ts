/** The calls about deployments whose round trips the adapters promise, in a world of an app whose environment has a live deployment and one that runs. */
import { createVivarium, unwrap } from '@vivarium/core';
import type { Change, Deployment, DeploymentRepository, KeyWrite, Storage } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';

import type { Call, Write } from './ephemeral-calls.ts';

const org = 'deployment budget';
const at = new Date('2026-03-01T12:00:00.123Z');
const sha = '0123456789abcdef0123456789abcdef01234567';

/** A change with a journal entry that is a stream of its own. */
function change(key: KeyWrite | null = null): Change {
  const id = randomUUID();
  const about = { subject: { type: 'test', id }, stream: id, sequence: 1, action: 'tested', at, data: {} };
  return { orgId: org, at, key, entry: { id, orgId: org, ...about, actor: { type: 'user', id: 'ada' } } };
}

const newKey = (): KeyWrite => ({
  id: randomUUID(),
  fingerprint: 'print',
  result: { id: 'made' },
  expiresAt: new Date('2099-01-01'),
});

async function makeDeployments(storage: Storage) {
  const { deployments, projects } = createVivarium({ storage }).as({ org, type: 'user', id: 'ada' });
  const { id: projectId, defaultEnvironmentId } = await unwrap(projects.create({ name: randomUUID() }));
  const register = () => unwrap(deployments.repos.register({ provider: 'github', fullName: `acme/${randomUUID()}` }));
  const [repo, unused] = [await register(), await register()];
  const app = await unwrap(deployments.apps.create({ projectId, repoId: repo.id, name: 'Shop' }));
  const named = { projectId, repoId: repo.id, environment: 'production', branch: 'main' };
  const { id: environmentId } = await unwrap(deployments.environments.ensure(named));
  const start = () =>
    unwrap(deployments.start({ projectEnvironmentId: environmentId, gitRef: 'main', sha, description: 'new' }));

  const [live, running] = [await start(), await start()];
  for (const status of ['running', 'success'] as const) await unwrap(deployments.report(live.id, { status }));
  await unwrap(deployments.report(running.id, { status: 'running' }));
  const port = storage.deployments;
  return {
    named,
    configurationId: defaultEnvironmentId,
    app,
    repo: (await unwrap(port.getRepo(org, repo.id))).found!,
    unused: (await unwrap(port.getRepo(org, unused.id))).found!,
    environment: (await unwrap(port.getEnvironment(org, environmentId))).found!,
    live: (await unwrap(port.get(org, live.id)))!,
    running: (await unwrap(port.get(org, running.id)))!,
  };
}

type Deployments = Awaited<ReturnType<typeof makeDeployments>>;

const page = { limit: 50, after: null };
const further = { limit: 50, after: { name: 'a', id: randomUUID() } };

const on =
  (call: (port: DeploymentRepository, made: Deployments) => PromiseLike<unknown>): Call =>
  async (storage) => {
    const made = await makeDeployments(storage);
    return () => call(storage.deployments, made);
  };

export const deploymentReads: Readonly<Record<string, Call>> = {
  'deployments.getRepoByName': on((port, { repo: { provider, nameKey } }) =>
    unwrap(port.getRepoByName(org, provider, nameKey, 'k')),
  ),
  'deployments.getRepo': on((port, { repo: { id } }) => unwrap(port.getRepo(org, id, 'k'))),
  'deployments.listRepos': on((port) => unwrap(port.listRepos(org, page))),
  'deployments.listRepos further': on((port, { repo: { provider, nameKey } }) =>
    unwrap(port.listRepos(org, { limit: 50, after: { provider, nameKey } })),
  ),
  'deployments.appFacts': on((port, { named }) => unwrap(port.appFacts(org, named, 'k'))),
  'deployments.getApp': on((port, { app: { id } }) => unwrap(port.getApp(org, id, 'k'))),
  'deployments.listApps': on((port) => unwrap(port.listApps(org, {}, page))),
  'deployments.listApps of a project and a repository, further': on((port, { named: { projectId, repoId } }) =>
    unwrap(port.listApps(org, { projectId, repoId }, further)),
  ),
  'deployments.ensureFacts': on((port, { named }) => unwrap(port.ensureFacts(org, named, 'k'))),
  'deployments.getEnvironment': on((port, { environment: { id } }) => unwrap(port.getEnvironment(org, id, 'k'))),
  'deployments.getEnvironmentByName': on((port, { named }) => unwrap(port.getEnvironmentByName(org, named))),
  'deployments.listByBranch': on((port, { named: { repoId, branch } }) =>
    unwrap(port.listByBranch(org, { repoId, branch }, page)),
  ),
  'deployments.listEnvironments of a project': on((port, { named: { projectId } }) =>
    unwrap(port.listEnvironments(org, { projectId }, page)),
  ),
  'deployments.listEnvironments of everything, further': on((port, { named: { projectId, repoId } }) =>
    unwrap(port.listEnvironments(org, { projectId, repoId, type: 'production' }, further)),
  ),
  'deployments.startFacts': on((port, { environment: { id }, configurationId }) =>
    unwrap(port.startFacts(org, { projectEnvironmentId: id, configurationId }, 'k')),
  ),
  'deployments.facts': on((port, { running: { id } }) => unwrap(port.facts(org, id, 'k'))),
  'deployments.get': on((port, { live: { id } }) => unwrap(port.get(org, id))),
  'deployments.latest': on((port, { environment: { id } }) => unwrap(port.latest(org, id))),
  'deployments.history': on((port, { environment: { id } }) => unwrap(port.history(org, id, page))),
  'deployments.due': on((port) => unwrap(port.due(org, { now: at, limit: 100, after: null }))),
};

const done = { done: true };
const next = <T extends { readonly version: number }>(one: T, differing: Partial<T> = {}): T => {
  return { ...one, version: one.version + 1, ...differing };
};
const third = ({ running }: Deployments): Deployment => ({
  ...running,
  id: randomUUID(),
  sequence: 3,
  status: 'created',
});

export const deploymentWrites: Readonly<Record<string, Write>> = {
  'deployments.createRepo': [
    4,
    on(async (port, { repo }) => {
      const command = { repo: { ...repo, id: randomUUID(), nameKey: randomUUID() }, change: change(newKey()) };
      expect(await unwrap(port.createRepo(command))).toEqual(done);
    }),
  ],
  'deployments.writeRepo': [
    3,
    on(async (port, { repo }) => {
      const command = { repo: next(repo, { defaultBranch: 'trunk' }), expectedVersion: 1, change: change() };
      expect(await unwrap(port.writeRepo(command))).toEqual(done);
    }),
  ],
  'deployments.deleteRepo': [
    6,
    on(async (port, { repo }) => {
      expect(await unwrap(port.deleteRepo({ repo, change: change() }))).toEqual(done);
    }),
  ],
  'deployments.createApp': [
    5,
    on(async (port, { app, unused }) => {
      const command = { app: { ...app, id: randomUUID(), repoId: unused.id }, change: change() };
      expect(await unwrap(port.createApp(command))).toEqual(done);
    }),
  ],
  'deployments.writeApp': [
    3,
    on(async (port, { app }) => {
      const command = { app: next(app, { name: 'Other' }), expectedVersion: 1, change: change() };
      expect(await unwrap(port.writeApp(command))).toEqual(done);
    }),
  ],
  'deployments.deleteApp': [
    6,
    on(async (port, { app }) => {
      expect(await unwrap(port.deleteApp({ app, change: change() }))).toEqual(done);
    }),
  ],
  'deployments.createEnvironment': [
    6,
    on(async (port, { environment: { id: _id, ...like } }) => {
      const environment = { ...like, id: randomUUID(), environment: 'staging' };
      expect(await unwrap(port.createEnvironment({ environment, change: change(newKey()) }))).toEqual(done);
    }),
  ],
  'deployments.writeEnvironment': [
    3,
    on(async (port, { environment: before }) => {
      const command = { environment: next(before, { branch: 'other' }), previousBranch: 'main', change: change() };
      expect(await unwrap(port.writeEnvironment({ ...command, expectedVersion: before.version }))).toEqual(done);
    }),
  ],
  'deployments.deleteEnvironment': [
    3,
    on(async (port, { environment }) => {
      expect(await unwrap(port.deleteEnvironment({ environment, change: change() }))).toEqual(done);
    }),
  ],
  'deployments.move of one that starts': [
    5,
    on(async (port, made) => {
      const deployment = third(made);
      const environment = next(made.environment, { deploymentSequence: 3, latestDeployment: deployment.id });
      const command = { environment, deployment, replaced: null, adds: true, change: change(newKey()) };
      expect(await unwrap(port.move({ ...command, expectedVersion: made.environment.version }))).toEqual(done);
    }),
  ],
  'deployments.move of one that takes the place of another': [
    5,
    on(async (port, { environment: before, live, running }) => {
      const deployment = { ...running, status: 'success', endedAt: at } as const;
      const replaced = { ...live, status: 'inactive' } as const;
      const environment = next(before, { activeDeployment: running.id, activeSequence: 2 });
      const command = { environment, deployment, replaced, adds: false, change: change() };
      expect(await unwrap(port.move({ ...command, expectedVersion: before.version }))).toEqual(done);
    }),
  ],
};
