import process from 'node:process';
import { createVivarium, defaultLimits } from '@vivarium/core';
import type { Client } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { describe, expect, test } from 'vitest';

import { modelLimits } from '../../src/model-commands.ts';
import type { ModelClient } from '../../src/model-commands.ts';
import { compareSides } from '../../src/model.ts';
import { sequentialIds } from '../../src/sequential-ids.ts';
import { PlainModel } from './plain-model.ts';

const commands = Number(process.env['VIVARIUM_TEST_MODEL_COMMANDS'] ?? 10_000);
const seed = Number(process.env['VIVARIUM_TEST_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const orgs = ['acme', 'other'] as const;
const ada = { type: 'user', id: 'ada' };

describe('[memory] model', () => {
  test(`${commands} commands answer as the plain model says (seed ${seed})`, { timeout: 600_000 }, async () => {
    const counted = await compareSides(
      (clock) => {
        const storage = memoryStorage();
        const vivarium = createVivarium({ storage, clock, ids: sequentialIds(), limits: modelLimits });
        const model = new PlainModel(clock, { ...defaultLimits, ...modelLimits });
        const tested = (org: string): Client<unknown> => vivarium.as({ org, ...ada });
        const plain = (org: string) => model.org(org, ada) as unknown as ModelClient;
        return { tested: [tested(orgs[0]), tested(orgs[1])], reference: [plain(orgs[0]), plain(orgs[1])] };
      },
      { commands, seed },
    );
    expect(counted.commands).toBeGreaterThanOrEqual(commands);
    expect(counted.succeeded).toBeGreaterThan(counted.commands / 2);
  });
});
