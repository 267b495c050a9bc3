import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf } from '../errors.ts';
import { LimitReached, NotFound } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { notify } from '../kernel/observability.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { SecretText } from '../kernel/secret-text.ts';
import { anyText, nameKey } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Eventually, Outcome, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { compile, resolveVariables } from '../templates/index.ts';
import type { Rendered, RenderOptions, ResolvedVariables, TemplateContext } from '../templates/index.ts';
import { EnvironmentNameTaken, LastEnvironment } from './errors.ts';
import { environmentDescription, environmentName, environmentRef, variableInputs, variableKey } from './model.ts';
import type {
  Environment,
  EnvironmentRef,
  EnvironmentStats,
  EnvironmentSummary,
  LoadedEnvironment,
  StoredVariables,
  VariableInput,
} from './model.ts';
import type { EnvironmentPosition } from './repository.ts';
import {
  addedKeys,
  diff,
  needsSealing,
  newEnvironment,
  patchVariables,
  rename,
  setVariables,
  toEnvironment,
  toSummary,
  touchedKeys,
} from './rules.ts';
import type { EnvironmentDiff, SealVariable } from './rules.ts';
import { revealVariables, sealAnew, sealerFor } from './sensitive.ts';

/** What rendering with an environment takes, besides the template. */
export interface RenderInput {
  /** Values that stand in for stored ones in this call. Taken literally: references in them are not followed. */
  readonly overrides?: Readonly<Record<string, string>> | undefined;
  /** What happens to a variable that there is not: an error (the default), kept as it stands, or empty. */
  readonly missing?: RenderOptions['missing'];
  /** What the text will be, which decides how values are encoded; `text` when not given. */
  readonly context?: TemplateContext | undefined;
  /** The host's own dynamic variables, called anew for each slot. */
  readonly dynamic?: Readonly<Record<`$${string}`, () => string | SecretText>> | undefined;
  /** The most that the text may take in UTF-8; 1 MiB when not given. */
  readonly maxBytes?: number | undefined;
}

const createInput = z.strictObject({
  projectId: id,
  name: environmentName,
  description: environmentDescription.nullish(),
  variables: variableInputs.optional(),
  ...commandOptions,
});
const updateInput = z.strictObject({
  name: environmentName.optional(),
  description: environmentDescription.nullish(),
  ...changeOptions,
});
const setInput = z.strictObject({ variables: variableInputs, ...changeOptions });
const patchInput = z
  .strictObject({ set: variableInputs.optional(), unset: z.array(variableKey).optional(), ...changeOptions })
  .superRefine(({ set = [], unset = [] }, ctx) => {
    const removed = new Set(unset);
    set.forEach(({ key }, index) => {
      if (removed.has(key))
        ctx.addIssue({ code: 'custom', path: ['set', index, 'key'], message: 'must not be in unset, too' });
    });
  });
const deleteInput = z.strictObject({ promote: environmentRef.optional(), ...changeOptions });
const duplicateInput = z.strictObject({ name: environmentName, ...changeOptions });
const listInput = z.strictObject({ projectId: id, ...pageInput });
const searchInput = z.strictObject({
  projectId: id,
  name: anyText.min(1).optional(),
  variableKey: variableKey.optional(),
  ...pageInput,
});
const overrides = z.record(variableKey, anyText).optional();
const revealInput = z.strictObject({ keys: z.array(variableKey).min(1) });
const resolveInput = z.strictObject({ overrides });
const renderInput = z.strictObject({
  overrides,
  missing: z.enum(['error', 'keep', 'empty']).optional(),
  context: z.enum(['text', 'url', 'header', 'json']).optional(),
  dynamic: z
    .record(
      z.string().startsWith('$') as z.ZodType<`$${string}`, `$${string}`>,
      z.custom<() => string | SecretText>((value) => typeof value === 'function', 'must be a function'),
    )
    .optional(),
  maxBytes: z.int().min(0).optional(),
});

