import { createHash } from 'node:crypto';

/** A Kubernetes namespace for a project environment, and what to label it with. */
export interface Namespace {
  /** An RFC 1123 label: at most 63 lower-case letters, digits and hyphens. */
  readonly name: string;
  /** Project, repository and environment, as far as label values can hold them; `vivarium.dev/id` is the hash that ends the name. */
  readonly labels: Readonly<Record<string, string>>;
}

/** Letters and digits that are hard to take for one another (RFC 4648, lower case). */
const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/** 80 bits: a million namespaces collide once in 10^12 tries. */
const hashLength = 16;

/** What fits in front of a hyphen and the hash. */
const readableLength = 63 - 1 - hashLength;

/**
 * The namespace of a project environment. The names are made readable, and the hash of all three, length-prefixed, is put behind: what differs stays different,
 * also where making it readable makes it alike (`a-b|c` and `a|b-c`), or where it had to be cut.
 */
export function namespaceFor(triple: {
  readonly project: string;
  readonly repo: string;
  readonly environment: string;
}): Namespace {
  const parts = [triple.project, triple.repo, triple.environment];
  const hash = hashOf(parts);
  // The environment says most, and comes first where there is not room for all.
  const readable = [triple.environment, triple.repo, triple.project]
    .map(sanitized)
    .filter((part) => part !== '')
    .join('-')
    .slice(0, readableLength)
    .replace(/-+$/, '');
  return {
    name: readable === '' || !/^[a-z0-9]/.test(readable) ? `ns-${hash}` : `${readable}-${hash}`,
    labels: {
      'app.kubernetes.io/managed-by': 'vivarium',
      'vivarium.dev/project': labelValue(triple.project),
      'vivarium.dev/repo': labelValue(triple.repo),
      'vivarium.dev/environment': labelValue(triple.environment),
      'vivarium.dev/id': hash,
    },
  };
}

function hashOf(parts: readonly string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    // Not UTF-8, in which all unpaired surrogates are one character.
    const bytes = Buffer.from(part, 'utf16le');
    hash.update(`${bytes.length}:`).update(bytes);
  }
  const digest = hash.digest();
  return Array.from({ length: hashLength }, (_, i) => alphabet[bits(digest, i * 5)]).join('');
}

/** Five bits of a digest, from this one on. */
function bits(digest: Buffer, from: number): number {
  const pair = digest.readUInt16BE(from >> 3);
  return (pair >> (11 - (from & 7))) & 31;
}

function sanitized(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
}

/** What a label can hold of a text: 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends. */
function labelValue(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63)
    .replace(/[^A-Za-z0-9]+$/, '');
}
