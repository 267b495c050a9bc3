import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createVivarium, finalStates, pendingStates, unwrap } from '@vivarium/core';
import type { Client, Instance, PipelineStart, Storage } from '@vivarium/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { everyChange } from './crash-worker.ts';
import type { CrashScene } from './crash-worker.ts';
import { seededRandom } from './seeded-random.ts';

/** What `describeCrashes` needs of an engine. */
export interface CrashHarness {
  /** A migrated storage on the same database as the workers'. */
  readonly storage: Storage<never>;
  /**
   * A program that opens its own storage and calls `workUntilKilled` with the scene in its last argument (JSON), printing `busy` when told. With its other
   * arguments.
   */
  readonly worker: readonly [program: string, ...args: string[]];
  close(): Promise<void>;
}

/** How many live at once: few, so that a place that was lost would soon be missed. */
const capacity = 12;

/**
 * Kills a process with SIGKILL in the middle of state changes, `kills` times, and looks each time at what it left: every instance has its whole
 * history, no place is lost, and `sweep` brings every instance to a settled state, calling the runner again under the id that it was
 * first called with.
 */
export function describeCrashes(name: string, makeHarness: () => Promise<CrashHarness>, kills = 20): void {
  describe(`[${name}] a process killed in the middle of state changes`, () => {
    const orgId = 'crash # org';
    let harness: CrashHarness;
    let typeId: string;
    let now = Date.now();
    const started: PipelineStart[] = [];
    /** How much the run has seen. */
    const figures = { startedByTheKilled: 0, leftPending: 0, calledAgain: 0, timedOut: 0, placesLeftTaken: 0 };
    const seen = new Map<string, number>();
    const client = (): Client =>
      createVivarium({
        storage: harness.storage,
        clock: { now: () => new Date(now) },
        pipelines: {
          start: async (start) => {
            started.push(start);
            return {};
          },
          cancel: async () => undefined,
        },
      }).as({ org: orgId, type: 'system', id: 'survivor' });

    beforeAll(async () => {
      harness = await makeHarness();
      const { types } = client().ephemeral;
      const actions = everyChange.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'pipeline.yml' }));
      const type = unwrap(await types.create({ name: 'Crash', maxNumberOfInstances: capacity, actions }));
      unwrap(await types.publish(type.id));
      typeId = type.id;
    });
    afterAll(() => harness.close());

    const timeout = 60_000 + kills * 15_000;
    it(`leaves nothing that a sweep does not settle, ${kills} times`, { timeout }, async ({ annotate }) => {
      const random = seededRandom(20_260_101);
      const from = performance.now();
      for (let kill = 0; kill < kills; kill++) {
        await killedAtWork({ orgId, typeId, seed: kill }, random.integer(150));
        now = Date.now();
        const left = await everyInstance();
        await historyIsWhole(left, `kill ${kill}`);
        for (const { id, changeSequence } of left) {
          figures.startedByTheKilled += changeSequence - (seen.get(id) ?? 0);
          seen.set(id, changeSequence);
        }
        await settles(left, `kill ${kill}`);
        await historyIsWhole(await everyInstance(), `kill ${kill}, swept`);
      }
      const seconds = Math.round((performance.now() - from) / 1_000);
      await annotate(`${kills} kills in ${seconds} s: ${JSON.stringify(figures)}`);
      expect(figures.startedByTheKilled, 'changes that the killed processes started').toBeGreaterThan(0);
      expect(figures.leftPending, 'changes that they left pending').toBeGreaterThan(0);
    });

    async function killedAtWork(scene: CrashScene, pauseMs: number): Promise<void> {
      const [program, ...args] = harness.worker;
      const child: ChildProcess = spawn(process.execPath, [program, ...args, JSON.stringify(scene)], {
        stdio: ['ignore', 'pipe', 'inherit'],
        // They all start alike, which takes the longest.
        env: { NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'), ...process.env },
      });
      const gone = once(child, 'exit');
      await Promise.race([once(child.stdout!, 'data'), gone]);
      expect(child.exitCode, 'the worker ended by itself').toBeNull();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      child.kill('SIGKILL');
      await gone;
      await quiet();
    }

    /** A statement that the server was running for it still ends, which may take a while: until two looks in a row show the same. */
    async function quiet(): Promise<void> {
      const look = async () => {
        const { liveInstances } = unwrap(await client().ephemeral.types.get(typeId));
        return JSON.stringify([liveInstances, await everyInstance()]);
      };
      for (let before = '', now = await look(); now !== before;) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        [before, now] = [now, await look()];
      }
    }

    async function everyInstance(): Promise<readonly Instance[]> {
      const all: Instance[] = [];
      let cursor: string | undefined;
      do {
        const page = unwrap(await client().ephemeral.instances.list({ typeId, limit: 100, cursor }));
        all.push(...page.items);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      return all;
    }

    async function historyIsWhole(instances: readonly Instance[], when: string): Promise<void> {
      const live = instances.filter(({ state }) => !finalStates.has(state));
      const type = unwrap(await client().ephemeral.types.get(typeId));
      expect(type.liveInstances, `${when}: places taken`).toBe(live.length);
      expect(live.length, `${when}: capacity`).toBeLessThanOrEqual(capacity);

      for (const instance of instances) {
        const page = unwrap(await client().ephemeral.stateChanges.list({ instanceId: instance.id, limit: 100 }));
        const changes = [...page.items].reverse();
        const sequences = changes.map(({ sequence }) => sequence);
        const last = changes.at(-1);
        const what = `${when}: history of ${instance.name}`;
        expect(sequences, what).toEqual(Array.from({ length: instance.changeSequence }, (_, n) => n + 1).slice(-100));
        expect(
          changes.slice(0, -1).every(({ result }) => result !== 'pending'),
          what,
        ).toBe(true);
        expect(last?.result === 'pending' ? last.id : null, what).toBe(instance.pendingChangeId);
        if (last !== undefined && last.result !== 'pending') expect(last.nextState, what).toBe(instance.state);
      }
    }

    async function settles(left: readonly Instance[], when: string): Promise<void> {
      const pending = left.flatMap(({ pendingChangeId }) => (pendingChangeId === null ? [] : [pendingChangeId]));
      const unanswered = new Set<string>();
      for (const id of pending) {
        if (unwrap(await client().ephemeral.stateChanges.get(id)).acceptedAt === null) unanswered.add(id);
      }

      figures.leftPending += pending.length;
      figures.calledAgain += unanswered.size;
      figures.timedOut += pending.length - unanswered.size;
      figures.placesLeftTaken += left.filter(({ state }) => !finalStates.has(state)).length;

      started.length = 0;
      now += 31_000;
      unwrap(await client().ephemeral.sweep({ limit: 1_000 }));
      expect(new Set(started.map(({ stateChange }) => stateChange.id)), `${when}: called again`).toEqual(unanswered);
      for (const { stateChange, token } of started) {
        const told = { stateChangeId: stateChange.id, token, result: 'passed' } as const;
        unwrap(await client().ephemeral.stateChanges.complete(told));
      }

      now += 3_600_000;
      unwrap(await client().ephemeral.sweep({ limit: 1_000 }));
      const unsettled = (await everyInstance()).filter(({ pendingChangeId }) => pendingChangeId !== null);
      expect(unsettled, `${when}: unsettled`).toEqual([]);
      for (const { id, state, endedAt } of await everyInstance()) {
        if (endedAt !== null) unwrap(await client().ephemeral.instances.remove(id));
        else expect(pendingStates.has(state), when).toBe(false);
      }
    }
  });
}
