import type {
  AttemptStatus,
  BuildFailure,
  BuildStatus,
  EndedAttempt,
  StoredBuild,
  StoredBuildState,
  StoredPlan,
} from '@vivarium/core/storage';

import {
  integer,
  integerOf,
  optionalText,
  optionalTextOf,
  optionalTime,
  optionalTimeOf,
  present,
  text,
  textOf,
  texts,
  textsOf,
  time,
  timeOf,
} from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import {
  attemptKey,
  buildKey,
  buildNumberKey,
  failureKey,
  failureOfBuildKey,
  listedBuildKey,
  listedFailureKey,
  partsOf,
  planKey,
  positionIn,
  projectBuildKey,
  runningBuildKey,
} from './keys.ts';
import type { Key } from './keys.ts';

/**
 * A build's own item. What its history comes to stands in it, one text for each attempt that has ended, so that neither figures nor plans to resume have to
 * read the history.
 */
export function buildItem(orgId: string, build: StoredBuild, ended: readonly string[]): Item {
  return itemAt(buildKey(orgId, build.id), {
    number: text(build.buildNumber),
    ...referencesOf(build),
    milestones: text(build.milestones.join(' ')),
    planVersion: integer(build.planVersion),
    heartbeatTimeoutMs: integer(build.heartbeatTimeoutMs),
    createdByType: text(build.createdBy.type),
    createdById: text(build.createdBy.id),
    createdAt: time(build.createdAt),
    ...movedAttributes(build),
    ended: texts(ended),
  });
}

/** What a move replaces in it: not its project, of which it may have been detached meanwhile. */
export function movedAttributes(build: StoredBuild): Attributes {
  return {
    state: integer(build.currentState),
    status: text(build.status),
    retryCount: integer(build.retryCount),
    attempts: integer(build.attempts),
    attemptStartedAt: optionalTime(build.attemptStartedAt),
    startTime: optionalTime(build.startTime),
    endTime: optionalTime(build.endTime),
    heartbeatAt: optionalTime(build.heartbeatAt),
    version: integer(build.version),
    updatedAt: time(build.updatedAt),
  };
}

