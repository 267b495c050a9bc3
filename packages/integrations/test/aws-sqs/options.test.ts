import { inspect } from 'node:util';

import { InvalidInput } from '@vivarium/core';
import { expect, test } from 'vitest';

import { AwsSqsFailure, sqsQueue, sqsWorker } from '../../src/aws-sqs/index.ts';
import { nobody, peer } from '../loopback.ts';
import { clientAt, handling, message } from './sqs.ts';

const queueUrl = 'https://sqs.eu-west-1.amazonaws.com/1/previews.fifo';
const client = clientAt('http://127.0.0.1:1');
const { vivarium } = handling(async () => null);

test.each([
  ['client', { client: {} }],
  ['queueUrl', { queueUrl: queueUrl.replace('.fifo', '') }],
  ['timeoutMs', { timeoutMs: 0 }],
  ['queue', { queue: queueUrl }],
])('a queue is refused for its %s', (path, wrong) => {
  expect(() => sqsQueue({ client, queueUrl, ...wrong } as never)).toThrow(InvalidInput);
  expect(() => sqsQueue({ client, queueUrl, ...wrong } as never)).toThrow(path);
});

test.each([
  ['vivarium', { vivarium: null }],
  ['client', { client: undefined }],
  ['queueUrl', { queueUrl: 'previews.fifo' }],
  ['concurrency', { concurrency: 0 }],
  ['visibilityTimeoutSeconds', { visibilityTimeoutSeconds: 2 }],
  ['waitTimeSeconds', { waitTimeSeconds: 21 }],
  ['graceMs', { graceMs: -1 }],
  ['onFailure', { onFailure: 'log' }],
  ['batchSize', { batchSize: 10 }],
])('a worker is refused for its %s', (path, wrong) => {
  expect(() => sqsWorker({ vivarium, client, queueUrl, ...wrong } as never)).toThrow(InvalidInput);
  expect(() => sqsWorker({ vivarium, client, queueUrl, ...wrong } as never)).toThrow(path);
});

test('a worker that was never started stops', async () => {
  await sqsWorker({ vivarium, client, queueUrl }).stop();
});

test('what SQS or its client says is not repeated but for its name', async () => {
  const answer = (status: number, type: string) => ({
    status,
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amzn-requestid': 'r-1' },
    body: JSON.stringify({ __type: `com.amazonaws.sqs#${type}`, message: 'canary' }),
  });
  const peers = [await peer(answer(400, 'RequestThrottled')), await peer(answer(400, 'KmsAccessDenied'))];
  const failures = await Promise.all(
    [...peers.map(({ url }) => url), await nobody()].map(async (url) => {
      const queue = sqsQueue({ client: clientAt(url), queueUrl: `${url}/1/previews.fifo` });
      const failure: unknown = await queue.send(message(1)).then(
        () => expect.unreachable(),
        (thrown: unknown) => thrown,
      );
      expect(failure).toBeInstanceOf(AwsSqsFailure);
      expect(inspect(failure, { showHidden: true, depth: 9 })).not.toContain('canary');
      return failure as AwsSqsFailure;
    }),
  );
  expect(failures.map(({ name, retryable, requestId }) => [name, retryable, requestId])).toEqual([
    ['RequestThrottled', true, 'r-1'],
    ['KmsAccessDenied', false, 'r-1'],
    ['Error', true, null],
  ]);
});
