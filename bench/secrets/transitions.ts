import { createActor, createMachine } from 'xstate';

import { lifecycle, stateChangeTypes } from '@vivarium/core';

/** The same table as a machine of xstate: a `start` event for each change, `passed` and `failed` to end it. */
export function lifecycleActor() {
  const states: Record<string, { on: Record<string, string> }> = {};
  const on = (state: string) => (states[state] ??= { on: {} }).on;
  for (const change of stateChangeTypes) {
    const { from, pending, passed, failed } = lifecycle[change];
    for (const state of from) on(state)[change] = pending;
    on(pending)['passed'] = passed === 'sleptFrom' ? 'ready_to_use' : passed;
    on(pending)['failed'] = failed;
    on(failed);
    on(on(pending)['passed']!);
  }
  return createActor(createMachine({ id: 'instance', initial: 'zero_state', states })).start();
}
