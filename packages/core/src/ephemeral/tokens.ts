import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A change's token: 256 random bits in base64url. Not from the port for randomness: it is a secret. */
export function newToken(): { readonly token: string; readonly hash: string } {
  const token = randomBytes(32).toString('base64url');
  return { token, hash: hashOf(token) };
}

/** Whether a token is one of those whose hashes these are; takes as long for every wrong one. */
export function isOneOf(token: string, hashes: readonly string[]): boolean {
  const given = Buffer.from(hashOf(token), 'hex');
  return hashes.map((hash) => timingSafeEqual(given, Buffer.from(hash, 'hex'))).includes(true);
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
