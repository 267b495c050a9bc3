import type { ErrorByCode, ErrorCode, ResultAsync, VivariumError } from '@vivarium/core';
import { isVivariumError } from '@vivarium/core';
import { expect } from 'vitest';

/** `ok`, or the code of the error. */
export async function codeOf(result: ResultAsync<unknown, { readonly code: string }>): Promise<string> {
  const settled = await result;
  return settled.isOk() ? 'ok' : settled.error.code;
}

/** Expects that the call was refused with this code, and gives the error. */
export async function refused<C extends ErrorCode>(
  result: ResultAsync<unknown, VivariumError>,
  code: C,
): Promise<ErrorByCode[C]> {
  const settled = await result;
  if (settled.isOk()) return expect.fail(`was done, but had to be refused with ${code}`);
  const { error } = settled;
  expect(error.code, JSON.stringify(error)).toBe(code);
  expect(isVivariumError(error)).toBe(true);
  return error as ErrorByCode[C];
}

/** How often each answer was given: `{ ok: 10, limit_reached: 40 }`. */
export function tally(answers: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

/** Everything at once. */
export function together<T>(count: number, act: (index: number) => PromiseLike<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => act(index)));
}

/** Lets those work who are looked at: somebody who looks without a pause takes the time that they need, and a database answers nobody who never waits. */
export function aWhile(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
