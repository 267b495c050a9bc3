import { createVivarium, unwrap } from '@vivarium/core';
import type { BuildStats, Client } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import type { Storage } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { fakeClock, seededRandom, sequentialIds } from '@vivarium/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dynamodbStorage } from '../src/index.ts';
import { clientAt, injectConflicts, makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

const steps = 350;
const statuses = [undefined, 'pending', 'running', 'failed', 'completed', 'canceled'] as const;

/** Does things with builds. What it does depends on the seed and on the answers alone, so that two that get the same answers do the same. */
class Worker {
  readonly ada: Client;
  readonly projects: string[] = [];
  readonly platforms: string[] = [];
  readonly builds: string[] = [];
  readonly #clock = fakeClock('2026-03-01T10:00:00.000Z');
  readonly #random;
  readonly #osVersions: string[] = [];
  readonly #imageTypes: string[] = [];

  constructor(storage: Storage, org: string, seed: number) {
    this.#random = seededRandom(seed);
    const vivarium = createVivarium({ storage, clock: this.#clock, ids: sequentialIds(seed) });
    this.ada = vivarium.as({ org, type: 'user', id: 'ada' });
  }

  async begin(): Promise<void> {
    const { catalog } = this.ada.builds;
    for (const name of ['one', 'two']) {
      this.platforms.push(unwrap(await catalog.platforms.create({ name, cloudProvider: 'aws' })).id);
      const osVersion = { name, osFamily: 'rhel', majorVersion: 8 };
      this.#osVersions.push(unwrap(await catalog.osVersions.create(osVersion)).id);
      this.#imageTypes.push(unwrap(await catalog.imageTypes.create({ name })).id);
    }
    for (const name of ['Shop', 'Bank', 'Mill']) {
      this.projects.push(unwrap(await this.ada.projects.create({ name })).id);
    }
  }

  /** Does something, and tells what came of it. */
  async step(index: number): Promise<unknown> {
    const random = this.#random;
    const { builds } = this.ada;
    // Some things happen in the same millisecond.
    this.#clock.advance(random.integer(3) === 0 ? 0 : random.integer(100_000));
    const build = random.pick(this.builds.length === 0 ? ['none'] : this.builds.slice(-12));
    const key = random.integer(4) === 0 ? { idempotencyKey: `key ${random.integer(20)}` } : {};
    const state = random.pick([100, 5 * random.integer(20), 5 * random.integer(6)]);
    switch (random.integer(13)) {
      case 0:
        return this.#made(builds.start({ buildNumber: `b-${random.integer(300)}`, ...this.#references(), ...key }));
      case 1:
        return this.#made(builds.import({ buildNumber: `i-${index}`, ...this.#history(), ...this.#references() }));
      case 2:
      case 3:
      case 4:
        return told(builds.states.enter(build, { state, ...key }));
      case 5: {
        const found = await builds.get(build);
        return told(builds.states.complete(build, { state: found.isOk() ? found.value.currentState : 0, ...key }));
      }
      case 6:
      case 7:
        return told(
          builds.states.fail(build, {
            failureType: random.pick(['provisioner', 'quota']),
            component: random.pick([null, 'ansible', 'disk']),
            errorMessage: 'no',
            errorDetails: random.pick([null, { exit: 1, nested: { deep: ['é', 2.5, null] } }]),
            ...key,
          }),
        );
      case 8:
        return told(builds.resume(build, key));
      case 9:
        return told(random.integer(3) === 0 ? builds.cancel(build) : builds.heartbeat(build));
      case 10: {
        const { items } = unwrap(await builds.listFailures({ resolved: random.integer(3) === 0, limit: 20 }));
        const failure = items.length === 0 ? build : random.pick(items).id;
        return told(builds.resolveFailure(failure, { notes: 'more of it' }));
      }
      case 11:
        if (random.integer(3) > 0) return told(builds.sweep({ limit: 3 }));
        return told(
          builds.milestonePlans.define({
            projectId: random.pick(this.projects),
            milestones: state === 100 ? [100] : [state, { state: 100, name: 'delivered' }],
          }),
        );
      default:
        if (random.integer(3) > 0) return told(builds.attachPackerManifest(build, manifestOf(index)));
        return random.integer(4) > 0
          ? this.#changeCatalog(index)
          : told(this.ada.projects.delete(random.pick(this.projects)));
    }
  }

  async #made(answer: Answer): Promise<unknown> {
    const outcome = await told(answer);
    if ('id' in outcome) this.builds.push(outcome.id as string);
    return outcome;
  }

  #references() {
    const random = this.#random;
    return {
      projectId: random.pick([null, ...this.projects]),
      platformId: random.pick(this.platforms),
      osVersionId: random.pick(this.#osVersions),
      imageTypeId: random.pick(this.#imageTypes),
    };
  }

  /** It failed so often that not all of its histories fit into a transaction. */
  #history() {
    const tries = this.#random.pick([0, 1, 3, 40]);
    const begin = this.#clock.now().getTime() - this.#random.pick([10_000, 5_000_000]);
    const at = (second: number) => new Date(begin + second);
    return {
      status: tries === 0 ? ('pending' as const) : ('failed' as const),
      createdAt: at(0),
      states: Array.from({ length: tries }, (_, i) => ({
        state: 100,
        status: 'failed' as const,
        startTime: at(10 * i),
        endTime: at(10 * i + 7),
        errorMessage: i % 2 === 0 ? 'no' : '',
      })),
      failures: Array.from({ length: tries }, (_, i) => ({
        state: 100,
        retryAttempt: i,
        failureType: 'imported',
        errorMessage: 'no',
        createdAt: at(10 * i + (i % 2)),
        resolved: i % 3 === 0,
      })),
    };
  }

  async #changeCatalog(index: number): Promise<unknown> {
    const { platforms } = this.ada.builds.catalog;
    const name = `name ${this.#random.integer(6)}`;
    if (this.#random.integer(3) === 0) {
      const created = await told(platforms.create({ name, cloudProvider: 'gcp', region: `region ${index}` }));
      if ('id' in created) this.platforms.push(created.id as string);
      return created;
    }
    const platform = this.#random.pick(this.platforms);
    return told(this.#random.integer(2) === 0 ? platforms.update(platform, { name }) : platforms.delete(platform));
  }
}

async function told(answer: Answer): Promise<object> {
  const result = await answer;
  return result.isOk() ? ((result.value as object | undefined) ?? {}) : { ...(result.error as object) };
}

const manifestOf = (index: number) => ({
  builds: [{ name: 'ami', builder_type: 'amazon-ebs', artifact_id: `ami-${index}`, packer_run_uuid: 'run', new: [1] }],
  last_run_uuid: 'run',
});

type Page = { readonly limit: number; readonly cursor?: string };

async function pagesOf(ask: (page: Page) => Answer, limit = 3): Promise<unknown[]> {
  const pages: unknown[] = [];
  for (let cursor: string | null = null; ;) {
    const page = (await told(ask({ limit, ...(cursor === null ? {} : { cursor }) }))) as { nextCursor?: string | null };
    pages.push(page);
    cursor = page.nextCursor ?? null;
    if (cursor === null) return pages;
  }
}

/** All that can be asked about builds, in small pages. */
async function everythingOf({ ada, projects, platforms, builds: ids }: Worker): Promise<unknown> {
  const { builds } = ada;
  const seen: unknown[] = [];
  for (const status of statuses) {
    for (const projectId of [undefined, ...projects]) {
      seen.push(await pagesOf((page) => builds.list({ projectId, status, ...page }), 7));
    }
  }
  for (const platformId of platforms) seen.push(await pagesOf((page) => builds.list({ platformId, ...page })));
  for (const filter of [
    {},
    { resolved: true },
    { failureType: 'quota' },
    { component: 'disk', resolved: false },
    { failureType: 'heartbeat_missed' },
  ]) {
    seen.push(await pagesOf((page) => builds.listFailures({ ...filter, ...page }), 20));
  }
  for (const id of ids) {
    seen.push(
      await told(builds.get(id)),
      await told(builds.planResume(id)),
      await pagesOf((page) => builds.listStates(id, page), 9),
      await pagesOf((page) => builds.listFailures({ buildId: id, ...page })),
      await pagesOf((page) => builds.listFailures({ buildId: id, resolved: false, ...page })),
    );
  }
  for (const projectId of projects) seen.push(await told(builds.milestonePlans.get({ projectId })));
  seen.push(await pagesOf((page) => builds.catalog.platforms.list(page), 2));
  for (const name of ['ONE', 'name 1', 'name 2']) seen.push(await told(builds.catalog.platforms.getByName(name)));
  seen.push(await told(builds.getByNumber('b-1')), await told(builds.sweep({ dryRun: true })));
  seen.push(await pagesOf((page) => ada.journal.list(page), 100));
  return seen;
}

/** Figures as they are, and their percentiles apart. */
function apart({ states, approximate: _approximate, ...figures }: BuildStats) {
  return {
    exact: { ...figures, states: states.map(({ p50Ms: _p50, p95Ms: _p95, ...counts }) => counts) },
    percentiles: states.flatMap(({ p50Ms, p95Ms }) => [p50Ms, p95Ms]),
  };
}

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] builds', () => {
    let bench: Bench;
    const disturbed = clientAt(engine.url);
    beforeAll(async () => {
      bench = await makeBench(engine.url);
      injectConflicts(disturbed, 0.2);
    });
    afterAll(async () => {
      disturbed.destroy();
      await bench.close();
    });

    test.each([
      [1, 'undisturbed'],
      [2, 'undisturbed'],
      [3, 'with 20 % conflicts'],
    ])('are as in memory, whatever happens to them: seed %i, %s', { timeout: 60_000 }, async (seed, how) => {
      const storage =
        how === 'undisturbed' ? bench.storage : dynamodbStorage({ client: disturbed, table: bench.table });
      const [model, worker] = [
        new Worker(memoryStorage(), `like-${seed}`, seed),
        new Worker(storage, `like-${seed}`, seed),
      ];
      for (const one of [model, worker]) await one.begin();
      const outcomes = new Set<string>();
      for (let i = 0; i < steps; i++) {
        const expected = await model.step(i);
        expect([i, await worker.step(i)]).toEqual([i, expected]);
        outcomes.add((expected as { status?: string; code?: string }).status ?? 'other');
      }
      expect([...outcomes].sort()).toEqual(['canceled', 'completed', 'failed', 'other', 'pending', 'running']);
      expect(await everythingOf(worker)).toEqual(await everythingOf(model));

      const from = new Date('2026-03-01T11:00:00.000Z');
      const to = new Date('2026-03-01T13:00:00.000Z');
      for (const filter of [
        {},
        { from, to },
        { to: from },
        { platformId: model.platforms[0] },
        ...model.projects.map((projectId) => ({ projectId, from })),
      ]) {
        const expected = apart(unwrap(await model.ada.builds.stats(filter)));
        const stats = unwrap(await worker.ada.builds.stats(filter));
        const { exact, percentiles } = apart(stats);
        expect(stats.approximate).toBe(true);
        expect(exact).toEqual(expected.exact);
        for (const [i, percentile] of percentiles.entries()) {
          const wanted = expected.percentiles[i]!;
          expect(percentile === null).toBe(wanted === null);
          expect(Math.abs((percentile ?? 0) - (wanted ?? 0))).toBeLessThanOrEqual((wanted ?? 0) / 100);
        }
      }
    });
  });
});
