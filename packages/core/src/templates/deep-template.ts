import type { InvalidInput } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { bytesIn, Copier, pathOf, REFUSED } from './deep.ts';
import type { RenderedDeep } from './deep.ts';
import { OutputTooLarge } from './errors.ts';
import type { MissingVariable, TemplateTooLarge, UnsafeValue } from './errors.ts';
import { mentionsSlot } from './grammar.ts';
import type { Diagnostic } from './grammar.ts';
import { invalid, readOptions, readSafely } from './options.ts';
import type { RenderOptions } from './options.ts';
import { NONE_MISSING, Run } from './run.ts';
import type { DeepFilling } from './snapshot.ts';
import { fill, join } from './template.ts';
import type { Template } from './template.ts';
import { snapshotOf } from './variables.ts';
import type { ResolvedVariables } from './variables.ts';

/** A text of a deep value, and what it is rendered by, where it mentions slots. */
interface Leaf {
  readonly text: string;
  readonly template: Template | null;
}

/** Where a text comes from that is rendered: the how-manieth of them. */
class RenderedText {
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

/** A list, or an object, that is made anew each time: what differs from `sample` is in `parts`. */
class Branch {
  readonly sample: unknown[] | Record<string, unknown>;
  readonly parts: readonly (readonly [key: string | number, part: Branch | RenderedText])[];

  constructor(sample: Branch['sample'], parts: Branch['parts']) {
    this.sample = sample;
    this.parts = parts;
  }
}

/** How many deep templates there have been. */
let count = 0;

let create: <T>(root: unknown, leaves: readonly Leaf[], diagnostics: readonly Diagnostic[]) => DeepTemplate<T>;

/** A deep value whose texts were read as templates, and that can be rendered any number of times. Made by `compileDeep`; immutable. */
export class DeepTemplate<T> {
  /** What stands between braces and is no slot, and so was left as text: at most the first 100 of each text. */
  readonly diagnostics: readonly Diagnostic[];
  readonly #number = count++;
  readonly #root: unknown;
  readonly #leaves: readonly Leaf[];

  private constructor(root: unknown, leaves: readonly Leaf[], diagnostics: readonly Diagnostic[]) {
    this.diagnostics = Object.freeze([...diagnostics]);
    this.#root = root;
    this.#leaves = leaves;
    Object.freeze(this);
  }

  static {
    create = (root, leaves, diagnostics) => new DeepTemplate(root, leaves, diagnostics);
  }

