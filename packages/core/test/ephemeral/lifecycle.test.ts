import { describe, expect, it } from 'vitest';

import {
  acknowledgements,
  finalStates,
  instanceStates,
  legalChanges,
  lifecycle,
  pendingStates,
  stateChangeTypes,
} from '../../src/ephemeral/lifecycle.ts';
import type { InstanceState, StateChangeType } from '../../src/ephemeral/lifecycle.ts';
import type { LoadedType, StoredChange, StoredInstance } from '../../src/ephemeral/model.ts';
import { acknowledge, endChange, extend, newAction, remove, startChange, touch } from '../../src/ephemeral/rules.ts';

const at = new Date('2026-01-01T00:00:00.000Z');
const later = new Date('2026-01-01T00:05:00.000Z');
const by = { type: 'user', id: 'ada' };

const type: LoadedType = {
  id: 'type',
  name: 'QA',
  nameKey: 'qa',
  description: null,
  state: 'ready',
  maxNumberOfInstances: null,
  ttlMs: null,
  maxTtlMs: null,
  sleepAfterMs: null,
  changeTimeoutMs: 60_000,
  createdBy: by,
  lastModifiedBy: by,
  actions: stateChangeTypes.map((stateChangeType) =>
    newAction({ stateChangeType, pipelineYamlName: `${stateChangeType}.yml` }, { id: `action ${stateChangeType}`, at }),
  ),
  secrets: [],
  liveInstances: 1,
  version: 1,
  createdAt: at,
  updatedAt: at,
};

const instanceIn = (state: InstanceState, rest: Partial<StoredInstance> = {}): StoredInstance => ({
  id: 'instance',
  typeId: 'type',
  name: 'one',
  nameKey: 'one',
  state,
  pendingChangeId: pendingStates.has(state) ? 'pending' : null,
  changeSequence: 3,
  sleptFrom: null,
  expiresAt: null,
  lastActiveAt: at,
  sweepFailures: 0,
  sweepAfter: null,
  needsAttention: false,
  note: null,
  endedAt: null,
  version: 7,
  createdAt: at,
  updatedAt: at,
  ...rest,
});

const start = (instance: StoredInstance, changeType: StateChangeType) =>
  startChange(
    instance,
    null,
    type,
    { type: changeType, trigger: { type: 'user', id: 'ada' }, parameters: {}, tokenHash: 'hash' },
    { id: 'change', at: later },
  );

const pairs = instanceStates.flatMap((state) => stateChangeTypes.map((change) => [state, change] as const));

/** The table of the design, written down once more, so that the data cannot change unnoticed. */
const legal: Record<StateChangeType, readonly InstanceState[]> = {
  provisioning: ['zero_state', 'failed_provisioning'],
  deploying: ['ready_to_use', 'in_use', 'failed_deployment'],
  cleaning_up: ['in_use', 'failed_deployment', 'failed_cleanup'],
  to_sleep: ['ready_to_use', 'in_use', 'failed_sleep'],
  wake_up: ['sleep', 'failed_wake_up', 'failed_sleep'],
  deprovisioning: [
    'zero_state',
    'ready_to_use',
    'failed_provisioning',
    'in_use',
    'failed_deployment',
    'failed_cleanup',
    'sleep',
    'failed_sleep',
    'failed_wake_up',
    'failed_deprovisioning',
  ],
};

it('the table says what the design says', () => {
  const outline = Object.fromEntries(
    stateChangeTypes.map((change) => [
      change,
      [lifecycle[change].pending, lifecycle[change].passed, lifecycle[change].failed],
    ]),
  );
  expect(outline).toEqual({
    provisioning: ['provisioning', 'ready_to_use', 'failed_provisioning'],
    deploying: ['deploying', 'in_use', 'failed_deployment'],
    cleaning_up: ['cleaning_up', 'ready_to_use', 'failed_cleanup'],
    to_sleep: ['going_to_sleep', 'sleep', 'failed_sleep'],
    wake_up: ['waking_up', 'sleptFrom', 'failed_wake_up'],
    deprovisioning: ['deprovisioning', 'destroyed', 'failed_deprovisioning'],
  });
  for (const change of stateChangeTypes) expect(new Set(lifecycle[change].from)).toEqual(new Set(legal[change]));
});

