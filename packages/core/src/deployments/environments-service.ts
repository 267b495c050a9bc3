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
import { anyText } from '../kernel/text.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { branchName, environmentName, environmentTypes, pullRequest } from './model.ts';
import type {
  ListedProjectEnvironment,
  ProjectEnvironment,
  ProjectEnvironmentType,
  StoredProjectEnvironment,
} from './model.ts';
import type { NamedPosition, StoredListedEnvironment } from './repository.ts';
import { checkUnmanaged, ensured, newProjectEnvironment, toProjectEnvironment } from './rules.ts';
import type { EnvironmentSettings } from './rules.ts';

const named = { projectId: id, repoId: id, environment: environmentName };
const type = z.enum(environmentTypes);
const ensureInput = z.strictObject({
  ...named,
  type: type.optional(),
  branch: branchName.nullish(),
  pullRequest: pullRequest.nullish(),
  ...commandOptions,
});
const branchInput = z.strictObject({ repoId: id, branch: branchName, ...pageInput });
const listInput = z
  .strictObject({ projectId: id.optional(), repoId: id.optional(), type: type.optional(), ...pageInput })
  .refine(({ projectId, repoId }) => projectId !== undefined || repoId !== undefined, {
    message: 'must have a projectId or a repoId',
  });

const theEnvironment = ([environmentId]: readonly [string, ...unknown[]]) => [
  { type: 'project_environment', id: environmentId },
];
const environmentsOf = ([{ projectId }]: readonly [{ readonly projectId?: string | undefined }]) => [
  { type: 'project_environment', ...(projectId !== undefined && { projectId }) },
];

const methods = {
  ensure: method('deployments.environments.ensure', [''], z.tuple([ensureInput]), environmentsOf),
  get: method('deployments.environments.get', ['id'], z.tuple([id]), theEnvironment),
  getByName: method('deployments.environments.getByName', [''], z.tuple([z.strictObject(named)]), environmentsOf),
  getByBranch: method('deployments.environments.getByBranch', [''], z.tuple([branchInput]), () => [
    { type: 'project_environment' },
  ]),
  list: method('deployments.environments.list', [''], z.tuple([listInput]), environmentsOf),
  delete: method(
    'deployments.environments.delete',
    ['id', ''],
    z.tuple([id, z.strictObject(changeOptions)]),
    theEnvironment,
  ),
};

const position = z.strictObject({ name: anyText, id });
const byName = cursorsOf<NamedPosition>('deployments.environments', position);
const byBranch = cursorsOf<NamedPosition>('deployments.environments.byBranch', position);
const positionOf = (last: StoredListedEnvironment) => ({ name: last.environment, id: last.id });
const subject = (environmentId: string) => ({ type: 'project_environment', id: environmentId });

