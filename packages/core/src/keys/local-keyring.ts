import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';

import { checkAlternatives, may } from '../kernel/configuration.ts';
import { InvalidInput } from '../kernel/errors.ts';
import type { KeyManagement, WrappingContext } from './key-management.ts';

/**
 * Where the keys of a local key ring come from: the text itself, the name of an environment variable that holds it, or a file that nobody
 * but its owner may read or write (mode 0600 or 0400).
 *
 * The text has one key per line, or keys separated by spaces: `<id>:<32 bytes in base64 or base64url>`. The first one wraps, all of them
 * unwrap: to rotate, put a new key in front, call `keys.rewrap`, and take the old one away.
 */
export type KeyringSource = { readonly keys: string } | { readonly env: string } | { readonly file: string };

const nonceBytes = 12;
const tagBytes = 16;

/**
 * Key management without a service: keys of 32 bytes that the host keeps itself. Throws `InvalidInput`, showing no key, where there is none, one is
 * malformed, or the file cannot be read, or can be by others.
 *
 * @example
 * // VIVARIUM_KEYS="2026-11:$(openssl rand -base64 32)"
 * createVivarium({ storage, keys: localKeyring({ env: 'VIVARIUM_KEYS' }) })
 */
export function localKeyring(source: KeyringSource): KeyManagement {
  const ring = readRing(source);
  const [[current, wrappingKey]] = ring as unknown as [[string, KeyObject]];
  const keyOf = (id: string): KeyObject => {
    const key = new Map(ring).get(id);
    if (key === undefined) throw new Error(`the key ring has no key named ${JSON.stringify(id)}`);
    return key;
  };

  return {
    generateDataKey: async ({ context }) => {
      const plaintext = randomBytes(32);
      return { plaintext, wrapped: wrap(wrappingKey, context, plaintext), wrappedBy: current };
    },
    unwrapDataKey: async ({ wrapped, wrappedBy, context }) => unwrap(keyOf(wrappedBy), context, wrapped),
    rewrapDataKey: async ({ wrapped, wrappedBy, context }) => {
      if (wrappedBy === current) return null;
      const plaintext = unwrap(keyOf(wrappedBy), context, wrapped);
      const again = { wrapped: wrap(wrappingKey, context, plaintext), wrappedBy: current };
      plaintext.fill(0);
      return again;
    },
  };
}

function wrap(key: KeyObject, context: WrappingContext, plaintext: Uint8Array): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(associatedData(context));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function unwrap(key: KeyObject, context: WrappingContext, wrapped: Uint8Array): Uint8Array {
  const bytes = Buffer.from(wrapped);
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
  decipher.setAAD(associatedData(context));
  decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
  return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes)), decipher.final()]);
}

function associatedData(context: WrappingContext): Buffer {
  const entries = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify(entries), 'utf8');
}

const text = may((value) => typeof value === 'string', 'must be a text');

function readRing(source: KeyringSource): readonly (readonly [string, KeyObject])[] {
  checkAlternatives(source, { keys: text, env: text, file: text });
  const [path, ring] = readSource(source);
  const refuse = (message: string) => refuseAt(path, message);
  const words = ring.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return refuse('has no key');
  const keys = words.map((word, index) => {
    const at = word.indexOf(':');
    const bytes = Buffer.from(word.slice(at + 1), 'base64');
    if (at < 1) return refuse(`key ${index + 1} has not the form <id>:<base64>`);
    if (bytes.length !== 32) return refuse(`key ${index + 1} does not have 32 bytes`);
    return [word.slice(0, at), createSecretKey(bytes)] as const;
  });
  if (new Set(keys.map(([id]) => id)).size < keys.length) return refuse('has two keys of one id');
  return keys;
}

/** The text of the ring, and which option it came from. */
function readSource({ keys, env, file }: Partial<Record<'keys' | 'env' | 'file', string>>): readonly [string, string] {
  if (keys !== undefined) return ['keys', keys];
  if (env !== undefined) return ['env', process.env[env] ?? refuseAt('env', `the variable ${env} is not set`)];
  return ['file', readOwnersFile(file!)];
}

/** Looks at the file that it has opened, not at what may lie at the path a moment later. */
function readOwnersFile(path: string): string {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const { mode, uid } = fstatSync(file);
    const others = process.platform !== 'win32' && ((mode & 0o077) !== 0 || uid !== process.geteuid?.());
    if (!others) return readFileSync(file, 'utf8');
  } catch (thrown) {
    return refuseAt('file', `the file cannot be read (${(thrown as NodeJS.ErrnoException).code ?? 'no such path'})`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
  return refuseAt('file', 'the file can be read or written by others than its owner; chmod 600 it');
}

function refuseAt(path: string, message: string): never {
  throw new InvalidInput([{ path, message }]);
}
