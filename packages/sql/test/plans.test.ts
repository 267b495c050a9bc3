/** What every plan has to keep to, whichever engine runs it: looked at as data, before any engine has seen it. */
import { ok } from '@vivarium/core/storage';
import type {
  App,
  BuildFailure,
  Change,
  Deployment,
  PreviewWrite,
  Storage,
  Stored,
  StoredBuild,
  StoredBuildState,
  StoredEntry,
  StoredEnvironment,
  StoredPlan,
  StoredProject,
  StoredProjectEnvironment,
  StoredRepo,
  Written,
} from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';

import {
  conditionsText,
  assignmentsText,
  Placeholders,
  rowsText,
  sqlStorage,
  stepsOf,
  stepValues,
} from '../src/index.ts';
import type { Dialect, Engine, Plan, Step } from '../src/index.ts';
import { messageOf, newPreview, newSecret, newWorld, writing } from './preview-making.ts';

const at = new Date('2026-01-01T00:00:00.000Z');

/** Spells nothing that an engine would need; what matters here is order and count. */
const dialect: Dialect = {
  table: (name) => name,
  readBy: () => '',
  placeholder: () => '?',
  positional: false,
  bind: (_type, value) => value,
  asText: (_type, expression) => expression,
  after: (columns) => columns.join(),
  before: (columns) => columns.join(),
  contains: (text) => text,
  hasVariable: (column) => column,
  jsonList: (fields) => Object.keys(fields).join(),
  attemptFigures: ({ from }) => from,
  later: (time) => time,
  deletingSome: (table) => table,
  deleting: { together: (deletions) => deletions.join('; ') },
};

/** The plans that a call makes; each is said to be done. */
async function plansOf(call: (storage: Storage) => Stored<Written<string>>): Promise<readonly Plan[]> {
  const plans: Plan[] = [];
  const engine: Engine<never> = {
    name: 'recorder',
    dialect,
    executor: {
      owns: true,
      query: async () => [],
      run: async (plan) => {
        plans.push(plan);
        return { as: 'done' };
      },
    },
    within: () => engine.executor,
    migrate: async () => ({ applied: [] }),
    status: async () => ({ ready: true, applied: [], pending: [], unknown: [] }),
    close: async () => undefined,
  };
  expect(await call(sqlStorage(engine))).toEqual(ok({ done: true }));
  return plans;
}

const change = (withKey: boolean): Change => {
  const id = randomUUID();
  const entry = {
    id,
    orgId: 'o',
    subject: { type: 't', id },
    stream: id,
    sequence: 1,
    action: 'a',
    actor: { type: 'u', id: 'x' },
    at,
    data: {},
  };
  const key = withKey ? { id: 'k', fingerprint: 'f', result: {}, expiresAt: at } : null;
  return { orgId: 'o', at, entry, key };
};
const environment = (name: string, projectId: string): StoredEnvironment => ({
  id: randomUUID(),
  projectId,
  name,
  nameKey: name,
  description: null,
  variables: [],
  version: 2,
  createdAt: at,
  updatedAt: at,
});
const project = (parentProjectId: string | null = null): StoredProject => ({
  id: randomUUID(),
  name: 'P',
  nameKey: 'p',
  description: null,
  parentProjectId,
  defaultEnvironmentId: randomUUID(),
  version: 2,
  createdAt: at,
  updatedAt: at,
});
const versioned = () => ({ id: randomUUID(), version: 2, createdAt: at, updatedAt: at });
const repo = (): StoredRepo => ({
  ...versioned(),
  provider: 'github',
  fullName: 'acme/Shop',
  nameKey: 'acme/shop',
  defaultBranch: 'main',
});
const app = (): App => ({
  ...versioned(),
  projectId: randomUUID(),
  repoId: randomUUID(),
  name: 'Shop',
  entrypoint: null,
});
const place = (): StoredProjectEnvironment => ({
  ...versioned(),
  projectId: randomUUID(),
  repoId: randomUUID(),
  environment: 'production',
  type: 'production',
  branch: 'main',
  pullRequest: null,
  managedBy: null,
  deploymentSequence: 1,
  latestDeployment: randomUUID(),
  activeDeployment: null,
  activeSequence: 0,
});
const deployment = (): Deployment => ({
  id: randomUUID(),
  projectEnvironmentId: randomUUID(),
  sequence: 1,
  status: 'created',
  gitRef: 'main',
  sha: '0'.repeat(40),
  url: null,
  description: null,
  rollbackOf: null,
  configuration: null,
  createdBy: { type: 'user', id: 'ada' },
  deadline: at,
  createdAt: at,
  startedAt: null,
  endedAt: null,
  updatedAt: at,
});
const deploying = (adds: boolean, replaced: Deployment | null): Call => {
  return ({ deployments }, made) =>
    deployments.move({
      environment: place(),
      deployment: deployment(),
      replaced,
      adds,
      expectedVersion: 1,
      change: made,
    });
};

