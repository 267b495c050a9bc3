/** The calls about previews whose round trips the adapters promise, in a world of an app with a preview whose run has a deployment, and a secret. */
import { unwrap } from '@vivarium/core';
import type { PreviewRepository, Storage, StoredDataKey } from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';

import type { Call, Write } from './ephemeral-calls.ts';
import {
  afterMs,
  at,
  changeIn,
  deploymentOf,
  environmentOf,
  messageOf,
  newKey,
  newPreview,
  newSecret,
  newWorld,
  next,
  writeWorld,
  writing,
} from './preview-making.ts';

const org = 'preview budget';
const done = { done: true };
const page = { limit: 50, after: null };
const now = afterMs(1_000);

export async function makePreview(storage: Storage) {
  const world = await writeWorld(storage, newWorld(org));
  const made = newPreview(world, 'pr-1');
  const run = deploymentOf(made, 1);
  const preview = { ...made, run: run.id };
  const environment = { ...environmentOf(preview), deploymentSequence: 1, latestDeployment: run.id };
  const message = messageOf(org, preview);
  const command = { preview, environment, deployments: [{ deployment: run, adds: true }], message };
  expect(await unwrap(storage.previews.create({ ...command, change: changeIn(org) }))).toEqual(done);
  const secret = newSecret(world, 'A');
  expect(await unwrap(storage.previews.writeSecret({ secret, change: changeIn(org) }))).toEqual(done);
  return { ...world, preview, environment, run, message, secret };
}

type Made = Awaited<ReturnType<typeof makePreview>>;

const on =
  (call: (port: PreviewRepository, made: Made) => PromiseLike<unknown>): Call =>
  async (storage) => {
    const made = await makePreview(storage);
    return () => call(storage.previews, made);
  };

const stepOf = ({ preview: { id, generation } }: Made, step: 'comment' | 'runtime') => {
  return { projectEnvironmentId: id, generation, step, result: 'r', at };
};

export const previewReads: Readonly<Record<string, Call>> = {
  'previews.askFacts': on((port, { app: { id: appId } }) =>
    unwrap(port.askFacts(org, { appId, environment: 'pr-1' }, 'k')),
  ),
  'previews.facts': on((port, { preview: { id } }) => unwrap(port.facts(org, id, 'k'))),
  'previews.list': on((port, { app: { id: appId } }) => unwrap(port.list(org, { appId }, page))),
  'previews.list of a status, further': on((port, { app: { id: appId }, preview: { id, createdAt } }) =>
    unwrap(port.list(org, { appId, status: 'running' }, { limit: 50, after: { id, createdAt } })),
  ),
  'previews.knowsDelivery': on((port) => unwrap(port.knowsDelivery(org, 'd', now))),
  'previews.unsent': on((port) => unwrap(port.unsent(org, page))),
  'previews.due': on((port) => unwrap(port.due(org, { now, askedBy: null, limit: 100, after: null }))),
  'previews.due and past their age': on((port) =>
    unwrap(port.due(org, { now, askedBy: now, limit: 100, after: randomUUID() })),
  ),
  'previews.secrets': on((port, { app: { id: appId } }) => unwrap(port.secrets(org, { appId, type: 'preview' }))),
  'previews.secretFacts': on((port, { secret }) => unwrap(port.secretFacts(org, secret, 'k'))),
};

export const previewWrites: Readonly<Record<string, Write>> = {
  'previews.create': [
    8,
    on(async (port, made) => {
      const command = writing(org, newPreview(made, 'pr-2'), { change: changeIn(org, newKey()) });
      expect(await unwrap(port.create(command))).toEqual(done);
    }),
  ],
  'previews.create with a run and a message': [
    9,
    on(async (port, made) => {
      const preview = newPreview(made, 'pr-2');
      const deployments = [{ deployment: deploymentOf(preview, 1), adds: true }];
      const command = writing(org, preview, { deployments, message: messageOf(org, preview) });
      expect(await unwrap(port.create(command))).toEqual(done);
    }),
  ],
  'previews.write': [
    5,
    on(async (port, { preview }) => {
      const command = { ...writing(org, next(preview)), expectedVersion: 1, previousBranch: preview.branch };
      expect(await unwrap(port.write(command))).toEqual(done);
    }),
  ],
  'previews.write of one that begins another run, and has a runtime': [
    9,
    on(async (port, { preview, environment, run }) => {
      const begun = deploymentOf(preview, 2);
      const changed = next(preview, { hasRuntime: true, run: begun.id });
      const command = {
        preview: changed,
        environment: next(environment, { deploymentSequence: 2, latestDeployment: begun.id }),
        deployments: [
          { deployment: { ...run, status: 'failed' as const, endedAt: at }, adds: false },
          { deployment: begun, adds: true },
        ],
        message: messageOf(org, changed),
        change: changeIn(org, newKey()),
      };
      expect(await unwrap(port.write({ ...command, expectedVersion: 1, previousBranch: null }))).toEqual(done);
    }),
  ],
  'previews.keepStep': [3, on((port, made) => unwrap(port.keepStep(org, stepOf(made, 'runtime'))))],
  'previews.keepStep of a comment': [3, on((port, made) => unwrap(port.keepStep(org, stepOf(made, 'comment'))))],
  'previews.keepDelivery': [1, on((port) => unwrap(port.keepDelivery(org, randomUUID(), now)))],
  'previews.pruneDeliveries': [1, on((port) => unwrap(port.pruneDeliveries(org, { now, limit: 100 })))],
  'previews.sent': [1, on((port, { message }) => unwrap(port.sent(org, message)))],
  'previews.writeSecret': [
    5,
    on(async (port, made) => {
      const command = { secret: newSecret(made, 'B'), change: changeIn(org, newKey()) };
      expect(await unwrap(port.writeSecret(command))).toEqual(done);
    }),
  ],
  'previews.writeSecret over a value': [
    4,
    on(async (port, made) => {
      const command = { secret: newSecret(made, 'A', 2), change: changeIn(org) };
      expect(await unwrap(port.writeSecret(command))).toEqual(done);
    }),
  ],
  'previews.removeSecret': [
    3,
    on(async (port, { secret }) => {
      expect(await unwrap(port.removeSecret({ secret, change: changeIn(org) }))).toEqual(done);
    }),
  ],
  'dataKeys.add for an app': [
    2,
    async (storage) => {
      const { app } = await makePreview(storage);
      const scope = { type: 'app', id: app.id } as const;
      const sealed = { wrapped: 'a2V5', wrappedBy: 'local', commitment: 'c' };
      const key: StoredDataKey = {
        id: randomUUID(),
        scope,
        generation: 1,
        ...sealed,
        version: 1,
        createdAt: at,
        updatedAt: at,
      };
      return async () => expect(await unwrap(storage.dataKeys.add(org, key))).toBe('added');
    },
  ],
};

/** One to see how many there were, and one to count on from there, whatever the engine. */
export const countTry: Call = on(async (port, { preview: { id } }) => {
  expect(await unwrap(port.countTry(org, id, 1))).toBe(1);
});
