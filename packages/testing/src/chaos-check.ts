import { isDeepStrictEqual } from 'node:util';

import type { Client, JournalEntry } from '@vivarium/core';

import { checker } from './chaos-context.ts';
import type { Found } from './chaos-context.ts';
import type { ChaosOrg } from './chaos.ts';
import type { StorageHarness } from './harness.ts';
import { everything } from './paging.ts';

/** What is wrong in an org after a run, in words; nothing when all promises were kept. */
export async function checkOrg(harness: StorageHarness, client: Client<unknown>, org: ChaosOrg): Promise<string[]> {
  const violations: string[] = [];
  const living: Found['living'][number][] = [];
  for (const part of org.parts) {
    const found = await part.look(client);
    violations.push(...found.violations);
    living.push(...found.living);
  }
  violations.push(...(await checkJournal(harness, client, org, living)));
  violations.push(...(await checkDelivery(harness, client, org)));
  violations.push(...(await checkKeys(harness, client, org)));
  for (const part of org.parts) violations.push(...(await part.fill(client)));
  return violations.map((violation) => `${org.org}: ${violation}`);
}

/** One entry for each success, every version once, the last one that of what is there. */
async function checkJournal(
  harness: StorageHarness,
  client: Client<unknown>,
  { org, done, parts }: ChaosOrg,
  living: Found['living'],
) {
  const { violations, check } = checker('journal');
  const newestFirst = await everything((page) => client.journal.list(page));
  for (const { subjects } of parts) {
    const entries = newestFirst.filter(({ subject }) => subjects.has(subject.type)).length;
    const successes = done.filter(({ part }) => part.subjects === subjects).length;
    if (subjects.size > 0) check(entries === successes, `${entries} entries for ${successes} successful commands`);
  }
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
    const ended = entries.findIndex(({ action }) => isLast(action));
    check(ended === -1 || ended === entries.length - 1, `stream ${stream} ends with the deletion`);
  }
  for (const { id, version } of living) {
    const last = streams.get(id)?.at(-1);
    check((last?.sequence ?? 1) === version, `${id} is at version ${version}, its journal at ${last?.sequence}`);
    check(last === undefined || !isLast(last.action), `${id} is there although its journal says that it is gone`);
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

/** Nothing comes after it in its stream. */
function isLast(action: string): boolean {
  return action.endsWith('.deleted') || action.endsWith('.removed');
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
    if (['projects.create', 'environments.create', 'ephemeral.types.create'].includes(method)) {
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
