import { createHash } from 'node:crypto';

import { verify } from '@octokit/webhooks-methods';
import { isVivariumError } from '@vivarium/core';
import type { ResultAsync, SourceEvent } from '@vivarium/core';
import { checkOptions, hasMethods, may, must } from '@vivarium/core/storage';

import { problem, problemOf } from '../http/problem.ts';
import { objectOf, receiveText, refusalOf } from '../http/receiving.ts';
import { wholeNumber } from '../whole-number.ts';
import { understand } from './events.ts';

/** The part of a `Vivarium` that webhooks are handed to. */
export interface WebhookVivarium {
  system(org: string): {
    readonly previews: {
      onEvent(event: SourceEvent): ResultAsync<unknown, { readonly code: string; readonly message: string }>;
    };
  };
}

/** Whose webhooks are taken, and for which orgs. */
export interface GitHubWebhooksOptions {
  readonly vivarium: WebhookVivarium;
  /** The secret of the app's webhook, at least 16 bytes; several while it is being replaced. */
  readonly secret: string | readonly string[];
  /** The orgs that an installation of the app belongs to. None is an answer: its events are then let pass. */
  readonly orgsOf: (installationId: number) => Promise<readonly string[]> | readonly string[];
  /** The name of this GitHub in repositories that are registered with Vivarium: `github` when not given. */
  readonly provider?: string | undefined;
  /** The longest body: 26,214,400 when not given, which is the longest that GitHub sends. */
  readonly maximumBytes?: number | undefined;
}

const minimumSecretBytes = 16;

/**
 * Takes the webhooks of a GitHub App: a handler on the web's standard `Request` and `Response`. It verifies `x-hub-signature-256` over the bytes as they came, and hands
 * `pull_request` (opened, reopened, synchronize, closed) and `push` to `previews.onEvent` of each org of the installation. Everything else that is rightly signed is let pass.
 *
 * It answers 200 when there is nothing more to do, 4xx when redelivering would not help, 5xx when it would: one org's trouble does not keep the others' events, and orgs
 * that have had theirs take no notice of it the second time.
 *
 * GitHub signs the body and not the headers: somebody who got hold of a delivery could send it again under another `x-github-delivery`. The delivery id that Vivarium counts
 * by is therefore the digest of the body.
 *
 * Throws `InvalidInput` on a wrong configuration.
 *
 * @example
 * const webhooks = githubWebhooks({ vivarium, secret, orgsOf });
 * app.post('/github', (context) => webhooks(context.req.raw)); // Hono
 */
export function githubWebhooks(options: GitHubWebhooksOptions): (request: Request) => Promise<Response> {
  check(options);
  const { vivarium, orgsOf, provider = 'github', maximumBytes = 26_214_400 } = options;
  const secrets = typeof options.secret === 'string' ? [options.secret] : [...options.secret];

  return async (request) => {
    const refusal = refusalOf(request);
    if (refusal !== null) return refusal;
    const signature = request.headers.get('x-hub-signature-256');
    if (signature === null) return problem(401, 'unsigned', 'the header x-hub-signature-256 is missing');
    const name = request.headers.get('x-github-event');
    if (name === null) return problem(400, 'invalid_input', 'the header x-github-event is missing');

    const body = await receiveText(request, { maximumBytes, keepMark: true });
    if (body instanceof Response) return body;
    if (!(await isSigned(secrets, body, signature))) {
      return problem(401, 'wrong_signature', 'the signature is not one of this secret over this body');
    }
    const payload = objectOf(body);
    if (payload === null) return problem(400, 'invalid_input', 'the body has to be a JSON object');
    const deliveryId = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    const understood = understand(name, payload, { deliveryId, provider });
    if (understood === 'ignored') return done('ignored');
    if ('fault' in understood) return problem(400, 'invalid_input', understood.fault);

    const orgs = await Promise.resolve(understood.installationId)
      .then(orgsOf)
      .catch(() => null);
    if (orgs === null) {
      return problem(503, 'storage_failure', 'the orgs of the installation could not be found', { 'retry-after': '5' });
    }
    return handOn(vivarium, [...new Set(orgs)], understood.event);
  };
}

/** To every org, whatever the others say; the answer is the worst of theirs. */
async function handOn(vivarium: WebhookVivarium, orgs: readonly string[], event: SourceEvent): Promise<Response> {
  const outcomes = await Promise.allSettled(
    orgs.map(async (org) => {
      try {
        const handled = await vivarium.system(org).previews.onEvent(event);
        return handled.match(() => null, problemFor);
      } catch (thrown) {
        // A malformed org is thrown, not returned. Anything else is a defect, and the host's own error handling is to see it.
        if (isVivariumError(thrown)) return problem(500, thrown.code, null);
        throw thrown;
      }
    }),
  );
  const defect = outcomes.find((outcome) => outcome.status === 'rejected');
  if (defect !== undefined) throw defect.reason;
  const problems = outcomes
    .map((outcome) => (outcome as PromiseFulfilledResult<Response | null>).value)
    .filter((answer) => answer !== null)
    .sort((one, other) => other.status - one.status);
  return problems[0] ?? done(orgs.length === 0 ? 'ignored' : 'handled');
}

function problemFor(error: { readonly code: string; readonly message: string }): Response {
  return problemOf(error);
}

function done(outcome: 'handled' | 'ignored'): Response {
  return Response.json({ outcome }, { headers: { 'cache-control': 'no-store' } });
}

async function isSigned(secrets: readonly string[], body: string, signature: string): Promise<boolean> {
  if (body === '' || !/^sha256=[0-9a-f]{64}$/.test(signature)) return false;
  const fits = await Promise.all(secrets.map((secret) => verify(secret, body, signature)));
  return fits.includes(true);
}

function check(options: GitHubWebhooksOptions): void {
  const isSecret = (secret: unknown) => typeof secret === 'string' && Buffer.byteLength(secret) >= minimumSecretBytes;
  checkOptions(options, {
    vivarium: must(hasMethods('system'), 'must be what createVivarium returned'),
    secret: must(
      (secret) => isSecret(secret) || (Array.isArray(secret) && secret.length > 0 && secret.every(isSecret)),
      `must have at least ${minimumSecretBytes} bytes, each one if they are several`,
    ),
    orgsOf: must((find) => typeof find === 'function', 'must be a function from installation ids to orgs'),
    provider: may(
      (name) => /^[a-z0-9-]{1,32}$/.test(String(name)),
      'must be 1 to 32 lower-case letters, digits or hyphens',
    ),
    maximumBytes: wholeNumber(1, 26_214_400),
  });
}
