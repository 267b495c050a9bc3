import type { PreviewRepository, StoredAppSecret } from '@vivarium/core/storage';

import { integer, integerOf, text, textOf, time, timeOf } from './attributes.ts';
import type { Item } from './attributes.ts';
import { equal, exists, missing } from './expressions.ts';
import { appKey, appSecretKey, appSecretSpan, partsOf } from './keys.ts';
import { gone } from './preview-writes.ts';
import type { Table } from './table.ts';
import { keptUnder, keyOf, write } from './write.ts';

type AppSecrets = Pick<PreviewRepository, 'secrets' | 'secretFacts' | 'writeSecret' | 'removeSecret'>;

/** Values stand in a table of their own, their app in the other. One transaction spans both. */
export function dynamodbAppSecrets(table: Table, secrets: Table): AppSecrets {
  return {
    secrets: (orgId, { appId, type }) =>
      secrets.answer('read', async () => {
        const { pk, from, to } = appSecretSpan(orgId, appId, type);
        const app = appKey(orgId, appId);
        const [values, found] = await Promise.all([secrets.all({ pk, between: [from, to] }), table.get(app)]);
        // Those of an app that is gone are still being removed.
        return found.of(app) === null ? [] : values.map(readAppSecret);
      }),

    secretFacts: (orgId, { appId, type, name }, keyId) =>
      secrets.answer('read', async () => {
        const [app, key] = [appKey(orgId, appId), appSecretKey(orgId, appId, type, name)];
        const item = (await secrets.get(key)).of(key);
        // What is kept under the key must not be older than what is decided on.
        const found = await table.get(app, ...keyOf(orgId, keyId));
        const isApp = found.of(app) !== null;
        return {
          app: isApp,
          found: isApp && item !== null ? readAppSecret(item) : null,
          key: keptUnder(found, orgId, keyId),
        };
      }),

    writeSecret: ({ secret, change }) =>
      table.answer('write', async () => {
        const { orgId } = change;
        const { appId, type, name, sealed, sealVersion, createdAt, updatedAt } = secret;
        const app = appKey(orgId, appId);
        const { pk, sk } = appSecretKey(orgId, appId, type, name);
        const written = await write<'stale' | 'not_found'>(table, change, {
          owners: [app],
          steps: [
            { check: app, when: exists, else: () => 'not_found' },
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
              when: sealVersion === 1 ? missing : equal('sealVersion', integer(sealVersion - 1)),
              else: () => 'stale',
            },
          ],
        });
        return gone(written);
      }),

    removeSecret: ({ secret: { appId, type, name, sealVersion }, change }) =>
      table.answer('write', () => {
        const { orgId } = change;
        return write<'stale'>(table, change, {
          owners: [appKey(orgId, appId)],
          steps: [
            {
              remove: appSecretKey(orgId, appId, type, name),
              table: secrets.name,
              when: equal('sealVersion', integer(sealVersion)),
              else: () => 'stale',
            },
          ],
        });
      }),
  };
}

function readAppSecret(item: Item): StoredAppSecret {
  const [, type, name] = textOf(item, 'sk').split('#') as [string, StoredAppSecret['type'], string];
  return {
    appId: partsOf(textOf(item, 'pk'))[2]!,
    type,
    name,
    sealed: textOf(item, 'sealed'),
    sealVersion: integerOf(item, 'sealVersion'),
    createdAt: timeOf(item, 'createdAt'),
    updatedAt: timeOf(item, 'updatedAt'),
  };
}
