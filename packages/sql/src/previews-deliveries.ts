/** Deliveries of webhooks in SQL: first the statements that their methods send, then the methods. */
import type { PreviewRepository } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect } from './dialect.ts';
import { read } from './read.ts';
import { compile } from './statement.ts';
import { writeIf } from './write.ts';
import type { Session } from './write.ts';

export function previewDeliveryStatements(dialect: Dialect) {
  const { table, deletingSome } = dialect;
  const deliveries = table('webhook_deliveries');
  return {
    knows: compile(
      dialect,
      'previews.knowsDelivery',
      `SELECT 1 AS known FROM ${deliveries} w
      WHERE w.org_id = :org::text AND w.delivery_id = :delivery::text AND w.expires_at > :now::time`,
    ),

    prune: compile(
      dialect,
      'previews.pruneDeliveries',
      deletingSome(deliveries, {
        key: ['org_id', 'delivery_id'],
        where: 'org_id = :org::text AND expires_at <= :now::time',
        order: 'expires_at',
        limit: ':limit::integer',
      }),
      'writes',
    ),
  };
}

type DeliveryMethods = Pick<PreviewRepository, 'knowsDelivery' | 'keepDelivery' | 'pruneDeliveries'>;

export function sqlPreviewDeliveries(
  session: Session,
  statements: ReturnType<typeof previewDeliveryStatements>,
): DeliveryMethods {
  return {
    knowsDelivery: (orgId, deliveryId, now) =>
      answer(async () => (await read(session, statements.knows, { org: orgId, delivery: deliveryId, now })).length > 0),

    keepDelivery: (orgId, deliveryId, expiresAt) =>
      answer(async () => {
        await writeIf(session, {
          name: 'previews.keepDelivery',
          orgId,
          steps: [
            {
              do: 'insert',
              table: 'webhook_deliveries',
              rows: [{ org_id: orgId, delivery_id: deliveryId, expires_at: expiresAt }],
              over: ['org_id', 'delivery_id'],
            },
          ],
          key: null,
          diagnosis: null,
        });
      }),

    pruneDeliveries: (orgId, { now, limit }) =>
      answer(async () => {
        const [row] = await read(session, statements.prune, { org: orgId, now, limit });
        return Number(row!['deleted']);
      }),
  };
}
