import { CreateAliasCommand, CreateKeyCommand, KMSClient, UpdateAliasCommand } from '@aws-sdk/client-kms';
import type { KMSClientConfig } from '@aws-sdk/client-kms';

/** A KMS with keys of its own to test with, and a record of what was asked of it. */
export interface Kms {
  readonly client: KMSClient;
  /** The operations that were sent, in their order. */
  readonly sent: string[];
  /** Makes a key and gives its ARN. */
  key(): Promise<string>;
  alias(keyArn: string): Promise<string>;
  point(alias: string, keyArn: string): Promise<void>;
}

export function clientAt(endpoint: string, more: KMSClientConfig = {}): KMSClient {
  const credentials = { accessKeyId: 'vivarium', secretAccessKey: 'vivarium' };
  return new KMSClient({ endpoint, region: 'eu-west-1', credentials, ...more });
}

export function kmsAt(endpoint: string): Kms {
  const setUp = clientAt(endpoint);
  const client = clientAt(endpoint);
  const sent: string[] = [];
  client.middlewareStack.add(
    (next, context) => (request) => {
      sent.push(String(context.commandName).replace(/Command$/, ''));
      return next(request);
    },
    { step: 'finalizeRequest' },
  );
  let aliases = 0;
  return {
    client,
    sent,
    key: async () => (await setUp.send(new CreateKeyCommand({}))).KeyMetadata!.Arn!,
    alias: async (TargetKeyId) => {
      const AliasName = `alias/vivarium-${process.pid}-${Date.now()}-${aliases++}`;
      await setUp.send(new CreateAliasCommand({ AliasName, TargetKeyId }));
      return AliasName;
    },
    point: async (AliasName, TargetKeyId) => {
      await setUp.send(new UpdateAliasCommand({ AliasName, TargetKeyId }));
    },
  };
}
