import { InvalidInput, LimitReached, NotConfigured } from '../kernel/errors.ts';
import type { InputIssue } from '../kernel/errors.ts';
import type { Limits } from '../kernel/limits.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { nameKey, utf8Length } from '../kernel/text.ts';
import type { JournalData } from '../journal/model.ts';
import { encodeVariables } from './model.ts';
import type {
  Environment,
  EnvironmentSummary,
  LoadedEnvironment,
  StoredEnvironment,
  StoredSummary,
  StoredVariable,
  StoredVariables,
  Variable,
  VariableInput,
} from './model.ts';

/** An environment at its first version. */
export function newEnvironment(
  input: { readonly projectId: string; readonly name: string; readonly description?: string | null | undefined },
  variables: StoredVariables,
  made: { readonly id: string; readonly at: Date },
): StoredEnvironment {
  return {
    id: made.id,
    projectId: input.projectId,
    name: input.name,
    nameKey: nameKey(input.name),
    description: input.description ?? null,
    variables,
    version: 1,
    createdAt: made.at,
    updatedAt: made.at,
  };
}

export function rename<E extends StoredEnvironment>(
  environment: E,
  input: { readonly name?: string | undefined; readonly description?: string | null | undefined },
  at: Date,
): E {
  const name = input.name ?? environment.name;
  const description = input.description === undefined ? environment.description : input.description;
  return { ...environment, name, nameKey: nameKey(name), description, version: environment.version + 1, updatedAt: at };
}

/** Seals a value of the environment that is being written. `null` where there are no keys to seal with. */
export type SealVariable =
  | ((key: string, value: string) => { readonly sealed: string; readonly sealVersion: number })
  | null;

/**
 * Whether an input's value has to be sealed: when it says so, and when it says nothing and its key holds a sealed one. A patch never turns a
 * secret into plain text by omission.
 */
function isSensitive(input: VariableInput, there: StoredVariable | undefined): boolean {
  if ('keep' in input && input.keep) return false;
  return input.sensitive ?? (there !== undefined && 'sealed' in there);
}

/** Whether writing these inputs over what is there takes a key. */
export function needsSealing(current: StoredVariables, inputs: readonly VariableInput[]): boolean {
  const before = new Map(current.map((variable) => [variable.key, variable]));
  return inputs.some((input) => isSensitive(input, before.get(input.key)));
}

/** The whole set of variables, written over what is there: what is not given is gone. Too many of them are an invalid input. */
export function setVariables(
  current: StoredVariables,
  inputs: readonly VariableInput[],
  limits: Limits,
  seal: SealVariable,
): Result<StoredVariables, InvalidInput | NotConfigured> {
  const before = new Map(current.map((variable) => [variable.key, variable]));
  return write(inputs, before, 'variables', seal).andThen((variables) => {
    const broken = brokenLimit(variables, limits);
    if (broken === null) return ok(variables);
    return err(new InvalidInput([{ path: 'variables', message: `must have ${broken.words}` }]));
  });
}

/** Some variables set and some removed; a key that is there keeps its place and, unless given, its description. */
export function patchVariables(
  current: StoredVariables,
  patch: { readonly set?: readonly VariableInput[] | undefined; readonly unset?: readonly string[] | undefined },
  limits: Limits,
  seal: SealVariable,
): Result<StoredVariables, InvalidInput | LimitReached | NotConfigured> {
  const after = new Map(current.map((variable) => [variable.key, variable]));
  return write(patch.set ?? [], after, 'set', seal).andThen((set) => {
    const alone = brokenLimit(set, limits);
    if (alone !== null) return err(new InvalidInput([{ path: 'set', message: `must have ${alone.words}` }]));

    for (const variable of set) after.set(variable.key, keepDescription(variable, after.get(variable.key)));
    for (const key of patch.unset ?? []) after.delete(key);
    const variables = [...after.values()];
    const broken = brokenLimit(variables, limits);
    return broken === null ? ok(variables) : err(new LimitReached(broken.limit, broken.maximum));
  });
}

function keepDescription(variable: StoredVariable, before: StoredVariable | undefined): StoredVariable {
  if (variable.description !== undefined || before?.description === undefined) return variable;
  return { ...variable, description: before.description };
}

/** The stored form of what is written. */
function write(
  inputs: readonly VariableInput[],
  before: ReadonlyMap<string, StoredVariable>,
  path: string,
  seal: SealVariable,
): Result<StoredVariables, InvalidInput | NotConfigured> {
  const issues: InputIssue[] = [];
  const variables: StoredVariable[] = [];
  for (const [index, input] of inputs.entries()) {
    const there = before.get(input.key);
    const description = input.description === undefined ? {} : { description: input.description };
    if ('keep' in input && input.keep) {
      if (there !== undefined && 'sealed' in there) variables.push({ ...there, ...description });
      else issues.push({ path: `${path}[${index}].keep`, message: 'has no sensitive value to keep' });
      continue;
    }
    const { value } = input as { readonly value: string };
    if (!isSensitive(input, there)) variables.push({ key: input.key, value, ...description });
    else if (seal === null) return err(new NotConfigured('keys', 'sensitive variables need keys to be sealed with'));
    else variables.push({ key: input.key, sensitive: true, ...seal(input.key, value), ...description });
  }
  return issues.length === 0 ? ok(variables) : err(new InvalidInput(issues));
}

