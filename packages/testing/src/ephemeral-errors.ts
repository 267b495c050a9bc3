import { localKeyring, ResultAsync, stateChangeTypes, unwrap } from '@vivarium/core';
import type { Client, KeyManagement, VivariumError } from '@vivarium/core';
import type { Storage } from '@vivarium/core/storage';
import { describe, expect, test } from 'vitest';

import { refused } from './answers.ts';
import type { Suite } from './suite.ts';
import { makeWorldOf } from './world.ts';
import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;

const starts = ['provision', 'deploy', 'cleanUp', 'sleep', 'wakeUp', 'deprovision'] as const;
const action = { stateChangeType: 'deploying', pipelineYamlName: 'p.yml' } as const;
const access = { writableBy: [], readableBy: [] } as const;

/** Every call of something that is not there, of ephemeral environments and of keys. */
export function nowhereEphemeral(client: Client<unknown>, world: World, nowhere: string): readonly Answer[] {
  const { types, actions, secretDefinitions, instances, stateChanges, secrets } = client.ephemeral;
  const bearer = { ...world.bearer, stateChangeId: nowhere };
  return [
    types.get(nowhere),
    types.update(nowhere, { name: 'X' }),
    types.publish(nowhere),
    types.cordon(nowhere),
    types.uncordon(nowhere),
    types.delete(nowhere),
    actions.define(nowhere, action),
    actions.list(nowhere),
    actions.remove(nowhere, 'deploying'),
    secretDefinitions.define(nowhere, { name: 'X', ...access }),
    secretDefinitions.list(nowhere),
    secretDefinitions.remove(nowhere, 'PASSWORD'),
    secretDefinitions.remove(world.type.id, 'NOWHERE'),
    instances.create({ typeId: nowhere, name: 'X' }),
    instances.get(nowhere),
    instances.list({ typeId: nowhere }),
    instances.extend(nowhere, { ttlMs: 1 }),
    instances.touch(nowhere),
    instances.acknowledgeCleanUp(nowhere, { note: 'x' }),
    instances.remove(nowhere),
    ...starts.map((start) => instances[start](nowhere)),
    stateChanges.get(nowhere),
    stateChanges.list({ instanceId: nowhere }),
    stateChanges.cancel(nowhere),
    stateChanges.complete({ ...bearer, result: 'passed' }),
    secrets.read({ ...bearer, name: 'PASSWORD' }),
    secrets.read({ ...world.bearer, name: 'SPARE' }),
    secrets.readAll(bearer),
    secrets.write({ ...bearer, name: 'PASSWORD', value: 'x' }),
    client.keys.rotate({ projectId: nowhere }),
  ];
}

