import type * as z from 'zod';

import { InvalidInput } from './errors.ts';
import type { InputIssue } from './errors.ts';
import { err, ok } from './result.ts';
import type { Result } from './result.ts';

/**
 * Checks the arguments of a call. `names` are those of the arguments, so that an issue reads `ref.projectId` or, for the one object whose
 * name is '', just `name`. An input whose getters throw is an invalid input, too.
 */
export function parse<S extends z.ZodType>(
  schema: S,
  input: readonly unknown[],
  names: readonly string[],
): Result<z.output<S>, InvalidInput> {
  try {
    const parsed = schema.safeParse(input);
    if (parsed.success) return ok(parsed.data);
    // Issues are described when they are looked at, which reads the input once more.
    return err(new InvalidInput(parsed.error.issues.map((issue) => toInputIssue(issue, names))));
  } catch {
    return err(new InvalidInput([{ path: '', message: 'the input cannot be read' }]));
  }
}

function toInputIssue(issue: z.core.$ZodIssue, names: readonly string[]): InputIssue {
  const [argument, ...path] = issue.path;
  const name = typeof argument === 'number' ? (names[argument] ?? '') : '';
  return { path: [name, ...path].reduce<string>(joinPath, ''), message: issue.message.replace(/^Invalid input: /, '') };
}

function joinPath(path: string, part: PropertyKey): string {
  if (typeof part === 'number') return `${path}[${part}]`;
  return path === '' ? String(part) : `${path}.${String(part)}`;
}
