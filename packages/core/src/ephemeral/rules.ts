import type { Actor } from '../kernel/actor.ts';
import { IllegalTransition, InvalidInput, LimitReached, NotFound } from '../kernel/errors.ts';
import { err, ok } from '../kernel/result.ts';
import type { Result } from '../kernel/result.ts';
import { compareBytes, nameKey } from '../kernel/text.ts';
import {
  ActionNotDefined,
  ActionRequired,
  ChangeInProgress,
  ChangeSuperseded,
  SecretAccessDenied,
  TypeNotReady,
} from './errors.ts';
import { acknowledgements, finalStates, legalChanges, stateAfter, stateChangeTypes, stateWhile } from './lifecycle.ts';
import type { InstanceState, StateChangeType } from './lifecycle.ts';
import { defaultChangeTimeoutMs, maximumSecretDefinitions } from './model.ts';
import type {
  EnvironmentType,
  Instance,
  LoadedType,
  SecretDefinition,
  StateChange,
  StateChangeAction,
  StoredChange,
  StoredInstance,
  StoredType,
  Trigger,
} from './model.ts';

// Types

/** What a type is made of or changed to; what is not given stays, or is as by default. */
export interface TypeSettings {
  readonly name?: string | undefined;
  readonly description?: string | null | undefined;
  readonly maxNumberOfInstances?: number | null | undefined;
  readonly ttlMs?: number | null | undefined;
  readonly maxTtlMs?: number | null | undefined;
  readonly sleepAfterMs?: number | null | undefined;
  readonly changeTimeoutMs?: number | undefined;
}

/** What an action is defined by: for which kind of change, and where its pipeline is. Texts of at most 255 characters. */
export interface ActionSettings {
  readonly stateChangeType: StateChangeType;
  readonly projectId?: string | null | undefined;
  readonly branch?: string | null | undefined;
  readonly pipelineYamlName: string;
}

/** What a secret is defined by: its name, and which kinds of change may write and read it. */
export interface SecretSettings {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly writableBy: readonly StateChangeType[];
  readonly readableBy: readonly StateChangeType[];
}

interface Made {
  readonly id: string;
  readonly at: Date;
}

/** A type at its first version: a draft. */
export function newType(
  settings: TypeSettings & { readonly name: string },
  parts: { readonly actions: readonly StateChangeAction[]; readonly secrets: readonly SecretDefinition[] },
  by: Actor,
  { id, at }: Made,
): Result<StoredType, InvalidInput> {
  return withinBounds({
    id,
    name: settings.name,
    nameKey: nameKey(settings.name),
    description: settings.description ?? null,
    state: 'draft',
    maxNumberOfInstances: settings.maxNumberOfInstances ?? null,
    ttlMs: settings.ttlMs ?? null,
    maxTtlMs: settings.maxTtlMs ?? null,
    sleepAfterMs: settings.sleepAfterMs ?? null,
    changeTimeoutMs: settings.changeTimeoutMs ?? defaultChangeTimeoutMs,
    createdBy: by,
    lastModifiedBy: by,
    actions: inLifecycleOrder(parts.actions),
    secrets: byName(parts.secrets),
    version: 1,
    createdAt: at,
    updatedAt: at,
  });
}

export function changeSettings(
  type: LoadedType,
  settings: TypeSettings,
  by: Actor,
  at: Date,
): Result<StoredType, InvalidInput | IllegalTransition | ActionNotDefined> {
  if (type.state === 'deleted') return err(deleted('update'));
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  const name = settings.name ?? type.name;
  return withinBounds(modified(type, { ...given, name, nameKey: nameKey(name) }, by, at)).andThen((changed) => {
    const missing = changed.state === 'draft' ? [] : missingActions(changed);
    return missing.length === 0 ? ok(changed) : err(new ActionNotDefined(missing));
  });
}

function withinBounds(type: StoredType): Result<StoredType, InvalidInput> {
  if (type.ttlMs === null || type.maxTtlMs === null || type.ttlMs <= type.maxTtlMs) return ok(type);
  return err(new InvalidInput([{ path: 'ttlMs', message: 'must not be more than maxTtlMs' }]));
}

