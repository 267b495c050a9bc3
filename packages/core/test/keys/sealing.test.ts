import { createSecretKey, randomBytes } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { commitmentOf, commits, open as openEnvelope, readEnvelope, seal } from '../../src/keys/sealing.ts';
import type { Place } from '../../src/keys/sealing.ts';

const id = '01936f5e-0000-7000-8000-000000000001';
const key = createSecretKey(randomBytes(32));
const place: Place = {
  orgId: 'acme',
  scope: { type: 'project', id: 'p1' },
  ownerId: 'e1',
  name: 'API_TOKEN',
  sealVersion: 3,
};
const sealed = seal(id, key, place, 'hunter2 🔑');

const open = (by: typeof key, where: Place, text: string): string | null => {
  const envelope = readEnvelope(text);
  return envelope === null ? null : openEnvelope(by, where, envelope);
};

it('opens where it was sealed', () => {
  expect(open(key, place, sealed)).toBe('hunter2 🔑');
  expect(readEnvelope(sealed)?.dataKeyId).toBe(id);
});

it('any text opens to itself', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 300 }).filter((text) => text.isWellFormed()),
      (text) => {
        const one = seal(id, key, place, text);
        expect(open(key, place, one)).toBe(text);
      },
    ),
  );
});

it('two seals of one text share nothing but the key', () => {
  const [a, b] = [seal(id, key, place, 'same'), seal(id, key, place, 'same')];
  expect(a.split('.').slice(2)).not.toEqual(b.split('.').slice(2));
});

describe('does not open', () => {
  it.each([
    ['in another org', { ...place, orgId: 'acm' }],
    ['in another project', { ...place, scope: { type: 'project' as const, id: 'p2' } }],
    ['in another kind of scope', { ...place, scope: { type: 'app' as const, id: 'p1' } }],
    ['in another environment', { ...place, ownerId: 'e2' }],
    ['under another name', { ...place, name: 'API_TOKEM' }],
    ['in place of a newer value', { ...place, sealVersion: 4 }],
    ['where parts of the place run together', { ...place, orgId: 'acme7:project', ownerId: '' }],
  ])('%s', (_what, elsewhere) => expect(open(key, elsewhere, sealed)).toBeNull());

  it('with another key', () => expect(open(createSecretKey(randomBytes(32)), place, sealed)).toBeNull());

  it('with any single bit of it flipped', () => {
    const prefix = sealed.lastIndexOf('.') + 1;
    const [nonceAt] = [sealed.indexOf('.', 5) + 1];
    for (let at = nonceAt; at < sealed.length; at++) {
      if (at === prefix - 1) continue;
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const value = alphabet.indexOf(sealed[at]!);
      for (let bit = 0; bit < 6; bit++) {
        const flipped = sealed.slice(0, at) + alphabet[value ^ (1 << bit)] + sealed.slice(at + 1);
        expect(open(key, place, flipped), `character ${at}, bit ${bit}`).toBeNull();
      }
    }
  });

  it.each(['', 'vv1', 'vv2' + sealed.slice(3), `${sealed}.`, sealed.slice(0, 90), 'plain text', `${sealed}\n`])(
    'when it is %j',
    (text) => expect(open(key, place, text)).toBeNull(),
  );
});

it('a commitment holds for one key under one id', () => {
  const commitment = commitmentOf(key, id);
  expect(commits(commitment, key, id)).toBe(true);
  expect(commits(commitment, createSecretKey(randomBytes(32)), id)).toBe(false);
  expect(commits(commitment, key, `${id.slice(0, -1)}2`)).toBe(false);
  expect(commits('', key, id)).toBe(false);
});
