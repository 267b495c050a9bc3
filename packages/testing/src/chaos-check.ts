import { isDeepStrictEqual } from 'node:util';

import { unwrap } from '@vivarium/core';
import type { Client, EnvironmentSummary, JournalEntry, Project } from '@vivarium/core';

import type { ChaosOrg } from './chaos.ts';
import type { StorageHarness } from './harness.ts';
import { everything } from './paging.ts';

/** The limit is low, so that it is reached all the time. */
export const chaosLimits = { environmentsPerProject: 8 };

/** What is wrong in an org after a run, in words; nothing when all promises were kept. */
export async function checkOrg(harness: StorageHarness, client: Client<unknown>, org: ChaosOrg): Promise<string[]> {
  const projects = await everything((page) => client.projects.list(page));
  const environments = new Map<string, EnvironmentSummary[]>();
  for (const { id } of projects) {
    environments.set(id, await everything((page) => client.environments.list({ projectId: id, ...page })));
  }
  const listed = [...environments.values()].flat();

  const violations: string[] = [];
  for (const project of projects)
    violations.push(...(await checkProject(client, project, environments.get(project.id)!)));
  violations.push(...(await checkTree(client, projects)));
  violations.push(...(await checkRows(harness, org, projects.length, listed.length)));
  violations.push(...(await checkJournal(harness, client, org, [...projects, ...listed])));
  violations.push(...(await checkDelivery(harness, client, org)));
  violations.push(...(await checkKeys(harness, client, org)));
  for (const { id } of projects) violations.push(...(await checkCounter(client, id, environments.get(id)!.length)));
  return violations.map((violation) => `${org.org}: ${violation}`);
}

/** One default that exists, names of their own, figures that are true. */
async function checkProject(client: Client<unknown>, project: Project, environments: readonly EnvironmentSummary[]) {
  const { violations, check } = checker(`project ${project.id}`);
  check(isDeepStrictEqual(await unwrap(client.projects.get(project.id)), project), 'is read as it is listed');
  check((await unwrap(client.projects.getByName(project.name))).id === project.id, 'is found by its name');
  check(environments.length >= 1, 'has an environment');
  check(environments.length <= chaosLimits.environmentsPerProject, `keeps its limit, has ${environments.length}`);
  check(
    isDeepStrictEqual(
      environments.map(({ isDefault }) => isDefault),
      environments.map((_, index) => index === 0),
    ),
    'has one default',
  );
  check(environments[0]?.id === project.defaultEnvironmentId, 'points to its default');
  check(
    (await unwrap(client.environments.getDefault(project.id))).id === project.defaultEnvironmentId,
    'gives its default',
  );
  const names = environments.map(({ name }) => name.toLowerCase());
  check(new Set(names).size === names.length, 'has no name twice');

  const stats = await unwrap(client.environments.stats(project.id));
  const sum = (of: (summary: EnvironmentSummary) => number) => environments.reduce((total, one) => total + of(one), 0);
  check(stats.environments === environments.length, `counts its environments: ${stats.environments}`);
  check(stats.variables.total === sum(({ variableCount }) => variableCount), 'counts its variables');
  check(stats.bytes.total === sum(({ variableBytes }) => variableBytes), 'counts its bytes');

  for (const summary of environments) {
    const environment = await unwrap(client.environments.get(summary.ref));
    const document = JSON.stringify(
      environment.variables.map((variable) => ({
        key: variable.key,
        value: variable.sensitive ? null : variable.value,
      })),
    );
    check(environment.variables.length === summary.variableCount, `${summary.id} has its variables counted`);
    check(Buffer.byteLength(document) === summary.variableBytes, `${summary.id} has its bytes counted`);
    check(environment.version === summary.version && environment.name === summary.name, `${summary.id} is as listed`);
    const named = await client.environments.getByName(project.id, summary.name);
    check(named.isOk() && named.value.id === summary.id, `${summary.id} is found by its name`);
  }
  return violations;
}

/** Every parent exists, no cycles, at most 16 levels, and the lists of children say the same. */
async function checkTree(client: Client<unknown>, projects: readonly Project[]) {
  const { violations, check } = checker('tree');
  const byId = new Map(projects.map((project) => [project.id, project]));
  for (const project of projects) {
    const line: string[] = [];
    let at: Project | undefined = project;
    while (at !== undefined && line.length <= projects.length) {
      line.push(at.id);
      if (at.parentProjectId === null) break;
      check(byId.has(at.parentProjectId), `the parent of ${at.id} exists`);
      at = byId.get(at.parentProjectId);
    }
    check(line.length <= Math.min(16, projects.length), `${project.id} is at most 16 levels deep and in no cycle`);
    const ancestors = await unwrap(client.projects.ancestors(project.id));
    check(
      isDeepStrictEqual(
        ancestors.map(({ id }) => id),
        line.slice(1),
      ),
      `${project.id} has its ancestors`,
    );
    const children = await everything((page) => client.projects.list({ parentProjectId: project.id, ...page }));
    const expected = projects.filter(({ parentProjectId }) => parentProjectId === project.id);
    check(isDeepStrictEqual(children, expected), `${project.id} has its children`);
  }
  return violations;
}

/** Nothing lies in the database that cannot be seen. */
async function checkRows(harness: StorageHarness, { org }: ChaosOrg, projects: number, environments: number) {
  const { violations, check } = checker('rows');
  const rows = {
    projects: await harness.raw.count('projects', org),
    environments: await harness.raw.count('environments', org),
  };
  check(rows.projects === projects, `${rows.projects} rows for ${projects} projects`);
  check(rows.environments === environments, `${rows.environments} rows for ${environments} environments`);
  return violations;
}

