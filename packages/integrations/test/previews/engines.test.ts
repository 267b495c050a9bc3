import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { dynamodbStorage } from '@vivarium/adapter-dynamodb';
import { postgresStorage } from '@vivarium/adapter-postgres';
import { unwrap } from '@vivarium/core';
import { askForEngine, describeOnEngines } from '@vivarium/engines/vitest';
import { onTestFinished, vi } from 'vitest';

import { awsKms } from '../../src/aws-kms/index.ts';
import { sqsQueue, sqsWorker } from '../../src/aws-sqs/index.ts';
import { kmsAt } from '../aws-kms/kms.ts';
import { clientAt, queuesAt } from '../aws-sqs/sqs.ts';
import { byHand, flows } from './flows.ts';
import { world } from './world.ts';

await describeOnEngines(['postgres-18'], ({ name, url }) => {
  flows(name, async (place) => {
    const storage = postgresStorage({ connectionString: url }, { schema: `previews_${process.pid}_${Date.now()}` });
    onTestFinished(async () => void (await storage.close()));
    await unwrap(storage.migrate());
    return byHand({ ...place, storage });
  });
});

const aws = await askForEngine('aws');

/** DynamoDB, SQS and KMS, with a worker that receives: all of it over the real protocols. */
await describeOnEngines(['dynamodb'], ({ name, url }) => {
  flows(`${name}] [aws`, async (place) => {
    if (!('url' in aws)) throw new Error(aws.remedy);
    const credentials = { accessKeyId: 'vivarium', secretAccessKey: 'vivarium' };
    const client = new DynamoDBClient({ endpoint: url, region: 'eu-west-1', credentials });
    const storage = dynamodbStorage({ client, table: `previews-${process.pid}-${Date.now()}` });
    await unwrap(storage.migrate());
    const kms = kmsAt(aws.url);
    const sqs = clientAt(aws.url);
    const { queueUrl, size } = await queuesAt(sqs);
    const made = await world({
      ...place,
      storage,
      keys: awsKms({ client: kms.client, keyId: await kms.key() }),
      queue: sqsQueue({ client: sqs, queueUrl }),
    });
    const worker = sqsWorker({ vivarium: made.vivarium, client: sqs, queueUrl, waitTimeSeconds: 0 });
    worker.start();
    onTestFinished(() => worker.stop());
    const settle = () =>
      vi.waitFor(
        async () => {
          if ((await size(queueUrl)) > 0) throw new Error('there are messages left');
        },
        { timeout: 60_000, interval: 50 },
      );
    return { ...made, settle };
  });
});
