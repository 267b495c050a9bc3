import type { StorageFailure } from '../kernel/errors.ts';
import { notify } from '../kernel/observability.ts';
import { ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import { settle } from './completion.ts';
import type { StateChangeAction, StoredChange, StoredInstance } from './model.ts';
import type { PipelineRunner, PipelineStarted } from './pipeline-runner.ts';
import { toInstance, toStateChange } from './rules.ts';

/** A change that was written and whose pipeline is to be started. */
export interface Launch {
  readonly instance: StoredInstance;
  readonly stateChange: StoredChange;
  readonly action: StateChangeAction;
}

/**
 * Calls the runner for a change that is written already. A runner that refuses fails the change; where nobody knows whether it took the change on, the
 * change stays pending, and `sweep` calls again under the same id.
 */
export function launch(
  scope: Scope,
  { instance, stateChange, action }: Launch,
  token: string,
): ResultAsync<StoredChange, StorageFailure> {
  const { storage, clock, pipelines } = scope.ports;
  return safeTry(async function* () {
    const answer = await call(scope, pipelines!, {
      orgId: scope.caller.org,
      action,
      instance: toInstance(instance),
      stateChange: toStateChange(stateChange),
      token,
      parameters: stateChange.parameters,
    });
    if (answer === 'unknown') return ok(stateChange);
    if (answer === 'refused') {
      const end = { result: 'failed', reason: 'the pipeline runner refused the change' } as const;
      return ok((yield* settle(scope, stateChange.id, end)) ?? stateChange);
    }
    const accepted = {
      ...stateChange,
      acceptedAt: new Date(clock.now().getTime()),
      executionPipelineId: name(answer.executionPipelineId),
      executionId: name(answer.executionId),
    };
    yield* storage.ephemeral.acceptChange(scope.caller.org, accepted);
    return ok(accepted);
  });
}

async function call(
  { ports, caller }: Scope,
  runner: PipelineRunner,
  start: Parameters<PipelineRunner['start']>[0],
): Promise<PipelineStarted | 'refused' | 'unknown'> {
  try {
    return (await runner.start(start)) ?? {};
  } catch (error) {
    const refused = (error as { refused?: unknown } | null)?.refused === true;
    const { id: stateChangeId } = start.stateChange;
    notify(() => ports.hooks.onPipelineFailure?.({ orgId: caller.org, stateChangeId, refused, error }));
    return refused ? 'refused' : 'unknown';
  }
}

/** A stranger's name for something: a short text, or none. */
function name(given: unknown): string | null {
  return typeof given === 'string' && given.length <= 255 && given.isWellFormed() && !given.includes('\0')
    ? given
    : null;
}
