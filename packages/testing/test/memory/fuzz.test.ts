import process from 'node:process';
import { inspect } from 'node:util';
import { createVivarium, isVivariumError, methodErrors } from '@vivarium/core';
import type { Client, Method, Result } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { fakeClock } from '../../src/fake-clock.ts';
import { carryOut, drafts, modelLimits, nothingKnown, passTime } from '../../src/model-commands.ts';
import type { ModelClient } from '../../src/model-commands.ts';
import { seededRandom } from '../../src/seeded-random.ts';
import type { SeededRandom } from '../../src/seeded-random.ts';

const calls = Number(process.env['VIVARIUM_TEST_FUZZ_CALLS'] ?? 20_000);
const seed = Number(process.env['VIVARIUM_TEST_SEED'] ?? Math.floor(Date.now() / 86_400_000));

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

interface Tally {
  readonly outcomes: Map<string, number>;
  calls: number;
  refusedAsInput: number;
}

/** The client, with arguments that are spoiled now and then, and with a look at every answer. */
function watched(client: Client<unknown>, random: SeededRandom, tally: Tally): ModelClient {
  const context = (name: 'projects' | 'environments' | 'journal') =>
    new Proxy(client[name], {
      get:
        (service, property) =>
        (...args: readonly unknown[]) => {
          const method = `${name}.${String(property)}` as Method;
          const given = random.next() < 0.4 && args.length > 0 ? spoiled(args, random) : args;
          const call = (service as unknown as Record<string, (...args: readonly unknown[]) => unknown>)[
            String(property)
          ]!;
          const answer = call.apply(service, [...given]) as PromiseLike<Result<unknown, { readonly code: string }>>;
          return answerOf(method, given, answer, tally);
        },
    });
  return {
    projects: context('projects'),
    environments: context('environments'),
    journal: context('journal'),
  } as ModelClient;
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

describe('[memory] fuzz', () => {
  test(
    `${calls} calls of every method, valid and not, throw nothing (seed ${seed})`,
    { timeout: 600_000 },
    async () => {
      const unhandled: unknown[] = [];
      const listen = (reason: unknown) => void unhandled.push(reason);
      process.on('unhandledRejection', listen);
      const tally: Tally = { outcomes: new Map(), calls: 0, refusedAsInput: 0 };
      const runs = fc.array(drafts, { minLength: 1, maxLength: 100, size: 'max' });
      const property = fc.asyncProperty(runs, fc.nat(), async (run, spoiling) => {
        const clock = fakeClock();
        const vivarium = createVivarium({ storage: memoryStorage(), clock, limits: modelLimits });
        const random = seededRandom(spoiling);
        const side = ['acme', 'other'].map((org) =>
          watched(vivarium.as({ org, type: 'user', id: 'ada' }), random, tally),
        );
        const known = nothingKnown();
        for (const draft of run) {
          passTime(draft, clock);
          await carryOut(draft, [side[0]!, side[1]!], known, clock);
        }
      });
      try {
        for (let round = 0; tally.calls < calls; round++)
          await fc.assert(property, { seed: seed + round, numRuns: 5, endOnFailure: true });
        await new Promise((resume) => setTimeout(resume, 50));
      } finally {
        process.off('unhandledRejection', listen);
      }

      expect(unhandled).toEqual([]);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
      expect(tally.calls).toBeGreaterThanOrEqual(calls);
      expect(tally.refusedAsInput, 'at least half of the calls are valid').toBeLessThanOrEqual(tally.calls / 2);
      for (const method of Object.keys(methodErrors)) {
        expect(tally.outcomes.get(`${method} ok`) ?? 0, `${method} succeeded`).toBeGreaterThan(0);
        expect(tally.outcomes.get(`${method} invalid_input`) ?? 0, `${method} refused input`).toBeGreaterThan(0);
      }
    },
  );
});
