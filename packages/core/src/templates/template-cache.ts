import type { InvalidInput } from '../kernel/errors.ts';
import type { Result } from '../kernel/result.ts';
import type { TemplateTooLarge } from './errors.ts';
import type { Template } from './template.ts';

/** What `compile` returned, kept whole, so that a hit makes nothing. */
type Compiled = Result<Template, TemplateTooLarge | InvalidInput>;

/**
 * Remembers the templates of one context by their source, in two generations: when the young one is full it becomes the old one, and what the
 * old one still holds is forgotten unless it was asked for in the meantime. That keeps what is in use as a least-recently-used list
 * does, but a hit only reads.
 */
export class TemplateCache {
  /** What one generation may hold. A template that would take more than a quarter of it is not remembered. */
  static readonly maxTemplates = 2000;
  static readonly maxCharacters = 524_288;

  #young = new Map<string, Compiled>();
  #old = new Map<string, Compiled>();
  #characters = 0;

  get(source: string): Compiled | undefined {
    const young = this.#young.get(source);
    if (young !== undefined) return young;
    const old = this.#old.get(source);
    if (old !== undefined) this.set(source, old);
    return old;
  }

  set(source: string, compiled: Compiled): void {
    if (source.length > TemplateCache.maxCharacters / 4) return;
    const full =
      this.#young.size >= TemplateCache.maxTemplates || this.#characters + source.length > TemplateCache.maxCharacters;
    if (full) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#characters = 0;
    }
    this.#young.set(source, compiled);
    this.#characters += source.length;
  }

  /** How much is kept, both generations together. */
  get size(): { readonly templates: number; readonly characters: number } {
    const sources = [...this.#young.keys(), ...this.#old.keys()];
    return { templates: sources.length, characters: sources.reduce((sum, source) => sum + source.length, 0) };
  }
}
