import process from 'node:process';
import { afterAll, beforeAll, describe } from 'vitest';

import type { MakeHarness } from './harness.ts';
import { createSuite } from './suite.ts';
import type { Suite, SuiteSize } from './suite.ts';
import { testBuilds } from './builds.ts';
import { testBuildCatalog } from './builds-catalog.ts';
import { testBuildErrors } from './builds-errors.ts';
import { testBuildImport } from './builds-import.ts';
import { testBuildContest } from './builds-contest.ts';
import { testBuildRaces } from './builds-races.ts';
import { testBuildStats } from './builds-stats.ts';
import { testBuildsPort } from './builds-port.ts';
import { testCanary } from './canary.ts';
import { testChaos } from './chaos.ts';
import { testDataKeysPort } from './data-keys-port.ts';
import { testDelivery } from './delivery.ts';
import { testDeployments } from './deployments.ts';
import { testDeploymentErrors } from './deployments-errors.ts';
import { testDeploymentRaces } from './deployments-races.ts';
import { testDeploymentsPort } from './deployments-port.ts';
import { testEnvironments } from './environments.ts';
import { testEphemeral } from './ephemeral.ts';
import { testEphemeralPort } from './ephemeral-port.ts';
import { testEphemeralErrors } from './ephemeral-errors.ts';
import { testErrors, testErrorTable } from './errors.ts';
import { testFidelity } from './fidelity.ts';
import { testIdempotency } from './idempotency.ts';
import { testIsolation } from './isolation.ts';
import { testJournal } from './journal.ts';
import { testKeys } from './keys.ts';
import { testModel } from './model.ts';
import { testPaging } from './paging.ts';
import { testPreviews } from './previews.ts';
import { testPreviewErrors } from './previews-errors.ts';
import { testPreviewEvents } from './previews-events.ts';
import { testPreviewForks } from './previews-forks.ts';
import { testPreviewLifecycle } from './previews-lifecycle.ts';
import { testPreviewsPort } from './previews-port.ts';
import { testPreviewRaces } from './previews-races.ts';
import { testPreviewReports } from './previews-reports.ts';
import { testProjects } from './projects.ts';
import { testRaces } from './races.ts';
import { testTransactions } from './transactions.ts';

/**
 * In this order: first those that look at all that is stored, while that is little; the last one looks back on what all the others did.
 */
const themes: readonly ((suite: Suite) => void)[] = [
  testCanary,
  testKeys,
  testEphemeral,
  testFidelity,
  testProjects,
  testEnvironments,
  testPaging,
  testIsolation,
  testJournal,
  testIdempotency,
  testTransactions,
  testDelivery,
  testBuildCatalog,
  testBuilds,
  testBuildImport,
  testBuildStats,
  testDeployments,
  testPreviews,
  testPreviewLifecycle,
  testPreviewReports,
  testPreviewEvents,
  testPreviewForks,
  testDataKeysPort,
  testEphemeralPort,
  testBuildsPort,
  testDeploymentsPort,
  testPreviewsPort,
  testErrors,
  testEphemeralErrors,
  testBuildErrors,
  testDeploymentErrors,
  testPreviewErrors,
  testRaces,
  testBuildRaces,
  testBuildContest,
  testDeploymentRaces,
  testPreviewRaces,
  testChaos,
  testModel,
  testErrorTable,
];

/** What depends on how a storage is reached: values on their way, statements, transactions, conflicts. The rest is core's, and the same over any connection. */
const overAnotherConnection: readonly ((suite: Suite) => void)[] = [
  testFidelity,
  testPaging,
  testJournal,
  testTransactions,
  testDelivery,
  testBuildStats,
  testDataKeysPort,
  testEphemeralPort,
  testBuildsPort,
  testDeploymentsPort,
  testPreviewsPort,
  testRaces,
  testBuildRaces,
  testBuildContest,
  testDeploymentRaces,
  testPreviewRaces,
  testChaos,
  testModel,
];

/**
 * Registers the whole conformance suite against one storage, with vitest. Each promise of the storage port is a test of its own; there is nothing to
 * opt out of. A storage conforms when all of them pass.
 *
 * `size` bounds the random parts. What it leaves out comes from the environment (`VIVARIUM_TEST_SEED`, `VIVARIUM_TEST_CHAOS_COMMANDS`,
 * `VIVARIUM_TEST_BUILD_COMMANDS`, `VIVARIUM_TEST_MODEL_COMMANDS`, `VIVARIUM_TEST_RACE_CLIENTS`) or is: a seed of the day, 2,000 commands, 1,000
 * commands, 2,000 commands, 50 clients, of which there have to be 20.
 *
 * @example
 * describeStorage('memory', memoryHarness);
 */
export function describeStorage(name: string, makeHarness: MakeHarness, size: Partial<SuiteSize> = {}): void {
  register(name, makeHarness, size, themes);
}

/**
 * Registers once more, for a storage that has passed the whole suite, what another way of reaching its database can change: another pool, other settings of a host,
 * another way of sending statements. It proves nothing by itself.
 */
export function describeStorageAgain(name: string, makeHarness: MakeHarness, size: Partial<SuiteSize> = {}): void {
  register(name, makeHarness, size, overAnotherConnection);
}

function register(
  name: string,
  makeHarness: MakeHarness,
  size: Partial<SuiteSize>,
  tests: readonly ((suite: Suite) => void)[],
): void {
  const suite = createSuite({
    seed: numberOf('seed', size.seed, 'VIVARIUM_TEST_SEED', Math.floor(Date.now() / 86_400_000)),
    chaosCommands: numberOf('chaosCommands', size.chaosCommands, 'VIVARIUM_TEST_CHAOS_COMMANDS', 2_000),
    buildCommands: numberOf('buildCommands', size.buildCommands, 'VIVARIUM_TEST_BUILD_COMMANDS', 1_000),
    modelCommands: numberOf('modelCommands', size.modelCommands, 'VIVARIUM_TEST_MODEL_COMMANDS', 2_000),
    raceClients: numberOf('raceClients', size.raceClients, 'VIVARIUM_TEST_RACE_CLIENTS', 50, fewestRaceClients),
  });

  describe(`[${name}] storage`, () => {
    beforeAll(async () => {
      suite.start(await makeHarness());
      await suite.harness.reset();
    });
    afterAll(() => suite.harness.close());

    for (const theme of tests) theme(suite);
  });
}

/** Most races are for ten places, and some of those who want one have to lose. */
const fewestRaceClients = 20;

/** What the caller gave, or the environment has, or what is usual. Throws a `RangeError` where that is no whole number, or too few. */
function numberOf(name: string, given: number | undefined, variable: string, usual: number, least = 0): number {
  const text = process.env[variable];
  const fromEnvironment = text === undefined || text === '' ? usual : Number(text);
  const number = given ?? fromEnvironment;
  if (Number.isInteger(number) && number >= least) return number;
  const source = given === undefined ? variable : name;
  throw new RangeError(`${source} must be a whole number from ${least}, not ${given ?? text}`);
}
