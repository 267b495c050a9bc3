import { inspect } from 'node:util';
import { localKeyring, unwrap } from '@vivarium/core';
import type { Client, KeyManagement, ResultAsync, VivariumError } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { everything } from './paging.ts';
import { recordingRunner } from './pipelines.ts';
import type { Suite } from './suite.ts';
import { makeWorld } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;

/** Secrets go through every method that takes or gives one, and past every error near them, and are found nowhere but where they were asked for. */
export function testCanary(suite: Suite): void {
  describe('canaries', () => {
    test('what is sealed is found neither in storage, journal, records nor in anything printed', async () => {
      const watch = watched(suite);
      const { ada, org, canary } = watch;
      const world = await makeWorld(ada);
      const { project, bearer } = world;
      const variables = [{ key: 'SECRET', value: canary(), sensitive: true, description: 'a secret' }];
      const idempotencyKey = 'a key';

      const answers: unknown[] = [
        await unwrap(ada.projects.create({ name: 'P', environments: [{ name: 'E', variables }], idempotencyKey })),
        await unwrap(ada.environments.setVariables(world.staging.ref, { variables, idempotencyKey })),
        await unwrap(
          ada.environments.patchVariables(world.staging.ref, {
            set: [{ key: 'SECRET', value: canary(), sensitive: true }],
            idempotencyKey,
          }),
        ),
      ];
      const made = await unwrap(
        ada.environments.create({ projectId: project.id, name: 'E', variables, idempotencyKey }),
      );
      const copy = await unwrap(ada.environments.duplicate(made.ref, { name: 'F', idempotencyKey }));
      answers.push(made, copy);
      for (let version = 0; version < 3; version++) {
        const value = canary();
        answers.push(
          await unwrap(ada.ephemeral.secrets.write({ ...bearer, name: 'PASSWORD', value, idempotencyKey: value })),
        );
        const read = await unwrap(ada.ephemeral.secrets.read({ ...bearer, name: 'PASSWORD' }));
        expect(read.reveal()).toBe(value);
        answers.push(read);
      }

      const revealed = await unwrap(ada.environments.reveal(copy.ref, { keys: ['SECRET'] }));
      expect(revealed.get('SECRET')!.reveal()).toBe(variables[0]!.value);
      expect(await unwrap(ada.environments.render(copy.ref, '{{SECRET}}'))).toMatchObject({});
      answers.push(
        revealed,
        await unwrap(ada.environments.resolve(copy.ref)),
        await unwrap(ada.ephemeral.secrets.readAll(bearer)),
        await unwrap(ada.environments.get(copy.ref)),
        await unwrap(ada.environments.list({ projectId: project.id })),
        await unwrap(ada.environments.search({ projectId: project.id, variableKey: 'SECRET' })),
        await unwrap(ada.environments.diff(made.ref, world.staging.ref)),
        await unwrap(ada.ephemeral.instances.get(world.pending.instanceId)),
        await unwrap(ada.ephemeral.stateChanges.get(world.pending.id)),
        await unwrap(ada.keys.rotate({ projectId: project.id })),
        await unwrap(ada.keys.rewrap()),
        await unwrap(ada.ephemeral.stateChanges.complete({ ...bearer, result: 'passed' })),
      );
      for (const answer of answers) watch.saw(answer);
      watch.secrets.push(bearer.token);
      await unwrap(ada.journal.deliver({ handler: (entry) => watch.saw(entry), batch: 1_000 }));
      await nothingLeaked(watch, org);
    });

    test('no error near a secret says it', async () => {
      const watch = watched(suite);
      const { ada, org, canary } = watch;
      const world = await makeWorld(ada);
      const { staging, project, bearer, development } = world;
      const variables = () => [{ key: 'SECRET', value: canary(), sensitive: true }];
      const nowhere = { projectId: project.id, id: '00000000-0000-7000-8000-00000000dead' };
      const broken = watch.client({ storage: await suite.harness.broken() });
      const denied = watch.client({ policy: { allows: () => Promise.reject(new Error('no')) } });
      const full = watch.client({ limits: { variablesPerEnvironment: 1 } });

      const values = (client: Client<unknown>): readonly Answer[] => [
        client.projects.create({ name: 'P', environments: [{ name: 'E', variables: variables() }] }),
        client.environments.create({ projectId: project.id, name: 'E', variables: variables() }),
        client.environments.setVariables(staging.ref, { variables: variables() }),
        client.environments.patchVariables(staging.ref, { set: variables() }),
        client.ephemeral.secrets.write({ ...bearer, name: 'PASSWORD', value: canary() }),
      ];
      const opened = (client: Client<unknown>): readonly Answer[] => [
        client.environments.reveal(development.ref, { keys: ['TOKEN'] }),
        client.environments.resolve(development.ref),
        client.environments.render(development.ref, '{{TOKEN}}'),
        client.environments.duplicate(development.ref, { name: 'X' }),
        client.ephemeral.secrets.read({ ...bearer, name: 'PASSWORD' }),
        client.ephemeral.secrets.readAll(bearer),
        client.keys.rotate({ projectId: project.id }),
      ];
      const wrong = { ...bearer, token: canary() };
      await watch.refuses([
        ...[broken, denied, watch.client({ keys: undefined }), watch.client({ keys: leaking(canary) })].flatMap(
          (client) => [...values(client), ...opened(client)],
        ),
        ada.environments.setVariables(nowhere, { variables: variables() }),
        ada.environments.patchVariables(nowhere, { set: variables() }),
        ada.environments.setVariables(staging.ref, { variables: variables(), expectedVersion: 99 }),
        ada.environments.patchVariables(staging.ref, { set: variables(), expectedVersion: 99 }),
        full.environments.patchVariables(staging.ref, { set: variables() }),
        ada.ephemeral.secrets.read({ ...wrong, name: 'PASSWORD' }),
        ada.ephemeral.secrets.readAll(wrong),
        ada.ephemeral.secrets.write({ ...wrong, name: 'PASSWORD', value: canary() }),
        ada.ephemeral.secrets.write({ ...bearer, name: 'UNDEFINED', value: canary() }),
        ada.ephemeral.secrets.write({ ...bearer, stateChangeId: nowhere.id, name: 'PASSWORD', value: canary() }),
        ada.ephemeral.stateChanges.complete({ ...wrong, result: 'passed' }),
        broken.ephemeral.stateChanges.complete({ ...bearer, result: 'passed' }),
      ]);

      const key = { idempotencyKey: 'one key' };
      await unwrap(ada.environments.setVariables(staging.ref, { variables: variables(), ...key }));
      await unwrap(ada.ephemeral.secrets.write({ ...bearer, name: 'PASSWORD', value: canary(), ...key }));
      await watch.refuses([
        ada.environments.setVariables(staging.ref, { variables: variables(), ...key }),
        ada.ephemeral.secrets.write({ ...bearer, name: 'PASSWORD', value: canary(), ...key }),
      ]);
      watch.secrets.push(bearer.token);
      await nothingLeaked(watch, org);
    });

    test('malformed input that holds a secret is refused without it', async () => {
      const watch = watched(suite);
      const { ada, org, canary } = watch;
      const { staging, bearer, project } = await makeWorld(ada);
      const throwing = () => ({
        key: 'SECRET',
        sensitive: true,
        get value(): string {
          throw new Error(canary());
        },
      });
      const spoilt = (): readonly unknown[] => [
        { key: 'SECRET', sensitive: true, value: `${canary()}\0` },
        { key: 'SECRET', sensitive: true, value: canary().repeat(2_000) },
        { key: 'SECRET', sensitive: true, value: [canary()] },
        { key: 'SECRET', sensitive: canary(), value: canary() },
        { key: 'SECRET', sensitive: true, value: canary(), keep: canary() },
        { key: 'SECRET', sensitive: true, value: canary(), description: canary().repeat(20) },
        throwing(),
        canary(),
      ];
      const calls: Answer[] = [];
      for (const variable of spoilt()) {
        const variables = [variable] as never;
        calls.push(
          ada.projects.create({ name: 'P', environments: [{ name: 'E', variables }] }),
          ada.environments.create({ projectId: project.id, name: 'E', variables }),
          ada.environments.setVariables(staging.ref, { variables }),
          ada.environments.patchVariables(staging.ref, { set: variables }),
        );
      }
      const { write, read } = {
        write: (input: unknown) => ada.ephemeral.secrets.write(input as never),
        read: (input: unknown) => ada.ephemeral.secrets.read(input as never),
      };
      calls.push(
        write({ ...bearer, name: 'PASSWORD', value: `${canary()}\0` }),
        write({ ...bearer, name: 'PASSWORD', value: canary().repeat(3_000) }),
        write({ ...bearer, name: 'PASSWORD', value: { secret: canary() } }),
        write({ ...bearer, name: 'PASSWORD', value: canary(), expectedVersion: canary() }),
        write({ stateChangeId: canary(), token: canary(), name: 'PASSWORD', value: canary() }),
        write({ ...bearer, token: canary().repeat(10), name: 'PASSWORD', value: canary() }),
        read({ ...bearer, token: `${canary()}\0`, name: 'PASSWORD' }),
        read(canary()),
        ada.environments.resolve(staging.ref, { overrides: { A: `${canary()}\0` } }),
        ada.environments.render(staging.ref, '{{A}}', { overrides: [canary()] as never }),
      );
      await watch.refuses(calls);
      await nothingLeaked(watch, org);
    });

    test('templates that cannot be rendered, and sealed values that do not open, keep theirs', async () => {
      const watch = watched(suite);
      const { ada, org, canary } = watch;
      const { staging, development, project } = await makeWorld(ada);
      const set = [
        { key: 'LINES', value: `${canary()}\r\n${canary()}`, sensitive: true },
        { key: 'ROUND', value: `${canary()}{{AROUND}}`, sensitive: true },
        { key: 'AROUND', value: `{{ROUND}}${canary()}`, sensitive: true },
      ];
      await unwrap(ada.environments.setVariables(staging.ref, { variables: set }));
      await watch.refuses([ada.environments.render(staging.ref, '{{LINES}}'), ada.environments.resolve(staging.ref)]);
      await unwrap(ada.environments.patchVariables(staging.ref, { unset: ['ROUND', 'AROUND'] }));
      await watch.refuses([
        ada.environments.render(staging.ref, 'x{{LINES}}', { context: 'header' }),
        ada.environments.render(staging.ref, '{{LINES}}{{NOWHERE}}'),
        ada.environments.render(staging.ref, '{{LINES}}', { maxBytes: 3 }),
      ]);

      const { raw } = suite.harness;
      const stored = await raw.environmentVariables({ orgId: org, ...staging.ref });
      await raw.setEnvironmentVariables({ orgId: org, ...development.ref }, stored);
      await watch.refuses([
        ada.environments.reveal(development.ref, { keys: ['LINES'] }),
        ada.environments.resolve(development.ref),
        ada.environments.render(development.ref, '{{LINES}}'),
        ada.environments.duplicate(development.ref, { name: 'X' }),
        ada.keys.rotate({ projectId: project.id }).andThen(() => ada.environments.resolve(development.ref)),
      ]);
      await nothingLeaked(watch, org);
    });

    test('a runner that fails with a secret in its error leaves it with the host', async () => {
      const watch = watched(suite);
      const { org, canary } = watch;
      const runner = recordingRunner();
      const failing = { refused: false };
      const pipelines = {
        start: async (start: Parameters<typeof runner.start>[0]) => {
          watch.secrets.push(start.token);
          throw Object.assign(new Error(`${canary()} ${start.token}`, { cause: canary() }), failing);
        },
        cancel: () => Promise.reject(new Error(canary())),
      };
      const ada = watch.client({ pipelines, hooks: {} });
      const world = await makeWorld(watch.ada);
      const pending = await unwrap(ada.ephemeral.instances.deploy(world.inUse.id));
      expect(pending).toMatchObject({ result: 'pending', acceptedAt: null });
      watch.saw(pending);
      watch.saw(await unwrap(ada.ephemeral.stateChanges.cancel(pending.id)));
      failing.refused = true;
      const refused = await unwrap(ada.ephemeral.instances.deploy(world.inUse.id));
      expect(refused.result).toBe('failed');
      watch.saw(refused);
      watch.saw(await unwrap(ada.ephemeral.sweep()));
      await nothingLeaked(watch, org);
    });
  });

  async function nothingLeaked({ secrets, seen, keys }: Watch, org: string): Promise<void> {
    const client = suite.vivarium().system(org);
    const journal = await everything((page) => client.journal.list(page));
    const dump = await suite.harness.raw.dump();
    expect(seen.length).toBeGreaterThan(0);
    expect(secrets.length).toBeGreaterThan(0);
    expect(journal.length).toBeGreaterThan(0);
    expect(dump).toContain(journal[0]!.id);
    const places = { journal: JSON.stringify(journal), dump, answers: seen.join('\n') };
    const forms = [...secrets.flatMap(formsOf), ...keys.flatMap(formsOfBytes)];
    for (const [place, text] of Object.entries(places)) {
      expect(
        forms.filter((form) => text.includes(form)),
        place,
      ).toEqual([]);
    }
  }
}

