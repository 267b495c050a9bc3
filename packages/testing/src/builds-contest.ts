import { buildEvents, legalBuildEvents, unwrap } from '@vivarium/core';
import type { Build, BuildEvent, BuildState, Client, CommandOptions, ResultAsync, VivariumError } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { aWhile, together } from './answers.ts';
import { checkContest, contestMilestones } from './builds-contest-check.ts';
import { makeReferences } from './builds-making.ts';
import { enoughOf, untilEnough } from './enough.ts';
import { packerManifest } from './every-build-call.ts';
import { fakeClock } from './fake-clock.ts';
import { seededRandom } from './seeded-random.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

/** What was done in a contest, and to which builds. */
export interface Contest {
  /** Ids of all builds that were ever started. */
  readonly builds: string[];
  /** Commands that succeeded, each once, however often it was sent under its key. */
  readonly done: Done[];
}

export interface Done {
  readonly method: string;
  /** What was changed by it; `null` where that is no build. */
  readonly buildId: string | null;
  readonly key: string | undefined;
  /** The build as it was answered. */
  readonly answer: Build | null;
  /** Sends the same command again. */
  readonly repeat: (client: Client<unknown>) => ResultAsync<unknown, VivariumError>;
}

interface Command {
  readonly method: string;
  readonly buildId: string | null;
  readonly send: (client: Client<unknown>, options: CommandOptions) => ResultAsync<unknown, VivariumError>;
}

const clientCount = 24;
/** Builds that are at work at the same time: few, so that everybody is after the same ones. */
const atOnce = 4;

/** Refusals that a command may run into when others are at work; anything else is a violation. */
const refusals = new Set(['illegal_transition', 'stale_version', 'build_number_taken', 'not_found']);

/** Random commands of many workers on few builds, and then a look at everything. */
export function testBuildContest(suite: Suite): void {
  const { seed, buildCommands } = suite.size;

  describe('the contest of builds', () => {
    test(
      `${buildCommands} commands by ${clientCount} clients on few builds leave every history as it has to be (seed ${seed})`,
      { timeout: 1_200_000 },
      async () => {
        const org = suite.newOrg();
        const storages = [suite.harness.storage, await suite.other()];
        // The clock of the second host is behind, and both are moved by everybody.
        const clocks = [fakeClock('2025-01-01T00:00:01.500Z'), fakeClock('2025-01-01T00:00:00.000Z')];
        const vivaria = storages.map((storage, index) => suite.vivarium({ storage, clock: clocks[index]! }));
        const clientOf = (index: number) => vivaria[(index >> 1) % 2]!.as({ org, type: 'worker', id: `${index}` });
        const first = clientOf(0);
        const given = await makeReferences(first);
        const { id: projectId } = await unwrap(first.projects.create({ name: 'P' }));
        await unwrap(first.builds.milestonePlans.define({ projectId, milestones: contestMilestones }));

        const contest: Contest = { builds: [], done: [] };
        // What the workers last heard of each build: mostly true, and often no longer.
        const known = new Map<string, Build>();
        const violations: string[] = [];
        const goesOn = untilEnough(buildCommands, () => contest.done.length);
        const working = together(clientCount, async (index) => {
          const random = seededRandom(seed * 1_000 + index);
          const client = clientOf(index);
          for (let count = 0; goesOn(); count++) {
            for (const clock of clocks) clock.advance(random.integer(40));
            const name = `${index} ${count}`;
            const command = randomCommand(contest, known, { projectId, ...given }, random, name);
            violations.push(...(await carryOut(client, contest, known, command, random, name)));
          }
        });
        let busy = true;
        const watching = together(2, async (index) => {
          const seen = new Map<string, Build>();
          while (busy) violations.push(...(await watch(clientOf(index * 2), contest, seen)));
        });
        await working.finally(() => (busy = false));
        await watching;

        violations.push(...(await checkContest(suite.harness.storage, clientOf(2), org, contest)));
        expect(violations, `seed ${seed}`).toEqual([]);
        expect(contest.done.length, 'commands that did something').toBeGreaterThanOrEqual(enoughOf(buildCommands));
      },
    );
  });
}

