import type { EphemeralCommandMethod } from './every-ephemeral-call.ts';
import type { Expected } from './journal.ts';

const onType = (action: string, which: 'type' | 'draft' | 'cordoned', data: object = {}, name?: string): Expected => ({
  action: `environment_type.${action}`,
  subject: 'environment_type',
  sequence: (world) => world[which].version + 1,
  id: (world) => world[which].id,
  data: (world) => ({ name: name ?? world[which].name, ...data }),
});
const onInstance = (
  action: string,
  which: 'blank' | 'inUse' | 'asleep' | 'stuck' | 'ended',
  data: object = {},
): Expected => ({
  action: `instance.${action}`,
  subject: 'instance',
  sequence: (world) => world[which].version + 1,
  id: (world) => world[which].id,
  data: (world) => ({ typeId: world.type.id, name: world[which].name, ...data }),
});
const started = (which: 'blank' | 'inUse' | 'asleep', change: string) =>
  onInstance('change_started', which, { change });
const changed = (result: string, state: string): Expected => ({
  action: 'instance.change_ended',
  subject: 'instance',
  sequence: 3,
  id: ({ pending }) => pending.instanceId,
  data: ({ pending }) => ({ change: 'provisioning', stateChangeId: pending.id, result, state }),
});

/** What each command of ephemeral environments writes into the journal. */
export const ephemeralEntries: Readonly<Record<EphemeralCommandMethod, Expected>> = {
  'ephemeral.types.create': {
    action: 'environment_type.created',
    subject: 'environment_type',
    sequence: 1,
    id: () => null,
    data: () => ({ name: 'Second type' }),
  },
  'ephemeral.types.update': onType('updated', 'type', {}, 'Renamed'),
  'ephemeral.types.publish': onType('published', 'draft'),
  'ephemeral.types.cordon': onType('cordoned', 'type'),
  'ephemeral.types.uncordon': onType('uncordoned', 'cordoned'),
  'ephemeral.types.delete': onType('deleted', 'draft'),
  'ephemeral.actions.define': onType('action_defined', 'type'),
  'ephemeral.actions.remove': onType('action_removed', 'type'),
  'ephemeral.secretDefinitions.define': onType('secret_defined', 'type'),
  'ephemeral.secretDefinitions.remove': onType('secret_removed', 'type'),
  'ephemeral.instances.create': {
    action: 'instance.created',
    subject: 'instance',
    sequence: 1,
    id: () => null,
    data: ({ type }) => ({ typeId: type.id, name: 'New' }),
  },
  'ephemeral.instances.extend': onInstance('extended', 'inUse'),
  'ephemeral.instances.touch': onInstance('touched', 'inUse'),
  'ephemeral.instances.acknowledgeCleanUp': onInstance('clean_up_acknowledged', 'stuck', {
    state: 'acknowledged_cleanup',
  }),
  'ephemeral.instances.remove': onInstance('removed', 'ended'),
  'ephemeral.instances.provision': started('blank', 'provisioning'),
  'ephemeral.instances.deploy': started('inUse', 'deploying'),
  'ephemeral.instances.cleanUp': started('inUse', 'cleaning_up'),
  'ephemeral.instances.sleep': started('inUse', 'to_sleep'),
  'ephemeral.instances.wakeUp': started('asleep', 'wake_up'),
  'ephemeral.instances.deprovision': started('asleep', 'deprovisioning'),
  'ephemeral.stateChanges.complete': changed('passed', 'ready_to_use'),
  'ephemeral.stateChanges.cancel': changed('canceled', 'failed_provisioning'),
  'ephemeral.secrets.write': {
    action: 'instance.secret_written',
    subject: 'instance',
    sequence: null,
    id: ({ pending }) => pending.instanceId,
    data: ({ pending }) => ({ stateChangeId: pending.id, names: ['PASSWORD'] }),
  },
};
