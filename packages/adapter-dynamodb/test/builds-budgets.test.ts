import { randomUUID } from 'node:crypto';

import { unwrap } from '@vivarium/core';
import type { BuildHistory, Client } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { dynamodbStorage } from '../src/index.ts';
import { clientAt, makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

/** As long as names and what is said of failures usually are. */
const buildNumber = () => `rhel-8.8-hana-aws-2026.03.01-${randomUUID().slice(0, 8)}`;
const failure = {
  failureType: 'provisioner_failed',
  component: 'ansible-hana-role',
  errorMessage: 'fatal: [default]: FAILED! => {"changed": false, "msg": "No space left on device"}',
};

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] budgets of builds', () => {
    let bench: Bench;
    let org: string;
    let ada: Client;
    let references: { readonly platformId: string; readonly osVersionId: string; readonly imageTypeId: string };
    let projectId: string;
    let orgs = 0;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());
    beforeEach(async () => {
      org = `org-${++orgs}`;
      ada = bench.as(org);
      const { platforms, osVersions, imageTypes } = ada.builds.catalog;
      references = {
        platformId: unwrap(await platforms.create({ name: 'aws-commercial', cloudProvider: 'aws' })).id,
        osVersionId: unwrap(await osVersions.create({ name: 'rhel-8.8', osFamily: 'rhel', majorVersion: 8 })).id,
        imageTypeId: unwrap(await imageTypes.create({ name: 'hana' })).id,
      };
      projectId = unwrap(await ada.projects.create({ name: 'Shop' })).id;
    });

    const ask = <T>(call: () => T) => bench.traffic(async (): Promise<Awaited<T>> => await call());
    const idempotencyKey = 'a key of some length';

    test('the first build of an entry marks it, each other one leaves the catalog alone', async () => {
      const start = (more: object = {}) =>
        ask(() => ada.builds.start({ buildNumber: buildNumber(), ...references, ...more }));
      for (const [units, more] of [
        [17, {}],
        [11, {}],
        [15, { projectId }],
        [17, { projectId, idempotencyKey }],
      ] as const) {
        const { operations, writeUnits, value } = await start(more);
        expect(value.isOk()).toBe(true);
        expect(operations.filter((operation) => /Write|Update/.test(operation))).toEqual(['TransactWriteItems']);
        expect([units, writeUnits <= units], `${writeUnits}`).toEqual([units, true]);
      }
      // Another process finds out by what it reads.
      const client = clientAt(engine.url);
      const sent: number[] = [];
      client.middlewareStack.add(
        (next, context) => async (args) => {
          if (context.commandName === 'TransactWriteItemsCommand') {
            sent.push((args.input as unknown as { TransactItems: unknown[] }).TransactItems.length);
          }
          return next(args);
        },
        { step: 'initialize' },
      );
      const { builds } = dynamodbStorage({ client, table: bench.table });
      const found = unwrap(await builds.list(org, {}, { limit: 1, after: null })).items[0]!;
      unwrap(await builds.startFacts(org, found));
      const build = { ...found, id: randomUUID(), buildNumber: buildNumber(), projectId: null };
      const at = new Date();
      const subject = { type: 'build', id: build.id };
      const entry = { id: randomUUID(), orgId: org, subject, stream: build.id, sequence: 1, action: 'build.started' };
      const actor = { type: 'user', id: 'ada' };
      const change = { orgId: org, at, entry: { ...entry, actor, at, data: {} }, key: null };
      expect(unwrap(await builds.add({ build, states: [], failures: [], change }))).toEqual({ done: true });
      // The number, the build, its place in the list, the entry and its place in the outbox.
      expect(sent).toEqual([5]);
      client.destroy();
    });

    test('all the way of a build through 21 milestones: a load and one transaction each, of at most so many units', async () => {
      const { id } = unwrap(await ada.builds.start({ buildNumber: buildNumber(), ...references, projectId }));
      const budget = async (
        units: number,
        requests: number,
        call: () => ReturnType<typeof ada.builds.states.enter>,
      ) => {
        const { operations, writeUnits, value } = await ask(call);
        expect(value.isOk()).toBe(true);
        expect(operations).toEqual([...Array.from({ length: requests - 1 }, () => 'GetItem'), 'TransactWriteItems']);
        expect([units, writeUnits <= units], `${writeUnits}`).toEqual([units, true]);
      };
      const { states } = ada.builds;
      await budget(13, 2, () => states.enter(id, { state: 0 }));
      for (let state = 5; state < 50; state += 5) await budget(11, 2, () => states.enter(id, { state }));
      await budget(19, 3, () => states.fail(id, failure));
      await budget(13, 2, () => ada.builds.resume(id));
      await budget(9, 2, () => states.complete(id, { state: 45 }));
      for (let state = 50; state <= 100; state += 5) {
        await budget(state === 50 ? 9 : 11, 2, () => states.enter(id, { state }));
      }
      await budget(13, 3, () => states.complete(id, { state: 100 }));
      expect((await ask(() => ada.builds.get(id))).operations).toEqual(['BatchGetItem']);
      expect((await ask(() => ada.builds.planResume(id))).readUnits).toBeLessThanOrEqual(4);
      const history = await ask(() => ada.builds.listStates(id));
      expect([unwrap(history.value).items.length, history.operations]).toEqual([22, ['Query']]);
      expect(history.readUnits).toBeLessThanOrEqual(2);
    });

    test('a sign of life is one small write', async () => {
      const { id } = unwrap(await ada.builds.start({ buildNumber: buildNumber(), ...references }));
      unwrap(await ada.builds.states.enter(id, { state: 0 }));
      const { operations, writeUnits } = await ask(() => ada.builds.heartbeat(id));
      expect([operations, writeUnits]).toEqual([['UpdateItem'], 1]);
    });

    test('figures and lists of 200 builds', { timeout: 60_000 }, async () => {
      const at = (minute: number) => new Date(Date.UTC(2024, 0, 1, 0, minute));
      const history = (running: boolean): Omit<BuildHistory, 'buildNumber' | keyof typeof references> => {
        const states = Array.from({ length: 22 }, (_, i) => ({
          state: 5 * Math.max(0, i - 1),
          status: i === 0 ? ('failed' as const) : ('completed' as const),
          startTime: at(i),
          endTime: at(i + 1),
        }));
        const failures = [{ ...failure, state: 0, createdAt: at(1) }];
        const status = running ? 'running' : 'completed';
        return { status, createdAt: at(0), states: running ? states.slice(0, 11) : states, failures };
      };
      for (let i = 0; i < 200; i += 20) {
        await Promise.all(
          Array.from({ length: 20 }, async (_, j) =>
            unwrap(
              await ada.builds.import({
                buildNumber: buildNumber(),
                ...references,
                projectId,
                ...history((i + j) % 50 === 0),
              }),
            ),
          ),
        );
      }
      const stats = await ask(() => ada.builds.stats());
      expect(unwrap(stats.value)).toMatchObject({ total: 200, byStatus: { completed: 196, running: 4 } });
      expect(stats.operations.toSorted()).toEqual(['BatchGetItem', 'Query', 'Query']);
      // What the README says of 1,000 builds.
      expect(stats.readUnits).toBeLessThanOrEqual(190 / 5);

      const list = await ask(() => ada.builds.list({ limit: 50 }));
      expect([unwrap(list.value).items.length, list.operations]).toEqual([50, ['Query', 'BatchGetItem']]);
      expect(list.readUnits).toBeLessThanOrEqual(60);
      const ofProject = await ask(() => ada.builds.list({ limit: 50, projectId, status: 'completed' }));
      expect([unwrap(ofProject.value).items.length, ofProject.operations]).toEqual([50, ['Query', 'BatchGetItem']]);
      const failures = await ask(() =>
        ada.builds.listFailures({ limit: 50, resolved: false, failureType: failure.failureType }),
      );
      expect([unwrap(failures.value).items.length, failures.operations]).toEqual([50, ['Query', 'BatchGetItem']]);
      const sweep = await ask(() => ada.builds.sweep({ dryRun: true }));
      expect(sweep.operations).toEqual(['Query', 'BatchGetItem']);
    });
  });
});
