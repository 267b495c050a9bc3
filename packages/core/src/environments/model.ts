import * as z from 'zod';

import { InvalidInput } from '../kernel/errors.ts';
import { id } from '../kernel/ids.ts';
import type { Versioned } from '../kernel/ids.ts';
import { anyText, displayName, freeText } from '../kernel/text.ts';

/** The key of a variable: 1–256 letters, digits, `_` or `-`; case-sensitive (seed 004). */
export const variableKey = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,256}$/, 'must be 1 to 256 letters (A-Z, a-z), digits, hyphens or underscores');

const variableDescription = freeText(500);

/** A variable as it is written: with its value, or with `keep` to leave a sealed value as it is. */
export type VariableInput =
  | {
      readonly key: string;
      readonly value: string;
      /** Seal the value. Not given: as it was, plain if it is new. */
      readonly sensitive?: boolean | undefined;
      readonly description?: string | undefined;
    }
  | { readonly key: string; readonly sensitive: true; readonly keep: true; readonly description?: string | undefined };

export const variableInput = z
  .strictObject({
    key: variableKey,
    value: anyText.optional(),
    sensitive: z.boolean().optional(),
    keep: z.literal(true).optional(),
    description: variableDescription.optional(),
  })
  .superRefine((variable, ctx) => {
    const issue = (path: string, message: string) => ctx.addIssue({ code: 'custom', path: [path], message });
    if (variable.keep === undefined && variable.value === undefined) issue('value', 'must be a string');
    if (variable.keep === true && variable.value !== undefined)
      issue('keep', 'must not be given together with a value');
    if (variable.keep === true && variable.sensitive !== true) issue('sensitive', 'must be true where keep is');
  })
  .transform((variable) => variable as VariableInput);

/** Variables with distinct keys. How many, and how large, is checked against the limits. */
export const variableInputs = z.array(variableInput).superRefine((variables, ctx) => {
  const seen = new Set<string>();
  variables.forEach((variable, index) => {
    if (seen.has(variable.key)) ctx.addIssue({ code: 'custom', path: [index, 'key'], message: 'must be unique' });
    seen.add(variable.key);
  });
});

/** A variable as it is read. A sensitive one shows that there is a value, never the value. */
export type Variable =
  | { readonly key: string; readonly value: string; readonly sensitive: false; readonly description?: string }
  | { readonly key: string; readonly sensitive: true; readonly hasValue: boolean; readonly description?: string };

/**
 * A variable as it is stored: `[{"key","value"}]` as in seed 004, with optional fields added, so that documents written by other tools
 * read as they are. A sensitive one holds its sealed form in place of the value.
 */
export type StoredVariable =
  | { readonly key: string; readonly value: string; readonly description?: string }
  | {
      readonly key: string;
      readonly sensitive: true;
      readonly sealed: string;
      readonly sealVersion: number;
      readonly description?: string;
    };

/** An environment's variables as they are stored, in the order in which they were written. */
export type StoredVariables = readonly StoredVariable[];

/**
 * The canonical JSON of stored variables: fields in a fixed order, nothing that is not needed. Its UTF-8 length is what the limit counts.
 * Remembered for as long as the list lives, because the rules measure what the storage then writes.
 */
export function encodeVariables(variables: StoredVariables): string {
  const known = encoded.get(variables);
  if (known !== undefined) return known;
  const json = JSON.stringify(variables.map(inFixedOrder));
  encoded.set(variables, json);
  return json;
}

const encoded = new WeakMap<StoredVariables, string>();

function inFixedOrder(variable: StoredVariable): StoredVariable {
  if (!('sealed' in variable)) {
    const { key, value, description } = variable;
    return description === undefined ? { key, value } : { key, value, description };
  }
  const { key, sensitive, sealed, sealVersion, description } = variable;
  return { key, sensitive, sealed, sealVersion, ...(description === undefined ? {} : { description }) };
}

/** Reads stored variables, also those that another tool wrote. Throws `InvalidInput`, without values, when they have another form. */
export function decodeVariables(json: string): StoredVariables {
  let document: unknown;
  try {
    document = JSON.parse(json);
  } catch {
    throw new InvalidInput([{ path: 'variables', message: 'the stored variables are not JSON' }]);
  }
  const variables = Array.isArray(document) ? document.map(readVariable) : [null];
  if (!variables.includes(null)) return variables as StoredVariables;
  throw new InvalidInput([{ path: 'variables', message: 'the stored variables are not a list of {"key","value"}' }]);
}

/** By hand, because every read of an environment comes through here. Fields that are not known are left aside. */
function readVariable(document: unknown): StoredVariable | null {
  if (typeof document !== 'object' || document === null) return null;
  const { key, value, sensitive, sealed, sealVersion, description } = document as Record<string, unknown>;
  if (typeof key !== 'string' || (description != null && typeof description !== 'string')) return null;

  const rest = description == null ? {} : { description };
  if (sensitive === true && typeof sealed === 'string' && typeof sealVersion === 'number') {
    return { key, sensitive, sealed, sealVersion, ...rest };
  }
  return typeof value === 'string' ? { key, value, ...rest } : null;
}

/** Names an environment: its project and its own id. An `Environment` is one, too. */
export interface EnvironmentRef {
  readonly projectId: string;
  readonly id: string;
}

/** Environment names: letters and digits of any script, spaces, hyphens, underscores (seed 004). */
export const environmentName = displayName.refine(
  (name) => /^[\p{L}\p{M}\p{N} _-]+$/u.test(name),
  'must have only letters, digits, spaces, hyphens and underscores',
);

export const environmentDescription = freeText(500);

/** A ref may be an environment itself: further fields are left aside. */
export const environmentRef = z
  .object({ projectId: id, id })
  .transform(({ projectId, id }): EnvironmentRef => ({ projectId, id }));

/** An environment as storage keeps it. Whether it is the default is not its own fact but its project's. */
export interface StoredEnvironment extends Versioned {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly nameKey: string;
  readonly description: string | null;
  readonly variables: StoredVariables;
}

/** A stored environment together with its project's word on whether it is the default. */
export interface LoadedEnvironment extends StoredEnvironment {
  readonly isDefault: boolean;
}

/** A configuration environment: named variables of a project (seed 004). */
export interface Environment extends Versioned {
  readonly id: string;
  readonly projectId: string;
  /** Hand this back to name the environment. */
  readonly ref: EnvironmentRef;
  readonly name: string;
  readonly description: string | null;
  /** In the order in which they were written. */
  readonly variables: readonly Variable[];
  readonly isDefault: boolean;
}

/** An environment in a list: no values, no descriptions. `variableBytes` is their canonical JSON in UTF-8. */
export interface EnvironmentSummary extends Versioned {
  readonly id: string;
  readonly projectId: string;
  readonly ref: EnvironmentRef;
  readonly name: string;
  readonly isDefault: boolean;
  readonly variableCount: number;
  readonly variableBytes: number;
}

/** What storage gives for a list; `nameKey` is what the list is ordered by. */
export type StoredSummary = Omit<EnvironmentSummary, 'ref'> & { readonly nameKey: string };

/** Figures on the environments of a project. Means are 0 where there is nothing to count. */
export interface EnvironmentStats {
  readonly environments: number;
  readonly variables: { readonly total: number; readonly mean: number; readonly largest: number };
  readonly bytes: { readonly total: number; readonly mean: number; readonly largest: number };
}
