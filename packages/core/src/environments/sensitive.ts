/** What happens to sensitive variables on their way into storage and out of it. */
import { changeOf } from '../command.ts';
import { DataKeys } from '../keys/data-keys.ts';
import type { KeyFailure, MakingFailure } from '../keys/data-keys.ts';
import type { StoredDataKey } from '../keys/model.ts';
import type { AccessDenied } from '../kernel/errors.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { ResultAsync } from '../kernel/result.ts';
import { authorise } from '../operation.ts';
import type { Scope } from '../operation.ts';
import type { EnvironmentRef, LoadedEnvironment, StoredVariables } from './model.ts';
import type { SealVariable } from './rules.ts';

/** A variable with its value at hand. */
export interface OpenedVariable {
  readonly key: string;
  readonly value: string;
  readonly sensitive: boolean;
}

export function dataKeysOf({ ports, caller }: Scope): DataKeys {
  return new DataKeys(ports, ports.storage.dataKeys, caller.org);
}

/**
 * Seals values for one environment at one version, which is their seal version: it only grows, so that what was sealed before never opens
 * in place of what is sealed now. Without keys, or when nothing is to be sealed, no key is asked for.
 */
export function sealerFor(
  scope: Scope,
  environment: EnvironmentRef & { readonly version: number },
  needed: boolean,
): ResultAsync<SealVariable, KeyFailure> {
  return safeTry(async function* () {
    if (!needed || scope.ports.keys === null) return ok(null);
    const seal = yield* dataKeysOf(scope).sealer({ type: 'project', id: environment.projectId });
    const { id: ownerId, version: sealVersion } = environment;
    return ok((name: string, value: string) => ({ sealed: seal({ ownerId, name, sealVersion }, value), sealVersion }));
  });
}

/** Seals values for the environments of a project that is being made, with a data key that is stored in the same write; `null` without keys. */
export function sealerOfNew(
  scope: Scope,
  projectId: string,
): ResultAsync<
  { readonly dataKey: StoredDataKey; readonly sealerFor: (environmentId: string) => SealVariable } | null,
  MakingFailure
> {
  return safeTry(async function* () {
    if (scope.ports.keys === null) return ok(null);
    const { dataKey, seal } = yield* dataKeysOf(scope).fresh({ type: 'project', id: projectId });
    const sealVersion = 1;
    const sealerOf =
      (ownerId: string): SealVariable =>
      (name, value) => ({ sealed: seal({ ownerId, name, sealVersion }, value), sealVersion });
    return ok({ dataKey, sealerFor: sealerOf });
  });
}

/** The values of these variables of an environment, sealed ones opened; nobody is told. */
export function openVariables(
  scope: Scope,
  environment: EnvironmentRef,
  variables: StoredVariables,
): ResultAsync<readonly OpenedVariable[], KeyFailure> {
  const sealed = variables.flatMap((variable) =>
    'sealed' in variable
      ? [
          {
            place: { ownerId: environment.id, name: variable.key, sealVersion: variable.sealVersion },
            sealed: variable.sealed,
          },
        ]
      : [],
  );
  return dataKeysOf(scope)
    .openAll({ type: 'project', id: environment.projectId }, sealed)
    .map((texts) => {
      const values = texts.values();
      return variables.map((variable) => ({
        key: variable.key,
        value: 'sealed' in variable ? (values.next().value as string) : variable.value,
        sensitive: 'sealed' in variable,
      }));
    });
}

/** An environment's variables for another place, or another version. Sealed values are bound to where they stand: they are sealed anew. */
export function sealAnew(
  scope: Scope,
  from: LoadedEnvironment,
  to: EnvironmentRef & { readonly version: number },
): ResultAsync<StoredVariables, KeyFailure> {
  return safeTry(async function* () {
    const opened = yield* openVariables(scope, from, from.variables);
    const seal = yield* sealerFor(
      scope,
      to,
      opened.some(({ sensitive }) => sensitive),
    );
    return ok(
      from.variables.map((variable, index) =>
        'sealed' in variable && seal !== null ? { ...variable, ...seal(variable.key, opened[index]!.value) } : variable,
      ),
    );
  });
}

/**
 * Opens variables for a caller: sensitive ones need the policy's word on `environments.reveal`, and are journalled before they are handed out.
 */
export function revealVariables(
  scope: Scope,
  environment: LoadedEnvironment,
  keys: ReadonlySet<string> | null,
): ResultAsync<readonly OpenedVariable[], KeyFailure | AccessDenied> {
  const { storage, clock } = scope.ports;
  const variables = environment.variables.filter(({ key }) => keys === null || keys.has(key));
  const sensitive = variables.filter((variable) => 'sealed' in variable).map(({ key }) => key);

  return safeTry(async function* () {
    if (sensitive.length === 0) return openVariables(scope, environment, variables);
    const { projectId, id } = environment;
    const denied = await authorise(scope, 'environments.reveal', [{ type: 'environment', projectId, id }]);
    if (denied !== null) return err(denied);

    const opened = yield* openVariables(scope, environment, variables);
    const shown = sensitive.filter((_, index) => sensitive.slice(0, index + 1).join('","').length <= 400);
    yield* storage.journal.append(
      changeOf(
        scope,
        new Date(clock.now().getTime()),
        {
          subject: { type: 'environment', id },
          action: 'environment.revealed',
          sequence: null,
          data: { projectId, name: environment.name, keys: shown, count: sensitive.length },
        },
        null,
      ),
    );
    return ok(opened);
  });
}
