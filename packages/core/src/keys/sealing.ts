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
const tagLength = { authTagLength: tagBytes };
const sealedForm = /^vv1\.([0-9a-f-]{36})\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{22,})$/;

/**
 * `vv1.<data key>.<nonce>.<ciphertext and tag>`: AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits, base64url. Randomness comes from
 * `node:crypto` and not from the port: a secret must not depend on what a test has set.
 */
export function seal(dataKeyId: string, key: KeyObject, place: Place, text: string): string {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, tagLength);
  cipher.setAAD(associatedData(place));
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return `${format}.${dataKeyId}.${nonce.toString('base64url')}.${sealed.toString('base64url')}`;
}

/** A sealed value taken apart. */
export interface Envelope {
  readonly dataKeyId: string;
  readonly nonce: string;
  readonly body: string;
}

/** The parts of a sealed value; `null` for what has not the form of one. */
export function readEnvelope(sealed: string): Envelope | null {
  const parts = sealedForm.exec(sealed);
  if (parts === null || !isCanonical(parts[3]!)) return null;
  return { dataKeyId: parts[1]!, nonce: parts[2]!, body: parts[3]! };
}

/** The text of a sealed value; `null` when it is not what was sealed with this key for this place. */
export function open(key: KeyObject, place: Place, { nonce, body }: Envelope): string | null {
  const bytes = Buffer.from(body, 'base64url');
  const end = bytes.length - tagBytes;
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), tagLength);
  decipher.setAAD(associatedData(place));
  decipher.setAuthTag(bytes.subarray(end));
  try {
    return decipher.update(bytes.subarray(0, end), undefined, 'utf8') + decipher.final('utf8');
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
  return Buffer.from(
    part(orgId) + part(scope.type) + part(scope.id) + part(ownerId) + part(name) + part(String(sealVersion)),
    'utf8',
  );
}

function part(text: string): string {
  return `${Buffer.byteLength(text)}:${text}`;
}

/** base64url spells the last byte in several ways unless its spare bits are zero; only that spelling counts, so that every bit of a sealed value does. */
function isCanonical(text: string): boolean {
  const spare = text.length % 4;
  if (spare === 0) return true;
  return spare !== 1 && (spare === 2 ? 'AQgw' : 'AEIMQUYcgkosw048').includes(text.at(-1)!);
}
