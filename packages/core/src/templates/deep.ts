import { InvalidInput } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { compileIn } from './compile.ts';
import { OutputTooLarge } from './errors.ts';
import type { MissingVariable, TemplateTooLarge, UnsafeValue } from './errors.ts';
import { mentionsSlot } from './grammar.ts';
import type { Diagnostic } from './grammar.ts';
import { invalid, readOptions, readSafely } from './options.ts';
import type { RenderOptions } from './options.ts';
import { diagnosticsAt, Run } from './run.ts';
import { assemble } from './template.ts';
import type { Rendered, Template } from './template.ts';
import { utf8Length } from './text-size.ts';
import { snapshotOf } from './variables.ts';
import type { ResolvedVariables } from './variables.ts';

/** What came out of a deep value: a copy with every text in it rendered, and the rest as in `Rendered`, for all texts together. */
export interface RenderedDeep<T> extends Omit<Rendered, 'text'> {
  readonly value: T;
}

const MAX_DEPTH = 100;
/** Objects that share parts unfold when they are copied; this is where that ends. */
const MAX_ENTRIES = 1_000_000;

/**
 * Renders every text in a value made of plain objects, arrays, texts, numbers, booleans, null and undefined: the body of a request before it becomes JSON,
 * for instance. Texts are values of the data and not JSON text, so nothing is escaped. Keys are left as they are. The value given is not
 * changed; the copy shares nothing with it. For a value that is rendered many times, see `compileDeep`.
 *
 * Errors: as `Template.render`, each saying in `at` where the text is (`items[3].name`); `invalid_input` for anything that is not plain data, that
 * is nested deeper than 100 levels or contains itself, or that has more than a million entries.
 */
export function renderDeep<T>(
  value: T,
  resolved: ResolvedVariables,
  options?: RenderOptions,
): Result<RenderedDeep<T>, TemplateTooLarge | MissingVariable | UnsafeValue | OutputTooLarge | InvalidInput> {
  const snapshot = snapshotOf(resolved);
  if (snapshot === null) return invalid('resolved', 'must be what resolveVariables returned');
  const read = readOptions(options);
  if (read.isErr()) return err(read.error);

  const run = new Run(snapshot, read.value);
  const copy = readSafely('value', () => copyDeep(value, run, ''));
  if (copy.isErr()) return err(copy.error);
  const { maxBytes } = read.value;
  // Characters were counted on the way; bytes are counted only where that leaves a doubt.
  if (run.length * 3 > maxBytes && bytesIn(copy.value.value) > maxBytes) return err(new OutputTooLarge(maxBytes, ''));
  const { secret, missing } = run;
  return ok({
    value: copy.value.value,
    secret,
    used: [...run.used],
    missing,
    diagnostics: copy.value.diagnostics,
  });
}

export interface DeepCopy<T> {
  readonly value: T;
  readonly diagnostics: readonly Diagnostic[];
}

/** A copy with every text rendered in a run. `root` is what its parts are named by in errors. */
export function copyDeep<T>(
  value: T,
  run: Run,
  root: string,
): Result<DeepCopy<T>, TemplateTooLarge | MissingVariable | UnsafeValue | OutputTooLarge | InvalidInput> {
  const copier = new Renderer(run, root);
  run.locate = () => copier.path;
  const copy = copier.copy(value);
  if (copy === REFUSED) return err(copier.refusal ?? run.failure!);
  return ok({ value: copy as T, diagnostics: copier.diagnostics });
}

/** What comes back up when something was refused; why is in `Copier.refusal` or in the run. */
export const REFUSED = Symbol('refused');

/** Copies plain data, with something else in place of each text. */
export abstract class Copier {
  readonly diagnostics: Diagnostic[] = [];
  refusal: TemplateTooLarge | InvalidInput | null = null;
  readonly #root: string;
  /** The way to where the copier is, `#depth` steps of it. */
  readonly #steps: (string | number)[] = [];
  #depth = 0;
  #entries = 0;
  /** Whether somebody has given `Object.prototype` properties that every loop over keys sees; asking each key is a third of the time. */
  readonly #inherits = inheritsKeys();

  constructor(root: string) {
    this.#root = root;
  }

