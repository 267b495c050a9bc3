import type { Client, CommandOptions, EnvironmentRef, JournalEntry, ResultAsync, VivariumError } from '@vivarium/core';
import { unwrap } from '@vivarium/core';
import { describe, expect, test } from 'vitest';

import { chaosLimits, checkOrg } from './chaos-check.ts';
import { together } from './answers.ts';
import { seededRandom } from './seeded-random.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { Suite } from './suite.ts';

/** One org of the chaos run: what has been made in it, and what was answered. */
export interface ChaosOrg {
  readonly org: string;
  /** Is never deleted, so that its default has to be there at every moment. */
  readonly anchor: string;
  /** Ids of all projects that were ever made, the anchor included. */
  readonly projects: string[];
  readonly environments: EnvironmentRef[];
  /** Commands that succeeded, each once, however often it was sent under its key. */
  readonly done: Done[];
  /** What the deliverers of the run have handled, in that order. */
  readonly handled: JournalEntry[];
}

export interface Done {
  readonly method: string;
  readonly key: string | undefined;
  readonly answer: unknown;
  /** Sends the same command again. */
  readonly repeat: (client: Client<unknown>) => ResultAsync<unknown, VivariumError>;
}

interface Command {
  readonly method: string;
  readonly send: (client: Client<unknown>, options: CommandOptions) => ResultAsync<unknown, VivariumError>;
  /** Remembers what was made. */
  readonly learn?: (answer: unknown, org: ChaosOrg) => void;
}

const clientCount = 24;
const environmentNames = Array.from({ length: 14 }, (_, index) => `Environment ${index}`);
const projectNames = Array.from({ length: 30 }, (_, index) => `Project ${index}`);
const keys = ['A', 'B', 'C', 'D', 'E', '__proto__'];

/** Refusals that a command may run into when others are at work; anything else is a violation. */
const refusals = new Set([
  'not_found',
  'project_name_taken',
  'environment_name_taken',
  'limit_reached',
  'last_environment',
  'project_cycle',
  'project_has_children',
  'stale_version',
]);

