import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import type { Attempt } from '../command.ts';
import type { ErrorOf, Method } from '../errors.ts';
import type { Actor } from '../kernel/actor.ts';
import { NotFound } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { anyText } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Eventually, Outcome, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { TypeHasInstances, TypeNameTaken } from './errors.ts';
import type { StateChangeType } from './lifecycle.ts';
import { description, durationMs, secretName, stateChangeType, typeName } from './model.ts';
import type { EnvironmentType, LoadedType, SecretDefinition, StateChangeAction, StoredType } from './model.ts';
import {
  changeSettings,
  defineAction,
  defineSecret,
  moveType,
  newAction,
  newSecret,
  newType,
  removeAction,
  removeSecret,
  toType,
} from './rules.ts';
import type { ActionSettings, SecretSettings, TypeMove, TypeSettings } from './rules.ts';

/** A type in a list: without its actions and secret definitions. */
export type EnvironmentTypeSummary = Omit<EnvironmentType, 'actions' | 'secrets'>;

const name = anyText.refine((text) => text.length >= 1 && text.length <= 255, 'must have 1 to 255 characters');

const settings = {
  description: description.nullish(),
  maxNumberOfInstances: z.int().min(0).max(1_000_000).nullish(),
  ttlMs: durationMs.nullish(),
  maxTtlMs: durationMs.nullish(),
  sleepAfterMs: durationMs.nullish(),
  changeTimeoutMs: durationMs.optional(),
};
const actionSettings = {
  stateChangeType,
  projectId: name.nullish(),
  branch: name.nullish(),
  pipelineYamlName: name,
};
const secretSettings = {
  name: secretName,
  description: description.nullish(),
  writableBy: z.array(stateChangeType),
  readableBy: z.array(stateChangeType),
};

const distinct =
  <T>(key: (item: T) => string) =>
  (items: readonly T[], ctx: z.RefinementCtx): void => {
    const seen = new Set<string>();
    items.forEach((item, index) => {
      if (seen.has(key(item))) ctx.addIssue({ code: 'custom', path: [index], message: 'must be unique' });
      seen.add(key(item));
    });
  };

const createInput = z.strictObject({
  name: typeName,
  ...settings,
  actions: z
    .array(z.strictObject(actionSettings))
    .superRefine(distinct((action) => action.stateChangeType))
    .optional(),
  secrets: z
    .array(z.strictObject(secretSettings))
    .max(40)
    .superRefine(distinct((secret) => secret.name))
    .optional(),
  ...commandOptions,
});
const updateInput = z.strictObject({ name: typeName.optional(), ...settings, ...changeOptions });
const trailing = z.strictObject(changeOptions);

const anyType = () => [{ type: 'environment_type' }];
const theType = ([typeId]: readonly [string, ...unknown[]]) => [{ type: 'environment_type', id: typeId }];

const methods = {
  create: method('ephemeral.types.create', [''], z.tuple([createInput]), anyType),
  get: method('ephemeral.types.get', ['id'], z.tuple([id]), theType),
  list: method('ephemeral.types.list', [''], z.tuple([z.strictObject(pageInput)]), anyType),
  update: method('ephemeral.types.update', ['id', ''], z.tuple([id, updateInput]), theType),
  publish: method('ephemeral.types.publish', ['id', ''], z.tuple([id, trailing]), theType),
  cordon: method('ephemeral.types.cordon', ['id', ''], z.tuple([id, trailing]), theType),
  uncordon: method('ephemeral.types.uncordon', ['id', ''], z.tuple([id, trailing]), theType),
  delete: method('ephemeral.types.delete', ['id', ''], z.tuple([id, trailing]), theType),
  defineAction: method(
    'ephemeral.actions.define',
    ['typeId', ''],
    z.tuple([id, z.strictObject({ ...actionSettings, ...changeOptions })]),
    theType,
  ),
  listActions: method('ephemeral.actions.list', ['typeId'], z.tuple([id]), theType),
  removeAction: method(
    'ephemeral.actions.remove',
    ['typeId', 'stateChangeType', ''],
    z.tuple([id, stateChangeType, trailing]),
    theType,
  ),
  defineSecret: method(
    'ephemeral.secretDefinitions.define',
    ['typeId', ''],
    z.tuple([id, z.strictObject({ ...secretSettings, ...changeOptions })]),
    theType,
  ),
  listSecrets: method('ephemeral.secretDefinitions.list', ['typeId'], z.tuple([id]), theType),
  removeSecret: method(
    'ephemeral.secretDefinitions.remove',
    ['typeId', 'name', ''],
    z.tuple([id, secretName, trailing]),
    theType,
  ),
};

const byName = cursorsOf('ephemeral.types', anyText);
const subject = (typeId: string) => ({ type: 'environment_type', id: typeId });

