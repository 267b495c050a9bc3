import {
  BatchGetItemCommand,
  DynamoDBClient,
  GetItemCommand,
  QueryCommand,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { dynamodbStorage } from '@vivarium/adapter-dynamodb';

import type { Database, Recording } from './driver.ts';

/** A request as the client was given it. */
interface Request {
  readonly command: string;
  /** As JSON: a request of this storage holds nothing that JSON cannot. */
  readonly input: string;
}

const uuids = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** DynamoDB by `client-dynamodb`, with as many connections on either side. The values of the raw client's requests come ready made, too. */
export function dynamodb(url: string, connections: number): Database {
  const [ours, raw] = [clientAt(url, connections), clientAt(url, connections)];

  const send = async ({ command, input }: Request, others: ReadonlyMap<unknown, unknown>) => {
    // Ids stand inside of keys.
    const replaced = input.replace(uuids, (id) => (others.get(id) as string | undefined) ?? id);
    await sendBy(raw, command, JSON.parse(replaced) as never);
  };

  return {
    name: 'DynamoDB',
    storage: dynamodbStorage({ client: ours, table: 'vivarium-bench' }),
    record: async (run): Promise<Recording> => {
      const requests: Request[] = [];
      ours.middlewareStack.add(
        (next, { commandName }) =>
          (args) => {
            requests.push({ command: commandName!, input: JSON.stringify(args.input) });
            return next(args);
          },
        { step: 'initialize', name: 'recorder' },
      );
      try {
        await run();
      } finally {
        ours.middlewareStack.remove('recorder');
      }
      return {
        ids: [...new Set(requests.flatMap(({ input }) => input.match(uuids) ?? []))],
        names: [],
        again: async (others) => {
          for (const request of requests) await send(request, others);
        },
      };
    },
    close: async () => {
      ours.destroy();
      raw.destroy();
    },
  };
}

function clientAt(url: string, maxSockets: number): DynamoDBClient {
  const credentials = { accessKeyId: 'vivarium', secretAccessKey: 'vivarium' };
  return new DynamoDBClient({
    endpoint: url,
    region: 'local',
    credentials,
    requestHandler: { httpAgent: { maxSockets } },
  });
}

async function sendBy(client: DynamoDBClient, command: string, input: never): Promise<void> {
  switch (command) {
    case 'GetItemCommand':
      return void (await client.send(new GetItemCommand(input)));
    case 'BatchGetItemCommand':
      return void (await client.send(new BatchGetItemCommand(input)));
    case 'QueryCommand':
      return void (await client.send(new QueryCommand(input)));
    case 'TransactWriteItemsCommand':
      return void (await client.send(new TransactWriteItemsCommand(input)));
    default:
      throw new Error(`the bench does not know how to send a ${command}`);
  }
}