/** Random commands by many clients at once, and then a look at everything. */
export function testChaos(suite: Suite): void {
  const { seed, chaosCommands } = suite.size;

  describe('chaos', () => {
    test(
      `${chaosCommands} commands by ${clientCount} clients leave everything as promised (seed ${seed})`,
      { timeout: 600_000 },
      async () => {
        const storages = [suite.harness.storage, await suite.other()];
        const vivaria = storages.map((storage) => suite.vivarium({ storage, limits: chaosLimits }));
        const orgs = await together(3, () => newChaosOrg(suite));
        const clientOf = (index: number, { org }: ChaosOrg) =>
          vivaria[(index >> 1) % 2]!.as({ org, type: 'chaos', id: `client ${index}` });

        const violations: string[] = [];
        let left = chaosCommands;
        const working = together(clientCount, async (index) => {
          const random = seededRandom(seed * 1_000 + index);
          const org = orgs[index % orgs.length]!;
          const client = clientOf(index, org);
          while (left-- > 0) violations.push(...(await step(client, org, random, `${index} ${left}`)));
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
        const done = orgs.reduce((sum, org) => sum + org.done.length, 0);
        expect(done, 'commands that did something').toBeGreaterThan(chaosCommands / 4);
      },
    );
  });
}

async function newChaosOrg(suite: Suite): Promise<ChaosOrg> {
  const org = suite.newOrg();
  const chaos: ChaosOrg = { org, anchor: '', projects: [], environments: [], done: [], handled: [] };
  const client = suite.vivarium({ limits: chaosLimits }).as({ org, type: 'chaos', id: 'beginning' });
  for (const name of ['Anchor', 'Second', 'Third']) {
    const environments = environmentNames.slice(0, 3).map((environment) => ({ name: environment }));
    const send = () => client.projects.create({ name, environments });
    const project = await unwrap(send());
    chaos.done.push({ method: 'projects.create', key: undefined, answer: project, repeat: send });
    chaos.projects.push(project.id);
    const { items } = await unwrap(client.environments.list({ projectId: project.id }));
    chaos.environments.push(...items.map(({ ref }) => ref));
  }
  return { ...chaos, anchor: chaos.projects[0]! };
}

/** Sends one command, now and then under a key and twice at once. */
async function step(client: Client<unknown>, org: ChaosOrg, random: SeededRandom, name: string): Promise<string[]> {
  const command = randomCommand(org, random);
  const key = random.next() < 0.3 ? `key ${name}` : undefined;
  const expectedVersion = !command.method.endsWith('create') && random.next() < 0.1 ? 1 + random.integer(4) : undefined;
  const options = {
    ...(key === undefined ? {} : { idempotencyKey: key }),
    ...(expectedVersion === undefined ? {} : { expectedVersion }),
  };
  const repeat = (by: Client<unknown>) => command.send(by, options);
  const answers = await together(key !== undefined && random.next() < 0.3 ? 2 : 1, () => repeat(client));

  const succeeded = answers.flatMap((answer) => (answer.isOk() ? [answer.value] : []));
  if (succeeded.length > 0) {
    org.done.push({ method: command.method, key, answer: succeeded[0], repeat });
    command.learn?.(succeeded[0], org);
  }
  return answers.flatMap((answer) =>
    answer.isErr() && !refusals.has(answer.error.code) ? [`${command.method}: ${answer.error.message}`] : [],
  );
}

function randomCommand(org: ChaosOrg, random: SeededRandom): Command {
  const name = random.pick(environmentNames);
  const projectId = random.next() < 0.4 ? org.anchor : recent(org.projects, random);
  const ref = recent(org.environments, random);
  const sibling = recent(
    org.environments.filter((one) => one.projectId === ref.projectId),
    random,
  );
  const variables = keys.filter(() => random.next() < 0.5).map((key) => ({ key, value: `${random.integer(1_000)}` }));

  const learnEnvironment = (answer: unknown, { environments }: ChaosOrg) =>
    void environments.push((answer as { ref: EnvironmentRef }).ref);
  const learnProject = (answer: unknown, { projects, environments }: ChaosOrg) => {
    const { id, defaultEnvironmentId } = answer as { id: string; defaultEnvironmentId: string };
    projects.push(id);
    environments.push({ projectId: id, id: defaultEnvironmentId });
  };

  const roll = random.integer(100);
  if (roll < 22) {
    return {
      method: 'environments.create',
      send: (client, options) => client.environments.create({ projectId, name, variables, ...options }),
      learn: learnEnvironment,
    };
  }
  if (roll < 36) {
    const promote = random.next() < 0.4 ? sibling : undefined;
    return {
      method: 'environments.delete',
      send: (client, options) => client.environments.delete(ref, { promote, ...options }),
    };
  }
  if (roll < 48) {
    return {
      method: 'environments.makeDefault',
      send: (client, options) => client.environments.makeDefault(ref, options),
    };
  }
  if (roll < 56) {
    return {
      method: 'environments.update',
      send: (client, options) => client.environments.update(ref, { name, description: name, ...options }),
    };
  }
  if (roll < 64) {
    return {
      method: 'environments.setVariables',
      send: (client, options) => client.environments.setVariables(ref, { variables, ...options }),
    };
  }
  if (roll < 74) {
    const unset = keys.filter((key) => !variables.some((variable) => variable.key === key));
    return {
      method: 'environments.patchVariables',
      send: (client, options) => client.environments.patchVariables(ref, { set: variables, unset, ...options }),
    };
  }
  if (roll < 80) {
    return {
      method: 'environments.duplicate',
      send: (client, options) => client.environments.duplicate(ref, { name, ...options }),
      learn: learnEnvironment,
    };
  }
  const projectName = random.pick(projectNames);
  const parentProjectId = random.next() < 0.3 ? null : recent(org.projects, random);
  if (roll < 87) {
    const environments = environmentNames.slice(0, 1 + random.integer(3)).map((environment) => ({ name: environment }));
    return {
      method: 'projects.create',
      send: (client, options) =>
        client.projects.create({ name: projectName, parentProjectId, environments, ...options }),
      learn: learnProject,
    };
  }
  if (roll < 91) {
    return {
      method: 'projects.update',
      send: (client, options) => client.projects.update(projectId, { name: projectName, ...options }),
    };
  }
  if (roll < 97) {
    return {
      method: 'projects.move',
      send: (client, options) => client.projects.move(projectId, { parentProjectId, ...options }),
    };
  }
  const doomed = random.pick(org.projects.slice(1));
  return { method: 'projects.delete', send: (client, options) => client.projects.delete(doomed, options) };
}

/** Mostly something made lately, now and then something old that may be gone. */
function recent<T>(items: readonly T[], random: SeededRandom): T {
  return random.next() < 0.8 ? random.pick(items.slice(-20)) : random.pick(items);
}

/** Looks, while the others work, at what has to be true at every moment, and delivers. */
async function watch(client: Client<unknown>, org: ChaosOrg): Promise<string[]> {
  const violations: string[] = [];
  const found = await client.environments.getDefault(org.anchor);
  if (found.isErr()) violations.push(`the default of a project was missing: ${found.error.message}`);
  else if (!found.value.isDefault) violations.push('getDefault gave an environment that is not the default');

  const list = await client.environments.list({ projectId: org.anchor, limit: 100 });
  if (list.isErr()) violations.push(`a list failed: ${list.error.message}`);
  else if (list.value.items.length > chaosLimits.environmentsPerProject)
    violations.push('more environments than allowed');

  const delivered = await client.journal.deliver({ handler: (entry) => void org.handled.push(entry), batch: 10 });
  if (delivered.isErr()) violations.push(`a delivery failed: ${delivered.error.message}`);
  return violations;
}
