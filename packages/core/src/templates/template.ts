import { InvalidInput } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { OutputTooLarge } from './errors.ts';
import type { MissingVariable, TemplateContext, UnsafeValue } from './errors.ts';
import { parse } from './grammar.ts';
import type { Diagnostic, SlotSyntax } from './grammar.ts';
import { jsonPlaces } from './json-places.ts';
import { invalid, readOptions } from './options.ts';
import type { RenderOptions } from './options.ts';
import { COMPONENT, HEADER, isHeaderText, TEXT } from './places.ts';
import type { Place } from './places.ts';
import { NONE_MISSING, Run } from './run.ts';
import type { Slot } from './run.ts';
import type { Filling, Snapshot } from './snapshot.ts';
import { exceedsBytes, ONE_MEBIBYTE } from './text-size.ts';
import { UrlAssembler } from './url-assembler.ts';
import { planUrl } from './url-plan.ts';
import type { UrlPlan } from './url-plan.ts';
import { Value } from './value.ts';
import { snapshotOf } from './variables.ts';
import type { ResolvedVariables } from './variables.ts';

/** What came out of a template. */
export interface Rendered {
  readonly text: string;
  /** Whether a sensitive value is in the text, itself or through references. */
  readonly secret: boolean;
  /** The keys of the slots that were filled from a variable, each once, in the order of the template; dynamic ones too. */
  readonly used: readonly string[];
  /** The keys that had no value and no default, where `missing` is `keep` or `empty`. */
  readonly missing: readonly string[];
  /** What stands between braces and is no slot. */
  readonly diagnostics: readonly Diagnostic[];
}

let parseTemplate: (source: string, context: TemplateContext) => Result<Template, InvalidInput>;
/** How many templates there have been. */
let count = 0;

let fill: (template: Template, run: Run) => Filling | null;

/** A template that was read and can be rendered any number of times. Made by `compile`; immutable. */
export class Template {
  readonly source: string;
  readonly context: TemplateContext;
  /** The names in the slots, each once, in the order they first appear; dynamic ones with their `$`. */
  readonly keys: readonly string[];
  /** What stands between braces and is no slot, and so was left as text. At most the first 100. */
  readonly diagnostics: readonly Diagnostic[];
  /** What a snapshot remembers the template by: a small number is found faster in a map than an object is. */
  readonly #number = count++;
  readonly #literals: readonly string[];
  readonly #slots: readonly Slot[];
  /** For a URL whose parts can only be judged together. */
  readonly #careful: UrlPlan | null;

  private constructor(source: string, context: TemplateContext, layout: Layout) {
    this.source = source;
    this.context = context;
    this.keys = Object.freeze([...new Set(layout.slots.map((slot) => slot.key))]);
    this.diagnostics = Object.freeze([...layout.diagnostics]);
    this.#literals = layout.literals;
    this.#slots = layout.slots;
    this.#careful = layout.url?.careful === true ? layout.url : null;
    Object.freeze(this);
  }

