import {
  ActionNotDefined,
  ActionRequired,
  CapacityReached,
  ChangeInProgress,
  ChangeSuperseded,
  err,
  IllegalTransition,
  InstanceNameTaken,
  InvalidToken,
  LimitReached,
  NotFound,
  ok,
  SecretAccessDenied,
  SecretText,
  TypeHasInstances,
  TypeNameTaken,
  TypeNotReady,
} from '@vivarium/core';
import type {
  Instance,
  InstanceState,
  PipelineRunner,
  SecretDefinition,
  StateChange,
  StateChangeAction,
  StateChangeType,
  Trigger,
  TypeState,
  VivariumError,
} from '@vivarium/core';

import { byName, clean, folded, invalid, pageOf } from './plain-ledger.ts';
import type { Answer, Options, PageInput, PlainActor, PlainLedger } from './plain-ledger.ts';

/** Where each change leads, as the design has it: from → while it is under way → passed, failed. */
const moves: Readonly<
  Record<StateChangeType, readonly [from: string, pending: string, passed: string, failed: string]>
> = {
  provisioning: ['zero_state failed_provisioning', 'provisioning', 'ready_to_use', 'failed_provisioning'],
  deploying: ['ready_to_use in_use failed_deployment', 'deploying', 'in_use', 'failed_deployment'],
  cleaning_up: ['in_use failed_deployment failed_cleanup', 'cleaning_up', 'ready_to_use', 'failed_cleanup'],
  to_sleep: ['ready_to_use in_use failed_sleep', 'going_to_sleep', 'sleep', 'failed_sleep'],
  wake_up: ['sleep failed_wake_up failed_sleep', 'waking_up', 'where it was', 'failed_wake_up'],
  deprovisioning: [
    'zero_state ready_to_use failed_provisioning in_use failed_deployment failed_cleanup sleep failed_sleep failed_wake_up failed_deprovisioning',
    'deprovisioning',
    'destroyed',
    'failed_deprovisioning',
  ],
};
const kinds = Object.keys(moves) as StateChangeType[];

interface PlainType {
  readonly id: string;
  name: string;
  description: string | null;
  state: TypeState;
  maxNumberOfInstances: number | null;
  ttlMs: number | null;
  maxTtlMs: number | null;
  sleepAfterMs: number | null;
  changeTimeoutMs: number;
  createdBy: PlainActor;
  lastModifiedBy: PlainActor;
  actions: StateChangeAction[];
  secrets: SecretDefinition[];
  version: number;
  readonly createdAt: Date;
  updatedAt: Date;
}

type Settings = Partial<
  Pick<
    PlainType,
    'name' | 'description' | 'maxNumberOfInstances' | 'ttlMs' | 'maxTtlMs' | 'sleepAfterMs' | 'changeTimeoutMs'
  >
>;
type ActionInput = Pick<StateChangeAction, 'stateChangeType' | 'pipelineYamlName'> & Partial<StateChangeAction>;
type SecretInput = Pick<SecretDefinition, 'name' | 'writableBy' | 'readableBy'> & Partial<SecretDefinition>;

type Open<T> = { -readonly [Field in keyof T]: T[Field] };

interface PlainInstance extends Open<Instance> {
  readonly type: PlainType;
  sweepFailures: number;
  sweepAfter: number;
  readonly secrets: Map<string, string>;
}

interface PlainChange extends Open<StateChange> {
  readonly instance: PlainInstance;
  tokens: string[];
}

interface StartInput extends Options {
  readonly trigger?: Trigger;
  readonly parameters?: Record<string, string>;
}

