import type { StorageFailure } from '../kernel/errors.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import { sweepThrough } from '../sweeping.ts';
import { settle } from './completion.ts';
import { begin } from './instances-service.ts';
import { launch } from './launch.ts';
import type { InstanceFacts } from './repository.ts';
import { acceptanceGraceMs, decideSweep } from './rules.ts';
import type { SweepDecision } from './rules.ts';
import { newToken } from './tokens.ts';

/** What `sweep` did to one instance, or would do, and why. */
export interface SweptInstance {
  readonly instanceId: string;
  readonly name: string;
  readonly action: SweepDecision['action'];
  readonly why: string;
  /** `done`; `planned` in a dry run; `not_called` in a transaction of the host, which has not committed; or what came in between: the code of an error. */
  readonly outcome: string;
}

export function sweep(
  scope: Scope,
  { limit, dryRun }: { readonly limit: number; readonly dryRun: boolean },
): ResultAsync<readonly SweptInstance[], StorageFailure> {
  const { storage, clock } = scope.ports;
  return sweepThrough(
    limit,
    (request) => {
      const now = clock.now();
      const acceptedBy = new Date(now.getTime() - acceptanceGraceMs);
      return storage.ephemeral.due(scope.caller.org, { now, acceptedBy, ...request });
    },
    ({ instance }) => instance.id,
    async (facts) => {
      const { instance, pending, type } = facts;
      const decision = decideSweep(instance, pending, type, clock.now());
      if (decision === null) return null;
      const outcome = dryRun ? 'planned' : await carryOut(scope, decision, facts);
      return { instanceId: instance.id, name: instance.name, ...decision, outcome };
    },
  );
}

/** One instance's trouble must not keep the sweep from the others: an error becomes the outcome. */
async function carryOut(scope: Scope, { action }: SweepDecision, facts: InstanceFacts): Promise<string> {
  const { instance, pending } = facts;
  const request = { trigger: { type: 'system', id: 'sweep' }, parameters: {} } as const;
  switch (action) {
    case 'time_out': {
      const settled = await settle(scope, pending!.id, { result: 'failed', reason: 'timed_out' });
      return settled.isErr() ? settled.error.code : 'done';
    }
    case 'call':
    case 'call_again':
      return callRunner(scope, facts);
    case 'deprovision': {
      const options = { expectedVersion: instance.version };
      const begun = await begin(
        scope,
        'ephemeral.instances.deprovision',
        instance.id,
        { ...request, type: 'deprovisioning' },
        options,
      );
      return begun.isErr() ? begun.error.code : 'done';
    }
    case 'put_to_sleep': {
      const options = { expectedVersion: instance.version };
      const begun = await begin(
        scope,
        'ephemeral.instances.sleep',
        instance.id,
        { ...request, type: 'to_sleep' },
        options,
      );
      return begun.isErr() ? begun.error.code : 'done';
    }
  }
}

/** The most tokens that one change keeps: the oldest go, whose runner has had its time to answer. */
const maximumTokens = 8;

/**
 * Nobody has kept the token that the runner was, or was not, called with. It is called with another one, and both hold: whichever call
 * arrived, its pipeline can complete the change.
 */
async function callRunner(scope: Scope, { instance, pending, type }: InstanceFacts): Promise<string> {
  const { storage, pipelines, inTransaction } = scope.ports;
  if (inTransaction) return 'not_called';
  const stateChange = pending!;
  const action = type.actions.find(({ id }) => id === stateChange.actionId);
  if (pipelines === null) return 'not_configured';
  if (action === undefined) {
    const settled = await settle(scope, stateChange.id, {
      result: 'failed',
      reason: 'its action is no longer defined',
    });
    return settled.isErr() ? settled.error.code : 'done';
  }

  const { token, hash } = newToken();
  const tokenHashes = [...stateChange.tokenHashes, hash].slice(-maximumTokens);
  const { id, instanceId } = stateChange;
  const kept = await storage.ephemeral.setTokens(scope.caller.org, {
    id,
    instanceId,
    tokenHashes,
    expected: stateChange.tokenHashes,
  });
  if (kept.isErr()) return kept.error.code;
  if (!kept.value) return 'stale_version';
  const launched = await launch(scope, { instance, stateChange: { ...stateChange, tokenHashes }, action }, token);
  return launched.isErr() ? launched.error.code : 'done';
}