/** One entry for each success, every version once, the last one that of what is there. */
async function checkJournal(
  harness: StorageHarness,
  client: Client<unknown>,
  { org, done }: ChaosOrg,
  living: readonly { readonly id: string; readonly version: number }[],
) {
  const { violations, check } = checker('journal');
  const newestFirst = await everything((page) => client.journal.list(page));
  check(newestFirst.length === done.length, `${newestFirst.length} entries for ${done.length} successful commands`);
  check((await harness.raw.count('journal', org)) === newestFirst.length, 'has as many rows as entries');
  check(new Set(newestFirst.map(({ id }) => id)).size === newestFirst.length, 'lists no entry twice');

  const streams = new Map<string, JournalEntry[]>();
  for (const entry of newestFirst) streams.set(entry.stream, [...(streams.get(entry.stream) ?? []), entry]);
  for (const [stream, entries] of streams) {
    entries.sort((a, b) => a.sequence - b.sequence);
    // What came with its project has no entry for its first version.
    const first = entries[0]!.action.endsWith('.created') || entries[0]!.stream === entries[0]!.id ? 1 : 2;
    const gapless = entries.every(({ sequence }, index) => sequence === first + index);
    check(gapless, `stream ${stream} is gapless: ${entries.map(({ sequence }) => sequence).join()}`);
    const ended = entries.findIndex(({ action }) => action.endsWith('.deleted'));
    check(ended === -1 || ended === entries.length - 1, `stream ${stream} ends with the deletion`);
  }
  for (const { id, version } of living) {
    const last = streams.get(id)?.at(-1);
    check((last?.sequence ?? 1) === version, `${id} is at version ${version}, its journal at ${last?.sequence}`);
    check(last?.action.endsWith('.deleted') !== true, `${id} is there although its journal says deleted`);
  }
  for (const { method, answer } of done) {
    const versioned = answer as { id?: string; version?: number } | undefined;
    if (versioned?.version === undefined || method === 'environments.makeDefault') continue;
    const entries = streams.get(versioned.id!) ?? [];
    check(
      entries.some(({ sequence }) => sequence >= versioned.version!),
      `${method} of ${versioned.id} has an entry`,
    );
  }
  return violations;
}

/** Everything was handed over, each subject in its order, and nothing waits any more. */
async function checkDelivery(harness: StorageHarness, client: Client<unknown>, { org, handled }: ChaosOrg) {
  const { violations, check } = checker('delivery');
  const rest = await client.journal.deliver({ handler: (entry) => void handled.push(entry) });
  check(rest.isOk(), 'the rest is delivered');
  check((await harness.raw.count('queue', org)) === 0, 'nothing is left in the queue');
  const all = await everything((page) => client.journal.list(page));
  const seen = new Set(handled.map(({ id }) => id));
  check(
    all.every(({ id }) => seen.has(id)),
    'every entry was handled',
  );
  check(seen.size === handled.length, 'no entry was handled twice where nobody died');
  const last = new Map<string, number>();
  for (const { stream, sequence } of handled) {
    check(sequence > (last.get(stream) ?? 0), `stream ${stream} was handled in its order`);
    last.set(stream, sequence);
  }
  return violations;
}

/** Every key that was used with success replays, and the replays write nothing. */
async function checkKeys(harness: StorageHarness, client: Client<unknown>, { org, done }: ChaosOrg) {
  const { violations, check } = checker('keys');
  const keyed = done.filter(({ key }) => key !== undefined);
  const rows = await harness.raw.count('keys', org);
  check(rows === keyed.length, `${rows} keys for ${keyed.length} successes under a key`);
  const before = await harness.raw.count('journal', org);
  for (const { method, answer, repeat } of keyed) {
    const replay = await repeat(client);
    const code = replay.isOk() ? 'ok' : replay.error.code;
    if (method === 'projects.create' || method === 'environments.create') {
      check(
        replay.isOk() && isDeepStrictEqual(replay.value, answer),
        `${method} replays with its answer, gave ${code}`,
      );
    } else {
      check(
        ['ok', ...(method.endsWith('.delete') ? [] : ['not_found'])].includes(code),
        `${method} replays, gave ${code}`,
      );
    }
  }
  check((await harness.raw.count('journal', org)) === before, 'replays write nothing');
  return violations;
}

/** The limit lets in as many as are missing: whatever counts them has not drifted from what is there. */
async function checkCounter(client: Client<unknown>, projectId: string, count: number) {
  const { violations, check } = checker(`project ${projectId}`);
  let admitted = 0;
  for (let index = 0; index <= chaosLimits.environmentsPerProject; index++) {
    const answer = await client.environments.create({ projectId, name: `Counted ${index}` });
    if (answer.isOk()) admitted++;
    else check(answer.error.code === 'limit_reached', `creates until the limit, gave ${answer.error.code}`);
  }
  const free = chaosLimits.environmentsPerProject - count;
  check(admitted === free, `has ${count} environments and lets ${admitted} in, not ${free}`);
  return violations;
}

function checker(what: string) {
  const violations: string[] = [];
  const check = (holds: boolean, promise: string) => void (holds || violations.push(`${what}: ${promise}`));
  return { violations, check };
}
