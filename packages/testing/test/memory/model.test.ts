import process from 'node:process';
import { createVivarium, defaultLimits, localKeyring } from '@vivarium/core';
import { memoryStorage } from '@vivarium/core/memory';
import { describe, expect, test } from 'vitest';

import { modelContexts, modelLimits } from '../../src/model-commands.ts';
import type { ModelClient } from '../../src/model-context.ts';
import { compareSides } from '../../src/model.ts';
import { recordingRunner } from '../../src/pipelines.ts';
import { sequentialIds } from '../../src/sequential-ids.ts';
import { PlainModel } from './plain-model.ts';

const commands = Number(process.env['VIVARIUM_TEST_MODEL_COMMANDS'] ?? 10_000);
const seed = Number(process.env['VIVARIUM_TEST_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const orgs = ['acme', 'other'] as const;
const ada = { type: 'user', id: 'ada' };

/** Refusals, and what `sweep` does, that a long run has to come by. Commands that never succeed have theirs here. */
const notable = [
  'ephemeral.types.publish action_not_defined',
  'ephemeral.types.delete type_has_instances',
  'ephemeral.types.update type_name_taken',
  'ephemeral.actions.remove action_required',
  'ephemeral.instances.create capacity_reached',
  'ephemeral.instances.create instance_name_taken',
  'ephemeral.instances.create type_not_ready',
  'ephemeral.instances.deploy illegal_transition',
  'ephemeral.instances.deploy change_in_progress',
  'ephemeral.instances.deploy stale_version',
  'ephemeral.stateChanges.complete change_superseded',
  'ephemeral.stateChanges.complete with a wrong token invalid_token',
  'ephemeral.secrets.read secret_access_denied',
  'ephemeral.secrets.read after the change invalid_token',
  'ephemeral.secrets.write with a wrong token invalid_token',
  'swept: time_out done',
  'swept: call_again done',
  'swept: deprovision done',
  'swept: put_to_sleep done',
  'builds.catalog.create catalog_name_taken',
  'builds.catalog.delete in_use',
  'builds.start build_number_taken',
  'builds.start not_found',
  'builds.import invalid_input',
  'builds.states.enter illegal_transition',
  'builds.states.enter invalid_input',
  'builds.states.enter stale_version',
  'builds.states.enter idempotency_mismatch',
  'builds.resume illegal_transition',
  'builds.heartbeat illegal_transition',
  'builds.resolveFailure illegal_transition',
  'builds.attachPackerManifest invalid_input',
  'a build was completed',
  'swept: build done',
  'swept: build planned',
];
const keys = localKeyring({ keys: `model:${Buffer.alloc(32, 3).toString('base64')}` });

const succeeding = modelContexts
  .flatMap(({ weights }) => [...weights.keys()])
  .filter((command) => !notable.includes(`${command} invalid_token`))
  .map((command) => `${command} ok`);

describe('[memory] model', () => {
  test(`${commands} commands answer as the plain model says (seed ${seed})`, { timeout: 600_000 }, async () => {
    const counted = await compareSides(
      (clock) => {
        const pipelines = recordingRunner();
        const ids = sequentialIds();
        const vivarium = createVivarium({ storage: memoryStorage(), clock, ids, limits: modelLimits, keys, pipelines });
        const runner = recordingRunner();
        const model = new PlainModel(clock, { ...defaultLimits, ...modelLimits }, runner);
        const tested = (org: string): ModelClient => vivarium.as({ org, ...ada });
        const plain = (org: string) => model.org(org, ada) as unknown as ModelClient;
        return {
          tested: { clients: [tested(orgs[0]), tested(orgs[1])], runner: pipelines },
          reference: { clients: [plain(orgs[0]), plain(orgs[1])], runner },
        };
      },
      { commands, seed },
    );
    expect(counted.commands).toBeGreaterThanOrEqual(commands);
    expect(counted.succeeded).toBeGreaterThan(counted.commands / 2);

    const missed = [...succeeding, ...notable].filter((outcome) => !counted.outcomes.has(outcome));
    const tolerated = commands < 10_000 ? Infinity : commands < 50_000 ? 5 : 0;
    expect(missed.length, `a run of this length comes by everything, but for ${missed.join()}`).toBeLessThanOrEqual(
      tolerated,
    );
  });
});
