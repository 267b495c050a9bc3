/** What the tests hand to the port of ephemeral environments, without core's services in between. */
import { randomUUID } from 'node:crypto';

import type {
  Change,
  SecretDefinition,
  StateChangeAction,
  StateChangeType,
  StoredChange,
  StoredInstance,
  StoredSecret,
  StoredType,
} from '@vivarium/core/storage';

const at = new Date('2030-01-01T12:00:00.123Z');
const versioned = { version: 1, createdAt: at, updatedAt: at };
const ada = { type: 'user', id: 'ada' };

/** A change as core makes one: the facts in its journal entry are those of a change of state. */
export function changeIn(orgId: string, withKey = false): Change {
  const id = randomUUID();
  return {
    orgId,
    at,
    entry: {
      id,
      orgId,
      subject: { type: 'instance', id },
      stream: id,
      sequence: 1,
      action: 'instance.change_started',
      actor: ada,
      at,
      data: { typeId: randomUUID(), name: 'Review of pull request 4711', change: 'provisioning', stateChangeId: id },
    },
    key: withKey
      ? { id: 'a'.repeat(64), fingerprint: 'f'.repeat(43), result: { id }, expiresAt: new Date(at.getTime() + 1_000) }
      : null,
  };
}

export function actionOf(stateChangeType: StateChangeType): StateChangeAction {
  const where = { projectId: randomUUID(), branch: 'main', pipelineYamlName: 'pipelines/review.yml' };
  return { id: randomUUID(), stateChangeType, ...where, createdAt: at, updatedAt: at };
}

export function definitionOf(name: string): SecretDefinition {
  const access = { description: 'what it is for', writableBy: ['provisioning'], readableBy: ['deploying'] } as const;
  return { id: randomUUID(), name, ...access, createdAt: at, updatedAt: at };
}

export function typeOf(name: string, differing: Partial<StoredType> = {}): StoredType {
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
    expiresAt: at,
    lastActiveAt: at,
    sweepFailures: 0,
    sweepAfter: null,
    needsAttention: false,
    note: null,
    endedAt: null,
    ...versioned,
    ...differing,
  };
}

/** A change that starts on an instance, and the instance as it is then. */
export function startOf(instance: StoredInstance) {
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
    trigger: { type: 'automation_rule', id: randomUUID() },
    actionId: randomUUID(),
    projectId: randomUUID(),
    branch: 'main',
    pipelineYamlName: 'pipelines/review.yml',
    parameters: { ref: 'refs/pull/4711/head' },
    tokenHashes: ['a'.repeat(64)],
    acceptedAt: null,
    executionPipelineId: null,
    executionId: null,
    deadline: at,
    startedAt: at,
    endedAt: null,
  };
  const { id: pendingChangeId, sequence: changeSequence } = stateChange;
  const version = instance.version + 1;
  return {
    stateChange,
    instance: { ...instance, state: 'deprovisioning', pendingChangeId, changeSequence, version } as StoredInstance,
    expectedVersion: instance.version,
  };
}

/** The end of a change, and the instance as it is then: destroyed, or as before. */
export function endOf({ stateChange, instance }: ReturnType<typeof startOf>, result: 'passed' | 'failed' = 'passed') {
  const nextState = result === 'passed' ? 'destroyed' : 'failed_deprovisioning';
  const endedAt = result === 'passed' ? at : null;
  const version = instance.version + 1;
  return {
    stateChange: { ...stateChange, result, nextState, endedAt: at } as StoredChange,
    instance: { ...instance, state: nextState, pendingChangeId: null, endedAt, version } as StoredInstance,
    expectedVersion: instance.version,
  };
}

export function secretOf({ id: instanceId }: StoredInstance, name: string, sealVersion = 1): StoredSecret {
  return { instanceId, name, sealed: `sealed ${name} ${sealVersion}`, sealVersion, createdAt: at, updatedAt: at };
}
