import { createHmac, timingSafeEqual } from 'node:crypto';

import { err, ok, VivariumError } from '@vivarium/core';
import type { Result } from '@vivarium/core';

import { idempotencyKeyOf } from './request.ts';
import type { PipelineRequest } from './request.ts';

/** The headers of a signed request. */
export const timestampHeader = 'vivarium-timestamp';
export const signatureHeader = 'vivarium-signature';

/** A shorter secret could be found by trying. */
export const minimumSecretBytes = 32;

/** A request that is not, or no longer, to be believed. Answer it with 401 and do nothing. */
export class UnverifiedRequest extends VivariumError {
  readonly code = 'unverified_request';
  /**
   * - `unsigned`: a header is missing or malformed.
   * - `wrong_signature`: signed with another secret, or changed on its way.
   * - `outside_window`: signed too long ago, or in the future: a replay, or two clocks that differ.
   * - `not_understood`: rightly signed, but no request of a version that this package knows.
   */
  readonly reason: 'unsigned' | 'wrong_signature' | 'outside_window' | 'not_understood';

  constructor(reason: UnverifiedRequest['reason']) {
    super(`the request is not verified: ${reason.replaceAll('_', ' ')}`);
    this.reason = reason;
  }
}

/** A request that was verified, and the key by which a receiver knows that it has it already: a part of what was signed, unlike the header. */
export interface VerifiedPipelineRequest {
  readonly request: PipelineRequest;
  readonly idempotencyKey: string;
}

/** A request as it was received, and what it is held against. */
export interface PipelineRequestToVerify {
  readonly headers:
    | { get(name: string): string | null }
    | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The body as it came, before anybody parsed it. */
  readonly body: string | Uint8Array;
  /** The secret that was given to `httpPipelines`; several while it is being replaced. One of less than 32 bytes verifies nothing. */
  readonly secret: string | readonly string[];
  /** How far the time of the signature may lie from now: 300,000 when not given. */
  readonly toleranceMs?: number;
  /** Milliseconds since 1970; the system's clock when not given. */
  readonly now?: number;
}

/** `v1=` and the HMAC-SHA256 of `<timestamp>.<body>` in hexadecimal. */
export function signatureOf(secret: string, timestamp: string, body: string | Uint8Array): string {
  return `v1=${hmac(secret, timestamp, body).toString('hex')}`;
}

/** What is wrong with the signature of a request; `null` when it is signed with one of the secrets, and recently. */
export function faultOf({
  headers,
  body,
  secret,
  toleranceMs = 300_000,
  now = Date.now(),
}: PipelineRequestToVerify): Exclude<UnverifiedRequest['reason'], 'not_understood'> | null {
  const timestamp = header(headers, timestampHeader);
  const signature = header(headers, signatureHeader);
  if (
    timestamp === null ||
    !/^\d{1,12}$/.test(timestamp) ||
    signature === null ||
    !/^v1=[0-9a-f]{64}$/.test(signature)
  ) {
    return 'unsigned';
  }
  const given = Buffer.from(signature.slice('v1='.length), 'hex');
  const fits = secretsOf(secret).map((each) => timingSafeEqual(hmac(each, timestamp, body), given));
  if (!fits.includes(true)) return 'wrong_signature';
  return Math.abs(now - Number(timestamp) * 1_000) <= toleranceMs ? null : 'outside_window';
}

/**
 * For the receiving side: whether a request comes from a host that has the secret, unchanged and recently. The comparison takes the same time wherever
 * two signatures differ.
 *
 * A request can be replayed within the window. Whoever remembers its `idempotencyKey` for longer than that is safe from it.
 *
 * Errors: `unverified_request`.
 */
export function verifyPipelineRequest(
  received: PipelineRequestToVerify,
): Result<VerifiedPipelineRequest, UnverifiedRequest> {
  const fault = faultOf(received);
  if (fault !== null) return err(new UnverifiedRequest(fault));
  const request = understood(received.body);
  if (request === null) return err(new UnverifiedRequest('not_understood'));
  return ok({ request, idempotencyKey: idempotencyKeyOf(request) });
}

function hmac(secret: string, timestamp: string, body: string | Uint8Array): Buffer {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
}

/** What an unset variable leaves behind, an empty secret, would let everybody in. */
function secretsOf(secret: string | readonly string[]): readonly string[] {
  const secrets = typeof secret === 'string' ? [secret] : secret;
  return secrets.filter((each) => Buffer.byteLength(each) >= minimumSecretBytes);
}

function header(headers: PipelineRequestToVerify['headers'], name: string): string | null {
  if (typeof headers.get === 'function') return headers.get(name);
  const value = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof value === 'string' ? value : null;
}

/** What was rightly signed was made by `httpPipelines`: it is enough to look whether it is of a kind that is known here. */
function understood(body: string | Uint8Array): PipelineRequest | null {
  try {
    const request = JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8')) as PipelineRequest;
    const isKnown = request.version === 1 && (request.type === 'start' || request.type === 'cancel');
    return isKnown && typeof request.stateChange.id === 'string' ? request : null;
  } catch {
    return null;
  }
}