  /**
   * A new copy of the value with every text rendered, as `renderDeep` gives it. The copies share nothing.
   *
   * Errors: as `Template.render`, each saying in `at` where the text is (`items[3].name`).
   */
  render(
    resolved: ResolvedVariables,
    options?: RenderOptions,
  ): Result<RenderedDeep<T>, MissingVariable | UnsafeValue | OutputTooLarge | InvalidInput> {
    const snapshot = snapshotOf(resolved);
    if (snapshot === null) return invalid('resolved', 'must be what resolveVariables returned');
    const read = readOptions(options);
    if (read.isErr()) return err(read.error);
    const { maxBytes } = read.value;

    const remembered = snapshot.deepFillings.get(this.#number);
    // Where it is too long, the texts are gone through to say at which.
    if (remembered !== undefined && remembered.length <= maxBytes) {
      return this.#finish(remembered, NONE_MISSING, maxBytes);
    }
    const run = new Run(snapshot, read.value);
    const filling = this.#fill(run);
    return filling === null ? err(run.failure!) : this.#finish(filling, run.missing, maxBytes);
  }

  #finish(filling: DeepFilling, missing: readonly string[], maxBytes: number): Result<RenderedDeep<T>, OutputTooLarge> {
    const { texts, length, secret, used } = filling;
    const value = build(this.#root, texts) as T;
    // A character is at most three bytes, so that most values need no counting.
    if (length * 3 > maxBytes && bytesIn(value) > maxBytes) return err(new OutputTooLarge(maxBytes, ''));
    return ok({ value, secret, used, missing, diagnostics: this.diagnostics });
  }

  /** Finds what goes into the texts. Remembered where it would be the same again, so that it is done once for a snapshot. */
  #fill(run: Run): DeepFilling | null {
    const texts: (readonly string[])[] = [];
    let repeatable = true;
    let leaf = 0;
    run.locate = () => pathOf('', stepsTo(leaf, this.#root)!);
    for (; leaf < this.#leaves.length; leaf++) {
      const { text, template } = this.#leaves[leaf]!;
      if (template === null) {
        run.length += text.length;
        if (run.length > run.options.maxBytes) return run.overflow();
        continue;
      }
      run.repeatable = true;
      const filling = fill(template, run);
      if (filling === null) return null;
      if (!run.repeatable) repeatable = false;
      texts.push(filling.pieces);
    }
    const filling = { texts, length: run.length, secret: run.secret, used: Object.freeze([...run.used]) };
    if (repeatable) run.snapshot.rememberDeep(this.#number, filling);
    return filling;
  }
}

/**
 * Reads every text in a deep value as a template, so that the value can be rendered many times: `renderDeep` goes through the whole value each
 * time. What is changed in the value afterwards changes nothing.
 *
 * Errors: `template_too_large` for a text of more than 1 MiB of UTF-8; `invalid_input` for anything that is not plain data, that is nested deeper
 * than 100 levels or contains itself, or that has more than a million entries.
 *
 * @example
 * const order = unwrap(compileDeep({ customer: '{{CUSTOMER}}', lines: [{ link: '{{API_BASE_URL}}/items/7' }] }));
 * unwrap(order.render(staging)).value;
 * unwrap(order.render(production)).value;
 */
export function compileDeep<T>(value: T): Result<DeepTemplate<T>, TemplateTooLarge | InvalidInput> {
  return readSafely('value', () => {
    const reader = new Reader('');
    const copy = reader.copy(value);
    return copy === REFUSED ? err(reader.refusal!) : ok(create<T>(branch(copy), reader.leaves, reader.diagnostics));
  });
}

/** Copies a value with a `RenderedText` in place of each text that is a template, and keeps a list of all texts. */
class Reader extends Copier {
  readonly leaves: Leaf[] = [];
  #templates = 0;

  protected override text(source: string): unknown {
    const template = mentionsSlot(source) ? this.template(source) : null;
    if (this.refusal !== null) return REFUSED;
    this.leaves.push({ text: source, template });
    return template === null ? source : new RenderedText(this.#templates++);
  }
}

/** What in a copy is made anew each time: everything but texts, numbers and the like. */
function branch(copy: unknown): unknown {
  if (typeof copy !== 'object' || copy === null || copy instanceof RenderedText) return copy;
  const isList = Array.isArray(copy);
  const entries = isList ? [...copy.entries()] : Object.entries(copy);
  const parts = entries.flatMap(([key, part]): Branch['parts'] => {
    const made = branch(part);
    return made instanceof Branch || made instanceof RenderedText ? [[key, made]] : [];
  });
  return new Branch(copy as Branch['sample'], parts);
}

/** The way to the how-manieth text of a value, in the order in which they were read. Looked for when it is asked for: together, the ways can be much longer than the value. */
function stepsTo(leaf: number, root: unknown): readonly (string | number)[] | null {
  let left = leaf;
  const search = (part: unknown): (string | number)[] | null => {
    if (typeof part === 'string' || part instanceof RenderedText) return left-- === 0 ? [] : null;
    if (!(part instanceof Branch)) return null;
    const inner = new Map(part.parts);
    const { sample } = part;
    for (const [key, kept] of Array.isArray(sample) ? sample.entries() : Object.entries(sample)) {
      const steps = search(inner.get(key) ?? kept);
      if (steps !== null) return [key, ...steps];
    }
    return null;
  };
  return search(root);
}

function build(part: unknown, texts: DeepFilling['texts']): unknown {
  if (part instanceof RenderedText) return join(texts[part.index]!);
  return part instanceof Branch ? grow(part, texts) : part;
}

function grow({ sample, parts }: Branch, texts: DeepFilling['texts']): unknown {
  // A copied object is quicker to change than a new one is to fill. It also has its own `__proto__`, where there is one.
  const copy = (Array.isArray(sample) ? [...sample] : { ...sample }) as Record<string | number, unknown>;
  for (let index = 0; index < parts.length; index++) {
    const [key, part] = parts[index]!;
    copy[key] = part instanceof RenderedText ? join(texts[part.index]!) : grow(part, texts);
  }
  return copy;
}