const inProject = ([{ projectId }]: readonly [{ readonly projectId: string }, ...unknown[]]) => [
  { type: 'environment', projectId },
];
const ofProject = ([projectId]: readonly [string, ...unknown[]]) => [{ type: 'environment', projectId }];
const theEnvironment = ([ref]: readonly [EnvironmentRef, ...unknown[]]) => [{ type: 'environment', ...ref }];
const both = (refs: readonly [EnvironmentRef, EnvironmentRef]) => refs.map((ref) => ({ type: 'environment', ...ref }));

const methods = {
  create: method('environments.create', [''], z.tuple([createInput]), inProject),
  get: method('environments.get', ['ref'], z.tuple([environmentRef]), theEnvironment),
  getByName: method('environments.getByName', ['projectId', 'name'], z.tuple([id, environmentName]), ofProject),
  getDefault: method('environments.getDefault', ['projectId'], z.tuple([id]), ofProject),
  list: method('environments.list', [''], z.tuple([listInput]), inProject),
  search: method('environments.search', [''], z.tuple([searchInput]), inProject),
  stats: method('environments.stats', ['projectId'], z.tuple([id]), ofProject),
  update: method('environments.update', ['ref', ''], z.tuple([environmentRef, updateInput]), theEnvironment),
  setVariables: method('environments.setVariables', ['ref', ''], z.tuple([environmentRef, setInput]), theEnvironment),
  patchVariables: method(
    'environments.patchVariables',
    ['ref', ''],
    z.tuple([environmentRef, patchInput]),
    theEnvironment,
  ),
  makeDefault: method(
    'environments.makeDefault',
    ['ref', ''],
    z.tuple([environmentRef, z.strictObject(changeOptions)]),
    theEnvironment,
  ),
  duplicate: method('environments.duplicate', ['ref', ''], z.tuple([environmentRef, duplicateInput]), theEnvironment),
  diff: method('environments.diff', ['refA', 'refB'], z.tuple([environmentRef, environmentRef]), both),
  delete: method('environments.delete', ['ref', ''], z.tuple([environmentRef, deleteInput]), theEnvironment),
  reveal: method('environments.reveal', ['ref', ''], z.tuple([environmentRef, revealInput]), theEnvironment),
  resolve: method('environments.resolve', ['ref', ''], z.tuple([environmentRef, resolveInput]), theEnvironment),
  render: method(
    'environments.render',
    ['ref', 'template', ''],
    z.tuple([environmentRef, z.string(), renderInput]),
    theEnvironment,
  ),
};

const defaultFirst = cursorsOf<EnvironmentPosition>(
  'environments',
  z.strictObject({ first: id, nameKey: anyText.nullable() }),
);
const byName = cursorsOf('environments.search', anyText);
const subject = (environmentId: string) => ({ type: 'environment', id: environmentId });

/** Configuration environments: named sets of variables, one of which is the project's default (seed 004). */
export class Environments {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * Creates an environment. It is not the default: a project has one already, from its creation.
   *
   * Errors: `not_found` (the project), `environment_name_taken`, `limit_reached` (`environmentsPerProject`), `not_configured` where a
   * variable is sensitive and there are no keys.
   */
  create(
    input: {
      readonly projectId: string;
      /** 1–100 letters, digits, spaces, hyphens and underscores; unique in the project without regard to case. */
      readonly name: string;
      /** At most 500 characters. */
      readonly description?: string | null | undefined;
      readonly variables?: readonly VariableInput[] | undefined;
    } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'environments.create', Environment> {
    const scope = this.#scope;
    const { storage, ids, limits } = scope.ports;

    return operation(scope, methods.create, [input], ([{ idempotencyKey, signal, ...wanted }]) =>
      command(
        scope,
        {
          method: methods.create.name,
          target: { type: 'project', id: wanted.projectId },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          replay: async (made) =>
            setVariables([], wanted.variables ?? [], limits, unseen).map((variables) =>
              created(
                newEnvironment(wanted, variables, { id: made['id'] as string, at: new Date(made['at'] as string) }),
              ),
            ),
          attempt: ({ at, change }) =>
            safeTry(async function* () {
              const made = { projectId: wanted.projectId, id: ids.next(), version: 1 };
              const inputs = wanted.variables ?? [];
              const sealing = needsSealing([], inputs);
              // A data key is made for a project that exists, never for an id that somebody made up.
              if (sealing) yield* projectOf(scope, wanted.projectId);
              const seal = yield* sealerFor(scope, made, sealing);
              const variables = yield* setVariables([], inputs, limits, seal);
              const environment = newEnvironment(wanted, variables, { id: made.id, at });
              const written = yield* storage.environments.create({
                environment,
                maximum: limits.environmentsPerProject,
                change: change(
                  {
                    subject: subject(environment.id),
                    action: 'environment.created',
                    sequence: 1,
                    data: {
                      projectId: wanted.projectId,
                      name: environment.name,
                      ...addedKeys(environment.variables),
                    },
                  },
                  { id: environment.id, at: at.toISOString() },
                ),
              });
              if (written.done) return ok(created(environment));
              if (written.refused === 'key_taken') return ok(written.record);
              return err(creationRefused(written.refused, wanted, limits.environmentsPerProject));
            }),
        },
      ),
    );
  }

  /** The environment with its variables; sensitive ones only show that there is a value. Errors: `not_found`. */
  get(ref: EnvironmentRef): Outcome<'environments.get', Environment> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.get, [ref], ([target]) =>
      ports.storage.environments
        .get(caller.org, target)
        .andThen(({ found }) => present(found, target.id))
        .map((found) => this.#handOut(methods.get.name, found)),
    );
  }

