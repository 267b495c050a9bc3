import { StorageFailure } from '@vivarium/core/storage';
import type { EphemeralRepository, StoredChange, StoredPage } from '@vivarium/core/storage';

import { integer, integerOf, optionalTextOf, text, textOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { loadChange } from './ephemeral-facts.ts';
import { replaceInstance } from './ephemeral-replacement.ts';
import { all, equal, exists, missing, without } from './expressions.ts';
import { instanceAttributes, readInstance } from './instance-items.ts';
import { historyKey, historySpan, instanceKey, sequenceOfHistory, stateChangeKey } from './keys.ts';
import { settled } from './settle.ts';
import {
  acceptance,
  historyItem,
  outcome,
  readStateChange,
  stateChangeItem,
  tokensAsText,
} from './state-change-items.ts';
import type { Table } from './table.ts';
import { write } from './write.ts';

type StateChangeMethods = Pick<
  EphemeralRepository,
  'startChange' | 'endChange' | 'acceptChange' | 'setTokens' | 'changeFacts' | 'listChanges'
>;

export function dynamodbStateChanges(table: Table, secrets: Table): StateChangeMethods {
  return {
    startChange: ({ instance, stateChange, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const head = instanceKey(orgId, instance.id);
        return write<'not_found' | 'stale'>(table, change, {
          owners: [head],
          steps: [
            {
              update: head,
              changes: { set: instanceAttributes(instance) },
              when: all(exists, equal('version', integer(expectedVersion)), without('pending')),
              else: (there) => (there === null ? 'not_found' : 'stale'),
            },
            { put: stateChangeItem(orgId, stateChange), when: missing, else: () => idTaken(stateChange.id) },
          ],
        });
      }),

    endChange: ({ instance, stateChange, expectedVersion, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const { id } = stateChange;
        return replaceInstance(table, secrets, change, instance, {
          when: all(exists, equal('version', integer(expectedVersion)), equal('pending', text(id))),
          refusal: (there) => {
            if (there === null) return 'not_found';
            const pending = optionalTextOf(there, 'pending') === id;
            return pending && integerOf(there, 'version') === expectedVersion ? null : 'stale';
          },
          steps: [
            {
              update: stateChangeKey(orgId, id),
              changes: { set: outcome(stateChange) },
              when: stillPending,
              else: () => 'stale',
            },
            { put: historyItem(orgId, stateChange) },
          ],
        });
      }),

    acceptChange: (orgId, accepted) =>
      table.answer('write', () =>
        table.update(stateChangeKey(orgId, accepted.id), { set: acceptance(accepted) }, stillPending),
      ),

    setTokens: (orgId, { id, tokenHashes, expected }) =>
      table.answer('write', () =>
        table.update(
          stateChangeKey(orgId, id),
          { set: { tokens: text(tokensAsText(tokenHashes)) } },
          all(stillPending, equal('tokens', text(tokensAsText(expected)))),
        ),
      ),

    changeFacts: (orgId, stateChangeId, keyId) =>
      table.answer('read', () => loadChange(table, orgId, stateChangeId, keyId)),

    listChanges: (orgId, instanceId, { limit, after }) =>
      table.answer('read', async () => {
        if (after === null) return newest(orgId, instanceId, limit);
        const { pk, to } = historySpan(orgId, instanceId);
        const from = historyKey(orgId, instanceId, after - 1).sk;
        const pointers = await table.first({ pk, between: [from, to] }, limit + 1);
        const head = instanceKey(orgId, instanceId);
        const keys = pointers.slice(0, limit).map((pointer) => stateChangeKey(orgId, textOf(pointer, 'id')));
        const found = await table.get(head, ...keys);
        const there = found.of(head);
        if (there === null) return null;
        // All of its changes are behind this place, also the pending one, to which no pointer leads.
        if (readInstance(there).changeSequence < after) return newest(orgId, instanceId, limit);
        return pageOf(
          keys.map((key) => found.of(key)),
          pointers.length > limit,
        );
      }),
  };

  /** One range of keys has the instance, which knows the pending change, and behind it the pointers to the ended ones. */
  function newest(orgId: string, instanceId: string, limit: number): Promise<StoredPage<StoredChange> | null> {
    return settled('the list of changes', async () => {
      const { pk, from, to } = historySpan(orgId, instanceId);
      const [head, ...pointers] = await table.first({ pk, between: [from, to] }, limit + 2);
      if (head === undefined || textOf(head, 'sk') !== '#') return { value: null };
      const { pendingChangeId, changeSequence } = readInstance(head);
      const last = pointers[0] === undefined ? 0 : sequenceOfHistory(textOf(pointers[0], 'sk'));
      const pending = pendingChangeId !== null && last < changeSequence ? [pendingChangeId] : [];
      // A change ended between the reads of two items.
      if (last + pending.length < changeSequence) return null;

      const ids = [...pending, ...pointers.map((pointer) => textOf(pointer, 'id'))];
      const keys = ids.slice(0, limit).map((id) => stateChangeKey(orgId, id));
      const found = await table.get(...keys);
      return {
        value: pageOf(
          keys.map((key) => found.of(key)),
          ids.length > limit,
        ),
      };
    });
  }
}

const stillPending = equal('result', text('pending'));

/** What is missing was removed with its instance meanwhile. */
function pageOf(items: readonly (Item | null)[], more: boolean): StoredPage<StoredChange> {
  return { items: items.filter((item) => item !== null).map(readStateChange), more };
}

function idTaken(id: string): never {
  throw new StorageFailure(`there already is a state change ${id}: the source of ids repeats itself`, {
    retryable: false,
    outcome: 'none',
  });
}
