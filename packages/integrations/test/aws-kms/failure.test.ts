import { inspect } from 'node:util';

import { describe, expect, test } from 'vitest';

import { awsKms, AwsKmsFailure } from '../../src/aws-kms/index.ts';
import { peer } from '../loopback.ts';
import type { Answer } from '../loopback.ts';
import { clientAt } from './kms.ts';

const keyId = 'arn:aws:kms:eu-west-1:123456789012:key/0b2c';
const context = { 'vivarium:org': 'acme' };

const says = (status: number, type: string, message: string): Answer => ({
  status,
  headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': 'r-1' },
  body: JSON.stringify({ __type: type, message }),
});

/** What becomes of a call to a KMS that answers like this. */
async function failureOf(
  answer: Answer | 'hang' | 'hang up',
  timeoutMs = 10_000,
): Promise<{ failure: AwsKmsFailure; calls: number }> {
  const { url, received } = await peer(answer);
  const keys = awsKms({ client: clientAt(url, { maxAttempts: 2 }), keyId, timeoutMs });
  const failure = await keys
    .unwrapDataKey({ wrapped: new Uint8Array(64), wrappedBy: keyId, context })
    .catch((thrown) => thrown);
  return { failure, calls: received.length };
}

describe('a failing KMS', () => {
  test.each([
    ['that throttles', says(400, 'ThrottlingException', 'Rate exceeded'), 'ThrottlingException'],
    ['that is ill', says(500, 'KMSInternalException', 'internal'), 'KMSInternalException'],
    ['whose key store is not reached', says(500, 'KeyUnavailableException', 'later'), 'KeyUnavailableException'],
    ['that times out inside', says(503, 'DependencyTimeoutException', 'later'), 'DependencyTimeoutException'],
    ['whose front door answers 503', { status: 503, body: '<html>' } satisfies Answer, expect.any(String)],
    ['that hangs', 'hang' as const, expect.stringMatching(/^(AbortError|TimeoutError)$/)],
    ['that hangs up', 'hang up' as const, expect.any(String)],
  ])('%s may be asked again', async (_, answer, name) => {
    const { failure } = await failureOf(answer, answer === 'hang' ? 500 : undefined);
    expect(failure).toBeInstanceOf(AwsKmsFailure);
    expect(failure).toMatchObject({ name, retryable: true, operation: 'Decrypt' });
  });

  test('that cannot be reached may be asked again', async () => {
    const keys = awsKms({ client: clientAt('http://127.0.0.1:1', { maxAttempts: 1 }), keyId });
    await expect(keys.generateDataKey({ context })).rejects.toMatchObject({ retryable: true, requestId: null });
  });

  test.each([
    'AccessDeniedException',
    'DisabledException',
    'KMSInvalidStateException',
    'InvalidCiphertextException',
    'NotFoundException',
  ])('that says %s is not asked again', async (type) => {
    const { failure, calls } = await failureOf(says(400, type, 'no'));
    expect(failure).toMatchObject({ name: type, retryable: false, requestId: 'r-1' });
    expect(calls).toBe(1);
  });

  test('that hangs is waited for no longer than timeoutMs', async () => {
    const before = performance.now();
    await failureOf('hang', 500);
    expect(performance.now() - before).toBeLessThan(20_000);
  });

  test.each([
    ['with half of an answer', { KeyId: keyId }],
    [
      'for another key',
      { KeyId: 'arn:aws:kms:eu-west-1:999999999999:key/evil', Plaintext: Buffer.alloc(32).toString('base64') },
    ],
  ])('that answers %s gives no key', async (_, body) => {
    const { failure } = await failureOf({ ...says(200, '', ''), body: JSON.stringify(body) });
    expect(failure).toBeInstanceOf(AwsKmsFailure);
    expect(failure.retryable).toBe(false);
  });

  test('leaves nothing of what it was told or has answered in the error', async () => {
    const canary = 'CANARY-5f1e';
    for (const answer of [
      says(400, 'AccessDeniedException', canary),
      { ...says(200, '', ''), body: `{"Plaintext":"${canary}` },
    ]) {
      const { failure } = await failureOf(answer);
      const everything = [
        inspect(failure, { depth: 10, showHidden: true }),
        failure.stack,
        JSON.stringify(failure),
      ].join('\n');
      expect(everything).not.toContain(canary);
      expect(everything).not.toContain('acme');
    }
  });
});

describe('a configuration of awsKms', () => {
  const client = clientAt('http://127.0.0.1:1');

  test.each([
    ['without a key', { client, keyId: '' }, 'keyId'],
    ['with a former key that is none', { client, keyId, formerKeyIds: [keyId, 'a key'] }, 'formerKeyIds[1]'],
    ['without anything', undefined as never, ''],
    ['without a client', { client: undefined as never, keyId }, 'client'],
    ['with former keys that are no list', { client, keyId, formerKeyIds: keyId as never }, 'formerKeyIds'],
    ['with an option that there is not', { client, keyId, formerKeys: [] } as never, 'formerKeys'],
    ['without time', { client, keyId, timeoutMs: 0 }, 'timeoutMs'],
    ['with too much time', { client, keyId, timeoutMs: 2 ** 31 }, 'timeoutMs'],
  ])('%s is refused, and says where', (_, options, path) => {
    expect(() => awsKms(options)).toThrow(
      expect.objectContaining({ code: 'invalid_input', issues: [expect.objectContaining({ path })] }),
    );
  });
});