/** The moves of a type between its states. */
const typeMoves = {
  publish: { from: ['draft'], to: 'ready' },
  cordon: { from: ['ready'], to: 'cordoned' },
  uncordon: { from: ['cordoned'], to: 'ready' },
  delete: { from: ['draft', 'ready', 'cordoned'], to: 'deleted' },
} as const;

export type TypeMove = keyof typeof typeMoves;

export function moveType(
  type: LoadedType,
  move: TypeMove,
  by: Actor,
  at: Date,
): Result<StoredType, IllegalTransition | ActionNotDefined> {
  const { from, to } = typeMoves[move];
  if (!(from as readonly string[]).includes(type.state)) {
    const moves = Object.entries(typeMoves).filter(([, { from: states }]) =>
      (states as readonly string[]).includes(type.state),
    );
    return err(
      new IllegalTransition(
        'type',
        type.state,
        move,
        moves.map(([name]) => name),
      ),
    );
  }
  const missing = to === 'ready' ? missingActions(type) : [];
  return missing.length === 0 ? ok(modified(type, { state: to }, by, at)) : err(new ActionNotDefined(missing));
}

/** What a published type cannot be without: a way up and a way down, and where instances are put to sleep, there and back. */
function requiredActions(type: StoredType): readonly StateChangeType[] {
  return type.sleepAfterMs === null
    ? ['provisioning', 'deprovisioning']
    : ['provisioning', 'to_sleep', 'wake_up', 'deprovisioning'];
}

function missingActions(type: StoredType): readonly StateChangeType[] {
  const there = new Set(type.actions.map(({ stateChangeType }) => stateChangeType));
  return requiredActions(type).filter((needed) => !there.has(needed));
}

/** One action for each kind of change: a second one takes the place of the first and keeps its id. */
export function defineAction(
  type: LoadedType,
  settings: ActionSettings,
  by: Actor,
  { id, at }: Made,
): Result<{ readonly type: StoredType; readonly action: StateChangeAction }, IllegalTransition> {
  if (type.state === 'deleted') return err(deleted('actions.define'));
  const there = type.actions.find(({ stateChangeType }) => stateChangeType === settings.stateChangeType);
  const action = newAction(settings, { id: there?.id ?? id, at }, there?.createdAt);
  const others = type.actions.filter(({ stateChangeType }) => stateChangeType !== settings.stateChangeType);
  return ok({ type: modified(type, { actions: inLifecycleOrder([...others, action]) }, by, at), action });
}

export function newAction(settings: ActionSettings, { id, at }: Made, createdAt = at): StateChangeAction {
  const { stateChangeType, projectId = null, branch = null, pipelineYamlName } = settings;
  return { id, stateChangeType, projectId, branch, pipelineYamlName, createdAt, updatedAt: at };
}

export function removeAction(
  type: LoadedType,
  stateChangeType: StateChangeType,
  by: Actor,
  at: Date,
): Result<StoredType, NotFound | IllegalTransition | ActionRequired> {
  if (type.state === 'deleted') return err(deleted('actions.remove'));
  if (!type.actions.some((action) => action.stateChangeType === stateChangeType)) {
    return err(new NotFound('action', stateChangeType));
  }
  const published = type.state === 'ready' || type.state === 'cordoned';
  if (published && requiredActions(type).includes(stateChangeType)) return err(new ActionRequired(stateChangeType));
  const actions = type.actions.filter((action) => action.stateChangeType !== stateChangeType);
  return ok(modified(type, { actions }, by, at));
}

export function defineSecret(
  type: LoadedType,
  settings: SecretSettings,
  by: Actor,
  { id, at }: Made,
): Result<{ readonly type: StoredType; readonly secret: SecretDefinition }, IllegalTransition | LimitReached> {
  if (type.state === 'deleted') return err(deleted('secretDefinitions.define'));
  const there = type.secrets.find(({ name }) => name === settings.name);
  if (there === undefined && type.secrets.length >= maximumSecretDefinitions) {
    return err(new LimitReached('secretDefinitionsPerType', maximumSecretDefinitions));
  }
  const secret = newSecret(settings, { id: there?.id ?? id, at }, there?.createdAt);
  const others = type.secrets.filter(({ name }) => name !== settings.name);
  return ok({ type: modified(type, { secrets: byName([...others, secret]) }, by, at), secret });
}