interface Watch {
  readonly org: string;
  readonly ada: Client<unknown>;
  /** What must be found nowhere. */
  readonly secrets: string[];
  /** Data keys in the clear. */
  readonly keys: Buffer[];
  /** Everything that was answered, thrown and recorded, as text. */
  readonly seen: string[];
  /** A secret that nobody else has. */
  canary(): string;
  client(options: Parameters<Suite['vivarium']>[0]): Client<unknown>;
  saw(thing: unknown): void;
  /** Expects all of these to be refused, and looks at how. */
  refuses(answers: readonly Answer[]): Promise<void>;
}

function watched(suite: Suite): Watch {
  const org = suite.newOrg();
  const secrets: string[] = [];
  const keys: Buffer[] = [];
  const seen: string[] = [];
  const saw = (thing: unknown) => void seen.push(textsOf(thing));
  const ring = localKeyring({ keys: `canary:${Buffer.alloc(32, 6).toString('base64')}` });
  const copied = <T extends Uint8Array>(plaintext: T): T => {
    keys.push(Buffer.from(plaintext));
    return plaintext;
  };
  const management: KeyManagement = {
    ...ring,
    generateDataKey: async (request) => {
      const made = await ring.generateDataKey(request);
      copied(made.plaintext);
      return made;
    },
    unwrapDataKey: async (wrapped) => copied(await ring.unwrapDataKey(wrapped)),
  };
  const client: Watch['client'] = (options) =>
    suite
      .vivarium({
        keys: management,
        telemetry: {
          call: (record) => {
            saw(record);
            suite.telemetry.call(record);
          },
        },
        hooks: { onVariableAccess: saw, onPipelineFailure: saw },
        ...options,
      })
      .as({ org, type: 'user', id: 'ada' });
  return {
    org,
    ada: client({}),
    secrets,
    keys,
    seen,
    saw,
    client,
    canary() {
      const secret = `c4n4ry-${org}-${secrets.length}-wh1st1e`;
      secrets.push(secret);
      return secret;
    },
    async refuses(answers) {
      for (const [index, answer] of answers.entries()) {
        const settled = await answer;
        if (settled.isOk()) expect.fail(`call ${index} was done, but had to be refused`);
        saw(settled.error);
      }
    },
  };
}

