import { DecryptCommand, GenerateDataKeyCommand, ReEncryptCommand } from '@aws-sdk/client-kms';
import type { KMSClient } from '@aws-sdk/client-kms';
import { InvalidInput } from '@vivarium/core';
import type { KeyManagement } from '@vivarium/core';
import { checkOptions, hasMethods, may, must } from '@vivarium/core/storage';

import { AwsKmsFailure } from './failure.ts';
import { isAlias, isNameOf } from './key-names.ts';

/** How `awsKms` reaches KMS, and by which keys. */
export interface AwsKmsOptions {
  /** The host's own client, with its region, credentials and retries. It is not closed here. */
  readonly client: KMSClient;
  /** The symmetric key that wraps: its id, its ARN, an alias, or an alias's ARN. */
  readonly keyId: string;
  /**
   * Keys that have wrapped before and still unwrap. No other key does, whatever a stored row says: somebody who can write to the database cannot
   * slip in a data key of their own.
   */
  readonly formerKeyIds?: readonly string[] | undefined;
  /** How long one call may take, the client's retries included: 10,000 when not given. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Key management by AWS KMS. The wrapping context is the encryption context, so that KMS itself refuses to unwrap a data key for another org, scope or
 * row, and CloudTrail shows for which it was.
 *
 * Its rejections are {@link AwsKmsFailure}, `retryable` where KMS was busy, ill or out of reach. Throws `InvalidInput` on a wrong configuration.
 *
 * Needs `kms:GenerateDataKey` and `kms:Decrypt` on the key; for `keys.rewrap` also `kms:ReEncryptFrom` on the former keys and `kms:ReEncryptTo` on the
 * current one.
 *
 * @example
 * createVivarium({ storage, keys: awsKms({ client: new KMSClient({}), keyId: 'alias/vivarium' }) })
 */
export function awsKms(given: AwsKmsOptions): KeyManagement {
  check(given);
  const { client, keyId, formerKeyIds = [], timeoutMs = 10_000 } = given;
  const keys = [keyId, ...formerKeyIds];
  const options = () => ({ abortSignal: AbortSignal.timeout(timeoutMs) });

  /**
   * The names under which KMS is asked to unwrap: the one that names the key, else every alias, because only KMS knows where one points.
   */
  const namesFor = (wrappedBy: string): readonly string[] => {
    const name = keys.find((key) => !isAlias(key) && isNameOf(key, wrappedBy));
    return name === undefined ? keys.filter(isAlias) : [name];
  };

  return {
    generateDataKey: ({ context }) =>
      ask('GenerateDataKey', async () => {
        const answer = await client.send(
          new GenerateDataKeyCommand({ KeyId: keyId, KeySpec: 'AES_256', EncryptionContext: { ...context } }),
          options(),
        );
        const { Plaintext: plaintext, CiphertextBlob: wrapped, KeyId: wrappedBy } = answer;
        if (plaintext === undefined || wrapped === undefined || wrappedBy === undefined)
          return incomplete('GenerateDataKey');
        return { plaintext, wrapped, wrappedBy };
      }),

    unwrapDataKey: ({ wrapped, wrappedBy, context }) =>
      ask('Decrypt', () =>
        firstThatFits('Decrypt', namesFor(wrappedBy), async (name) => {
          const answer = await client.send(
            new DecryptCommand({ KeyId: name, CiphertextBlob: wrapped, EncryptionContext: { ...context } }),
            options(),
          );
          if (answer.Plaintext === undefined || answer.KeyId === undefined) return incomplete('Decrypt');
          return byThatKey('Decrypt', name, answer.KeyId, answer.Plaintext);
        }),
      ),

    rewrapDataKey: async ({ wrapped, wrappedBy, context }) => {
      if (!isAlias(keyId) && isNameOf(keyId, wrappedBy)) return null;
      return ask('ReEncrypt', () =>
        firstThatFits('ReEncrypt', namesFor(wrappedBy), async (name) => {
          const answer = await client.send(
            new ReEncryptCommand({
              CiphertextBlob: wrapped,
              SourceKeyId: name,
              SourceEncryptionContext: { ...context },
              DestinationKeyId: keyId,
              DestinationEncryptionContext: { ...context },
            }),
            options(),
          );
          const { CiphertextBlob: again, KeyId: now, SourceKeyId: before } = answer;
          if (again === undefined || now === undefined || before === undefined) return incomplete('ReEncrypt');
          // Where an alias points is known once KMS has answered, and may be another key in a moment: so it is asked each time.
          return byThatKey('ReEncrypt', name, before, now === wrappedBy ? null : { wrapped: again, wrappedBy: now });
        }),
      );
    },
  };
}

/** What KMS answers for a name that is not the one: it points at another key, or at one by which this role may not unwrap. */
const notThisName = new Set<unknown>(['IncorrectKeyException', 'AccessDeniedException']);

/** Tries one name after the other, for as long as it may be the next one. */
async function firstThatFits<T>(
  operation: string,
  names: readonly string[],
  attempt: (name: string) => Promise<T>,
): Promise<T> {
  for (const [index, name] of names.entries()) {
    try {
      return await attempt(name);
    } catch (cause) {
      const isLast = index === names.length - 1;
      if (isLast || !notThisName.has((cause as { name?: unknown } | null)?.name)) throw cause;
    }
  }
  throw new AwsKmsFailure(operation, { name: 'KeyNotConfigured' });
}

/** KMS refuses a key that was not asked for; what only imitates KMS may not. */
function byThatKey<T>(operation: string, name: string, answered: string, value: T): T {
  if (isAlias(name) || isNameOf(name, answered)) return value;
  throw new AwsKmsFailure(operation, { name: 'IncorrectKeyException' });
}

async function ask<T>(operation: string, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (cause) {
    throw AwsKmsFailure.from(operation, cause);
  }
}

function incomplete(operation: string): never {
  throw new AwsKmsFailure(operation, { name: 'IncompleteAnswer' });
}

const isKeyName = (name: unknown) => typeof name === 'string' && /^[\w:/-]{1,2048}$/.test(name);
const keyNameNeeded = 'must be the id or ARN of a KMS key or alias';

function check(options: AwsKmsOptions): void {
  checkOptions(options, {
    client: must(hasMethods('send'), 'must be a KMSClient'),
    keyId: must(isKeyName, keyNameNeeded),
    formerKeyIds: may(Array.isArray, 'must be a list of ids or ARNs of KMS keys or aliases'),
    timeoutMs: may(
      (ms) => Number.isSafeInteger(ms) && (ms as number) >= 1 && (ms as number) <= 600_000,
      'must be a whole number of milliseconds from 1 to 600,000',
    ),
  });
  const issues = (options.formerKeyIds ?? []).flatMap((name, index) =>
    isKeyName(name) ? [] : [{ path: `formerKeyIds[${index}]`, message: keyNameNeeded }],
  );
  if (issues.length > 0) throw new InvalidInput(issues);
}