/** Every error that only ephemeral environments and sealed values have. */
export function testEphemeralErrors(suite: Suite): void {
  describe('errors of ephemeral environments and keys', () => {
    test('a type that is not in the right state, or lacks a pipeline, says so', async () => {
      const { ada, world } = await inNewWorld();
      const { types, actions, secretDefinitions, instances } = ada.ephemeral;
      const { type, draft, cordoned } = world;
      await refused(types.create({ name: 'TYPE' }), 'type_name_taken');
      await refused(types.update(draft.id, { name: 'type' }), 'type_name_taken');
      await refused(types.publish(type.id), 'illegal_transition');
      await refused(types.cordon(draft.id), 'illegal_transition');
      await refused(types.uncordon(type.id), 'illegal_transition');
      await refused(types.delete(type.id), 'type_has_instances');
      await refused(actions.remove(type.id, 'provisioning'), 'action_required');
      for (const stateChangeType of stateChangeTypes) await unwrap(actions.remove(draft.id, stateChangeType));
      await refused(types.publish(draft.id), 'action_not_defined');
      await unwrap(actions.remove(cordoned.id, 'to_sleep'));
      await refused(types.update(cordoned.id, { sleepAfterMs: 1 }), 'action_not_defined');
      await refused(instances.create({ typeId: cordoned.id, name: 'X' }), 'type_not_ready');
      for (let n = 0; n < 40; n++) await unwrap(secretDefinitions.define(draft.id, { name: `S${n}`, ...access }));
      const many = await refused(secretDefinitions.define(draft.id, { name: 'MORE', ...access }), 'limit_reached');
      expect(many).toMatchObject({ limit: 'secretDefinitionsPerType', maximum: 40 });

      await unwrap(types.delete(cordoned.id));
      await refused(types.delete(cordoned.id), 'illegal_transition');
      await refused(actions.define(cordoned.id, action), 'illegal_transition');
      await refused(secretDefinitions.define(cordoned.id, { name: 'S', ...access }), 'illegal_transition');
      await refused(types.update(cordoned.id, { name: 'Another' }), 'illegal_transition');
      await refused(actions.remove(cordoned.id, 'deploying'), 'illegal_transition');
      await refused(secretDefinitions.remove(cordoned.id, 'PASSWORD'), 'illegal_transition');
    });

    test('an instance that is not in the right state, or has no place, says so', async () => {
      const { ada, world } = await inNewWorld();
      const { types, instances } = ada.ephemeral;
      const { type, pending, ended, blank } = world;
      await refused(instances.create({ typeId: type.id, name: 'BLANK' }), 'instance_name_taken');
      await unwrap(types.update(type.id, { maxNumberOfInstances: 1, maxTtlMs: 1_000 }));
      await refused(instances.create({ typeId: type.id, name: 'X' }), 'capacity_reached');
      await refused(instances.extend(blank.id, { ttlMs: 86_400_000 }), 'limit_reached');
      await refused(instances.extend(ended.id, { ttlMs: 1 }), 'illegal_transition');
      await refused(instances.touch(ended.id), 'illegal_transition');
      await refused(instances.acknowledgeCleanUp(blank.id, { note: 'x' }), 'illegal_transition');
      await refused(instances.acknowledgeCleanUp(pending.instanceId, { note: 'x' }), 'change_in_progress');
      await refused(instances.remove(blank.id), 'illegal_transition');
      for (const start of starts) {
        const under = await refused(instances[start](pending.instanceId), 'change_in_progress');
        expect(under).toMatchObject({ stateChangeId: pending.id });
        await refused(instances[start](ended.id), 'illegal_transition');
      }
    });

    test('a change without a pipeline, or without a runner, does not start', async () => {
      const { ada, org, world } = await inNewWorld();
      const bare = suite.vivarium({ pipelines: undefined }).as({ org, type: 'user', id: 'ada' });
      const from = {
        provision: world.blank,
        deploy: world.inUse,
        cleanUp: world.inUse,
        sleep: world.inUse,
        wakeUp: world.asleep,
        deprovision: world.asleep,
      };
      for (const start of starts) {
        const error = await refused(bare.ephemeral.instances[start](from[start].id), 'not_configured');
        expect(error).toMatchObject({ port: 'pipelines' });
      }
      const unpublished = overtaken(suite.harness.storage, { withoutActions: true });
      const client = suite.vivarium({ storage: unpublished }).as({ org, type: 'user', id: 'ada' });
      for (const start of starts) {
        await refused(client.ephemeral.instances[start](from[start].id), 'action_not_defined');
      }
      expect(await unwrap(ada.ephemeral.instances.get(world.blank.id))).toEqual(world.blank);
    });

    test('a token opens nothing but its own change while that is under way', async () => {
      const { ada, world } = await inNewWorld();
      const { stateChanges, secrets, secretDefinitions } = ada.ephemeral;
      const wrong = { ...world.bearer, token: 'wrong' };
      await refused(stateChanges.complete({ ...wrong, result: 'passed' }), 'invalid_token');
      await refused(secrets.read({ ...wrong, name: 'PASSWORD' }), 'invalid_token');
      await refused(secrets.readAll(wrong), 'invalid_token');
      await refused(secrets.write({ ...wrong, name: 'PASSWORD', value: 'x' }), 'invalid_token');
      await unwrap(secretDefinitions.define(world.type.id, { name: 'PASSWORD', ...access }));
      await refused(secrets.read({ ...world.bearer, name: 'PASSWORD' }), 'secret_access_denied');
      await refused(secrets.write({ ...world.bearer, name: 'PASSWORD', value: 'x' }), 'secret_access_denied');
      await unwrap(stateChanges.complete({ ...world.bearer, result: 'failed' }));
      await refused(stateChanges.complete({ ...world.bearer, result: 'passed' }), 'change_superseded');
      await refused(stateChanges.cancel(world.pending.id), 'change_superseded');
    });

    test('a command that loses the race eight times is stale_version', async () => {
      const { ada, org, world } = await inNewWorld();
      let races = 0;
      const rival = async () => {
        races++;
        await unwrap(ada.ephemeral.instances.touch(world.pending.instanceId));
        await unwrap(ada.ephemeral.secrets.write({ ...world.bearer, name: 'PASSWORD', value: `value ${races}` }));
      };
      const slower = (than: 'changeFacts' | 'secrets') =>
        suite
          .vivarium({ storage: overtaken(suite.harness.storage, { rival, after: than }) })
          .as({ org, type: 'user', id: 'slow' });
      await refused(
        slower('changeFacts').ephemeral.stateChanges.complete({ ...world.bearer, result: 'passed' }),
        'stale_version',
      );
      expect(races).toBe(8);
      await refused(
        slower('secrets').ephemeral.secrets.write({ ...world.bearer, name: 'PASSWORD', value: 'late' }),
        'stale_version',
      );
      expect(races).toBe(16);
      const password = await unwrap(ada.ephemeral.secrets.read({ ...world.bearer, name: 'PASSWORD' }));
      expect(password.reveal()).toBe('value 16');
      expect((await unwrap(ada.journal.list({ actor: { type: 'user', id: 'slow' } }))).items).toEqual([]);
    });

    test.each([
      ['are not there', 'not_configured', undefined],
      ['do not answer', 'key_management_failure', keys({ failing: true })],
      ['are not those that it was sealed with', 'unsealing_failed', keys({ failing: false })],
    ] as const)('sealed values whose keys %s stay sealed: %s', async (_why, code, given) => {
      const { ada, org, world } = await inNewWorld();
      const storage = code === 'unsealing_failed' ? forgetful(suite.harness.storage) : suite.harness.storage;
      const without = suite.vivarium({ keys: given, storage }).as({ org, type: 'user', id: 'ada' });
      const { development, staging, project, bearer } = world;
      await unwrap(ada.ephemeral.secrets.write({ ...bearer, name: 'SPARE', value: 'spare' }));
      const variables = [{ key: 'A', value: 'x', sensitive: true }];
      for (const answer of [
        // Opens nothing: its data key is fresh.
        ...(code === 'unsealing_failed'
          ? []
          : [without.projects.create({ name: 'X', environments: [{ name: 'X', variables }] })]),
        without.environments.create({ projectId: project.id, name: 'X', variables }),
        without.environments.setVariables(staging.ref, { variables }),
        without.environments.patchVariables(staging.ref, { set: variables }),
        without.environments.duplicate(development.ref, { name: 'X' }),
        without.environments.reveal(development.ref, { keys: ['TOKEN'] }),
        without.environments.resolve(development.ref),
        without.environments.render(development.ref, '{{TOKEN}}'),
        without.ephemeral.secrets.read({ ...bearer, name: 'PASSWORD' }),
        without.ephemeral.secrets.readAll(bearer),
        without.ephemeral.secrets.write({ ...bearer, name: 'SPARE', value: 'x' }),
        ...(code === 'unsealing_failed' ? [] : [without.keys.rotate({ projectId: project.id }), without.keys.rewrap()]),
      ]) {
        await refused(answer, code);
      }
      const revealed = await unwrap(ada.environments.reveal(development.ref, { keys: ['TOKEN'] }));
      expect(revealed.get('TOKEN')!.reveal()).toBe('s3cr3t');
      expect((await unwrap(ada.environments.get(staging.ref))).version).toBe(staging.version);
      const spare = await unwrap(ada.ephemeral.secrets.read({ ...bearer, name: 'SPARE' }));
      expect(spare.reveal()).toBe('spare');
    });

    test('a sealed value that was spoilt is not sealed anew', async () => {
      const { ada, org, world } = await inNewWorld();
      const { development, project } = world;
      const spoilt = '[{"key":"TOKEN","sensitive":true,"sealed":"vv1.x","sealVersion":1}]';
      await suite.harness.raw.setEnvironmentVariables({ orgId: org, ...development.ref }, spoilt);
      await refused(ada.keys.rotate({ projectId: project.id }), 'unsealing_failed');
      expect(await suite.harness.raw.environmentVariables({ orgId: org, ...development.ref })).toContain('vv1.x');
    });
  });

  async function inNewWorld() {
    const { org, ada } = suite.inNewOrg();
    return { org, ada, world: await makeWorldOf('ephemeral', ada) };
  }
}