/** Types of ephemeral environments. */
export class EnvironmentTypes {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Creates a type as a draft, with actions and secret definitions where given.
   *
   * Errors: `type_name_taken`. A `ttlMs` above `maxTtlMs` is `invalid_input`.
   */
  create(
    input: TypeSettings & {
      readonly name: string;
      readonly actions?: readonly ActionSettings[] | undefined;
      readonly secrets?: readonly SecretSettings[] | undefined;
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'ephemeral.types.create', EnvironmentType> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;
    const by = { type: scope.caller.type, id: scope.caller.id };

    return operation(scope, methods.create, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const { actions = [], secrets = [], ...given } = wanted;
      const make = (typeId: string, partIds: readonly string[], creator: Actor, at: Date) => {
        const rest = partIds.values();
        const made = () => ({ id: rest.next().value as string, at });
        return newType(
          given,
          {
            actions: actions.map((action) => newAction(action, made())),
            secrets: secrets.map((secret) => newSecret(secret, made())),
          },
          creator,
          { id: typeId, at },
        );
      };
      return command(
        scope,
        { method: methods.create.name, target: subject(''), options: { idempotencyKey, signal }, input: wanted },
        {
          replay: async (kept) =>
            make(
              kept['id'] as string,
              kept['parts'] as readonly string[],
              actorOf(kept['by'] as readonly string[]),
              new Date(kept['at'] as string),
            ).map(fresh),
          attempt: ({ at, change }) =>
            safeTry(async function* () {
              const typeId = ids.next();
              const partIds = [...actions, ...secrets].map(() => ids.next());
              const type = yield* make(typeId, partIds, by, at);
              const written = yield* storage.ephemeral.createType({
                type,
                change: change(
                  {
                    subject: subject(typeId),
                    action: 'environment_type.created',
                    sequence: 1,
                    data: { name: type.name },
                  },
                  { id: typeId, parts: partIds, by: [by.type, by.id], at: at.toISOString() },
                ),
              });
              if (written.done) return ok(fresh(type));
              if (written.refused === 'key_taken') return ok(written.record);
              return err(new TypeNameTaken(type.name));
            }),
        },
      );
    });
  }

