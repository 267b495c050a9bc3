/**
 * A preview is a project environment with fields of its own, which stand in an item of their own: they may be long, and the records of the environment are to
 * stay below 1 KB. Both have one version, by which it is seen whether they belong together.
 */
import type { Deployment, PreviewStep, PreviewWrite, QueueMessage, StoredPreview } from '@vivarium/core/storage';

import {
  integer,
  integerOf,
  optionalText,
  optionalTextOf,
  optionalTime,
  present,
  text,
  textOf,
  time,
  timeOf,
} from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { readTold, tell } from './deployment-items.ts';
import { listedPreviewKey, messageKey, previewKey, previewStepKey, upPreviewKey } from './keys.ts';

/** What changes with the version alone; times are milliseconds. The rest has attributes, because it also changes by itself or is part of conditions. */
type Told = Omit<
  StoredPreview,
  'id' | 'hasRuntime' | 'commentId' | 'tries' | 'version' | 'deadline' | 'requestedAt' | 'createdAt' | 'updatedAt'
> & {
  readonly deadline: number | null;
  readonly requestedAt: number;
  readonly createdAt: number;
  readonly updatedAt: number;
};

/** Whether a runtime may exist. */
export const runtimeAttribute = 'runtime';

/** A preview that is new. */
export function previewItem(orgId: string, command: Pick<PreviewWrite, 'preview' | 'deployments'>): Item {
  const { id, commentId } = command.preview;
  const { pk, sk } = previewKey(orgId, id);
  return present({
    pk: text(pk),
    sk: text(sk),
    id: text(id),
    ...writtenAttributes(command),
    comment: optionalText(commentId),
  });
}

/** What a write says about the preview; not its comment, which only steps move. */
export function writtenAttributes({ preview, deployments }: Pick<PreviewWrite, 'preview' | 'deployments'>): Attributes {
  const { id: _id, hasRuntime, commentId: _comment, tries, version, ...rest } = preview;
  const told: Told = {
    ...rest,
    deadline: rest.deadline?.getTime() ?? null,
    requestedAt: rest.requestedAt.getTime(),
    createdAt: rest.createdAt.getTime(),
    updatedAt: rest.updatedAt.getTime(),
  };
  return {
    app: text(preview.appId),
    told: text(JSON.stringify(told)),
    [runtimeAttribute]: hasRuntime ? integer(1) : null,
    tries: integer(tries),
    version: integer(version),
    ...runAttribute(preview, deployments),
  };
}

/** The deployment of the current run goes along, so that the next report of it finds it there; one that this write does not change stays. */
function runAttribute({ run }: StoredPreview, deployments: PreviewWrite['deployments']): Attributes {
  if (run === null) return { run: null };
  const changed = deployments.find(({ deployment }) => deployment.id === run);
  return changed === undefined ? {} : { run: text(tell(changed.deployment)) };
}

export function readPreview(item: Item): StoredPreview {
  const told = JSON.parse(textOf(item, 'told')) as Told;
  return {
    ...told,
    id: textOf(item, 'id'),
    hasRuntime: mayHaveRuntime(item),
    commentId: optionalTextOf(item, 'comment'),
    tries: integerOf(item, 'tries'),
    version: integerOf(item, 'version'),
    deadline: told.deadline === null ? null : new Date(told.deadline),
    requestedAt: new Date(told.requestedAt),
    createdAt: new Date(told.createdAt),
    updatedAt: new Date(told.updatedAt),
  };
}

export function mayHaveRuntime(preview: Item): boolean {
  return preview[runtimeAttribute] !== undefined;
}

/** The deployment of the current run. */
export function readRun(preview: Item): Deployment | null {
  const run = optionalTextOf(preview, 'run');
  return run === null ? null : readTold(run, textOf(preview, 'id'));
}

/** The preview in the list of its app, with its status, which lists are filtered by. */
export function listedPreviewItem(orgId: string, preview: StoredPreview): Item {
  const { pk, sk } = listedPreviewKey(orgId, preview.appId, preview);
  return { pk: text(pk), sk: text(sk), status: text(preview.status) };
}

export function isUp({ status }: StoredPreview): boolean {
  return status !== 'stopped' && status !== 'deleted';
}

/** The preview among those that a sweep looks at: when what is under way ends, and for one that ages when it was asked for. */
export function upPreviewItem(orgId: string, preview: StoredPreview): Item {
  const { id, appId, type, status, deadline, requestedAt } = preview;
  const { pk, sk } = upPreviewKey(orgId, id);
  const ages = type === 'preview' && status !== 'stopping';
  return present({
    pk: text(pk),
    sk: text(sk),
    id: text(id),
    app: text(appId),
    deadline: optionalTime(deadline),
    asked: ages ? time(requestedAt) : null,
  });
}

export function messageItem(orgId: string, appId: string, { projectEnvironmentId, sequence }: QueueMessage): Item {
  const { pk, sk } = messageKey(orgId, projectEnvironmentId);
  return {
    pk: text(pk),
    sk: text(sk),
    id: text(projectEnvironmentId),
    app: text(appId),
    sequence: integer(sequence),
  };
}

export function readMessage(orgId: string, item: Item): QueueMessage {
  return {
    version: 1,
    orgId,
    projectEnvironmentId: textOf(item, 'id'),
    sequence: integerOf(item, 'sequence'),
  };
}

export function stepItem(orgId: string, { projectEnvironmentId: id, generation, step, result, at }: PreviewStep): Item {
  const { pk, sk } = previewStepKey(orgId, id, generation, step);
  return present({
    pk: text(pk),
    sk: text(sk),
    environment: text(id),
    generation: integer(generation),
    step: text(step),
    result: optionalText(result),
    at: time(at),
  });
}

export function readStep(item: Item): PreviewStep {
  return {
    projectEnvironmentId: textOf(item, 'environment'),
    generation: integerOf(item, 'generation'),
    step: textOf(item, 'step') as PreviewStep['step'],
    result: optionalTextOf(item, 'result'),
    at: timeOf(item, 'at'),
  };
}