  static {
    parseTemplate = (source, context) => layOut(source, context).map((layout) => new Template(source, context, layout));
    fill = (template, run) => {
      const filling = run.snapshot.fillings.get(template.#number) ?? template.#fill(run);
      if (filling === null) return null;
      run.length += filling.length;
      if (run.length > run.options.maxBytes) return run.overflow();
      for (let index = 0; index < filling.used.length; index++) run.used.add(filling.used[index]!);
      if (filling.secret) run.secret = true;
      return filling;
    };
  }

  /**
   * Puts the variables into the template, in a single pass: what came out of a variable is never read again.
   *
   * Errors: `missing_variable`, where a variable has neither value nor default (see `options.missing`); `unsafe_value`, where a value would
   * break out of its place in a URL, header or JSON text; `output_too_large`; `invalid_input` for malformed arguments, and for a dynamic
   * variable that throws or returns no text.
   */
  render(
    resolved: ResolvedVariables,
    options?: RenderOptions,
  ): Result<Rendered, MissingVariable | UnsafeValue | OutputTooLarge | InvalidInput> {
    const snapshot = snapshotOf(resolved);
    const remembered = snapshot?.fillings.get(this.#number);
    // Most calls end here, in so few steps that they are compiled into their callers.
    if (options === undefined && remembered !== undefined) return this.#finish(remembered, NONE_MISSING, ONE_MEBIBYTE);
    return this.#renderAnew(snapshot, options);
  }

  #renderAnew(snapshot: Snapshot | null, options: RenderOptions | undefined): ReturnType<Template['render']> {
    if (snapshot === null) return invalid('resolved', 'must be what resolveVariables returned');
    const given = readOptions(options);
    if (given.isErr()) return err(given.error);
    const read = given.value;
    const remembered = snapshot.fillings.get(this.#number);
    if (remembered !== undefined) return this.#finish(remembered, NONE_MISSING, read.maxBytes);
    const run = new Run(snapshot, read);
    const filling = this.#fill(run);
    return filling === null ? err(run.failure!) : this.#finish(filling, run.missing, read.maxBytes);
  }

  #finish(filling: Filling, missing: readonly string[], maxBytes: number): Result<Rendered, OutputTooLarge> {
    const { pieces, length, secret, used } = filling;
    if (length > maxBytes) return err(new OutputTooLarge(maxBytes, ''));
    const text = join(pieces);
    // A character is at most three bytes (one of four bytes is two characters), so that most texts need no counting.
    if (length * 3 > maxBytes && exceedsBytes(text, maxBytes)) return err(new OutputTooLarge(maxBytes, ''));
    return ok({ text, secret, used, missing, diagnostics: this.diagnostics });
  }

  /** Finds and writes what goes into the slots. Remembered where it would be the same again, so that it is done once for a snapshot. */
  #fill(run: Run): Filling | null {
    const pieces = [this.#literals[0]!];
    const url = this.#careful === null ? null : new UrlAssembler(this.#careful.leading);
    let length = this.#literals[0]!.length;
    let secret = false;
    run.repeatable = true;
    for (const [index, slot] of this.#slots.entries()) {
      const reason = url?.literal(this.#literals[index]!) ?? null;
      if (reason !== null) return run.refuse(this.#slots[index - 1]!, this.context, reason);
      const found = run.find(slot);
      if (found === null) return run.failure === null ? run.refuseMissing(this.#slots) : null;
      if (typeof found !== 'string' && found.secret) secret = true;
      const form = url === null ? this.#write(slot, found, run) : this.#writeUrl(slot, found, run, url);
      if (form === null) return null;
      pieces.push(form + this.#literals[index + 1]!);
      length += form.length + this.#literals[index + 1]!.length;
      if (length > run.options.maxBytes) return run.overflow();
    }
    const reason = url?.literal(this.#literals.at(-1)!) ?? url?.finish() ?? null;
    if (reason !== null) return run.refuse(this.#slots.at(-1)!, this.context, reason);

    const filling = { pieces: pieces.filter((piece) => piece !== ''), length, secret, used: run.found(this.keys) };
    if (run.repeatable) run.snapshot.remember(this.#number, this.source, filling);
    return filling;
  }

  #write(slot: Slot, found: Value | string, run: Run): string | null {
    if (typeof found === 'string') return found;
    return slot.place.write(found.text) ?? run.refuse(slot, this.context, slot.place.reason);
  }

  #writeUrl(slot: Slot, found: Value | string, run: Run, url: UrlAssembler): string | null {
    const before = url.text.length;
    const reason = typeof found === 'string' ? url.kept(found) : url.value(found.text, slot.raw);
    return reason === null ? url.text.slice(before) : run.refuse(slot, this.context, reason);
  }
}

export { fill, parseTemplate };

/** Renders a template as a part of something larger: what it comes to is added up in the run. */
export function assemble(template: Template, run: Run): string | null {
  const filling = fill(template, run);
  return filling === null ? null : join(filling.pieces);
}

export function join(pieces: readonly string[]): string {
  let text = pieces[0] ?? '';
  for (let index = 1; index < pieces.length; index++) text += pieces[index]!;
  return text;
}

interface Layout {
  readonly literals: readonly string[];
  readonly slots: readonly Slot[];
  readonly diagnostics: readonly Diagnostic[];
  readonly url: UrlPlan | null;
}

function layOut(source: string, context: TemplateContext): Result<Layout, InvalidInput> {
  const { literals, slots, diagnostics } = parse(source);
  const url = context === 'url' ? planUrl(literals, slots) : null;
  if (url !== null && 'message' in url) return err(new InvalidInput([url]));
  if (context === 'header' && !literals.every(isHeaderText)) {
    return invalid('source', 'a header may not hold control characters or what is not in latin1');
  }
  const places = url?.places ?? placesOf(context, literals, slots);
  const filled = slots.map((slot, index) => ({
    ...slot,
    fallback: slot.fallback === null ? null : new Value(slot.fallback, false),
    place: places[index]!,
  }));
  return ok({ literals, slots: filled, diagnostics, url });
}

function placesOf(
  context: TemplateContext,
  literals: readonly string[],
  slots: readonly SlotSyntax[],
): readonly Place[] {
  if (context === 'json') return jsonPlaces(literals, slots);
  if (context === 'header') return slots.map(() => HEADER);
  return slots.map((slot) => (context === 'form' && !slot.raw ? COMPONENT : TEXT));
}
