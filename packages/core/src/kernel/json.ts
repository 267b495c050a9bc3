import * as z from 'zod';

import { isStorable, utf8Length } from './text.ts';

/** A JSON object as it is stored: what was given reads back equal. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** MySQL refuses documents of more than 100 levels; nobody's are deeper than this. */
const maximumDepth = 64;

/** A JSON object of at most so many bytes as canonical JSON, which every storage gives back unchanged. */
export const jsonObject = (maximumBytes: number) =>
  z.custom<JsonObject>(isPlainObject, 'must be a JSON object').superRefine((value, ctx) => {
    const problem = unstorable(value) ?? tooLarge(value, maximumBytes);
    if (problem !== null) ctx.addIssue({ code: 'custom', path: [...problem.path], message: problem.message });
  });

/** Something in a JSON value that a storage could not give back as it was. */
export interface JsonProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** The first thing in a value that is no JSON, or that a database would change or refuse; `null` when there is none. */
export function unstorable(value: unknown, path: readonly (string | number)[] = []): JsonProblem | null {
  if (path.length > maximumDepth) return { path: [], message: `must not be nested deeper than ${maximumDepth} levels` };
  if (value === null || typeof value === 'boolean') return null;
  if (typeof value === 'string') {
    return isStorable(value) ? null : { path, message: 'must not contain NUL or unpaired surrogates' };
  }
  if (typeof value === 'number') {
    const exact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
    return exact ? null : { path, message: 'must be a number that JSON and JavaScript hold exactly' };
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const problem = unstorable(item, [...path, index]);
      if (problem !== null) return problem;
    }
    return null;
  }
  if (!isPlainObject(value)) return { path, message: 'must be JSON' };
  for (const [key, item] of Object.entries(value)) {
    if (!isStorable(key)) return { path, message: 'has a key with NUL or unpaired surrogates' };
    // A copy made field by field would lose it, and have another prototype.
    if (key === '__proto__') return { path, message: 'must not have a key __proto__' };
    const problem = unstorable(item, [...path, key]);
    if (problem !== null) return problem;
  }
  return null;
}

function tooLarge(value: JsonObject, maximumBytes: number): JsonProblem | null {
  if (utf8Length(JSON.stringify(value)) <= maximumBytes) return null;
  return { path: [], message: `must have at most ${maximumBytes.toLocaleString('en')} bytes as JSON` };
}

export function isPlainObject(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
