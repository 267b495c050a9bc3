/** What every plan has to keep to, whichever engine runs it: looked at as data, before any engine has seen it. */
import { ok } from '@vivarium/core/storage';
import type {
  App,
  Change,
  Deployment,
  Storage,
  Stored,
  StoredEnvironment,
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

const at = new Date('2026-01-01T00:00:00.000Z');

/** Spells nothing that an engine would need; what matters here is order and count. */
const dialect: Dialect = {
  table: (name) => name,
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
  'journal.append': ({ journal }, made) => journal.append(made),
};

/**
 * Owners before what they own. Whoever locks in another order waits for those who wait for him. Data keys come before the owner that they go with: a cascade
 * takes away what says whose they are.
 */
const lockOrder = [
  'org_trees',
  'data_keys',
  'projects',
  'environments',
  'repos',
  'apps',
  'project_environments',
  'deployments',
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
    const ranks = stepsOf(await planned(true)).map(({ table }) => lockOrder.indexOf(table));
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
