import { createVivarium, unwrap } from '@vivarium/core';
import type { EnvironmentRef, KeyManagement, Storage } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { beforeEach, describe, expect, test } from 'vitest';

import { awsKms } from '../../src/aws-kms/index.ts';
import { clientAt, kmsAt } from './kms.ts';
import type { Kms } from './kms.ts';

const context = { 'vivarium:org': 'acme', 'vivarium:scope': 'project:1', 'vivarium:key': 'k1' };

await describeOnEngines(['aws'], ({ name, url }) => {
  describe(`[${name}] data keys by KMS`, () => {
    let kms: Kms;
    let keyArn: string;
    let keys: KeyManagement;

    beforeEach(async () => {
      kms = kmsAt(url);
      keyArn = await kms.key();
      keys = awsKms({ client: kms.client, keyId: keyArn });
    });

    test('have 32 bytes, are wrapped by the key, and unwrap to themselves', async () => {
      const { plaintext, wrapped, wrappedBy } = await keys.generateDataKey({ context });
      expect(plaintext).toHaveLength(32);
      expect(wrappedBy).toBe(keyArn);
      expect(Buffer.from(wrapped).includes(Buffer.from(plaintext))).toBe(false);
      expect(await keys.unwrapDataKey({ wrapped, wrappedBy, context })).toEqual(plaintext);
    });

    test.each([
      ['another org', { ...context, 'vivarium:org': 'evil' }],
      ['another scope', { ...context, 'vivarium:scope': 'project:2' }],
      ['another row', { ...context, 'vivarium:key': 'k2' }],
      ['none', {}],
      ['more', { ...context, more: 'x' }],
    ])('do not unwrap for another context: %s', async (_, other) => {
      const { wrapped, wrappedBy } = await keys.generateDataKey({ context });
      const refused = keys.unwrapDataKey({ wrapped, wrappedBy, context: other });
      await expect(refused).rejects.toMatchObject({ name: 'InvalidCiphertextException', retryable: false });
      const moved = awsKms({ client: kms.client, keyId: await kms.key(), formerKeyIds: [keyArn] });
      await expect(moved.rewrapDataKey({ wrapped, wrappedBy, context: other })).rejects.toMatchObject({
        name: 'InvalidCiphertextException',
      });
    });

    test('do not unwrap when a byte of them was changed', async () => {
      const { wrapped, wrappedBy } = await keys.generateDataKey({ context });
      const changed = Uint8Array.from(wrapped);
      changed[changed.length - 1]! ^= 1;
      await expect(keys.unwrapDataKey({ wrapped: changed, wrappedBy, context })).rejects.toMatchObject({
        retryable: false,
      });
    });

    test('move to another key, for the same context, and need the former one no more', async () => {
      const { plaintext, wrapped, wrappedBy } = await keys.generateDataKey({ context });
      const next = await kms.key();
      const rotated = awsKms({ client: kms.client, keyId: next, formerKeyIds: [keyArn] });

      const again = await rotated.rewrapDataKey({ wrapped, wrappedBy, context });
      expect(again!.wrappedBy).toBe(next);
      const alone = awsKms({ client: kms.client, keyId: next });
      expect(await alone.unwrapDataKey({ ...again!, context })).toEqual(plaintext);
      await expect(alone.unwrapDataKey({ ...again!, context: {} })).rejects.toThrow('InvalidCiphertextException');
    });

    test.each(['ARN', 'id', 'alias'] as const)(
      'stay as they are when the current key, given by its %s, wraps them',
      async (by) => {
        const keyId = by === 'ARN' ? keyArn : by === 'id' ? keyArn.split('/')[1]! : await kms.alias(keyArn);
        const same = awsKms({ client: kms.client, keyId });
        const made = await same.generateDataKey({ context });
        expect(made.wrappedBy).toBe(keyArn);
        kms.sent.length = 0;
        expect(await same.rewrapDataKey({ ...made, context })).toBeNull();
        expect(kms.sent).toEqual(by === 'alias' ? ['ReEncrypt'] : []);
      },
    );

    test('follow an alias that was pointed at another key, as long as the former key is named', async () => {
      const alias = await kms.alias(keyArn);
      const byAlias = awsKms({ client: kms.client, keyId: alias });
      const { plaintext, wrapped, wrappedBy } = await byAlias.generateDataKey({ context });
      const next = await kms.key();
      await kms.point(alias, next);

      await expect(byAlias.unwrapDataKey({ wrapped, wrappedBy, context })).rejects.toMatchObject({ retryable: false });
      const withFormer = awsKms({ client: kms.client, keyId: alias, formerKeyIds: [keyArn] });
      expect(await withFormer.unwrapDataKey({ wrapped, wrappedBy, context })).toEqual(plaintext);
      const again = await withFormer.rewrapDataKey({ wrapped, wrappedBy, context });
      expect(again!.wrappedBy).toBe(next);
      expect(await byAlias.unwrapDataKey({ ...again!, context })).toEqual(plaintext);
    });

    test('unwrap by whichever of several aliases fits', async () => {
      const former = await kms.alias(keyArn);
      const { plaintext, wrapped, wrappedBy } = await keys.generateDataKey({ context });
      const current = await kms.alias(await kms.key());
      const rotated = awsKms({ client: kms.client, keyId: current, formerKeyIds: [former] });
      expect(await rotated.unwrapDataKey({ wrapped, wrappedBy, context })).toEqual(plaintext);
    });

    test('of a key that is not configured are refused without asking KMS, which would have opened them', async () => {
      const foreign = awsKms({ client: kms.client, keyId: await kms.key() });
      const slippedIn = await foreign.generateDataKey({ context });
      kms.sent.length = 0;
      const refusal = { name: 'KeyNotConfigured', retryable: false };
      await expect(keys.unwrapDataKey({ ...slippedIn, context })).rejects.toMatchObject(refusal);
      const rotating = awsKms({ client: kms.client, keyId: 'arn:aws:kms:eu-west-1:123456789012:key/other' });
      await expect(rotating.rewrapDataKey({ ...slippedIn, context })).rejects.toMatchObject(refusal);
      expect(kms.sent).toEqual([]);
    });

    test('of another key are refused, whatever the row says of them', async () => {
      const foreign = awsKms({ client: kms.client, keyId: await kms.key() });
      const { wrapped } = await foreign.generateDataKey({ context });
      const relabelled = { wrapped, wrappedBy: keyArn, context };
      await expect(keys.unwrapDataKey(relabelled)).rejects.toMatchObject({ retryable: false });
      const rotating = awsKms({ client: kms.client, keyId: await kms.key(), formerKeyIds: [keyArn] });
      await expect(rotating.rewrapDataKey(relabelled)).rejects.toMatchObject({ name: 'IncorrectKeyException' });
    });

    test('of a key that does not exist are no case for trying again', async () => {
      const absent = awsKms({ client: kms.client, keyId: '00000000-0000-0000-0000-000000000000' });
      const refused = absent.generateDataKey({ context });
      await expect(refused).rejects.toMatchObject({ name: 'NotFoundException', retryable: false });
    });
  });

  describe(`[${name}] sensitive variables by KMS`, () => {
    let kms: Kms;
    let storage: Storage;
    const acme = (keys: KeyManagement) =>
      createVivarium({ storage, keys }).as({ org: 'acme', type: 'user', id: 'ada' });
    const hundred = Array.from({ length: 100 }, (_, index) => ({
      key: `SECRET_${index}`,
      value: `value ${index}`,
      sensitive: true as const,
    }));

    beforeEach(() => {
      kms = kmsAt(url);
      storage = memoryStorage();
    });

    async function sealed(keys: KeyManagement) {
      const ada = acme(keys);
      const project = await unwrap(ada.projects.create({ name: 'Checkout' }));
      const environment = await unwrap(
        ada.environments.create({ projectId: project.id, name: 'Staging', variables: hundred }),
      );
      return { ada, ref: environment.ref };
    }

    const revealed = async (client: ReturnType<typeof acme>, ref: EnvironmentRef) => {
      const opened = await unwrap(client.environments.reveal(ref, { keys: hundred.map(({ key }) => key) }));
      return [...opened.values()].map((secret) => secret.reveal());
    };
    const values = hundred.map(({ value }) => value);

    test('cost one call to seal, one to open a hundred cold, none to open them warm', async () => {
      const keys = awsKms({ client: kms.client, keyId: await kms.key() });
      const { ref } = await sealed(keys);
      expect(kms.sent).toEqual(['GenerateDataKey']);

      const cold = acme(keys);
      kms.sent.length = 0;
      expect(await revealed(cold, ref)).toEqual(values);
      expect(kms.sent).toEqual(['Decrypt']);
      await revealed(cold, ref);
      expect(kms.sent).toEqual(['Decrypt']);
    });

    test('opened by many at once cost one call, too', async () => {
      const keys = awsKms({ client: kms.client, keyId: await kms.key() });
      const { ref } = await sealed(keys);
      const cold = acme(keys);
      kms.sent.length = 0;
      await Promise.all(Array.from({ length: 20 }, () => revealed(cold, ref)));
      expect(kms.sent).toEqual(['Decrypt']);
    });

    test('move to another KMS key by keys.rewrap, and the former key is needed no more', async () => {
      const former = await kms.key();
      const { ref } = await sealed(awsKms({ client: kms.client, keyId: former }));
      const current = await kms.key();
      const rotating = awsKms({ client: kms.client, keyId: current, formerKeyIds: [former] });

      expect(await revealed(acme(rotating), ref)).toEqual(values);
      expect(await unwrap(acme(rotating).keys.rewrap())).toEqual({ rewrapped: 1 });
      expect(await unwrap(acme(rotating).keys.rewrap())).toEqual({ rewrapped: 0 });
      expect(await revealed(acme(awsKms({ client: kms.client, keyId: current })), ref)).toEqual(values);
    });

    test('that KMS does not open are a key_management_failure that names what KMS said', async () => {
      const keyId = await kms.key();
      const { ref } = await sealed(awsKms({ client: kms.client, keyId }));
      const elsewhere = awsKms({ client: clientAt(url, { region: 'us-east-1' }), keyId });
      const result = await acme(elsewhere).environments.reveal(ref, { keys: ['SECRET_0'] });
      expect(result._unsafeUnwrapErr()).toMatchObject({
        code: 'key_management_failure',
        retryable: false,
        message: expect.stringContaining('NotFoundException'),
      });
    });
  });
});
