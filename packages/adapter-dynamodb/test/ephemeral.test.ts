import { randomBytes } from 'node:crypto';

import { localKeyring, unwrap } from '@vivarium/core';
import type { PipelineStart } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeBench } from './harness.ts';
import type { Bench } from './harness.ts';

const kinds = ['provisioning', 'deploying', 'to_sleep', 'wake_up', 'deprovisioning'] as const;

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] ephemeral environments', () => {
    let bench: Bench;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    test('the life of an instance, from its type to its end', async () => {
      const started: PipelineStart[] = [];
      const { ephemeral } = bench.as('life', {
        keys: localKeyring({ keys: `k:${randomBytes(32).toString('base64')}` }),
        pipelines: {
          start: async (start) => {
            started.push(start);
            return { executionId: `run ${started.length}` };
          },
          cancel: async () => undefined,
        },
      });
      const type = unwrap(
        await ephemeral.types.create({
          name: 'Review',
          maxNumberOfInstances: 2,
          actions: kinds.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'x.yml' })),
          secrets: [
            { name: 'DB', writableBy: ['provisioning'], readableBy: ['provisioning', 'deploying'] },
            { name: 'A', writableBy: ['deploying'], readableBy: [] },
          ],
        }),
      );
      unwrap(await ephemeral.types.publish(type.id));
      unwrap(await ephemeral.actions.define(type.id, { stateChangeType: 'cleaning_up', pipelineYamlName: 'z.yml' }));
      unwrap(await ephemeral.actions.define(type.id, { stateChangeType: 'deploying', pipelineYamlName: 'y.yml' }));
      unwrap(await ephemeral.actions.remove(type.id, 'cleaning_up'));
      unwrap(await ephemeral.secretDefinitions.remove(type.id, 'A'));
      const got = unwrap(await ephemeral.types.get(type.id));
      expect(got.actions.map((action) => action.stateChangeType)).toEqual(kinds);
      expect(got.actions[1]!.pipelineYamlName).toBe('y.yml');
      expect(got.secrets).toEqual([type.secrets[1]]);
      expect(unwrap(await ephemeral.types.list()).items.map(({ name }) => name)).toEqual(['Review']);

      const first = unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'First' }));
      const second = unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'Second' }));
      const third = await ephemeral.instances.create({ typeId: type.id, name: 'Third' });
      expect(third.isErr() && third.error.code).toBe('capacity_reached');

      const change = unwrap(await ephemeral.instances.provision(first.id, { parameters: { a: 'b' } }));
      expect(change).toMatchObject({ executionId: 'run 1', parameters: { a: 'b' }, result: 'pending' });
      expect(unwrap(await ephemeral.stateChanges.list({ instanceId: first.id })).items).toEqual([change]);
      const { token } = started[0]!;
      const write = (value: string) => ephemeral.secrets.write({ stateChangeId: change.id, token, name: 'DB', value });
      unwrap(await write('short'));
      unwrap(await write('x'.repeat(65_536)));
      const read = unwrap(await ephemeral.secrets.read({ stateChangeId: change.id, token, name: 'DB' }));
      expect(read.reveal()).toBe('x'.repeat(65_536));
      expect(await bench.secretItems()).toHaveLength(1);

      unwrap(await ephemeral.stateChanges.complete({ stateChangeId: change.id, token, result: 'passed' }));
      expect(unwrap(await ephemeral.instances.get(first.id)).state).toBe('ready_to_use');
      const down = unwrap(await ephemeral.instances.deprovision(first.id));
      const end = { stateChangeId: down.id, token: started[1]!.token, result: 'passed' } as const;
      expect(unwrap(await ephemeral.stateChanges.complete(end))).toMatchObject({ executionId: 'run 2' });
      expect(await bench.secretItems()).toEqual([]);

      expect(unwrap(await ephemeral.types.get(type.id)).liveInstances).toBe(1);
      const changes = unwrap(await ephemeral.stateChanges.list({ instanceId: first.id })).items;
      expect(changes.map((one) => [one.type, one.result, one.executionId])).toEqual([
        ['deprovisioning', 'passed', 'run 2'],
        ['provisioning', 'passed', 'run 1'],
      ]);
      unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'First' }));
      const names = async (state?: 'destroyed' | 'zero_state') =>
        unwrap(await ephemeral.instances.list({ typeId: type.id, state })).items.map(({ name }) => name);
      expect(await names()).toEqual(['First', 'First', 'Second']);
      expect(await names('destroyed')).toEqual(['First']);
      expect(await names('zero_state')).toEqual(['First', 'Second']);

      unwrap(await ephemeral.instances.remove(first.id));
      expect((await ephemeral.stateChanges.get(down.id)).isErr()).toBe(true);
      expect(await names()).toEqual(['First', 'Second']);
      const refused = await ephemeral.types.delete(type.id);
      expect(refused.isErr() && refused.error.code).toBe('type_has_instances');
      expect(unwrap(await ephemeral.sweep({ dryRun: true }))).toEqual([]);
      expect(second.state).toBe('zero_state');
    });
  });
});
