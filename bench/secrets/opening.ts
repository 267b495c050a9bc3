import { createDecipheriv } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

import type { Place } from '../../packages/core/src/keys/sealing.ts';

/** The plainest loop that does the same with `node:crypto`: parse the envelope, build the associated data, decrypt, verify. */
export function openAllPlainly(
  key: KeyObject,
  values: readonly { readonly place: Place; readonly sealed: string }[],
): string[] {
  const texts: string[] = [];
  for (const { place, sealed } of values) {
    const [, , nonce, body] = sealed.split('.') as [string, string, string, string];
    const bytes = Buffer.from(body, 'base64url');
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'base64url'), { authTagLength: 16 });
    const parts = [place.orgId, place.scope.type, place.scope.id, place.ownerId, place.name, String(place.sealVersion)];
    decipher.setAAD(Buffer.from(parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('')));
    decipher.setAuthTag(bytes.subarray(-16));
    texts.push(decipher.update(bytes.subarray(0, -16), undefined, 'utf8') + decipher.final('utf8'));
  }
  return texts;
}
