import * as z from 'zod';

import { again, changeOf, checkVersion, command } from '../command.ts';
import type { Again, Attempt } from '../command.ts';
import type { ErrorOf } from '../errors.ts';
import { NotFound } from '../kernel/errors.ts';
import type { StorageFailure } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import type { Result, ResultAsync } from '../kernel/result.ts';
import { method, operation } from '../operation.ts';
import type { Eventually, Outcome, Scope } from '../operation.ts';
import type { Loaded } from '../storage/port.ts';
import { sweepThrough } from '../sweeping.ts';
import { Apps } from './apps-service.ts';
import { ProjectEnvironments } from './environments-service.ts';
import { deploymentTimeoutMs, description, gitRef, isOverdue, sha, url } from './model.ts';
import type { Deployment, DeploymentMove } from './model.ts';
import { namespaceFor } from './namespace.ts';
import { Repos } from './repos-service.ts';
import type { DeploymentFacts } from './repository.ts';
import { checkUnmanaged, digestOf, report, rollBack, start } from './rules.ts';
import type { DeploymentReport, NewDeployment } from './rules.ts';

const startInput = z.strictObject({
  projectEnvironmentId: id,
  gitRef,
  sha,
  description: description.nullish(),
  timeoutMs: deploymentTimeoutMs.optional(),
  configuration: z.strictObject({ environmentId: id }).optional(),
  ...commandOptions,
});
const reportInput = z.strictObject({
  status: z.enum(['running', 'success', 'failed']),
  url: url.nullish(),
  description: description.nullish(),
  ...commandOptions,
});
const rollbackInput = z.strictObject({ projectEnvironmentId: id, to: id, ...changeOptions });
const historyInput = z.strictObject({ projectEnvironmentId: id, ...pageInput });
const sweepInput = z.strictObject({
  limit: z.int().min(1).max(1_000).default(100),
  dryRun: z.boolean().default(false),
});

const theDeployment = ([deploymentId]: readonly [string, ...unknown[]]) => [{ type: 'deployment', id: deploymentId }];
const deploymentsOf = ([{ projectEnvironmentId }]: readonly [{ readonly projectEnvironmentId: string }]) => [
  { type: 'project_environment', id: projectEnvironmentId },
];

const methods = {
  start: method('deployments.start', [''], z.tuple([startInput]), deploymentsOf),
  report: method('deployments.report', ['id', ''], z.tuple([id, reportInput]), theDeployment),
  cancel: method('deployments.cancel', ['id', ''], z.tuple([id, z.strictObject(commandOptions)]), theDeployment),
  get: method('deployments.get', ['id'], z.tuple([id]), theDeployment),
  latest: method('deployments.latest', ['projectEnvironmentId'], z.tuple([id]), ([environmentId]) => [
    { type: 'project_environment', id: environmentId },
  ]),
  history: method('deployments.history', [''], z.tuple([historyInput]), deploymentsOf),
  rollback: method('deployments.rollback', [''], z.tuple([rollbackInput]), deploymentsOf),
  sweep: method('deployments.sweep', [''], z.tuple([sweepInput]), () => [{ type: 'deployment' }]),
};

const bySequence = cursorsOf<number>('deployments.history', z.int().min(1).max(2_147_483_647));
const subject = (environmentId: string) => ({ type: 'project_environment', id: environmentId });

/** What `sweep` did to one deployment, or would do, and why. */
export interface SweptDeployment {
  readonly deploymentId: string;
  readonly projectEnvironmentId: string;
  readonly action: 'fail';
  readonly why: string;
  /** `done`; `planned` in a dry run; `settled` when it had ended in between; or the code of an error. */
  readonly outcome: string;
}

/** Repositories, apps, project environments, and what is deployed where (seed 001). */
export class Deployments {
  readonly #scope: Scope;
  readonly repos: Repos;
  readonly apps: Apps;
  readonly environments: ProjectEnvironments;
  /** The Kubernetes namespace of a project environment. Pure. */
  readonly namespaceFor: typeof namespaceFor = namespaceFor;

  constructor(scope: Scope) {
    this.#scope = scope;
    this.repos = new Repos(scope);
    this.apps = new Apps(scope);
    this.environments = new ProjectEnvironments(scope);
  }

