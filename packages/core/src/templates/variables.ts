import type { InvalidInput } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { SecretText } from '../kernel/secret-text.ts';
import type { VariableCycle, VariablesTooLarge } from './errors.ts';
import { KEY } from './grammar.ts';
import { invalid, readSafely } from './options.ts';
import { build, measure } from './references.ts';
import type { StoredVariable } from './references.ts';
import type { Snapshot } from './snapshot.ts';
import { isWellFormed } from './text-size.ts';

/** A variable as it is stored. A `SecretText`, or any value with `sensitive: true`, makes it and all that refers to it secret. */
export interface VariableInput {
  readonly key: string;
  readonly value: string | SecretText;
  readonly sensitive?: boolean | undefined;
}

/** The variables to resolve: as a list, or as a record (only its own enumerable keys count). */
export type Variables = readonly VariableInput[] | Readonly<Record<string, string | SecretText>>;

/** What differs for one call. */
export interface ResolveOptions {
  /**
   * Values for this call. They take the place of stored ones, also inside of those that refer to them, and add new ones. They are taken
   * as they are: a `{{NAME}}` in an override is text. An override of a sensitive variable stays secret.
   */
  readonly overrides?: Readonly<Record<string, string | SecretText>> | undefined;
}

let snapshotOf: (something: unknown) => Snapshot | null;
let create: (snapshot: Snapshot) => ResolvedVariables;

/**
 * Variables with their references followed: an immutable snapshot, made by `resolveVariables`, that any number of templates can be
 * rendered with. Printed or turned into JSON, it shows no secret.
 */
export class ResolvedVariables {
  readonly #snapshot: Snapshot;

  private constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
    Object.freeze(this);
  }

  static {
    snapshotOf = (something) =>
      typeof something === 'object' && something !== null && #snapshot in something ? something.#snapshot : null;
    create = (snapshot) => new ResolvedVariables(snapshot);
  }

  /** How many variables there are. */
  get size(): number {
    return this.#snapshot.values.size;
  }

  /** The keys, in the order they were given; new ones of `overrides` last. */
  keys(): string[] {
    return [...this.#snapshot.values.keys()];
  }

  /** Whether there is such a variable, be it empty. */
  has(key: string): boolean {
    return this.#snapshot.values.has(key);
  }

  /** A variable's value, as a `SecretText` where it is secret; undefined where there is none. References that led to nothing are in it as they were written. */
  get(key: string): string | SecretText | undefined {
    const value = this.#snapshot.values.get(key);
    return value?.secret === true ? new SecretText(value.text) : value?.text;
  }

  /** Whether a sensitive value is in a variable, itself or through references. */
  isSecret(key: string): boolean {
    return this.#snapshot.values.get(key)?.secret ?? false;
  }

  /** Key and value of each variable, secret ones as `***`. */
  toJSON(): Record<string, string> {
    const shown = [...this.#snapshot.values].map(([key, { secret, text }]) => [key, secret ? '***' : text] as const);
    return Object.fromEntries(shown);
  }
}

export { snapshotOf };

/**
 * Follows the references between variables (`{{NAME}}` in a stored value, with the same defaults and escapes as in a template), once and in
 * order, into an immutable snapshot. What a reference brought in is not read for references again, and neither are overrides. A
 * reference to something missing is no error here: it becomes one when a template uses the variable.
 *
 * At most 16 references deep and 1 MiB of UTF-8 in all, which is counted before anything is built.
 *
 * Errors: `variable_cycle`, which names the circle; `variables_too_large`; `invalid_input` for a malformed argument (a key that is not
 * `[A-Za-z0-9_-]{1,256}`, a key given twice, a value that is no well-formed text).
 *
 * @example
 * const resolved = unwrap(resolveVariables({ HOST: 'api.example.com', API_URL: 'https://{{HOST}}/v2' }));
 * resolved.get('API_URL'); // 'https://api.example.com/v2'
 */
export function resolveVariables(
  variables: Variables,
  options?: ResolveOptions,
): Result<ResolvedVariables, VariableCycle | VariablesTooLarge | InvalidInput> {
  const read = readSafely('variables', () => readStored(variables, options));
  if (read.isErr()) return err(read.error);
  const measured = measure(read.value);
  return measured.isErr() ? err(measured.error) : ok(create(build(measured.value)));
}

function readStored(
  variables: Variables,
  options: ResolveOptions | undefined,
): Result<Map<string, StoredVariable>, InvalidInput> {
  if (typeof variables !== 'object' || variables === null)
    return invalid('variables', 'must be a list or a record of variables');
  if (options !== undefined && (typeof options !== 'object' || options === null))
    return invalid('options', 'must be an object');

  const stored = new Map<string, StoredVariable>();
  const inputs = Array.isArray(variables)
    ? (variables as readonly VariableInput[])
    : Object.entries(variables as Record<string, string>).map(([key, value]) => ({ key, value }));
  for (const [index, input] of inputs.entries()) {
    const path = Array.isArray(variables) ? `variables[${index}]` : `variables.${(input as VariableInput).key}`;
    if (typeof input !== 'object' || input === null) return invalid(path, 'must be an object with key and value');
    const { key, value, sensitive = false } = input as VariableInput;
    if (typeof key !== 'string' || !KEY.test(key))
      return invalid(`${path}.key`, 'must be 1 to 256 letters, digits, "_" or "-"');
    if (stored.has(key)) return invalid(`${path}.key`, `"${key}" is given twice`);
    if (typeof sensitive !== 'boolean') return invalid(`${path}.sensitive`, 'must be true or false');
    const text = readText(value);
    if (text === null) return invalid(`${path}.value`, 'must be a text without lone surrogates');
    stored.set(key, { key, text, secret: sensitive || value instanceof SecretText, literal: false });
  }

  const { overrides = {} } = options ?? {};
  if (typeof overrides !== 'object' || overrides === null)
    return invalid('options.overrides', 'must be a record of texts');
  for (const [key, value] of Object.entries(overrides)) {
    const path = `options.overrides.${key}`;
    if (!KEY.test(key)) return invalid(path, 'a key must be 1 to 256 letters, digits, "_" or "-"');
    const text = readText(value);
    if (text === null) return invalid(path, 'must be a text without lone surrogates');
    stored.set(key, {
      key,
      text,
      secret: value instanceof SecretText || stored.get(key)?.secret === true,
      literal: true,
    });
  }
  return ok(stored);
}

function readText(value: unknown): string | null {
  const text = value instanceof SecretText ? value.reveal() : value;
  return typeof text === 'string' && isWellFormed(text) ? text : null;
}
