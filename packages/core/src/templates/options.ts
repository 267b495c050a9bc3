import { InvalidInput } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { BUILT_IN, systemPorts } from './dynamic.ts';
import type { DynamicPorts, DynamicVariables } from './dynamic.ts';
import type { SecretText } from '../kernel/secret-text.ts';
import { DYNAMIC_NAME } from './grammar.ts';
import { ONE_MEBIBYTE } from './text-size.ts';

/** How to render. */
export interface RenderOptions {
  /**
   * What to do with a variable that is missing and has no default: `error` (the default) refuses to render, `keep` leaves the slot as it
   * is written, `empty` puts nothing in its place. The last two list the key in `Rendered.missing`.
   */
  readonly missing?: 'error' | 'keep' | 'empty' | undefined;
  /** Ports for the built-in dynamic variables, and the host's own ones. */
  readonly dynamic?: DynamicVariables | undefined;
  /** The most that may come out, in bytes of UTF-8; 1 MiB by default. For a request or a deep value, all texts together. */
  readonly maxBytes?: number | undefined;
}

/** The options once read: what a caller changes afterwards changes nothing. */
export interface ReadOptions {
  readonly missing: 'error' | 'keep' | 'empty';
  readonly maxBytes: number;
  readonly ports: DynamicPorts;
  readonly own: ReadonlyMap<string, () => string | SecretText>;
}

export const DEFAULT_OPTIONS: ReadOptions = {
  missing: 'error',
  maxBytes: ONE_MEBIBYTE,
  ports: systemPorts,
  own: new Map(),
};

export function readOptions(options: RenderOptions | undefined): Result<ReadOptions, InvalidInput> {
  if (options === undefined) return ok(DEFAULT_OPTIONS);
  return readSafely('options', () => {
    if (typeof options !== 'object' || options === null) return invalid('options', 'must be an object');
    const { missing = 'error', maxBytes = ONE_MEBIBYTE, dynamic } = options;
    if (missing !== 'error' && missing !== 'keep' && missing !== 'empty') {
      return invalid('options.missing', 'must be "error", "keep" or "empty"');
    }
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 0)
      return invalid('options.maxBytes', 'must be a whole number of bytes');
    if (dynamic === undefined) return ok({ ...DEFAULT_OPTIONS, missing, maxBytes });
    return readDynamic(dynamic).map(({ ports, own }) => ({ missing, maxBytes, ports, own }));
  });
}

function readDynamic(dynamic: DynamicVariables): Result<Pick<ReadOptions, 'ports' | 'own'>, InvalidInput> {
  if (typeof dynamic !== 'object' || dynamic === null) return invalid('options.dynamic', 'must be an object');
  const own = new Map<string, () => string | SecretText>();
  for (const name of Object.keys(dynamic)) {
    if (name === 'clock' || name === 'random' || name === 'ids') continue;
    const path = `options.dynamic.${name}`;
    if (BUILT_IN.has(name)) return invalid(path, 'is built in; give the port clock, random or ids instead');
    if (!DYNAMIC_NAME.test(name)) return invalid(path, 'must be named "$" and then letters, digits, "_" or "-"');
    const make: unknown = dynamic[name as `$${string}`];
    if (typeof make !== 'function') return invalid(path, 'must be a function that returns a text');
    own.set(name, make as () => string | SecretText);
  }
  const ports = {
    clock: dynamic.clock ?? systemPorts.clock,
    random: dynamic.random ?? systemPorts.random,
    ids: dynamic.ids ?? systemPorts.ids,
  };
  return ok({ ports, own });
}

export function invalid(path: string, message: string): Result<never, InvalidInput> {
  return err(new InvalidInput([{ path, message }]));
}

/** Reads what a caller gave, whose getters and proxies may throw anything at all. */
export function readSafely<T, E>(path: string, read: () => Result<T, E>): Result<T, E | InvalidInput> {
  try {
    return read();
  } catch {
    return invalid(path, 'could not be read');
  }
}
