import type { BuildFailure, FailureStats, StateStats, StatsFilter, StoredBuild } from '../../builds/model.ts';
import type { BuildRepository, NewestPosition, StartFacts } from '../../builds/repository.ts';
import { deadlineOf } from '../../builds/model.ts';
import { buildStats, nearestRank } from '../../builds/stats.ts';
import type { PageRequest, StoredPage } from '../../kernel/paging.ts';
import { compareBytes } from '../../kernel/text.ts';
import { row } from './tables.ts';
import type { OrgTables, Session } from './tables.ts';
import { answer, keptUnder, write } from './writing.ts';

export function memoryBuilds(session: Session): BuildRepository {
  const { tables } = session;
  return {
    plan: (orgId, projectId, version, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const plans = org.plans.get(projectId) ?? [];
        const found = version === undefined ? plans.at(-1) : plans[version - 1];
        return { found: found ?? null, exists: org.projects.has(projectId), key: keptUnder(org, keyId) };
      }),

    addPlan: ({ plan, change }) =>
      write(
        session,
        change,
        (org) => {
          if (!org.projects.has(plan.projectId)) return 'not_found';
          return (org.plans.get(plan.projectId) ?? []).length === plan.version - 1 ? null : 'stale';
        },
        (org) => org.plans.set(plan.projectId, [...(org.plans.get(plan.projectId) ?? []), row(plan)]),
      ),

    startFacts: (orgId, references, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { ...factsOf(org, references), key: keptUnder(org, keyId) };
      }),

    add: ({ build, states, failures, change }) =>
      write(
        session,
        change,
        (org) => {
          if ([...org.builds.values()].some(({ buildNumber }) => buildNumber === build.buildNumber)) {
            return 'number_taken';
          }
          const { project, platform, osVersion, imageType } = factsOf(org, build);
          return project && platform && osVersion && imageType ? null : 'gone';
        },
        (org) => {
          org.builds.set(build.id, row(build));
          org.buildStates.set(build.id, states.map(row));
          for (const failure of failures) org.buildFailures.set(failure.id, row(failure));
        },
      ),

    get: (orgId, id, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: org.builds.get(id) ?? null, key: keptUnder(org, keyId) };
      }),

    getWithManifest: (orgId, which) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const build =
          'id' in which
            ? org.builds.get(which.id)
            : [...org.builds.values()].find(({ buildNumber }) => buildNumber === which.buildNumber);
        return build === undefined ? null : { build, manifest: org.manifests.get(build.id) ?? null };
      }),

    list: (orgId, filter, page) =>
      answer(session, () => {
        const wanted = Object.entries(filter) as [keyof StoredBuild, string][];
        const builds = [...tables.of(orgId).builds.values()];
        return newestFirst(
          builds.filter((build) => wanted.every(([field, value]) => build[field] === value)),
          page,
        );
      }),

    move: ({ build, ended, begun, failure, expectedVersion, silentSince, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.builds.get(build.id);
          if (there === undefined) return 'not_found';
          const silent = silentSince === undefined || there.heartbeatAt?.getTime() === silentSince?.getTime();
          return there.version === expectedVersion && silent ? null : 'stale';
        },
        (org) => {
          // A project may have been deleted since this was decided, which is no change of the build.
          const { projectId } = org.builds.get(build.id)!;
          org.builds.set(build.id, row({ ...build, projectId }));
          const history = org.buildStates.get(build.id)!.map((attempt) => {
            if (attempt.sequence !== ended?.sequence) return attempt;
            const { status, endTime, errorMessage } = ended;
            return row({ ...attempt, status, endTime, errorMessage });
          });
          org.buildStates.set(build.id, begun === null ? history : [...history, row(begun)]);
          if (failure !== null) org.buildFailures.set(failure.id, row(failure));
        },
      ),

    attachManifest: ({ build, manifest, expectedVersion, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.builds.get(build.id);
          if (there === undefined) return 'not_found';
          return there.version === expectedVersion ? null : 'stale';
        },
        (org) => {
          const { version, updatedAt } = build;
          org.builds.set(build.id, row({ ...org.builds.get(build.id)!, version, updatedAt }));
          org.manifests.set(build.id, manifest);
        },
      ),

    beat: (orgId, id, at) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const there = org.builds.get(id);
        if (there?.status !== 'running') return false;
        org.builds.set(id, row({ ...there, heartbeatAt: at }));
        return true;
      }),

    listStates: (orgId, buildId, { limit, after }) =>
      answer(session, () => {
        const history = tables.of(orgId).buildStates.get(buildId);
        if (history === undefined) return null;
        const behind = history.filter(({ sequence }) => after === null || sequence > after);
        return { items: behind.slice(0, limit), more: behind.length > limit };
      }),

    listFailures: (orgId, filter, page) =>
      answer(session, () => {
        const org = tables.of(orgId);
        if (filter.buildId !== undefined && !org.builds.has(filter.buildId)) return null;
        const wanted = Object.entries(filter) as [keyof BuildFailure, string | boolean][];
        const failures = [...org.buildFailures.values()];
        return newestFirst(
          failures.filter((failure) => wanted.every(([field, value]) => failure[field] === value)),
          page,
        );
      }),

    getFailure: (orgId, id, keyId) =>
      answer(session, () => {
        const org = tables.of(orgId);
        return { found: org.buildFailures.get(id) ?? null, key: keptUnder(org, keyId) };
      }),

    resolveFailure: ({ failure, change }) =>
      write(
        session,
        change,
        (org) => {
          const there = org.buildFailures.get(failure.id);
          if (there === undefined) return 'not_found';
          return there.resolved ? 'resolved' : null;
        },
        (org) => org.buildFailures.set(failure.id, row(failure)),
      ),

    resumeFacts: (orgId, id) =>
      answer(session, () => {
        const org = tables.of(orgId);
        const build = org.builds.get(id);
        if (build === undefined) return null;
        const failures = [...org.buildFailures.values()].filter(({ buildId }) => buildId === id).sort(byNewest);
        const completed = org.buildStates.get(id)!.filter(({ status }) => status === 'completed');
        return {
          build,
          completed: [...new Set(completed.map(({ state }) => state))].sort((a, b) => a - b),
          lastFailure: failures[0] ?? null,
          unresolvedFailures: failures.filter(({ resolved }) => !resolved).length,
        };
      }),

    stats: (orgId, filter) => answer(session, () => statsOf(tables.of(orgId), filter)),

    due: (orgId, { now, limit, after }) =>
      answer(session, () =>
        [...tables.of(orgId).builds.values()]
          .filter((build) => isOverdue(build, now) && (after === null || compareBytes(build.id, after) > 0))
          .sort((a, b) => compareBytes(a.id, b.id))
          .slice(0, limit),
      ),
  };
}

