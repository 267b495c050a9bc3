import { finalStates, localKeyring, stateChangeTypes, unwrap } from '@vivarium/core';
import type {
  Client,
  EnvironmentType,
  Instance,
  Page,
  PageInput,
  ResultAsync,
  SecretSettings,
  StateChange,
  StateChangeType,
  TypeSettings,
  VivariumError,
} from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { codeOf, refused, tally, together } from './answers.ts';
import { fakeClock } from './fake-clock.ts';
import { allPages, everything } from './paging.ts';
import { recordingRunner } from './pipelines.ts';
import type { RecordingRunner } from './pipelines.ts';
import type { Suite } from './suite.ts';

const minute = 60_000;
const ring = `test:${Buffer.alloc(32, 7).toString('base64')}`;
const starts = {
  provisioning: 'provision',
  deploying: 'deploy',
  cleaning_up: 'cleanUp',
  to_sleep: 'sleep',
  wake_up: 'wakeUp',
  deprovisioning: 'deprovision',
} as const satisfies Record<StateChangeType, string>;

/** Ephemeral environments: types, instances, their changes and secrets, and the sweep, on the storage under test. */
export function testEphemeral(suite: Suite): void {
  const clients = suite.size.raceClients;

  describe('environment types', () => {
    test('are read as they were written, with their actions and secret definitions', async () => {
      const { ada } = stage();
      const created = await unwrap(
        ada.ephemeral.types.create({
          name: 'Straße İ 😀',
          description: 'for ﬁsh 🐟',
          maxNumberOfInstances: 3,
          ttlMs: 1_000,
          maxTtlMs: 31_622_400_000,
          sleepAfterMs: 1,
          changeTimeoutMs: 2,
          actions: [{ stateChangeType: 'deploying', projectId: 'p#1', branch: 'fix/☃', pipelineYamlName: 'd.yml' }],
          secrets: [{ name: 'URL', description: '', writableBy: ['deploying'], readableBy: [] }],
        }),
      );
      const read = await unwrap(ada.ephemeral.types.get(created.id));
      expect(read).toEqual(created);
      expect(read).toMatchObject({
        state: 'draft',
        liveInstances: 0,
        version: 1,
        createdBy: { type: 'user', id: 'ada' },
      });
      expect(read.actions).toMatchObject([{ projectId: 'p#1', branch: 'fix/☃', stateChangeType: 'deploying' }]);
      expect(read.secrets).toMatchObject([{ name: 'URL', description: '', writableBy: ['deploying'], readableBy: [] }]);
    });

    test('change in settings, actions and definitions one at a time, each at a version of its own', async () => {
      const { ada, type } = await ready();
      const { ephemeral } = ada;
      const version = type.version;
      const action = await unwrap(
        ephemeral.actions.define(type.id, { stateChangeType: 'deploying', pipelineYamlName: 'other.yml' }),
      );
      expect(action.id).toBe(type.actions.find(({ stateChangeType }) => stateChangeType === 'deploying')!.id);
      await unwrap(ephemeral.secretDefinitions.define(type.id, { name: 'B', writableBy: [], readableBy: ['wake_up'] }));
      await unwrap(ephemeral.secretDefinitions.define(type.id, { name: 'A', writableBy: [], readableBy: [] }));
      await unwrap(ephemeral.secretDefinitions.define(type.id, { name: 'B', writableBy: ['wake_up'], readableBy: [] }));
      await unwrap(ephemeral.actions.remove(type.id, 'cleaning_up'));
      await unwrap(ephemeral.types.update(type.id, { ttlMs: 5, description: null, name: 'Renamed' }));

      const read = await unwrap(ephemeral.types.get(type.id));
      expect(read).toMatchObject({ name: 'Renamed', ttlMs: 5, description: null, version: version + 6 });
      expect(read.actions.map(({ stateChangeType }) => stateChangeType)).toEqual(
        stateChangeTypes.filter((one) => one !== 'cleaning_up'),
      );
      expect(read.secrets).toMatchObject([{ name: 'A' }, { name: 'B', writableBy: ['wake_up'], readableBy: [] }]);
      expect(await unwrap(ephemeral.actions.list(type.id))).toEqual(read.actions);
      expect(await unwrap(ephemeral.secretDefinitions.list(type.id))).toEqual(read.secrets);
      await unwrap(ephemeral.secretDefinitions.remove(type.id, 'A'));
      expect(await codeOf(ephemeral.secretDefinitions.remove(type.id, 'A'))).toBe('not_found');
    });

    test('are published with a way up and a way down, which they cannot lose then', async () => {
      const { ada } = stage();
      const { types, actions } = ada.ephemeral;
      const draft = await unwrap(types.create({ name: 'T', sleepAfterMs: 1 }));
      const missing = await refused(types.publish(draft.id), 'action_not_defined');
      expect(missing.missing).toEqual(['provisioning', 'to_sleep', 'wake_up', 'deprovisioning']);
      for (const stateChangeType of missing.missing) {
        await unwrap(actions.define(draft.id, { stateChangeType, pipelineYamlName: 'p.yml' }));
      }
      expect((await unwrap(types.publish(draft.id))).state).toBe('ready');
      for (const stateChangeType of missing.missing) {
        expect(await codeOf(actions.remove(draft.id, stateChangeType))).toBe('action_required');
      }
      expect(await codeOf(types.publish(draft.id))).toBe('illegal_transition');
      expect((await unwrap(types.cordon(draft.id))).state).toBe('cordoned');
      expect(await codeOf(ada.ephemeral.instances.create({ typeId: draft.id, name: 'X' }))).toBe('type_not_ready');
      expect((await unwrap(types.uncordon(draft.id))).state).toBe('ready');
      await unwrap(types.update(draft.id, { sleepAfterMs: null }));
      await unwrap(actions.remove(draft.id, 'to_sleep'));
      expect(await codeOf(types.update(draft.id, { sleepAfterMs: 5 }))).toBe('action_not_defined');
    });

    test('have names that are unique, and free again once the type is deleted', async () => {
      const { ada, type } = await ready();
      const { types, instances } = ada.ephemeral;
      expect(await codeOf(types.create({ name: type.name.toUpperCase() }))).toBe('type_name_taken');
      const instance = await unwrap(instances.create({ typeId: type.id, name: 'lives' }));
      expect(await codeOf(types.delete(type.id))).toBe('type_has_instances');
      await destroyed(ada, instance);
      expect((await unwrap(types.delete(type.id))).state).toBe('deleted');
      expect((await unwrap(types.list())).items).toEqual([]);
      expect((await unwrap(types.get(type.id))).state).toBe('deleted');
      await unwrap(types.create({ name: type.name }));
      expect((await unwrap(instances.list({ typeId: type.id }))).items).toHaveLength(1);
    });

    test('are listed by name, page by page', async () => {
      const { ada } = stage();
      const names = ['b', 'A', 'ü', '😀', '～', 'c'];
      for (const name of names) await unwrap(ada.ephemeral.types.create({ name }));
      for (const limit of [1, 2, 100]) {
        const all = await inPagesOf(limit, (page) => ada.ephemeral.types.list({ ...page }));
        expect(all.map(({ name }) => name)).toEqual(['A', 'b', 'c', 'ü', '～', '😀']);
      }
    });
  });

  describe('instances', () => {
    test('are read as they were written, and listed by name, then id, also the ended ones', async () => {
      const { ada, type } = await ready({ ttlMs: 1_000 });
      const { instances } = ada.ephemeral;
      const first = await unwrap(instances.create({ typeId: type.id, name: 'Same' }));
      expect(first).toMatchObject({ state: 'zero_state', changeSequence: 0, pendingChangeId: null, version: 1 });
      expect(first.expiresAt).toEqual(new Date(first.createdAt.getTime() + 1_000));
      expect(await unwrap(instances.get(first.id))).toEqual(first);
      expect(await codeOf(instances.create({ typeId: type.id, name: 'SAME' }))).toBe('instance_name_taken');
      await destroyed(ada, first);
      const second = await unwrap(instances.create({ typeId: type.id, name: 'same', ttlMs: 5 }));
      await destroyed(ada, second);
      const third = await unwrap(instances.create({ typeId: type.id, name: 'Same' }));
      const other = await unwrap(instances.create({ typeId: type.id, name: 'A' }));

      const same = [first.id, second.id, third.id].toSorted();
      for (const limit of [1, 2, 3, 100]) {
        const all = await inPagesOf(limit, (page) => instances.list({ typeId: type.id, ...page }));
        expect(all.map(({ id }) => id)).toEqual([other.id, ...same]);
        const ended = await inPagesOf(limit, (page) =>
          instances.list({ typeId: type.id, state: 'acknowledged_cleanup', ...page }),
        );
        expect(ended.map(({ id }) => id)).toEqual([first.id, second.id].toSorted());
      }
      await unwrap(instances.remove(first.id));
      expect(await codeOf(instances.get(first.id))).toBe('not_found');
      expect(await codeOf(ada.ephemeral.stateChanges.list({ instanceId: first.id }))).toBe('not_found');
      expect(await codeOf(instances.remove(third.id))).toBe('illegal_transition');
    });

    test.each([1, 2, 3, 4, 5])('%i. of many callers for 10 places exactly 10 get one', async () => {
      const { ada, both, type } = await ready({ maxNumberOfInstances: 10 });
      const answers = await together(clients, (index) =>
        codeOf(both(index).ephemeral.instances.create({ typeId: type.id, name: `I ${index}` })),
      );
      expect(tally(answers)).toEqual({ ok: 10, capacity_reached: clients - 10 });
      const { items } = await unwrap(ada.ephemeral.instances.list({ typeId: type.id, limit: 100 }));
      expect(items).toHaveLength(10);
      expect((await unwrap(ada.ephemeral.types.get(type.id))).liveInstances).toBe(10);
    });

    test('one name has one winner', async () => {
      const { ada, both, type } = await ready();
      const answers = await together(clients, (index) =>
        codeOf(both(index).ephemeral.instances.create({ typeId: type.id, name: index % 2 === 0 ? 'one' : 'ONE' })),
      );
      expect(tally(answers)).toEqual({ ok: 1, instance_name_taken: clients - 1 });
      expect((await unwrap(ada.ephemeral.types.get(type.id))).liveInstances).toBe(1);
    });

    test('a place is free again in the write that ends an instance; a lower limit only keeps new ones out', async () => {
      const { ada, type } = await ready({ maxNumberOfInstances: 2 });
      const { types, instances } = ada.ephemeral;
      const one = await unwrap(instances.create({ typeId: type.id, name: '1' }));
      const two = await unwrap(instances.create({ typeId: type.id, name: '2' }));
      await unwrap(types.update(type.id, { maxNumberOfInstances: 1 }));
      await destroyed(ada, one);
      expect(await codeOf(instances.create({ typeId: type.id, name: '3' }))).toBe('capacity_reached');
      await destroyed(ada, two);
      await unwrap(instances.create({ typeId: type.id, name: '3' }));
      await unwrap(types.update(type.id, { maxNumberOfInstances: null }));
      await unwrap(instances.create({ typeId: type.id, name: '4' }));
      await unwrap(types.update(type.id, { maxNumberOfInstances: 0 }));
      expect(await codeOf(instances.create({ typeId: type.id, name: '5' }))).toBe('capacity_reached');
    });

    test('a type that is deleted while instances are made has none, or is not deleted', async () => {
      const { ada, both, type } = await ready();
      const answers = await together(20, (index) =>
        index === 10
          ? codeOf(both(index).ephemeral.types.delete(type.id))
          : codeOf(both(index).ephemeral.instances.create({ typeId: type.id, name: `I ${index}` })),
      );
      const { state, liveInstances } = await unwrap(ada.ephemeral.types.get(type.id));
      const made = answers.filter((answer, index) => index !== 10 && answer === 'ok').length;
      expect(liveInstances).toBe(made);
      expect(state === 'deleted').toBe(answers[10] === 'ok');
      if (state === 'deleted') expect(made).toBe(0);
    });

    test('live no longer than maxTtlMs', async () => {
      const { ada, type, clock } = await ready({ ttlMs: minute, maxTtlMs: 10 * minute });
      const { instances } = ada.ephemeral;
      expect(await codeOf(instances.create({ typeId: type.id, name: 'X', ttlMs: 11 * minute }))).toBe('invalid_input');
      const instance = await unwrap(instances.create({ typeId: type.id, name: 'X' }));
      clock.advance(5 * minute);
      const extended = await unwrap(instances.extend(instance.id, { ttlMs: 5 * minute }));
      expect(extended.expiresAt).toEqual(new Date(instance.createdAt.getTime() + 10 * minute));
      expect(await codeOf(instances.extend(instance.id, { ttlMs: 5 * minute + 1 }))).toBe('limit_reached');
    });
  });

  describe('state changes', () => {
    test('keep their whole history, and what the runner said', async () => {
      const { ada, type, runner } = await ready();
      const { instances, stateChanges } = ada.ephemeral;
      const instance = await unwrap(instances.create({ typeId: type.id, name: 'I' }));
      const trigger = { type: 'automation_rule', id: 'nightly' } as const;
      const parameters = { sha: 'abc', '': '😀' };
      const change = await unwrap(instances.provision(instance.id, { trigger, parameters }));
      expect(change).toMatchObject({
        result: 'pending',
        trigger,
        parameters,
        sequence: 1,
        executionId: `execution of ${change.id}`,
      });
      expect(await unwrap(stateChanges.get(change.id))).toEqual(change);
      expect(runner.started.at(-1)).toMatchObject({ parameters, action: { pipelineYamlName: 'provisioning.yml' } });
      expect(await unwrap(instances.get(instance.id))).toMatchObject({
        state: 'provisioning',
        pendingChangeId: change.id,
        changeSequence: 1,
      });

      await unwrap(instances.touch(instance.id));
      await complete(ada, runner, change, 'failed', 'no quota');
      const again = await unwrap(instances.provision(instance.id));
      await complete(ada, runner, again, 'passed');
      expect(await unwrap(instances.get(instance.id))).toMatchObject({ state: 'ready_to_use', pendingChangeId: null });
      for (const limit of [1, 2]) {
        const all = await inPagesOf(limit, (page) => stateChanges.list({ instanceId: instance.id, ...page }));
        expect(all).toMatchObject([
          { sequence: 2, result: 'passed', prevState: 'failed_provisioning', nextState: 'ready_to_use', reason: null },
          {
            sequence: 1,
            result: 'failed',
            prevState: 'zero_state',
            nextState: 'failed_provisioning',
            reason: 'no quota',
            executionPipelineId: 'pipeline 1',
          },
        ]);
      }
    });

    test('sleep remembers where it came from', async () => {
      const { ada, runner, instance } = await inUse();
      const { instances } = ada.ephemeral;
      await complete(ada, runner, await unwrap(instances.sleep(instance.id)), 'passed');
      expect(await unwrap(instances.get(instance.id))).toMatchObject({ state: 'sleep', sleptFrom: 'in_use' });
      await complete(ada, runner, await unwrap(instances.wakeUp(instance.id)), 'passed');
      expect((await unwrap(instances.get(instance.id))).state).toBe('in_use');
    });

    test('one at a time, also when many start at once', async () => {
      const { ada, both, runner, instance } = await inUse();
      const answers = await together(clients, (index) =>
        codeOf(both(index).ephemeral.instances[index % 2 === 0 ? 'deploy' : 'cleanUp'](instance.id)),
      );
      expect(tally(answers)).toEqual({ ok: 1, change_in_progress: clients - 1 });
      expect((await unwrap(ada.ephemeral.instances.get(instance.id))).changeSequence).toBe(3);
      expect(runner.started).toHaveLength(3);
    });

    test('end once, also when told at once, in different words, while the sweep and a cancellation come in between', async () => {
      for (let round = 0; round < 5; round++) {
        const { ada, both, runner, instance, clock } = await inUse();
        const change = await unwrap(ada.ephemeral.instances.deploy(instance.id));
        const told = { stateChangeId: change.id, token: runner.tokenOf(change.id) };
        clock.advance(31 * minute);
        const answers = await together(20, (index) => {
          const { stateChanges } = both(index).ephemeral;
          if (index === 7) return codeOf(both(index).ephemeral.sweep());
          if (index === 11) return codeOf(stateChanges.cancel(change.id));
          return codeOf(stateChanges.complete({ ...told, result: index % 2 === 0 ? 'passed' : 'failed' }));
        });
        expect(answers.every((answer) => ['ok', 'change_superseded'].includes(answer))).toBe(true);
        const ended = await unwrap(ada.ephemeral.stateChanges.get(change.id));
        const now = await unwrap(ada.ephemeral.instances.get(instance.id));
        expect(ended.result).not.toBe('pending');
        expect(now).toMatchObject({ state: ended.nextState, pendingChangeId: null });
        const entries = await unwrap(ada.journal.list({ action: 'instance.change_ended', limit: 100 }));
        expect(entries.items.filter(({ data }) => data['stateChangeId'] === change.id)).toHaveLength(1);
      }
    });

    test('need their token: an id alone, another token, or the token of another change ends nothing', async () => {
      const { ada, runner, instance } = await inUse();
      const { instances, stateChanges } = ada.ephemeral;
      const before = runner.started[0]!.token;
      const change = await unwrap(instances.deploy(instance.id));
      for (const token of ['x', before, runner.tokenOf(change.id).slice(0, -1), change.id]) {
        const told = { stateChangeId: change.id, token, result: 'passed' } as const;
        expect(await codeOf(stateChanges.complete(told))).toBe('invalid_token');
      }
      expect((await unwrap(stateChanges.get(change.id))).result).toBe('pending');
      const told = { stateChangeId: change.id, token: runner.tokenOf(change.id) };
      expect(await codeOf(stateChanges.complete({ ...told, result: 'passed' }))).toBe('ok');
      expect(await codeOf(stateChanges.complete({ ...told, result: 'passed' }))).toBe('ok');
      expect(await codeOf(stateChanges.complete({ ...told, result: 'failed' }))).toBe('change_superseded');
    });

    test('that the runner refuses have failed; that are canceled lead where failures lead, and the runner is told', async () => {
      const { ada, runner, instance } = await inUse();
      const { instances, stateChanges } = ada.ephemeral;
      runner.answer = 'refuses';
      expect(await unwrap(instances.deploy(instance.id))).toMatchObject({
        result: 'failed',
        nextState: 'failed_deployment',
      });
      runner.answer = 'accepts';
      const change = await unwrap(instances.deploy(instance.id));
      expect((await unwrap(stateChanges.cancel(change.id))).result).toBe('canceled');
      expect(runner.canceled).toEqual([change.id]);
      expect((await unwrap(instances.get(instance.id))).state).toBe('failed_deployment');
    });
  });

  describe('secrets of instances', () => {
    const secrets: readonly SecretSettings[] = [
      { name: 'BOTH', writableBy: stateChangeTypes, readableBy: stateChangeTypes },
      { name: 'UP', writableBy: ['provisioning'], readableBy: ['deploying', 'deprovisioning'] },
      { name: 'NOBODY', writableBy: [], readableBy: [] },
    ];

    test('open to the changes that their definitions name, and to no others', async () => {
      const { ada, type, runner } = await ready({}, secrets);
      const { instances } = ada.ephemeral;
      const instance = await unwrap(instances.create({ typeId: type.id, name: 'I' }));
      for (const changeType of [
        'provisioning',
        'deploying',
        'cleaning_up',
        'to_sleep',
        'wake_up',
        'deprovisioning',
      ] as const) {
        const change = await unwrap(instances[starts[changeType]](instance.id));
        const bearer = { stateChangeId: change.id, token: runner.tokenOf(change.id) };
        for (const { name, writableBy, readableBy } of [
          ...secrets,
          { name: 'UNDEFINED', writableBy: [], readableBy: [] },
        ]) {
          const written = await codeOf(
            ada.ephemeral.secrets.write({ ...bearer, name, value: `${name} by ${changeType}` }),
          );
          expect([name, changeType, written]).toEqual([name, changeType, may(writableBy, changeType)]);
          const read = await codeOf(ada.ephemeral.secrets.read({ ...bearer, name }));
          expect([name, changeType, read]).toEqual([name, changeType, may(readableBy, changeType)]);
        }
        const all = await unwrap(ada.ephemeral.secrets.readAll(bearer));
        const readable = secrets.filter(({ readableBy }) => readableBy.includes(changeType)).map(({ name }) => name);
        expect([...all.keys()].toSorted()).toEqual(readable.toSorted());
        expect(all.get('BOTH')!.reveal()).toBe(`BOTH by ${changeType}`);
        await complete(ada, runner, change, 'passed');
        expect(await codeOf(ada.ephemeral.secrets.read({ ...bearer, name: 'BOTH' }))).toBe('invalid_token');
        expect(await codeOf(ada.ephemeral.secrets.write({ ...bearer, name: 'BOTH', value: 'x' }))).toBe(
          'invalid_token',
        );
      }
      expect((await unwrap(instances.get(instance.id))).state).toBe('destroyed');

      function may(types: readonly StateChangeType[], changeType: StateChangeType): string {
        return types.includes(changeType) ? 'ok' : 'secret_access_denied';
      }
    });

    test('open to their own instance: not to another change, not in another org, not without a token', async () => {
      const { ada, type, runner, org } = await ready({}, secrets);
      const { instances } = ada.ephemeral;
      const [one, two] = await Promise.all(
        ['1', '2'].map(async (name) => {
          const { id } = await unwrap(instances.create({ typeId: type.id, name }));
          return unwrap(instances.provision(id));
        }),
      );
      const bearer = { stateChangeId: one!.id, token: runner.tokenOf(one!.id) };
      await unwrap(ada.ephemeral.secrets.write({ ...bearer, name: 'BOTH', value: 'of one' }));
      const foreign = { stateChangeId: two!.id, token: runner.tokenOf(two!.id) };
      expect(await codeOf(ada.ephemeral.secrets.read({ ...foreign, name: 'BOTH' }))).toBe('not_found');
      expect(await codeOf(ada.ephemeral.secrets.read({ ...bearer, token: foreign.token, name: 'BOTH' }))).toBe(
        'invalid_token',
      );
      expect(await codeOf(ada.ephemeral.secrets.readAll({ ...bearer, token: one!.id }))).toBe('invalid_token');
      const elsewhere = stage(`${org}#`).ada;
      expect(await codeOf(elsewhere.ephemeral.secrets.read({ ...bearer, name: 'BOTH' }))).toBe('not_found');
    });

    test('are stored sealed, journalled by name, and gone with their instance', async () => {
      const canary = 'canary-3f9c1f3e-secret';
      const { ada, type, runner, org } = await ready({}, secrets);
      const { instances, stateChanges } = ada.ephemeral;
      const instance = await unwrap(instances.create({ typeId: type.id, name: 'I' }));
      const up = await unwrap(instances.provision(instance.id));
      const bearer = { stateChangeId: up.id, token: runner.tokenOf(up.id) };
      for (let version = 0; version < 3; version++) {
        await unwrap(ada.ephemeral.secrets.write({ ...bearer, name: 'BOTH', value: `${canary} ${version}` }));
      }
      expect((await unwrap(ada.ephemeral.secrets.read({ ...bearer, name: 'BOTH' }))).reveal()).toBe(`${canary} 2`);
      const stored = await suite.harness.raw.dump();
      expect(stored).not.toContain(canary);
      expect(stored).not.toContain(bearer.token);
      expect(stored).toContain('vv1.');
      const journal = await everything((page) => ada.journal.list({ ...page }));
      expect(JSON.stringify(journal)).not.toContain(canary);
      expect(journal.filter(({ action }) => action === 'instance.secret_written')).toHaveLength(3);
      expect(journal.find(({ action }) => action === 'instance.secret_read')?.data).toMatchObject({ names: ['BOTH'] });

      await complete(ada, runner, up, 'passed');
      const rows = async () => (await suite.harness.storage.ephemeral.secrets(org, instance.id))._unsafeUnwrap().length;
      expect(await rows()).toBe(1);
      await complete(ada, runner, await unwrap(instances.deprovision(instance.id)), 'failed');
      expect(await rows()).toBe(1);
      await unwrap(instances.acknowledgeCleanUp(instance.id, { note: 'by hand' }));
      expect(await rows()).toBe(0);
      expect((await unwrap(stateChanges.list({ instanceId: instance.id }))).items).toHaveLength(2);
    });

    test('keep the last of many values written at once', async () => {
      const { ada, both, type, runner, org } = await ready({}, secrets);
      const instance = await unwrap(ada.ephemeral.instances.create({ typeId: type.id, name: 'I' }));
      const change = await unwrap(ada.ephemeral.instances.provision(instance.id));
      const bearer = { stateChangeId: change.id, token: runner.tokenOf(change.id) };
      const answers = await together(6, (index) =>
        codeOf(both(index).ephemeral.secrets.write({ ...bearer, name: 'BOTH', value: `value ${index}` })),
      );
      expect(tally(answers)).toEqual({ ok: 6 });
      const [stored] = (await suite.harness.storage.ephemeral.secrets(org, instance.id))._unsafeUnwrap();
      expect(stored?.sealVersion).toBe(6);
      expect((await unwrap(ada.ephemeral.secrets.read({ ...bearer, name: 'BOTH' }))).reveal()).toMatch(/^value \d$/);
    });
  });

  describe('the sweep', () => {
    test('fails what is overdue, calls again where nobody knows, and says so beforehand', async () => {
      const { ada, runner, instance, clock } = await inUse();
      const { instances, stateChanges, sweep } = calls(ada);
      runner.answer = 'is lost';
      const change = await unwrap(instances.deploy(instance.id));
      expect(change).toMatchObject({ result: 'pending', acceptedAt: null });
      runner.answer = 'accepts';
      expect(await unwrap(sweep())).toEqual([]);
      clock.advance(31_000);
      expect(await unwrap(sweep({ dryRun: true }))).toMatchObject([{ action: 'call_again', outcome: 'planned' }]);
      const before = runner.started.length;
      expect(await unwrap(sweep())).toMatchObject([{ action: 'call_again', outcome: 'done', instanceId: instance.id }]);
      const [first, second] = runner.started.slice(before - 1);
      expect(second!.stateChange.id).toBe(first!.stateChange.id);
      expect(second!.token).not.toBe(first!.token);
      expect(await unwrap(sweep())).toEqual([]);
      const told = { stateChangeId: change.id, token: first!.token, result: 'passed' } as const;
      expect(await codeOf(stateChanges.complete(told))).toBe('ok');

      const slow = await unwrap(instances.deploy(instance.id));
      clock.advance(30 * minute);
      expect(await unwrap(sweep())).toMatchObject([{ action: 'time_out', outcome: 'done' }]);
      expect(await unwrap(stateChanges.get(slow.id))).toMatchObject({ result: 'failed', reason: 'timed_out' });
      const late = { stateChangeId: slow.id, token: runner.tokenOf(slow.id), result: 'passed' } as const;
      expect(await codeOf(stateChanges.complete(late))).toBe('change_superseded');
    });

    test('takes expired instances down, five times with growing pauses, and then leaves it to a person', async () => {
      const { ada, runner, type, clock } = await ready({ ttlMs: minute });
      const { instances, sweep } = calls(ada);
      const instance = await unwrap(instances.create({ typeId: type.id, name: 'I' }));
      clock.advance(minute);
      for (let failure = 1; failure <= 5; failure++) {
        expect(await unwrap(sweep())).toMatchObject([{ action: 'deprovision', outcome: 'done' }]);
        const { stateChange, token } = runner.started.at(-1)!;
        expect(stateChange.trigger).toEqual({ type: 'system', id: 'sweep' });
        await unwrap(ada.ephemeral.stateChanges.complete({ stateChangeId: stateChange.id, token, result: 'failed' }));
        expect(await unwrap(sweep())).toEqual([]);
        clock.advance(minute * 2 ** (failure - 1) - 1);
        expect(await unwrap(sweep())).toEqual([]);
        clock.advance(1);
      }
      clock.advance(1_000 * minute);
      expect(await unwrap(sweep())).toEqual([]);
      expect(await unwrap(instances.get(instance.id))).toMatchObject({
        state: 'failed_deprovisioning',
        needsAttention: true,
      });
      await unwrap(instances.acknowledgeCleanUp(instance.id, { note: 'done by hand' }));
      expect(await unwrap(instances.get(instance.id))).toMatchObject({
        state: 'acknowledged_cleanup',
        note: 'done by hand',
      });
      expect((await unwrap(ada.ephemeral.types.get(type.id))).liveInstances).toBe(0);
    });

    test('puts idle instances to sleep, and not those that are touched', async () => {
      const { ada, runner, instance, clock } = await inUse({ sleepAfterMs: 10 * minute });
      const { instances, sweep } = calls(ada);
      clock.advance(10 * minute - 1);
      await unwrap(instances.touch(instance.id));
      clock.advance(10 * minute - 1);
      expect(await unwrap(sweep())).toEqual([]);
      clock.advance(1);
      expect(await unwrap(sweep())).toMatchObject([{ action: 'put_to_sleep', outcome: 'done' }]);
      const { stateChange, token } = runner.started.at(-1)!;
      await unwrap(ada.ephemeral.stateChanges.complete({ stateChangeId: stateChange.id, token, result: 'passed' }));
      expect((await unwrap(instances.get(instance.id))).state).toBe('sleep');
      clock.advance(100 * minute);
      expect(await unwrap(sweep())).toEqual([]);
    });

    test('looks at everybody, and does no more than its limit', async () => {
      const { ada, both, type, clock, runner } = await ready({ ttlMs: minute });
      for (let n = 0; n < 12; n++) await unwrap(ada.ephemeral.instances.create({ typeId: type.id, name: `I ${n}` }));
      clock.advance(minute);
      expect(await unwrap(ada.ephemeral.sweep({ limit: 5 }))).toHaveLength(5);
      const rest = await together(3, (index) => unwrap(both(index).ephemeral.sweep()));
      const done = rest.flat().filter(({ outcome }) => outcome === 'done');
      expect(done).toHaveLength(7);
      expect(new Set(runner.started.map(({ instance }) => instance.id)).size).toBe(12);
      expect(runner.started).toHaveLength(12);
    });
  });

  function stage(org = suite.newOrg()) {
    const runner = recordingRunner();
    const clock = fakeClock();
    const options = { pipelines: runner, keys: localKeyring({ keys: ring }), clock };
    const as = { org, type: 'user', id: 'ada' };
    const ada = suite.vivarium(options).as(as);
    return { ada, org, runner, clock, options, as };
  }

  /** A published type with a pipeline for every kind of change, and clients in two storages on one database. */
  async function ready(settings: TypeSettings = {}, secrets: readonly SecretSettings[] = []) {
    const scene = stage();
    const other = suite.vivarium({ ...scene.options, storage: await suite.other() }).as(scene.as);
    const actions = stateChangeTypes.map((stateChangeType) => ({
      stateChangeType,
      pipelineYamlName: `${stateChangeType}.yml`,
    }));
    const { types } = scene.ada.ephemeral;
    const created = await unwrap(types.create({ actions, secrets, ...settings, name: 'Type' }));
    const type: EnvironmentType = await unwrap(types.publish(created.id));
    return { ...scene, type, both: (index: number) => (index % 2 === 0 ? scene.ada : other) };
  }

  async function inUse(settings: TypeSettings = {}) {
    const scene = await ready(settings);
    const { instances } = scene.ada.ephemeral;
    const instance = await unwrap(instances.create({ typeId: scene.type.id, name: 'I' }));
    await complete(scene.ada, scene.runner, await unwrap(instances.provision(instance.id)), 'passed');
    await complete(scene.ada, scene.runner, await unwrap(instances.deploy(instance.id)), 'passed');
    return { ...scene, instance };
  }

  async function complete(
    client: Client<unknown>,
    runner: RecordingRunner,
    { id }: StateChange,
    result: 'passed' | 'failed',
    reason?: string,
  ): Promise<void> {
    const told = { stateChangeId: id, token: runner.tokenOf(id), result, reason };
    await unwrap(client.ephemeral.stateChanges.complete(told));
  }

  /** Ends an instance of a type whose runner is asked by no name: by hand, through its token. */
  async function destroyed(client: Client<unknown>, { id }: Instance): Promise<void> {
    const change = await unwrap(client.ephemeral.instances.deprovision(id));
    await unwrap(client.ephemeral.stateChanges.cancel(change.id));
    await unwrap(client.ephemeral.instances.acknowledgeCleanUp(id, { note: 'for the test' }));
    expect(finalStates.has((await unwrap(client.ephemeral.instances.get(id))).state)).toBe(true);
  }
}

/** A whole list, fetched in pages of this size. */
async function inPagesOf<T>(
  limit: number,
  list: (page: PageInput) => ResultAsync<Page<T>, VivariumError>,
): Promise<T[]> {
  return (await allPages(list, limit)).flatMap(({ items }) => items);
}

/** The methods as functions, to be called by their names alone. */
function calls({ ephemeral }: Client<unknown>) {
  const { instances, stateChanges } = ephemeral;
  return { instances, stateChanges, sweep: ephemeral.sweep.bind(ephemeral) };
}
