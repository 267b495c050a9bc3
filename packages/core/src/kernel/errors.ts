/**
 * The errors of every context. Each is a class with a literal snake_case `code` and plain data fields, so that a caller can
 * `switch (error.code)` exhaustively. None of them ever holds a secret value: what a caller sent is named by its path, not repeated.
 */

const BRAND = Symbol.for('vivarium.error');

/**
 * What every error of this library is. `code` says which one, the other fields say the rest, and `cause`, where there is one, is a
 * cleaned copy of what a driver or a port reported.
 */
export abstract class VivariumError extends Error {
  abstract readonly code: string;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Code, message and data fields; neither the stack nor the cause. */
  toJSON(): Record<string, unknown> {
    const { name: _name, ...fields } = this as Record<string, unknown> & { name: string };
    delete fields['cause'];
    return { code: this.code, message: this.message, ...fields };
  }
}

/** Whether something is an error of this library, also when it came from another copy of the package in the same process. */
export function isVivariumError(value: unknown): value is VivariumError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[BRAND] === true;
}

/** One thing that is wrong with an input: where (`variables[3].key`, empty for the whole), and what is expected there. */
export interface InputIssue {
  readonly path: string;
  readonly message: string;
}

/** An argument is malformed, or breaks a limit all by itself. Nothing was read or written. */
export class InvalidInput extends VivariumError {
  readonly code = 'invalid_input';
  readonly issues: readonly InputIssue[];

  constructor(issues: readonly InputIssue[]) {
    const shown = issues
      .slice(0, 3)
      .map((issue) => (issue.path === '' ? issue.message : `${issue.path}: ${issue.message}`));
    const more = issues.length > 3 ? `; and ${issues.length - 3} more` : '';
    super(`invalid input: ${shown.join('; ')}${more}`);
    this.issues = issues;
  }
}

/** What was asked for does not exist in this org. */
export class NotFound extends VivariumError {
  readonly code = 'not_found';
  readonly resource: string;
  readonly id: string | null;

  constructor(resource: string, id: string | null = null) {
    super(id === null ? `no such ${resource}` : `no such ${resource}: ${id}`);
    this.resource = resource;
    this.id = id;
  }
}

/** The owner would hold more than it may. `limit` names the limit as in `createVivarium({ limits })`. */
export class LimitReached extends VivariumError {
  readonly code = 'limit_reached';
  readonly limit: string;
  readonly maximum: number;

  constructor(limit: string, maximum: number) {
    super(`the limit ${limit} is reached: at most ${maximum}`);
    this.limit = limit;
    this.maximum = maximum;
  }
}

/**
 * Somebody else changed it first. With `expectedVersion`: the version differs. Without: the call lost the race eight times in a row;
 * trying again is safe.
 */
export class StaleVersion extends VivariumError {
  readonly code = 'stale_version';
  readonly resource: string;
  readonly id: string;
  readonly expected: number | null;
  readonly actual: number | null;

  constructor(
    resource: string,
    id: string,
    versions: { expected?: number | undefined; actual?: number | undefined } = {},
  ) {
    const expected = versions.expected ?? null;
    const actual = versions.actual ?? null;
    super(`${resource} ${id} ${staleness(expected, actual)}`);
    this.resource = resource;
    this.id = id;
    this.expected = expected;
    this.actual = actual;
  }
}

function staleness(expected: number | null, actual: number | null): string {
  if (expected === null) return 'keeps being changed by others; try again';
  return actual === null ? `is no longer at version ${expected}` : `is at version ${actual}, not ${expected}`;
}

/** The host's policy does not let this actor do this. */
export class AccessDenied extends VivariumError {
  readonly code = 'access_denied';
  readonly action: string;
  readonly actor: { readonly type: string; readonly id: string };

  constructor(action: string, actor: { type: string; id: string }, options?: { cause?: unknown }) {
    super(`${actor.type} ${actor.id} is not allowed to do this: ${action}`, options);
    this.action = action;
    this.actor = { type: actor.type, id: actor.id };
  }
}

/** The idempotency key was used before for this method with another input. Nothing was written. */
export class IdempotencyMismatch extends VivariumError {
  readonly code = 'idempotency_mismatch';
  readonly method: string;

  constructor(method: string) {
    super(`this idempotency key was used before for ${method} with another input; take a new key`);
    this.method = method;
  }
}

/** The call needs a port that was not given to `createVivarium`. */
export class NotConfigured extends VivariumError {
  readonly code = 'not_configured';
  readonly port: string;

  constructor(port: string, need: string, remedy = `give createVivarium the port "${port}"`) {
    super(`${need}: ${remedy}`);
    this.port = port;
  }
}

/**
 * The storage did not do its work.
 *
 * - `retryable`: the same call may succeed later (a lost connection, a conflict that outlasted the retries).
 * - `outcome`: `'none'`: nothing was written; `'unknown'`: the connection was lost while committing, so that a write may or may not have
 *   happened. Repeating the call with the same idempotency key is safe in both cases.
 * - `transaction: 'lost'`: the engine rolled back the caller's own transaction (`within`), not only this write.
 */
export class StorageFailure extends VivariumError {
  readonly code = 'storage_failure';
  readonly retryable: boolean;
  readonly outcome: 'none' | 'unknown';
  readonly transaction: 'lost' | null;

  constructor(
    message: string,
    details: { retryable: boolean; outcome: 'none' | 'unknown'; transaction?: 'lost' | null; cause?: unknown },
  ) {
    super(message, { cause: details.cause });
    this.retryable = details.retryable;
    this.outcome = details.outcome;
    this.transaction = details.transaction ?? null;
  }
}

/** A thing is in a state from which this does not lead on. `legal` names what would. */
export class IllegalTransition extends VivariumError {
  readonly code = 'illegal_transition';
  readonly resource: string;
  readonly state: string;
  readonly change: string;
  readonly legal: readonly string[];

  constructor(resource: string, state: string, change: string, legal: readonly string[]) {
    const instead = legal.length === 0 ? 'nothing is legal there' : `legal there: ${legal.join(', ')}`;
    super(
      `${change} is not legal for ${resource === 'instance' ? 'an' : 'a'} ${resource} in the state ${state}; ${instead}`,
    );
    this.resource = resource;
    this.state = state;
    this.change = change;
    this.legal = legal;
  }
}
