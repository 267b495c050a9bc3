import type { InvalidInput } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { compileIn } from './compile.ts';
import { bytesIn, copyDeep } from './deep.ts';
import { OutputTooLarge } from './errors.ts';
import type { MissingVariable, TemplateContext, TemplateTooLarge, UnsafeValue } from './errors.ts';
import type { Diagnostic } from './grammar.ts';
import { invalid, readOptions, readSafely } from './options.ts';
import type { RenderOptions } from './options.ts';
import { diagnosticsAt, Run } from './run.ts';
import { assemble } from './template.ts';
import type { Rendered } from './template.ts';
import { snapshotOf } from './variables.ts';
import type { ResolvedVariables } from './variables.ts';

/** A request whose parts are templates. */
export interface RequestTemplate<Body = unknown> {
  readonly url: string;
  /** Names are taken as they are; values are templates. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A text, or plain data as `renderDeep` takes it; null or absent for none. */
  readonly body?: Body | undefined;
}

/** A request ready to be sent, and the rest as in `Rendered`, for all its parts together. */
export interface RenderedRequest<Body = unknown> extends Omit<Rendered, 'text'> {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

type RequestError = TemplateTooLarge | MissingVariable | UnsafeValue | OutputTooLarge | InvalidInput;

/** A header's name, as RFC 9110 has it. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Renders the parts of a request, each in its own context: the URL as `url`, each header as `header`, and a body of text as its content type
 * asks for: `json` for JSON types, `form` for `application/x-www-form-urlencoded`, `text` for all others. Without a content type, a text that begins with
 * `{` or `[` is taken as JSON. A body of plain data is rendered as by `renderDeep`.
 *
 * Errors: as `Template.render` and `compile`, each saying in `at` which part it is (`url`, `headers.Authorization`, `body.user.name`).
 *
 * @example
 * const request = unwrap(renderRequest({ url: '{{BASE}}/login', headers: { authorization: 'Bearer {{TOKEN}}' }, body: { name: '{{NAME}}' } }, resolved));
 * await fetch(request.url, { method: 'POST', headers: request.headers, body: JSON.stringify(request.body) });
 */
export function renderRequest<Body = undefined>(
  request: RequestTemplate<Body>,
  resolved: ResolvedVariables,
  options?: RenderOptions,
): Result<RenderedRequest<Body>, RequestError> {
  const snapshot = snapshotOf(resolved);
  if (snapshot === null) return invalid('resolved', 'must be what resolveVariables returned');
  const read = readOptions(options);
  if (read.isErr()) return err(read.error);
  const run = new Run(snapshot, read.value);
  return readSafely<RenderedRequest<Body>, RequestError>('request', () => new RequestRenderer(run).render(request));
}

class RequestRenderer {
  readonly #run: Run;
  readonly #diagnostics: Diagnostic[] = [];

  constructor(run: Run) {
    this.#run = run;
  }

  render<Body>(request: RequestTemplate<Body>): Result<RenderedRequest<Body>, RequestError> {
    if (typeof request !== 'object' || request === null)
      return invalid('request', 'must be an object with url, headers and body');
    const { url: urlSource, headers: headerSources = {}, body: bodySource } = request;

    const url = this.#part('url', urlSource, 'url');
    if (url.isErr()) return err(url.error);
    const headers = this.#headers(headerSources);
    if (headers.isErr()) return err(headers.error);
    const body = this.#body(bodySource as Body, contentType(headers.value));
    if (body.isErr()) return err(body.error);

    const run = this.#run;
    const { maxBytes } = run.options;
    const parts = [url.value, headers.value, body.value];
    if (run.length * 3 > maxBytes && bytesIn(parts) > maxBytes) return err(new OutputTooLarge(maxBytes, ''));
    return ok({
      url: url.value,
      headers: headers.value,
      body: body.value,
      secret: run.secret,
      used: [...run.used],
      missing: run.missing,
      diagnostics: this.#diagnostics,
    });
  }

  #part(at: string, source: string, context: TemplateContext): Result<string, RequestError> {
    if (typeof source !== 'string') return invalid(at, 'must be a text');
    const compiled = compileIn(context, source);
    if (compiled.isErr()) {
      return compiled.error.code === 'invalid_input'
        ? invalid(at, compiled.error.issues[0]!.message)
        : err(compiled.error);
    }
    const template = compiled.value;
    this.#diagnostics.push(...diagnosticsAt(template.diagnostics, at));
    this.#run.locate = () => at;
    const text = assemble(template, this.#run);
    return text === null ? err(this.#run.failure!) : ok(text);
  }

  #headers(sources: Readonly<Record<string, string>>): Result<Record<string, string>, RequestError> {
    if (typeof sources !== 'object' || sources === null) return invalid('headers', 'must be a record of texts');
    const entries: [string, string][] = [];
    for (const [name, source] of Object.entries(sources)) {
      if (!HEADER_NAME.test(name))
        return invalid('headers', `"${JSON.stringify(name).slice(1, -1)}" cannot be the name of a header`);
      const value = this.#part(`headers.${name}`, source, 'header');
      if (value.isErr()) return err(value.error);
      entries.push([name, value.value]);
    }
    return ok(Object.fromEntries(entries));
  }

  #body<Body>(source: Body, type: string | null): Result<Body, RequestError> {
    if (typeof source === 'string')
      return this.#part('body', source, bodyContext(source, type)) as Result<Body, RequestError>;
    return copyDeep(source, this.#run, 'body').map((copy) => {
      this.#diagnostics.push(...copy.diagnostics);
      return copy.value;
    });
  }
}

function contentType(headers: Readonly<Record<string, string>>): string | null {
  const name = Object.keys(headers).find((header) => header.toLowerCase() === 'content-type');
  return name === undefined ? null : headers[name]!.split(';')[0]!.trim().toLowerCase();
}

function bodyContext(source: string, type: string | null): TemplateContext {
  if (type === null) return /^\s*(?:\[|\{(?!\{))/.test(source) ? 'json' : 'text';
  if (type === 'application/x-www-form-urlencoded') return 'form';
  return /^[^/]+\/(?:.+\+)?json$/.test(type) ? 'json' : 'text';
}