type Call = (storage: Storage, change: Change) => Stored<Written<string>>;
const creating = (count: number, treeVersion: number | null): Call => {
  return ({ projects }, made) => {
    const one = project(treeVersion === null ? null : randomUUID());
    const environments = Array.from({ length: count }, (_none, index) => environment(`E ${index}`, one.id));
    return projects.create({ project: one, environments, treeVersion, change: made });
  };
};
const moving = (treeVersion: number): Call => {
  return ({ projects }, made) =>
    projects.move({
      project: project(randomUUID()),
      previousParentId: null,
      expectedVersion: 1,
      treeVersion,
      treeGrowth: 2,
      change: made,
    });
};
const changing = (call: (storage: Storage, one: StoredEnvironment, made: Change) => Stored<Written<string>>): Call => {
  return (storage, made) => call(storage, environment('E', randomUUID()), made);
};

const named = { id: randomUUID(), name: 'N', nameKey: 'n', displayName: 'N', version: 2, createdAt: at, updatedAt: at };
const platform: StoredEntry<'platform'> = { ...named, cloudProvider: 'aws', region: null };
const imageType: StoredEntry<'image_type'> = { ...named, description: null };
const planOf = (version: number): StoredPlan => {
  return {
    id: randomUUID(),
    projectId: randomUUID(),
    version,
    milestones: [{ state: 100, name: null }],
    createdAt: at,
  };
};
const buildId = randomUUID();
const build = (): StoredBuild => ({
  id: buildId,
  buildNumber: randomUUID(),
  projectId: randomUUID(),
  platformId: randomUUID(),
  osVersionId: randomUUID(),
  imageTypeId: randomUUID(),
  currentState: 0,
  status: 'running',
  retryCount: 0,
  planVersion: 0,
  milestones: [0, 100],
  attempts: 2,
  attemptStartedAt: at,
  startTime: at,
  endTime: null,
  heartbeatTimeoutMs: 1_000,
  heartbeatAt: at,
  createdBy: { type: 'user', id: 'ada' },
  version: 2,
  createdAt: at,
  updatedAt: at,
});
const attempt = (sequence: number): StoredBuildState => ({
  id: randomUUID(),
  buildId,
  sequence,
  state: 0,
  status: 'started',
  startTime: at,
  endTime: null,
  errorMessage: null,
  retryCount: 0,
});
const over = { status: 'completed', endTime: at } as const;
const failure = (retryAttempt: number): BuildFailure => ({
  id: randomUUID(),
  buildId,
  state: 0,
  failureType: 't',
  errorMessage: 'e',
  errorDetails: null,
  component: null,
  retryAttempt,
  resolved: true,
  resolutionNotes: null,
  createdAt: at,
  resolvedAt: null,
});
const movingBuild = (what: Partial<Parameters<Storage['builds']['move']>[0]>): Call => {
  return ({ builds }, made) =>
    builds.move({ build: build(), ended: null, begun: null, failure: null, expectedVersion: 1, ...what, change: made });
};

const world = newWorld('o');
const preview = (hasRuntime = false) => newPreview(world, 'pr-1', { hasRuntime });
const changingPreview = (what: Partial<PreviewWrite>): Call => {
  return ({ previews }, made) =>
    previews.write({ ...writing('o', preview(), what), change: made, expectedVersion: 1, previousBranch: null });
};

