// runtime.ts
import { signedReport, verifyRuntimeRequest } from '@vivarium/integrations/runtime-http';
import type { RuntimeCreateRequest } from '@vivarium/integrations/runtime-http';

export interface Cluster {
  /** Starts what is not there yet under this key, and answers when it runs. */
  start(key: string, asked: RuntimeCreateRequest): Promise<{ readonly url: string }>;
  /** Removes what is there under this key. */
  remove(key: string): Promise<void>;
}

export function runtimeService(secret: string, cluster: Cluster): (request: Request) => Promise<Response> {
  return async (request) => {
    const body = await request.text();
    const verified = verifyRuntimeRequest({ headers: request.headers, body, secret });
    if (verified.isErr()) return new Response(null, { status: 401 });
    const { request: asked } = verified.value;
    if (asked.type === 'remove') {
      await Promise.all(asked.keys.map((key) => cluster.remove(key)));
      return new Response(null, { status: 204 });
    }
    void run(asked, cluster);
    return Response.json({ runtimeId: asked.key }, { status: 202 });
  };
}

async function run(asked: RuntimeCreateRequest, cluster: Cluster): Promise<void> {
  const { org: orgId, preview, reportKey, reportUrl } = asked;
  const about = { version: 1, orgId, projectEnvironmentId: preview.id, generation: preview.generation } as const;
  const outcome = await cluster.start(asked.key, asked).then(
    ({ url }) => ({ status: 'running', url }) as const,
    (error: Error) => ({ status: 'error', reason: error.message.slice(0, 1_000) || 'it did not start' }) as const,
  );
  await fetch(reportUrl!, signedReport({ ...about, sequence: 1, ...outcome }, reportKey));
}