  /** The type with its actions and secret definitions; also a deleted one. Errors: `not_found`. */
  get(typeId: string): Outcome<'ephemeral.types.get', EnvironmentType> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.get, [typeId], ([target]) =>
      ports.storage.ephemeral
        .getType(caller.org, target)
        .andThen(({ found }) => present(found, target))
        .map(toType),
    );
  }

  /** Types by name, without the deleted ones, and without their actions and secret definitions. */
  list(input: PageInput = {}): Outcome<'ephemeral.types.list', Page<EnvironmentTypeSummary>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([paging]) =>
      safeTry(async function* () {
        const page = yield* byName.read(paging);
        const stored = yield* ports.storage.ephemeral.listTypes(caller.org, page);
        return ok(
          byName.page(
            stored,
            (last) => last.nameKey,
            ({ nameKey: _nameKey, ...summary }) => summary,
          ),
        );
      }),
    );
  }

  /**
   * Changes settings; what is not given stays. A `maxNumberOfInstances` below what lives is allowed: it only keeps new ones out.
   *
   * Errors: `not_found`, `illegal_transition` (deleted), `type_name_taken`, `stale_version`; `action_not_defined` for a `sleepAfterMs` on a published type that has no
   * actions to sleep and wake up.
   */
  update(typeId: string, input: TypeSettings & CommandOptions): Outcome<'ephemeral.types.update', EnvironmentType> {
    return operation(this.#scope, methods.update, [typeId, input], ([target, given]) => {
      const wanted = withoutOptions(given);
      const by = this.#by();
      return this.#change(methods.update.name, 'environment_type.updated', target, wanted, given, (type, { at }) =>
        changeSettings(type, wanted, by, at).map((changed) => ({ type: changed })),
      );
    });
  }

  /** A draft becomes ready. Errors: `not_found`, `illegal_transition`, `action_not_defined`, `stale_version`. */
  publish(typeId: string, options: CommandOptions = {}): Outcome<'ephemeral.types.publish', EnvironmentType> {
    return operation(this.#scope, methods.publish, [typeId, options], ([target, given]) =>
      this.#move(methods.publish.name, 'publish', 'environment_type.published', target, given),
    );
  }

  /** A ready type takes no new instances any more. Errors: `not_found`, `illegal_transition`, `stale_version`. */
  cordon(typeId: string, options: CommandOptions = {}): Outcome<'ephemeral.types.cordon', EnvironmentType> {
    return operation(this.#scope, methods.cordon, [typeId, options], ([target, given]) =>
      this.#move(methods.cordon.name, 'cordon', 'environment_type.cordoned', target, given),
    );
  }

  /** A cordoned type is ready again. Errors: `not_found`, `illegal_transition`, `stale_version`. */
  uncordon(typeId: string, options: CommandOptions = {}): Outcome<'ephemeral.types.uncordon', EnvironmentType> {
    return operation(this.#scope, methods.uncordon, [typeId, options], ([target, given]) =>
      this.#move(methods.uncordon.name, 'uncordon', 'environment_type.uncordoned', target, given),
    );
  }

  /**
   * Deletes a type without live instances. Its name is free again; its ended instances stay until they are removed.
   *
   * Errors: `not_found`, `type_has_instances`, `illegal_transition` (deleted already), `stale_version`.
   */
  delete(typeId: string, options: CommandOptions = {}): Outcome<'ephemeral.types.delete', EnvironmentType> {
    return operation(this.#scope, methods.delete, [typeId, options], ([target, given]) =>
      this.#move(methods.delete.name, 'delete', 'environment_type.deleted', target, given),
    );
  }

  /** Defines the pipeline for one kind of change, or replaces the one there is. Errors: `not_found`, `illegal_transition` (deleted), `stale_version`. */
  defineAction(
    typeId: string,
    input: ActionSettings & CommandOptions,
  ): Outcome<'ephemeral.actions.define', StateChangeAction> {
    const by = this.#by();
    return operation(this.#scope, methods.defineAction, [typeId, input], ([target, given]) => {
      const wanted = withoutOptions(given);
      return this.#change(
        methods.defineAction.name,
        'environment_type.action_defined',
        target,
        wanted,
        given,
        (type, made) =>
          defineAction(type, wanted, by, made).map(({ type: changed, action }) => ({
            type: changed,
            action: { put: action },
          })),
      ).then((result) =>
        result.andThen(({ actions }) =>
          there(
            'action',
            wanted.stateChangeType,
            actions.find((action) => action.stateChangeType === wanted.stateChangeType),
          ),
        ),
      );
    });
  }

  /** The type's actions, in the order of the lifecycle. Errors: `not_found`. */
  listActions(typeId: string): Outcome<'ephemeral.actions.list', readonly StateChangeAction[]> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.listActions, [typeId], ([target]) =>
      ports.storage.ephemeral
        .getType(caller.org, target)
        .andThen(({ found }) => present(found, target))
        .map(({ actions }) => actions),
    );
  }

  /** Removes the action for this kind of change. Errors: `not_found` (the type, or the action), `illegal_transition` (deleted), `action_required`, `stale_version`. */
  removeAction(
    typeId: string,
    changeType: StateChangeType,
    options: CommandOptions = {},
  ): Outcome<'ephemeral.actions.remove', void> {
    const by = this.#by();
    return operation(this.#scope, methods.removeAction, [typeId, changeType, options], ([target, which, given]) =>
      this.#change(
        methods.removeAction.name,
        'environment_type.action_removed',
        target,
        { which },
        given,
        (type, { at }) =>
          removeAction(type, which, by, at).map((changed) => ({ type: changed, action: { remove: which } })),
      ).then((result) => result.map(() => undefined)),
    );
  }

  /** Defines a secret, or changes the definition of that name. Errors: `not_found`, `illegal_transition` (deleted), `limit_reached` (40 for a type), `stale_version`. */
  defineSecret(
    typeId: string,
    input: SecretSettings & CommandOptions,
  ): Outcome<'ephemeral.secretDefinitions.define', SecretDefinition> {
    const by = this.#by();
    return operation(this.#scope, methods.defineSecret, [typeId, input], ([target, given]) => {
      const wanted = withoutOptions(given);
      return this.#change(
        methods.defineSecret.name,
        'environment_type.secret_defined',
        target,
        wanted,
        given,
        (type, made) =>
          defineSecret(type, wanted, by, made).map(({ type: changed, secret }) => ({
            type: changed,
            secret: { put: secret },
          })),
      ).then((result) =>
        result.andThen(({ secrets }) =>
          there(
            'secret definition',
            wanted.name,
            secrets.find((secret) => secret.name === wanted.name),
          ),
        ),
      );
    });
  }

  /** The type's secret definitions, by name. Errors: `not_found`. */
  listSecrets(typeId: string): Outcome<'ephemeral.secretDefinitions.list', readonly SecretDefinition[]> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.listSecrets, [typeId], ([target]) =>
      ports.storage.ephemeral
        .getType(caller.org, target)
        .andThen(({ found }) => present(found, target))
        .map(({ secrets }) => secrets),
    );
  }

  /** Removes a definition; values that instances have stay sealed, and nothing opens them. Errors: `not_found` (the type, or the definition), `illegal_transition` (deleted), `stale_version`. */
  removeSecret(
    typeId: string,
    secret: string,
    options: CommandOptions = {},
  ): Outcome<'ephemeral.secretDefinitions.remove', void> {
    const by = this.#by();
    return operation(this.#scope, methods.removeSecret, [typeId, secret, options], ([target, which, given]) =>
      this.#change(
        methods.removeSecret.name,
        'environment_type.secret_removed',
        target,
        { which },
        given,
        (type, { at }) =>
          removeSecret(type, which, by, at).map((changed) => ({ type: changed, secret: { remove: which } })),
      ).then((result) => result.map(() => undefined)),
    );
  }

  #by() {
    return { type: this.#scope.caller.type, id: this.#scope.caller.id };
  }

  #move<M extends Moves>(called: M, move: TypeMove, action: string, target: string, options: CommandOptions) {
    const by = this.#by();
    return this.#change(
      called,
      action,
      target,
      {},
      options,
      (type, { at }) =>
        moveType(type, move, by, at).map((moved) => ({ type: moved })) as Result<TypeChange, ErrorOf<M>>,
    );
  }

  /** Every change of a type: load it whole, decide, write it at its version. */
  #change<M extends TypeChanges, E extends ErrorOf<M>>(
    called: M,
    action: string,
    target: string,
    input: unknown,
    options: CommandOptions,
    decide: (type: LoadedType, made: { readonly id: string; readonly at: Date }) => Result<TypeChange, E>,
  ): Promise<Result<EnvironmentType, ErrorOf<M>>> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;

    const attempt = ({ at, change }: Attempt, { found }: Loaded<LoadedType>) =>
      safeTry(async function* () {
        const before = yield* present(found, target);
        yield* checkVersion('environment type', before, options.expectedVersion);

        const decided = yield* decide(before, { id: ids.next(), at });
        const written = yield* storage.ephemeral.writeType({
          ...decided,
          previousNameKey: before.nameKey,
          expectedVersion: before.version,
          change: change(
            {
              subject: subject(target),
              action,
              sequence: decided.type.version,
              data: { name: decided.type.name, ...factsOf(decided) },
            },
            { id: target, version: decided.type.version },
          ),
        });
        if (written.done) return ok(toType({ ...decided.type, liveInstances: before.liveInstances }));
        if (written.refused === 'not_found') return err(new NotFound('environment type', target));
        if (written.refused === 'name_taken') return err(new TypeNameTaken(decided.type.name));
        if (written.refused === 'has_instances') return err(new TypeHasInstances());
        return ok(again);
      }) as Eventually<EnvironmentType | typeof again, ErrorOf<M>>;

    return command<M, Loaded<LoadedType>, EnvironmentType>(
      scope,
      { method: called, target: subject(target), options, input: [target, input] },
      {
        load: (keyId) => storage.ephemeral.getType(scope.caller.org, target, keyId),
        replay: async (_kept, facts) =>
          present(facts?.found, target).map(toType) as Result<EnvironmentType, ErrorOf<M>>,
        attempt,
      },
    ) as Promise<Result<EnvironmentType, ErrorOf<M>>>;
  }
}

