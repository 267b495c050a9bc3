import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { localKeyring, unwrap } from '@vivarium/core';
import type { Client, EnvironmentType, Instance, Method, StateChange } from '@vivarium/core';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { makeBench } from './harness.ts';
import type { Answer, Bench } from './harness.ts';

type EphemeralMethod = Extract<Method, `ephemeral.${string}` | `keys.${string}`>;

/**
 * A published type with its six actions and one secret, whose data key is open already; a draft; an instance as it was created; and one with a
 * pending change of provisioning, which has a value for the secret.
 */
interface World {
  readonly ada: Client;
  /** The same with another wrapping key. */
  readonly rewrapping: Client;
  readonly ephemeral: Client['ephemeral'];
  readonly type: EnvironmentType;
  readonly draft: EnvironmentType;
  readonly instance: Instance;
  readonly busy: Instance;
  readonly pending: StateChange & { readonly token: string };
  readonly projectId: string;
  /** Brings the busy instance on by changes that end so, and gives its id. */
  after(...changes: readonly (readonly [Start, 'passed' | 'failed'])[]): Promise<string>;
}
type Start = 'provision' | 'deploy' | 'sleep' | 'deprovision';

type Call = () => Answer;

/** Each method as the table in the README measures it; what has to be there before is prepared without being counted. */
const calls: Record<EphemeralMethod, (world: World) => Call | Promise<Call>> = {
  'ephemeral.types.create':
    ({ ephemeral }) =>
    () =>
      ephemeral.types.create({ name: 'New' }),
  'ephemeral.types.get':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.types.get(type.id),
  'ephemeral.types.list':
    ({ ephemeral }) =>
    () =>
      ephemeral.types.list(),
  'ephemeral.types.update':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.types.update(type.id, { description: 'words' }),
  'ephemeral.types.publish':
    ({ ephemeral, draft }) =>
    () =>
      ephemeral.types.publish(draft.id),
  'ephemeral.types.cordon':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.types.cordon(type.id),
  'ephemeral.types.uncordon': async ({ ephemeral, type }) => {
    unwrap(await ephemeral.types.cordon(type.id));
    return () => ephemeral.types.uncordon(type.id);
  },
  'ephemeral.types.delete':
    ({ ephemeral, draft }) =>
    () =>
      ephemeral.types.delete(draft.id),
  'ephemeral.actions.define':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.actions.define(type.id, { stateChangeType: 'deploying', pipelineYamlName: 'b.yml' }),
  'ephemeral.actions.list':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.actions.list(type.id),
  'ephemeral.actions.remove':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.actions.remove(type.id, 'deploying'),
  'ephemeral.secretDefinitions.define':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.secretDefinitions.define(type.id, { name: 'TOKEN', writableBy: ['deploying'], readableBy: [] }),
  'ephemeral.secretDefinitions.list':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.secretDefinitions.list(type.id),
  'ephemeral.secretDefinitions.remove':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.secretDefinitions.remove(type.id, 'DATABASE_URL'),
  'ephemeral.instances.create':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.instances.create({ typeId: type.id, name: 'New' }),
  'ephemeral.instances.get':
    ({ ephemeral, instance }) =>
    () =>
      ephemeral.instances.get(instance.id),
  'ephemeral.instances.list':
    ({ ephemeral, type }) =>
    () =>
      ephemeral.instances.list({ typeId: type.id }),
  'ephemeral.instances.extend':
    ({ ephemeral, instance }) =>
    () =>
      ephemeral.instances.extend(instance.id, { ttlMs: 60_000 }),
  'ephemeral.instances.touch':
    ({ ephemeral, instance }) =>
    () =>
      ephemeral.instances.touch(instance.id),
  'ephemeral.instances.acknowledgeCleanUp': async ({ ephemeral, after }) => {
    const id = await after(['deprovision', 'failed']);
    return () => ephemeral.instances.acknowledgeCleanUp(id, { note: 'gone' });
  },
  'ephemeral.instances.remove': async ({ ephemeral, after }) => {
    const id = await after(['deprovision', 'passed']);
    return () => ephemeral.instances.remove(id);
  },
  'ephemeral.instances.provision':
    ({ ephemeral, instance }) =>
    () =>
      ephemeral.instances.provision(instance.id),
  'ephemeral.instances.deploy': async ({ ephemeral, after }) => {
    const id = await after();
    return () => ephemeral.instances.deploy(id);
  },
  'ephemeral.instances.cleanUp': async ({ ephemeral, after }) => {
    const id = await after(['deploy', 'passed']);
    return () => ephemeral.instances.cleanUp(id);
  },
  'ephemeral.instances.sleep': async ({ ephemeral, after }) => {
    const id = await after();
    return () => ephemeral.instances.sleep(id);
  },
  'ephemeral.instances.wakeUp': async ({ ephemeral, after }) => {
    const id = await after(['sleep', 'passed']);
    return () => ephemeral.instances.wakeUp(id);
  },
  'ephemeral.instances.deprovision':
    ({ ephemeral, instance }) =>
    () =>
      ephemeral.instances.deprovision(instance.id),
  'ephemeral.stateChanges.get':
    ({ ephemeral, pending }) =>
    () =>
      ephemeral.stateChanges.get(pending.id),
  'ephemeral.stateChanges.list': async ({ ephemeral, after }) => {
    const instanceId = await after();
    return () => ephemeral.stateChanges.list({ instanceId });
  },
  'ephemeral.stateChanges.cancel':
    ({ ephemeral, pending }) =>
    () =>
      ephemeral.stateChanges.cancel(pending.id),
  'ephemeral.stateChanges.complete':
    ({ ephemeral, pending }) =>
    () =>
      ephemeral.stateChanges.complete({ stateChangeId: pending.id, token: pending.token, result: 'passed' }),
  'ephemeral.secrets.read':
    ({ ephemeral, pending }) =>
    () =>
      ephemeral.secrets.read({ stateChangeId: pending.id, token: pending.token, name: 'DATABASE_URL' }),
  'ephemeral.secrets.readAll':
    ({ ephemeral, pending }) =>
    () =>
      ephemeral.secrets.readAll({ stateChangeId: pending.id, token: pending.token }),
  'ephemeral.secrets.write':
    ({ ephemeral, pending }) =>
    () =>
      ephemeral.secrets.write({
        stateChangeId: pending.id,
        token: pending.token,
        name: 'DATABASE_URL',
        value: 'another value',
      }),
  'ephemeral.sweep':
    ({ ephemeral }) =>
    () =>
      ephemeral.sweep(),
  'keys.rewrap':
    ({ rewrapping }) =>
    () =>
      rewrapping.keys.rewrap(),
  'keys.rotate':
    ({ ada, projectId }) =>
    () =>
      ada.keys.rotate({ projectId }),
};