/** Builds outlive their project; its plans do not. */
export function forgetProject(org: OrgTables, projectId: string): void {
  org.plans.delete(projectId);
  for (const build of org.builds.values()) {
    if (build.projectId === projectId) org.builds.set(build.id, row({ ...build, projectId: null }));
  }
}

function factsOf(
  org: OrgTables,
  references: Pick<StoredBuild, 'projectId' | 'platformId' | 'osVersionId' | 'imageTypeId'>,
): StartFacts {
  const { projectId } = references;
  return {
    project: projectId === null || org.projects.has(projectId),
    platform: org.catalog.platform.has(references.platformId),
    osVersion: org.catalog.os_version.has(references.osVersionId),
    imageType: org.catalog.image_type.has(references.imageTypeId),
    plan: projectId === null ? null : (org.plans.get(projectId)?.at(-1) ?? null),
  };
}

function isOverdue(build: StoredBuild, now: Date): boolean {
  const deadline = deadlineOf(build);
  return deadline !== null && deadline <= now;
}

function byNewest(a: NewestPosition, b: NewestPosition): number {
  return b.createdAt.getTime() - a.createdAt.getTime() || compareBytes(b.id, a.id);
}

function newestFirst<T extends NewestPosition>(
  items: readonly T[],
  { limit, after }: PageRequest<NewestPosition>,
): StoredPage<T> {
  const behind = items.filter((item) => after === null || byNewest(item, after) > 0).sort(byNewest);
  return { items: behind.slice(0, limit), more: behind.length > limit };
}

function statsOf(org: OrgTables, { from, to, ...references }: StatsFilter) {
  const wanted = Object.entries(references) as [keyof StoredBuild, string][];
  const builds = [...org.builds.values()]
    .filter((build) => wanted.every(([field, value]) => build[field] === value))
    .filter(({ createdAt }) => (from === undefined || createdAt >= from) && (to === undefined || createdAt < to));

  const byStatus = Object.fromEntries(
    groups(builds, ({ status }) => status).map(([status, all]) => [status, all.length]),
  );
  const attempts = builds.flatMap(({ id }) => org.buildStates.get(id)!);
  const states = groups(attempts, ({ state }) => state).map(([state, all]): StateStats => {
    const durations = all
      .filter(({ status }) => status === 'completed')
      .map(({ startTime, endTime }) => endTime!.getTime() - startTime.getTime())
      .sort((a, b) => a - b);
    return {
      state,
      attempts: all.length,
      completed: durations.length,
      failed: all.filter(({ status }) => status === 'failed').length,
      p50Ms: nearestRank(durations, 50),
      p95Ms: nearestRank(durations, 95),
    };
  });
  const ids = new Set(builds.map(({ id }) => id));
  const failures = groups(
    [...org.buildFailures.values()].filter(({ buildId }) => ids.has(buildId)),
    ({ component, failureType }) => JSON.stringify([component, failureType]),
  ).map(([, all]): FailureStats => ({
    component: all[0]!.component,
    failureType: all[0]!.failureType,
    count: all.length,
    unresolved: all.filter(({ resolved }) => !resolved).length,
  }));
  return buildStats({ byStatus, states, failures, approximate: false });
}

function groups<T, K>(items: readonly T[], keyOf: (item: T) => K): readonly (readonly [K, readonly T[]])[] {
  return [...Map.groupBy(items, keyOf)];
}
