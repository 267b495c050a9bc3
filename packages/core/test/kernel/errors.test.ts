import { inspect } from 'node:util';

import { describe, expect, it } from 'vitest';

import {
  InvalidInput,
  isVivariumError,
  NotFound,
  SecretText,
  StaleVersion,
  StorageFailure,
  unwrap,
} from '../../src/index.ts';
import { err, ok, errAsync } from '../../src/kernel/result.ts';

describe('an error', () => {
  it('shows its code, its message and its fields as JSON, and neither stack nor cause', () => {
    const cause = new Error('the driver said so');
    const error = new StorageFailure('the database is down', { retryable: true, outcome: 'none', cause });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'storage_failure',
      message: 'the database is down',
      retryable: true,
      outcome: 'none',
      transaction: null,
    });
    expect(error.cause).toBe(cause);
    expect(error.name).toBe('StorageFailure');
  });

  it('is recognised when it comes from another copy of the package, and nothing else is', () => {
    const foreign = Object.defineProperty(new Error('x'), Symbol.for('vivarium.error'), { value: true });
    expect(isVivariumError(foreign)).toBe(true);
    expect(isVivariumError(new NotFound('project'))).toBe(true);
    for (const other of [new Error('x'), null, undefined, 'x', {}]) expect(isVivariumError(other)).toBe(false);
  });

  it('names at most three issues in its message, and all of them in its field', () => {
    const issues = [1, 2, 3, 4, 5].map((n) => ({ path: `p${n}`, message: 'must be right' }));
    const error = new InvalidInput(issues);
    expect(error.message).toBe('invalid input: p1: must be right; p2: must be right; p3: must be right; and 2 more');
    expect(error.issues).toEqual(issues);
  });

  it('speaks plainly of versions', () => {
    const message = (versions: { expected?: number; actual?: number }) =>
      new StaleVersion('project', 'p', versions).message;
    expect(message({ expected: 2, actual: 3 })).toBe('project p is at version 3, not 2');
    expect(message({ expected: 2 })).toBe('project p is no longer at version 2');
    expect(message({})).toBe('project p keeps being changed by others; try again');
  });
});

describe('unwrap', () => {
  it('gives the value or throws the error, at once or later', async () => {
    const error = new NotFound('project');
    expect(unwrap(ok(1))).toBe(1);
    expect(() => unwrap(err(error))).toThrow(error);
    await expect(unwrap(errAsync(error))).rejects.toBe(error);
  });
});

describe('a SecretText', () => {
  const secret = new SecretText('hunter2-hunter2');

  it('reads *** however it is shown', () => {
    const shown = [
      String(secret),
      `${secret as unknown as string}`,
      JSON.stringify({ secret }),
      inspect({ secret }, { depth: 9, showHidden: true }),
      Object.entries(secret).join(),
      '' + (secret as unknown as string),
    ];
    for (const text of shown) expect(text).not.toContain('hunter2');
    expect(String(secret)).toBe('***');
  });

  it('gives its text to reveal alone', () => expect(secret.reveal()).toBe('hunter2-hunter2'));
});
