import type { Vivarium } from '@vivarium/core';
import { githubWebhooks } from '@vivarium/integrations/github';
import { reportHandler } from '@vivarium/integrations/runtime-http';
import { serve } from 'ephemeral/http.ts';
import type { Server } from 'ephemeral/http.ts';

import { installation } from './github.ts';

/** The service that embeds Vivarium, as far as GitHub and the runtimes see it. */
export async function startHost(vivarium: () => Vivarium, org: string, secret: string): Promise<Server> {
  const orgsOf = (id: number) => (id === installation ? [org] : []);
  return serve(async (request) => {
    switch (new URL(request.url).pathname) {
      case '/github':
        return githubWebhooks({ vivarium: vivarium(), secret, orgsOf })(request);
      case '/reports':
        return reportHandler({ vivarium: vivarium() })(request);
      default:
        return new Response(null, { status: 404 });
    }
  });
}
