import { InvalidInput } from './errors.ts';
import type { InputIssue } from './errors.ts';

/**
 * What is wrong with the value of an option, in words that follow the option's name (`must be …`) and never repeat the value, which may be a
 * secret; null when the value will do. An option that was not given is `undefined`.
 */
export type Complaint = (value: unknown) => string | null;

/** The options of a factory, by name. */
export type KnownOptions = Readonly<Record<string, Complaint>>;

/** An option that has to be given. */
export function must(fit: (value: unknown) => boolean, message: string): Complaint {
  return (value) => (fit(value) ? null : message);
}

/** An option that need not be given. */
export function may(fit: (value: unknown) => boolean, message: string): Complaint {
  return (value) => (value === undefined || fit(value) ? null : message);
}

/** An object, or a function, with these methods: a client, a pool, a port. */
export function hasMethods(...names: readonly string[]): (value: unknown) => boolean {
  return (value) =>
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}

/**
 * Checks what a factory was given: throws `InvalidInput` that names everything that is missing, wrong or unknown. For programs that are not
 * type-checked, and for settings that come out of a file.
 */
export function checkOptions(given: unknown, known: KnownOptions): void {
  refuse(issuesOf(given, known, `must be an object with ${Object.keys(known).join(', ')}`));
}

/** The same for options of which exactly one has to be given. */
export function checkAlternatives(given: unknown, known: KnownOptions): void {
  const names = Object.keys(known).map((name) => `{ ${name} }`);
  const expected = `must be ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
  const issues = issuesOf(given, known, expected);
  if (issues.length === 0) {
    const count = Object.values(given as object).filter((value) => value !== undefined).length;
    if (count !== 1) issues.push({ path: '', message: expected });
  }
  refuse(issues);
}

function issuesOf(given: unknown, known: KnownOptions, expected: string): InputIssue[] {
  try {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) return [{ path: '', message: expected }];
    const values = given as Readonly<Record<string, unknown>>;
    const unknown = Object.keys(values)
      .filter((name) => !Object.hasOwn(known, name))
      .map((path) => ({ path, message: `is not an option; the options are ${Object.keys(known).join(', ')}` }));
    const wrong = Object.entries(known).flatMap(([path, complaint]) => {
      const message = complaint(values[path]);
      return message === null ? [] : [{ path, message }];
    });
    return [...unknown, ...wrong];
  } catch {
    return [{ path: '', message: 'the options cannot be read' }];
  }
}

function refuse(issues: readonly InputIssue[]): void {
  if (issues.length > 0) throw new InvalidInput(issues);
}
