/**
 * What the library costs on top of the driver: a client's call against the very statements that it sends, handed to the driver by
 * themselves, whose rows nobody looks at. Both prepared, both over connections of their own to the same server.
 */
import { startEngine } from '@vivarium/engines';
import type { EngineName } from '@vivarium/engines';
import { createVivarium, unwrap } from '@vivarium/core';
import type { Client, EnvironmentRef } from '@vivarium/core';
import { randomUUID } from 'node:crypto';

import { idsIn, withOther } from './driver.ts';
import type { Database } from './driver.ts';
import { interleave } from './interleave.ts';
import type { Figures } from './interleave.ts';
import { mysql } from './mysql.ts';
import { postgres } from './postgres.ts';
import { slowNetwork } from './slow-network.ts';

const clients = 16;
const networkMs = 2;

const databases: readonly { readonly engine: EngineName; readonly open: typeof postgres }[] = [
  { engine: 'postgres-18', open: postgres },
  { engine: 'mysql-9', open: mysql },
];

const variables = Array.from({ length: 20 }, (_, n) => ({ key: `VARIABLE_${n}`, value: `value number ${n} of twenty` }));

async function main(): Promise<void> {
  const only = process.argv[2];
  for (const { engine, open } of databases) {
    if (only !== undefined && only !== engine) continue;
    const server = await startEngine(engine);
    if ('unavailable' in server) {
      console.log(`\n${engine} cannot be had here: ${server.unavailable}. ${server.remedy}`);
      continue;
    }
    const slow = await slowNetwork(server.url, networkMs);
    try {
      console.log(`\n${engine}, over loopback`);
      print(await contests(open(server.url, clients), 400, 60));
      console.log(`\n${engine}, with ${networkMs} ms of network`);
      print(await contests(open(slow.url, clients), 120, 40));
    } finally {
      slow.close();
      await server.stop();
    }
  }
}

async function contests(database: Database, rounds: number, crowdedRounds: number): Promise<readonly Figures[]> {
  await unwrap(database.storage.migrate());
  const vivarium = createVivarium({ storage: database.storage, limits: { environmentsPerProject: 10_000 } });
  const ada = vivarium.as({ org: `bench ${randomUUID()}`, type: 'user', id: 'ada' });
  const places = await Promise.all(Array.from({ length: clients }, () => place(ada)));
  const [first] = places as [Place, ...Place[]];

  const figures: Figures[] = [];
  const contest = async (name: string, ours: (at: Place) => Promise<unknown>, peer: (at: Place) => Promise<unknown>) => {
    figures.push(await interleave({ name, rounds, ours: () => ours(first), peer: () => peer(first) }));
    figures.push(
      await interleave({
        name: `${name}, ${clients} clients`,
        rounds: crowdedRounds,
        ours: () => Promise.all(places.map(ours)),
        peer: () => Promise.all(places.map(peer)),
      }),
    );
  };

  const get = ({ ref }: Place) => unwrap(ada.environments.get(ref));
  await contest('get', get, await replay(database, () => get(first)));

  const list = ({ ref }: Place) => unwrap(ada.environments.list({ projectId: ref.projectId }));
  await contest('list of 50', list, await replay(database, () => list(first)));

  const create = ({ ref }: Place) =>
    unwrap(ada.environments.create({ projectId: ref.projectId, name: newName(), variables }));
  await contest('create', create, await replayCreate(database, first, create));

  await database.close();
  return figures;
}

/** A project of its own for each client, so that clients do not wait for one another's locks. */
interface Place {
  readonly ref: EnvironmentRef;
}

async function place(ada: Client): Promise<Place> {
  const project = await unwrap(ada.projects.create({ name: newName() }));
  const filled = await unwrap(ada.environments.create({ projectId: project.id, name: newName(), variables }));
  for (let n = 2; n < 50; n++) await unwrap(ada.environments.create({ projectId: project.id, name: newName() }));
  return { ref: filled.ref };
}

function newName(): string {
  return `environment ${randomUUID()}`;
}

/** The statements of one call of ours, to be sent again as they are. Reading from the same place is reading the same. */
async function replay(database: Database, call: () => Promise<unknown>): Promise<(at: Place) => Promise<void>> {
  await call();
  const recorded = await database.record(call);
  return () => database.send(recorded);
}

/** The statements of one `create`, to be sent again with new ids and a new name, into the project of the place. */
async function replayCreate(
  database: Database,
  first: Place,
  create: (at: Place) => Promise<unknown>,
): Promise<(at: Place) => Promise<void>> {
  await create(first);
  const recorded = await database.record(() => create(first));
  const ids = idsIn(recorded).filter((id) => id !== first.ref.projectId);
  const names = [...new Set(recorded.flatMap(({ values }) => values))].filter(
    (value) => typeof value === 'string' && value.startsWith('environment '),
  );
  return ({ ref }) => {
    const others = new Map<unknown, unknown>([[first.ref.projectId, ref.projectId]]);
    for (const id of ids) others.set(id, randomUUID());
    const name = newName();
    for (const old of names) others.set(old, name);
    return database.send(withOther(recorded, others));
  };
}

function print(figures: readonly Figures[]): void {
  console.log(`  ${'call'.padEnd(24)}${'ours'.padStart(10)}${'driver'.padStart(10)}${'ratio'.padStart(9)}   middle half`);
  for (const { name, ours, peer, ratio, lowerQuartile, upperQuartile } of figures) {
    const half = `${lowerQuartile.toFixed(2)}–${upperQuartile.toFixed(2)}`;
    console.log(
      `  ${name.padEnd(24)}${ms(ours).padStart(10)}${ms(peer).padStart(10)}${`${ratio.toFixed(2)} ×`.padStart(9)}   ${half}`,
    );
  }
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(2)} ms`;
}

await main();
