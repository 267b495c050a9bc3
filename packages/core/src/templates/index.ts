/**
 * Templates with `{{VARIABLES}}`: usable alone, without the rest of the library.
 *
 * @example
 * import { render, resolveVariables, unwrap } from '@vivarium/core/templates';
 *
 * const resolved = unwrap(resolveVariables({ HOST: 'api.example.com', BASE: 'https://{{HOST}}/v2' }));
 * unwrap(render('{{BASE}}/users/{{id:-me}}', resolved, { context: 'url' })).text; // https://api.example.com/v2/users/me
 */
export { compile, render } from './compile.ts';
export type { CompileOptions } from './compile.ts';
export { compileDeep } from './deep-template.ts';
export type { DeepTemplate } from './deep-template.ts';
export { renderDeep } from './deep.ts';
export type { RenderedDeep } from './deep.ts';
export type { DynamicVariables } from './dynamic.ts';
export {
  MissingVariable,
  OutputTooLarge,
  TemplateTooLarge,
  UnsafeValue,
  VariableCycle,
  VariablesTooLarge,
} from './errors.ts';
export type { MissingSlot, SlotPosition, TemplateContext, UnsafeReason } from './errors.ts';
export type { Diagnostic } from './grammar.ts';
export type { RenderOptions } from './options.ts';
export { createRedactor } from './redactor/redactor.ts';
export type { Redactor, RedactorWarning } from './redactor/redactor.ts';
export { renderRequest } from './request.ts';
export type { RenderedRequest, RequestTemplate } from './request.ts';
export type { Rendered, Template } from './template.ts';
export { resolveVariables } from './variables.ts';
export type { ResolvedVariables, ResolveOptions, VariableInput, Variables } from './variables.ts';
export { InvalidInput, isVivariumError, VivariumError } from '../kernel/errors.ts';
export { err, ok, Result, ResultAsync, safeTry, unwrap } from '../kernel/result.ts';
export { SecretText } from '../kernel/secret-text.ts';
