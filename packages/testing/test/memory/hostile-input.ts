import { inspect } from 'node:util';
import { isVivariumError, methodErrors } from '@vivarium/core';
import type { Client, Method, Result } from '@vivarium/core';
import { expect } from 'vitest';

import type { SeededRandom } from '../../src/seeded-random.ts';

/** What nobody should send, made anew for each call because some of it can be changed. */
const hostile: readonly (() => unknown)[] = [
  () => undefined,
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 1.5,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => Number.MAX_SAFE_INTEGER + 1,
  () => 10n ** 30n,
  () => '',
  () => ' ',
  () => '\0',
  () => '\ud800',
  () => 'x'.repeat(100_000),
  () => '🧪'.repeat(1_000),
  () => "'; DROP TABLE projects; --",
  () => '{{A}}{{B}}\\{{',
  () => '{{'.repeat(5_000),
  () => Symbol('hostile'),
  () => () => undefined,
  () => class {},
  () => [],
  () => [undefined],
  () => new Array(5),
  () => ({}),
  () => Object.create(null),
  () => JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}'),
  () => new Date(Number.NaN),
  () => new Date(8.64e15),
  () => new Map([['key', 'value']]),
  () => new Set([1]),
  () => new Uint8Array(8),
  () => new Proxy({}, { get: thrower, ownKeys: thrower, has: thrower, getOwnPropertyDescriptor: thrower }),
  () => Proxy.revocable({}, {}),
  () => {
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    return proxy;
  },
  () => ({
    get key() {
      return thrower();
    },
    get name() {
      return thrower();
    },
    get projectId() {
      return thrower();
    },
  }),
  () => ({ toJSON: thrower, toString: thrower, valueOf: thrower, [Symbol.toPrimitive]: thrower }),
  // oxlint-disable-next-line unicorn/no-thenable -- hostile on purpose
  () => ({ then: thrower }),
  () => Promise.resolve('late'),
  () => {
    const circle: Record<string, unknown> = {};
    return Object.assign(circle, { circle, list: [circle] });
  },
  () => AbortSignal.abort(),
  () => new Error('an error'),
];

function thrower(): never {
  throw new Error('a trap');
}

/** The same arguments with one thing in them that does not belong there. */
function spoiled(args: readonly unknown[], random: SeededRandom): readonly unknown[] {
  const value = random.pick(hostile)();
  const index = random.integer(args.length + 1);
  const kind = random.integer(5);
  if (index === args.length || kind === 0) return args.with(Math.min(index, args.length - 1), value);
  if (kind === 1) return args.slice(0, index);
  return args.with(index, spoiledWithin(args[index], value, random));
}

function spoiledWithin(target: unknown, value: unknown, random: SeededRandom): unknown {
  if (typeof target !== 'object' || target === null) return value;
  if (Array.isArray(target)) {
    if (target.length === 0) return [value];
    const index = random.integer(target.length);
    return target.with(index, random.next() < 0.5 ? value : spoiledWithin(target[index], value, random));
  }
  const fields = Object.keys(target);
  const roll = random.next();
  if (fields.length === 0 || roll < 0.15)
    return { ...target, [random.pick(['unknown', '__proto__', 'limit', 'cursor'])]: value };
  const field = random.pick(fields);
  if (roll < 0.3) return Object.fromEntries(Object.entries(target).filter(([name]) => name !== field));
  const inner = (target as Record<string, unknown>)[field];
  return { ...target, [field]: roll < 0.7 ? value : spoiledWithin(inner, value, random) };
}

/** How the calls of a run ended. */
export interface Tally {
  readonly outcomes: Map<string, number>;
  calls: number;
  refusedAsInput: number;
}

export function emptyTally(): Tally {
  return { outcomes: new Map(), calls: 0, refusedAsInput: 0 };
}

/** The client, with arguments that are spoiled now and then, and with a look at every answer. */
export function watched(client: Client<unknown>, random: SeededRandom, tally: Tally): Client<unknown> {
  const within = (owner: object, path: readonly string[]): object =>
    new Proxy(owner, {
      get: (_owner, property) => {
        const inner = (owner as Record<string | symbol, unknown>)[property];
        const here = [...path, String(property)];
        if (typeof inner === 'object' && inner !== null) return within(inner, here);
        return (...args: readonly unknown[]) => {
          const given = random.next() < 0.4 && args.length > 0 ? spoiled(args, random) : args;
          const call = inner as (
            ...args: readonly unknown[]
          ) => PromiseLike<Result<unknown, { readonly code: string }>>;
          return answerOf(here.join('.') as Method, given, call.apply(owner, [...given]), tally);
        };
      },
    });
  return within(client, []) as Client<unknown>;
}

/** Passes the answer on after a look at it. A `ResultAsync` is what callers get, so it has to have the methods of one. */
function answerOf(
  method: Method,
  args: readonly unknown[],
  answer: PromiseLike<Result<unknown, { readonly code: string }>>,
  tally: Tally,
): unknown {
  expect(answer).toHaveProperty('andThen');
  return Promise.resolve(answer).then((result) => {
    const code = result.isOk() ? 'ok' : result.error.code;
    tally.calls++;
    tally.outcomes.set(`${method} ${code}`, (tally.outcomes.get(`${method} ${code}`) ?? 0) + 1);
    if (code === 'invalid_input') tally.refusedAsInput++;
    if (result.isErr() && !isPromised(method, result.error)) {
      const given = inspect(args, { showProxy: true, maxStringLength: 100, maxArrayLength: 10 });
      expect.fail(`${method}(${given}) gave ${inspect(result.error)}`);
    }
    return result;
  });
}

/** An error of this library that the table has, that can be written down, and that is no accident inside the library. */
function isPromised(method: Method, error: { readonly code: string }): boolean {
  const codes: readonly string[] = methodErrors[method];
  if (!isVivariumError(error) || !codes.includes(error.code) || JSON.stringify(error).length === 0) return false;
  return error.code !== 'storage_failure' || error.message.includes('aborted');
}
