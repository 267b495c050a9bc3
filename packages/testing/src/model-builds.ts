import { buildStatuses } from '@vivarium/core';
import type { BuildHistory, CatalogLists, Client } from '@vivarium/core';

import { catalogOf } from './every-build-call.ts';
import { among, demote, modelContext, nobody, pages, remember } from './model-context.ts';
import type { Draft } from './model-context.ts';

type List = CatalogLists[keyof CatalogLists];

interface Seen {
  readonly projects: string[];
  readonly platforms: string[];
  readonly osVersions: string[];
  readonly imageTypes: string[];
  readonly builds: string[];
  readonly failures: string[];
}

const lists: readonly List[] = ['platforms', 'osVersions', 'imageTypes'];
/** Milestones, and one that is a milestone of no plan. */
const states = [0, 5, 10, 50, 95, 100, 7];
const plans = [[100], [0, 5, 100], [0, 10, { state: 50, name: 'half' }, 100]];
const components = [null, 'disk', 'Disk'];
const heartbeatTimeoutMs = 60_000;

function choose(draft: Draft, seen: Seen, elsewhere: Seen) {
  const { dice, item, owner, other, text } = draft;
  const list = lists[text % 3]!;
  return {
    list,
    entry: among(seen[list], elsewhere[list], other, nobody),
    build: among(seen.builds, elsewhere.builds, item, nobody),
    failure: among(seen.failures, elsewhere.failures, other, nobody),
    project: among(seen.projects, elsewhere.projects, owner, nobody),
    state: states[dice % states.length]!,
    references: {
      ...(dice % 3 > 0 && { projectId: among(seen.projects, elsewhere.projects, owner, nobody) }),
      platformId: among(seen.platforms, elsewhere.platforms, other === 9 ? 9 : other % 2, nobody),
      osVersionId: among(seen.osVersions, elsewhere.osVersions, 0, nobody),
      imageTypeId: among(seen.imageTypes, elsewhere.imageTypes, text % 2, nobody),
    },
  };
}

/** What an entry of a list is made of, without its name. */
function entryOf(list: List, { text, dice }: Draft): object {
  if (list === 'platforms') return { cloudProvider: 'aws', ...(dice % 2 === 0 && { region: `region ${text}` }) };
  if (list === 'osVersions')
    return { osFamily: 'rhel', majorVersion: dice, ...(text % 2 === 0 && { minorVersion: text }) };
  return dice % 2 === 0 ? { description: `${text}` } : {};
}

/** A history that follows the rules, but for a milestone that may be none of the plan, and a status that may be another one. */
function historyOf(
  { variables, dice, text }: Draft,
  now: Date,
): Pick<BuildHistory, 'status' | 'createdAt' | 'endTime' | 'states' | 'failures'> {
  const start = now.getTime() - 100_000;
  const at = (seconds: number) => new Date(start + seconds * 1_000);
  const attempts: BuildHistory['states'][number][] = [];
  const failures: NonNullable<BuildHistory['failures']>[number][] = [];
  const add = (state: number, status: 'completed' | 'failed' | 'started', errorMessage: string | null = null) => {
    const [startTime, endTime] = [at(attempts.length), status === 'started' ? null : at(attempts.length + 1)];
    attempts.push({ state, status, startTime, endTime, errorMessage });
  };
  for (const { key, text: told } of variables.toSorted((a, b) => a.key - b.key)) {
    const state = states[key]!;
    for (let retryAttempt = 0; retryAttempt < told % 3; retryAttempt++) {
      add(state, 'failed', `attempt ${retryAttempt}`);
      const createdAt = at(attempts.length);
      failures.push({ state, retryAttempt, failureType: 'quota', errorMessage: `attempt ${retryAttempt}`, createdAt });
    }
    add(state, 'completed');
  }
  const last = attempts.at(-1);
  const isComplete = last?.state === 100;
  const ending = isComplete ? 'completed' : last === undefined ? 'pending' : 'running';
  if (dice % 5 === 0 && !isComplete)
    return { status: 'canceled', createdAt: at(0), endTime: at(50), states: attempts, failures };
  if (dice % 7 === 0)
    return { status: buildStatuses[text % 2 === 0 ? 0 : 1], createdAt: at(0), states: attempts, failures };
  return { status: ending, createdAt: at(dice === 11 ? 10_000 : 0), states: attempts, failures };
}