/** Types, instances, changes and secrets of an org. */
export function plainEphemeral(ledger: PlainLedger, runner: PipelineRunner) {
  const { orgId, actor, now, newId, note, kept, keep, stale } = ledger;
  const types: PlainType[] = [];
  let instances: PlainInstance[] = [];
  let changes: PlainChange[] = [];
  let tokens = 0;

  const typeOf = (id: string) => types.find((type) => type.id === id);
  const instanceOf = (id: string) => instances.find((instance) => instance.id === id);
  const changeOf = (id: string) => changes.find((change) => change.id === id);
  const living = (type: PlainType) => instances.filter((one) => one.type === type && one.endedAt === null);
  const typeNamed = (name: string) =>
    types.find((type) => type.state !== 'deleted' && folded(type.name) === folded(name));
  const later = (ms: number) => new Date(now().getTime() + ms);

  const seenType = (type: PlainType) => {
    const { actions, secrets } = type;
    return {
      ...type,
      actions: kinds.flatMap((kind) => actions.filter(({ stateChangeType }) => stateChangeType === kind)),
      secrets: secrets.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      liveInstances: living(type).length,
    };
  };
  const seenInstance = (instance: PlainInstance) => {
    const { type: _type, sweepFailures: _failures, sweepAfter: _after, secrets: _secrets, ...seen } = instance;
    return seen;
  };
  const seenChange = (change: PlainChange) => {
    const { instance: _instance, tokens: _tokens, ...seen } = change;
    return seen;
  };
  const typeAnswer = (id: string): Answer => {
    const type = typeOf(id);
    return type === undefined ? err(new NotFound('environment type', id)) : ok(seenType(type));
  };
  const instanceAnswer = (id: string): Answer => {
    const instance = instanceOf(id);
    return instance === undefined ? err(new NotFound('instance', id)) : ok(seenInstance(instance));
  };

  const newAction = ({ stateChangeType, projectId, branch, pipelineYamlName }: ActionInput): StateChangeAction => ({
    id: newId(),
    stateChangeType,
    projectId: projectId ?? null,
    branch: branch ?? null,
    pipelineYamlName,
    createdAt: now(),
    updatedAt: now(),
  });
  const newSecret = ({ name, description, writableBy, readableBy }: SecretInput): SecretDefinition => ({
    id: newId(),
    name,
    description: description ?? null,
    writableBy: kinds.filter((kind) => writableBy.includes(kind)),
    readableBy: kinds.filter((kind) => readableBy.includes(kind)),
    createdAt: now(),
    updatedAt: now(),
  });

  const outOfBounds = ({ ttlMs, maxTtlMs }: Settings) =>
    ttlMs != null && maxTtlMs != null && ttlMs > maxTtlMs ? invalid('ttlMs', 'must not be more than maxTtlMs') : null;
  const needed = ({ sleepAfterMs }: PlainType) =>
    kinds.filter(
      (kind) =>
        kind === 'provisioning' ||
        kind === 'deprovisioning' ||
        (sleepAfterMs !== null && (kind === 'to_sleep' || kind === 'wake_up')),
    );
  const lacks = (type: PlainType) =>
    needed(type).filter((kind) => !type.actions.some(({ stateChangeType }) => stateChangeType === kind));

  /** Every change of a type: finds it, or what stands against the command; `decide` says what it becomes. */
  const changingType = (
    method: string,
    action: string,
    id: string,
    options: Options,
    input: unknown,
    decide: (type: PlainType) => VivariumError | { becomes: Partial<PlainType>; facts?: object },
    see: (type: PlainType) => Answer = (type) => ok(seenType(type)),
  ): Answer => {
    const before = kept(method, options, input);
    if (before !== null) return before;
    const type = typeOf(id);
    if (type === undefined) return err(new NotFound('environment type', id));
    const outdated = stale('environment type', type, options);
    if (outdated !== null) return err(outdated);
    const decided = decide(type);
    if (decided instanceof Error) return err(decided);
    Object.assign(type, decided.becomes, {
      version: type.version + 1,
      updatedAt: now(),
      lastModifiedBy: actor,
    });
    note('environment_type', id, action, type.version, { name: type.name, ...decided.facts });
    keep(method, options, input, () => {
      const there = typeOf(id);
      return there === undefined ? err(new NotFound('environment type', id)) : see(there);
    });
    return see(type);
  };
  const deleted = (type: PlainType, change: string) =>
    type.state === 'deleted' ? new IllegalTransition('type', 'deleted', change, []) : null;

  const moveType =
    (move: string, action: string, from: readonly TypeState[], to: TypeState) =>
    async (id: string, options: Options = {}) =>
      changingType(`ephemeral.types.${move}`, action, id, options, [id], (type) => {
        const legal = {
          draft: ['publish', 'delete'],
          ready: ['cordon', 'delete'],
          cordoned: ['uncordon', 'delete'],
          deleted: [],
        };
        if (!from.includes(type.state)) return new IllegalTransition('type', type.state, move, legal[type.state]);
        const missing = to === 'ready' ? lacks(type) : [];
        if (missing.length > 0) return new ActionNotDefined(missing);
        if (to === 'deleted' && living(type).length > 0) return new TypeHasInstances();
        return { becomes: { state: to } };
      });

  /** Every change of an instance that is no state change. */
  const changingInstance = (
    method: string,
    action: string,
    id: string,
    options: Options,
    input: unknown,
    decide: (instance: PlainInstance) => VivariumError | Partial<PlainInstance>,
  ): Answer => {
    const called = `ephemeral.instances.${method}`;
    const before = kept(called, options, input);
    if (before !== null) return before;
    const instance = instanceOf(id);
    if (instance === undefined) return err(new NotFound('instance', id));
    const outdated = stale('instance', instance, options);
    if (outdated !== null) return err(outdated);
    const decided = decide(instance);
    if (decided instanceof Error) return err(decided);
    change(instance, decided);
    const { name, state, typeId } = instance;
    note('instance', id, action, instance.version, { typeId, name, state });
    keep(called, options, input, () => instanceAnswer(id));
    return ok(seenInstance(instance));
  };
  const change = (instance: PlainInstance, becomes: Partial<PlainInstance>) => {
    Object.assign(instance, becomes, { version: instance.version + 1, updatedAt: now() });
    if (instance.endedAt !== null) instance.secrets.clear();
  };
  const legalIn = (state: InstanceState) => [
    ...kinds.filter((kind) => moves[kind][0].split(' ').includes(state)),
    ...(state === 'failed_deprovisioning' || state === 'failed_cleanup' ? ['acknowledgeCleanUp'] : []),
  ];
  const illegal = ({ state }: PlainInstance, what: string) =>
    new IllegalTransition('instance', state, what, legalIn(state));
  const calm = { sweepFailures: 0, sweepAfter: 0, needsAttention: false };

  /** Starts a change and calls the runner for it. */
  const start = async (
    instance: PlainInstance,
    kind: StateChangeType,
    trigger: Trigger,
    parameters: Record<string, string>,
  ): Promise<PlainChange | VivariumError> => {
    const pending = instance.pendingChangeId;
    if (pending !== null) return new ChangeInProgress(pending, changeOf(pending)!.type);
    if (!legalIn(instance.state).includes(kind)) return illegal(instance, kind);
    const action = instance.type.actions.find(({ stateChangeType }) => stateChangeType === kind);
    if (action === undefined) return new ActionNotDefined([kind]);
    const { state } = instance;
    const { id: actionId, projectId, branch, pipelineYamlName } = action;
    const started: PlainChange = {
      id: newId(),
      instanceId: instance.id,
      typeId: instance.typeId,
      sequence: instance.changeSequence + 1,
      type: kind,
      prevState: state,
      nextState: null,
      result: 'pending',
      reason: null,
      trigger,
      actionId,
      projectId,
      branch,
      pipelineYamlName,
      parameters,
      acceptedAt: null,
      executionPipelineId: null,
      executionId: null,
      deadline: later(instance.type.changeTimeoutMs),
      startedAt: now(),
      endedAt: null,
      instance,
      tokens: [],
    };
    changes.push(started);
    change(instance, {
      state: moves[kind][1] as InstanceState,
      pendingChangeId: started.id,
      changeSequence: started.sequence,
      lastActiveAt: now(),
      ...(kind === 'to_sleep' && (state === 'ready_to_use' || state === 'in_use') ? { sleptFrom: state } : {}),
    });
    note('instance', instance.id, 'change_started', instance.version, {
      typeId: instance.typeId,
      name: instance.name,
      change: kind,
      stateChangeId: started.id,
    });
    return started;
  };

  const callRunner = async (started: PlainChange, action: StateChangeAction): Promise<void> => {
    const token = `token ${++tokens}`;
    started.tokens = [...started.tokens, token].slice(-8);
    try {
      const answer = await runner.start({
        orgId,
        action,
        instance: seenInstance(started.instance),
        stateChange: seenChange(started),
        token,
        parameters: started.parameters,
      });
      started.acceptedAt = now();
      started.executionPipelineId = answer?.executionPipelineId ?? null;
      started.executionId = answer?.executionId ?? null;
    } catch (error) {
      const refused = (error as { refused?: boolean }).refused === true;
      if (refused) end(started, 'failed', 'the pipeline runner refused the change');
    }
  };

  const end = (ending: PlainChange, result: 'passed' | 'failed' | 'canceled', reason: string | null) => {
    const { instance, type: kind } = ending;
    const [, , passed, failed] = moves[kind];
    const woken = instance.sleptFrom ?? 'ready_to_use';
    const state = (result !== 'passed' ? failed : passed === 'where it was' ? woken : passed) as InstanceState;
    const swept = kind === 'deprovisioning' && ending.trigger.type === 'system';
    const failures = instance.sweepFailures + 1;
    const inVain = {
      sweepFailures: failures,
      sweepAfter: later(60_000 * 2 ** (failures - 1)).getTime(),
      needsAttention: failures >= 5,
    };
    Object.assign(ending, { result, reason, nextState: state, endedAt: now() });
    change(instance, {
      ...(result === 'passed' ? calm : swept ? inVain : {}),
      state,
      pendingChangeId: null,
      lastActiveAt: now(),
      endedAt: state === 'destroyed' ? now() : null,
    });
    const { typeId, name } = instance;
    note('instance', instance.id, 'change_ended', instance.version, {
      typeId,
      name,
      change: kind,
      stateChangeId: ending.id,
      result,
      state,
    });
  };
  /** Ends a change; or says why not. Saying the same twice changes nothing. */
  const tryToEnd = (ending: PlainChange, result: 'passed' | 'failed' | 'canceled', reason: string | null) => {
    if (ending.result === result) return 'told before';
    if (ending.result !== 'pending') return new ChangeSuperseded(ending.result);
    end(ending, result, reason);
    return 'ended';
  };

  const starting =
    (method: string, kind: StateChangeType) =>
    async (id: string, { trigger, parameters = {}, ...options }: StartInput = {}): Promise<Answer> => {
      const called = `ephemeral.instances.${method}`;
      const by = trigger ?? { type: 'user', id: actor.id };
      const input = [id, by, parameters];
      const before = kept(called, options, input);
      if (before !== null) return before;
      const instance = instanceOf(id);
      if (instance === undefined) return err(new NotFound('instance', id));
      const outdated = stale('instance', instance, options);
      if (outdated !== null) return err(outdated);
      const started = await start(instance, kind, by, parameters);
      if (started instanceof Error) return err(started);
      keep(called, options, input, () => {
        const there = changeOf(started.id);
        return there === undefined ? err(new NotFound('instance', id)) : ok(seenChange(there));
      });
      await callRunner(
        started,
        instance.type.actions.find((action) => action.id === started.actionId)!,
      );
      return ok(seenChange(started));
    };

  /** What a token opens: the change, as long as it is pending. */
  const admitted = (stateChangeId: string, token: string): PlainChange | VivariumError => {
    const found = changeOf(stateChangeId);
    if (found === undefined) return new NotFound('state change', stateChangeId);
    return found.result === 'pending' && found.tokens.includes(token) ? found : new InvalidToken();
  };
  const may = ({ instance, type }: PlainChange, name: string, access: 'readableBy' | 'writableBy') =>
    instance.type.secrets.some((secret) => secret.name === name && secret[access].includes(type));
  const noteSecrets = ({ id, instance }: PlainChange, action: string, names: readonly string[]) =>
    note('instance', instance.id, action, null, {
      typeId: instance.typeId,
      stateChangeId: id,
      names,
      count: names.length,
    });

  /** What time asks for: of one instance, and why. */
  const due = (instance: PlainInstance) => {
    const at = now().getTime();
    const pending = instance.pendingChangeId === null ? undefined : changeOf(instance.pendingChangeId);
    if (instance.endedAt !== null) return null;
    if (pending !== undefined) {
      if (pending.deadline.getTime() <= at) {
        return {
          action: 'time_out',
          why: `${pending.type} has not ended by its deadline, ${pending.deadline.toISOString()}`,
        };
      }
      const unheard = pending.acceptedAt === null && pending.startedAt.getTime() + 30_000 <= at;
      return unheard ? { action: 'call_again', why: `nobody knows whether the runner took ${pending.type} on` } : null;
    }
    if (instance.expiresAt !== null && instance.expiresAt.getTime() <= at) {
      if (instance.needsAttention || instance.sweepAfter > at) return null;
      return { action: 'deprovision', why: `it expired at ${instance.expiresAt.toISOString()}` };
    }
    const { sleepAfterMs } = instance.type;
    const awake = instance.state === 'ready_to_use' || instance.state === 'in_use';
    if (!awake || sleepAfterMs === null || instance.lastActiveAt.getTime() + sleepAfterMs > at) return null;
    return { action: 'put_to_sleep', why: `nothing has happened since ${instance.lastActiveAt.toISOString()}` };
  };
  const carryOut = async (instance: PlainInstance, action: string): Promise<void> => {
    const pending = instance.pendingChangeId === null ? undefined : changeOf(instance.pendingChangeId);
    if (action === 'time_out') end(pending!, 'failed', 'timed_out');
    if (action === 'call_again') {
      const pipeline = instance.type.actions.find(({ id }) => id === pending!.actionId);
      if (pipeline === undefined) end(pending!, 'failed', 'its action is no longer defined');
      else await callRunner(pending!, pipeline);
    }
    if (action !== 'deprovision' && action !== 'put_to_sleep') return;
    const kind = action === 'deprovision' ? 'deprovisioning' : 'to_sleep';
    const started = (await start(instance, kind, { type: 'system', id: 'sweep' }, {})) as PlainChange;
    await callRunner(
      started,
      instance.type.actions.find(({ id }) => id === started.actionId)!,
    );
  };

  return {
    ephemeral: {
      types: {
        create: async ({
          actions = [],
          secrets = [],
          idempotencyKey,
          ...given
        }: Settings & { name: string; actions?: ActionInput[]; secrets?: SecretInput[]; idempotencyKey?: string }) => {
          const options = idempotencyKey === undefined ? {} : { idempotencyKey };
          const input = [{ ...given, name: clean(given.name) }, actions, secrets];
          const broken = outOfBounds(given);
          if (broken !== null) return err(broken);
          const before = kept('ephemeral.types.create', options, input);
          if (before !== null) return before;
          if (typeNamed(given.name) !== undefined) return err(new TypeNameTaken(clean(given.name)));
          const type: PlainType = {
            id: newId(),
            name: clean(given.name),
            description: given.description ?? null,
            state: 'draft',
            maxNumberOfInstances: given.maxNumberOfInstances ?? null,
            ttlMs: given.ttlMs ?? null,
            maxTtlMs: given.maxTtlMs ?? null,
            sleepAfterMs: given.sleepAfterMs ?? null,
            changeTimeoutMs: given.changeTimeoutMs ?? 1_800_000,
            createdBy: actor,
            lastModifiedBy: actor,
            actions: actions.map(newAction),
            secrets: secrets.map(newSecret),
            version: 1,
            createdAt: now(),
            updatedAt: now(),
          };
          types.push(type);
          note('environment_type', type.id, 'created', 1, { name: type.name });
          const answer = seenType(type);
          keep('ephemeral.types.create', options, input, () => ok(answer));
          return ok(answer);
        },
        get: async (id: string) => typeAnswer(id),
        list: async (page: PageInput) =>
          pageOf(byName(types.filter(({ state }) => state !== 'deleted')), page, (type) => {
            const { actions: _actions, secrets: _secrets, ...summary } = seenType(type);
            return summary;
          }),
        update: async (id: string, { idempotencyKey, expectedVersion, ...given }: Settings & Options) => {
          const options = {
            ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
            ...(expectedVersion === undefined ? {} : { expectedVersion }),
          };
          const settings = given.name === undefined ? given : { ...given, name: clean(given.name) };
          const input = [id, settings];
          return changingType('ephemeral.types.update', 'updated', id, options, input, (type) => {
            const over = deleted(type, 'update');
            if (over !== null) return over;
            const becomes = { ...type, ...settings };
            const broken = outOfBounds(becomes);
            if (broken !== null) return broken;
            const missing = type.state === 'draft' ? [] : lacks(becomes);
            if (missing.length > 0) return new ActionNotDefined(missing);
            const holder = typeNamed(becomes.name);
            if (holder !== undefined && holder !== type) return new TypeNameTaken(becomes.name);
            return { becomes: settings };
          });
        },
        publish: moveType('publish', 'published', ['draft'], 'ready'),
        cordon: moveType('cordon', 'cordoned', ['ready'], 'cordoned'),
        uncordon: moveType('uncordon', 'uncordoned', ['cordoned'], 'ready'),
        delete: moveType('delete', 'deleted', ['draft', 'ready', 'cordoned'], 'deleted'),
      },

      actions: {
        define: async (id: string, { idempotencyKey, expectedVersion, ...given }: ActionInput & Options) => {
          const { stateChangeType: kind } = given;
          const options = { idempotencyKey, expectedVersion } as Options;
          const find = (type: PlainType) => type.actions.find(({ stateChangeType }) => stateChangeType === kind);
          return changingType(
            'ephemeral.actions.define',
            'action_defined',
            id,
            options,
            [id, given],
            (type) => {
              const over = deleted(type, 'actions.define');
              if (over !== null) return over;
              const { id: sameId, createdAt } = find(type) ?? {};
              const fresh = newAction(given);
              const defined = { ...fresh, id: sameId ?? fresh.id, createdAt: createdAt ?? fresh.createdAt };
              const others = type.actions.filter(({ stateChangeType }) => stateChangeType !== kind);
              return { becomes: { actions: [...others, defined] }, facts: { stateChangeType: kind } };
            },
            (type) => {
              const found = find(type);
              return found === undefined ? err(new NotFound('action', kind)) : ok(found);
            },
          );
        },
        list: async (id: string) => {
          const type = typeOf(id);
          return type === undefined ? err(new NotFound('environment type', id)) : ok(seenType(type).actions);
        },
        remove: async (id: string, kind: StateChangeType, options: Options) =>
          changingType(
            'ephemeral.actions.remove',
            'action_removed',
            id,
            options,
            [id, kind],
            (type) => {
              const over = deleted(type, 'actions.remove');
              if (over !== null) return over;
              const others = type.actions.filter(({ stateChangeType }) => stateChangeType !== kind);
              if (others.length === type.actions.length) return new NotFound('action', kind);
              if (type.state !== 'draft' && needed(type).includes(kind)) return new ActionRequired(kind);
              return { becomes: { actions: others }, facts: { stateChangeType: kind } };
            },
            () => ok(undefined),
          ),
      },

      secretDefinitions: {
        define: async (id: string, { idempotencyKey, expectedVersion, ...given }: SecretInput & Options) => {
          const options = { idempotencyKey, expectedVersion } as Options;
          const find = (type: PlainType) => type.secrets.find(({ name }) => name === given.name);
          return changingType(
            'ephemeral.secretDefinitions.define',
            'secret_defined',
            id,
            options,
            [id, given],
            (type) => {
              const over = deleted(type, 'secretDefinitions.define');
              if (over !== null) return over;
              const { id: sameId, createdAt } = find(type) ?? {};
              const fresh = newSecret(given);
              const defined = { ...fresh, id: sameId ?? fresh.id, createdAt: createdAt ?? fresh.createdAt };
              const others = type.secrets.filter(({ name }) => name !== given.name);
              return { becomes: { secrets: [...others, defined] }, facts: { secret: given.name } };
            },
            (type) => {
              const found = find(type);
              return found === undefined ? err(new NotFound('secret definition', given.name)) : ok(found);
            },
          );
        },
        list: async (id: string) => {
          const type = typeOf(id);
          return type === undefined ? err(new NotFound('environment type', id)) : ok(seenType(type).secrets);
        },
        remove: async (id: string, name: string, options: Options) =>
          changingType(
            'ephemeral.secretDefinitions.remove',
            'secret_removed',
            id,
            options,
            [id, name],
            (type) => {
              const over = deleted(type, 'secretDefinitions.remove');
              if (over !== null) return over;
              const others = type.secrets.filter((secret) => secret.name !== name);
              if (others.length === type.secrets.length) return new NotFound('secret definition', name);
              return { becomes: { secrets: others }, facts: { secret: name } };
            },
            () => ok(undefined),
          ),
      },

      instances: {
        create: async ({
          idempotencyKey,
          ...given
        }: {
          typeId: string;
          name: string;
          ttlMs?: number;
          idempotencyKey?: string;
        }) => {
          const options = idempotencyKey === undefined ? {} : { idempotencyKey };
          const { typeId } = given;
          const name = clean(given.name);
          const input = { ...given, name };
          const before = kept('ephemeral.instances.create', options, input);
          if (before !== null) return before;
          const type = typeOf(typeId);
          if (type === undefined) return err(new NotFound('environment type', typeId));
          if (type.state !== 'ready') return err(new TypeNotReady(type.state));
          const { maxTtlMs, maxNumberOfInstances } = type;
          const ttlMs = given.ttlMs ?? type.ttlMs ?? maxTtlMs;
          if (ttlMs !== null && maxTtlMs !== null && ttlMs > maxTtlMs)
            return err(invalid('ttlMs', `must be at most the type's maxTtlMs, ${maxTtlMs}`));
          const there = living(type);
          if (maxNumberOfInstances !== null && there.length >= maxNumberOfInstances)
            return err(new CapacityReached(maxNumberOfInstances));
          if (there.some((one) => folded(one.name) === folded(name))) return err(new InstanceNameTaken(name));
          const instance: PlainInstance = {
            id: newId(),
            typeId,
            type,
            name,
            state: 'zero_state',
            pendingChangeId: null,
            changeSequence: 0,
            sleptFrom: null,
            expiresAt: ttlMs === null ? null : later(ttlMs),
            lastActiveAt: now(),
            sweepFailures: 0,
            sweepAfter: 0,
            needsAttention: false,
            note: null,
            endedAt: null,
            version: 1,
            createdAt: now(),
            updatedAt: now(),
            secrets: new Map(),
          };
          instances.push(instance);
          note('instance', instance.id, 'created', 1, { typeId, name });
          keep('ephemeral.instances.create', options, input, () => instanceAnswer(instance.id));
          return ok(seenInstance(instance));
        },
        get: async (id: string) => instanceAnswer(id),
        list: async ({ typeId, state, ...page }: { typeId: string; state?: InstanceState } & PageInput) => {
          const type = typeOf(typeId);
          if (type === undefined) return err(new NotFound('environment type', typeId));
          const found = instances.filter((one) => one.type === type && (state === undefined || one.state === state));
          return pageOf(byName(found.toSorted((a, b) => (a.id < b.id ? -1 : 1))), page, seenInstance);
        },
        extend: async (id: string, { ttlMs, ...options }: { ttlMs: number } & Options) =>
          changingInstance('extend', 'extended', id, options, [id, ttlMs], (instance) => {
            if (instance.endedAt !== null) return illegal(instance, 'extend');
            const { maxTtlMs } = instance.type;
            const expiresAt = later(ttlMs);
            if (maxTtlMs !== null && expiresAt.getTime() > instance.createdAt.getTime() + maxTtlMs)
              return new LimitReached('maxTtlMs', maxTtlMs);
            return { expiresAt };
          }),
        touch: async (id: string, options: Options) =>
          changingInstance('touch', 'touched', id, options, [id], (instance) =>
            instance.endedAt === null ? { lastActiveAt: now() } : illegal(instance, 'touch'),
          ),
        acknowledgeCleanUp: async (id: string, { note: said, ...options }: { note: string } & Options) =>
          changingInstance('acknowledgeCleanUp', 'clean_up_acknowledged', id, options, [id, said], (instance) => {
            const { pendingChangeId: pending, state } = instance;
            if (pending !== null) return new ChangeInProgress(pending, null);
            const gone = state === 'failed_deprovisioning';
            if (!gone && state !== 'failed_cleanup') return illegal(instance, 'acknowledgeCleanUp');
            return {
              ...calm,
              state: gone ? 'acknowledged_cleanup' : 'ready_to_use',
              note: said,
              lastActiveAt: now(),
              endedAt: gone ? now() : null,
            };
          }),
        remove: async (id: string, options: Options) => {
          const before = kept('ephemeral.instances.remove', options, [id]);
          if (before !== null) return before;
          const instance = instanceOf(id);
          if (instance === undefined) return err(new NotFound('instance', id));
          const outdated = stale('instance', instance, options);
          if (outdated !== null) return err(outdated);
          if (instance.endedAt === null) return err(illegal(instance, 'remove'));
          instances = instances.filter((one) => one !== instance);
          changes = changes.filter((one) => one.instance !== instance);
          const { typeId, name } = instance;
          note('instance', id, 'removed', instance.version + 1, { typeId, name });
          keep('ephemeral.instances.remove', options, [id], () => ok(undefined));
          return ok(undefined);
        },
        provision: starting('provision', 'provisioning'),
        deploy: starting('deploy', 'deploying'),
        cleanUp: starting('cleanUp', 'cleaning_up'),
        sleep: starting('sleep', 'to_sleep'),
        wakeUp: starting('wakeUp', 'wake_up'),
        deprovision: starting('deprovision', 'deprovisioning'),
      },

      stateChanges: {
        get: async (id: string) => {
          const found = changeOf(id);
          return found === undefined ? err(new NotFound('state change', id)) : ok(seenChange(found));
        },
        list: async ({ instanceId, ...page }: { instanceId: string } & PageInput) => {
          const instance = instanceOf(instanceId);
          if (instance === undefined) return err(new NotFound('instance', instanceId));
          const history = changes.filter((one) => one.instance === instance);
          return pageOf(
            history.toSorted((a, b) => b.sequence - a.sequence),
            page,
            seenChange,
          );
        },
        cancel: async (id: string, options: Options) => {
          const before = kept('ephemeral.stateChanges.cancel', options, [id]);
          if (before !== null) return before;
          const found = changeOf(id);
          if (found === undefined) return err(new NotFound('state change', id));
          const outdated = stale('instance', found.instance, options);
          if (outdated !== null) return err(outdated);
          const ended = tryToEnd(found, 'canceled', null);
          if (ended instanceof Error) return err(ended);
          if (ended === 'told before') return ok(seenChange(found));
          keep('ephemeral.stateChanges.cancel', options, [id], () => {
            const there = changeOf(id);
            return there === undefined ? err(new NotFound('state change', id)) : ok(seenChange(there));
          });
          const action = found.instance.type.actions.find((one) => one.id === found.actionId);
          const [instance, stateChange] = [seenInstance(found.instance), seenChange(found)];
          if (action !== undefined) await runner.cancel({ orgId, action, instance, stateChange });
          return ok(stateChange);
        },
        complete: async ({
          stateChangeId: id,
          token,
          result,
          reason = null,
          idempotencyKey,
        }: {
          stateChangeId: string;
          token: string;
          result: 'passed' | 'failed';
          reason?: string | null;
          idempotencyKey?: string;
        }) => {
          const options = idempotencyKey === undefined ? {} : { idempotencyKey };
          const input = [id, result, reason];
          const known = (): PlainChange | VivariumError => {
            const found = changeOf(id);
            if (found === undefined) return new NotFound('state change', id);
            return found.tokens.includes(token) ? found : new InvalidToken();
          };
          const method = 'ephemeral.stateChanges.complete';
          const before = kept(method, options, input);
          if (before?.isErr() === true) return before;
          const found = known();
          if (found instanceof Error) return err(found);
          if (before !== null) return ok(seenChange(found));
          const ended = tryToEnd(found, result, reason);
          if (ended instanceof Error) return err(ended);
          if (ended === 'ended') keep(method, options, input, () => ok(undefined));
          return ok(seenChange(found));
        },
      },

      secrets: {
        read: async ({ stateChangeId, token, name }: { stateChangeId: string; token: string; name: string }) => {
          const found = admitted(stateChangeId, token);
          if (found instanceof Error) return err(found);
          if (!may(found, name, 'readableBy')) return err(new SecretAccessDenied(name, 'read', found.type));
          const value = found.instance.secrets.get(name);
          if (value === undefined) return err(new NotFound('secret', name));
          noteSecrets(found, 'secret_read', [name]);
          return ok(new SecretText(value));
        },
        readAll: async ({ stateChangeId, token }: { stateChangeId: string; token: string }) => {
          const found = admitted(stateChangeId, token);
          if (found instanceof Error) return err(found);
          const names = [...found.instance.secrets.keys()].filter((name) => may(found, name, 'readableBy')).sort();
          if (names.length > 0) noteSecrets(found, 'secret_read', names);
          return ok(new Map(names.map((name) => [name, new SecretText(found.instance.secrets.get(name)!)])));
        },
        write: async ({
          idempotencyKey,
          stateChangeId,
          token,
          name,
          value,
        }: {
          stateChangeId: string;
          token: string;
          name: string;
          value: string;
          idempotencyKey?: string;
        }) => {
          const options = idempotencyKey === undefined ? {} : { idempotencyKey };
          const input = [stateChangeId, name, value];
          const before = kept('ephemeral.secrets.write', options, input);
          if (before !== null) return before;
          const found = admitted(stateChangeId, token);
          if (found instanceof Error) return err(found);
          if (!may(found, name, 'writableBy')) return err(new SecretAccessDenied(name, 'write', found.type));
          found.instance.secrets.set(name, value);
          noteSecrets(found, 'secret_written', [name]);
          keep('ephemeral.secrets.write', options, input, () => ok(undefined));
          return ok(undefined);
        },
      },

      sweep: async ({ limit = 100, dryRun = false }: { limit?: number; dryRun?: boolean }) => {
        const swept: object[] = [];
        for (const instance of instances.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
          const decided = due(instance);
          if (decided === null || swept.length === limit) continue;
          if (!dryRun) await carryOut(instance, decided.action);
          const { id: instanceId, name } = instance;
          swept.push({ instanceId, name, ...decided, outcome: dryRun ? 'planned' : 'done' });
        }
        return ok(swept);
      },
    },
  };
}
