import type { PipelineCancel, PipelineStart } from '@vivarium/core';

export const secret = 'a secret that both sides have, long enough';
export const token = 'tOkEn-0123456789abcdefghijklmnopqrstuvwxyzAB';
export const changeId = '019a0000-0000-7000-8000-000000000001';

const at = new Date('2026-11-21T10:00:00.000Z');

/** What core hands to a runner. */
export const start: PipelineStart = {
  orgId: 'acme',
  action: {
    id: '019a0000-0000-7000-8000-000000000004',
    stateChangeType: 'provisioning',
    projectId: 'infrastructure',
    branch: 'main',
    pipelineYamlName: 'provision.yml',
    createdAt: at,
    updatedAt: at,
  },
  instance: {
    id: '019a0000-0000-7000-8000-000000000002',
    typeId: '019a0000-0000-7000-8000-000000000003',
    name: 'feature-42',
    state: 'provisioning',
    pendingChangeId: changeId,
    changeSequence: 1,
    sleptFrom: null,
    expiresAt: new Date('2026-11-22T10:00:00.000Z'),
    lastActiveAt: at,
    needsAttention: false,
    note: 'not for the pipeline',
    endedAt: null,
    version: 2,
    createdAt: at,
    updatedAt: at,
  },
  stateChange: {
    id: changeId,
    instanceId: '019a0000-0000-7000-8000-000000000002',
    typeId: '019a0000-0000-7000-8000-000000000003',
    sequence: 1,
    type: 'provisioning',
    prevState: 'zero_state',
    nextState: null,
    result: 'pending',
    reason: null,
    trigger: { type: 'user', id: 'ada' },
    actionId: '019a0000-0000-7000-8000-000000000004',
    projectId: 'infrastructure',
    branch: 'main',
    pipelineYamlName: 'provision.yml',
    parameters: { size: 'small' },
    acceptedAt: null,
    executionPipelineId: null,
    executionId: null,
    deadline: new Date('2026-11-21T10:30:00.000Z'),
    startedAt: at,
    endedAt: null,
  },
  token,
  parameters: { size: 'small' },
};

export const cancel: PipelineCancel = {
  orgId: start.orgId,
  action: start.action,
  instance: start.instance,
  stateChange: { ...start.stateChange, result: 'canceled', executionPipelineId: 'p-7', executionId: '4711' },
};
