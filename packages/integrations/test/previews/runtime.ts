import { signedReport, verifyRuntimeRequest } from '../../src/runtime-http/index.ts';
import type { RuntimeCreateRequest } from '../../src/runtime-http/index.ts';
import type { RuntimeReport } from '@vivarium/core';

import { serve } from '../loopback.ts';

/** A run that the runtime has taken on. */
export interface Run {
  readonly asked: RuntimeCreateRequest;
  /** How often it was asked for. */
  times: number;
  isGone: boolean;
  /** Reports of this run, as its runtime sends it. Answers the status. */
  report(said: Partial<RuntimeReport> & Pick<RuntimeReport, 'status'>, key?: string): Promise<number>;
}

/** A runtime service of its own on loopback: it believes signed requests alone, and has one runtime for each key. */
export async function runtimeService(secret: string) {
  const runs = new Map<string, Run>();
  const state = {
    /** Answers instead, when it has something to say. */
    odd: (_type: 'create' | 'remove'): number | null => null,
  };

  const url = await serve(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const verified = verifyRuntimeRequest({ headers: request.headers, body, secret });
    if (verified.isErr()) return void response.writeHead(401).end();
    const { request: asked } = verified.value;
    const odd = state.odd(asked.type);
    if (odd !== null) return void response.writeHead(odd).end();
    if (asked.type === 'remove') {
      for (const key of asked.keys) {
        const run = runs.get(key);
        if (run !== undefined) run.isGone = true;
      }
      return void response.writeHead(204).end();
    }
    const run = runs.get(asked.key) ?? runOf(asked);
    run.times++;
    runs.set(asked.key, run);
    const runtimeId = `runtime of ${asked.key}`;
    response.writeHead(202, { 'content-type': 'application/json' }).end(JSON.stringify({ runtimeId }));
  });

  return {
    url,
    state,
    runs: () => [...runs.values()],
    newest: () => [...runs.values()].at(-1)!,
    living: () => [...runs.values()].filter(({ isGone }) => !isGone),
  };
}

function runOf(asked: RuntimeCreateRequest): Run {
  let sequence = 0;
  const { org: orgId, preview, reportUrl, reportKey } = asked;
  const about = { version: 1, orgId, projectEnvironmentId: preview.id, generation: preview.generation } as const;
  return {
    asked,
    times: 0,
    isGone: false,
    report: async (said, key = reportKey) => {
      const report = { ...about, sequence: ++sequence, ...said };
      return (await fetch(reportUrl!, signedReport(report, key))).status;
    },
  };
}