  /**
   * Starts a deployment: it is the environment's latest from now on. `configuration` names a configuration environment of the same project, whose version and a
   * digest of whose variables are kept with it.
   *
   * Errors: `not_found` (the environment, or the configuration), `managed_by_preview`.
   */
  start(
    input: {
      readonly projectEnvironmentId: string;
      readonly configuration?: { readonly environmentId: string } | undefined;
    } & NewDeployment &
      Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'deployments.start', Deployment> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;
    const by = { type: scope.caller.type, id: scope.caller.id };
    return operation(scope, methods.start, [input], ([{ idempotencyKey, signal, ...wanted }]) => {
      const { projectEnvironmentId: target, configuration } = wanted;
      const of = { projectEnvironmentId: target, configurationId: configuration?.environmentId ?? null };
      return command(
        scope,
        {
          method: methods.start.name,
          target: { type: 'project environment', id: target },
          options: { idempotencyKey, signal },
          input: wanted,
        },
        {
          load: (keyId) => storage.deployments.startFacts(scope.caller.org, of, keyId),
          replay: (kept) => this.#current(kept['id'] as string),
          attempt: ({ at, change }, { found: environment, configuration: found }) =>
            safeTry(async function* () {
              if (environment === null) return err(new NotFound('project environment', target));
              yield* checkUnmanaged(environment);
              if (configuration !== undefined && found === null) {
                return err(new NotFound('environment', configuration.environmentId));
              }
              const kept =
                configuration === undefined || found === null
                  ? null
                  : {
                      environmentId: configuration.environmentId,
                      version: found.version,
                      digest: digestOf(found.variables),
                    };
              const made = { id: ids.next(), at };
              return yield* write(scope, change, start(environment, { ...wanted, configuration: kept }, by, made), {
                action: 'deployment.started',
                expectedVersion: environment.version,
                adds: true,
              });
            }),
        },
      );
    });
  }

  /**
   * Says how a deployment goes: `running`, then `success` or `failed`, with its address. The one that succeeds is the environment's active one, and the one
   * before it `inactive`; when a later one has succeeded before, it is `superseded`. What is said twice changes nothing.
   *
   * Errors: `not_found`, `illegal_transition`, `managed_by_preview`.
   */
  report(
    deploymentId: string,
    input: { readonly status: 'running' | 'success' | 'failed' } & DeploymentReport &
      Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'deployments.report', Deployment> {
    return operation(this.#scope, methods.report, [deploymentId, input], ([target, given]) => {
      const { idempotencyKey, signal, status, ...said } = given;
      return this.#move(methods.report.name, target, status, said, { idempotencyKey, signal });
    });
  }

  /** Ends a deployment that is not to go on. Errors: `not_found`, `illegal_transition`, `managed_by_preview`. */
  cancel(
    deploymentId: string,
    options: Omit<CommandOptions, 'expectedVersion'> = {},
  ): Outcome<'deployments.cancel', Deployment> {
    return operation(this.#scope, methods.cancel, [deploymentId, options], ([target, given]) =>
      this.#move(methods.cancel.name, target, 'canceled', {}, given),
    );
  }

  /** The deployment. Errors: `not_found`. */
  get(deploymentId: string): Outcome<'deployments.get', Deployment> {
    return operation(this.#scope, methods.get, [deploymentId], ([target]) => this.#current(target));
  }

  /** The deployment of an environment that started last; `null` where there has been none. Errors: `not_found` (the environment). */
  latest(projectEnvironmentId: string): Outcome<'deployments.latest', Deployment | null> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.latest, [projectEnvironmentId], ([target]) =>
      ports.storage.deployments
        .latest(caller.org, target)
        .andThen(({ environment, deployment }) =>
          environment ? ok(deployment) : err(new NotFound('project environment', target)),
        ),
    );
  }

  /** Deployments of an environment, newest first. Errors: `not_found` (the environment). */
  history(
    input: { readonly projectEnvironmentId: string } & PageInput,
  ): Outcome<'deployments.history', Page<Deployment>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.history, [input], ([{ projectEnvironmentId: target, ...paging }]) =>
      safeTry(async function* () {
        const page = yield* bySequence.read(paging);
        const stored = yield* ports.storage.deployments.history(caller.org, target, page);
        if (stored === null) return err(new NotFound('project environment', target));
        return ok(
          bySequence.page(
            stored,
            (last) => last.sequence,
            (deployment) => deployment,
          ),
        );
      }),
    );
  }

  /**
   * Starts a deployment of what an earlier one had deployed: `to` is one of the same environment that has succeeded at some time.
   *
   * Errors: `not_found` (the environment, or `to`), `illegal_transition` for one that never succeeded, `managed_by_preview`, `stale_version` (of the environment).
   */
  rollback(
    input: { readonly projectEnvironmentId: string; readonly to: string } & CommandOptions,
  ): Outcome<'deployments.rollback', Deployment> {
    const scope = this.#scope;
    const { storage, ids } = scope.ports;
    const by = { type: scope.caller.type, id: scope.caller.id };
    return operation(scope, methods.rollback, [input], ([{ projectEnvironmentId: target, to, ...options }]) =>
      command(
        scope,
        {
          method: methods.rollback.name,
          target: { type: 'project environment', id: target },
          options,
          input: [target, to],
        },
        {
          load: (keyId) => storage.deployments.facts(scope.caller.org, to, keyId),
          replay: (kept) => this.#current(kept['id'] as string),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              if (found?.environment.id !== target) return err(new NotFound('deployment', to));
              const { environment, deployment } = found;
              yield* checkVersion('project environment', environment, options.expectedVersion);
              yield* checkUnmanaged(environment);
              const move = yield* rollBack(environment, deployment, by, { id: ids.next(), at });
              return yield* write(scope, change, move, {
                action: 'deployment.started',
                expectedVersion: environment.version,
                adds: true,
              });
            }),
        },
      ),
    );
  }

  /**
   * Fails deployments that have not ended by their deadline. Answers what it did, or with `dryRun` would do, and why; at most `limit` (100). Call it every minute or
   * so, from as many processes as you like.
   */
  sweep(
    input: { readonly limit?: number | undefined; readonly dryRun?: boolean | undefined } = {},
  ): Outcome<'deployments.sweep', readonly SweptDeployment[]> {
    const scope = this.#scope;
    const { storage, clock } = scope.ports;
    return operation(scope, methods.sweep, [input], ([{ limit, dryRun }]) =>
      sweepThrough(
        limit,
        (request) => storage.deployments.due(scope.caller.org, { now: clock.now(), ...request }),
        (deployment) => deployment.id,
        async (deployment): Promise<SweptDeployment | null> => {
          if (!isOverdue(deployment, clock.now())) return null;
          const { id: deploymentId, projectEnvironmentId, deadline } = deployment;
          const why = `it has not ended by its deadline, ${deadline.toISOString()}`;
          const outcome = dryRun ? 'planned' : await timeOut(scope, deployment, why);
          return { deploymentId, projectEnvironmentId, action: 'fail', why, outcome };
        },
      ),
    );
  }

  #move<M extends 'deployments.report' | 'deployments.cancel'>(
    called: M,
    target: string,
    event: 'running' | 'success' | 'failed' | 'canceled',
    said: DeploymentReport,
    options: CommandOptions,
  ): Promise<Result<Deployment, ErrorOf<M>>> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    const attempt = ({ at, change }: Attempt, { found }: Loaded<DeploymentFacts>) =>
      safeTry(async function* () {
        const { deployment, environment, active } = yield* present(found, target);
        yield* checkUnmanaged(environment);
        const move = yield* report(environment, deployment, active, event, said, at);
        if (move === null) return ok(deployment);
        return yield* write(scope, change, move, {
          action: `deployment.${event}`,
          expectedVersion: environment.version,
          adds: false,
        });
      }) as Eventually<Deployment | Again, ErrorOf<M>>;

    return command<M, Loaded<DeploymentFacts>, Deployment>(
      scope,
      { method: called, target: { type: 'deployment', id: target }, options, input: [target, event, said] },
      {
        load: (keyId) => storage.deployments.facts(scope.caller.org, target, keyId),
        replay: () => this.#current(target) as Eventually<Deployment, ErrorOf<M>>,
        attempt,
      },
    ) as Promise<Result<Deployment, ErrorOf<M>>>;
  }

  #current(deploymentId: string): ResultAsync<Deployment, NotFound | StorageFailure> {
    const { ports, caller } = this.#scope;
    return ports.storage.deployments.get(caller.org, deploymentId).andThen((found) => present(found, deploymentId));
  }
}

