import { RequestFailed } from '../http/request-failed.ts';

/**
 * A pipeline was not started, or not cancelled, or nobody knows. Holds nothing of what was sent. Where it was not `refused`, the change stays pending and `sweep` calls again, under the
 * same idempotency key; where it was, the change has failed.
 */
export class PipelineRequestFailed extends RequestFailed {
  override readonly name = 'PipelineRequestFailed';
}
