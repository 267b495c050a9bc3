import { InvalidInput } from '../../kernel/errors.ts';
import type { InputIssue } from '../../kernel/errors.ts';
import { err, ok } from '../../kernel/result.ts';
import type { Result } from '../../kernel/result.ts';

/** Enough to mend a file by; a file that is something else altogether would have one for each line. */
const MAX_ISSUES = 20;

/** What is wrong with a file, so that a person can mend all of it at once. Never holds a value. */
export class Issues {
  readonly #found: InputIssue[] = [];

  /** `line` is left out where the path already names it. */
  add(path: string, message: string, line?: number): void {
    if (this.#found.length === MAX_ISSUES) return;
    this.#found.push({ path, message: line === undefined ? message : `${message} (line ${line})` });
  }

  /** The value, if nothing was found to be wrong. */
  unlessAny<T>(value: T): Result<T, InvalidInput> {
    return this.#found.length === 0 ? ok(value) : err(new InvalidInput(this.#found));
  }
}

export function invalid(path: string, message: string, line?: number): InvalidInput {
  return new InvalidInput([{ path, message: line === undefined ? message : `${message} (line ${line})` }]);
}
