import { isVivariumError, StorageFailure } from '@vivarium/core/storage';

import { DamagedItem } from './attributes.ts';

/** What was being done when something failed: only a write can have happened without anybody knowing. */
export type Intent = 'read' | 'write';

/** What is kept of an AWS error. Its message and its response stay behind: they may repeat keys and values. */
export class AwsError extends Error {
  readonly code: string | null;
  readonly requestId: string | null;

  constructor({ name, code, $metadata }: AwsException) {
    super(name);
    this.name = name;
    this.code = typeof code === 'string' ? code : null;
    this.requestId = $metadata?.requestId ?? null;
  }
}

/** The shape of what the AWS SDK throws. Told apart by name: the host may have loaded another copy of the SDK's classes. */
interface AwsException {
  readonly name: string;
  readonly code?: unknown;
  readonly $metadata?: { readonly requestId?: string; readonly httpStatusCode?: number; readonly attempts?: number };
  readonly CancellationReasons?: readonly CancellationReason[];
}

/** Why one action of a transaction was refused; the item as it was, where a condition failed and there is one. */
export interface CancellationReason {
  readonly Code?: string | undefined;
  readonly Item?: Readonly<Record<string, unknown>> | undefined;
}

const throttled = new Set([
  'ProvisionedThroughputExceededException',
  'ProvisionedThroughputExceeded',
  'RequestLimitExceeded',
  'ThrottlingException',
  'ThrottlingError',
]);

const conflicting = new Set([
  'TransactionConflict',
  'TransactionConflictException',
  'TransactionInProgressException',
  'ReplicatedWriteConflictException',
]);

const forbidden = new Set([
  'AccessDeniedException',
  'AccessDenied',
  'CredentialsProviderError',
  'ExpiredTokenException',
  'IncompleteSignatureException',
  'InvalidSignatureException',
  'MissingAuthenticationTokenException',
  'UnrecognizedClientException',
]);

/** Errors of the connection after which it is certain that the request never arrived. */
const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN']);

export function isConflict(code: string | undefined): boolean {
  return code !== undefined && (conflicting.has(code) || throttled.has(code));
}

export function nameOf(thrown: unknown): string {
  return (thrown as { name?: string } | null)?.name ?? '';
}

/** The reasons of a cancelled transaction, one for each of its actions; `null` when something else was thrown. */
export function cancellationReasons(thrown: unknown): readonly CancellationReason[] | null {
  if (nameOf(thrown) !== 'TransactionCanceledException') return null;
  return (thrown as AwsException).CancellationReasons ?? [];
}

/** Translates whatever was thrown. The one place where errors of the AWS SDK become errors of Vivarium. */
export function toStorageFailure(thrown: unknown, intent: Intent, table: string): StorageFailure {
  if (isVivariumError(thrown)) {
    return thrown instanceof StorageFailure || thrown.code === 'storage_failure'
      ? (thrown as StorageFailure)
      : new StorageFailure(thrown.message, { retryable: false, outcome: 'none' });
  }
  if (thrown instanceof DamagedItem) return new StorageFailure(thrown.message, { retryable: false, outcome: 'none' });

  const exception = thrown as AwsException;
  const cause = new AwsError(thrown instanceof Error ? exception : { name: 'Error' });
  const refused = (message: string, retryable = false) =>
    new StorageFailure(message, { retryable, outcome: 'none', cause });

  const { name } = cause;
  if (name === 'ResourceNotFoundException') {
    return refused(`the table ${table}, its index, or the table of secrets does not exist: run storage.migrate()`);
  }
  if (forbidden.has(name)) {
    return refused(
      `AWS refuses these credentials access to ${table} (${name}): the README lists the actions they need`,
    );
  }
  if (throttled.has(name)) return refused(`DynamoDB throttles requests to ${table} (${name}); try again later`, true);
  if (conflicting.has(name)) return refused('other transactions keep changing the same items; try again', true);
  if (name === 'TransactionCanceledException') {
    const codes = (exception.CancellationReasons ?? [])
      .map(({ Code }) => Code ?? 'None')
      .filter((code) => code !== 'None');
    return codes.some(isConflict)
      ? refused('other transactions keep changing the same items; try again', true)
      : refused(`DynamoDB cancelled the transaction (${[...new Set(codes)].join(', ')})`);
  }
  if (name === 'ValidationException') {
    return refused(`DynamoDB refuses the request as invalid: is ${table} a table that storage.migrate() made?`);
  }

  const status = exception.$metadata?.httpStatusCode;
  const certain = (exception.$metadata?.attempts ?? 1) <= 1 && neverSent.has(cause.code ?? '');
  const outcome = intent === 'read' || certain ? 'none' : 'unknown';
  if (status !== undefined) {
    return new StorageFailure(`DynamoDB answered with ${status} (${name})`, {
      retryable: status >= 500,
      outcome,
      cause,
    });
  }
  return isConnectionError(name, cause.code)
    ? new StorageFailure(`DynamoDB cannot be reached (${cause.code ?? name})`, { retryable: true, outcome, cause })
    : new StorageFailure(`the DynamoDB storage failed unexpectedly (${name})`, { retryable: false, outcome, cause });
}

function isConnectionError(name: string, code: string | null): boolean {
  return code?.startsWith('E') === true || /Timeout|Network|Socket|Abort/i.test(name);
}
