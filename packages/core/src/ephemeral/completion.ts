import { changeOf } from '../command.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import type { StoredChange } from './model.ts';
import { endChange } from './rules.ts';

/** How a change ends. */
export interface End {
  readonly result: 'passed' | 'failed' | 'canceled';
  readonly reason: string | null;
}

/**
 * Ends a change by the house's own word: refused, timed out. Gives the change as it is then; `null` when it had ended otherwise, or is gone,
 * by the time.
 */
export function settle(
  scope: Scope,
  stateChangeId: string,
  end: End,
): ResultAsync<StoredChange | null, StorageFailure> {
  const { storage, clock } = scope.ports;
  return safeTry(async function* () {
    for (let attempt = 0; attempt < 8; attempt++) {
      const { found } = yield* storage.ephemeral.changeFacts(scope.caller.org, stateChangeId);
      if (found === null) return ok(null);
      const at = new Date(clock.now().getTime());
      const ended = endChange(found.instance, found.stateChange, end, at);
      if (ended.isErr() || ended.value === 'told before') return ok(found.stateChange);

      const { instance, stateChange } = ended.value;
      const written = yield* storage.ephemeral.endChange({
        instance,
        stateChange,
        expectedVersion: found.instance.version,
        change: changeOf(scope, at, endNote(instance, stateChange), null),
      });
      if (written.done) return ok(stateChange);
    }
    return ok(null);
  });
}

/** What the journal says of a change that ended. */
export function endNote(instance: { readonly name: string; readonly version: number }, stateChange: StoredChange) {
  return {
    subject: { type: 'instance', id: stateChange.instanceId },
    action: 'instance.change_ended',
    sequence: instance.version,
    data: {
      typeId: stateChange.typeId,
      name: instance.name,
      change: stateChange.type,
      stateChangeId: stateChange.id,
      result: stateChange.result,
      state: stateChange.nextState,
    },
  };
}
