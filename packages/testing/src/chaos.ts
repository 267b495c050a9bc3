import type { Client, JournalEntry } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { together } from './answers.ts';
import { checkOrg } from './chaos-check.ts';
import type { ChaosContext, ChaosPart, Done } from './chaos-context.ts';
import { chaosLimits, environmentsChaos } from './chaos-environments.ts';
import { ephemeralChaos } from './chaos-ephemeral.ts';
import { chaosRunner } from './chaos-runner.ts';
import { enoughOf, untilEnough } from './enough.ts';
import { seededRandom } from './seeded-random.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

/** Every context that takes part. One more is one more line here. */
const contexts: readonly ChaosContext[] = [environmentsChaos, ephemeralChaos];
const refusals = new Set(contexts.flatMap((context) => context.refusals));

const clientCount = 24;

/** One org of the chaos run: what has been made in it, and what was answered. */
export interface ChaosOrg {
  readonly org: string;
  readonly parts: readonly ChaosPart[];
  /** Commands that succeeded, each once, however often it was sent under its key. */
  readonly done: (Done & { readonly part: ChaosPart })[];
  /** What the deliverers of the run have handled, in that order. */
  readonly handled: JournalEntry[];
}

/** Random commands by many clients at once, and then a look at everything. */
export function testChaos(suite: Suite): void {
  const { seed, chaosCommands } = suite.size;

  describe('chaos', () => {
    test(
      `${chaosCommands} commands by ${clientCount} clients leave everything as promised (seed ${seed})`,
      { timeout: 600_000 },
      async () => {
        const storages = [suite.harness.storage, await suite.other()];
        const runner = chaosRunner(seededRandom(seed));
        const vivaria = storages.map((storage) => suite.vivarium({ storage, limits: chaosLimits, pipelines: runner }));
        const clientOf = (index: number, { org }: { readonly org: string }) =>
          vivaria[(index >> 1) % 2]!.as({ org, type: 'chaos', id: `client ${index}` });
        const orgs = await together(3, async (index): Promise<ChaosOrg> => {
          const org = suite.newOrg();
          const begun: Done[][] = contexts.map(() => []);
          const scene = { org, client: clientOf(index, { org }), harness: suite.harness, runner };
          const parts: ChaosPart[] = [];
          for (const [place, { begin }] of contexts.entries())
            parts.push(await begin({ ...scene, done: (done) => void begun[place]!.push(done) }));
          const done = begun.flatMap((some, place) => some.map((one) => ({ ...one, part: parts[place]! })));
          return { org, parts, done, handled: [] };
        });

        const violations: string[] = [];
        const done = () => orgs.reduce((sum, org) => sum + org.done.length, 0);
        const goesOn = untilEnough(chaosCommands, done);
        const working = together(clientCount, async (index) => {
          const random = seededRandom(seed * 1_000 + index);
          const org = orgs[index % orgs.length]!;
          const client = clientOf(index, org);
          for (let count = 0; goesOn(); count++)
            violations.push(...(await step(client, org, random, `${index} ${count}`)));
        });
        let busy = true;
        const watching = together(orgs.length, async (index) => {
          const org = orgs[index]!;
          const client = clientOf(index, org);
          while (busy) violations.push(...(await watch(client, org)));
        });
        await working.finally(() => (busy = false));
        await watching;

        for (const org of orgs) violations.push(...(await checkOrg(suite.harness, clientOf(0, org), org)));
        expect(violations, `seed ${seed}`).toEqual([]);
        expect(done(), 'commands that did something').toBeGreaterThanOrEqual(enoughOf(chaosCommands));
      },
    );
  });
}

/** Sends one command, now and then under a key and twice at once. */
async function step(client: Client<unknown>, org: ChaosOrg, random: SeededRandom, name: string): Promise<string[]> {
  const part = random.pick(org.parts);
  const { method, send, learn, keyed = true, versioned = true } = part.command(random);
  const key = keyed && random.next() < 0.3 ? `key ${name}` : undefined;
  const expectedVersion = versioned && random.next() < 0.1 ? 1 + random.integer(4) : undefined;
  const options = {
    ...(key === undefined ? {} : { idempotencyKey: key }),
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
  };
  const repeat = (by: Client<unknown>) => send(by, options);
  const answers = await together(key !== undefined && random.next() < 0.3 ? 2 : 1, () => repeat(client));

  const succeeded = answers.flatMap((answer) => (answer.isOk() ? [answer.value] : []));
  if (succeeded.length > 0) {
    org.done.push({ method, key, answer: succeeded[0], repeat, part });
    learn?.(succeeded[0]);
  }
  return answers.flatMap((answer) =>
    answer.isErr() && !refusals.has(answer.error.code) ? [`${method}: ${answer.error.message}`] : [],
  );
}

/** Looks at what has to be true at every moment, and delivers. */
async function watch(client: Client<unknown>, org: ChaosOrg): Promise<string[]> {
  const violations: string[] = [];
  for (const part of org.parts) violations.push(...(await part.watch(client)));
  const delivered = await client.journal.deliver({ handler: (entry) => void org.handled.push(entry), batch: 10 });
  if (delivered.isErr()) violations.push(`a delivery failed: ${delivered.error.message}`);
  return violations;
}