export function readBuild(item: Item): StoredBuild {
  return {
    id: partsOf(textOf(item, 'pk'))[2]!,
    buildNumber: textOf(item, 'number'),
    projectId: optionalTextOf(item, 'project'),
    platformId: textOf(item, 'platform'),
    osVersionId: textOf(item, 'osVersion'),
    imageTypeId: textOf(item, 'imageType'),
    currentState: integerOf(item, 'state'),
    status: statusOf(item),
    retryCount: integerOf(item, 'retryCount'),
    planVersion: integerOf(item, 'planVersion'),
    milestones: textOf(item, 'milestones').split(' ').map(Number),
    attempts: integerOf(item, 'attempts'),
    attemptStartedAt: optionalTimeOf(item, 'attemptStartedAt'),
    startTime: optionalTimeOf(item, 'startTime'),
    endTime: optionalTimeOf(item, 'endTime'),
    heartbeatTimeoutMs: integerOf(item, 'heartbeatTimeoutMs'),
    heartbeatAt: optionalTimeOf(item, 'heartbeatAt'),
    createdBy: { type: textOf(item, 'createdByType'), id: textOf(item, 'createdById') },
    version: integerOf(item, 'version'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}

export const statusOf = (item: Item) => textOf(item, 'status') as BuildStatus;

/** By what lists and figures tell builds apart; the last three never change. */
function referencesOf({ projectId, platformId, osVersionId, imageTypeId }: StoredBuild): Attributes {
  return {
    project: optionalText(projectId),
    platform: text(platformId),
    osVersion: text(osVersionId),
    imageType: text(imageTypeId),
  };
}

/**
 * A build in the list of its org. Its status is always that of the build; what its history has come to is told here from when it ends until it runs again.
 */
export function listedBuildItem(orgId: string, build: StoredBuild, ended: readonly string[]): Item {
  return itemAt(listedBuildKey(orgId, build), { ...referencesOf(build), ...listedAttributes(build, ended) });
}

/** What changes of a listed build, when its status does. */
export function listedAttributes({ status }: StoredBuild, ended: readonly string[] | null): Attributes {
  return { status: text(status), ...(ended === null ? {} : { ended: texts(ended) }) };
}

export function projectBuildItem(orgId: string, projectId: string, build: StoredBuild): Item {
  const { project: _project, ...references } = referencesOf(build);
  return itemAt(projectBuildKey(orgId, projectId, build), references);
}

export function buildNumberItem(orgId: string, { id, buildNumber }: StoredBuild): Item {
  return itemAt(buildNumberKey(orgId, buildNumber), { id: text(id) });
}

export function runningBuildItem(orgId: string, { id }: StoredBuild): Item {
  return itemAt(runningBuildKey(orgId, id), { id: text(id) });
}

/** What figures need of an attempt that has ended: its state, how it ended, and how many milliseconds it took. */
export interface EndedSummary {
  readonly state: number;
  readonly status: EndedAttempt['status'];
  readonly durationMs: number;
}

const letters = { completed: 'c', failed: 'f', canceled: 'x' } as const;
const statuses = { c: 'completed', f: 'failed', x: 'canceled' } as const;

/** `25c1500`: completed 25 in 1.5 s. */
export function summaryOf({ state, status, startTime, endTime }: Omit<EndedAttempt, 'sequence' | 'errorMessage'>) {
  return `${state}${letters[status]}${endTime.getTime() - startTime.getTime()}`;
}

export function endedOf(item: Item): readonly string[] {
  return textsOf(item, 'ended');
}

export function readSummary(summary: string): EndedSummary {
  const [, state, letter, duration] = /^(\d+)([cfx])(\d+)$/.exec(summary)!;
  return { state: Number(state), status: statuses[letter as keyof typeof statuses], durationMs: Number(duration) };
}

export function attemptItem(orgId: string, attempt: StoredBuildState): Item {
  return itemAt(attemptKey(orgId, attempt.buildId, attempt.sequence), {
    id: text(attempt.id),
    state: integer(attempt.state),
    retryCount: integer(attempt.retryCount),
    startTime: time(attempt.startTime),
    ...attemptEnd(attempt),
  });
}

export function attemptEnd({
  status,
  endTime,
  errorMessage,
}: Pick<StoredBuildState, 'status' | 'endTime' | 'errorMessage'>): Attributes {
  return { status: text(status), endTime: optionalTime(endTime), errorMessage: optionalText(errorMessage) };
}

export function readAttempt(item: Item): StoredBuildState {
  return {
    id: textOf(item, 'id'),
    buildId: partsOf(textOf(item, 'pk'))[2]!,
    sequence: Number(textOf(item, 'sk').slice(2)),
    state: integerOf(item, 'state'),
    status: textOf(item, 'status') as AttemptStatus,
    startTime: timeOf(item, 'startTime'),
    endTime: optionalTimeOf(item, 'endTime'),
    errorMessage: optionalTextOf(item, 'errorMessage'),
    retryCount: integerOf(item, 'retryCount'),
  };
}

/** The items of a failure: itself, its place among those of all builds, and its place among those of its build. */
export function failureItems(
  orgId: string,
  build: StoredBuild,
  failure: BuildFailure,
): { readonly head: Item; readonly listed: Item; readonly ofBuild: Item } {
  const { failureType, component, resolved, buildId } = failure;
  const kind = { failureType: text(failureType), component: optionalText(component), resolved: flag(resolved) };
  return {
    head: itemAt(failureKey(orgId, failure.id), {
      ...kind,
      build: text(buildId),
      buildCreatedAt: time(build.createdAt),
      state: integer(failure.state),
      errorMessage: text(failure.errorMessage),
      errorDetails: failure.errorDetails === null ? null : text(JSON.stringify(failure.errorDetails)),
      retryAttempt: integer(failure.retryAttempt),
      createdAt: time(failure.createdAt),
      ...resolution(failure),
    }),
    listed: itemAt(listedFailureKey(orgId, failure), { ...kind, build: text(buildId) }),
    ofBuild: itemAt(failureOfBuildKey(orgId, build, failure), kind),
  };
}

export function resolution({
  resolved,
  resolutionNotes,
  resolvedAt,
}: Pick<BuildFailure, 'resolved' | 'resolutionNotes' | 'resolvedAt'>): Attributes {
  return {
    resolved: flag(resolved),
    resolutionNotes: optionalText(resolutionNotes),
    resolvedAt: optionalTime(resolvedAt),
  };
}

export const flag = (value: boolean) => integer(value ? 1 : 0);
export const isResolved = (item: Item) => integerOf(item, 'resolved') === 1;

export function readFailure(item: Item): BuildFailure {
  const details = optionalTextOf(item, 'errorDetails');
  return {
    id: partsOf(textOf(item, 'pk'))[2]!,
    buildId: textOf(item, 'build'),
    state: integerOf(item, 'state'),
    failureType: textOf(item, 'failureType'),
    errorMessage: textOf(item, 'errorMessage'),
    errorDetails: details === null ? null : (JSON.parse(details) as BuildFailure['errorDetails']),
    component: optionalTextOf(item, 'component'),
    retryAttempt: integerOf(item, 'retryAttempt'),
    resolved: isResolved(item),
    resolutionNotes: optionalTextOf(item, 'resolutionNotes'),
    createdAt: timeOf(item, 'createdAt'),
    resolvedAt: optionalTimeOf(item, 'resolvedAt'),
  };
}

/** The id of the build that a place in the list of failures by build is of. */
export const buildIdIn = (ofBuild: Item) => partsOf(textOf(ofBuild, 'sk'))[1]!;

/** The last place in an item's key. */
export const positionOf = (item: Item) => positionIn(textOf(item, 'sk'));

export function planItem(orgId: string, plan: StoredPlan): Item {
  return itemAt(planKey(orgId, plan.projectId, plan.version), {
    id: text(plan.id),
    milestones: text(JSON.stringify(plan.milestones)),
    createdAt: time(plan.createdAt),
  });
}

export function readPlan(item: Item): StoredPlan {
  return {
    id: textOf(item, 'id'),
    projectId: partsOf(textOf(item, 'pk'))[2]!,
    version: Number(textOf(item, 'sk').slice(3)),
    milestones: JSON.parse(textOf(item, 'milestones')) as StoredPlan['milestones'],
    createdAt: timeOf(item, 'createdAt'),
  };
}

function itemAt({ pk, sk }: Key, attributes: Attributes): Item {
  return present({ pk: text(pk), sk: text(sk), ...attributes });
}
