import { SendMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { describeOnEngines } from '@vivarium/engines/vitest';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { sqsQueue, sqsWorker } from '../../src/aws-sqs/index.ts';
import type { SqsWorkerFailure, SqsWorkerOptions } from '../../src/aws-sqs/index.ts';
import { clientAt, e1, e2, handling, message, queuesAt } from './sqs.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const soon = { timeout: 15_000, interval: 50 };

await describeOnEngines(['aws'], ({ name, url }) => {
  describe(`[${name}] messages over SQS`, () => {
    let client: SQSClient;
    let queues: Awaited<ReturnType<typeof queuesAt>>;

    beforeEach(async () => {
      client = clientAt(url);
      queues = await queuesAt(client);
    });

    const send = (...messages: ReturnType<typeof message>[]) =>
      messages.reduce(async (before, each) => {
        await before;
        await sqsQueue({ client, queueUrl: queues.queueUrl }).send(each);
      }, Promise.resolve());

    const working = (work: Parameters<typeof handling>[0], more: Partial<SqsWorkerOptions> = {}) => {
      const { vivarium, handled } = handling(work);
      const failures: SqsWorkerFailure[] = [];
      const worker = sqsWorker({
        vivarium,
        client,
        queueUrl: queues.queueUrl,
        waitTimeSeconds: 1,
        onFailure: (failure) => failures.push(failure),
        ...more,
      });
      worker.start();
      onTestFinished(() => worker.stop());
      return { worker, handled, failures };
    };

    test('stand in the group of their environment, and one sent twice is one', async () => {
      const more = { ...message(1), secret: 'canary' };
      await send(more, message(1), message(1, e2));
      const received = await queues.receive(queues.queueUrl);
      expect(received.map(({ Body, Attributes }) => [JSON.parse(Body!), Attributes!.MessageGroupId])).toEqual([
        [message(1), e1],
        [message(1, e2), e2],
      ]);
      expect(received[0]!.Attributes!.MessageDeduplicationId).toBe(`${e1}-1`);
    });

    test('are handed to their org in their order, and are gone afterwards', async () => {
      await send(message(1), message(2, e1), message(1, e2, 'other'));
      const { handled, failures } = working(async () => null);
      await vi.waitFor(() => expect(handled).toHaveLength(3), soon);
      expect(handled.filter(({ projectEnvironmentId }) => projectEnvironmentId === e1)).toEqual([
        { org: 'acme', ...message(1) },
        { org: 'acme', ...message(2) },
      ]);
      expect(handled).toContainEqual({ org: 'other', ...message(1, e2, 'other') });
      await vi.waitFor(async () => expect(await queues.size(queues.queueUrl)).toBe(0), soon);
      expect(failures).toEqual([]);
    });

    test('that fail are given back, and come again when the error says', async () => {
      await send(message(1));
      const times: number[] = [];
      const failed = { code: 'preview_step_failed', message: 'the step comment did not succeed', retryAfterMs: 2_000 };
      const { failures } = working(async () => (times.push(performance.now()) === 1 ? failed : null));
      await vi.waitFor(() => expect(times).toHaveLength(2), soon);
      expect(times[1]! - times[0]!).toBeGreaterThan(1_500);
      expect(failures).toEqual([
        {
          type: 'given_back',
          messageId: expect.any(String),
          retryAfterMs: 2_000,
          error: { code: failed.code, message: failed.message },
        },
      ]);
      await vi.waitFor(async () => expect(await queues.size(queues.queueUrl)).toBe(0), soon);
    });

    test('that meet a defect are given back with a pause, and the defect is told by its name alone', async () => {
      await send(message(1));
      const { failures } = working(() => Promise.reject(new TypeError('canary')));
      await vi.waitFor(() => expect(failures).toHaveLength(1), soon);
      expect(failures[0]).toMatchObject({ type: 'given_back', retryAfterMs: 5_000 });
      expect(failures[0]!.error.message).toContain('TypeError');
      expect(JSON.stringify(failures)).not.toContain('canary');
      expect(await queues.size(queues.queueUrl)).toBe(1);
    });

    test('that are none are left, until they are in the dead letter queue', async () => {
      queues = await queuesAt(client, 1);
      const { queueUrl } = queues;
      const given = { QueueUrl: queueUrl, MessageGroupId: 'g', MessageDeduplicationId: 'd' };
      await client.send(new SendMessageCommand({ ...given, MessageBody: '{"version":2,"note":"canary"}' }));
      const { handled, failures } = working(async () => null, { visibilityTimeoutSeconds: 3 });
      await vi.waitFor(async () => expect(await queues.size(queues.deadUrl)).toBe(1), soon);
      expect(handled).toEqual([]);
      expect(failures).toEqual([
        { type: 'left', messageId: expect.any(String), retryAfterMs: null, error: expect.anything() },
      ]);
      expect(JSON.stringify(failures)).not.toContain('canary');
    });

    test('stay hidden for as long as they are worked on', async () => {
      await send(message(1));
      const { handled } = working(async () => (await pause(5_500), null), { visibilityTimeoutSeconds: 3 });
      await vi.waitFor(() => expect(handled).toHaveLength(1), soon);
      for (let i = 0; i < 5; i++) {
        await pause(900);
        expect(await queues.receive(queues.queueUrl)).toEqual([]);
      }
      await vi.waitFor(async () => expect(await queues.size(queues.queueUrl)).toBe(0), soon);
      expect(handled).toHaveLength(1);
    });

    test('under way are waited for when the worker stops, and no other one is begun', async () => {
      await send(message(1), message(2));
      const { worker, handled } = working(async () => (await pause(600), null));
      await vi.waitFor(() => expect(handled).toHaveLength(1), soon);
      await worker.stop();
      expect(await queues.size(queues.queueUrl)).toBe(1);
      await pause(1_500);
      expect(handled).toHaveLength(1);
      worker.start();
      await vi.waitFor(() => expect(handled).toHaveLength(2), soon);
    });

    test('that take longer than the worker waits are aborted, and come again', async () => {
      await send(message(1));
      const aborted = { code: 'preview_step_failed', message: 'aborted', retryAfterMs: 0 };
      const { worker, handled, failures } = working(
        (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(aborted))),
        { graceMs: 100 },
      );
      await vi.waitFor(() => expect(handled).toHaveLength(1), soon);
      await worker.stop();
      expect(failures).toMatchObject([{ type: 'given_back', retryAfterMs: 0 }]);
      await vi.waitFor(async () => expect(await queues.receive(queues.queueUrl)).toHaveLength(1), soon);
    });

    test('do not come while there is no queue, which is told, without asking all the time', async () => {
      const queueUrl = queues.queueUrl.replace('.fifo', '-gone.fifo');
      const { worker, failures } = working(async () => null, { queueUrl, concurrency: 1 });
      await vi.waitFor(() => expect(failures.length).toBeGreaterThan(0), soon);
      expect(failures[0]).toMatchObject({ type: 'queue', messageId: null });
      await pause(1_200);
      expect(failures.length).toBeLessThan(4);
      const begun = performance.now();
      await worker.stop();
      expect(performance.now() - begun).toBeLessThan(1_000);
      await expect(sqsQueue({ client, queueUrl }).send(message(1))).rejects.toMatchObject({
        name: 'QueueDoesNotExist',
        retryable: false,
      });
    });
  });
});
