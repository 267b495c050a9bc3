/**
 * What every public method goes through: parse the arguments, ask the policy, run, report. The services hold only what is particular to
 * their methods.
 */
import type * as z from 'zod';

import type { ErrorOf, Method } from './errors.ts';
import type { PipelineRunner } from './ephemeral/pipeline-runner.ts';
import type { KeyManagement } from './keys/key-management.ts';
import type { OpenedKeys } from './keys/opened-keys.ts';
import type { Caller } from './kernel/actor.ts';
import type { Clock, Random } from './kernel/clock.ts';
import { AccessDenied, StorageFailure } from './kernel/errors.ts';
import type { IdempotencyMismatch, InvalidInput, StaleVersion } from './kernel/errors.ts';
import type { IdSource } from './kernel/ids.ts';
import { parse } from './kernel/input.ts';
import type { Limits } from './kernel/limits.ts';
import { notify } from './kernel/observability.ts';
import type { Hooks, Telemetry } from './kernel/observability.ts';
import { allowEverything } from './kernel/policy.ts';
import type { Policy, PolicyResource } from './kernel/policy.ts';
import { err, ResultAsync } from './kernel/result.ts';
import type { Result } from './kernel/result.ts';
import type { ReadyPreviews } from './previews/ports.ts';
import type { Storage } from './storage/port.ts';

/** Everything that core takes from outside, with the defaults filled in. */
export interface Ports {
  readonly storage: Storage;
  readonly policy: Policy;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly keys: KeyManagement | null;
  readonly pipelines: PipelineRunner | null;
  readonly previews: ReadyPreviews | null;
  /** Whether the storage works inside a transaction of the host, which nobody else sees before it commits. */
  readonly inTransaction: boolean;
  /** Data keys that are open in this process, for all orgs. */
  readonly opened: OpenedKeys;
  readonly telemetry: Telemetry | null;
  readonly hooks: Hooks;
}

/** Who is calling, and with which ports. Every service is made for one scope. */
export interface Scope {
  readonly ports: Ports;
  readonly caller: Caller;
}

/** The result of a method: its value, or one of the codes that the table of errors has for it. */
export type Outcome<M extends Method, T> = ResultAsync<T, ErrorOf<M>>;

/** What a step of a method may answer with. */
export type Eventually<T, E> = ResultAsync<T, E> | Promise<Result<T, E>>;

/** The errors that calls run into on their way, whichever method it is. A test holds the table to having them where they can occur. */
type Anywhere = AccessDenied | IdempotencyMismatch | InvalidInput | StaleVersion | StorageFailure;

/** What is fixed about a method: its name, its arguments, and what the policy is told that a call is about. */
export interface MethodSpec<M extends Method, S extends z.ZodType> {
  readonly name: M;
  /** Names of the arguments, for the paths of issues; '' for the object whose fields speak for themselves. */
  readonly args: readonly string[];
  readonly schema: S;
  /** One question to the policy for each. */
  readonly resources: (input: z.output<S>) => readonly Omit<PolicyResource, 'orgId'>[];
}

export function method<M extends Method, S extends z.ZodType>(
  name: M,
  args: readonly string[],
  schema: S,
  resources: MethodSpec<M, S>['resources'],
): MethodSpec<M, S> {
  return { name, args, schema, resources };
}

/** Runs one call of a method: parse, authorise, `run`, report. */
export function operation<M extends Method, S extends z.ZodType, T>(
  scope: Scope,
  spec: MethodSpec<M, S>,
  input: readonly unknown[],
  run: (input: z.output<S>) => Eventually<T, ErrorOf<M> | Anywhere>,
): Outcome<M, T> {
  const settle = async (): Promise<Result<T, ErrorOf<M> | Anywhere>> => {
    const parsed = parse(spec.schema, input, spec.args);
    if (parsed.isErr()) return err(parsed.error);
    const denied = await authorise(scope, spec.name, spec.resources(parsed.value));
    return denied === null ? await run(parsed.value) : err(denied);
  };
  return new ResultAsync(observed(scope, spec.name, settle) as Promise<Result<T, ErrorOf<M>>>);
}

/** Asks the policy about each of these; the first refusal counts. A policy that throws denies. */
export async function authorise(
  { ports, caller }: Scope,
  action: string,
  resources: readonly Omit<PolicyResource, 'orgId'>[],
): Promise<AccessDenied | null> {
  if (ports.policy === allowEverything) return null;
  const actor = { type: caller.type, id: caller.id };
  for (const resource of resources) {
    try {
      const allowed = await ports.policy.allows({ actor, action, resource: { ...resource, orgId: caller.org } });
      if (allowed !== true) return new AccessDenied(action, actor);
    } catch (cause) {
      return new AccessDenied(action, actor, { cause });
    }
  }
  return null;
}

/** Runs a call to its result whatever happens in it, and reports how it went. */
async function observed<T, E>(
  { ports, caller }: Scope,
  name: string,
  settle: () => Promise<Result<T, E>>,
): Promise<Result<T, E | StorageFailure>> {
  const { telemetry } = ports;
  const start = telemetry === null ? 0 : performance.now();
  const result: Result<T, E | StorageFailure> = await settle().catch((cause: unknown) =>
    err(new StorageFailure(`${name} failed unexpectedly`, { retryable: false, outcome: 'unknown', cause })),
  );
  if (telemetry !== null) {
    const outcome = result.isOk() ? 'ok' : ((result.error as { code?: string }).code ?? 'error');
    notify(() => telemetry.call({ method: name, orgId: caller.org, durationMs: performance.now() - start, outcome }));
  }
  return result;
}