describe.each(pairs)('%s, %s', (state, change) => {
  const started = start(instanceIn(state), change);

  if (pendingStates.has(state)) {
    it('waits for the change that is under way, whether it would be legal or not', () => {
      expect(started._unsafeUnwrapErr()).toMatchObject({ code: 'change_in_progress', stateChangeId: 'pending' });
    });
    return;
  }

  if (!legal[change].includes(state)) {
    it('is illegal, and says what is legal', () => {
      const error = started._unsafeUnwrapErr();
      const byHand = acknowledgements[state] === undefined ? [] : ['acknowledgeCleanUp'];
      expect(error).toMatchObject({ code: 'illegal_transition', state, change });
      expect(error).toMatchObject({
        legal: [...stateChangeTypes.filter((one) => legal[one].includes(state)), ...byHand],
      });
    });
    return;
  }

  it('starts, and leads where the table says', () => {
    const { instance, stateChange } = started._unsafeUnwrap();
    expect(instance).toMatchObject({
      state: lifecycle[change].pending,
      pendingChangeId: 'change',
      changeSequence: 4,
      version: 8,
      lastActiveAt: later,
    });
    expect(stateChange).toMatchObject({ prevState: state, nextState: null, result: 'pending', sequence: 4 });
    expect(stateChange.deadline).toEqual(new Date(later.getTime() + type.changeTimeoutMs));
    for (const result of ['passed', 'failed', 'canceled'] as const) {
      const ended = end(instance, stateChange, result);
      const passed = lifecycle[change].passed === 'sleptFrom' ? 'ready_to_use' : lifecycle[change].passed;
      const expected = result === 'passed' ? passed : lifecycle[change].failed;
      expect(ended.instance).toMatchObject({ state: expected, pendingChangeId: null, changeSequence: 4, version: 9 });
      expect(ended.instance.endedAt === null).toBe(!finalStates.has(expected));
      expect(ended.stateChange).toMatchObject({ nextState: expected, result, endedAt: later });
    }
  });
});

function end(instance: StoredInstance, stateChange: StoredChange, result: 'passed' | 'failed' | 'canceled') {
  const ended = endChange(instance, stateChange, { result, reason: null }, later)._unsafeUnwrap();
  if (ended === 'told before') throw new Error('the change was pending');
  return ended;
}

describe('sleeping', () => {
  it.each(['ready_to_use', 'in_use'] as const)('wakes up in the state it was put to sleep in: %s', (state) => {
    const asleep = through(instanceIn(state), 'to_sleep', 'passed');
    expect(asleep).toMatchObject({ state: 'sleep', sleptFrom: state });
    expect(through(asleep, 'wake_up', 'passed').state).toBe(state);
  });

  it('remembers it through failures', () => {
    const failed = through(instanceIn('in_use'), 'to_sleep', 'failed');
    expect(failed).toMatchObject({ state: 'failed_sleep', sleptFrom: 'in_use' });
    const restless = through(through(failed, 'wake_up', 'failed'), 'wake_up', 'passed');
    expect(restless.state).toBe('in_use');
    expect(through(through(failed, 'to_sleep', 'passed'), 'wake_up', 'passed').state).toBe('in_use');
  });

  function through(instance: StoredInstance, change: StateChangeType, result: 'passed' | 'failed') {
    const started = start(instance, change)._unsafeUnwrap();
    return end(started.instance, started.stateChange, result).instance;
  }
});

describe.each(instanceStates)('in %s', (state) => {
  const instance = instanceIn(state);

  it('acknowledgeCleanUp leads on exactly where something failed to be cleaned up', () => {
    const leads = { failed_deprovisioning: 'acknowledged_cleanup', failed_cleanup: 'ready_to_use' }[state as string];
    const acknowledged = acknowledge(instance, 'by hand', later);
    if (leads !== undefined) expect(acknowledged._unsafeUnwrap()).toMatchObject({ state: leads, note: 'by hand' });
    else expect(acknowledged.isErr()).toBe(true);
  });

  it('touch and extend work while it lives, remove once it has ended', () => {
    const ended = state === 'destroyed' || state === 'acknowledged_cleanup';
    expect(touch(instance, later).isOk()).toBe(!ended);
    expect(extend(instance, type, 1_000, later).isOk()).toBe(!ended);
    expect(remove(instance).isOk()).toBe(ended);
  });

  it('leads somewhere, unless it is final', () => {
    const onward = pendingStates.has(state) || legalChanges(state).length > 0;
    expect(onward).toBe(!finalStates.has(state));
  });
});

it('touch and extend leave the count of changes alone', () => {
  const before = instanceIn('in_use');
  expect(touch(before, later)._unsafeUnwrap()).toMatchObject({ changeSequence: 3, lastActiveAt: later, version: 8 });
  expect(extend(before, type, 1_000, later)._unsafeUnwrap()).toMatchObject({ changeSequence: 3, version: 8 });
});

it('a change that is told twice changes nothing, told otherwise it is superseded', () => {
  const { instance, stateChange } = start(instanceIn('in_use'), 'deploying')._unsafeUnwrap();
  const ended = end(instance, stateChange, 'passed');
  const tell = (result: 'passed' | 'failed') =>
    endChange(ended.instance, ended.stateChange, { result, reason: null }, later);
  expect(tell('passed')._unsafeUnwrap()).toBe('told before');
  expect(tell('failed')._unsafeUnwrapErr()).toMatchObject({ code: 'change_superseded', result: 'passed' });
});
