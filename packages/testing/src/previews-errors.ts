import type { Client, ResultAsync, VivariumError } from '@vivarium/core';

import { commit } from './every-deployment-call.ts';
import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;

/** Every call of something that is not there, of previews. */
export function nowherePreviews({ previews }: Client<unknown>, world: World, nowhere: string): readonly Answer[] {
  const { previewed, asked, preview } = world;
  const { app } = previewed;
  const secret = { environmentType: 'preview', name: 'API_KEY' } as const;
  const wanted = { pullRequest: 1, branch: 'one', sha: commit('1') };
  return [
    previews.create({ appId: nowhere, ...wanted }),
    previews.create({ appId: asked.id, ...wanted }),
    // A project environment that no preview drives is none.
    ...[nowhere, app.id, preview.id].flatMap((id) => [
      previews.get(id),
      previews.restart(id),
      previews.stop(id),
      previews.remove(id),
      previews.forget(id, { note: 'x' }),
      previews.approve({ projectEnvironmentId: id, sha: commit('b') }),
    ]),
    previews.list({ appId: nowhere }),
    previews.list({ appId: asked.id, status: 'running' }),
    previews.reconcile({ appId: nowhere, openPullRequests: [] }),
    previews.secrets.set({ appId: nowhere, ...secret, value: 'x' }),
    previews.secrets.list({ appId: nowhere, environmentType: 'preview' }),
    previews.secrets.remove({ appId: nowhere, ...secret }),
    previews.secrets.remove({ appId: app.id, ...secret, name: 'NOWHERE' }),
    previews.secrets.remove({ appId: app.id, ...secret, environmentType: 'production' }),
  ];
}