function brokenLimit(
  variables: StoredVariables,
  limits: Limits,
): { readonly limit: keyof Limits; readonly maximum: number; readonly words: string } | null {
  const count = limits.variablesPerEnvironment;
  if (variables.length > count) {
    return { limit: 'variablesPerEnvironment', maximum: count, words: `at most ${count} variables` };
  }
  const bytes = limits.variableBytesPerEnvironment;
  if (utf8Length(encodeVariables(variables)) > bytes) {
    return { limit: 'variableBytesPerEnvironment', maximum: bytes, words: `at most ${bytes} bytes as JSON` };
  }
  return null;
}

/** How a variable differs between two environments. What is sensitive on both sides is `unknown`: neither side is opened. */
export interface VariableDifference {
  readonly key: string;
  readonly change: 'added' | 'removed' | 'changed' | 'unknown';
  /** In the first environment; `null` for `added`. */
  readonly before: Variable | null;
  /** In the second environment; `null` for `removed`. */
  readonly after: Variable | null;
}

/** The differences from one environment to another, by key, and how many variables are the same. Descriptions do not count. */
export interface EnvironmentDiff {
  readonly differences: readonly VariableDifference[];
  readonly same: number;
}

export function diff(from: StoredVariables, to: StoredVariables): EnvironmentDiff {
  const before = new Map(from.map((variable) => [variable.key, variable]));
  const after = new Map(to.map((variable) => [variable.key, variable]));
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  const differences = keys.flatMap((key) => {
    const [a, b] = [before.get(key), after.get(key)];
    const change = difference(a, b);
    return change === 'same'
      ? []
      : [
          {
            key,
            change,
            before: a === undefined ? null : toVariable(a),
            after: b === undefined ? null : toVariable(b),
          },
        ];
  });
  return { differences, same: keys.length - differences.length };
}

function difference(
  before: StoredVariable | undefined,
  after: StoredVariable | undefined,
): VariableDifference['change'] | 'same' {
  if (before === undefined) return 'added';
  if (after === undefined) return 'removed';
  if ('sealed' in before && 'sealed' in after) return before.sealed === after.sealed ? 'same' : 'unknown';
  if ('sealed' in before || 'sealed' in after) return 'changed';
  return before.value === after.value ? 'same' : 'changed';
}

/** The keys that a change of variables touched, for the journal. */
export function touchedKeys(before: StoredVariables, after: StoredVariables): JournalData {
  const touched: Record<'added' | 'changed' | 'removed', string[]> = { added: [], changed: [], removed: [] };
  for (const { key, change } of diff(before, after).differences) {
    touched[change === 'unknown' ? 'changed' : change].push(key);
  }
  return keyFacts(touched);
}

/** The keys of a new environment, for the journal. */
export function addedKeys(variables: StoredVariables): JournalData {
  return keyFacts({ added: variables.map(({ key }) => key) });
}

/** As many names of keys as keep an entry under 1 KB, and how many there are in all where that is not all of them. */
function keyFacts(touched: Readonly<Record<string, readonly string[]>>): JournalData {
  const facts: Record<string, number | readonly string[]> = {};
  let room = 400;
  for (const [kind, keys] of Object.entries(touched)) {
    if (keys.length === 0) continue;
    const shown = keys.filter((key) => (room -= key.length + 3) >= 0);
    facts[kind] = shown;
    if (shown.length < keys.length) facts[`${kind}Count`] = keys.length;
  }
  return facts;
}

export function toVariable(variable: StoredVariable): Variable {
  const description = variable.description === undefined ? {} : { description: variable.description };
  return 'sealed' in variable
    ? { key: variable.key, sensitive: true, hasValue: true, ...description }
    : { key: variable.key, value: variable.value, sensitive: false, ...description };
}

/** What callers see of a loaded environment. */
export function toEnvironment({ nameKey: _nameKey, variables, ...environment }: LoadedEnvironment): Environment {
  return {
    ...environment,
    ref: { projectId: environment.projectId, id: environment.id },
    variables: variables.map(toVariable),
  };
}

/** What callers see of a stored summary. */
export function toSummary({ nameKey: _nameKey, ...summary }: StoredSummary): EnvironmentSummary {
  return { ...summary, ref: { projectId: summary.projectId, id: summary.id } };
}
