import { unwrap } from '@vivarium/core';
import type { Client } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, tally, together } from './answers.ts';
import { failuresOf, makeReferences, second, statesOf } from './builds-making.ts';
import { catalogOf, packerManifest } from './every-build-call.ts';
import { fakeClock } from './fake-clock.ts';
import { everything } from './paging.ts';
import { inEveryOrder, untilSettled } from './races.ts';
import type { Suite, SuiteOptions } from './suite.ts';

const failure = { failureType: 'provisioner', errorMessage: 'exit status 1' };
const minute = 60_000;

/** Many workers on one build, in two storages on one database. */
export function testBuildRaces(suite: Suite): void {
  describe('races of builds', () => {
    test.each([2, 24])('of %i workers that complete one milestone exactly one does', async (workers) => {
      const { both, start } = await racers();
      for (let round = 0; round < 5; round++) {
        const id = await start();
        for (const state of [5, 100]) {
          await unwrap(both(0).builds.states.enter(id, { state }));
          const answers = await together(workers, (index) => codeOf(both(index).builds.states.complete(id, { state })));
          expect(tally(answers)).toEqual({ ok: 1, illegal_transition: workers - 1 });
        }
        const build = await unwrap(both(0).builds.get(id));
        expect(build).toMatchObject({ status: 'completed', attempts: 2, version: 5 });
        expect((await statesOf(both(1), id)).map(({ status }) => status)).toEqual(['completed', 'completed']);
        expect(await entriesOf(both(0), id)).toBe(5);
      }
    });

    test('of 24 workers that enter one milestone, or say that it has failed, exactly one does', async () => {
      const { both, start } = await racers();
      const id = await start();
      const entered = await together(24, (index) => codeOf(both(index).builds.states.enter(id, { state: 25 })));
      expect(tally(entered)).toEqual({ ok: 1, illegal_transition: 23 });
      const failed = await together(24, (index) =>
        codeOf(both(index).builds.states.fail(id, { ...failure, errorMessage: `${index}` })),
      );
      expect(tally(failed)).toEqual({ ok: 1, illegal_transition: 23 });
      const errorMessage = `${failed.indexOf('ok')}`;
      expect(await failuresOf(both(0), id)).toMatchObject([{ errorMessage, retryAttempt: 0 }]);
      expect(await statesOf(both(0), id)).toMatchObject([{ status: 'failed', errorMessage }]);
      const resumed = await together(24, (index) => codeOf(both(index).builds.resume(id)));
      expect(tally(resumed)).toEqual({ ok: 1, illegal_transition: 23 });
      expect(await unwrap(both(1).builds.get(id))).toMatchObject({ retryCount: 1, attempts: 2, version: 4 });
    });

    test('of workers that enter different milestones, each goes ahead of those before it, or not at all', async () => {
      const { both, start } = await racers();
      const id = await start();
      const answers = await together(21, async (index) => {
        const state = 5 * ((index * 8) % 21);
        return { state, code: await untilSettled(() => codeOf(both(index).builds.states.enter(id, { state }))) };
      });
      const entered = answers.filter(({ code }) => code === 'ok').map(({ state }) => state);
      expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(['ok', 'illegal_transition']));
      const states = await statesOf(both(0), id);
      expect(states.map(({ state }) => state)).toEqual(entered.toSorted((a, b) => a - b));
      expect(states.map(({ status }) => status)).toEqual(
        states.map((_, index) => (index < states.length - 1 ? 'completed' : 'started')),
      );
      expect(states.map(({ sequence }) => sequence)).toEqual(states.map((_, index) => index + 1));
    });

    test('a build that is resumed and canceled at once is canceled, and what was resumed has ended with it', async () => {
      const { both, start } = await racers();
      for (let round = 0; round < 12; round++) {
        const id = await start();
        await unwrap(both(0).builds.states.enter(id, { state: 5 }));
        await unwrap(both(0).builds.states.fail(id, failure));
        const [resumed, canceled, other] = await inEveryOrder(round, [
          () => codeOf(both(0).builds.resume(id)),
          () => codeOf(both(1).builds.cancel(id)),
          ...(round % 2 === 0 ? [] : [() => codeOf(both(1).builds.resume(id))]),
        ]);
        expect(canceled).toBe('ok');
        const tries = [resumed, other].filter((code) => code === 'ok').length;
        expect(tries).toBeLessThanOrEqual(1);
        expect(
          [resumed, other].filter((code) => code !== undefined && code !== 'ok' && code !== 'illegal_transition'),
        ).toEqual([]);
        const build = await unwrap(both(0).builds.get(id));
        expect(build).toMatchObject({ status: 'canceled', attempts: 1 + tries, retryCount: tries, version: 4 + tries });
        const states = await statesOf(both(0), id);
        expect(states.map(({ status }) => status)).toEqual([
          'failed',
          ...Array.from({ length: tries }, () => 'canceled'),
        ]);
        expect(states.every(({ endTime }) => endTime !== null)).toBe(true);
      }
    });

    test('of a milestone that is completed and failed at once one happens', async () => {
      const { both, start } = await racers();
      for (let round = 0; round < 12; round++) {
        const id = await start();
        await unwrap(both(0).builds.states.enter(id, { state: 100 }));
        const answers = await inEveryOrder(round, [
          () => codeOf(both(0).builds.states.complete(id, { state: 100 })),
          () => codeOf(both(1).builds.states.fail(id, failure)),
        ]);
        expect(answers.toSorted()).toEqual(['illegal_transition', 'ok']);
        const status = answers[0] === 'ok' ? 'completed' : 'failed';
        expect((await unwrap(both(0).builds.get(id))).status).toBe(status);
        expect(await statesOf(both(0), id)).toMatchObject([{ status }]);
        expect(await failuresOf(both(0), id)).toHaveLength(status === 'failed' ? 1 : 0);
      }
    });

    test('one number has one build, whether it is started or imported', async () => {
      const { both, given } = await racers();
      const history = {
        status: 'failed',
        createdAt: second(0),
        states: [{ state: 0, status: 'failed', startTime: second(0), endTime: second(1) }],
      } as const;
      for (const buildNumber of ['1', '2', '3']) {
        const answers = await together(24, (index) =>
          codeOf(
            index % 3 === 0
              ? both(index).builds.import({ buildNumber, ...given, ...history })
              : both(index).builds.start({ buildNumber, ...given }),
          ),
        );
        expect(tally(answers)).toEqual({ ok: 1, build_number_taken: 23 });
        const build = await unwrap(both(0).builds.getByNumber(buildNumber));
        expect(await statesOf(both(0), build.id)).toHaveLength(build.attempts);
      }
      expect(await everything((page) => both(0).builds.list(page))).toHaveLength(3);
      expect((await unwrap(both(0).builds.stats())).total).toBe(3);
    });

    test.each(['platforms', 'osVersions', 'imageTypes'] as const)(
      '%s: an entry is deleted, or a build refers to it, never both',
      async (list) => {
        const { both } = await racers();
        const reference = { platforms: 'platformId', osVersions: 'osVersionId', imageTypes: 'imageTypeId' } as const;
        for (let round = 0; round < 10; round++) {
          const given = await makeReferences(both(0), `round ${round}`);
          const entry = given[reference[list]];
          const answers = await inEveryOrder(round, [
            () => codeOf(catalogOf(both(0), list).delete(entry)),
            () => codeOf(both(1).builds.start({ buildNumber: `${round}`, ...given })),
            ...(round % 2 === 0 ? [] : [() => codeOf(both(0).builds.start({ buildNumber: `${round} too`, ...given }))]),
          ]);
          const [deleted, ...started] = answers;
          expect(new Set(started).size, `${answers.join()}`).toBe(1);
          expect([
            ['ok', 'not_found'],
            ['in_use', 'ok'],
          ]).toContainEqual([deleted, started[0]]);
          expect(await codeOf(catalogOf(both(0), list).get(entry))).toBe(deleted === 'ok' ? 'not_found' : 'ok');
        }
      },
    );

    test('no build is of a project that is gone', async () => {
      const { both, given } = await racers();
      for (let round = 0; round < 10; round++) {
        const { id: projectId } = await unwrap(both(0).projects.create({ name: `P ${round}` }));
        const earlier = await unwrap(both(0).builds.start({ buildNumber: `${round} earlier`, projectId, ...given }));
        const [deleted, started, entered, defined] = await inEveryOrder(round, [
          () => codeOf(both(0).projects.delete(projectId)),
          () => codeOf(both(1).builds.start({ buildNumber: `${round}`, projectId, ...given })),
          () => codeOf(both(1).builds.states.enter(earlier.id, { state: 5 })),
          () => codeOf(both(0).builds.milestonePlans.define({ projectId, milestones: [100] })),
        ]);
        expect([deleted, entered]).toEqual(['ok', 'ok']);
        expect(['ok', 'not_found']).toContain(started);
        expect(['ok', 'not_found']).toContain(defined);
        expect(await codeOf(both(0).builds.getByNumber(`${round}`))).toBe(started);
        expect(await unwrap(both(0).builds.get(earlier.id))).toMatchObject({ projectId: null, status: 'running' });
        expect((await unwrap(both(1).builds.list({ projectId }))).items).toEqual([]);
        expect(await codeOf(both(0).builds.milestonePlans.get({ projectId }))).toBe('not_found');
      }
      expect((await everything((page) => both(0).builds.list(page))).every(({ projectId }) => projectId === null)).toBe(
        true,
      );
    });

    test('24 clients that define a plan make the versions 1 to 24, without a gap', async () => {
      const { both } = await racers();
      const { id: projectId } = await unwrap(both(0).projects.create({ name: 'P' }));
      const answers = await together(24, (index) =>
        untilSettled(() => codeOf(both(index).builds.milestonePlans.define({ projectId, milestones: [index, 100] }))),
      );
      expect(tally(answers)).toEqual({ ok: 24 });
      const defined = [];
      for (let version = 1; version <= 24; version++) {
        const plan = await unwrap(both(version).builds.milestonePlans.get({ projectId, version }));
        expect(plan.version).toBe(version);
        defined.push(plan.milestones[0]!.state);
      }
      expect(defined.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, index) => index));
      expect(await codeOf(both(0).builds.milestonePlans.get({ projectId, version: 25 }))).toBe('not_found');
      expect((await unwrap(both(0).builds.milestonePlans.get({ projectId }))).version).toBe(24);
    });

    test('a sign of life and a sweep at once: the build lives, or its worker hears that it has failed', async () => {
      const clock = fakeClock();
      const { both, start } = await racers({ clock });
      for (let round = 0; round < 24; round++) {
        const id = await start(minute);
        await unwrap(both(0).builds.states.enter(id, { state: 0 }));
        clock.advance(minute);
        // The sign of life comes a little later every time: somewhere between what sweep reads and what it writes.
        const late = async () => {
          for (let turn = 0; turn < round * 3; turn++) await Promise.resolve();
          return codeOf(both(0).builds.heartbeat(id));
        };
        const [beaten, ...swept] = await Promise.all([
          late(),
          outcomeOf(both(1)),
          ...(round % 2 === 0 ? [] : [outcomeOf(both(0))]),
        ]);
        const build = await unwrap(both(0).builds.get(id));
        const lives = beaten === 'ok';
        expect([beaten, build.status, build.version]).toEqual(
          lives ? ['ok', 'running', 2] : ['illegal_transition', 'failed', 3],
        );
        expect(swept.filter((outcome) => outcome === 'done')).toHaveLength(lives ? 0 : 1);
        expect(await failuresOf(both(0), id)).toHaveLength(lives ? 0 : 1);
        if (lives) await unwrap(both(0).builds.cancel(id));
      }
    });

    test('signs of life, manifests and moves at once take nothing from one another', async () => {
      const clock = fakeClock();
      const { both, start } = await racers({ clock });
      const id = await start();
      await unwrap(both(0).builds.states.enter(id, { state: 0 }));
      clock.advance(1);
      const answers = await together(24, (index) => {
        if (index % 3 === 0) return codeOf(both(index).builds.heartbeat(id));
        const manifest = { ...packerManifest, by: index };
        if (index % 3 === 1) return untilSettled(() => codeOf(both(index).builds.attachPackerManifest(id, manifest)));
        return untilSettled(() => codeOf(both(index).builds.states.enter(id, { state: 5 * index })));
      });
      const [attached, entered] = [1, 2].map(
        (kind) => answers.filter((code, index) => index % 3 === kind && code === 'ok').length,
      ) as [number, number];
      expect(attached).toBe(8);
      expect(entered).toBeGreaterThanOrEqual(1);
      expect(answers.filter((_, index) => index % 3 === 0)).toEqual(Array.from({ length: 8 }, () => 'ok'));
      const build = await unwrap(both(0).builds.get(id));
      expect(build).toMatchObject({ version: 2 + attached + entered, attempts: 1 + entered, heartbeatAt: clock.now() });
      expect(build.packerManifest).toMatchObject({ by: expect.any(Number) });
      expect(await statesOf(both(1), id)).toHaveLength(1 + entered);
      expect(await entriesOf(both(0), id)).toBe(build.version);
    });

    test('a failure that many resolve is resolved by one of them', async () => {
      const { both, start } = await racers();
      const id = await start();
      await unwrap(both(0).builds.states.enter(id, { state: 0 }));
      await unwrap(both(0).builds.states.fail(id, failure));
      const [open] = await failuresOf(both(0), id);
      const answers = await together(24, (index) =>
        codeOf(both(index).builds.resolveFailure(open!.id, { notes: `${index}` })),
      );
      expect(tally(answers)).toEqual({ ok: 1, illegal_transition: 23 });
      expect((await failuresOf(both(1), id))[0]).toMatchObject({
        resolved: true,
        resolutionNotes: `${answers.indexOf('ok')}`,
      });
    });
  });

  async function racers(options: SuiteOptions = {}) {
    const org = suite.newOrg();
    const storages = [suite.harness.storage, await suite.other()];
    const vivaria = storages.map((storage) => suite.vivarium({ ...options, storage }));
    const both = (index: number): Client<unknown> =>
      vivaria[index % 2]!.as({ org, type: 'user', id: `client ${index}` });
    const given = await makeReferences(both(0));
    let builds = 0;
    const start = async (heartbeatTimeoutMs?: number) => {
      const wanted = { buildNumber: `build ${++builds}`, ...given, heartbeatTimeoutMs };
      return (await unwrap(both(0).builds.start(wanted))).id;
    };
    return { both, given, start };
  }
}

/** How many entries the journal has of a build. */
async function entriesOf(client: Client<unknown>, id: string): Promise<number> {
  return (await everything((page) => client.journal.list({ subject: { type: 'build', id }, ...page }))).length;
}

/** What a sweep did to the only build that is due. */
async function outcomeOf(client: Client<unknown>): Promise<string> {
  const swept = await unwrap(client.builds.sweep());
  return swept[0]?.outcome ?? 'nothing due';
}