/** Writes a move once, and answers with the deployment after it. */
function write(
  { ports }: Scope,
  change: Attempt['change'],
  move: DeploymentMove,
  { action, ...how }: { readonly action: string; readonly expectedVersion: number; readonly adds: boolean },
) {
  const { environment, deployment } = move;
  const noted = change(noteOf(action, move), { id: deployment.id, version: environment.version });
  return ports.storage.deployments.move({ ...move, ...how, change: noted }).andThen((written) => {
    if (written.done) return ok(ok(deployment));
    switch (written.refused) {
      case 'key_taken':
        return ok(ok(written.record));
      case 'not_found':
        return ok(err(new NotFound('project environment', environment.id)));
      case 'stale':
        return ok(ok(again));
    }
  });
}

function noteOf(action: string, { environment, deployment, replaced }: DeploymentMove) {
  const { id: deploymentId, sequence, status, gitRef: ref, sha: commit } = deployment;
  return {
    subject: subject(environment.id),
    action,
    sequence: environment.version,
    data: {
      projectId: environment.projectId,
      environment: environment.environment,
      deploymentId,
      deployment: sequence,
      status,
      gitRef: ref,
      sha: commit,
      ...(replaced !== null && { replaced: replaced.id }),
    },
  };
}

async function timeOut(scope: Scope, { id: deploymentId }: Deployment, why: string): Promise<string> {
  const { storage, clock } = scope.ports;
  const at = new Date(clock.now().getTime());
  const loaded = await storage.deployments.facts(scope.caller.org, deploymentId);
  if (loaded.isErr()) return loaded.error.code;
  const { found } = loaded.value;
  if (found === null || !isOverdue(found.deployment, at)) return 'settled';
  if (found.environment.managedBy !== null) return 'managed_by_preview';
  const move = report(found.environment, found.deployment, found.active, 'failed', { description: why }, at);
  if (move.isErr() || move.value === null) return 'settled';
  const written = await storage.deployments.move({
    ...move.value,
    adds: false,
    expectedVersion: found.environment.version,
    change: changeOf(scope, at, noteOf('deployment.timed_out', move.value), null),
  });
  if (written.isErr()) return written.error.code;
  return written.value.done ? 'done' : 'settled';
}

function present<T>(found: T | null, deploymentId: string): Result<T, NotFound> {
  return found === null ? err(new NotFound('deployment', deploymentId)) : ok(found);
}
