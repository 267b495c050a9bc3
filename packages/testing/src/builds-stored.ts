/** What the tests of the port of builds hand to storage, without core's services in between. */
import { randomUUID } from 'node:crypto';
import { unwrap } from '@vivarium/core';
import type {
  BuildFailure,
  BuildMove,
  Storage,
  StoredBuild,
  StoredBuildState,
  StoredEntry,
  StoredPlan,
} from '@vivarium/core/storage';

import { makeReferences } from './builds-making.ts';
import type { References } from './builds-making.ts';
import { afterMs, changeIn, made } from './ephemeral-making.ts';
import type { Suite } from './suite.ts';

const versioned = { version: 1, createdAt: made, updatedAt: made };

export function platformNamed(name: string, differing: Partial<StoredEntry<'platform'>> = {}): StoredEntry<'platform'> {
  const named = { name, displayName: name, nameKey: name.toLowerCase() };
  return { id: randomUUID(), ...named, cloudProvider: 'aws', region: null, ...versioned, ...differing };
}

export function planOf(projectId: string, version: number, states: readonly number[] = [0, 50, 100]): StoredPlan {
  const milestones = states.map((state) => ({ state, name: state === 50 ? 'half ✓' : null }));
  return { id: randomUUID(), projectId, version, milestones, createdAt: made };
}

/** A build that has entered nothing yet. */
export function pendingBuild(
  references: References & { readonly projectId?: string | null },
  differing: Partial<StoredBuild> = {},
): StoredBuild {
  const id = randomUUID();
  return {
    id,
    buildNumber: `number of ${id}`,
    projectId: null,
    ...references,
    currentState: 0,
    status: 'pending',
    retryCount: 0,
    planVersion: 0,
    milestones: [0, 50, 100],
    attempts: 0,
    attemptStartedAt: null,
    startTime: null,
    endTime: null,
    heartbeatTimeoutMs: 60_000,
    heartbeatAt: null,
    createdBy: { type: 'user', id: 'ada' },
    ...versioned,
    ...differing,
  };
}

/** The same, a version on. */
function moved(build: StoredBuild, at: Date, fields: Partial<StoredBuild>): StoredBuild {
  return { ...build, ...fields, version: build.version + 1, updatedAt: at };
}

function ended(
  build: StoredBuild,
  status: 'completed' | 'failed' | 'canceled',
  at: Date,
  errorMessage: string | null = null,
) {
  if (build.attemptStartedAt === null) return null;
  const { attempts: sequence, currentState: state, attemptStartedAt: startTime } = build;
  return { sequence, state, status, startTime, endTime: at, errorMessage };
}

/** An attempt at `state` begins; what is under way is completed with it. */
export function entering(build: StoredBuild, state: number, ms = 1, retryCount = 0): BuildMove {
  const at = afterMs(ms);
  const sequence = build.attempts + 1;
  const begun: StoredBuildState = {
    id: randomUUID(),
    buildId: build.id,
    sequence,
    state,
    status: 'started',
    startTime: at,
    endTime: null,
    errorMessage: null,
    retryCount,
  };
  const fields = {
    status: 'running',
    currentState: state,
    retryCount,
    attempts: sequence,
    attemptStartedAt: at,
    startTime: build.startTime ?? at,
    endTime: null,
    heartbeatAt: at,
  } as const;
  return { build: moved(build, at, fields), ended: ended(build, 'completed', at), begun, failure: null };
}

export function failureOf(
  build: Pick<StoredBuild, 'id' | 'currentState' | 'retryCount'>,
  differing: Partial<BuildFailure> = {},
): BuildFailure {
  return {
    id: randomUUID(),
    buildId: build.id,
    state: build.currentState,
    failureType: 'provisioner',
    errorMessage: 'exit status 1',
    errorDetails: null,
    component: null,
    retryAttempt: build.retryCount,
    resolved: false,
    resolutionNotes: null,
    createdAt: made,
    resolvedAt: null,
    ...differing,
  };
}

export function failing(build: StoredBuild, ms = 2, differing: Partial<BuildFailure> = {}): BuildMove {
  const at = afterMs(ms);
  const failure = failureOf(build, { createdAt: at, ...differing });
  return {
    build: moved(build, at, { status: 'failed', attemptStartedAt: null, endTime: at }),
    ended: ended(build, 'failed', at, failure.errorMessage),
    begun: null,
    failure,
  };
}

/** One org on the storage under test, with what builds refer to. */
export async function storedIn(suite: Suite) {
  const { org, ada } = suite.inNewOrg();
  const references = await makeReferences(ada);
  const project = await unwrap(ada.projects.create({ name: 'P' }));
  const { builds }: Storage<unknown> = suite.harness.storage;
  const did = async (written: PromiseLike<unknown>) => {
    const answer = (await written) as { readonly done: boolean; readonly refused?: string };
    if (!answer.done) throw new Error(`not written: ${answer.refused}`);
  };
  return {
    org,
    ada,
    references,
    projectId: project.id,
    async build(
      differing: Partial<StoredBuild> = {},
      states: readonly StoredBuildState[] = [],
      failures: readonly BuildFailure[] = [],
    ): Promise<StoredBuild> {
      const build = pendingBuild({ projectId: project.id, ...references }, differing);
      await did(unwrap(builds.add({ build, states, failures, change: changeIn(org) })));
      return build;
    },
    /** Writes the move, and gives the build after it. */
    async move(move: BuildMove): Promise<StoredBuild> {
      await did(unwrap(builds.move({ ...move, expectedVersion: move.build.version - 1, change: changeIn(org) })));
      return move.build;
    },
  };
}
