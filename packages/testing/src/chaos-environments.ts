import { isDeepStrictEqual } from 'node:util';
import { unwrap } from '@vivarium/core';
import type { Client, EnvironmentRef, EnvironmentSummary, Project } from '@vivarium/core';

import { checker, recent } from './chaos-context.ts';
import type { ChaosCommand, ChaosContext } from './chaos-context.ts';
import type { StorageHarness } from './harness.ts';
import { everything } from './paging.ts';
import type { SeededRandom } from './seeded-random.ts';

/** The limit is low, so that it is reached all the time. */
export const chaosLimits = { environmentsPerProject: 8 };

const environmentNames = Array.from({ length: 14 }, (_, index) => `Environment ${index}`);
const projectNames = Array.from({ length: 30 }, (_, index) => `Project ${index}`);
const keys = ['A', 'B', 'C', 'D', 'E', '__proto__'];

interface Seen {
  /** Is never deleted, so that its default has to be there at every moment. */
  readonly anchor: string;
  /** Ids of all projects that were ever made, the anchor included. */
  readonly projects: string[];
  readonly environments: EnvironmentRef[];
}

/** Projects and environments. */
export const environmentsChaos: ChaosContext = {
  refusals: [
    'not_found',
    'project_name_taken',
    'environment_name_taken',
    'limit_reached',
    'last_environment',
    'project_cycle',
    'project_has_children',
    'stale_version',
  ],

  async begin({ org, client, harness, done }) {
    const projects: string[] = [];
    const refs: EnvironmentRef[] = [];
    for (const name of ['Anchor', 'Second', 'Third']) {
      const environments = environmentNames.slice(0, 3).map((environment) => ({ name: environment }));
      const send = (by = client) => by.projects.create({ name, environments });
      const project = await unwrap(send());
      done({ method: 'projects.create', key: undefined, answer: project, repeat: send });
      projects.push(project.id);
      const { items } = await unwrap(client.environments.list({ projectId: project.id }));
      refs.push(...items.map(({ ref }) => ref));
    }
    const seen: Seen = { anchor: projects[0]!, projects, environments: refs };
    return {
      subjects: new Set(['project', 'environment']),
      command: (random) => randomCommand(seen, random),
      watch: (by) => watch(by, seen),
      look: (by) => look(harness, by, org),
      fill: async (by) => {
        const violations: string[] = [];
        for (const { id } of await everything((page) => by.projects.list(page))) {
          const { length } = await everything((page) => by.environments.list({ projectId: id, ...page }));
          violations.push(...(await checkCounter(by, id, length)));
        }
        return violations;
      },
    };
  },
};

function randomCommand({ anchor, projects, environments }: Seen, random: SeededRandom): ChaosCommand {
  const name = random.pick(environmentNames);
  const projectId = random.next() < 0.4 ? anchor : recent(projects, random);
  const ref = recent(environments, random);
  const sibling = recent(
    environments.filter((one) => one.projectId === ref.projectId),
    random,
  );
  const variables = keys.filter(() => random.next() < 0.5).map((key) => ({ key, value: `${random.integer(1_000)}` }));

  const learnEnvironment = (answer: unknown) => void environments.push((answer as { ref: EnvironmentRef }).ref);
  const learnProject = (answer: unknown) => {
    const { id, defaultEnvironmentId } = answer as { id: string; defaultEnvironmentId: string };
    projects.push(id);
    environments.push({ projectId: id, id: defaultEnvironmentId });
  };

  const roll = random.integer(100);
  if (roll < 22) {
    return {
      method: 'environments.create',
      versioned: false,
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
  const parentProjectId = random.next() < 0.3 ? null : recent(projects, random);
  if (roll < 87) {
    const first = environmentNames.slice(0, 1 + random.integer(3)).map((environment) => ({ name: environment }));
    return {
      method: 'projects.create',
      versioned: false,
      send: (client, options) =>
        client.projects.create({ name: projectName, parentProjectId, environments: first, ...options }),
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
  const doomed = random.pick(projects.slice(1));
  return { method: 'projects.delete', send: (client, options) => client.projects.delete(doomed, options) };
}

async function watch(client: Client<unknown>, { anchor }: Seen): Promise<string[]> {
  const violations: string[] = [];
  const found = await client.environments.getDefault(anchor);
  if (found.isErr()) violations.push(`the default of a project was missing: ${found.error.message}`);
  else if (!found.value.isDefault) violations.push('getDefault gave an environment that is not the default');

  const list = await client.environments.list({ projectId: anchor, limit: 100 });
  if (list.isErr()) violations.push(`a list failed: ${list.error.message}`);
  else if (list.value.items.length > chaosLimits.environmentsPerProject)
    violations.push('more environments than allowed');
  return violations;
}

async function look(harness: StorageHarness, client: Client<unknown>, org: string) {
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
  return { violations, living: [...projects, ...listed] };
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
async function checkRows(harness: StorageHarness, org: string, projects: number, environments: number) {
  const { violations, check } = checker('rows');
  const rows = {
    projects: await harness.raw.count('projects', org),
    environments: await harness.raw.count('environments', org),
  };
  check(rows.projects === projects, `${rows.projects} rows for ${projects} projects`);
  check(rows.environments === environments, `${rows.environments} rows for ${environments} environments`);
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