/** A key management whose errors say everything that they know. */
function leaking(canary: () => string): KeyManagement {
  const fail = () => {
    const fault = new TypeError(`could not use ${canary()}`, { cause: new Error(canary()) });
    fault.name = canary();
    return Promise.reject(Object.assign(fault, { plaintext: canary(), [canary()]: 1, retryable: canary() }));
  };
  return { generateDataKey: fail, unwrapDataKey: fail, rewrapDataKey: fail };
}

/** All that can be printed of something: fields, hidden ones, causes, stacks, JSON. */
function textsOf(thing: unknown): string {
  const texts = [
    inspect(thing, { depth: 20, showHidden: true, getters: true, maxStringLength: null, maxArrayLength: null }),
    JSON.stringify(thing),
    String(thing),
  ];
  for (let cause = thing; cause instanceof Error; cause = cause.cause) {
    texts.push(cause.message, cause.stack ?? '', JSON.stringify(cause), `${cause}`);
  }
  return texts.join('\n');
}

/** A secret as it is, and as it is encoded, wherever it may stand in what is encoded with it. */
function formsOf(secret: string): readonly string[] {
  const shifted = ['', 'x', 'xx'].map((before) =>
    Buffer.from(before + secret)
      .toString('base64')
      .slice(4, -4),
  );
  return [secret, ...shifted, Buffer.from(secret).toString('hex')];
}

function formsOfBytes(bytes: Buffer): readonly string[] {
  return [bytes.toString('hex'), bytes.toString('base64').slice(0, -1), bytes.toString('base64url')];
}
