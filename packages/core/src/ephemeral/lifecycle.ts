/**
 * The life of an ephemeral environment, as data (seed 000). The service decides by this table, the tests run over every pair of it, and the
 * picture in the docs is drawn from it.
 */

/** Every state that an instance can be in. */
export const instanceStates = [
  'zero_state',
  'provisioning',
  'ready_to_use',
  'failed_provisioning',
  'deploying',
  'in_use',
  'failed_deployment',
  'cleaning_up',
  'failed_cleanup',
  'going_to_sleep',
  'sleep',
  'failed_sleep',
  'waking_up',
  'failed_wake_up',
  'deprovisioning',
  'failed_deprovisioning',
  'destroyed',
  'acknowledged_cleanup',
] as const;

/** One of `instanceStates`. */
export type InstanceState = (typeof instanceStates)[number];

/** Every kind of change that a pipeline carries out. */
export const stateChangeTypes = [
  'provisioning',
  'deploying',
  'cleaning_up',
  'to_sleep',
  'wake_up',
  'deprovisioning',
] as const;

/** One of `stateChangeTypes`. */
export type StateChangeType = (typeof stateChangeTypes)[number];

/** The states in which a change is under way, and the two in which an instance has ended. */
export const pendingStates: ReadonlySet<InstanceState> = new Set([
  'provisioning',
  'deploying',
  'cleaning_up',
  'going_to_sleep',
  'waking_up',
  'deprovisioning',
]);
/** The states in which an instance has ended; in every other one it lives, and counts against the capacity. */
export const finalStates: ReadonlySet<InstanceState> = new Set(['destroyed', 'acknowledged_cleanup']);

/** One row of the table. */
export interface Transition {
  readonly from: readonly InstanceState[];
  /** The state while the change is under way. */
  readonly pending: InstanceState;
  /** `sleptFrom`: the state in which the instance was put to sleep. */
  readonly passed: InstanceState | 'sleptFrom';
  readonly failed: InstanceState;
}

const settled = instanceStates.filter((state) => !pendingStates.has(state) && !finalStates.has(state));

/** The table: for each kind of change, where it may start and where it leads. */
export const lifecycle: Readonly<Record<StateChangeType, Transition>> = {
  provisioning: {
    from: ['zero_state', 'failed_provisioning'],
    pending: 'provisioning',
    passed: 'ready_to_use',
    failed: 'failed_provisioning',
  },
  deploying: {
    from: ['ready_to_use', 'in_use', 'failed_deployment'],
    pending: 'deploying',
    passed: 'in_use',
    failed: 'failed_deployment',
  },
  cleaning_up: {
    from: ['in_use', 'failed_deployment', 'failed_cleanup'],
    pending: 'cleaning_up',
    passed: 'ready_to_use',
    failed: 'failed_cleanup',
  },
  to_sleep: {
    from: ['ready_to_use', 'in_use', 'failed_sleep'],
    pending: 'going_to_sleep',
    passed: 'sleep',
    failed: 'failed_sleep',
  },
  wake_up: {
    from: ['sleep', 'failed_wake_up', 'failed_sleep'],
    pending: 'waking_up',
    passed: 'sleptFrom',
    failed: 'failed_wake_up',
  },
  deprovisioning: {
    from: settled,
    pending: 'deprovisioning',
    passed: 'destroyed',
    failed: 'failed_deprovisioning',
  },
};

/** Where a person's word leads that something was cleaned up by hand. */
export const acknowledgements: Readonly<Partial<Record<InstanceState, InstanceState>>> = {
  failed_deprovisioning: 'acknowledged_cleanup',
  failed_cleanup: 'ready_to_use',
};

/** The state while a change is under way; `null` where the table does not have it from here. */
export function stateWhile(state: InstanceState, change: StateChangeType): InstanceState | null {
  return starts[state][change] ?? null;
}

/** The state in which a change leaves its instance. `sleptFrom` is where `wake_up` leads back to. */
export function stateAfter(
  change: StateChangeType,
  passed: boolean,
  sleptFrom: 'ready_to_use' | 'in_use' | null,
): InstanceState {
  const transition = lifecycle[change];
  if (!passed) return transition.failed;
  return transition.passed === 'sleptFrom' ? (sleptFrom ?? 'ready_to_use') : transition.passed;
}

/** The table by state, made once. */
const starts = Object.fromEntries(
  instanceStates.map((state) => [
    state,
    Object.fromEntries(
      stateChangeTypes
        .filter((type) => lifecycle[type].from.includes(state))
        .map((type) => [type, lifecycle[type].pending]),
    ),
  ]),
) as Readonly<Record<InstanceState, Readonly<Partial<Record<StateChangeType, InstanceState>>>>>;

/** The changes that are legal in a state, in the order of the table. */
export function legalChanges(state: InstanceState): readonly StateChangeType[] {
  return Object.keys(starts[state]) as StateChangeType[];
}