/** The catalog, plans and builds. */
export const buildsModel = modelContext<Seen, ReturnType<typeof choose>>({
  commands: {
    'builds.catalog.create': {
      weight: 4,
      send: (client, { list, name, draft, options }) =>
        catalogOf(client as Client<unknown>, list).create({
          name,
          ...(draft.limit === 1 && { displayName: 'Shown' }),
          ...entryOf(list, draft),
          ...options,
        }),
    },
    'builds.catalog.get': { send: (client, { list, entry }) => catalogOf(client as Client<unknown>, list).get(entry) },
    'builds.catalog.getByName': {
      send: (client, { list, name }) => catalogOf(client as Client<unknown>, list).getByName(name),
    },
    'builds.catalog.list': {
      send: (client, choices) =>
        pages(choices, (page) => catalogOf(client as Client<unknown>, choices.list).list(page) as never),
    },
    'builds.catalog.update': {
      weight: 2,
      send: (client, { list, entry, name, draft, changeOptions }) =>
        catalogOf(client as Client<unknown>, list).update(entry, {
          ...(draft.limit % 2 === 0 && { name }),
          ...entryOf(list, draft),
          ...changeOptions,
        }),
    },
    'builds.catalog.delete': {
      weight: 2,
      send: (client, { list, entry, changeOptions }) =>
        catalogOf(client as Client<unknown>, list).delete(entry, changeOptions),
    },

    'builds.milestonePlans.define': {
      weight: 2,
      send: ({ builds }, { project, draft, options }) =>
        builds.milestonePlans.define({ projectId: project, milestones: plans[draft.text % plans.length]!, ...options }),
    },
    'builds.milestonePlans.get': {
      send: ({ builds }, { project, draft }) =>
        builds.milestonePlans.get({ projectId: project, ...(draft.limit > 1 && { version: draft.limit - 2 }) }),
    },

    'builds.start': {
      weight: 6,
      send: ({ builds }, { name, references, draft, options }) =>
        builds.start({ buildNumber: name, ...references, ...(draft.limit > 1 && { heartbeatTimeoutMs }), ...options }),
    },
    'builds.import': {
      weight: 4,
      send: ({ builds }, { name, references, draft, clock, options }) =>
        builds.import({ buildNumber: `old ${name}`, ...references, ...historyOf(draft, clock.now()), ...options }),
    },
    'projects.create of builds': {
      weight: 2,
      send: ({ projects }, { name, options }) => projects.create({ name: `of builds ${name}`, ...options }),
    },
    'projects.delete of builds': {
      send: ({ projects }, { project, changeOptions }) => projects.delete(project, changeOptions),
    },
    'builds.states.enter what comes next': {
      weight: 8,
      send: async ({ builds }, { build, draft, changeOptions }) => {
        const found = await builds.get(build);
        const ahead = found.isOk()
          ? found.value.milestones.filter((one) => one > found.value.currentState || found.value.attempts === 0)
          : [];
        const next = draft.dice % 3 === 0 ? ahead.at(-1) : ahead[draft.dice % 2];
        return builds.states.enter(build, { state: next ?? 100, ...changeOptions });
      },
    },
    'builds.states.enter': {
      weight: 4,
      send: ({ builds }, { build, state, changeOptions }) => builds.states.enter(build, { state, ...changeOptions }),
    },
    'builds.states.complete': {
      weight: 5,
      send: ({ builds }, { build, state, changeOptions }) => builds.states.complete(build, { state, ...changeOptions }),
    },
    'builds.states.complete where it is': {
      weight: 5,
      send: async ({ builds }, { build, changeOptions }) => {
        const found = await builds.get(build);
        const state = found.isOk() ? found.value.currentState : 0;
        return builds.states.complete(build, { state, ...changeOptions });
      },
    },
    'builds.states.fail': {
      weight: 6,
      send: ({ builds }, { build, state, text, draft, changeOptions }) =>
        builds.states.fail(build, {
          ...(draft.limit === 1 && { state }),
          failureType: draft.dice % 2 === 0 ? 'quota' : 'timeout',
          errorMessage: `because ${text}`,
          ...(draft.text % 2 === 0 && { component: components[draft.dice % 3]! }),
          ...(draft.text % 3 === 0 && { errorDetails: { text, list: [draft.dice, null] } }),
          ...changeOptions,
        }),
    },
    'builds.resume': { weight: 6, send: ({ builds }, { build, changeOptions }) => builds.resume(build, changeOptions) },
    'builds.cancel': { send: ({ builds }, { build, changeOptions }) => builds.cancel(build, changeOptions) },
    'builds.planResume': { weight: 2, send: ({ builds }, { build }) => builds.planResume(build) },
    'builds.heartbeat': { weight: 2, send: ({ builds }, { build }) => builds.heartbeat(build) },
    'builds.attachPackerManifest': {
      weight: 2,
      send: ({ builds }, { build, text, draft, changeOptions }) => {
        const artifact = { name: 'a', builder_type: 'qemu', artifact_id: text, packer_run_uuid: 'run' };
        const manifest = { text, builds: [artifact], last_run_uuid: draft.dice % 8 === 1 ? 'another' : 'run' };
        return builds.attachPackerManifest(
          build,
          draft.limit === 1 ? JSON.stringify(manifest) : manifest,
          changeOptions,
        );
      },
    },
    'builds.get': { send: ({ builds }, { build }) => builds.get(build) },
    'builds.getByNumber': { send: ({ builds }, { name }) => builds.getByNumber(name) },
    'builds.list': { weight: 2, send: ({ builds }, choices) => pages(choices, (page) => builds.list(page)) },
    'builds.list of some': {
      weight: 2,
      send: ({ builds }, choices) => {
        const { references, draft } = choices;
        const { projectId, platformId } = references;
        const filter = {
          ...(draft.limit % 2 === 0 ? projectId !== undefined && { projectId } : { platformId }),
          ...(draft.text % 2 === 0 && { status: buildStatuses[draft.dice % buildStatuses.length]! }),
        };
        return pages(choices, (page) => builds.list({ ...filter, ...page }));
      },
    },
    'builds.listStates': {
      weight: 2,
      send: ({ builds }, choices) => pages(choices, (page) => builds.listStates(choices.build, page)),
    },
    'builds.listFailures': {
      weight: 2,
      send: ({ builds }, choices) => {
        const { draft } = choices;
        const filter = {
          ...(draft.text % 2 === 0 && { resolved: draft.text % 4 === 0 }),
          ...(draft.limit % 2 === 0 && { component: 'disk' }),
        };
        return pages(choices, (page) => builds.listFailures({ ...filter, ...page }));
      },
    },
    'builds.listFailures of a build': {
      weight: 2,
      send: ({ builds }, choices) => pages(choices, (page) => builds.listFailures({ buildId: choices.build, ...page })),
    },
    'builds.resolveFailure': {
      weight: 3,
      send: async ({ builds }, { failure, text, draft, options }) => {
        const found = await builds.listFailures({ limit: 4 });
        const latest = found.isOk() ? found.value.items[draft.other]?.id : undefined;
        return builds.resolveFailure(latest ?? failure, { notes: `done: ${text}`, ...options });
      },
    },
    'builds.stats': {
      weight: 2,
      send: ({ builds }, { references, draft, clock }) => {
        const { projectId, platformId } = references;
        const to = new Date(clock.now().getTime() - draft.other * 10);
        const filter = {
          ...(draft.limit === 1 && projectId !== undefined && { projectId }),
          ...(draft.limit === 2 && { platformId }),
          ...(draft.limit === 3 && { from: new Date(to.getTime() - 200_000), to }),
        };
        // Percentiles may be approximate; those have a test of their own.
        return builds.stats(filter).map(({ approximate: _approximate, states: figures, ...rest }) => ({
          ...rest,
          states: figures.map(({ state, attempts, completed, failed }) => ({ state, attempts, completed, failed })),
        }));
      },
    },
    'builds.sweep': {
      weight: 2,
      pauseMs: ({ command, dice }) => (command === 'builds.sweep' ? dice * 2_000 : 0),
      send: ({ builds }, { draft }) => builds.sweep({ limit: draft.limit, dryRun: draft.text % 3 === 0 }),
    },
  },

  beginning: [
    ...lists.map((_, text) => ({ command: 'builds.catalog.create', text })),
    { command: 'projects.create of builds' },
    ...[0, 1, 2].map((name) => ({ command: 'builds.start', name, dice: name, limit: 2 })),
  ],
  ending: [
    ...lists.map((_, text) => ({ command: 'builds.catalog.list', text })),
    { command: 'builds.list' },
    { command: 'builds.listFailures', text: 1, limit: 3 },
    { command: 'builds.stats' },
    ...Array.from({ length: 3 }, (_, item) => ({ command: 'builds.listStates', item })),
  ],

  notable: (command, { ok }) => {
    if (command === 'builds.sweep')
      return (ok as { outcome: string }[]).map(({ outcome }) => `swept: build ${outcome}`);
    const { status } = (ok ?? {}) as { status?: string };
    return command === 'builds.states.complete where it is' && status === 'completed' ? ['a build was completed'] : [];
  },

  nothingSeen: () => ({ projects: [], platforms: [], osVersions: [], imageTypes: [], builds: [], failures: [] }),
  choose,

  learn(part, seen) {
    const { id } = part;
    if (typeof id !== 'string') return;
    if ('defaultEnvironmentId' in part) remember(seen.projects, id);
    if ('cloudProvider' in part) remember(seen.platforms, id);
    else if ('osFamily' in part) remember(seen.osVersions, id);
    else if ('displayName' in part) remember(seen.imageTypes, id);
    if ('buildNumber' in part && 'currentState' in part) remember(seen.builds, id);
    if ('failureType' in part && 'retryAttempt' in part) remember(seen.failures, id);
  },

  forget(command, { list, entry, project }, seen) {
    if (command.startsWith('projects')) demote(seen.projects, (one) => one === project);
    if (command.startsWith('builds.catalog')) demote(seen[list], (one) => one === entry);
  },
});
