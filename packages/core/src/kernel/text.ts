import * as z from 'zod';

/** Text that every storage can hold and give back unchanged: no NUL, no half of a surrogate pair. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

const storable = z.string().refine(isStorable, 'must not contain NUL or unpaired surrogates');

const lengthBetween = (minimum: number, maximum: number) => (text: string) => {
  const length = codePoints(text);
  return length >= minimum && length <= maximum;
};

/** Free text of at most `maximum` characters (code points). Kept exactly as it was given. */
export const freeText = (maximum: number) =>
  storable.refine(lengthBetween(0, maximum), `must have at most ${maximum} characters`);

/** Text of any length; what it belongs to bounds its size. */
export const anyText = storable;

/** A name of 1–100 characters, trimmed and in Unicode normal form C, without control characters. */
export const displayName = storable
  .transform((name) => name.trim().normalize('NFC'))
  .refine(lengthBetween(1, 100), 'must have 1 to 100 characters')
  .refine((name) => !/\p{Cc}/u.test(name), 'must not contain control characters');

/**
 * What names are compared by: equal for names that differ only in case. Computed here and stored, because no two databases agree on
 * what `İ`, `ß` or a trailing space means. Down, up and down again, so that `ẞ`, `ß` and `SS`, and both Greek sigmas, meet.
 */
export function nameKey(name: string): string {
  return name.normalize('NFC').toLowerCase().toUpperCase().toLowerCase().normalize('NFC');
}

/** Orders as UTF-8 bytes do, which is also how the databases sort; JavaScript's own `<` sorts by UTF-16 units. */
export function compareBytes(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return fixup(left) - fixup(right);
  }
  return a.length - b.length;
}

/** Moves surrogates above the rest of the basic plane, where their code points belong. */
function fixup(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Bytes of a text in UTF-8. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