function randomCommand(
  contest: Contest,
  known: ReadonlyMap<string, Build>,
  references: {
    readonly projectId: string;
    readonly platformId: string;
    readonly osVersionId: string;
    readonly imageTypeId: string;
  },
  random: SeededRandom,
  name: string,
): Command {
  const started = contest.builds;
  const recent = started.slice(-atOnce);
  const ended = recent.filter((id) => isFinal(known.get(id))).length;
  if (started.length < atOnce || (ended > 0 && random.next() < 0.5)) {
    // Two may want the same number at once.
    const buildNumber = random.next() < 0.9 ? `build ${started.length}` : `build of ${name}`;
    return {
      method: 'start',
      buildId: null,
      send: (client, options) =>
        client.builds.start({ buildNumber, ...references, heartbeatTimeoutMs: 1_000, ...options }),
    };
  }
  const buildId = random.next() < 0.95 ? random.pick(recent) : random.pick(started);
  const build = known.get(buildId);
  const at = contestMilestones.indexOf(build?.currentState ?? 0);
  const here = contestMilestones[at]!;
  const near = contestMilestones[Math.max(0, Math.min(contestMilestones.length - 1, at + random.integer(4) - 1))]!;
  const on = (method: string, send: Command['send']): Command => ({ method, buildId, send });
  const send: Readonly<Record<BuildEvent, Command['send']>> = {
    enter: (client, options) => client.builds.states.enter(buildId, { state: near, ...options }),
    complete: (client, options) => client.builds.states.complete(buildId, { state: here, ...options }),
    fail: (client, options) => client.builds.states.fail(buildId, { ...failure, ...options }),
    resume: (client, options) => client.builds.resume(buildId, options),
    cancel: (client, options) => client.builds.cancel(buildId, options),
  };
  const failure = {
    failureType: random.pick(['timeout', 'quota']),
    errorMessage: name,
    component: random.pick([null, 'disk']),
    ...(random.next() < 0.3 && { state: near }),
  };
  const roll = random.integer(100);
  if (roll < 65) {
    // Mostly what is legal as far as one knows.
    const legal = legalBuildEvents(build?.status ?? 'pending').filter((event) => event !== 'cancel');
    const event = random.pick(roll < 50 && legal.length > 0 ? legal : buildEvents.filter((one) => one !== 'cancel'));
    return on(event, send[event]);
  }
  if (roll < 67) return on('cancel', send.cancel);
  if (roll < 76) {
    const manifest = { ...packerManifest, by: name };
    return on('attach', (client, options) => client.builds.attachPackerManifest(buildId, manifest, options));
  }
  if (roll < 90) return on('heartbeat', (client) => client.builds.heartbeat(buildId));
  if (roll < 95) return { method: 'sweep', buildId: null, send: (client) => client.builds.sweep() };
  return {
    method: 'resolve',
    buildId: null,
    send: (client, { idempotencyKey }) =>
      client.builds
        .listFailures({ buildId, limit: 5 })
        .andThen(({ items }) =>
          client.builds.resolveFailure(items.at(-1)?.id ?? buildId, { notes: name, idempotencyKey }),
        ) as ResultAsync<unknown, VivariumError>,
  };
}

/** Sends one command, now and then under a key and twice at once, and remembers what it did. */
async function carryOut(
  client: Client<unknown>,
  contest: Contest,
  known: Map<string, Build>,
  command: Command,
  random: SeededRandom,
  name: string,
): Promise<string[]> {
  const { method, send } = command;
  const keyed = !['heartbeat', 'sweep', 'resolve'].includes(method) && random.next() < 0.3;
  const key = keyed ? `key ${name}` : undefined;
  const version = command.buildId === null ? undefined : known.get(command.buildId)?.version;
  const expected = version !== undefined && method !== 'heartbeat' && random.next() < 0.15;
  const options = { ...(key && { idempotencyKey: key }), ...(expected && { expectedVersion: version }) };
  const repeat = (by: Client<unknown>) => send(by, options);
  const answers = await together(keyed && random.next() < 0.3 ? 2 : 1, () => repeat(client));

  const [answer] = answers.flatMap((one) => (one.isOk() ? [one.value] : []));
  if (method === 'sweep') {
    for (const { buildId, outcome } of (answer ?? []) as { buildId: string; outcome: string }[]) {
      if (outcome === 'done') contest.done.push({ method, buildId, key: undefined, answer: null, repeat });
    }
  } else if (answer !== undefined && method !== 'resolve') {
    const build = answer as Build;
    if (method === 'start' && !contest.builds.includes(build.id)) contest.builds.push(build.id);
    known.set(build.id, build);
    contest.done.push({ method, buildId: build.id, key, answer: build, repeat });
  }
  if (answer === undefined && command.buildId !== null) {
    const now = await client.builds.get(command.buildId);
    if (now.isOk()) known.set(command.buildId, now.value);
  }
  return answers.flatMap((one) =>
    one.isErr() && !refusals.has(one.error.code) ? [`${method}: ${one.error.code}: ${one.error.message}`] : [],
  );
}

/** Looks, while the others work, at what has to be true at every moment: no build goes back, and no history has a gap. */
async function watch(client: Client<unknown>, contest: Contest, seen: Map<string, Build>): Promise<string[]> {
  const violations: string[] = [];
  for (const id of contest.builds.slice(-atOnce - 1)) {
    const found = await client.builds.get(id);
    if (found.isErr()) violations.push(`${id} could not be read: ${found.error.message}`);
    else {
      const [before, now] = [seen.get(id), found.value];
      seen.set(id, now);
      if (before !== undefined && wentBack(before, now))
        violations.push(`${id} went back: ${told(before)} to ${told(now)}`);
    }
    const history = await client.builds.listStates(id, { limit: 100 });
    if (history.isErr()) violations.push(`the history of ${id} could not be read: ${history.error.message}`);
    else violations.push(...gapsIn(history.value.items).map((gap) => `${id}: ${gap}`));
  }
  await aWhile();
  return violations;
}

function wentBack(before: Build, now: Build): boolean {
  if (now.currentState < before.currentState || now.version < before.version || now.attempts < before.attempts)
    return true;
  return isFinal(before) && now.status !== before.status;
}

function gapsIn(history: readonly BuildState[]): readonly string[] {
  const open = history.filter(({ status }) => status === 'started');
  return [
    ...history.flatMap(({ sequence }, index) => (sequence === index + 1 ? [] : [`attempt ${index + 1} is missing`])),
    ...(open.length > 1 ? ['two attempts were under way'] : []),
  ];
}

function isFinal(build: Build | undefined): boolean {
  return build?.status === 'completed' || build?.status === 'canceled';
}

function told({ currentState, status, version }: Build): string {
  return `${status} at ${currentState}, version ${version}`;
}
