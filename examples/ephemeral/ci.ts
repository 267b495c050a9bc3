import { setTimeout as pause } from 'node:timers/promises';

import { verifyPipelineRequest } from '@vivarium/integrations/pipeline-http';
import type { PipelineStartRequest } from '@vivarium/integrations/pipeline-http';

import { serve } from './http.ts';
import type { Server } from './http.ts';

/** Tells what the CI is doing. */
type Log = (text: string) => void;

/**
 * The CI system, on the other side of HTTP: it has the secret that requests are signed with, and for each change the token that it was started
 * with, and nothing else.
 */
export async function startCi(secret: string, hostUrl: () => string, log: Log): Promise<Server> {
  const seen = new Set<string>();
  const failing = new Set<string>();

  return serve(async (request) => {
    const body = await request.text();
    const verified = verifyPipelineRequest({ headers: request.headers, body, secret });
    if (verified.isErr()) return new Response(null, { status: 401 });
    const { request: asked, idempotencyKey } = verified.value;
    if (asked.type === 'cancel') return new Response(null, { status: 204 });

    const executionId = `execution of ${asked.stateChange.id}`;
    if (!seen.has(idempotencyKey)) {
      seen.add(idempotencyKey);
      void run(asked);
    }
    return Response.json({ executionId }, { status: 202 });
  });

  async function run({ action, instance, parameters, stateChange, token }: PipelineStartRequest): Promise<void> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const secretAt = (name: string) => `${hostUrl()}/secrets/${name}?change=${stateChange.id}`;
    const complete = (result: 'passed' | 'failed', reason?: string) =>
      fetch(`${hostUrl()}/complete`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ org: 'acme', stateChangeId: stateChange.id, result, reason }),
      });

    await pause(150 + Math.random() * 250);
    if (parameters['stuck'] === 'yes') return log(`${action.pipelineYamlName} of ${instance.name} hangs`);

    if (action.stateChangeType === 'provisioning') {
      const value = `postgres://qa:${crypto.randomUUID()}@db/${encodeURIComponent(instance.name)}`;
      const { status } = await fetch(secretAt('DATABASE_URL'), { method: 'PUT', headers, body: value });
      log(`${action.pipelineYamlName} made a database for ${instance.name} and wrote DATABASE_URL: ${status}`);
    }
    if (action.stateChangeType === 'deploying') {
      const url = await fetch(secretAt('DATABASE_URL'), { headers });
      const password = await fetch(secretAt('ADMIN_PASSWORD'), { headers });
      const read = url.ok ? `${(await url.text()).length} characters` : `${url.status}`;
      log(
        `${action.pipelineYamlName} of ${instance.name} read DATABASE_URL: ${read}; ADMIN_PASSWORD: ${password.status}`,
      );
      if (parameters['fails'] === 'once' && !failing.has(instance.id)) {
        failing.add(instance.id);
        return void (await complete('failed', 'the health check did not answer'));
      }
    }
    await complete('passed');
  }
}
