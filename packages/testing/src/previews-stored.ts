/** What the tests of the port of previews hand to storage, without core's services in between. */
import { randomUUID } from 'node:crypto';
import { unwrap } from '@vivarium/core';
import type {
  App,
  Deployment,
  PreviewWrite,
  QueueMessage,
  Storage,
  StoredAppSecret,
  StoredPreview,
  StoredProjectEnvironment,
} from '@vivarium/core/storage';

import { environmentOf } from './deployments-stored.ts';
import { changeIn, made } from './ephemeral-making.ts';
import { commit } from './every-deployment-call.ts';

/** A preview as it is when it was first asked for. */
export function previewOf(
  { id: appId, projectId, repoId }: App,
  environment: string,
  differing: Partial<StoredPreview> = {},
): StoredPreview {
  return {
    id: randomUUID(),
    appId,
    projectId,
    repoId,
    environment,
    type: 'preview',
    status: 'initializing',
    branch: environment,
    headRepo: 'acme/shop',
    fork: false,
    approvedSha: null,
    waitingSha: null,
    pullRequest: null,
    sha: commit('a'),
    headSha: commit('a'),
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
    requestedAt: made,
    version: 1,
    createdAt: made,
    updatedAt: made,
    ...differing,
  };
}

/** The project environment of a preview. */
export function environmentBehind(
  { id, projectId, repoId, appId, environment, type, branch, pullRequest, version }: StoredPreview,
  differing: Partial<StoredProjectEnvironment> = {},
): StoredProjectEnvironment {
  return environmentOf({ projectId, repoId }, environment, {
    id,
    type,
    branch,
    pullRequest,
    managedBy: appId,
    version,
    ...differing,
  });
}

/** A run: its deployment, with the environment as it is then. */
export function runOf(environment: StoredProjectEnvironment, differing: Partial<Deployment> = {}): Deployment {
  return {
    id: randomUUID(),
    projectEnvironmentId: environment.id,
    sequence: environment.deploymentSequence + 1,
    status: 'created',
    gitRef: environment.branch ?? 'main',
    sha: commit('a'),
    url: null,
    description: null,
    rollbackOf: null,
    configuration: null,
    createdBy: { type: 'user', id: 'ada' },
    deadline: made,
    createdAt: made,
    startedAt: null,
    endedAt: null,
    updatedAt: made,
    ...differing,
  };
}

/** The message that a worker is sent when a preview is at this version. */
export function messageOf(orgId: string, { id, version }: Pick<StoredPreview, 'id' | 'version'>): QueueMessage {
  return { version: 1, orgId, projectEnvironmentId: id, sequence: version };
}

/** What is written with a preview that has no runs. */
export function writing(org: string, preview: StoredPreview, differing: Partial<PreviewWrite> = {}): PreviewWrite {
  const environment = environmentBehind(preview);
  return { preview, environment, deployments: [], message: null, change: changeIn(org), ...differing };
}

export function appSecretOf(
  { id: appId }: Pick<App, 'id'>,
  name: string,
  differing: Partial<StoredAppSecret> = {},
): StoredAppSecret {
  const value = { sealed: `vv1.${randomUUID()}.nonce.text`, sealVersion: 1 };
  return { appId, type: 'preview', name, ...value, createdAt: made, updatedAt: made, ...differing };
}

/** Writes previews to one storage in one org, and expects that it is done. */
export function previewWriterOf(storage: Storage<unknown>, org: string) {
  const { previews } = storage;
  const did = async (written: PromiseLike<unknown>) => {
    const answer = (await written) as { readonly done: boolean; readonly refused?: string };
    if (!answer.done) throw new Error(`not written: ${answer.refused}`);
  };
  return {
    async create(
      app: App,
      environment: string,
      differing: Partial<StoredPreview> = {},
      besides: Partial<PreviewWrite> = {},
    ): Promise<StoredPreview> {
      const preview = previewOf(app, environment, differing);
      await did(unwrap(previews.create(writing(org, preview, besides))));
      return preview;
    },
    /** Writes it as it is, over its version before. */
    async write(preview: StoredPreview, besides: Partial<PreviewWrite> = {}): Promise<StoredPreview> {
      const expected = { expectedVersion: preview.version - 1, previousBranch: preview.branch };
      await did(unwrap(previews.write({ ...writing(org, preview, besides), ...expected })));
      return preview;
    },
    async secret(
      app: Pick<App, 'id'>,
      name: string,
      differing: Partial<StoredAppSecret> = {},
    ): Promise<StoredAppSecret> {
      const secret = appSecretOf(app, name, differing);
      await did(unwrap(previews.writeSecret({ secret, change: changeIn(org) })));
      return secret;
    },
  };
}
