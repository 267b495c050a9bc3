import { okAsync } from '@vivarium/core/storage';
import type { PreviewRepository } from '@vivarium/core/storage';

import { integer, text, time, timeOf } from './attributes.ts';
import { timeToLiveAttribute } from './definition.ts';
import { deliveryKey } from './keys.ts';
import type { Table } from './table.ts';

/** Deliveries of webhooks. DynamoDB forgets them by itself, but days late: what has expired counts as forgotten. */
export function dynamodbDeliveries(
  table: Table,
): Pick<PreviewRepository, 'knowsDelivery' | 'keepDelivery' | 'pruneDeliveries'> {
  return {
    knowsDelivery: (orgId, deliveryId, now) =>
      table.answer('read', async () => {
        const key = deliveryKey(orgId, deliveryId);
        const item = (await table.get(key)).of(key);
        return item !== null && timeOf(item, 'expiresAt') > now;
      }),

    keepDelivery: (orgId, deliveryId, expiresAt) =>
      table.answer('write', () => {
        const { pk, sk } = deliveryKey(orgId, deliveryId);
        const seconds = Math.ceil(expiresAt.getTime() / 1_000);
        const item = {
          pk: text(pk),
          sk: text(sk),
          expiresAt: time(expiresAt),
          [timeToLiveAttribute]: integer(seconds),
        };
        return table.putAll([item]);
      }),

    pruneDeliveries: () => okAsync(0),
  };
}
