import type { InvalidInput } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { TemplateTooLarge } from './errors.ts';
import type { MissingVariable, OutputTooLarge, TemplateContext, UnsafeValue } from './errors.ts';
import { invalid, readSafely } from './options.ts';
import type { RenderOptions } from './options.ts';
import { parseTemplate } from './template.ts';
import type { Rendered, Template } from './template.ts';
import { TemplateCache } from './template-cache.ts';
import { exceedsBytes, isWellFormed, ONE_MEBIBYTE } from './text-size.ts';
import type { ResolvedVariables } from './variables.ts';

/** How to read a template. */
export interface CompileOptions {
  /**
   * How the output is used, and so how values are encoded and which are refused:
   *
   * - `text` (the default): as they are.
   * - `url`: path, query and fragment slots are percent-encoded; a slot for the host or the beginning of the URL has to be one.
   * - `header`: the value of a header; control characters and what is not latin1 are refused.
   * - `json`: inside quotes escaped, outside quotes a JSON scalar.
   * - `form`: the body of an `application/x-www-form-urlencoded` request; percent-encoded.
   */
  readonly context?: TemplateContext | undefined;
}

const caches: Readonly<Record<TemplateContext, TemplateCache>> = {
  text: new TemplateCache(),
  url: new TemplateCache(),
  header: new TemplateCache(),
  json: new TemplateCache(),
  form: new TemplateCache(),
};

/**
 * Reads a template. What was read before is remembered (by source, bounded), so that calling this again costs one lookup.
 *
 * Errors: `template_too_large` for more than 1 MiB of UTF-8; `invalid_input` for malformed arguments, for a URL template whose own text can
 * be no http, https, ws, wss or relative URL, and for a header template whose own text can be no header.
 *
 * @example
 * const url = unwrap(compile('{{API_BASE_URL}}/users/{{userId}}', { context: 'url' }));
 * unwrap(url.render(resolved)).text;
 */
export function compile(source: string, options?: CompileOptions): Result<Template, TemplateTooLarge | InvalidInput> {
  if (options === undefined) return compileIn('text', source);
  const context = readSafely('options', () => readContext(options));
  return context.isErr() ? err(context.error) : compileIn(context.value, source);
}

/** Reads a template and renders it: see `compile` and `Template.render`. */
export function render(
  source: string,
  resolved: ResolvedVariables,
  options?: CompileOptions & RenderOptions,
): Result<Rendered, TemplateTooLarge | MissingVariable | UnsafeValue | OutputTooLarge | InvalidInput> {
  const template = compile(source, options);
  return template.isErr() ? err(template.error) : template.value.render(resolved, options);
}

export function compileIn(context: TemplateContext, source: string): Result<Template, TemplateTooLarge | InvalidInput> {
  if (typeof source !== 'string') return invalid('source', 'must be a text');
  const cache = caches[context];
  const known = cache.get(source);
  if (known !== undefined) return known;
  if (exceedsBytes(source, ONE_MEBIBYTE)) return err(new TemplateTooLarge(ONE_MEBIBYTE));
  if (!isWellFormed(source)) return invalid('source', 'must not hold lone surrogates');
  const template = parseTemplate(source, context);
  if (template.isOk()) cache.set(source, template);
  return template;
}

function readContext(options: CompileOptions): Result<TemplateContext, InvalidInput> {
  if (typeof options !== 'object' || options === null) return invalid('options', 'must be an object');
  const { context = 'text' } = options;
  return Object.hasOwn(caches, context)
    ? ok(context)
    : invalid('options.context', `must be one of ${Object.keys(caches).join(', ')}`);
}
