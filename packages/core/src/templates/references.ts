import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { VariableCycle, VariablesTooLarge } from './errors.ts';
import { mentionsSlot, parse } from './grammar.ts';
import type { Parsed } from './grammar.ts';
import { Snapshot } from './snapshot.ts';
import { ONE_MEBIBYTE, utf8Length } from './text-size.ts';
import { Value } from './value.ts';

/**
 * References between variables are followed in two steps. `measure` orders the variables so that each comes after those it refers to, and
 * computes how large everything would be, from lengths alone. Only what fits is handed to `build`, which makes the texts. So a set of
 * variables that multiplies itself is refused without any of it being made.
 */

/** A variable to resolve. A literal one holds no references whatever it looks like. */
export interface StoredVariable {
  readonly key: string;
  readonly text: string;
  readonly secret: boolean;
  readonly literal: boolean;
}

/** The variables in the order to build them, each after what it refers to; proved to be small enough. */
export interface Plan {
  readonly keys: readonly string[];
  readonly steps: readonly Step[];
}

interface Step extends StoredVariable {
  /** The text taken apart; null where there is nothing to replace. */
  readonly parsed: Parsed | null;
}

/** What is known of a variable before it is built. `emptiedBytes` is counted where a reference leads to nothing: see `Value.emptied`. */
interface Size {
  readonly depth: number;
  readonly bytes: number;
  readonly emptiedBytes: number;
  readonly complete: boolean;
}

const MAX_DEPTH = 16;

export function measure(stored: ReadonlyMap<string, StoredVariable>): Result<Plan, VariableCycle | VariablesTooLarge> {
  const ordered = order(stored);
  if (ordered.isErr()) return err(ordered.error);

  const sizes = new Map<string, Size>();
  let total = 0;
  for (const step of ordered.value) {
    const size = sizeOf(step, sizes);
    if (size.depth > MAX_DEPTH) return err(new VariablesTooLarge('depth', MAX_DEPTH, step.key));
    total += size.bytes + (size.complete ? 0 : size.emptiedBytes);
    if (total > ONE_MEBIBYTE) return err(new VariablesTooLarge('bytes', ONE_MEBIBYTE, step.key));
    sizes.set(step.key, size);
  }
  return ok({ keys: [...stored.keys()], steps: ordered.value });
}

/** The variables, each after those it refers to. Without recursion: a chain of references may be as long as there are variables. */
function order(stored: ReadonlyMap<string, StoredVariable>): Result<Step[], VariableCycle> {
  const ordered: Step[] = [];
  const settled = new Set<string>();
  for (const first of stored.values()) {
    if (settled.has(first.key)) continue;
    const way = new Map<string, { step: Step; references: string[] }>();
    const enter = (variable: StoredVariable) => {
      const parsed = variable.literal || !mentionsSlot(variable.text) ? null : parse(variable.text);
      way.set(variable.key, { step: { ...variable, parsed }, references: parsed?.slots.map((slot) => slot.key) ?? [] });
      stack.push(variable.key);
    };
    const stack: string[] = [];
    enter(first);
    while (stack.length > 0) {
      const { step, references } = way.get(stack.at(-1)!)!;
      const next = references.pop();
      if (next === undefined) {
        stack.pop();
        settled.add(step.key);
        ordered.push(step);
        continue;
      }
      if (settled.has(next)) continue;
      if (way.has(next)) return err(new VariableCycle([...stack.slice(stack.indexOf(next)), next]));
      const variable = stored.get(next);
      if (variable !== undefined) enter(variable);
    }
  }
  return ok(ordered);
}

function sizeOf({ text, parsed }: Step, sizes: ReadonlyMap<string, Size>): Size {
  if (parsed === null) {
    const bytes = utf8Length(text);
    return { depth: 0, bytes, emptiedBytes: bytes, complete: true };
  }
  let bytes = parsed.literals.reduce((sum, literal) => sum + utf8Length(literal), 0);
  let emptiedBytes = bytes;
  let depth = 0;
  let complete = true;
  for (const slot of parsed.slots) {
    const size = sizes.get(slot.key);
    if (size !== undefined) {
      depth = Math.max(depth, size.depth + 1);
      complete &&= size.complete;
    }
    const standsIn = size === undefined || size.bytes === 0 ? slot.fallback : null;
    bytes += standsIn === null ? (size?.bytes ?? slot.source.length) : utf8Length(standsIn);
    emptiedBytes += standsIn === null ? (size?.emptiedBytes ?? 0) : utf8Length(standsIn);
    if (size === undefined && standsIn === null) complete = false;
  }
  return { depth, bytes, emptiedBytes, complete };
}

/** Makes the texts that `measure` found to be small enough. */
export function build(plan: Plan): Snapshot {
  const built = new Map<string, Value>();
  for (const step of plan.steps) built.set(step.key, buildValue(step, built));
  return new Snapshot(new Map(plan.keys.map((key) => [key, built.get(key)!])));
}

function buildValue({ key, text, secret, parsed }: Step, built: ReadonlyMap<string, Value>): Value {
  if (parsed === null) return new Value(text, secret);
  let whole = parsed.literals[0]!;
  let emptied = whole;
  let anySecret = secret;
  const gaps = new Map<string, readonly string[]>();
  parsed.slots.forEach((slot, index) => {
    const value = built.get(slot.key);
    const standsIn = value === undefined || value.text === '' ? slot.fallback : null;
    if (standsIn !== null) {
      whole += standsIn;
      emptied += standsIn;
    } else if (value === undefined) {
      whole += slot.source;
      if (!gaps.has(slot.key)) gaps.set(slot.key, [key, slot.key]);
    } else {
      whole += value.text;
      emptied += value.emptied.text;
      anySecret ||= value.secret;
      for (const [missing, path] of value.gaps) if (!gaps.has(missing)) gaps.set(missing, [key, ...path]);
    }
    whole += parsed.literals[index + 1]!;
    emptied += parsed.literals[index + 1]!;
  });
  return gaps.size === 0 ? new Value(whole, anySecret) : new Value(whole, anySecret, { gaps, emptied });
}
