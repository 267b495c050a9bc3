/**
 * The one place that imports neverthrow. Everything else, in core and in the adapters, takes results from here, so that a
 * service and an adapter never disagree about which copy of `Result` they hold.
 */
import type { Result, ResultAsync } from 'neverthrow';

export { err, errAsync, ok, okAsync, Result, ResultAsync, safeTry } from 'neverthrow';

/**
 * Returns the value of a result, or throws its error. For scripts and tests, where a failure should end the program.
 *
 * @example
 * const project = await unwrap(ada.projects.create({ name: 'Checkout' }));
 */
export function unwrap<T, E>(result: Result<T, E>): T;
export function unwrap<T, E>(result: ResultAsync<T, E>): Promise<T>;
export function unwrap<T, E>(result: Result<T, E> | ResultAsync<T, E>): T | Promise<T> {
  if (result instanceof Promise || 'then' in result) return Promise.resolve(result).then((settled) => valueOf(settled));
  return valueOf(result);
}

function valueOf<T, E>(result: Result<T, E>): T {
  if (result.isErr()) throw result.error;
  return result.value;
}
