import type { StoredChange } from '@vivarium/core/storage';

import {
  integer,
  integerOf,
  optionalText,
  optionalTextOf,
  optionalTime,
  optionalTimeOf,
  present,
  text,
  textOf,
  time,
  timeOf,
} from './attributes.ts';
import type { Attributes, Item } from './attributes.ts';
import { historyKey, partsOf, stateChangeKey } from './keys.ts';

export function stateChangeItem(orgId: string, change: StoredChange): Item {
  const { pk, sk } = stateChangeKey(orgId, change.id);
  return present({
    pk: text(pk),
    sk: text(sk),
    instanceId: text(change.instanceId),
    typeId: text(change.typeId),
    sequence: integer(change.sequence),
    type: text(change.type),
    prevState: text(change.prevState),
    triggerType: text(change.trigger.type),
    triggerId: text(change.trigger.id),
    actionId: text(change.actionId),
    projectId: optionalText(change.projectId),
    branch: optionalText(change.branch),
    pipeline: text(change.pipelineYamlName),
    parameters: text(JSON.stringify(change.parameters)),
    deadline: time(change.deadline),
    startedAt: time(change.startedAt),
    tokens: text(tokensAsText(change.tokenHashes)),
    ...acceptance(change),
    ...outcome(change),
  });
}

/** What `endChange` writes: none of what a runner's answer or a new token may write at the same time. */
export function outcome({ result, reason, nextState, endedAt }: StoredChange): Attributes {
  return {
    result: text(result),
    reason: optionalText(reason),
    nextState: optionalText(nextState),
    endedAt: optionalTime(endedAt),
  };
}

export function acceptance({
  acceptedAt,
  executionPipelineId,
  executionId,
}: Pick<StoredChange, 'acceptedAt' | 'executionPipelineId' | 'executionId'>): Attributes {
  return {
    acceptedAt: optionalTime(acceptedAt),
    executionPipelineId: optionalText(executionPipelineId),
    executionId: optionalText(executionId),
  };
}

/** Hashes are hexadecimal, so that one text of all of them can be compared in a condition. */
export const tokensAsText = (hashes: readonly string[]) => hashes.join(' ');

/** Leads from an instance to a change that has ended. The pending one is found by the instance itself, so that starting one costs no item more. */
export function historyItem(orgId: string, { id, instanceId, sequence }: StoredChange): Item {
  const { pk, sk } = historyKey(orgId, instanceId, sequence);
  return { pk: text(pk), sk: text(sk), id: text(id) };
}

export function readStateChange(item: Item): StoredChange {
  return {
    id: partsOf(textOf(item, 'pk'))[2]!,
    instanceId: textOf(item, 'instanceId'),
    typeId: textOf(item, 'typeId'),
    sequence: integerOf(item, 'sequence'),
    type: textOf(item, 'type') as StoredChange['type'],
    prevState: textOf(item, 'prevState') as StoredChange['prevState'],
    nextState: optionalTextOf(item, 'nextState') as StoredChange['nextState'],
    result: textOf(item, 'result') as StoredChange['result'],
    reason: optionalTextOf(item, 'reason'),
    trigger: {
      type: textOf(item, 'triggerType') as StoredChange['trigger']['type'],
      id: textOf(item, 'triggerId'),
    },
    actionId: textOf(item, 'actionId'),
    projectId: optionalTextOf(item, 'projectId'),
    branch: optionalTextOf(item, 'branch'),
    pipelineYamlName: textOf(item, 'pipeline'),
    parameters: JSON.parse(textOf(item, 'parameters')) as StoredChange['parameters'],
    tokenHashes: textOf(item, 'tokens')
      .split(' ')
      .filter((hash) => hash !== ''),
    acceptedAt: optionalTimeOf(item, 'acceptedAt'),
    executionPipelineId: optionalTextOf(item, 'executionPipelineId'),
    executionId: optionalTextOf(item, 'executionId'),
    deadline: timeOf(item, 'deadline'),
    startedAt: timeOf(item, 'startedAt'),
    endedAt: optionalTimeOf(item, 'endedAt'),
  };
}
