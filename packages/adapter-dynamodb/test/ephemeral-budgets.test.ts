import { unwrap } from '@vivarium/core';
import type { StoredInstance, StoredType } from '@vivarium/core/storage';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { actionOf, changeIn, definitionOf, endOf, instanceOf, secretOf, startOf, typeOf } from './ephemeral-values.ts';
import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

const done = { done: true };

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] budgets of ephemeral environments', () => {
    let bench: Bench;
    let org: string;
    let orgs = 0;
    let type: StoredType;
    let instance: StoredInstance;

    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());
    beforeEach(async () => {
      org = `org-${++orgs}`;
      type = typeOf('Review', {
        actions: (['provisioning', 'deploying', 'deprovisioning'] as const).map(actionOf),
        secrets: ['DATABASE_URL', 'TOKEN'].map(definitionOf),
      });
      await did(port().createType({ type, change: changeIn(org) }));
      instance = await given('Review of pull request 4711');
    });

    const port = () => bench.storage.ephemeral;
    const did = async (answer: Answer) => expect(unwrap(await answer)).toEqual(done);
    const ask = <T>(call: () => T) => bench.traffic(async (): Promise<Awaited<T>> => await call());
    const given = async (name: string) => {
      const one = instanceOf(type, name);
      await did(port().createInstance({ instance: one, change: changeIn(org) }));
      return one;
    };
    const start = async (one: StoredInstance) => {
      const begun = startOf(one);
      await did(port().startChange({ ...begun, change: changeIn(org) }));
      return begun;
    };
    const end = async (begun: ReturnType<typeof startOf>, result: 'passed' | 'failed') => {
      const over = endOf(begun, result);
      await did(port().endChange({ ...over, change: changeIn(org) }));
      return over.instance;
    };

    test.each([
      ['no key', false, 9],
      ['a key', true, 11],
    ])('starting a change with %s: %s, one transaction of at most %i units', async (_title, withKey, units) => {
      const begun = startOf(instance);
      const { operations, writeUnits, value } = await ask(() =>
        port().startChange({ ...begun, change: changeIn(org, withKey) }),
      );
      expect(unwrap(value)).toEqual(done);
      expect(operations).toEqual(['TransactWriteItems']);
      expect(writeUnits).toBeLessThanOrEqual(units);
    });

    test('the facts of an instance and of a change are two requests, with a pending change, a type and a key', async () => {
      const { stateChange } = await start(instance);
      const key = 'k'.repeat(64);
      for (const load of [
        () => port().facts(org, instance.id),
        () => port().facts(org, instance.id, key),
        () => port().changeFacts(org, stateChange.id),
        () => port().changeFacts(org, stateChange.id, key),
      ]) {
        const { operations, readUnits, value } = await ask<ReturnType<typeof load>>(load);
        expect(unwrap<{ readonly found: unknown }, Error>(value).found).toMatchObject({ type: { id: type.id } });
        expect(operations).toHaveLength(2);
        expect(readUnits).toBeLessThanOrEqual(5);
      }
      expect((await ask(() => port().getType(org, type.id))).operations).toEqual(['BatchGetItem']);
      expect((await ask(() => port().getInstance(org, instance.id))).operations).toEqual(['GetItem']);
    });

    test('a page of changes is two requests, the first and every other one', async () => {
      let now = instance;
      for (let i = 0; i < 5; i++) now = await end(await start(now), 'failed');
      const begun = await start(now);
      const first = await ask(() => port().listChanges(org, instance.id, { limit: 3, after: null }));
      expect(unwrap(first.value)!.items.map(({ sequence }) => sequence)).toEqual([6, 5, 4]);
      expect(unwrap(first.value)!.items[0]).toEqual(begun.stateChange);
      expect(first.operations).toEqual(['Query', 'BatchGetItem']);
      const second = await ask(() => port().listChanges(org, instance.id, { limit: 3, after: 4 }));
      expect(unwrap(second.value)).toMatchObject({ items: [{ sequence: 3 }, { sequence: 2 }, { sequence: 1 }] });
      expect(unwrap(second.value)!.more).toBe(false);
      expect(second.operations).toEqual(['Query', 'BatchGetItem']);
    });

    test('50 instances: two requests in a state, three in all, two for the types', async () => {
      for (let i = 1; i < 50; i++) await given(`Review ${i}`);
      const page = { limit: 60, after: null };
      const inState = await ask(() => port().listInstances(org, { typeId: type.id, state: 'zero_state' }, page));
      expect(unwrap(inState.value)!.items).toHaveLength(50);
      expect(inState.operations).toEqual(['Query', 'BatchGetItem']);
      const all = await ask(() => port().listInstances(org, { typeId: type.id }, page));
      expect(unwrap(all.value)!.items).toHaveLength(50);
      expect(all.operations).toEqual(['Query', 'Query', 'BatchGetItem']);
      const types = await ask(() => port().listTypes(org, page));
      expect(unwrap(types.value).items).toHaveLength(1);
      expect(types.operations).toEqual(['Query', 'GetItem']);

      const request = { now: new Date(), acceptedBy: new Date(), limit: 100, after: null };
      const due = await ask(() => port().due(org, request));
      expect(unwrap(due.value)).toHaveLength(50);
      expect(due.operations).toEqual(['Query', 'BatchGetItem', 'BatchGetItem']);
    });

    test('every other guarded write is one transaction; the end of an instance looks for its secrets first', async () => {
      const { stateChange, instance: pending } = await start(instance);
      const next = { ...pending, version: pending.version + 1 };
      const other = await given('Other');
      const gone = endOf(startOf({ ...other, version: 0 })).instance;
      const rows: readonly [string, number, () => Answer][] = [
        ['createType', 11, () => port().createType({ type: typeOf('Another'), change: changeIn(org) })],
        [
          'writeType',
          7,
          () =>
            port().writeType({
              type: { ...type, version: 2 },
              previousNameKey: type.nameKey,
              expectedVersion: 1,
              change: changeIn(org),
            }),
        ],
        [
          'createInstance',
          13,
          () => port().createInstance({ instance: instanceOf(type, 'New'), change: changeIn(org) }),
        ],
        ['writeInstance', 7, () => port().writeInstance({ instance: next, expectedVersion: 2, change: changeIn(org) })],
        [
          'writeSecret',
          9,
          () =>
            port().writeSecret({
              secret: secretOf(instance, 'A'),
              stateChangeId: stateChange.id,
              change: changeIn(org),
            }),
        ],
        [
          'writeSecret again',
          9,
          () =>
            port().writeSecret({
              secret: secretOf(instance, 'A', 2),
              stateChangeId: stateChange.id,
              change: changeIn(org),
            }),
        ],
        [
          'endChange',
          11,
          () =>
            port().endChange({
              ...endOf({ stateChange, instance: next, expectedVersion: 1 }, 'failed'),
              change: changeIn(org),
            }),
        ],
      ];
      for (const [method, units, write] of rows) {
        const { operations, writeUnits, value } = await ask(write);
        expect([method, value]).toEqual([method, expect.objectContaining({ value: done })]);
        expect([method, operations]).toEqual([method, ['TransactWriteItems']]);
        expect([method, writeUnits <= units], `${method}: ${writeUnits}`).toEqual([method, true]);
      }
      const ending = await ask(() =>
        port().writeInstance({ instance: { ...gone, version: 2 }, expectedVersion: 1, change: changeIn(org) }),
      );
      expect(unwrap(ending.value)).toEqual(done);
      expect(ending.operations).toEqual(['Query', 'TransactWriteItems']);
      expect(ending.writeUnits).toBeLessThanOrEqual(15);
    });

    test('what does not move a version is one small write', async () => {
      const { stateChange } = await start(instance);
      const accepted = { ...stateChange, acceptedAt: new Date(), executionId: 'run 1' };
      for (const write of [
        () => port().acceptChange(org, accepted),
        () => port().setTokens(org, { ...stateChange, expected: stateChange.tokenHashes }),
      ]) {
        const { operations, writeUnits, value } = await ask(write);
        expect([unwrap(value), operations, writeUnits]).toEqual([true, ['UpdateItem'], 1]);
      }
    });

    test('the data keys of a scope are one request', async () => {
      const { dataKeys } = bench.storage;
      const scope = { type: 'environment_type', id: type.id } as const;
      const times = { version: 1, createdAt: new Date(), updatedAt: new Date() };
      for (const generation of [1, 2]) {
        const key = { id: crypto.randomUUID(), scope, generation, wrapped: 'w', wrappedBy: 'r:1', commitment: 'c' };
        const added = await ask(() => dataKeys.add(org, { ...key, ...times }));
        expect([unwrap(added.value), added.operations]).toEqual(['added', ['TransactWriteItems']]);
      }
      for (const read of [() => dataKeys.newest(org, scope), () => dataKeys.ofScope(org, scope)]) {
        expect((await ask<Answer>(read)).operations).toEqual(['Query']);
      }
      const list = await ask(() => dataKeys.list(org, { limit: 10, after: null }));
      expect([unwrap(list.value).items.length, list.operations]).toEqual([2, ['Query', 'BatchGetItem']]);
    });
  });
});
