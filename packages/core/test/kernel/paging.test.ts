import { expect, it } from 'vitest';
import * as z from 'zod';

import { cursorsOf } from '../../src/kernel/paging.ts';

const letters = cursorsOf('letters', z.string());
const stored = { items: ['a', 'b'], more: true };
const page = letters.page(
  stored,
  (last) => last,
  (item) => item.toUpperCase(),
);

it('a cursor leads behind the last item of its page', () => {
  expect(page.items).toEqual(['A', 'B']);
  expect(letters.read({ cursor: page.nextCursor! })._unsafeUnwrap()).toEqual({ limit: 50, after: 'b' });
});

it('the last page has no cursor', () => {
  expect(letters.page({ ...stored, more: false }, (last) => last, String).nextCursor).toBeNull();
  expect(letters.page({ items: [], more: false }, (last: string) => last, String).nextCursor).toBeNull();
});

it.each([
  ['of another list', cursorsOf('numbers', z.number()).page({ items: [1], more: true }, Number, Number).nextCursor!],
  ['made up', 'bm90IGEgY3Vyc29y'],
  ['of the right list with a position of another form', Buffer.from('["letters",{"x":1}]').toString('base64url')],
  ['empty', ''],
])('a cursor that is %s is refused', (_what, cursor) => {
  const error = letters.read({ cursor })._unsafeUnwrapErr();
  expect(error.issues).toEqual([{ path: 'cursor', message: 'must be a nextCursor of letters' }]);
});