  /** The project's environment of this name, whatever its case. Errors: `not_found`. */
  getByName(projectId: string, name: string): Outcome<'environments.getByName', Environment> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.getByName, [projectId, name], ([project, wanted]) =>
      ports.storage.environments
        .getByName(caller.org, project, nameKey(wanted))
        .andThen((found) => present(found, null))
        .map((found) => this.#handOut(methods.getByName.name, found)),
    );
  }

  /** The project's default environment. Errors: `not_found` (the project). */
  getDefault(projectId: string): Outcome<'environments.getDefault', Environment> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.getDefault, [projectId], ([project]) =>
      ports.storage.environments
        .getDefault(caller.org, project)
        .andThen((found) => (found === null ? err(new NotFound('project', project)) : ok(found)))
        .map((found) => this.#handOut(methods.getDefault.name, found)),
    );
  }

  /** The project's environments without values: the default first, then by name. Errors: `not_found` (the project). */
  list(input: { readonly projectId: string } & PageInput): Outcome<'environments.list', Page<EnvironmentSummary>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ projectId, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* defaultFirst.read(paging);
        const stored = yield* ports.storage.environments.list(caller.org, projectId, page);
        if (stored === null) return err(new NotFound('project', projectId));
        const first = page.after?.first ?? stored.items[0]?.id ?? '';
        return ok(
          defaultFirst.page(stored, (last) => ({ first, nameKey: last.id === first ? null : last.nameKey }), toSummary),
        );
      }),
    );
  }

  /**
   * The project's environments, by name, whose name contains `name` (case does not matter) and that have a variable of exactly the key
   * `variableKey`. Errors: `not_found` (the project).
   */
  search(
    input: {
      readonly projectId: string;
      readonly name?: string | undefined;
      readonly variableKey?: string | undefined;
    } & PageInput,
  ): Outcome<'environments.search', Page<EnvironmentSummary>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.search, [input], ([{ projectId, name, variableKey: key, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* byName.read(paging);
        const filter = {
          ...(name === undefined ? {} : { nameKey: nameKey(name) }),
          ...(key === undefined ? {} : { variableKey: key }),
        };
        const stored = yield* ports.storage.environments.search(caller.org, projectId, filter, page);
        if (stored === null) return err(new NotFound('project', projectId));
        return ok(byName.page(stored, (last) => last.nameKey, toSummary));
      }),
    );
  }

  /** Figures on the project's environments: how many, and the variables and bytes in them. Errors: `not_found` (the project). */
  stats(projectId: string): Outcome<'environments.stats', EnvironmentStats> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.stats, [projectId], ([project]) =>
      ports.storage.environments
        .stats(caller.org, project)
        .andThen((stats) => (stats === null ? err(new NotFound('project', project)) : ok(stats))),
    );
  }

  /**
   * Changes name or description; what is not given stays, `description: null` removes it.
   *
   * Errors: `not_found`, `environment_name_taken`, `stale_version`.
   */
  update(
    ref: EnvironmentRef,
    input: { readonly name?: string | undefined; readonly description?: string | null | undefined } & CommandOptions,
  ): Outcome<'environments.update', Environment> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.update, [ref, input], ([target, { name, description, ...options }]) =>
      command(
        scope,
        {
          method: methods.update.name,
          target: subject(target.id),
          options,
          input: [target, { name, description }],
        },
        {
          load: (keyId) => storage.environments.get(scope.caller.org, target, keyId),
          replay: async (_kept, facts) => present(facts?.found, target.id).map(toEnvironment),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const before = yield* present(found, target.id);
              yield* checkVersion('environment', before, options.expectedVersion);

              const environment = rename(before, { name, description }, at);
              const written = yield* storage.environments.update({
                environment,
                previousNameKey: before.nameKey,
                expectedVersion: before.version,
                change: change(
                  {
                    subject: subject(target.id),
                    action: 'environment.updated',
                    sequence: environment.version,
                    data: { projectId: target.projectId, name: environment.name },
                  },
                  { id: target.id, version: environment.version },
                ),
              });
              if (written.done) return ok(toEnvironment(environment));
              if (written.refused === 'not_found') return err(new NotFound('environment', target.id));
              if (written.refused === 'name_taken') {
                return err(new EnvironmentNameTaken(environment.name, target.projectId));
              }
              return ok(again);
            }),
        },
      ),
    );
  }

  /**
   * Replaces all variables. What is not given is gone; a sensitive one stays with `{ key, sensitive: true, keep: true }`.
   *
   * Errors: `not_found`, `stale_version`, `not_configured`. Too many variables, or too many bytes, are `invalid_input`.
   */
  setVariables(
    ref: EnvironmentRef,
    input: { readonly variables: readonly VariableInput[] } & CommandOptions,
  ): Outcome<'environments.setVariables', Environment> {
    const { limits } = this.#scope.ports;
    return operation(this.#scope, methods.setVariables, [ref, input], ([target, { variables, ...options }]) =>
      this.#writeVariables(methods.setVariables.name, target, { variables }, options, variables, (before, seal) =>
        setVariables(before, variables, limits, seal),
      ),
    );
  }

  /**
   * Sets some variables and removes others; the rest stays. A key that is there keeps its place and, unless one is given, its description.
   * Keys in `unset` that are not there are passed over.
   *
   * Errors: `not_found`, `limit_reached` (`variablesPerEnvironment`, `variableBytesPerEnvironment`), `stale_version`, `not_configured`.
   */
  patchVariables(
    ref: EnvironmentRef,
    input: {
      readonly set?: readonly VariableInput[] | undefined;
      readonly unset?: readonly string[] | undefined;
    } & CommandOptions,
  ): Outcome<'environments.patchVariables', Environment> {
    const { limits } = this.#scope.ports;
    return operation(this.#scope, methods.patchVariables, [ref, input], ([target, { set, unset, ...options }]) =>
      this.#writeVariables(methods.patchVariables.name, target, { set, unset }, options, set ?? [], (before, seal) =>
        patchVariables(before, { set, unset }, limits, seal),
      ),
    );
  }

  /** Makes this the project's default; the one that was it no longer is. Errors: `not_found`, `stale_version`. */
  makeDefault(ref: EnvironmentRef, options: CommandOptions = {}): Outcome<'environments.makeDefault', Environment> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.makeDefault, [ref, options], ([target, given]) =>
      command(
        scope,
        { method: methods.makeDefault.name, target: subject(target.id), options: given, input: [target] },
        {
          load: (keyId) => storage.environments.get(scope.caller.org, target, keyId),
          replay: async (_kept, facts) => present(facts?.found, target.id).map(toEnvironment),
          attempt: ({ change }, { found }) =>
            safeTry(async function* () {
              const environment = yield* present(found, target.id);
              yield* checkVersion('environment', environment, given.expectedVersion);

              const written = yield* storage.environments.makeDefault({
                ref: target,
                change: change(
                  {
                    subject: subject(target.id),
                    action: 'environment.made_default',
                    sequence: null,
                    data: { projectId: target.projectId, name: environment.name },
                  },
                  { id: target.id },
                ),
              });
              if (written.done) return ok(toEnvironment({ ...environment, isDefault: true }));
              if (written.refused === 'not_found') return err(new NotFound('environment', target.id));
              return ok(again);
            }),
        },
      ),
    );
  }

  /**
   * A new environment in the same project with the same description and variables.
   *
   * Errors: `not_found`, `environment_name_taken`, `limit_reached` (`environmentsPerProject`), `stale_version`, `not_configured` where a
   * variable is sensitive and there are no keys.
   */
  duplicate(
    ref: EnvironmentRef,
    input: { readonly name: string } & CommandOptions,
  ): Outcome<'environments.duplicate', Environment> {
    const scope = this.#scope;
    const { storage, ids, limits } = scope.ports;

    return operation(scope, methods.duplicate, [ref, input], ([target, { name, ...options }]) =>
      command(
        scope,
        { method: methods.duplicate.name, target: subject(target.id), options, input: [target, { name }] },
        {
          load: (keyId) => storage.environments.get(scope.caller.org, target, keyId),
          replay: (made) => {
            const copy = { projectId: target.projectId, id: made['id'] as string };
            return storage.environments
              .get(scope.caller.org, copy)
              .andThen(({ found }) => present(found, copy.id))
              .map(toEnvironment);
          },
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const original = yield* present(found, target.id);
              yield* checkVersion('environment', original, options.expectedVersion);

              const made = { projectId: target.projectId, id: ids.next(), version: 1 };
              const variables = yield* sealAnew(scope, original, made);
              const environment = newEnvironment({ ...original, name }, variables, { id: made.id, at });
              const written = yield* storage.environments.create({
                environment,
                maximum: limits.environmentsPerProject,
                change: change(
                  {
                    subject: subject(environment.id),
                    action: 'environment.created',
                    sequence: 1,
                    data: {
                      projectId: target.projectId,
                      name,
                      duplicateOf: target.id,
                      ...addedKeys(variables),
                    },
                  },
                  { id: environment.id, at: at.toISOString() },
                ),
              });
              if (written.done) return ok(created(environment));
              if (written.refused === 'key_taken') return ok(written.record);
              return err(creationRefused(written.refused, environment, limits.environmentsPerProject));
            }),
        },
      ),
    );
  }

  /**
   * What differs from one environment to another, which may be of another project of the org. Sensitive values are compared by what is
   * stored, never opened. Errors: `not_found`.
   */
  diff(refA: EnvironmentRef, refB: EnvironmentRef): Outcome<'environments.diff', EnvironmentDiff> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.diff, [refA, refB], ([a, b]) =>
      safeTry(async function* () {
        const [from, to] = yield* ports.storage.environments.getTwo(caller.org, a, b);
        const before = yield* present(from, a.id);
        const after = yield* present(to, b.id);
        return ok(diff(before.variables, after.variables));
      }),
    );
  }

  /**
   * Deletes an environment. If it was the default, `promote` becomes it, or else the project's oldest that is left.
   *
   * Errors: `not_found` (the environment, or `promote`), `last_environment`, `stale_version`.
   */
  delete(
    ref: EnvironmentRef,
    input: { readonly promote?: EnvironmentRef | undefined } & CommandOptions = {},
  ): Outcome<'environments.delete', void> {
    const scope = this.#scope;
    const { storage } = scope.ports;

    return operation(scope, methods.delete, [ref, input], ([target, { promote, ...options }]) =>
      command(
        scope,
        { method: methods.delete.name, target: subject(target.id), options, input: [target, { promote }] },
        {
          load: (keyId) => storage.environments.deleteFacts(scope.caller.org, target, promote?.id, keyId),
          replay: async () => ok(undefined),
          attempt: ({ change }, facts) =>
            safeTry(async function* () {
              const environment = yield* present(facts.environment, target.id);
              yield* checkVersion('environment', environment, options.expectedVersion);
              if (promote !== undefined && (facts.heir === null || promote.projectId !== target.projectId)) {
                return err(new NotFound('environment', promote.id));
              }
              if (facts.heir === null) return err(new LastEnvironment(target.projectId));

              const heir = environment.isDefault ? facts.heir : null;
              const written = yield* storage.environments.delete({
                environment,
                promote: heir,
                change: change(
                  {
                    subject: subject(target.id),
                    action: 'environment.deleted',
                    sequence: environment.version + 1,
                    data: { projectId: target.projectId, name: environment.name, promoted: heir },
                  },
                  { id: target.id },
                ),
              });
              if (written.done) return ok(undefined);
              if (written.refused === 'not_found') return err(new NotFound('environment', target.id));
              if (written.refused === 'last_environment') return err(new LastEnvironment(target.projectId));
              return ok(again);
            }),
        },
      ),
    );
  }

  /**
   * Opens the values of these keys, and gives them in this order. Opening a sensitive one is journalled.
   *
   * Errors: `not_found` (the environment or one of the keys), `not_configured` where a value is sensitive and there are no keys.
   */
  reveal(
    ref: EnvironmentRef,
    input: { readonly keys: readonly string[] },
  ): Outcome<'environments.reveal', ReadonlyMap<string, SecretText>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.reveal, [ref, input], ([target, { keys }]) =>
      ports.storage.environments
        .get(caller.org, target)
        .andThen(({ found }) => present(found, target.id))
        .andThen((found) => {
          const there = new Set(found.variables.map(({ key }) => key));
          const missing = keys.find((key) => !there.has(key));
          return missing === undefined ? ok(found) : err(new NotFound('variable', missing));
        })
        .andThen((found) =>
          revealVariables(this.#scope, found, new Set(keys)).map((opened) => {
            this.#noteAccess(methods.reveal.name, found, keys);
            const values = new Map(opened.map(({ key, value }) => [key, value]));
            return new Map(keys.map((key) => [key, new SecretText(values.get(key)!)]));
          }),
        ),
    );
  }

  /**
   * One immutable snapshot of the environment's variables: sensitive ones opened, references between variables followed.
   *
   * Errors: `not_found`, `variable_cycle`, `variables_too_large`, `not_configured` where a value is sensitive and there are no keys.
   */
  resolve(
    ref: EnvironmentRef,
    input: { readonly overrides?: Readonly<Record<string, string>> | undefined } = {},
  ): Outcome<'environments.resolve', ResolvedVariables> {
    return operation(this.#scope, methods.resolve, [ref, input], ([target, given]) =>
      this.#resolved(methods.resolve.name, target, given.overrides),
    );
  }

  /**
   * Renders a template with the environment's variables: `resolve`, then one pass over the template.
   *
   * Errors: those of `resolve`, and `template_too_large`, `missing_variable`, `unsafe_value`, `output_too_large`.
   */
  render(ref: EnvironmentRef, template: string, input: RenderInput = {}): Outcome<'environments.render', Rendered> {
    const { clock, random, ids } = this.#scope.ports;
    return operation(this.#scope, methods.render, [ref, template, input], ([target, source, given]) => {
      const { overrides: replaced, context, dynamic, ...options } = given;
      const compiled = compile(source, { context });
      return this.#resolved(methods.render.name, target, replaced).andThen((variables) =>
        compiled.andThen((parsed) =>
          parsed.render(variables, { ...options, dynamic: { clock, random, ids, ...dynamic } }),
        ),
      );
    });
  }

  #resolved(
    name: 'environments.resolve' | 'environments.render',
    target: EnvironmentRef,
    replaced?: Record<string, string>,
  ) {
    const { ports, caller } = this.#scope;
    return ports.storage.environments
      .get(caller.org, target)
      .andThen(({ found }) => present(found, target.id))
      .andThen((found) => revealVariables(this.#scope, found, null).map((variables) => ({ found, variables })))
      .andThen(({ found, variables }) => {
        this.#noteAccess(
          name,
          found,
          variables.map(({ key }) => key),
        );
        return resolveVariables(variables, { overrides: replaced });
      });
  }

  #writeVariables<M extends 'environments.setVariables' | 'environments.patchVariables'>(
    name: M,
    target: EnvironmentRef,
    input: unknown,
    options: CommandOptions,
    inputs: readonly VariableInput[],
    decide: (before: StoredVariables, seal: SealVariable) => Result<StoredVariables, ErrorOf<M>>,
  ) {
    const scope = this.#scope;
    const { storage } = scope.ports;

    const attempt = ({ at, change }: Attempt, { found }: Loaded<LoadedEnvironment>) =>
      safeTry(async function* () {
        const before = yield* present(found, target.id);
        yield* checkVersion('environment', before, options.expectedVersion);

        const version = before.version + 1;
        const seal = yield* sealerFor(scope, { ...target, version }, needsSealing(before.variables, inputs));
        const variables = yield* decide(before.variables, seal);
        const environment = { ...before, variables, version, updatedAt: at };
        const written = yield* storage.environments.setVariables({
          environment,
          expectedVersion: before.version,
          change: change(
            {
              subject: subject(target.id),
              action: 'environment.variables_changed',
              sequence: environment.version,
              data: { projectId: target.projectId, ...touchedKeys(before.variables, variables) },
            },
            { id: target.id, version: environment.version },
          ),
        });
        if (written.done) return ok(toEnvironment(environment));
        if (written.refused === 'not_found') return err(new NotFound('environment', target.id));
        return ok(again);
      }) as Eventually<Environment | Again, ErrorOf<M>>;

    return command<M, Loaded<LoadedEnvironment>, Environment>(
      scope,
      { method: name, target: subject(target.id), options, input: [target, input] },
      {
        load: (keyId) => storage.environments.get(scope.caller.org, target, keyId),
        replay: async (_kept, facts) =>
          present(facts?.found, target.id).map(toEnvironment) as Result<Environment, ErrorOf<M>>,
        attempt,
      },
    );
  }

  #handOut(name: string, found: LoadedEnvironment): Environment {
    this.#noteAccess(
      name,
      found,
      found.variables.filter((variable) => 'value' in variable).map(({ key }) => key),
    );
    return toEnvironment(found);
  }

  /** Tells the host who has been given which values. */
  #noteAccess(name: string, environment: EnvironmentRef, keys: readonly string[]): void {
    const { hooks } = this.#scope.ports;
    if (hooks.onVariableAccess === undefined) return;
    const { org, type, id: actorId } = this.#scope.caller;
    notify(() =>
      hooks.onVariableAccess?.({
        method: name,
        orgId: org,
        actor: { type, id: actorId },
        projectId: environment.projectId,
        environmentId: environment.id,
        keys,
      }),
    );
  }
}

function present(found: LoadedEnvironment | null | undefined, environmentId: string | null) {
  return found == null ? err(new NotFound('environment', environmentId)) : ok(found);
}

/** What is created is never the default: its project has one. */
function created(environment: Omit<LoadedEnvironment, 'isDefault'>): Environment {
  return toEnvironment({ ...environment, isDefault: false });
}

function creationRefused(
  refused: 'not_found' | 'limit_reached' | 'name_taken',
  wanted: { readonly projectId: string; readonly name: string },
  maximum: number,
): NotFound | LimitReached | EnvironmentNameTaken {
  if (refused === 'not_found') return new NotFound('project', wanted.projectId);
  if (refused === 'limit_reached') return new LimitReached('environmentsPerProject', maximum);
  return new EnvironmentNameTaken(wanted.name, wanted.projectId);
}

function projectOf({ ports, caller }: Scope, projectId: string) {
  return ports.storage.projects
    .get(caller.org, projectId)
    .andThen(({ found }) => (found === null ? err(new NotFound('project', projectId)) : ok(found)));
}

/** Stands in where only the outside of a sealed variable will be looked at. */
const unseen: SealVariable = () => ({ sealed: '', sealVersion: 1 });
