import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { compareBytes, displayName, isStorable, nameKey, utf8Length } from '../../src/kernel/text.ts';

const wellFormed = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed());

describe('compareBytes', () => {
  it('orders as UTF-8 bytes do', () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
  });

  it('puts what lies beyond the basic plane last, where UTF-16 does not', () => {
    expect(['😀', '\uff5e'].sort(compareBytes)).toEqual(['\uff5e', '😀']);
    expect(['😀', '\uff5e'].sort()).toEqual(['😀', '\uff5e']);
  });
});

describe('nameKey', () => {
  it.each([
    ['Staging', 'STAGING'],
    ['Straße', 'STRASSE'],
    ['STRAẞE', 'strasse'],
    ['ΟΔΟΣ', 'οδος'],
    ['ΟΔΟΣ', 'οδοσ'],
    ['e\u0301te\u0301', 'ÉTÉ'],
    ['ﬁ', 'FI'],
  ])('%s and %s are the same name', (a, b) => expect(nameKey(a)).toBe(nameKey(b)));

  it.each([
    ['a', 'á'],
    ['I', 'İ'],
    ['dev', 'dev1'],
  ])('%s and %s are not', (a, b) => expect(nameKey(a)).not.toBe(nameKey(b)));

  it('is at most three times as long as the name, so that 300 characters hold every key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (name) => {
        expect([...nameKey(name)].length).toBeLessThanOrEqual(3 * [...name].length);
      }),
    );
  });

  it('is its own key', () => {
    fc.assert(
      fc.property(wellFormed, (name) => {
        expect(nameKey(nameKey(name))).toBe(nameKey(name));
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('a name', () => {
  const parsed = (name: unknown) => displayName.safeParse(name);

  it('is trimmed and composed', () => expect(parsed('  Cafe\u0301 ').data).toBe('Café'));
  it('has 1 to 100 characters, an emoji being one', () => {
    expect(parsed('😀'.repeat(100)).success).toBe(true);
    expect(parsed('😀'.repeat(101)).success).toBe(false);
    expect(parsed('   ').success).toBe(false);
  });
  it.each(['a\nb', 'a\0b', '\ud800', 42, null])('is not %j', (name) => expect(parsed(name).success).toBe(false));
});

it('NUL and unpaired surrogates cannot be stored', () => {
  expect(['plain', '😀', ''].map(isStorable)).toEqual([true, true, true]);
  expect(['\0', '\ud83d', '\ude00x'].map(isStorable)).toEqual([false, false, false]);
});

it('utf8Length counts bytes', () => expect(utf8Length('aé€😀')).toBe(10));
