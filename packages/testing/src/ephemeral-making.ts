/** What the tests of the ports hand to storage, without core's services in between. */
import { unwrap } from '@vivarium/core';
import type {
  Change,
  KeyScope,
  KeyWrite,
  SecretDefinition,
  StateChangeAction,
  StateChangeType,
  Storage,
  StoredChange,
  StoredDataKey,
  StoredInstance,
  StoredSecret,
  StoredType,
} from '@vivarium/core/storage';
import { randomUUID } from 'node:crypto';

/** When everything here was made. */
export const made = new Date('2026-03-01T12:00:00.123Z');
export const afterMs = (milliseconds: number) => new Date(made.getTime() + milliseconds);

/** A change whose journal entry is a stream of its own. */
export function changeIn(orgId: string, key: KeyWrite | null = null): Change {
  const id = randomUUID();
  const subject = { type: 'test', id };
  const actor = { type: 'user', id: 'ada' };
  return {
    orgId,
    at: made,
    key,
    entry: { id, orgId, subject, stream: id, sequence: 1, action: 'tested', actor, at: made, data: {} },
  };
}

export function newKey(): KeyWrite {
  return { id: randomUUID(), fingerprint: 'print', result: { id: 'made' }, expiresAt: new Date('2099-01-01') };
}

const versioned = { version: 1, createdAt: made, updatedAt: made };
const ada = { type: 'user', id: 'ada' };

export function action(
  stateChangeType: StateChangeType,
  differing: Partial<StateChangeAction> = {},
): StateChangeAction {
  const where = { projectId: null, branch: null, pipelineYamlName: 'pipeline.yml' };
  return { id: randomUUID(), stateChangeType, ...where, createdAt: made, updatedAt: made, ...differing };
}

export function definition(name: string, differing: Partial<SecretDefinition> = {}): SecretDefinition {
  const access = { description: null, writableBy: [], readableBy: [] };
  return { id: randomUUID(), name, ...access, createdAt: made, updatedAt: made, ...differing };
}

export function typeNamed(name: string, differing: Partial<StoredType> = {}): StoredType {
  return {
    id: randomUUID(),
    name,
    nameKey: name.toLowerCase(),
    description: null,
    state: 'ready',
    maxNumberOfInstances: null,
    ttlMs: null,
    maxTtlMs: null,
    sleepAfterMs: null,
    changeTimeoutMs: 60_000,
    createdBy: ada,
    lastModifiedBy: ada,
    actions: [],
    secrets: [],
    ...versioned,
    ...differing,
  };
}

export function instanceOf(
  { id: typeId }: { readonly id: string },
  name: string,
  differing: Partial<StoredInstance> = {},
): StoredInstance {
  return {
    id: randomUUID(),
    typeId,
    name,
    nameKey: name.toLowerCase(),
    state: 'zero_state',
    pendingChangeId: null,
    changeSequence: 0,
    sleptFrom: null,
    expiresAt: null,
    lastActiveAt: made,
    sweepFailures: 0,
    sweepAfter: null,
    needsAttention: false,
    note: null,
    endedAt: null,
    ...versioned,
    ...differing,
  };
}

/** The same, one version on. */
export function next<T extends { readonly version: number; readonly updatedAt: Date }>(
  one: T,
  differing: Partial<T> = {},
): T {
  return { ...one, version: one.version + 1, updatedAt: new Date(one.updatedAt.getTime() + 1), ...differing };
}

export function destroyed(instance: StoredInstance): StoredInstance {
  return next(instance, { state: 'destroyed', pendingChangeId: null, endedAt: afterMs(1) });
}

/** A change that starts on an instance, and the instance as it is then. */
export function started(instance: StoredInstance, differing: Partial<StoredChange> = {}) {
  const stateChange: StoredChange = {
    id: randomUUID(),
    instanceId: instance.id,
    typeId: instance.typeId,
    sequence: instance.changeSequence + 1,
    type: 'deprovisioning',
    prevState: instance.state,
    nextState: null,
    result: 'pending',
    reason: null,
    trigger: { type: 'user', id: 'ada' },
    actionId: randomUUID(),
    projectId: null,
    branch: null,
    pipelineYamlName: 'pipeline.yml',
    parameters: {},
    tokenHashes: ['a'.repeat(64)],
    acceptedAt: null,
    executionPipelineId: null,
    executionId: null,
    deadline: afterMs(60_000),
    startedAt: made,
    endedAt: null,
    ...differing,
  };
  const { id: pendingChangeId, sequence: changeSequence } = stateChange;
  return { stateChange, instance: next(instance, { state: 'deprovisioning', pendingChangeId, changeSequence }) };
}

/** The same change, ended, and the instance as it is then. */
export function ended(
  { stateChange, instance }: ReturnType<typeof started>,
  result: 'passed' | 'failed' | 'canceled' = 'passed',
) {
  const nextState = result === 'passed' ? 'destroyed' : 'failed_deprovisioning';
  const settled: StoredInstance = {
    ...destroyed(instance),
    state: nextState,
    endedAt: result === 'passed' ? afterMs(1) : null,
  };
  return {
    stateChange: { ...stateChange, result, nextState, reason: 'so it is', endedAt: afterMs(1) } as const,
    instance: settled,
  };
}

export function secretOf({ id: instanceId }: StoredInstance, name: string, sealVersion = 1): StoredSecret {
  return { instanceId, name, sealed: `sealed ${name} ${sealVersion}`, sealVersion, createdAt: made, updatedAt: made };
}

export function dataKey(scope: KeyScope, generation = 1): StoredDataKey {
  const wrapping = { wrapped: 'd3JhcHBlZA', wrappedBy: 'ring:1', commitment: 'c'.repeat(43) };
  return { id: randomUUID(), scope, generation, ...wrapping, ...versioned };
}

/** Writes to one storage in one org, and expects that it is done. */
export function writerOf(storage: Storage<unknown>, org: string) {
  const { ephemeral } = storage;
  const did = async (written: PromiseLike<unknown>) => {
    const answer = (await written) as { readonly done: boolean; readonly refused?: string };
    if (!answer.done) throw new Error(`not written: ${answer.refused}`);
  };
  return {
    async type(name: string = randomUUID(), differing: Partial<StoredType> = {}): Promise<StoredType> {
      const type = typeNamed(name, differing);
      await did(unwrap(ephemeral.createType({ type, change: changeIn(org) })));
      return type;
    },
    async instance(
      type: StoredType,
      name: string = randomUUID(),
      differing: Partial<StoredInstance> = {},
    ): Promise<StoredInstance> {
      const instance = instanceOf(type, name, differing);
      await did(unwrap(ephemeral.createInstance({ instance, change: changeIn(org) })));
      return instance;
    },
    async start(instance: StoredInstance, differing: Partial<StoredChange> = {}) {
      const begun = started(instance, differing);
      await did(unwrap(ephemeral.startChange({ ...begun, expectedVersion: instance.version, change: changeIn(org) })));
      return begun;
    },
    async end(begun: ReturnType<typeof started>, result: 'passed' | 'failed' = 'passed') {
      const over = ended(begun, result);
      await did(
        unwrap(ephemeral.endChange({ ...over, expectedVersion: begun.instance.version, change: changeIn(org) })),
      );
      return over;
    },
    async secret(stateChangeId: string, secret: StoredSecret): Promise<void> {
      await did(unwrap(ephemeral.writeSecret({ secret, stateChangeId, change: changeIn(org) })));
    },
  };
}
