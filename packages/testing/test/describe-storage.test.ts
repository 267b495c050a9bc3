import { afterEach, expect, it, vi } from 'vitest';

import { describeStorage, memoryHarness } from '../src/index.ts';

afterEach(() => void vi.unstubAllEnvs());

it.each([{ raceClients: 19 }, { raceClients: 20.5 }, { chaosCommands: -1 }, { seed: Number.NaN }])(
  'refuses a size that its tests were not made for: %o',
  (size) => {
    expect(() => describeStorage('memory', memoryHarness, size)).toThrow(RangeError);
  },
);

it('says which variable of the environment is wrong', () => {
  vi.stubEnv('VIVARIUM_TEST_RACE_CLIENTS', '5');
  const text = 'VIVARIUM_TEST_RACE_CLIENTS must be a whole number from 20, not 5';
  expect(() => describeStorage('memory', memoryHarness)).toThrow(text);
});
