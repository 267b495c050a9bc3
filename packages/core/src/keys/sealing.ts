import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import type { KeyScope } from './model.ts';

/** Where a sealed value belongs. It opens there and nowhere else. */
export interface Place {
  readonly orgId: string;
  readonly scope: KeyScope;
  /** The row that holds it: an environment, an instance, an app. */
  readonly ownerId: string;
  /** The name of the value in its row. */
  readonly name: string;
  /** Counts the values that this name has had, so that an older one does not open in place of a newer one. */
  readonly sealVersion: number;
}

const format = 'vv1';
const nonceBytes = 12;
const tagBytes = 16;
const sealedForm = /^vv1\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/;

/** The length of what `seal` gives for a value of so many bytes. */
export function sealedLength(bytes: number): number {
  return format.length + 1 + 36 + 1 + 16 + 1 + Math.ceil(((bytes + tagBytes) * 4) / 3);
}

/**
 * `vv1.<data key>.<nonce>.<ciphertext and tag>`: AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits, base64url. Randomness comes from
 * `node:crypto` and not from the port: a secret must not depend on what a test has set.
 */
export function seal(dataKeyId: string, key: KeyObject, place: Place, text: string): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(associatedData(place));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${format}.${dataKeyId}.${nonce.toString('base64url')}.${sealed.toString('base64url')}`;
}

/** The data key that a sealed value names; `null` for what has not the form of one. */
export function dataKeyOf(sealed: string): string | null {
  return sealedForm.exec(sealed)?.[1] ?? null;
}

/** The text of a sealed value; `null` when it is not what was sealed with this key for this place. */
export function open(key: KeyObject, place: Place, sealed: string): string | null {
  const parts = sealedForm.exec(sealed);
  if (parts === null) return null;
  const body = fromBase64url(parts[3]!);
  if (body === null || body.length < tagBytes) return null;

  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(parts[2]!, 'base64url'), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(associatedData(place));
  decipher.setAuthTag(body.subarray(body.length - tagBytes));
  try {
    return decipher.update(body.subarray(0, body.length - tagBytes), undefined, 'utf8') + decipher.final('utf8');
  } catch {
    return null;
  }
}

/**
 * Says in public which key a row holds. AES-GCM alone does not bind a ciphertext to one key: a value can be made that opens under two.
 */
export function commitmentOf(key: KeyObject, dataKeyId: string): string {
  return createHmac('sha256', key).update(`vivarium data key ${dataKeyId}`).digest('base64url');
}

export function commits(commitment: string, key: KeyObject, dataKeyId: string): boolean {
  const [given, expected] = [Buffer.from(commitment), Buffer.from(commitmentOf(key, dataKeyId))];
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Every part with its length in front, so that no two places have the same bytes. */
function associatedData({ orgId, scope, ownerId, name, sealVersion }: Place): Buffer {
  const parts = [orgId, scope.type, scope.id, ownerId, name, String(sealVersion)];
  return Buffer.from(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(''), 'utf8');
}

/** Refuses what base64url allows in more than one spelling, so that every bit of a sealed value counts. */
function fromBase64url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}