const calls: Readonly<Record<string, Call>> = {
  'projects.create': creating(1, null),
  'projects.create with three': creating(3, null),
  'projects.create under a parent': creating(1, 4),
  'projects.create as the first child': creating(1, 0),
  'projects.update': ({ projects }, made) =>
    projects.update({ project: project(), previousNameKey: 'q', expectedVersion: 1, change: made }),
  'projects.move': moving(3),
  'projects.move as the first': moving(0),
  'projects.delete': ({ projects }, made) => projects.delete({ project: project(), change: made }),
  'environments.create': changing(({ environments }, one, made) =>
    environments.create({ environment: one, maximum: 50, change: made }),
  ),
  'environments.update': changing(({ environments }, one, made) =>
    environments.update({ environment: one, previousNameKey: 'f', expectedVersion: 1, change: made }),
  ),
  'environments.setVariables': changing(({ environments }, one, made) =>
    environments.setVariables({ environment: one, expectedVersion: 1, change: made }),
  ),
  'environments.makeDefault': changing(({ environments }, one, made) =>
    environments.makeDefault({ ref: one, change: made }),
  ),
  'environments.delete': changing(({ environments }, one, made) =>
    environments.delete({ environment: { ...one, isDefault: false }, promote: null, change: made }),
  ),
  'environments.delete of the default': changing(({ environments }, one, made) =>
    environments.delete({ environment: { ...one, isDefault: true }, promote: randomUUID(), change: made }),
  ),
  'catalog.create': ({ catalog }, made) => catalog.create({ kind: 'platform', entry: platform, change: made }),
  'catalog.create of another kind': ({ catalog }, made) =>
    catalog.create({ kind: 'image_type', entry: imageType, change: made }),
  'catalog.update': ({ catalog }, made) =>
    catalog.update({ kind: 'platform', entry: platform, previousNameKey: 'q', expectedVersion: 1, change: made }),
  'catalog.delete': ({ catalog }, made) => catalog.delete({ kind: 'platform', entry: platform, change: made }),
  'builds.addPlan': ({ builds }, made) => builds.addPlan({ plan: planOf(2), change: made }),
  'builds.addPlan of the first': ({ builds }, made) => builds.addPlan({ plan: planOf(1), change: made }),
  'builds.add': ({ builds }, made) => builds.add({ build: build(), states: [], failures: [], change: made }),
  'builds.move': movingBuild({}),
  'builds.move into a milestone': movingBuild({ begun: attempt(2) }),
  'builds.move into another milestone': movingBuild({ ended: { ...attempt(1), ...over }, begun: attempt(2) }),
  'builds.move after a failure': movingBuild({ ended: { ...attempt(1), ...over }, failure: failure(1) }),
  'builds.move of a silent one': movingBuild({ failure: failure(1), silentSince: at }),
  'builds.move of one never heard of': movingBuild({ failure: failure(1), silentSince: null }),
  'builds.attachManifest': ({ builds }, made) =>
    builds.attachManifest({ build: build(), manifest: '{}', expectedVersion: 1, change: made }),
  'builds.resolveFailure': ({ builds }, made) => builds.resolveFailure({ failure: failure(1), change: made }),
  'deployments.createRepo': ({ deployments }, made) => deployments.createRepo({ repo: repo(), change: made }),
  'deployments.writeRepo': ({ deployments }, made) =>
    deployments.writeRepo({ repo: repo(), expectedVersion: 1, change: made }),
  'deployments.deleteRepo': ({ deployments }, made) => deployments.deleteRepo({ repo: repo(), change: made }),
  'deployments.createApp': ({ deployments }, made) => deployments.createApp({ app: app(), change: made }),
  'deployments.writeApp': ({ deployments }, made) =>
    deployments.writeApp({ app: app(), expectedVersion: 1, change: made }),
  'deployments.deleteApp': ({ deployments }, made) => deployments.deleteApp({ app: app(), change: made }),
  'deployments.createEnvironment': ({ deployments }, made) =>
    deployments.createEnvironment({ environment: place(), change: made }),
  'deployments.writeEnvironment': ({ deployments }, made) =>
    deployments.writeEnvironment({ environment: place(), previousBranch: null, expectedVersion: 1, change: made }),
  'deployments.deleteEnvironment': ({ deployments }, made) =>
    deployments.deleteEnvironment({ environment: place(), change: made }),
  'deployments.move of one that starts': deploying(true, null),
  'deployments.move of one that goes on': deploying(false, null),
  'deployments.move of one that takes the place of another': deploying(false, deployment()),
  'previews.create': ({ previews }, made) => previews.create(writing('o', preview(), { change: made })),
  'previews.create with a run, a runtime and a message': ({ previews }, made) => {
    const one = preview(true);
    const deployments = [{ deployment: deployment(), adds: true }];
    return previews.create(writing('o', one, { deployments, message: messageOf('o', one), change: made }));
  },
  'previews.write': changingPreview({}),
  'previews.write of one that has a runtime': changingPreview({ preview: preview(true) }),
  'previews.write of a run that ends and one that begins': changingPreview({
    deployments: [
      { deployment: deployment(), adds: false },
      { deployment: deployment(), adds: true },
    ],
    message: messageOf('o', preview()),
  }),
  'previews.writeSecret': ({ previews }, made) => previews.writeSecret({ secret: newSecret(world, 'A'), change: made }),
  'previews.writeSecret over a value': ({ previews }, made) =>
    previews.writeSecret({ secret: newSecret(world, 'A', 2), change: made }),
  'previews.removeSecret': ({ previews }, made) =>
    previews.removeSecret({ secret: newSecret(world, 'A'), change: made }),
  'journal.append': ({ journal }, made) => journal.append(made),
};

