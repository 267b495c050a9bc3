/**
 * Wraps Vivarium's data keys with AWS KMS.
 *
 * @packageDocumentation
 */
export { awsKms } from './aws-kms.ts';
export type { AwsKmsOptions } from './aws-kms.ts';
export { AwsKmsFailure } from './failure.ts';
