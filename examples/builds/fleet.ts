/** Builds that a team might have run in four weeks, made from a seed: the same ones each time. */
import { builtInMilestones } from '@vivarium/core';
import type { BuildHistory, ImportedFailure, ImportedState } from '@vivarium/core';

import type { ExampleCatalog } from './catalog.ts';

/** What goes wrong where, how often, and how long a milestone takes when nothing does. */
const steps: readonly {
  readonly until: number;
  readonly minutes: number;
  readonly failures: number;
  readonly component: string;
  readonly failureType: string;
  readonly errorMessage: string;
}[] = [
  {
    until: 15,
    minutes: 0.6,
    failures: 0.006,
    component: 'network',
    failureType: 'connection_timeout',
    errorMessage: 'Timeout waiting for SSH.',
  },
  {
    until: 45,
    minutes: 2.5,
    failures: 0.02,
    component: 'yum',
    failureType: 'provisioner_failed',
    errorMessage: 'Cannot reach the mirror',
  },
  {
    until: 70,
    minutes: 4,
    failures: 0.012,
    component: 'ansible',
    failureType: 'provisioner_failed',
    errorMessage: 'A task of role hardening failed',
  },
  {
    until: 100,
    minutes: 1.5,
    failures: 0.008,
    component: 'capture',
    failureType: 'builder_failed',
    errorMessage: 'The snapshot did not become available',
  },
];

const day = 86_400_000;
const minute = 60_000;

export function historiesOf(catalog: ExampleCatalog, count: number, seed: number): BuildHistory[] {
  const random = seeded(seed);
  const begin = Date.now() - 29 * day;
  return Array.from({ length: count }, (_, i) => {
    const createdAt = new Date(begin + Math.floor((i / count) * 28 * day));
    const platform = pick(catalog.platforms, random);
    const image = pick(catalog.imageTypes, random);
    const slowness = (platform.name === 'azure' ? 1.6 : 1) * (image.name === 'hana' ? 2 : 1);
    return {
      buildNumber: `fleet-${String(i + 1).padStart(3, '0')}`,
      platformId: platform.id,
      osVersionId: pick(catalog.osVersions, random).id,
      imageTypeId: image.id,
      createdAt,
      ...lifeOf(createdAt, slowness, random),
    };
  });
}

/** Three tries at a milestone, then the team gives up: the build stays failed, or is canceled. */
function lifeOf(
  createdAt: Date,
  slowness: number,
  random: () => number,
): Pick<BuildHistory, 'status' | 'endTime' | 'states' | 'failures'> {
  const states: ImportedState[] = [];
  const failures: ImportedFailure[] = [];
  let now = createdAt.getTime() + minute;
  for (const { state } of builtInMilestones) {
    const step = steps.find(({ until }) => state <= until)!;
    for (let retryCount = 0; ; retryCount++) {
      const startTime = new Date(now);
      now += Math.ceil(step.minutes * slowness * minute * (0.5 + random() ** 3 * 3));
      const endTime = new Date(now);
      if (random() >= step.failures * (retryCount + 1)) {
        states.push({ state, status: 'completed', startTime, endTime, retryCount });
        break;
      }
      const { errorMessage, failureType, component } = step;
      states.push({ state, status: 'failed', startTime, endTime, errorMessage, retryCount });
      const resolved = random() < 0.6;
      failures.push({
        state,
        retryAttempt: retryCount,
        failureType,
        errorMessage,
        component,
        createdAt: endTime,
        resolved,
        ...(resolved && { resolutionNotes: 'tried again', resolvedAt: endTime }),
      });
      if (retryCount === 2 || random() < 0.25) {
        const canceled = random() < 0.3;
        return canceled
          ? { status: 'canceled', endTime: new Date(now + minute), states, failures }
          : { status: 'failed', states, failures };
      }
      now += 10 * minute;
    }
  }
  return { status: 'completed', states, failures };
}

function pick<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)]!;
}

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
