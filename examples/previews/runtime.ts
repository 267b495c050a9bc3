import { setTimeout as pause } from 'node:timers/promises';

import type { RuntimeReport } from '@vivarium/core';
import { signedReport, verifyRuntimeRequest } from '@vivarium/integrations/runtime-http';
import type { RuntimeCreateRequest } from '@vivarium/integrations/runtime-http';
import { serve } from 'ephemeral/http.ts';
import type { Server } from 'ephemeral/http.ts';

/** A service that runs previews. */
export interface RuntimeService extends Server {
  /** What it has running, by the key of the run. */
  readonly running: Map<string, RuntimeCreateRequest>;
  /** The commits that do not come up. */
  readonly broken: Map<string, string>;
}

/**
 * The runtime service, on the other side of HTTP: it believes requests that are signed with its secret, makes one runtime for each key, and reports how the run goes, signed with the
 * key of the run.
 */
export async function startRuntime(secret: string, log: (text: string) => void): Promise<RuntimeService> {
  const running = new Map<string, RuntimeCreateRequest>();
  const broken = new Map<string, string>();

  const server = await serve(async (request) => {
    const body = await request.text();
    const verified = verifyRuntimeRequest({ headers: request.headers, body, secret });
    if (verified.isErr()) return new Response(null, { status: 401 });
    const { request: asked } = verified.value;
    if (asked.type === 'remove') {
      for (const key of asked.keys) if (running.delete(key)) log(`runtime ${nameOf(key)} is gone`);
      return new Response(null, { status: 204 });
    }
    const isNew = !running.has(asked.key);
    running.set(asked.key, asked);
    if (isNew) void run(asked);
    return Response.json({ runtimeId: nameOf(asked.key) }, { status: 202 });
  });
  return { ...server, running, broken };

  async function run(asked: RuntimeCreateRequest): Promise<void> {
    const { key, preview, secrets, source } = asked;
    const given = Object.keys(secrets).join(', ') || 'no secrets';
    log(`runtime ${nameOf(key)} builds ${preview.environment} from ${source.sha.slice(0, 7)}, with ${given}`);
    await pause(250);
    await report(asked, 1, { status: 'tests_started' });
    await pause(250);
    const reason = broken.get(source.sha);
    if (reason !== undefined) return report(asked, 2, { status: 'error', reason });
    const url = `https://${preview.environment}.previews.example`;
    await report(asked, 2, { status: 'running', url, tests: 'passed' });
  }

  async function report(
    { key, org: orgId, preview, reportUrl, reportKey }: RuntimeCreateRequest,
    sequence: number,
    said: Pick<RuntimeReport, 'status' | 'url' | 'tests' | 'reason'>,
  ): Promise<void> {
    if (!running.has(key) || reportUrl === null) return;
    const about = { version: 1, orgId, projectEnvironmentId: preview.id, generation: preview.generation } as const;
    await fetch(reportUrl, signedReport({ ...about, sequence, ...said }, reportKey));
  }
}

/** The end of a key is enough to tell runtimes apart. */
function nameOf(key: string): string {
  return key.slice(-6);
}
