/** Previews for tests that speak to the repositories: an app with what it hangs from, and what is written of its previews. */
import { unwrap } from '@vivarium/core';
import type {
  App,
  Change,
  Deployment,
  KeyWrite,
  PreviewWrite,
  QueueMessage,
  Storage,
  StoredAppSecret,
  StoredEnvironment,
  StoredPreview,
  StoredProject,
  StoredProjectEnvironment,
  StoredRepo,
} from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';

export const at = new Date('2026-03-01T12:00:00.123Z');
export const afterMs = (milliseconds: number) => new Date(at.getTime() + milliseconds);
const versioned = () => ({ id: randomUUID(), version: 1, createdAt: at, updatedAt: at });

/** A change with a journal entry that is a stream of its own. */
export function changeIn(orgId: string, key: KeyWrite | null = null): Change {
  const id = randomUUID();
  const about = { subject: { type: 'test', id }, stream: id, sequence: 1, action: 'tested', at, data: {} };
  return { orgId, at, key, entry: { id, orgId, ...about, actor: { type: 'user', id: 'ada' } } };
}

export function newKey(): KeyWrite {
  return { id: randomUUID(), fingerprint: 'print', result: { id: 'made' }, expiresAt: new Date('2099-01-01') };
}

/** What an app hangs from, and the app. */
export interface World {
  readonly org: string;
  readonly project: StoredProject;
  readonly environment: StoredEnvironment;
  readonly repo: StoredRepo;
  readonly app: App;
}

export function newWorld(org: string = randomUUID()): World {
  const projectId = randomUUID();
  const environment: StoredEnvironment = {
    ...versioned(),
    projectId,
    name: 'A',
    nameKey: 'a',
    description: null,
    variables: [],
  };
  const named = { name: projectId, nameKey: projectId, description: null };
  const project = {
    ...versioned(),
    id: projectId,
    ...named,
    parentProjectId: null,
    defaultEnvironmentId: environment.id,
  };
  const fullName = `acme/${randomUUID()}`;
  const repo = { ...versioned(), provider: 'github', fullName, nameKey: fullName, defaultBranch: 'main' };
  const app = { ...versioned(), projectId, repoId: repo.id, name: 'Shop', entrypoint: null };
  return { org, project, environment, repo, app };
}

/** Writes all of it. */
export async function writeWorld<W extends World>(storage: Storage, world: W): Promise<W> {
  const { org, project, environment, repo, app } = world;
  const command = { project, environments: [environment], treeVersion: null, change: changeIn(org) };
  const written = [
    await unwrap(storage.projects.create(command)),
    await unwrap(storage.deployments.createRepo({ repo, change: changeIn(org) })),
    await unwrap(storage.deployments.createApp({ app, change: changeIn(org) })),
  ];
  if (written.some(({ done }) => !done)) throw new Error('not written');
  return world;
}

export function newPreview(
  { app: { id: appId, projectId, repoId } }: Pick<World, 'app'>,
  environment: string,
  differing: Partial<StoredPreview> = {},
): StoredPreview {
  return {
    ...versioned(),
    appId,
    projectId,
    repoId,
    environment,
    type: 'preview',
    status: 'initializing',
    branch: 'feature',
    headRepo: 'acme/shop',
    fork: false,
    approvedSha: null,
    waitingSha: null,
    pullRequest: 7,
    sha: 'a'.repeat(40),
    headSha: 'a'.repeat(40),
    url: null,
    tests: null,
    commentId: null,
    runtimeId: null,
    hasRuntime: false,
    generation: 1,
    run: null,
    reportSequence: 0,
    reportKey: null,
    pendingCommand: null,
    tries: 0,
    reason: null,
    stopCause: null,
    note: null,
    deadline: null,
    requestedAt: at,
    ...differing,
  };
}

/** The project environment that a preview drives, without a deployment. */
export function environmentOf(preview: StoredPreview): StoredProjectEnvironment {
  const { id, projectId, repoId, environment, type, branch, pullRequest, version, createdAt, updatedAt } = preview;
  return {
    id,
    projectId,
    repoId,
    environment,
    type,
    branch,
    pullRequest,
    version,
    createdAt,
    updatedAt,
    managedBy: preview.appId,
    deploymentSequence: 0,
    latestDeployment: null,
    activeDeployment: null,
    activeSequence: 0,
  };
}

export function deploymentOf({ id }: Pick<StoredPreview, 'id'>, sequence: number): Deployment {
  return {
    id: randomUUID(),
    projectEnvironmentId: id,
    sequence,
    status: 'created',
    gitRef: 'feature',
    sha: 'a'.repeat(40),
    url: null,
    description: null,
    rollbackOf: null,
    configuration: null,
    createdBy: { type: 'user', id: 'ada' },
    deadline: at,
    createdAt: at,
    startedAt: null,
    endedAt: null,
    updatedAt: at,
  };
}

export function messageOf(orgId: string, { id, version }: StoredPreview): QueueMessage {
  return { version: 1, orgId, projectEnvironmentId: id, sequence: version };
}

/** What is written with a preview that has no deployments. */
export function writing(org: string, preview: StoredPreview, differing: Partial<PreviewWrite> = {}): PreviewWrite {
  const environment = environmentOf(preview);
  return { preview, environment, deployments: [], message: null, change: changeIn(org), ...differing };
}

export function next<T extends { readonly version: number }>(one: T, differing: Partial<T> = {}): T {
  return { ...one, version: one.version + 1, ...differing };
}

export function newSecret({ app }: Pick<World, 'app'>, name: string, sealVersion = 1): StoredAppSecret {
  const sealed = `vv1.${randomUUID()}`;
  return { appId: app.id, type: 'preview', name, sealed, sealVersion, createdAt: at, updatedAt: at };
}
