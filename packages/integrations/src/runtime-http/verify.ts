import { err, ok } from '@vivarium/core';
import type { Result } from '@vivarium/core';

import { faultOf, UnverifiedRequest } from '../pipeline-http/signature.ts';
import type { PipelineRequestToVerify } from '../pipeline-http/signature.ts';
import { idempotencyKeyOf } from './request.ts';
import type { RuntimeServiceRequest } from './request.ts';

/** A request that was verified, and the key by which a receiver knows that it has it already: a part of what was signed, unlike the header. */
export interface VerifiedRuntimeRequest {
  readonly request: RuntimeServiceRequest;
  readonly idempotencyKey: string;
}

/** A request as it was received, and what it is held against. */
export type RuntimeRequestToVerify = PipelineRequestToVerify;

/**
 * For the receiving side: whether a request comes from a host that has the secret, unchanged and recently (within five minutes, unless `toleranceMs` says otherwise).
 *
 * Errors: `unverified_request`.
 */
export function verifyRuntimeRequest(
  received: RuntimeRequestToVerify,
): Result<VerifiedRuntimeRequest, UnverifiedRequest> {
  const fault = faultOf(received);
  if (fault !== null) return err(new UnverifiedRequest(fault));
  const request = understood(received.body);
  if (request === null) return err(new UnverifiedRequest('not_understood'));
  return ok({ request, idempotencyKey: idempotencyKeyOf(request) });
}

/** What was rightly signed was made by `httpRuntime`, or by `httpPipelines` with the same secret: it is enough to look which. */
function understood(body: string | Uint8Array): RuntimeServiceRequest | null {
  try {
    const request = JSON.parse(Buffer.from(body).toString('utf8')) as RuntimeServiceRequest;
    const isKnown =
      request.version === 1 &&
      ((request.type === 'create' && typeof request.key === 'string') ||
        (request.type === 'remove' && Array.isArray(request.keys)));
    return isKnown ? request : null;
  } catch {
    return null;
  }
}
