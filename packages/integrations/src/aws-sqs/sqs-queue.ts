import { SendMessageCommand } from '@aws-sdk/client-sqs';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { CommandQueue } from '@vivarium/core';
import { checkOptions, hasMethods, must } from '@vivarium/core/storage';

import { wholeNumber } from '../whole-number.ts';
import { AwsSqsFailure } from './failure.ts';
import { bodyOf } from './message.ts';

/** Which queue, and how patiently. */
export interface SqsQueueOptions {
  /** The host's own client, with its region, credentials and retries. It is not closed here. */
  readonly client: SQSClient;
  /** A FIFO queue: its URL ends in `.fifo`. */
  readonly queueUrl: string;
  /** How long one call may take, the client's retries included: 10,000 when not given. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Carries the messages of previews over a FIFO queue of SQS. Each environment is a message group: its messages come in their order and one at a time, and no environment waits for
 * another. A message that is sent twice within five minutes arrives once.
 *
 * Needs `sqs:SendMessage`. Rejects with {@link AwsSqsFailure}. Throws `InvalidInput` on a wrong configuration.
 *
 * @example
 * createVivarium({ storage, keys, previews: { sourceControl, runtime, queue: sqsQueue({ client: new SQSClient({}), queueUrl }) } })
 */
export function sqsQueue(options: SqsQueueOptions): CommandQueue {
  checkOptions(options, {
    client: must(hasMethods('send'), 'must be an SQSClient'),
    queueUrl: must(isFifoQueue, fifoQueueNeeded),
    timeoutMs: wholeNumber(1, 600_000),
  });
  const { client, queueUrl, timeoutMs = 10_000 } = options;

  return {
    send: async (message) => {
      const { projectEnvironmentId, sequence } = message;
      const command = new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: bodyOf(message),
        MessageGroupId: projectEnvironmentId,
        MessageDeduplicationId: `${projectEnvironmentId}-${sequence}`,
      });
      try {
        await client.send(command, { abortSignal: AbortSignal.timeout(timeoutMs) });
      } catch (cause) {
        throw AwsSqsFailure.from('SendMessage', cause);
      }
    },
  };
}

export const fifoQueueNeeded = 'must be the URL of a FIFO queue, which ends in .fifo';

export function isFifoQueue(url: unknown): boolean {
  return typeof url === 'string' && URL.parse(url)?.pathname.endsWith('.fifo') === true;
}
