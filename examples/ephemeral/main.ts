/**
 * Ephemeral environments with a CI system on the other side of HTTP: three places for ten people, secrets that flow from one pipeline to another, a
 * deployment that fails and is tried again, sleep and waking up, a pipeline that hangs, and the way down.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { createVivarium, finalStates, localKeyring, pendingStates, unwrap } from '@vivarium/core';
import type { Instance } from '@vivarium/core';
import { httpPipelines } from '@vivarium/integrations/pipeline-http';
import { openStorage } from 'quickstart/storage.ts';

import { startCi } from './ci.ts';
import { startHost } from './host.ts';
import { View } from './view.ts';

const view = new View();
const secret = randomBytes(32).toString('hex');
const { storage, place, close } = await openStorage(process.env['VIVARIUM_STORAGE'] ?? 'memory');
unwrap(await storage.migrate());

const addresses = { host: '' };
const ci = await startCi(
  secret,
  () => addresses.host,
  (text) => view.say(`     CI: ${text}`),
);
const vivarium = createVivarium({
  storage,
  keys: localKeyring({ keys: `example:${randomBytes(32).toString('base64')}` }),
  pipelines: httpPipelines({ url: `${ci.url}/pipelines`, secret }),
});
const host = await startHost(vivarium);
addresses.host = host.url;
const { ephemeral } = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });
const { instances, stateChanges } = ephemeral;

try {
  await tell();
} finally {
  view.end();
  ci.close();
  host.close();
  await close();
}

async function tell(): Promise<void> {
  view.title('Ephemeral environments');
  view.say(`     Everything is kept in ${place}. The CI is a server of its own, reached over signed HTTP.`);

  view.title('Three places, ten people');
  const type = unwrap(
    await ephemeral.types.create({
      name: `QA ${new Date().toISOString()}`,
      maxNumberOfInstances: 3,
      changeTimeoutMs: 2_500,
      actions: [
        { stateChangeType: 'provisioning', pipelineYamlName: 'up.yml' },
        { stateChangeType: 'deploying', pipelineYamlName: 'deploy.yml' },
        { stateChangeType: 'cleaning_up', pipelineYamlName: 'clean.yml' },
        { stateChangeType: 'to_sleep', pipelineYamlName: 'sleep.yml' },
        { stateChangeType: 'wake_up', pipelineYamlName: 'wake.yml' },
        { stateChangeType: 'deprovisioning', pipelineYamlName: 'down.yml' },
      ],
      secrets: [
        { name: 'DATABASE_URL', writableBy: ['provisioning'], readableBy: ['deploying'] },
        { name: 'ADMIN_PASSWORD', writableBy: ['provisioning'], readableBy: ['deprovisioning'] },
      ],
    }),
  );
  unwrap(await ephemeral.types.publish(type.id));
  const people = ['ada', 'grace', 'linus', 'margaret', 'dennis', 'barbara', 'ken', 'radia', 'edsger', 'frances'];
  const asked = await Promise.all(people.map((name) => instances.create({ typeId: type.id, name })));
  const refused = asked.flatMap((result) => (result.isErr() ? [result.error] : []));
  view.say(`     ${asked.length - refused.length} got a place; ${refused.length} were told: ${refused[0]?.message}`);

  const everybody = async () => unwrap(await instances.list({ typeId: type.id })).items;
  const settled = () => allSettled(everybody);
  const [one, two, three] = (await everybody()) as [Instance, Instance, Instance];

  view.title('Up, each with a database of its own');
  for (const { id } of [one, two, three]) unwrap(await instances.provision(id));
  const early = await instances.deploy(one.id);
  if (early.isErr()) view.say(`     deploying at once: ${early.error.message}`);
  await settled();

  view.title('Deployed: this pipeline may read DATABASE_URL, and not ADMIN_PASSWORD');
  for (const { id, name } of [one, two, three]) {
    unwrap(await instances.deploy(id, { parameters: { sha: '4f2a9c1', fails: name === two.name ? 'once' : 'never' } }));
  }
  await settled();
  const [last] = unwrap(await stateChanges.list({ instanceId: two.id, limit: 1 })).items;
  view.say(`     ${two.name}: ${last?.result}, "${last?.reason}"; once more`);
  unwrap(await instances.deploy(two.id));
  await settled();

  view.title('To sleep, and awake where it was');
  unwrap(await instances.sleep(three.id));
  await settled();
  const asleep = await instances.deploy(three.id);
  if (asleep.isErr()) view.say(`     deploying to a sleeper: ${asleep.error.message}`);
  unwrap(await instances.wakeUp(three.id));
  await settled();

  view.title('A pipeline that never says how it went');
  unwrap(await instances.cleanUp(one.id, { parameters: { stuck: 'yes' } }));
  await pause(1_000);
  const plan = unwrap(await ephemeral.sweep({ dryRun: true }));
  view.say(`     a second later the sweep would do ${plan.length === 0 ? 'nothing' : plan.length}`);
  await pause(2_000);
  for (const { name, action, why } of unwrap(await ephemeral.sweep()))
    view.say(`     sweep: ${action} ${name}, ${why}`);
  await settled();
  unwrap(await instances.acknowledgeCleanUp(one.id, { note: 'removed the volumes by hand' }));
  await settled();

  view.title('Down, and the places are free');
  for (const { id } of [one, two, three]) unwrap(await instances.deprovision(id));
  await settled();
  const next = unwrap(await instances.create({ typeId: type.id, name: 'margaret' }));
  view.say(`     ${next.name} has waited long enough, and got a place`);
  view.show(await everybody());
}

/** Shows the instances until no change is under way. */
async function allSettled(everybody: () => Promise<readonly Instance[]>): Promise<void> {
  for (let n = 0; n < 200; n++) {
    const all = await everybody();
    view.show(all);
    if (!all.some(({ state }) => pendingStates.has(state) && !finalStates.has(state))) return;
    await pause(100);
  }
  throw new Error('the pipelines did not end');
}
