/**
 * `builds.stats` over a fleet: how long it takes, what it costs in round trips and memory, and how the server goes about it, beside the obvious other way,
 * which is to read the rows and count them in Node.
 */
import { startCountingProxy, startEngine } from '@vivarium/engines';
import type { EngineName } from '@vivarium/engines';
import { createVivarium, unwrap } from '@vivarium/core';
import type { BuildStats, Client, StatsFilter } from '@vivarium/core';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import type { Fleet, OpenFleet } from './fleet.ts';

const builds = Number(process.argv[3] ?? 100_000);
const attemptsPerBuild = 15;
const rounds = 5;
const org = 'fleet';

const databases: readonly { readonly engine: EngineName; readonly load: () => Promise<OpenFleet> }[] = [
  { engine: 'postgres-18', load: async () => (await import('./postgres.ts')).postgresFleet },
  { engine: 'mysql-9', load: async () => (await import('./mysql.ts')).mysqlFleet },
];

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

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
    const proxy = await startCountingProxy(server.url);
    const fleet = open(server.url, proxy.url);
    try {
      await contest(engine, fleet, () => proxy.roundTrips());
    } finally {
      await fleet.close();
      await proxy.stop();
      await server.stop();
    }
  }
}

async function contest(engine: string, fleet: Fleet, roundTrips: () => number): Promise<void> {
  await unwrap(fleet.storage.migrate());
  const ada = createVivarium({ storage: fleet.storage }).as({ org, type: 'user', id: 'ada' });
  const references = await catalog(ada);
  const began = performance.now();
  await fleet.fill({ org, builds, attemptsPerBuild, ...references });
  const rows = builds * attemptsPerBuild;
  const took = ((performance.now() - began) / 1_000).toFixed(0);
  console.log(`\n${engine}: ${count(builds)} builds and ${count(rows)} attempts, written in ${took} s`);

  const [newest] = (await unwrap(ada.builds.list({ limit: 1 }))).items;
  const daysAgo = (days: number) => new Date(newest!.createdAt.getTime() - days * 86_400_000);
  const asked: Readonly<Record<string, StatsFilter>> = {
    'all builds': {},
    'the last 180 days': { from: daysAgo(180) },
    'a project, the last 30 days': { projectId: references.projects[0]!, from: daysAgo(30) },
  };
  for (const [what, filter] of Object.entries(asked)) {
    const ask = () => unwrap(ada.builds.stats(filter));
    const { total } = await ask();
    const before = roundTrips();
    const { milliseconds, kilobytes } = await measured(ask, rounds);
    const trips = (roundTrips() - before) / rounds;
    console.log(
      `  ${what.padEnd(28)} ${count(total).padStart(8)} builds ${ms(milliseconds)}, ${trips} round trip, heap ${kb(kilobytes)}`,
    );
  }
  const inNode = await measured(() => fleet.countInNode(org), 1);
  console.log(
    `  ${'all, counted in Node'.padEnd(28)} ${' '.repeat(15)} ${ms(inNode.milliseconds)}, heap ${kb(inNode.kilobytes)}`,
  );
  same(await unwrap(ada.builds.stats()), await fleet.countInNode(org));

  console.log(`\n  how ${engine} goes about all builds:\n`);
  for (const line of await fleet.explain(() => unwrap(ada.builds.stats()))) console.log(`    ${line}`);
}

async function catalog({ projects, builds: { catalog: lists } }: Client) {
  const made = <T>(of: number, make: (name: string) => PromiseLike<T>) =>
    Promise.all(Array.from({ length: of }, (_, n) => make(`number ${n}`)));
  const ids = (entries: readonly { readonly id: string }[]) => entries.map(({ id }) => id);
  return {
    projects: ids(await made(20, (name) => unwrap(projects.create({ name })))),
    platforms: ids(await made(5, (name) => unwrap(lists.platforms.create({ name, cloudProvider: 'aws' })))),
    osVersions: ids(
      await made(10, (name) => unwrap(lists.osVersions.create({ name, osFamily: 'rhel', majorVersion: 9 }))),
    ),
    imageTypes: ids(await made(4, (name) => unwrap(lists.imageTypes.create({ name })))),
  };
}

/** The median time, and by how much the heap grew at most while it was at work, looked at every few milliseconds. */
async function measured(work: () => Promise<unknown>, times: number) {
  collectGarbage();
  const start = process.memoryUsage();
  const used = ({ heapUsed, external }: NodeJS.MemoryUsage) => heapUsed + external;
  let most = used(start);
  const watch = setInterval(() => (most = Math.max(most, used(process.memoryUsage()))), 5);
  const durations: number[] = [];
  for (let turn = 0; turn < times; turn++) {
    const began = performance.now();
    await work();
    durations.push(performance.now() - began);
    most = Math.max(most, used(process.memoryUsage()));
  }
  clearInterval(watch);
  durations.sort((a, b) => a - b);
  return { milliseconds: durations[Math.floor(times / 2)]!, kilobytes: (most - used(start)) / 1_024 };
}

/** Both ways have to come to the same. */
function same({ states }: BuildStats, counted: BuildStats['states']): void {
  if (JSON.stringify(states) !== JSON.stringify(counted)) throw new Error('the two ways of counting differ');
}

const count = (number: number) => number.toLocaleString('en');
const ms = (milliseconds: number) => `${milliseconds.toFixed(0).padStart(6)} ms`;
const kb = (kilobytes: number) => `+ ${count(Math.round(kilobytes))} KB`;

await main();