export function newSecret(settings: SecretSettings, { id, at }: Made, createdAt = at): SecretDefinition {
  return {
    id,
    name: settings.name,
    description: settings.description ?? null,
    writableBy: inOrder(settings.writableBy),
    readableBy: inOrder(settings.readableBy),
    createdAt,
    updatedAt: at,
  };
}

export function removeSecret(
  type: LoadedType,
  name: string,
  by: Actor,
  at: Date,
): Result<StoredType, NotFound | IllegalTransition> {
  if (type.state === 'deleted') return err(deleted('secretDefinitions.remove'));
  if (!type.secrets.some((secret) => secret.name === name)) return err(new NotFound('secret definition', name));
  return ok(modified(type, { secrets: type.secrets.filter((secret) => secret.name !== name) }, by, at));
}

/** A type that is deleted stays as it was, for the history of its instances. */
function deleted(change: string): IllegalTransition {
  return new IllegalTransition('type', 'deleted', change, []);
}

function modified(type: LoadedType, changes: Partial<StoredType>, by: Actor, at: Date): StoredType {
  const { liveInstances: _counted, ...stored } = type;
  return { ...stored, ...changes, lastModifiedBy: by, version: type.version + 1, updatedAt: at };
}

function inOrder(types: readonly StateChangeType[]): readonly StateChangeType[] {
  return stateChangeTypes.filter((type) => types.includes(type));
}

function inLifecycleOrder(actions: readonly StateChangeAction[]): readonly StateChangeAction[] {
  return stateChangeTypes.flatMap((type) => actions.filter(({ stateChangeType }) => stateChangeType === type));
}

function byName(secrets: readonly SecretDefinition[]): readonly SecretDefinition[] {
  return [...secrets].sort((a, b) => compareBytes(a.name, b.name));
}

// Instances

/** An instance at its first version: it is nowhere yet, but holds its place. */
export function newInstance(
  type: LoadedType,
  input: { readonly name: string; readonly ttlMs?: number | undefined },
  { id, at }: Made,
): Result<StoredInstance, TypeNotReady | InvalidInput> {
  if (type.state !== 'ready') return err(new TypeNotReady(type.state));
  const ttlMs = input.ttlMs ?? type.ttlMs ?? type.maxTtlMs;
  if (ttlMs !== null && type.maxTtlMs !== null && ttlMs > type.maxTtlMs) {
    return err(new InvalidInput([{ path: 'ttlMs', message: `must be at most the type's maxTtlMs, ${type.maxTtlMs}` }]));
  }
  return ok({
    id,
    typeId: type.id,
    name: input.name,
    nameKey: nameKey(input.name),
    state: 'zero_state',
    pendingChangeId: null,
    changeSequence: 0,
    sleptFrom: null,
    expiresAt: ttlMs === null ? null : after(at, ttlMs),
    lastActiveAt: at,
    sweepFailures: 0,
    sweepAfter: null,
    needsAttention: false,
    note: null,
    endedAt: null,
    version: 1,
    createdAt: at,
    updatedAt: at,
  });
}

/** Moves the end of an instance to so long from now, but never beyond the type's `maxTtlMs` from its creation. */
export function extend(
  instance: StoredInstance,
  type: LoadedType,
  ttlMs: number,
  at: Date,
): Result<StoredInstance, LimitReached | IllegalTransition> {
  if (finalStates.has(instance.state)) return err(illegal(instance.state, 'extend'));
  const expiresAt = after(at, ttlMs);
  if (type.maxTtlMs !== null && expiresAt > after(instance.createdAt, type.maxTtlMs)) {
    return err(new LimitReached('maxTtlMs', type.maxTtlMs));
  }
  return ok(next(instance, { expiresAt }, at));
}

export function touch(instance: StoredInstance, at: Date): Result<StoredInstance, IllegalTransition> {
  if (finalStates.has(instance.state)) return err(illegal(instance.state, 'touch'));
  return ok(next(instance, { lastActiveAt: at }, at));
}