  /** What stands in the copy for a text; `REFUSED` to stop. */
  protected abstract text(source: string): unknown;

  /** Where in the value the copier is: `body.items[3].name`. */
  get path(): string {
    return pathOf(this.#root, this.#steps.slice(0, this.#depth));
  }

  copy(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (typeof value === 'object' && value !== null)
      return Array.isArray(value) ? this.#list(value) : this.#record(value);
    if (typeof value === 'function' || typeof value === 'symbol') return this.#refuse('must be plain data');
    return value;
  }

  /** The template that a text is, or null where it cannot be one. */
  protected template(source: string): Template | null {
    const compiled = compileIn('text', source);
    if (compiled.isErr()) {
      if (compiled.error.code === 'invalid_input') this.#refuse('must not hold lone surrogates');
      else this.refusal = compiled.error;
      return null;
    }
    const template = compiled.value;
    if (template.diagnostics.length > 0) this.diagnostics.push(...diagnosticsAt(template.diagnostics, this.path));
    return template;
  }

  #list(list: readonly unknown[]): unknown[] | typeof REFUSED {
    if (!this.#enter(list.length)) return REFUSED;
    const depth = this.#depth++;
    const copy: unknown[] = [];
    for (let index = 0; index < list.length; index++) {
      this.#steps[depth] = index;
      const part = this.copy(list[index]);
      if (part === REFUSED) return REFUSED;
      copy.push(part);
    }
    this.#depth = depth;
    return copy;
  }

  #record(record: object): object | typeof REFUSED {
    const prototype: unknown = Object.getPrototypeOf(record);
    // An object of another realm has a prototype of its own that is like Object.prototype in this.
    const plain = prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
    if (!plain) return this.#refuse('must be plain data: objects, lists, texts, numbers, true, false, null');
    if (!this.#enter(0)) return REFUSED;
    const depth = this.#depth++;
    // Copying the whole object and then replacing what differs is much faster than adding its properties one by one. It also reads
    // every getter once, and takes a property named `__proto__` for what it is.
    const copy: Record<string, unknown> = { ...record };
    for (const key in copy) {
      if (this.#inherits && !Object.hasOwn(copy, key)) continue;
      this.#entries++;
      const value = copy[key];
      if (typeof value === 'number' || typeof value === 'boolean') continue;
      this.#steps[depth] = key;
      const part = this.copy(value);
      if (part === REFUSED) return REFUSED;
      if (part !== value) copy[key] = part;
    }
    this.#depth = depth;
    return copy;
  }

  #enter(entries: number): boolean {
    this.#entries += entries;
    if (this.#depth >= MAX_DEPTH) this.#refuse(`must not be nested deeper than ${MAX_DEPTH} levels, or contain itself`);
    if (this.#entries > MAX_ENTRIES) this.#refuse(`must not have more than ${MAX_ENTRIES} entries`);
    return this.refusal === null;
  }

  #refuse(message: string): typeof REFUSED {
    this.refusal = new InvalidInput([{ path: this.path, message }]);
    return REFUSED;
  }
}

/** Copies with every text rendered in a run. */
class Renderer extends Copier {
  readonly #run: Run;

  constructor(run: Run, root: string) {
    super(root);
    this.#run = run;
  }

  protected override text(source: string): string | typeof REFUSED {
    const run = this.#run;
    if (mentionsSlot(source)) {
      const template = this.template(source);
      return template === null ? REFUSED : (assemble(template, run) ?? REFUSED);
    }
    run.length += source.length;
    if (run.length <= run.options.maxBytes) return source;
    run.overflow();
    return REFUSED;
  }
}

/** The way to a part of a value, from what the value is named by: `body.items[3].name`. */
export function pathOf(root: string, steps: readonly (string | number)[]): string {
  const path = steps.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  return root === '' && path.startsWith('.') ? path.slice(1) : root + path;
}

function inheritsKeys(): boolean {
  for (const _ in {}) return true;
  return false;
}

/** How many bytes of UTF-8 the texts in a copy take. */
export function bytesIn(copy: unknown): number {
  if (typeof copy === 'string') return utf8Length(copy);
  if (typeof copy !== 'object' || copy === null) return 0;
  return Object.values(copy).reduce<number>((sum, part) => sum + bytesIn(part), 0);
}
