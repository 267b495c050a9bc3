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
import { exceedsBytes } from './text-size.ts';
import { UrlAssembler } from './url-assembler.ts';
import { planUrl } from './url-plan.ts';
import type { UrlPlan } from './url-plan.ts';
import { interned, Value } from './value.ts';
import type { Snapshot } from './value.ts';
import { isResolved, valuesOf } from './variables.ts';
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
let assemble: (template: Template, run: Run) => string | null;

/** A template that was read and can be rendered any number of times. Made by `compile`; immutable. */
export class Template {
  readonly source: string;
  readonly context: TemplateContext;
  /** The names in the slots, each once, in the order they first appear; dynamic ones with their `$`. */
  readonly keys: readonly string[];
  /** What stands between braces and is no slot, and so was left as text. At most the first 100. */
  readonly diagnostics: readonly Diagnostic[];
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
    assemble = (template, run) => {
      if (template.#careful !== null) return template.#assembleUrl(run, template.#careful);
      if (!template.#fillQuickly(run.values, run.options.maxBytes - run.length, run)) return template.#fill(run);
      run.length += run.text.length;
      return run.text;
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
    if (!isResolved(resolved)) return invalid('resolved', 'must be what resolveVariables returned');
    const read = readOptions(options);
    if (read.isErr()) return err(read.error);

    const { maxBytes } = read.value;
    const values = valuesOf(resolved);
    const rendered = { text: '', secret: false, used: this.keys, missing: NONE_MISSING, diagnostics: this.diagnostics };
    if (this.#fillQuickly(values, maxBytes, rendered)) return ok(rendered);

    const run = new Run(values, read.value);
    const text = this.#careful === null ? this.#fill(run) : this.#assembleUrl(run, this.#careful);
    if (text === null) return err(run.failure!);
    if (exceedsBytes(text, maxBytes)) return err(new OutputTooLarge(maxBytes, ''));
    return ok({
      text,
      secret: run.secret,
      used: run.used(this.keys),
      missing: run.missing,
      diagnostics: this.diagnostics,
    });
  }

  /**
   * The way of nearly every rendering after the first: each value is there and was written for its place before, and the text is far
   * from its limit. Anything else is left to `#fill`; nothing has happened then.
   */
  #fillQuickly(values: Snapshot, maxBytes: number, rendered: { text: string; secret: boolean }): boolean {
    if (this.#careful !== null) return false;
    const { list } = values;
    const literals = this.#literals;
    const slots = this.#slots;
    const longest = maxBytes / 3;
    let text = literals[0]!;
    let secret = false;
    for (let index = 0; index < slots.length; index++) {
      const slot = slots[index]!;
      const value = list[slot.position];
      if (value === undefined || value.key !== slot.key) return false;
      const form = value.forms[slot.form];
      if (!form) return false;
      if (value.secret) secret = true;
      text = text + form + literals[index + 1]!;
      if (text.length > longest) return false;
    }
    if (text.length > longest) return false;
    rendered.text = text;
    if (secret) rendered.secret = true;
    return true;
  }

  #fill(run: Run): string | null {
    const longest = run.options.maxBytes - run.length;
    let text = this.#literals[0]!;
    for (let index = 0; index < this.#slots.length; index++) {
      const form = this.#form(this.#slots[index]!, run);
      if (form === null) return null;
      text += form + this.#literals[index + 1]!;
      if (text.length > longest) return run.overflow();
    }
    if (text.length > longest) return run.overflow();
    run.length += text.length;
    return text;
  }

  /** What a slot is filled with: a value as it stands in its place, or what takes the place of one that is missing. */
  #form(slot: Slot, run: Run): string | null {
    const found = run.find(slot);
    if (found === null || typeof found === 'string') return found;
    if (found.secret) run.secret = true;
    return found.at(slot.place) ?? run.refuse(slot, this.context, slot.place.reason);
  }

  #assembleUrl(run: Run, plan: UrlPlan): string | null {
    const longest = run.options.maxBytes - run.length;
    const url = new UrlAssembler(plan.leading);
    const slots = this.#slots;
    for (let index = 0; index <= slots.length; index++) {
      const reason = url.literal(this.#literals[index]!);
      if (reason !== null) return run.refuse(slots[index - 1]!, 'url', reason);
      const slot = slots[index];
      if (slot === undefined) break;
      const found = run.find(slot);
      if (found === null) return null;
      if (typeof found === 'string') url.kept(found);
      else {
        if (found.secret) run.secret = true;
        const refused = url.value(found.text, slot.raw);
        if (refused !== null) return run.refuse(slot, 'url', refused);
      }
      if (url.text.length > longest) return run.overflow();
    }
    const reason = url.finish();
    if (reason !== null) return run.refuse(slots.at(-1)!, 'url', reason);
    run.length += url.text.length;
    return url.text;
  }
}

export { assemble, parseTemplate };

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
    key: interned(slot.key),
    position: 0,
    fallback: slot.fallback === null ? null : new Value(slot.key, slot.fallback, false),
    place: places[index]!,
    form: places[index]!.index,
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