/** Project environments: where a project's repository is deployed to (seed 001). */
export class ProjectEnvironments {
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  /**
   * The environment of this project, repository and name: it is made where there is none, and brought to what is given where it differs. One read, and one
   * write unless it is as wanted. `pr-<n>` is a preview, and its pull request is n.
   *
   * Errors: `not_found` (the project, or the repository), `managed_by_preview` for a change of one that the preview manager drives.
   */
  ensure(
    input: {
      readonly projectId: string;
      readonly repoId: string;
      readonly environment: string;
    } & EnvironmentSettings &
      Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'deployments.environments.ensure', ProjectEnvironment> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;
    return operation(scope, methods.ensure, [input], ([{ idempotencyKey, signal, ...wanted }]) =>
      command(
        scope,
        {
          method: methods.ensure.name,
          target: { type: 'project environment', id: wanted.environment },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) => storage.deployments.ensureFacts(scope.caller.org, wanted, keyId),
          replay: (kept) => this.#current(kept['id'] as string),
          attempt: ({ at, change }, { project, repo, environment: before }) =>
            safeTry(async function* () {
              if (!project) return err(new NotFound('project', wanted.projectId));
              if (!repo) return err(new NotFound('repo', wanted.repoId));
              const environment =
                before === null ? newProjectEnvironment(wanted, { id: ids.next(), at }) : ensured(before, wanted, at);
              if (environment === null) return ok(toProjectEnvironment(before!));
              if (before !== null) yield* checkUnmanaged(before);
              const { id: environmentId, projectId, repoId, environment: name, type: kind, branch } = environment;
              const noted = change(
                {
                  subject: subject(environmentId),
                  action: before === null ? 'project_environment.created' : 'project_environment.updated',
                  sequence: environment.version,
                  data: { projectId, repoId, environment: name, type: kind, branch },
                },
                { id: environmentId, version: environment.version },
              );
              const written = yield* before === null
                ? storage.deployments.createEnvironment({ environment, change: noted })
                : storage.deployments.writeEnvironment({
                    environment,
                    previousBranch: before.branch,
                    expectedVersion: before.version,
                    change: noted,
                  });
              if (written.done) return ok(toProjectEnvironment(environment));
              return ok(written.refused === 'key_taken' ? written.record : again);
            }),
        },
      ),
    );
  }

  /** The environment. Errors: `not_found`. */
  get(environmentId: string): Outcome<'deployments.environments.get', ProjectEnvironment> {
    return operation(this.#scope, methods.get, [environmentId], ([target]) => this.#current(target));
  }

  /** The environment of this project, repository and name. Errors: `not_found`. */
  getByName(of: {
    readonly projectId: string;
    readonly repoId: string;
    readonly environment: string;
  }): Outcome<'deployments.environments.getByName', ProjectEnvironment> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.getByName, [of], ([wanted]) =>
      ports.storage.deployments
        .getEnvironmentByName(caller.org, wanted)
        .andThen((found) => present(found, wanted.environment))
        .map(toProjectEnvironment),
    );
  }

  /** Environments of a repository that track this branch, by name: there may be several, in several projects. */
  getByBranch(
    input: { readonly repoId: string; readonly branch: string } & PageInput,
  ): Outcome<'deployments.environments.getByBranch', Page<ListedProjectEnvironment>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.getByBranch, [input], ([{ limit, cursor, ...of }]) =>
      safeTry(async function* () {
        const page = yield* byBranch.read({ limit, cursor });
        const stored = yield* ports.storage.deployments.listByBranch(caller.org, of, page);
        return ok(byBranch.page(stored, positionOf, toListed));
      }),
    );
  }

  /** Environments of a project, of a repository, or of both, by name, each with the deployment that started last. */
  list(
    input: {
      readonly projectId?: string | undefined;
      readonly repoId?: string | undefined;
      readonly type?: ProjectEnvironmentType | undefined;
    } & PageInput,
  ): Outcome<'deployments.environments.list', Page<ListedProjectEnvironment>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ limit, cursor, projectId, repoId, type: kind }]) =>
      safeTry(async function* () {
        const page = yield* byName.read({ limit, cursor });
        const filter = {
          ...(projectId !== undefined && { projectId }),
          ...(repoId !== undefined && { repoId }),
          ...(kind !== undefined && { type: kind }),
        };
        const stored = yield* ports.storage.deployments.listEnvironments(caller.org, filter, page);
        return ok(byName.page(stored, positionOf, toListed));
      }),
    );
  }

  /** Deletes an environment with its deployments. Errors: `not_found`, `managed_by_preview`, `stale_version`. */
  delete(environmentId: string, options: CommandOptions = {}): Outcome<'deployments.environments.delete', void> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    return operation(scope, methods.delete, [environmentId, options], ([target, given]) =>
      command(
        scope,
        { method: methods.delete.name, target: subject(target), options: given, input: [target] },
        {
          load: (keyId) => storage.deployments.getEnvironment(scope.caller.org, target, keyId),
          replay: async () => ok(undefined),
          attempt: ({ change }, { found }) =>
            safeTry(async function* () {
              const environment = yield* present(found, target);
              yield* checkVersion('project environment', environment, given.expectedVersion);
              yield* checkUnmanaged(environment);
              const { projectId, repoId, environment: name } = environment;
              const written = yield* storage.deployments.deleteEnvironment({
                environment,
                change: change(
                  {
                    subject: subject(target),
                    action: 'project_environment.deleted',
                    sequence: environment.version + 1,
                    data: { projectId, repoId, environment: name },
                  },
                  { id: target },
                ),
              });
              if (written.done) return ok(undefined);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound('project environment', target));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      ),
    );
  }

  #current(environmentId: string) {
    const { ports, caller } = this.#scope;
    return ports.storage.deployments
      .getEnvironment(caller.org, environmentId)
      .andThen(({ found }) => present(found, environmentId))
      .map(toProjectEnvironment);
  }
}

function toListed({ latest, ...environment }: StoredListedEnvironment): ListedProjectEnvironment {
  return { ...toProjectEnvironment(environment), latest };
}

function present(found: StoredProjectEnvironment | null, named: string): Result<StoredProjectEnvironment, NotFound> {
  return found === null ? err(new NotFound('project environment', named)) : ok(found);
}