/** Keys that do not answer, or answer with others than those that were wrapped. */
function keys({ failing }: { readonly failing: boolean }): KeyManagement {
  const ring = localKeyring({ keys: `other:${Buffer.alloc(32, 9).toString('base64')}` });
  const fail = () => Promise.reject(new Error('the key management is gone'));
  if (failing) return { generateDataKey: fail, unwrapDataKey: fail, rewrapDataKey: fail };
  return { ...ring, unwrapDataKey: async () => new Uint8Array(32).fill(3) };
}

/** The same storage, where a data key that was just made is not there any more. */
function forgetful(storage: Storage<unknown>): Storage<unknown> {
  const { dataKeys } = storage;
  return {
    ...storage,
    dataKeys: {
      newest: (...args) => dataKeys.newest(...args),
      get: (...args) => dataKeys.get(...args),
      ofScope: (...args) => dataKeys.ofScope(...args),
      list: (...args) => dataKeys.list(...args),
      rewrap: (...args) => dataKeys.rewrap(...args),
      remove: (...args) => dataKeys.remove(...args),
      add: () => ResultAsync.fromSafePromise(Promise.resolve('taken' as const)),
    },
  };
}

/** The same storage, where somebody else is quicker between each load of a change and the write that follows, or where types have lost their actions. */
function overtaken(
  storage: Storage<unknown>,
  {
    rival,
    after,
    withoutActions = false,
  }: {
    readonly rival?: () => Promise<void>;
    readonly after?: 'changeFacts' | 'secrets';
    readonly withoutActions?: boolean;
  },
): Storage<unknown> {
  const { ephemeral } = storage;
  const bound = Object.fromEntries(
    Object.entries(ephemeral).map(([name, method]) => [
      name,
      (method as (...args: never[]) => unknown).bind(ephemeral),
    ]),
  ) as unknown as typeof ephemeral;
  return {
    ...storage,
    ephemeral: {
      ...bound,
      facts: (...args) =>
        ephemeral
          .facts(...args)
          .map((facts) =>
            facts.found === null || !withoutActions
              ? facts
              : { ...facts, found: { ...facts.found, type: { ...facts.found.type, actions: [] } } },
          ),
      changeFacts: (...args) =>
        ephemeral.changeFacts(...args).map(async (facts) => {
          if (after === 'changeFacts') await rival?.();
          return facts;
        }),
      secrets: (...args) =>
        ephemeral.secrets(...args).map(async (secrets) => {
          if (after === 'secrets') await rival?.();
          return secrets;
        }),
    },
  };
}
