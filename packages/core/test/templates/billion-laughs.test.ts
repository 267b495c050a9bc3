import { afterAll, afterEach, expect, it, vi } from 'vitest';
import type * as valueModule from '../../src/templates/value.ts';

/** Every text that is built becomes a `Value`; here their characters are counted. */
const built = vi.hoisted(() => ({ characters: 0 }));

vi.mock('../../src/templates/value.ts', async (original) => {
  const module = await original<typeof valueModule>();
  class CountedValue extends module.Value {
    constructor(...given: ConstructorParameters<typeof module.Value>) {
      super(...given);
      built.characters += this.text.length;
    }
  }
  return { ...module, Value: CountedValue };
});

// The files that ran before this one have the module in their cache, and those that run after it are not to find it counting.
vi.resetModules();
afterAll(() => void vi.resetModules());

const { resolveVariables } = await import('../../src/templates/index.ts');

afterEach(() => {
  built.characters = 0;
});

const laughs = (levels: number, width: number) =>
  Object.fromEntries(
    Array.from({ length: levels + 1 }, (_, level) => [
      `LOL${level}`,
      level === 0 ? 'lol' : `{{LOL${level - 1}}}`.repeat(width),
    ]),
  );

it('counts what is built, so that the tests below can rely on it', () => {
  expect(resolveVariables(laughs(2, 10)).isOk()).toBe(true);
  expect(built.characters).toBe(3 + 30 + 300);
});

it.each([
  ['ten to the ninth', laughs(9, 10)],
  ['two to the sixteenth, long', { ...laughs(16, 2), LOL0: 'x'.repeat(1000) }],
  ['as deep and wide as fifty thousand bytes allow', laughs(16, 400)],
  ['just over the limit', { A: '{{B}}{{B}}', B: 'x'.repeat(400_000) }],
])('refuses variables that multiply themselves, before anything is built: %s', (_, variables) => {
  expect(resolveVariables(variables)._unsafeUnwrapErr()).toMatchObject({ code: 'variables_too_large', limit: 'bytes' });
  expect(built.characters).toBe(0);
});

it('builds what fits', () => {
  expect(resolveVariables({ A: '{{B}}{{B}}', B: 'x'.repeat(300_000) }).isOk()).toBe(true);
  expect(built.characters).toBe(900_000);
});
