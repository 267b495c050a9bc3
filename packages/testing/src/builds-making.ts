import { unwrap } from '@vivarium/core';
import type { BuildFailure, BuildHistory, BuildState, Client } from '@vivarium/core';

import { everything } from './paging.ts';

/** What builds refer to, but for a project. */
export interface References {
  readonly platformId: string;
  readonly osVersionId: string;
  readonly imageTypeId: string;
}

/** One entry of each kind of the catalog. */
export async function makeReferences({ builds: { catalog } }: Client<unknown>, name = 'one'): Promise<References> {
  const platform = await unwrap(catalog.platforms.create({ name, cloudProvider: 'aws' }));
  const osVersion = await unwrap(catalog.osVersions.create({ name, osFamily: 'rhel', majorVersion: 8 }));
  const imageType = await unwrap(catalog.imageTypes.create({ name }));
  return { platformId: platform.id, osVersionId: osVersion.id, imageTypeId: imageType.id };
}

/** The whole history of a build, in its order. */
export function statesOf({ builds }: Client<unknown>, buildId: string): Promise<BuildState[]> {
  return everything((page) => builds.listStates(buildId, page));
}

/** All failures of a build, newest first. */
export function failuresOf({ builds }: Client<unknown>, buildId: string): Promise<BuildFailure[]> {
  return everything((page) => builds.listFailures({ buildId, ...page }));
}

/** A time in the history of a build that was run elsewhere. */
export function second(seconds: number): Date {
  return new Date(Date.UTC(2024, 0, 1) + seconds * 1_000);
}

/** A history of so many attempts: 0 fails again and again, until the last one, which is as `last` says. */
export function longHistory(
  attempts: number,
  last: 'failed' | 'completed',
): Pick<BuildHistory, 'status' | 'createdAt' | 'states' | 'failures'> {
  const states = Array.from({ length: attempts }, (_, index) => ({
    state: 0,
    status: index === attempts - 1 ? last : ('failed' as const),
    startTime: second(index * 2),
    endTime: second(index * 2 + 1),
    errorMessage: index === attempts - 1 && last === 'completed' ? null : `try ${index}`,
    retryCount: index,
  }));
  return { status: last === 'failed' ? 'failed' : 'running', createdAt: second(0), states };
}

/** Everything of builds that an org can see of itself. */
export async function buildsSnapshot(client: Client<unknown>): Promise<object> {
  const { builds, projects } = client;
  const { platforms, osVersions, imageTypes } = builds.catalog;
  const plans = [];
  for (const { id: projectId } of await everything((page) => projects.list(page))) {
    plans.push(await unwrap(builds.milestonePlans.get({ projectId })));
  }
  const whole = [];
  for (const { id } of await everything((page) => builds.list(page))) {
    whole.push({
      build: await unwrap(builds.get(id)),
      states: await statesOf(client, id),
      failures: await failuresOf(client, id),
    });
  }
  return {
    platforms: await everything((page) => platforms.list(page)),
    osVersions: await everything((page) => osVersions.list(page)),
    imageTypes: await everything((page) => imageTypes.list(page)),
    plans,
    builds: whole,
  };
}
