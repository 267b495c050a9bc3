/**
 * Carries the messages of previews over a FIFO queue of Amazon SQS.
 *
 * @packageDocumentation
 */
export { AwsSqsFailure } from './failure.ts';
export { sqsQueue } from './sqs-queue.ts';
export type { SqsQueueOptions } from './sqs-queue.ts';
export { sqsWorker } from './sqs-worker.ts';
export type { SqsWorker, SqsWorkerFailure, SqsWorkerOptions, WorkingVivarium } from './sqs-worker.ts';
