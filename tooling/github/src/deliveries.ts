import { createHmac, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';

/** What previews look at in a payload of GitHub's; everything else is in it, too. */
export interface Payload {
  action?: string;
  ref?: string;
  after?: string;
  deleted?: boolean;
  installation?: { id: number };
  repository: { full_name: string; default_branch: string };
  pull_request?: { number: number; head: { ref: string; sha: string; repo: { full_name: string } | null } };
}

/** Payloads that GitHub has really sent. */
export const realPayloads = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly {
  readonly name: string;
  readonly examples: readonly Payload[];
}[];

/** The real payloads of an event, each time anew: to be changed in what matters. */
export function payloads(name: string): Payload[] {
  const known = realPayloads.find((each) => each.name === name);
  if (known === undefined) throw new Error(`GitHub has sent no ${name}`);
  return structuredClone([...known.examples]);
}

/** The request by which GitHub delivers a webhook. */
export function signedDelivery(
  name: string,
  body: string,
  secret: string,
): { readonly method: 'POST'; readonly headers: Record<string, string>; readonly body: string } {
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'GitHub-Hookshot/044aadd',
    'x-github-delivery': randomUUID(),
    'x-github-event': name,
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  };
  return { method: 'POST', headers, body };
}