const kinds = ['provisioning', 'deploying', 'cleaning_up', 'to_sleep', 'wake_up', 'deprovisioning'] as const;
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

await describeOnEngines(['dynamodb'], (engine) => {
  describe('[dynamodb] the table of the README, of ephemeral environments', () => {
    let bench: Bench;
    let orgs = 0;
    beforeAll(async () => {
      bench = await makeBench(engine.url);
    });
    afterAll(() => bench.close());

    const makeWorld = async (): Promise<World> => {
      const org = `org-${++orgs}`;
      const [one, two] = ['one', 'two'].map((id) => `${id}:${randomBytes(32).toString('base64')}`);
      const tokens = new Map<string, string>();
      const ada = bench.as(org, {
        keys: localKeyring({ keys: one! }),
        pipelines: {
          start: async ({ stateChange, token }) => void tokens.set(stateChange.id, token),
          cancel: async () => undefined,
        },
      });
      const { ephemeral } = ada;
      const actions = kinds.map((stateChangeType) => ({ stateChangeType, pipelineYamlName: 'a.yml' }));
      const secret = { name: 'DATABASE_URL', writableBy: ['provisioning'], readableBy: ['provisioning'] } as const;
      const project = unwrap(
        await ada.projects.create({
          name: 'Shop',
          environments: [
            { name: 'Development', variables: [{ key: 'A', value: 'b', sensitive: true }] },
            { name: 'Staging' },
          ],
        }),
      );
      const type = unwrap(await ephemeral.types.create({ name: 'Review', actions, secrets: [secret] }));
      const draft = unwrap(await ephemeral.types.create({ name: 'Draft', actions }));
      unwrap(await ephemeral.types.publish(type.id));
      const [instance, busy] = [
        unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'Resting' })),
        unwrap(await ephemeral.instances.create({ typeId: type.id, name: 'Busy' })),
      ];
      const start = async (change: Start) => {
        const begun = unwrap(await ephemeral.instances[change](busy.id));
        return { ...begun, token: tokens.get(begun.id)! };
      };
      const complete = async ({ id, token }: World['pending'], result: 'passed' | 'failed') =>
        unwrap(await ephemeral.stateChanges.complete({ stateChangeId: id, token, result }));
      const pending = await start('provision');
      const value = { stateChangeId: pending.id, token: pending.token, name: secret.name, value: 'a value' };
      unwrap(await ephemeral.secrets.write(value));
      return {
        ada,
        rewrapping: bench.as(org, { keys: localKeyring({ keys: `${two} ${one}` }) }),
        ephemeral,
        type,
        draft,
        instance,
        busy,
        pending,
        projectId: project.id,
        async after(...changes) {
          await complete(pending, 'passed');
          for (const [change, result] of changes) await complete(await start(change), result);
          return busy.id;
        },
      };
    };

    test.each(Object.keys(calls) as EphemeralMethod[])('%s', async (method) => {
      const call = await calls[method](await makeWorld());
      const { operations, readUnits, writeUnits, value } = await bench.traffic(async () => await call());
      expect(value.isOk()).toBe(true);
      const counted = Object.entries(Object.groupBy(operations, (operation) => operation)).map(([operation, all]) =>
        all!.length === 1 ? operation : `${all!.length} ${operation}`,
      );
      const line = readme.split('\n').find((row) => row.startsWith(`| \`${method}\` `)) ?? '';
      const cells = line.split('|').map((cell) => cell.trim());
      expect([cells[2], cells[4], cells[5]]).toEqual([counted.join(' + '), `${readUnits}`, `${writeUnits}`]);
    });
  });
});
