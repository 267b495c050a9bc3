import { compareBytes } from '@vivarium/core/storage';
import type { EphemeralRepository, StoredSecret } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { equal, missing } from './expressions.ts';
import { instanceKey, instancePartition, partsOf, secretKey } from './keys.ts';
import type { Table } from './table.ts';
import { write } from './write.ts';
import type { Step } from './write.ts';

/** Values stand in a table of their own; what guards them, in the other. One transaction spans both. */
export function dynamodbSecrets(table: Table, secrets: Table): Pick<EphemeralRepository, 'secrets' | 'writeSecret'> {
  return {
    secrets: (orgId, instanceId, names) =>
      secrets.answer('read', async () => {
        if (names === undefined) {
          const values = await secrets.all({ pk: instancePartition(orgId, instanceId) });
          return values.map(readSecret);
        }
        const keys = [...new Set(names)].sort(compareBytes).map((name) => secretKey(orgId, instanceId, name));
        const found = await secrets.get(...keys);
        return keys
          .map((key) => found.of(key))
          .filter((item) => item !== null)
          .map(readSecret);
      }),

    writeSecret: ({ secret, stateChangeId, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        const { instanceId, name, sealed, sealVersion, createdAt, updatedAt } = secret;
        const head = instanceKey(orgId, instanceId);
        const { pk, sk } = secretKey(orgId, instanceId, name);
        const guard = { when: equal('pending', text(stateChangeId)), else: () => 'not_pending' as const };
        const first = sealVersion === 1;
        const steps: Step<'stale' | 'not_pending'>[] = [
          // The end of an instance has to know of every value that there is.
          first ? { update: head, changes: { add: { secrets: 1 } }, ...guard } : { check: head, ...guard },
          {
            put: {
              pk: text(pk),
              sk: text(sk),
              sealed: text(sealed),
              sealVersion: integer(sealVersion),
              createdAt: time(createdAt),
              updatedAt: time(updatedAt),
            },
            table: secrets.name,
            when: first ? missing : equal('sealVersion', integer(sealVersion - 1)),
            else: () => 'stale',
          },
        ];
        return write<'stale' | 'not_pending'>(table, change, { owners: [head], steps });
      }),
  };
}

function readSecret(item: Item): StoredSecret {
  return {
    instanceId: partsOf(textOf(item, 'pk'))[2]!,
    name: textOf(item, 'sk').slice(2),
    sealed: textOf(item, 'sealed'),
    sealVersion: integerOf(item, 'sealVersion'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}
