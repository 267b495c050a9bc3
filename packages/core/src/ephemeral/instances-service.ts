import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf, Method } from '../errors.ts';
import { NotConfigured, NotFound } from '../kernel/errors.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, errAsync, ok, okAsync, ResultAsync, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { anyText } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Eventually, Outcome, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { CapacityReached, InstanceNameTaken, TypeNotReady } from './errors.ts';
import { instanceStates } from './lifecycle.ts';
import type { InstanceState, StateChangeType } from './lifecycle.ts';
import { description, durationMs, instanceName, parameters, trigger } from './model.ts';
import type { Instance, StateChange, StoredInstance, Trigger } from './model.ts';
import type { InstanceFacts, InstancePosition } from './repository.ts';
import { acknowledge, extend, newInstance, remove, startChange, toInstance, toStateChange, touch } from './rules.ts';
import { launch } from './launch.ts';
import { newToken } from './tokens.ts';

/** What a change is started with. */
export interface StartInput extends CommandOptions {
  /** Who or what asked for it; the caller, as a `user`, when not given. */
  readonly trigger?: Trigger | undefined;
  /** Handed to the pipeline; at most 2 KiB as JSON. Stored as they are: no place for secrets. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
}

const createInput = z.strictObject({ typeId: id, name: instanceName, ttlMs: durationMs.optional(), ...commandOptions });
const listInput = z.strictObject({ typeId: id, state: z.enum(instanceStates).optional(), ...pageInput });
const startInput = z.strictObject({
  trigger: trigger.optional(),
  parameters: parameters.optional(),
  ...changeOptions,
});
const note = description.refine((text) => text.trim() !== '', 'must say what was done');

const anyInstance = ([{ typeId }]: readonly [{ readonly typeId: string }, ...unknown[]]) => [
  { type: 'instance', typeId },
];
const theInstance = ([instanceId]: readonly [string, ...unknown[]]) => [{ type: 'instance', id: instanceId }];
const start = <M extends Starts>(name: M) => method(name, ['id', ''], z.tuple([id, startInput]), theInstance);

const methods = {
  create: method('ephemeral.instances.create', [''], z.tuple([createInput]), anyInstance),
  get: method('ephemeral.instances.get', ['id'], z.tuple([id]), theInstance),
  list: method('ephemeral.instances.list', [''], z.tuple([listInput]), anyInstance),
  extend: method(
    'ephemeral.instances.extend',
    ['id', ''],
    z.tuple([id, z.strictObject({ ttlMs: durationMs, ...changeOptions })]),
    theInstance,
  ),
  touch: method('ephemeral.instances.touch', ['id', ''], z.tuple([id, z.strictObject(changeOptions)]), theInstance),
  remove: method('ephemeral.instances.remove', ['id', ''], z.tuple([id, z.strictObject(changeOptions)]), theInstance),
  acknowledgeCleanUp: method(
    'ephemeral.instances.acknowledgeCleanUp',
    ['id', ''],
    z.tuple([id, z.strictObject({ note, ...changeOptions })]),
    theInstance,
  ),
  provision: start('ephemeral.instances.provision'),
  deploy: start('ephemeral.instances.deploy'),
  cleanUp: start('ephemeral.instances.cleanUp'),
  sleep: start('ephemeral.instances.sleep'),
  wakeUp: start('ephemeral.instances.wakeUp'),
  deprovision: start('ephemeral.instances.deprovision'),
};

const byName = cursorsOf<InstancePosition>('ephemeral.instances', z.strictObject({ nameKey: anyText, id }));
const subject = (instanceId: string) => ({ type: 'instance', id: instanceId });

/** Instances of ephemeral environments. */
export class Instances {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Takes a place of the type for a new instance, in `zero_state`: `provision` brings it up. `ttlMs` is the type's when not given.
   *
   * Errors: `not_found` (the type), `type_not_ready`, `capacity_reached`, `instance_name_taken` (among the live ones of the type).
   */
  create(
    input: {
      readonly typeId: string;
      readonly name: string;
      readonly ttlMs?: number | undefined;
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'ephemeral.instances.create', Instance> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;

    return operation(scope, methods.create, [input], ([{ idempotencyKey, signal, ...wanted }]) =>
      command(
        scope,
        {
          method: methods.create.name,
          target: { type: 'environment type', id: wanted.typeId },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) => storage.ephemeral.getType(scope.caller.org, wanted.typeId, keyId),
          replay: (kept) => {
            const instanceId = kept['id'] as string;
            return storage.ephemeral
              .getInstance(scope.caller.org, instanceId)
              .andThen((found) => (found === null ? err(new NotFound('instance', instanceId)) : ok(toInstance(found))));
          },
          attempt: ({ at, change }, { found: type }) =>
            safeTry(async function* () {
              if (type === null) return err(new NotFound('environment type', wanted.typeId));
              const instance = yield* newInstance(type, wanted, { id: ids.next(), at });
              const written = yield* storage.ephemeral.createInstance({
                instance,
                change: change(
                  {
                    subject: subject(instance.id),
                    action: 'instance.created',
                    sequence: 1,
                    data: { typeId: type.id, name: instance.name },
                  },
                  { id: instance.id },
                ),
              });
              if (written.done) return ok(toInstance(instance));
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound('environment type', type.id));
                case 'name_taken':
                  return err(new InstanceNameTaken(instance.name));
                case 'capacity_reached':
                  return err(new CapacityReached(type.maxNumberOfInstances ?? type.liveInstances));
                case 'type_not_ready':
                  return err(new TypeNotReady(type.state === 'ready' ? 'no longer ready' : type.state));
              }
            }),
        },
      ),
    );
  }

  /** The instance; also one that has ended. Errors: `not_found`. */
  get(instanceId: string): Outcome<'ephemeral.instances.get', Instance> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.get, [instanceId], ([target]) =>
      ports.storage.ephemeral
        .getInstance(caller.org, target)
        .andThen((found) => (found === null ? err(new NotFound('instance', target)) : ok(toInstance(found)))),
    );
  }

  /** The type's instances by name, then id; also the ended ones, unless `state` says which. Errors: `not_found` (the type). */
  list(
    input: { readonly typeId: string; readonly state?: InstanceState | undefined } & PageInput,
  ): Outcome<'ephemeral.instances.list', Page<Instance>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ typeId, state, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* byName.read(paging);
        const filter = state === undefined ? { typeId } : { typeId, state };
        const stored = yield* ports.storage.ephemeral.listInstances(caller.org, filter, page);
        if (stored === null) return err(new NotFound('environment type', typeId));
        return ok(byName.page(stored, (last) => ({ nameKey: last.nameKey, id: last.id }), toInstance));
      }),
    );
  }

  /**
   * Moves `expiresAt` to `ttlMs` from now, at most to the type's `maxTtlMs` from creation (`limit_reached`).
   *
   * Errors: `not_found`, `limit_reached` (`maxTtlMs`), `illegal_transition` for one that has ended, `stale_version`.
   */
  extend(
    instanceId: string,
    input: { readonly ttlMs: number } & CommandOptions,
  ): Outcome<'ephemeral.instances.extend', Instance> {
    return operation(this.#scope, methods.extend, [instanceId, input], ([target, { ttlMs, ...options }]) =>
      this.#write(methods.extend.name, 'instance.extended', target, { ttlMs }, options, ({ instance, type }, at) =>
        extend(instance, type, ttlMs, at),
      ),
    );
  }

  /** Says that the instance is being used: `sleepAfterMs` counts anew. Errors: `not_found`, `illegal_transition` for one that has ended, `stale_version`. */
  touch(instanceId: string, options: CommandOptions = {}): Outcome<'ephemeral.instances.touch', Instance> {
    return operation(this.#scope, methods.touch, [instanceId, options], ([target, given]) =>
      this.#write(methods.touch.name, 'instance.touched', target, {}, given, ({ instance }, at) => touch(instance, at)),
    );
  }

  /**
   * A person's word that what a pipeline failed to clean up is clean: from `failed_deprovisioning` the instance ends, as
   * `acknowledged_cleanup`; from `failed_cleanup` it is `ready_to_use`.
   *
   * Errors: `not_found`, `change_in_progress`, `illegal_transition`, `stale_version`.
   */
  acknowledgeCleanUp(
    instanceId: string,
    input: { readonly note: string } & CommandOptions,
  ): Outcome<'ephemeral.instances.acknowledgeCleanUp', Instance> {
    return operation(this.#scope, methods.acknowledgeCleanUp, [instanceId, input], ([target, given]) => {
      const { note: said, ...options } = given;
      const action = 'instance.clean_up_acknowledged';
      return this.#write(methods.acknowledgeCleanUp.name, action, target, { said }, options, ({ instance }, at) =>
        acknowledge(instance, said, at),
      );
    });
  }

  /** Forgets an instance that has ended, with its history. Errors: `not_found`, `illegal_transition` for one that lives, `stale_version`. */
  remove(instanceId: string, options: CommandOptions = {}): Outcome<'ephemeral.instances.remove', void> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.remove, [instanceId, options], ([target, given]) =>
      command(
        scope,
        { method: methods.remove.name, target: subject(target), options: given, input: [target] },
        {
          load: (keyId) => storage.ephemeral.facts(scope.caller.org, target, keyId),
          replay: async () => ok(undefined),
          attempt: ({ change }, { found }) =>
            safeTry(async function* () {
              const { instance } = yield* present(found, target);
              yield* checkVersion('instance', instance, given.expectedVersion);
              yield* remove(instance);
              const written = yield* storage.ephemeral.removeInstance({
                instance,
                change: change(
                  {
                    subject: subject(target),
                    action: 'instance.removed',
                    sequence: instance.version + 1,
                    data: { typeId: instance.typeId, name: instance.name },
                  },
                  { id: target },
                ),
              });
              if (written.done) return ok(undefined);
              return written.refused === 'not_found' ? err(new NotFound('instance', target)) : ok(again);
            }),
        },
      ),
    );
  }

  /** Brings the instance up: `zero_state` or `failed_provisioning` → `ready_to_use`. See `deploy`. */
  provision(instanceId: string, input: StartInput = {}): Outcome<'ephemeral.instances.provision', StateChange> {
    return this.#start(methods.provision, 'provisioning', instanceId, input);
  }

  /**
   * Starts a change of the instance and hands it to the pipeline runner. What comes back is the change as it is then: `pending`, or `failed`
   * when the runner refused it. It ends with `stateChanges.complete`, with `stateChanges.cancel`, or at its deadline by `sweep`. In a transaction of
   * the host's the runner is not called: the first `sweep` behind the commit calls it.
   *
   * Errors: `not_found`, `change_in_progress`, `illegal_transition` (naming the legal changes), `action_not_defined`, `stale_version`,
   * `not_configured` without a pipeline runner.
   */
  deploy(instanceId: string, input: StartInput = {}): Outcome<'ephemeral.instances.deploy', StateChange> {
    return this.#start(methods.deploy, 'deploying', instanceId, input);
  }

  /** Makes it as new: `in_use`, `failed_deployment` or `failed_cleanup` → `ready_to_use`. See `deploy`. */
  cleanUp(instanceId: string, input: StartInput = {}): Outcome<'ephemeral.instances.cleanUp', StateChange> {
    return this.#start(methods.cleanUp, 'cleaning_up', instanceId, input);
  }

  /** Puts it to sleep: `ready_to_use`, `in_use` or `failed_sleep` → `sleep`. See `deploy`. */
  sleep(instanceId: string, input: StartInput = {}): Outcome<'ephemeral.instances.sleep', StateChange> {
    return this.#start(methods.sleep, 'to_sleep', instanceId, input);
  }

  /** Wakes it up, to the state in which it was put to sleep. See `deploy`. */
  wakeUp(instanceId: string, input: StartInput = {}): Outcome<'ephemeral.instances.wakeUp', StateChange> {
    return this.#start(methods.wakeUp, 'wake_up', instanceId, input);
  }

  /** Takes it down, from every settled state: → `destroyed`, and its place is free. See `deploy`. */
  deprovision(instanceId: string, input: StartInput = {}): Outcome<'ephemeral.instances.deprovision', StateChange> {
    return this.#start(methods.deprovision, 'deprovisioning', instanceId, input);
  }

  #start<M extends Starts>(
    spec: ReturnType<typeof start<M>>,
    type: StateChangeType,
    instanceId: string,
    input: StartInput,
  ): Outcome<M, StateChange> {
    const scope = this.#scope;
    return operation(scope, spec, [instanceId, input], ([target, given]) => {
      const { trigger: asked, parameters: told = {}, ...options } = given;
      const by = asked ?? { type: 'user', id: scope.caller.id };
      return begin<M>(scope, spec.name, target, { type, trigger: by, parameters: told }, options);
    });
  }

  #write<M extends Writes>(
    called: M,
    action: string,
    target: string,
    input: unknown,
    options: CommandOptions,
    decide: (facts: InstanceFacts, at: Date) => Result<StoredInstance, ErrorOf<M>>,
  ): Promise<Result<Instance, ErrorOf<M>>> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    const attempt = ({ at, change }: Attempt, { found }: Loaded<InstanceFacts>) =>
      safeTry(async function* () {
        const facts = yield* present(found, target);
        yield* checkVersion('instance', facts.instance, options.expectedVersion);

        const instance = yield* decide(facts, at);
        const written = yield* storage.ephemeral.writeInstance({
          instance,
          expectedVersion: facts.instance.version,
          change: change(
            {
              subject: subject(target),
              action,
              sequence: instance.version,
              data: { typeId: instance.typeId, name: instance.name, state: instance.state },
            },
            { id: target, version: instance.version },
          ),
        });
        if (written.done) return ok(toInstance(instance));
        return written.refused === 'not_found' ? err(new NotFound('instance', target)) : ok(again);
      }) as Eventually<Instance | Again, ErrorOf<M>>;

    return command<M, Loaded<InstanceFacts>, Instance>(
      scope,
      { method: called, target: subject(target), options, input: [target, input] },
      {
        load: (keyId) => storage.ephemeral.facts(scope.caller.org, target, keyId),
        replay: async (_kept, facts) =>
          present(facts?.found, target).map(({ instance }) => toInstance(instance)) as Result<Instance, ErrorOf<M>>,
        attempt,
      },
    ) as Promise<Result<Instance, ErrorOf<M>>>;
  }
}