/** Owners before what they own. Whoever locks in another order waits for those who wait for him. What is deleted is locked first, and goes last. */
const lockOrder = [
  'org_trees',
  'projects',
  'environments',
  'platforms',
  'image_types',
  'milestone_plans',
  'builds',
  'build_states',
  'build_failures',
  'repos',
  'apps',
  'data_keys',
  'project_environments',
  'previews',
  'preview_runtimes',
  'preview_commands',
  'deployments',
  'app_secrets',
  'journal',
  'journal_queue',
  'idempotency_keys',
];

function textOf(step: Step): { readonly text: string; readonly placeholders: Placeholders } {
  const placeholders = new Placeholders(dialect);
  const set = step.do === 'update' ? assignmentsText(step, placeholders) : '';
  const rest = step.do === 'insert' ? JSON.stringify(rowsText(step, placeholders)) : conditionsText(step, placeholders);
  const owners = step.do === 'delete' && step.of !== undefined ? conditionsText(step.of, placeholders) : '';
  return { text: `${step.do} ${step.table} ${set} ${rest} ${owners}`, placeholders };
}

describe.each(Object.entries(calls))('the plan of %s', (_name, call) => {
  const planned = async (withKey: boolean) => (await plansOf((storage) => call(storage, change(withKey))))[0]!;

  test('locks owners before what they own, and writes its key last', async () => {
    const tables = new Set(stepsOf(await planned(true)).map(({ table }) => table));
    const ranks = [...tables].map((table) => lockOrder.indexOf(table));
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    expect(ranks).not.toContain(-1);
    expect(ranks.at(-1)).toBe(lockOrder.indexOf('idempotency_keys'));
  });

  test('writes its journal entry, and the entry’s place in the queue', async () => {
    const inserted = (await planned(false)).steps.filter((step) => step.do === 'insert').map(({ table }) => table);
    expect(inserted.filter((table) => table === 'journal')).toHaveLength(1);
    expect(inserted.filter((table) => table === 'journal_queue')).toHaveLength(1);
  });

  test('stays in its org with every step', async () => {
    for (const step of stepsOf(await planned(true))) {
      const named = step.do === 'insert' ? step.rows : [step.where];
      if (step.do === 'delete' && step.of !== undefined) expect(step.of.where).toMatchObject({ org_id: 'o' });
      for (const row of named) expect(row).toMatchObject({ org_id: 'o' });
    }
  });

  test('has one text for each name, and a value for each placeholder', async () => {
    for (const withKey of [false, true]) {
      const [first, second] = [await planned(withKey), await planned(withKey)];
      expect(first.name).toBe(second.name);
      expect(stepsOf(first).map((step) => textOf(step).text)).toEqual(stepsOf(second).map((step) => textOf(step).text));
      for (const step of stepsOf(first)) {
        expect(stepValues(dialect, step)).toHaveLength(textOf(step).placeholders.parameters.length);
      }
    }
    expect((await planned(true)).name).not.toBe((await planned(false)).name);
  });
});

