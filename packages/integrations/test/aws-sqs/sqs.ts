import { randomUUID } from 'node:crypto';

import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { err, ok, ResultAsync } from '@vivarium/core';
import type { QueueMessage } from '@vivarium/core';

import type { WorkingVivarium } from '../../src/aws-sqs/index.ts';

export function clientAt(endpoint: string): SQSClient {
  const credentials = { accessKeyId: 'vivarium', secretAccessKey: 'vivarium' };
  return new SQSClient({ endpoint, region: 'eu-west-1', credentials, maxAttempts: 1 });
}

/** A FIFO queue of its own with a dead letter queue, and what is in them. */
export async function queuesAt(client: SQSClient, maxReceiveCount = 100) {
  const create = async (name: string, attributes: Record<string, string> = {}) => {
    const Attributes = { FifoQueue: 'true', ...attributes };
    return (await client.send(new CreateQueueCommand({ QueueName: `${name}.fifo`, Attributes }))).QueueUrl!;
  };
  const name = `vivarium-${randomUUID()}`;
  const deadUrl = await create(`${name}-dead`);
  const about = await client.send(new GetQueueAttributesCommand({ QueueUrl: deadUrl, AttributeNames: ['QueueArn'] }));
  const deadLetterTargetArn = about.Attributes!['QueueArn'];
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount });
  const queueUrl = await create(name, { RedrivePolicy, VisibilityTimeout: '30' });

  const receive = async (QueueUrl: string, count = 10) => {
    const command = new ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: count,
      WaitTimeSeconds: 0,
      MessageSystemAttributeNames: ['All'],
    });
    return (await client.send(command)).Messages ?? [];
  };
  const size = async (url: string) => {
    const AttributeNames = ['ApproximateNumberOfMessages' as const, 'ApproximateNumberOfMessagesNotVisible' as const];
    const { Attributes } = await client.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames }));
    return Object.values(Attributes!).reduce((sum, count) => sum + Number(count), 0);
  };
  return { queueUrl, deadUrl, receive, size };
}

/** Two environments. */
export const e1 = '01933b5e-0000-7000-8000-0000000000e1';
export const e2 = '01933b5e-0000-7000-8000-0000000000e2';

export const message = (sequence: number, projectEnvironmentId = e1, orgId = 'acme'): QueueMessage => ({
  version: 1,
  orgId,
  projectEnvironmentId,
  sequence,
});

type Failure = { readonly code: string; readonly message: string; readonly retryAfterMs?: number | null };

/** A Vivarium that does with each message what it is told, and remembers them. */
export function handling(work: (message: QueueMessage, signal: AbortSignal) => Promise<Failure | null>) {
  const handled: (QueueMessage & { readonly org: string })[] = [];
  const vivarium: WorkingVivarium = {
    system: (org) => ({
      previews: {
        handle: (given, { signal }) => {
          handled.push({ org, ...given });
          const done = work(given, signal).then((failure) => (failure === null ? ok('deployed') : err(failure)));
          return new ResultAsync<unknown, Failure>(done);
        },
      },
    }),
  };
  return { vivarium, handled };
}
