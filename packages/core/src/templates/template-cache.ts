import type { InvalidInput } from '../kernel/errors.ts';
import type { Result } from '../kernel/result.ts';
import type { TemplateContext, TemplateTooLarge } from './errors.ts';
import type { Template } from './template.ts';

/** What `compile` returned, kept whole, so that a hit makes nothing. */
type Compiled = Result<Template, TemplateTooLarge | InvalidInput>;
type Generation = Map<string, Partial<Record<TemplateContext, Compiled>>>;

const MAX_TEMPLATES = 2000;
const MAX_CHARACTERS = 1_048_576;

/**
 * Remembers templates by their source, in two generations: when the young one is full it becomes the old one, and what the old one still
 * holds is forgotten unless it was asked for in the meantime. That keeps what is in use like a least-recently-used list does, but a hit
 * only reads. Sources are compared as they are, so nothing has to be joined into a key.
 */
export class TemplateCache {
  #young: Generation = new Map();
  #old: Generation = new Map();
  #templates = 0;
  #characters = 0;

  get(source: string, context: TemplateContext): Compiled | undefined {
    const young = this.#young.get(source)?.[context];
    if (young !== undefined) return young;
    const old = this.#old.get(source)?.[context];
    if (old !== undefined) this.set(source, context, old);
    return old;
  }

  set(source: string, context: TemplateContext, compiled: Compiled): void {
    if (this.#templates >= MAX_TEMPLATES || this.#characters + source.length > MAX_CHARACTERS) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#templates = 0;
      this.#characters = 0;
    }
    this.#templates++;
    this.#characters += source.length;
    const byContext = this.#young.get(source);
    if (byContext === undefined) this.#young.set(source, { [context]: compiled });
    else byContext[context] = compiled;
  }

  /** How much is kept, for those who check that it is bounded. */
  get size(): { readonly templates: number; readonly characters: number } {
    const count = (generation: Generation) =>
      [...generation.values()].reduce((sum, entry) => sum + Object.keys(entry).length, 0);
    const characters = (generation: Generation) =>
      [...generation].reduce((sum, [source, entry]) => sum + source.length * Object.keys(entry).length, 0);
    return {
      templates: count(this.#young) + count(this.#old),
      characters: characters(this.#young) + characters(this.#old),
    };
  }
}
