import { RequestFailed } from '../http/request-failed.ts';

/**
 * A runtime was not created, or not removed, or nobody knows. Holds nothing of what was sent. Where it was not `refused`, the same may be asked again, under the same
 * `idempotency-key`.
 */
export class RuntimeRequestFailed extends RequestFailed {
  override readonly name = 'RuntimeRequestFailed';
}
