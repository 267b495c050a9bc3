import { isDeepStrictEqual } from 'node:util';
import type { EnvironmentRef } from '@vivarium/core';

import { among, demote, keys, modelContext, nobody, pages, remember, texts } from './model-context.ts';
import type { Draft } from './model-context.ts';

interface Seen {
  readonly projects: string[];
  readonly environments: EnvironmentRef[];
}

/** What both sides were asked for so far is enough to name things, also those that are gone. */
function choose(draft: Draft, seen: Seen, elsewhere: Seen) {
  const nowhere = { projectId: nobody, id: nobody };
  const environment = among(seen.environments, elsewhere.environments, draft.item, nowhere);
  const siblings = seen.environments.filter(({ projectId }) => projectId === environment.projectId);
  const others = draft.text % 2 === 0 ? siblings : seen.environments;
  return {
    project: among(seen.projects, elsewhere.projects, draft.owner, nobody),
    other: among(seen.projects, elsewhere.projects, draft.other, nobody),
    environment,
    otherEnvironment: among(others, elsewhere.environments, draft.other, nowhere),
    variables: draft.variables.map(({ key, text }) => ({
      key: keys[key]!,
      value: texts[text]!,
      ...(text === 1 ? { description: 'described' } : {}),
    })),
  };
}

/** Projects and their environments. */
export const environmentsModel = modelContext<Seen, ReturnType<typeof choose>>({
  commands: {
    'projects.create': {
      weight: 6,
      send: ({ projects }, { name, text, variables, other, draft, options }) =>
        projects.create({
          name,
          ...(draft.text % 3 === 0 ? {} : { description: text }),
          ...(draft.other % 3 === 0 ? {} : { parentProjectId: other }),
          ...(draft.limit % 2 === 0
            ? {}
            : {
                environments: [
                  { name, variables },
                  { name: `${name} 2`, description: text },
                ],
              }),
          ...options,
        }),
    },
    'projects.create of a chain': {
      weight: 2,
      send: async ({ projects }, { other, name, text, draft }) => {
        const chain: unknown[] = [];
        let parentProjectId = other;
        for (let level = 0; level < 7; level++) {
          const answer = await projects.create({
            name: `${name} ${draft.text} ${level}`,
            description: text,
            parentProjectId,
          });
          chain.push(answer);
          if (answer.isErr()) break;
          parentProjectId = answer.value.id;
        }
        return { chain, ...(chain.length > 1 && { ok: 'at least one' }) };
      },
    },
    'projects.get': { send: ({ projects }, { project }) => projects.get(project) },
    'projects.getByName': { weight: 2, send: ({ projects }, { name }) => projects.getByName(name) },
    'projects.list': { send: ({ projects }, choices) => pages(choices, (page) => projects.list(page)) },
    'projects.list of roots': {
      send: ({ projects }, choices) => pages(choices, (page) => projects.list({ parentProjectId: null, ...page })),
    },
    'projects.list of children': {
      send: ({ projects }, choices) =>
        pages(choices, (page) => projects.list({ parentProjectId: choices.project, ...page })),
    },
    'projects.update': {
      weight: 2,
      send: ({ projects }, { project, name, text, draft, changeOptions }) =>
        projects.update(project, {
          ...(draft.text % 2 === 0 ? {} : { name }),
          ...(draft.limit % 2 === 0 ? {} : { description: draft.limit === 1 ? null : text }),
          ...changeOptions,
        }),
    },
    'projects.move': {
      weight: 4,
      send: ({ projects }, { project, other, draft, changeOptions }) =>
        projects.move(project, { parentProjectId: draft.limit === 1 ? null : other, ...changeOptions }),
    },
    'projects.ancestors': { send: ({ projects }, { project }) => projects.ancestors(project) },
    'projects.delete': { send: ({ projects }, { project, changeOptions }) => projects.delete(project, changeOptions) },

    'environments.create': {
      weight: 6,
      send: ({ environments }, { project, name, text, variables, draft, options }) =>
        environments.create({
          projectId: project,
          name,
          variables,
          ...(draft.limit % 2 === 0 ? {} : { description: text }),
          ...options,
        }),
    },
    'environments.get': { send: ({ environments }, { environment }) => environments.get(environment) },
    'environments.getByName': {
      weight: 2,
      send: ({ environments }, { project, name }) => environments.getByName(project, name),
    },
    'environments.getDefault': { send: ({ environments }, { project }) => environments.getDefault(project) },
    'environments.list': {
      weight: 2,
      send: ({ environments }, choices) =>
        pages(choices, (page) => environments.list({ projectId: choices.project, ...page })),
    },
    'environments.search': {
      send: ({ environments }, choices) =>
        pages(choices, (page) =>
          environments.search({
            projectId: choices.project,
            ...(choices.draft.text % 2 === 0 ? {} : { name: choices.name.slice(0, 2) }),
            ...(choices.draft.other % 2 === 0 ? {} : { variableKey: keys[choices.draft.other % keys.length]! }),
            ...page,
          }),
        ),
    },
    'environments.update': {
      weight: 4,
      send: ({ environments }, { environment, name, text, draft, changeOptions }) =>
        environments.update(environment, {
          ...(draft.text % 2 === 0 ? {} : { name }),
          ...(draft.limit % 2 === 0 ? {} : { description: draft.limit === 1 ? null : text }),
          ...changeOptions,
        }),
    },
    'environments.setVariables': {
      weight: 4,
      send: ({ environments }, { environment, variables, changeOptions }) =>
        environments.setVariables(environment, { variables, ...changeOptions }),
    },
    'environments.patchVariables': {
      weight: 5,
      send: ({ environments }, { environment, variables, draft, changeOptions }) =>
        environments.patchVariables(environment, {
          set: variables,
          unset: keys.filter(
            (key, index) => index % 3 === draft.other % 3 && !variables.some((one) => one.key === key),
          ),
          ...changeOptions,
        }),
    },
    'environments.makeDefault': {
      weight: 4,
      send: ({ environments }, { environment, changeOptions }) => environments.makeDefault(environment, changeOptions),
    },
    'environments.duplicate': {
      weight: 3,
      send: ({ environments }, { environment, name, changeOptions }) =>
        environments.duplicate(environment, { name, ...changeOptions }),
    },
    'environments.diff': {
      send: ({ environments }, { environment, otherEnvironment }) => environments.diff(environment, otherEnvironment),
    },
    'environments.delete': {
      weight: 5,
      send: ({ environments }, { environment, otherEnvironment, draft, changeOptions }) =>
        environments.delete(environment, {
          ...(draft.limit % 3 === 0 ? { promote: otherEnvironment } : {}),
          ...changeOptions,
        }),
    },
    'environments.stats': { send: ({ environments }, { project }) => environments.stats(project) },
    'environments.reveal': {
      weight: 3,
      send: ({ environments }, { environment, draft }) =>
        environments.reveal(environment, {
          keys: keys.slice(draft.other % 3, (draft.other % 3) + 1 + (draft.limit % 2)),
        }),
    },
    'environments.resolve': {
      send: ({ environments }, { environment, draft, text }) =>
        environments.resolve(environment, draft.limit % 2 === 0 ? {} : { overrides: { B: text } }),
    },
    'environments.render': {
      weight: 2,
      send: ({ environments }, { environment, draft }) =>
        environments.render(environment, '<{{A}}|{{B:-none}}|{{__proto__}}>', {
          missing: draft.limit % 2 === 0 ? 'keep' : 'error',
        }),
    },
  },

  beginning: [{ command: 'projects.create', limit: 3 }],
  ending: [
    { command: 'projects.list' },
    ...Array.from({ length: 4 }, (_, owner) => ({ command: 'environments.list', owner })),
  ],

  nothingSeen: () => ({ projects: [], environments: [] }),
  choose,

  learn({ ref, id, defaultEnvironmentId }, { projects, environments }) {
    if (typeof defaultEnvironmentId === 'string' && typeof id === 'string') {
      remember(projects, id);
      remember(environments, { projectId: id, id: defaultEnvironmentId });
    }
    if (ref !== undefined) remember(environments, ref as EnvironmentRef);
  },

  forget(command, { project, environment }, { projects, environments }) {
    if (command.startsWith('environments')) demote(environments, (one) => isDeepStrictEqual(one, environment));
    if (!command.startsWith('projects')) return;
    demote(projects, (one) => one === project);
    demote(environments, ({ projectId }) => projectId === project);
  },
});
