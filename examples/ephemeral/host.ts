import type { Vivarium } from '@vivarium/core';
import { completionHandler } from '@vivarium/integrations/pipeline-http';

import { serve } from './http.ts';
import type { Server } from './http.ts';

/** The host's own server, as far as pipelines see it: they complete their changes here, and use the secrets that their token opens. */
export async function startHost(vivarium: Vivarium<never>): Promise<Server> {
  const complete = completionHandler({ vivarium });
  const { secrets } = vivarium.system('acme').ephemeral;

  return serve(async (request) => {
    const url = new URL(request.url);
    if (url.pathname === '/complete') return complete(request);
    if (!url.pathname.startsWith('/secrets/')) return new Response(null, { status: 404 });

    const name = url.pathname.slice('/secrets/'.length);
    const token = request.headers.get('authorization')?.replace(/^Bearer /, '') ?? '';
    const bearer = { stateChangeId: url.searchParams.get('change') ?? '', token };
    if (request.method === 'PUT') {
      const written = await secrets.write({ ...bearer, name, value: await request.text() });
      return new Response(null, { status: written.isOk() ? 204 : 403 });
    }
    const value = await secrets.read({ ...bearer, name });
    return value.isOk() ? new Response(value.value.reveal()) : new Response(null, { status: 403 });
  });
}
