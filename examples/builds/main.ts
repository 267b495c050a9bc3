/**
 * Image builds: one that fails three times at the same milestone, is resumed each time and delivered in the end; and what two hundred builds of four weeks
 * have to tell.
 */
import { styleText } from 'node:util';

import { createVivarium, unwrap } from '@vivarium/core';
import { followPacker } from '@vivarium/integrations/packer';
import { openStorage } from 'quickstart/storage.ts';

import { makeCatalog } from './catalog.ts';
import { historiesOf } from './fleet.ts';
import { run } from './packer.ts';
import { report } from './report.ts';

const { storage, place, close } = await openStorage(process.env['VIVARIUM_STORAGE'] ?? 'memory');
unwrap(await storage.migrate());

// An org of its own for each run, so that the figures are those of this run, wherever they are kept.
const { builds } = createVivarium({ storage }).as({ org: `example-${Date.now()}`, type: 'user', id: 'ada' });

try {
  await tell();
} finally {
  await close();
}

async function tell(): Promise<void> {
  title('Image builds');
  say(`Everything is kept in ${place}.`);
  const catalog = await makeCatalog(builds);

  title('A build that fails at 25, three times, and is delivered');
  const build = unwrap(
    await builds.start({
      buildNumber: '2026.11-104',
      platformId: catalog.platforms[0]!.id,
      osVersionId: catalog.osVersions[0]!.id,
      imageTypeId: catalog.imageTypes[0]!.id,
    }),
  );
  for (const outcome of ['mirror is down', 'mirror is down', 'disk is full', 'delivered'] as const) {
    const { build: now, failure } = unwrap(await followPacker({ builds, buildId: build.id, output: run(outcome) }));
    if (failure === null) {
      say(`${styleText('green', '●')} ${now.status} at ${now.currentState}`);
      break;
    }
    say(
      `${styleText('red', '●')} ${now.status} at ${now.currentState}: ${failure.errorMessage} (${failure.component})`,
    );
    const { state, retryCount, remaining } = unwrap(await builds.planResume(build.id));
    say(`  would resume at ${state}, retry ${retryCount}, with ${remaining.length} milestones to go`);
    unwrap(await builds.resume(build.id));
  }
  for (const { id } of unwrap(await builds.listFailures({ buildId: build.id })).items) {
    unwrap(await builds.resolveFailure(id, { notes: 'another mirror, and a larger disk' }));
  }
  const attempts = unwrap(await builds.listStates(build.id)).items;
  say(
    `  its history: ${attempts.map(({ state, status }) => (status === 'failed' ? `${state}✗` : `${state}`)).join(' → ')}`,
  );
  const back = await builds.states.enter(build.id, { state: 20 });
  if (back.isErr()) say(`  and it never goes back: ${back.error.message}`);

  title('Two hundred builds of four weeks, from a seed');
  const started = performance.now();
  for (const history of historiesOf(catalog, 200, 2_026)) unwrap(await builds.import(history));
  say(`imported in ${((performance.now() - started) / 1_000).toFixed(1)} s, each with its attempts and failures`);
  await report(builds, catalog);
}

function title(text: string): void {
  console.log(`\n${styleText('bold', text)}`);
}

function say(text: string): void {
  console.log(`     ${text}`);
}
