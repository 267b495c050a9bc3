import { render, resolveVariables, unwrap } from '../../src/templates/index.ts';
import type { CompileOptions, RenderOptions, Variables } from '../../src/templates/index.ts';

type Options = CompileOptions & RenderOptions;

/** The text that a template gives with these variables; throws where it is refused. */
export function rendered(source: string, variables: Variables = {}, options: Options = {}): string {
  return unwrap(render(source, unwrap(resolveVariables(variables)), options)).text;
}

/** The error that a template ends in with these variables; throws where there is none. */
export function refused(source: string, variables: Variables = {}, options: Options = {}) {
  const result = render(source, unwrap(resolveVariables(variables)), options);
  if (result.isOk()) throw new Error(`was not refused: ${result.value.text}`);
  return result.error;
}

/** What comes out with these values, each taken as it is, in one word to compare in tables: the text, or why it was refused. */
export function outcome(source: string, values: Record<string, string> = {}, options: Options = {}): string {
  const result = render(source, unwrap(resolveVariables({}, { overrides: values })), options);
  if (result.isOk()) return result.value.text;
  return result.error.code === 'unsafe_value' ? `refused: ${result.error.reason}` : `refused: ${result.error.code}`;
}