type TypeChanges = Extract<Method, `ephemeral.${'types' | 'actions' | 'secretDefinitions'}.${string}`>;
type Moves = Extract<Method, `ephemeral.types.${'publish' | 'cordon' | 'uncordon' | 'delete'}`>;

interface TypeChange {
  readonly type: StoredType;
  readonly action?: { readonly put: StateChangeAction } | { readonly remove: StateChangeType };
  readonly secret?: { readonly put: SecretDefinition } | { readonly remove: string };
}

/** Which action or definition a change was about, for the journal. */
function factsOf({ action, secret }: TypeChange): Record<string, string> {
  if (action !== undefined) {
    return { stateChangeType: 'put' in action ? action.put.stateChangeType : action.remove };
  }
  if (secret !== undefined) return { secret: 'put' in secret ? secret.put.name : secret.remove };
  return {};
}

/** What a command is about, without how it is called. */
function withoutOptions<T extends CommandOptions>(input: T): Omit<T, keyof CommandOptions> {
  const { idempotencyKey: _key, expectedVersion: _version, signal: _signal, ...wanted } = input;
  return wanted;
}

/** What was defined; a replay may come when it has been removed since. */
function there<T>(resource: string, name: string, found: T | undefined): Result<T, NotFound> {
  return found === undefined ? err(new NotFound(resource, name)) : ok(found);
}

function actorOf([type, id]: readonly string[]): Actor {
  return { type: type!, id: id! };
}

function present(found: LoadedType | null | undefined, typeId: string) {
  return found == null ? err(new NotFound('environment type', typeId)) : ok(found);
}

function fresh(type: StoredType): EnvironmentType {
  return toType({ ...type, liveInstances: 0 });
}