test('plans that differ in their text differ in their names', async () => {
  const texts = new Map<string, string>();
  for (const call of Object.values(calls)) {
    for (const withKey of [false, true]) {
      const [plan] = await plansOf((storage) => call(storage, change(withKey)));
      const text = stepsOf(plan!)
        .map((step) => textOf(step).text)
        .join('; ');
      expect(texts.get(plan!.name) ?? text).toBe(text);
      texts.set(plan!.name, text);
    }
  }
  expect(texts.size).toBe(2 * Object.keys(calls).length);
});

test('a move leaves alone what others may have changed: the project that went, the manifest that came', async () => {
  const [plan] = await plansOf((storage) => movingBuild({})(storage, change(false)));
  const [step] = plan!.steps as readonly (Step & { readonly do: 'update' })[];
  for (const column of ['project_id', 'packer_manifest', 'created_at', 'org_id']) {
    expect(step!.set).not.toHaveProperty(column);
  }
  const [attached] = await plansOf((storage) => calls['builds.attachManifest']!(storage, change(false)));
  expect(Object.keys((attached!.steps[0] as typeof step)!.set)).toEqual(['packer_manifest', 'version', 'updated_at']);
});

describe('the plan of a whole history', () => {
  const importing = async (attempts: number, failures: number) => {
    const states = Array.from({ length: attempts }, (_none, index) => attempt(index + 1));
    const failed = Array.from({ length: failures }, (_none, index) => failure(index));
    const command = { build: build(), states, failures: failed, change: change(true) };
    const [plan] = await plansOf(({ builds }) => builds.add(command));
    const rowsOf = (table: string) =>
      plan!.steps.flatMap((step) => (step.do === 'insert' && step.table === table ? [step.rows] : []));
    return { plan: plan!, states, failed, attempts: rowsOf('build_states'), failures: rowsOf('build_failures') };
  };

  test.each([
    [1, [1]],
    [128, [128]],
    [127, [64, 32, 16, 8, 4, 2, 1]],
    [1_000, [128, 128, 128, 128, 128, 128, 128, 64, 32, 8]],
  ])('inserts %i rows in lengths that are powers of two, and none is lost', async (count, lengths) => {
    const { plan, states, failed, attempts, failures } = await importing(count, count);
    expect(attempts.map((rows) => rows.length)).toEqual(lengths);
    expect(failures.map((rows) => rows.length)).toEqual(lengths);
    expect(attempts.flat().map((row) => (row as { id: string }).id)).toEqual(states.map(({ id }) => id));
    expect(failures.flat().map((row) => (row as { id: string }).id)).toEqual(failed.map(({ id }) => id));
    expect(plan.manyShapes).toBe(true);
    const ranks = stepsOf(plan).map(({ table }) => lockOrder.indexOf(table));
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
  });

  test('can be bound whole by every server: none takes more than 65,535 values', async () => {
    const { plan } = await importing(1_000, 1_000);
    expect(stepsOf(plan).flatMap((step) => stepValues(dialect, step)).length).toBeLessThan(65_535);
  });

  test('only it goes without a text that is kept', async () => {
    for (const call of Object.values(calls)) {
      const [plan] = await plansOf((storage) => call(storage, change(true)));
      expect(plan).not.toHaveProperty('manyShapes');
    }
  });
});
