import type { Preview } from '@vivarium/core';

import { commit } from './every-deployment-call.ts';
import type { PreviewCommandMethod } from './every-preview-call.ts';
import type { Expected } from './journal.ts';
import type { World } from './world.ts';

/** What happens to a preview is a new version of its project environment. */
const changed = (
  action: string,
  which: 'asked' | 'waiting' | 'unstoppable',
  then: Partial<Preview> = {},
): Expected => ({
  action: `preview.${action}`,
  subject: 'project_environment',
  sequence: (world) => world[which].version + 1,
  id: (world) => world[which].id,
  data: (world) => {
    const { projectId, appId, environment, status, generation, sha, pullRequest } = { ...world[which], ...then };
    return { projectId, appId, environment, status, generation, sha, pullRequest };
  },
});
const ofTheApp = (action: string): Expected => ({
  action,
  subject: 'app',
  sequence: null,
  id: ({ previewed }: World) => previewed.app.id,
  data: () => ({ environmentType: 'preview', name: 'API_KEY' }),
});

/** What each command of previews writes into the journal. */
export const previewEntries: Readonly<Record<PreviewCommandMethod, Expected>> = {
  'previews.create': {
    action: 'preview.created',
    subject: 'project_environment',
    sequence: 1,
    id: () => null,
    data: ({ previewed: { app } }) => ({
      projectId: app.projectId,
      appId: app.id,
      environment: 'pr-7',
      status: 'initializing',
      generation: 1,
      sha: commit('7'),
      pullRequest: 7,
    }),
  },
  'previews.restart': changed('asked_to_restart', 'asked'),
  'previews.stop': changed('asked_to_stop', 'asked'),
  'previews.remove': changed('removed', 'waiting', { status: 'deleted' }),
  'previews.approve': changed('approved', 'waiting', { status: 'initializing', generation: 1, sha: commit('b') }),
  'previews.forget': changed('forgotten', 'unstoppable', { status: 'deleted' }),
  'previews.secrets.set': ofTheApp('app.secret_set'),
  'previews.secrets.remove': ofTheApp('app.secret_removed'),
};
