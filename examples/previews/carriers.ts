import { randomBytes } from 'node:crypto';

import { localKeyring } from '@vivarium/core';
import type { CommandQueue, KeyManagement, Vivarium } from '@vivarium/core';

/** What wraps the keys, and who carries the messages of previews. */
export interface Carriers {
  readonly keys: KeyManagement;
  /** In this process when not there. */
  readonly queue?: CommandQueue;
  /** For people. */
  readonly named: string;
  /** Begins to work. */
  work(vivarium: Vivarium): void;
  close(): Promise<void>;
}

/** This process alone; or SQS and KMS at the endpoint that `VIVARIUM_AWS` names, such as moto's. */
export async function openCarriers(endpoint = process.env['VIVARIUM_AWS']): Promise<Carriers> {
  if (endpoint === undefined) {
    const keys = localKeyring({ keys: `example:${randomBytes(32).toString('base64')}` });
    return { keys, named: 'this process', work: () => {}, close: async () => {} };
  }
  const { CreateKeyCommand, KMSClient } = await import('@aws-sdk/client-kms');
  const { CreateQueueCommand, SQSClient } = await import('@aws-sdk/client-sqs');
  const { awsKms } = await import('@vivarium/integrations/aws-kms');
  const { sqsQueue, sqsWorker } = await import('@vivarium/integrations/aws-sqs');

  const at = { endpoint, region: 'eu-west-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  const [kms, client] = [new KMSClient(at), new SQSClient(at)];
  const { KeyMetadata } = await kms.send(new CreateKeyCommand({}));
  const QueueName = `previews-${Date.now()}.fifo`;
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName, Attributes: { FifoQueue: 'true' } }));
  const queueUrl = QueueUrl!;
  let worker: ReturnType<typeof sqsWorker> | undefined;
  return {
    keys: awsKms({ client: kms, keyId: KeyMetadata!.KeyId! }),
    queue: sqsQueue({ client, queueUrl }),
    named: 'SQS, with its keys in KMS',
    work: (vivarium) => {
      worker = sqsWorker({ vivarium, client, queueUrl, waitTimeSeconds: 1 });
      worker.start();
    },
    close: async () => {
      await worker?.stop();
      kms.destroy();
      client.destroy();
    },
  };
}