/** A person's word that what a pipeline failed to clean up is clean. */
export function acknowledge(
  instance: StoredInstance,
  note: string,
  at: Date,
): Result<StoredInstance, ChangeInProgress | IllegalTransition> {
  if (instance.pendingChangeId !== null) return err(new ChangeInProgress(instance.pendingChangeId, null));
  const state = acknowledgements[instance.state];
  if (state === undefined) return err(illegal(instance.state, 'acknowledgeCleanUp'));
  const ended = finalStates.has(state);
  return ok(next(instance, { ...calm, state, note, lastActiveAt: at, endedAt: ended ? at : null }, at));
}

/** Only what has ended can be removed. */
export function remove(instance: StoredInstance): Result<StoredInstance, IllegalTransition> {
  return finalStates.has(instance.state) ? ok(instance) : err(illegal(instance.state, 'remove'));
}

function illegal(state: InstanceState, change: string): IllegalTransition {
  const byHand = acknowledgements[state] === undefined ? [] : ['acknowledgeCleanUp'];
  return new IllegalTransition('instance', state, change, [...legalChanges(state), ...byHand]);
}

// Changes

/** What a change is started with. */
export interface ChangeRequest {
  readonly type: StateChangeType;
  readonly trigger: Trigger;
  readonly parameters: Readonly<Record<string, string>>;
  /** Of the token that its runner is called with; `null` when it is not called yet. */
  readonly tokenHash: string | null;
}

export interface Changed {
  readonly instance: StoredInstance;
  readonly stateChange: StoredChange;
}

/** Whether a change may start: none is under way, the table has it, the type has a pipeline for it. */
export function startChange(
  instance: StoredInstance,
  pending: StoredChange | null,
  type: LoadedType,
  request: ChangeRequest,
  { id, at }: Made,
): Result<Changed, ChangeInProgress | IllegalTransition | ActionNotDefined> {
  if (instance.pendingChangeId !== null)
    return err(new ChangeInProgress(instance.pendingChangeId, pending?.type ?? null));
  const state = stateWhile(instance.state, request.type);
  if (state === null) return err(illegal(instance.state, request.type));
  const action = type.actions.find(({ stateChangeType }) => stateChangeType === request.type);
  if (action === undefined) return err(new ActionNotDefined([request.type]));

  const sleptFrom =
    request.type === 'to_sleep' && (instance.state === 'ready_to_use' || instance.state === 'in_use')
      ? instance.state
      : instance.sleptFrom;
  const sequence = instance.changeSequence + 1;
  return ok({
    instance: next(instance, { state, pendingChangeId: id, changeSequence: sequence, sleptFrom, lastActiveAt: at }, at),
    stateChange: {
      id,
      instanceId: instance.id,
      typeId: type.id,
      sequence,
      type: request.type,
      prevState: instance.state,
      nextState: null,
      result: 'pending',
      reason: null,
      trigger: request.trigger,
      actionId: action.id,
      projectId: action.projectId,
      branch: action.branch,
      pipelineYamlName: action.pipelineYamlName,
      parameters: request.parameters,
      tokenHashes: request.tokenHash === null ? [] : [request.tokenHash],
      acceptedAt: null,
      executionPipelineId: null,
      executionId: null,
      deadline: after(at, type.changeTimeoutMs),
      startedAt: at,
      endedAt: null,
    },
  });
}

/** What a completion does: ends the pending change, or nothing when it has been told before. */
export function endChange(
  instance: StoredInstance,
  stateChange: StoredChange,
  end: { readonly result: 'passed' | 'failed' | 'canceled'; readonly reason: string | null },
  at: Date,
): Result<Changed | 'told before', ChangeSuperseded> {
  if (stateChange.result !== 'pending' || instance.pendingChangeId !== stateChange.id) {
    return stateChange.result === end.result ? ok('told before') : err(new ChangeSuperseded(stateChange.result));
  }
  const state = stateAfter(stateChange.type, end.result === 'passed', instance.sleptFrom);
  const swept = stateChange.type === 'deprovisioning' && stateChange.trigger.type === 'system';
  const unrest = end.result === 'passed' ? calm : swept ? sweptInVain(instance, at) : {};
  const endedAt = finalStates.has(state) ? at : null;
  return ok({
    instance: next(instance, { ...unrest, state, pendingChangeId: null, lastActiveAt: at, endedAt }, at),
    stateChange: { ...stateChange, ...end, nextState: state, endedAt: at },
  });
}

