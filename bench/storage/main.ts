/**
 * What the library costs on top of the driver: a call of the storage, and the same call of a client, against the very statements that they
 * send, handed to the driver by themselves, whose rows nobody looks at. All prepared, all over connections of their own to one server. On
 * DynamoDB, against the very requests, sent by the raw client.
 */
import { startEngine } from '@vivarium/engines';
import type { EngineName } from '@vivarium/engines';
import { createVivarium, unwrap } from '@vivarium/core';
import type { Client, EnvironmentRef } from '@vivarium/core';
import { randomUUID } from 'node:crypto';

import type { Database } from './driver.ts';
import { interleave } from './interleave.ts';
import type { Outcome } from './interleave.ts';
import { slowNetwork } from './slow-network.ts';

const clients = 16;
const networkMs = 2;

type Open = (url: string, connections: number) => Database;

const databases: readonly { readonly engine: EngineName; readonly load: () => Promise<Open> }[] = [
  { engine: 'postgres-18', load: async () => (await import('./postgres.ts')).postgres },
  { engine: 'mysql-9', load: async () => (await import('./mysql.ts')).mysql },
  { engine: 'dynamodb', load: async () => (await import('./dynamodb.ts')).dynamodb },
];

const variables = Array.from({ length: 20 }, (_, n) => ({
  key: `VARIABLE_${n}`,
  value: `value number ${n} of twenty`,
}));

async function main(): Promise<void> {
  const only = process.argv[2];
  for (const { engine, load } of databases) {
    if (only !== undefined && only !== engine) continue;
    const open = await load();
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

async function contests(database: Database, rounds: number, crowdedRounds: number): Promise<readonly Outcome[]> {
  const { storage } = database;
  await unwrap(storage.migrate());
  const org = `bench ${randomUUID()}`;
  const limits = { environmentsPerProject: 10_000 };
  const ada = createVivarium({ storage, limits }).as({ org, type: 'user', id: 'ada' });
  const places = await Promise.all(Array.from({ length: clients }, () => place(ada)));
  const [first] = places as [Place, ...Place[]];

  const outcomes: Outcome[] = [];
  const contest = async (name: string, peer: Way, ...ours: Way[]) => {
    const once = (way: Way) => () => way(first);
    const crowded = (way: Way) => () => Promise.all(places.map(way));
    outcomes.push(await interleave({ name, rounds, peer: once(peer), ours: ours.map(once) }));
    const crowd = `${name}, ${clients} clients`;
    outcomes.push(
      await interleave({ name: crowd, rounds: crowdedRounds, peer: crowded(peer), ours: ours.map(crowded) }),
    );
  };

  const get: Way = ({ ref }) => unwrap(storage.environments.get(org, ref));
  const getAsAda: Way = ({ ref }) => unwrap(ada.environments.get(ref));
  await contest('get', await replay(database, get, first), get, getAsAda);

  const page = { limit: 50, after: null };
  const list: Way = ({ ref }) => unwrap(storage.environments.list(org, ref.projectId, page));
  const listAsAda: Way = ({ ref }) => unwrap(ada.environments.list({ projectId: ref.projectId }));
  await contest('list of 50', await replay(database, list, first), list, listAsAda);

  const create = await storageCreate(database, org, first);
  const createAsAda: Way = ({ ref }) =>
    unwrap(ada.environments.create({ projectId: ref.projectId, name: newName(), variables }));
  await contest('create', await replayCreate(database, org, first, create), create, createAsAda);

  await database.close();
  return outcomes;
}

/** A project of its own for each client, so that clients do not wait for one another's locks. */
interface Place {
  readonly ref: EnvironmentRef;
}

/** One way of doing something at a place. */
type Way = (at: Place) => Promise<unknown>;

async function place(ada: Client): Promise<Place> {
  const project = await unwrap(ada.projects.create({ name: newName() }));
  const filled = await unwrap(ada.environments.create({ projectId: project.id, name: newName(), variables }));
  for (let n = 2; n < 50; n++) await unwrap(ada.environments.create({ projectId: project.id, name: newName() }));
  return { ref: filled.ref };
}

function newName(): string {
  return `environment ${randomUUID()}`;
}

/** The statements of one call of ours, to be sent again with the ids of another place. */
async function replay(database: Database, call: Way, first: Place): Promise<Way> {
  await call(first);
  const recorded = await database.record(() => call(first));
  return ({ ref }) => {
    const others = new Map([
      [first.ref.projectId, ref.projectId],
      [first.ref.id, ref.id],
    ]);
    return recorded.again(others);
  };
}

/** The statements of one `create`, to be sent again with new ids and a new name, into the project of the place. */
async function replayCreate(database: Database, org: string, first: Place, create: Way): Promise<Way> {
  await create(first);
  const recorded = await database.record(() => create(first));
  const ids = recorded.ids.filter((id) => id !== first.ref.projectId && !org.includes(id));
  return ({ ref }) => {
    const others = new Map<unknown, unknown>([[first.ref.projectId, ref.projectId]]);
    for (const id of ids) others.set(id, randomUUID());
    const name = newName();
    for (const old of recorded.names) others.set(old, name);
    return recorded.again(others);
  };
}

/** The repository's `create`, without the client in front of it: a command that a client once gave, with new ids and a new name. */
async function storageCreate({ storage }: Database, org: string, { ref }: Place): Promise<Way> {
  const { environments } = storage;
  let seen: Parameters<typeof environments.create>[0] | undefined;
  const create: typeof environments.create = (command) => environments.create((seen = command));
  const listening = { ...storage, environments: { ...environments, create } };
  const ada = createVivarium({ storage: listening, limits: { environmentsPerProject: 10_000 } });
  await unwrap(
    ada
      .as({ org, type: 'user', id: 'ada' })
      .environments.create({ projectId: ref.projectId, name: newName(), variables }),
  );

  const { environment, maximum, change } = seen!;
  return (at) => {
    const [id, name] = [randomUUID(), newName()];
    const { projectId } = at.ref;
    const entry = { ...change.entry, id: randomUUID(), stream: id, subject: { type: 'environment', id } };
    return unwrap(
      environments.create({
        // A new list each time: the JSON of a list is remembered, and to write it is part of the work.
        environment: { ...environment, projectId, id, name, nameKey: name, variables: [...environment.variables] },
        maximum,
        change: { ...change, entry },
      }),
    );
  };
}

function print(outcomes: readonly Outcome[]): void {
  const columns = ['call', 'driver', 'storage', 'ratio', 'middle half', 'client', 'ratio', 'middle half'];
  const rows = outcomes.map(({ name, peer, ours }) => [
    name,
    ms(peer),
    ...ours.flatMap(({ milliseconds, ratio, middleHalf: [low, high] }) => [
      ms(milliseconds),
      `${ratio.toFixed(2)} ×`,
      `${low.toFixed(2)}–${high.toFixed(2)}`,
    ]),
  ]);
  for (const row of [columns, ...rows]) {
    console.log(`  ${row.map((cell, column) => (column === 0 ? cell.padEnd(24) : cell.padStart(12))).join('')}`);
  }
}

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(2)} ms`;
}

await main();