/**
 * Starts a change, and then, outside of the write, its pipeline. Nobody outside hears of what a host has not committed: there the pipeline is left to
 * `sweep`, which also starts changes in this way.
 */
export function begin<M extends Starts>(
  scope: Scope,
  called: M,
  target: string,
  request: {
    readonly type: StateChangeType;
    readonly trigger: Trigger;
    readonly parameters: Readonly<Record<string, string>>;
  },
  options: CommandOptions,
): ResultAsync<StateChange, ErrorOf<M> | StorageFailure> {
  const { storage, ids, pipelines, inTransaction } = scope.ports;
  if (pipelines === null) {
    return errAsync(new NotConfigured('pipelines', 'state changes are carried out by pipelines') as ErrorOf<M>);
  }
  const credential = inTransaction ? null : newToken();

  const attempt = ({ at, change }: Attempt, { found }: Loaded<InstanceFacts>) =>
    safeTry(async function* () {
      const facts = yield* present(found, target);
      const { instance: before, pending, type } = facts;
      yield* checkVersion('instance', before, options.expectedVersion);

      const made = { id: ids.next(), at };
      const { instance, stateChange } = yield* startChange(
        before,
        pending,
        type,
        { ...request, tokenHash: credential?.hash ?? null },
        made,
      );
      const written = yield* storage.ephemeral.startChange({
        instance,
        stateChange,
        expectedVersion: before.version,
        change: change(
          {
            subject: subject(target),
            action: 'instance.change_started',
            sequence: instance.version,
            data: { typeId: type.id, name: instance.name, change: request.type, stateChangeId: stateChange.id },
          },
          { id: stateChange.id },
        ),
      });
      if (written.done) {
        const action = type.actions.find(({ id: actionId }) => actionId === stateChange.actionId)!;
        return ok({ instance, stateChange, action });
      }
      return written.refused === 'not_found' ? err(new NotFound('instance', target)) : ok(again);
    });

  type Begun = { readonly replayed: StateChange } | Parameters<typeof launch>[1];
  const begun = command<M, Loaded<InstanceFacts>, Begun>(
    scope,
    { method: called, target: subject(target), options, input: [target, request] },
    {
      load: (keyId) => storage.ephemeral.facts(scope.caller.org, target, keyId),
      // The change was started before; whether its pipeline was, is for `sweep` to see to.
      replay: (kept) =>
        storage.ephemeral
          .changeFacts(scope.caller.org, kept['id'] as string)
          .andThen(({ found }) => present(found, target))
          .map(({ stateChange }) => ({ replayed: toStateChange(stateChange) })) as Eventually<Begun, ErrorOf<M>>,
      attempt: attempt as (attempt: Attempt, facts: Loaded<InstanceFacts>) => Eventually<Begun | Again, ErrorOf<M>>,
    },
  ) as Promise<Result<Begun, ErrorOf<M>>>;

  return new ResultAsync(begun).andThen((started): ResultAsync<StateChange, ErrorOf<M> | StorageFailure> => {
    if ('replayed' in started) return okAsync(started.replayed);
    if (credential === null) return okAsync(toStateChange(started.stateChange));
    return launch(scope, started, credential.token).map(toStateChange);
  });
}

type Starts = Extract<
  Method,
  `ephemeral.instances.${'provision' | 'deploy' | 'cleanUp' | 'sleep' | 'wakeUp' | 'deprovision'}`
>;
type Writes = Extract<Method, `ephemeral.instances.${'extend' | 'touch' | 'acknowledgeCleanUp'}`>;

function present<T>(found: T | null | undefined, instanceId: string): Result<T, NotFound> {
  return found == null ? err(new NotFound('instance', instanceId)) : ok(found);
}
