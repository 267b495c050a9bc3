/** Figures, from the list of builds of the period, in which there is what figures need of those that do not run. */
import { buildStats } from '@vivarium/core/storage';
import type { BuildRepository, BuildStats, BuildStatus, FailureStats } from '@vivarium/core/storage';

import { optionalTextOf, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { buildsOf } from './build-filters.ts';
import { buildIdIn, endedOf, isResolved, positionOf, readBuild, readSummary, statusOf } from './build-items.ts';
import { DurationHistogram } from './duration-histogram.ts';
import { buildDirectory, buildKey, failuresOfBuilds, firstPlace, lastPlace, projectKey } from './keys.ts';
import { isThere } from './project-items.ts';
import type { Table } from './table.ts';

export function dynamodbStats(table: Table): Pick<BuildRepository, 'stats'> {
  return {
    stats: (orgId, { from, to, ...references }) =>
      table.answer('read', async () => {
        const figures = new Figures();
        const { projectId } = references;
        const where = buildsOf(references);
        // The builds of a project that is being deleted are in no project any more.
        if (projectId !== undefined && !(await isProject(orgId, projectId))) return figures.stats();

        const between = [from?.toISOString() ?? firstPlace, to?.toISOString() ?? lastPlace] as const;
        const range = { pk: buildDirectory(orgId), between, ...(where === undefined ? {} : { where }) };
        for await (const page of table.pages(range)) {
          if (page.length === 0) continue;
          for (const build of await settledOrNow(orgId, page)) figures.addBuild(build);
          // Read behind the builds: the failures of those that were imported meanwhile are then all there.
          const ids = new Set(page.map((build) => positionOf(build).id));
          const span = failuresOfBuilds(orgId, positionOf(page[0]!), positionOf(page.at(-1)!));
          for await (const failures of table.pages({ pk: span.pk, between: [span.from, span.to] })) {
            for (const failure of failures) if (ids.has(buildIdIn(failure))) figures.addFailure(failure);
          }
        }
        return figures.stats();
      }),
  };

  async function isProject(orgId: string, id: string): Promise<boolean> {
    const key = projectKey(orgId, id);
    return isThere((await table.get(key)).of(key));
  }

  /** Builds of the list; those that run are read themselves. */
  async function settledOrNow(orgId: string, page: readonly Item[]): Promise<readonly Item[]> {
    const keyOf = (build: Item) => buildKey(orgId, positionOf(build).id);
    const found = await table.get(...page.filter((build) => statusOf(build) === 'running').map(keyOf));
    return page.map((build) => found.of(keyOf(build)) ?? build);
  }
}

interface StateFigures {
  attempts: number;
  failed: number;
  readonly durations: DurationHistogram;
}

/** Adds up builds and failures, in memory that does not grow with their number. */
class Figures {
  readonly #byStatus: Partial<Record<BuildStatus, number>> = {};
  readonly #states = new Map<number, StateFigures>();
  readonly #failures = new Map<string, { -readonly [Field in keyof FailureStats]: FailureStats[Field] }>();

  /** A build's own item, or that in the list. */
  addBuild(build: Item): void {
    const status = statusOf(build);
    this.#byStatus[status] = (this.#byStatus[status] ?? 0) + 1;
    for (const summary of endedOf(build)) {
      const { state, status, durationMs } = readSummary(summary);
      const figures = this.#stateOf(state);
      figures.attempts++;
      if (status === 'completed') figures.durations.add(durationMs);
      if (status === 'failed') figures.failed++;
    }
    if (status !== 'running') return;
    const { attemptStartedAt, currentState } = readBuild(build);
    if (attemptStartedAt !== null) this.#stateOf(currentState).attempts++;
  }

  addFailure(failure: Item): void {
    const failureType = textOf(failure, 'failureType');
    const component = optionalTextOf(failure, 'component');
    const group = JSON.stringify([component, failureType]);
    const figures = this.#failures.get(group) ?? { component, failureType, count: 0, unresolved: 0 };
    figures.count++;
    if (!isResolved(failure)) figures.unresolved++;
    this.#failures.set(group, figures);
  }

  stats(): BuildStats {
    const states = [...this.#states].map(([state, { attempts, failed, durations }]) => ({
      state,
      attempts,
      completed: durations.count,
      failed,
      p50Ms: durations.nearestRank(50),
      p95Ms: durations.nearestRank(95),
    }));
    return buildStats({ byStatus: this.#byStatus, states, failures: [...this.#failures.values()], approximate: true });
  }

  #stateOf(state: number): StateFigures {
    const known = this.#states.get(state);
    if (known !== undefined) return known;
    const figures = { attempts: 0, failed: 0, durations: new DurationHistogram() };
    this.#states.set(state, figures);
    return figures;
  }
}