const calm = { sweepFailures: 0, sweepAfter: null, needsAttention: false };

/** Tries of `sweep` to take an instance down before it leaves that to a person. */
export const maximumSweepFailures = 5;

/** After a try in vain: again in 1, 2, 4, 8 minutes, and then no more. */
function sweptInVain(instance: StoredInstance, at: Date): Partial<StoredInstance> {
  const sweepFailures = instance.sweepFailures + 1;
  return {
    sweepFailures,
    sweepAfter: after(at, 60_000 * 2 ** (sweepFailures - 1)),
    needsAttention: sweepFailures >= maximumSweepFailures,
  };
}

/** Whether this kind of change may use the secret. A name that is not defined is refused in the same words. */
export function mayUse(
  type: LoadedType,
  stateChange: StoredChange,
  name: string,
  access: 'read' | 'write',
): Result<void, SecretAccessDenied> {
  const definition = type.secrets.find((secret) => secret.name === name);
  const allowed = access === 'read' ? definition?.readableBy : definition?.writableBy;
  return allowed?.includes(stateChange.type) === true
    ? ok(undefined)
    : err(new SecretAccessDenied(name, access, stateChange.type));
}

// Sweep

/** What `sweep` does to an instance, and why. */
export interface SweepDecision {
  readonly action: 'time_out' | 'call' | 'call_again' | 'deprovision' | 'put_to_sleep';
  readonly why: string;
}

/** How long a runner has to take a change on before it is called again. */
export const acceptanceGraceMs = 30_000;

export function decideSweep(
  instance: StoredInstance,
  pending: StoredChange | null,
  type: LoadedType,
  now: Date,
): SweepDecision | null {
  if (finalStates.has(instance.state)) return null;
  if (pending !== null) {
    if (pending.deadline <= now) {
      return {
        action: 'time_out',
        why: `${pending.type} has not ended by its deadline, ${pending.deadline.toISOString()}`,
      };
    }
    if (pending.acceptedAt !== null) return null;
    if (pending.tokenHashes.length === 0) {
      return { action: 'call', why: `${pending.type} was started in a transaction of the host` };
    }
    if (after(pending.startedAt, acceptanceGraceMs) > now) return null;
    return { action: 'call_again', why: `nobody knows whether the runner took ${pending.type} on` };
  }
  if (instance.expiresAt !== null && instance.expiresAt <= now) {
    if (instance.needsAttention || (instance.sweepAfter !== null && instance.sweepAfter > now)) return null;
    return { action: 'deprovision', why: `it expired at ${instance.expiresAt.toISOString()}` };
  }
  const awake = instance.state === 'ready_to_use' || instance.state === 'in_use';
  if (!awake || type.sleepAfterMs === null || after(instance.lastActiveAt, type.sleepAfterMs) > now) return null;
  return { action: 'put_to_sleep', why: `nothing has happened since ${instance.lastActiveAt.toISOString()}` };
}

function after(time: Date, ms: number): Date {
  return new Date(time.getTime() + ms);
}

function next(instance: StoredInstance, changes: Partial<StoredInstance>, at: Date): StoredInstance {
  return { ...instance, ...changes, version: instance.version + 1, updatedAt: at };
}

// What callers see

export function toType({ nameKey: _nameKey, ...type }: LoadedType): EnvironmentType {
  return type;
}

export function toInstance(stored: StoredInstance): Instance {
  const { nameKey: _nameKey, sweepFailures: _failures, sweepAfter: _after, ...instance } = stored;
  return instance;
}

export function toStateChange({ tokenHashes: _hashes, ...stateChange }: StoredChange): StateChange {
  return stateChange;
}
