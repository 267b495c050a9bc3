import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import { NotFound } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { anyText, freeText } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { endNote } from './completion.ts';
import { InvalidToken } from './errors.ts';
import type { StateChange } from './model.ts';
import type { ChangeFacts } from './repository.ts';
import { endChange, toInstance, toStateChange } from './rules.ts';
import { isOneOf } from './tokens.ts';

export const tokenInput = anyText.refine((text) => text.length >= 1 && text.length <= 200, 'must be a token');

const completeInput = z.strictObject({
  stateChangeId: id,
  token: tokenInput,
  result: z.enum(['passed', 'failed']),
  reason: freeText(1_000).optional(),
  ...commandOptions,
});
const listInput = z.strictObject({ instanceId: id, ...pageInput });

const theChange = ([stateChangeId]: readonly [string, ...unknown[]]) => [{ type: 'state_change', id: stateChangeId }];

const methods = {
  get: method('ephemeral.stateChanges.get', ['id'], z.tuple([id]), theChange),
  list: method('ephemeral.stateChanges.list', [''], z.tuple([listInput]), ([{ instanceId }]) => [
    { type: 'instance', id: instanceId },
  ]),
  cancel: method(
    'ephemeral.stateChanges.cancel',
    ['id', ''],
    z.tuple([id, z.strictObject({ ...commandOptions, expectedVersion: changeOptions.expectedVersion })]),
    theChange,
  ),
  complete: method('ephemeral.stateChanges.complete', [''], z.tuple([completeInput]), ([{ stateChangeId }]) => [
    { type: 'state_change', id: stateChangeId },
  ]),
};

const newestFirst = cursorsOf('ephemeral.stateChanges', z.int().min(1).max(2_147_483_647));

/** Changes of instances' states. */
export class StateChanges {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /** The change. Errors: `not_found`. */
  get(stateChangeId: string): Outcome<'ephemeral.stateChanges.get', StateChange> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.get, [stateChangeId], ([target]) =>
      ports.storage.ephemeral
        .changeFacts(caller.org, target)
        .andThen(({ found }) => present(found, target))
        .map(({ stateChange }) => toStateChange(stateChange)),
    );
  }

  /** The instance's changes, newest first. Errors: `not_found` (the instance). */
  list(input: { readonly instanceId: string } & PageInput): Outcome<'ephemeral.stateChanges.list', Page<StateChange>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ instanceId, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* newestFirst.read(paging);
        const stored = yield* ports.storage.ephemeral.listChanges(caller.org, instanceId, page);
        if (stored === null) return err(new NotFound('instance', instanceId));
        return ok(newestFirst.page(stored, (last) => last.sequence, toStateChange));
      }),
    );
  }

  /**
   * The pipeline's word on how its change went. Saying the same twice is a success and changes nothing.
   *
   * Errors: `not_found`, `invalid_token`, `change_superseded` when it has ended otherwise, `stale_version`.
   */
  complete(
    input: {
      readonly stateChangeId: string;
      readonly token: string;
      readonly result: 'passed' | 'failed';
      /** Shown to people; at most 1,000 characters. No place for secrets. */
      readonly reason?: string | undefined;
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'ephemeral.stateChanges.complete', StateChange> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.complete, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const { stateChangeId: target, token, result, reason = null } = wanted;
      return command(
        scope,
        {
          method: methods.complete.name,
          target: { type: 'state change', id: target },
          options: { idempotencyKey, signal },
          input: [target, result, reason],
        },
        {
          load: (keyId) => storage.ephemeral.changeFacts(scope.caller.org, target, keyId),
          replay: async (_kept, facts) =>
            present(facts?.found, target).andThen(({ stateChange }) =>
              isOneOf(token, stateChange.tokenHashes) ? ok(toStateChange(stateChange)) : err(new InvalidToken()),
            ),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const { instance: before, stateChange: pending } = yield* present(found, target);
              if (!isOneOf(token, pending.tokenHashes)) return err(new InvalidToken());

              const ended = yield* endChange(before, pending, { result, reason }, at);
              if (ended === 'told before') return ok(toStateChange(pending));
              const { instance, stateChange } = ended;
              const written = yield* storage.ephemeral.endChange({
                instance,
                stateChange,
                expectedVersion: before.version,
                change: change(endNote(instance, stateChange), { id: target }),
              });
              if (written.done) return ok(toStateChange(stateChange));
              return written.refused === 'not_found' ? err(new NotFound('state change', target)) : ok(again);
            }),
        },
      );
    });
  }

  /**
   * Ends a pending change by hand, as `canceled`, which leads where a failure leads, and tells the runner, unless this is a transaction of the host's.
   * `expectedVersion` is the version of its instance.
   *
   * Errors: `not_found`, `change_superseded` when it has ended otherwise, `stale_version`.
   */
  cancel(stateChangeId: string, options: CommandOptions = {}): Outcome<'ephemeral.stateChanges.cancel', StateChange> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.cancel, [stateChangeId, options], ([target, given]) =>
      command(
        scope,
        { method: methods.cancel.name, target: { type: 'state change', id: target }, options: given, input: [target] },
        {
          load: (keyId) => storage.ephemeral.changeFacts(scope.caller.org, target, keyId),
          replay: async (_kept, facts) =>
            present(facts?.found, target).map(({ stateChange }) => toStateChange(stateChange)),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const { instance: before, stateChange: pending, type } = yield* present(found, target);
              yield* checkVersion('instance', before, given.expectedVersion);
              const ended = yield* endChange(before, pending, { result: 'canceled', reason: null }, at);
              if (ended === 'told before') return ok(toStateChange(pending));
              const { instance, stateChange } = ended;
              const written = yield* storage.ephemeral.endChange({
                instance,
                stateChange,
                expectedVersion: before.version,
                change: change(endNote(instance, stateChange), { id: target }),
              });
              if (!written.done) {
                return written.refused === 'not_found' ? err(new NotFound('state change', target)) : ok(again);
              }
              const action = type.actions.find(({ id: actionId }) => actionId === stateChange.actionId);
              if (action !== undefined) await tellRunner(scope, { action, instance, stateChange });
              return ok(toStateChange(stateChange));
            }),
        },
      ),
    );
  }
}

/** The change has ended; a runner that does not hear of it, as none does before a host has committed, will find its completion refused. */
async function tellRunner(
  { ports, caller }: Scope,
  {
    action,
    instance,
    stateChange,
  }: Pick<ChangeFacts, 'instance' | 'stateChange'> & {
    readonly action: ChangeFacts['type']['actions'][number];
  },
): Promise<void> {
  if (ports.inTransaction) return;
  try {
    await ports.pipelines?.cancel({
      orgId: caller.org,
      action,
      instance: toInstance(instance),
      stateChange: toStateChange(stateChange),
    });
  } catch {
    // Nothing depends on it.
  }
}

function present(found: ChangeFacts | null | undefined, stateChangeId: string): Result<ChangeFacts, NotFound> {
  return found == null ? err(new NotFound('state change', stateChangeId)) : ok(found);
}
