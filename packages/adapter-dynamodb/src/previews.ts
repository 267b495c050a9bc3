import type { PreviewRepository } from '@vivarium/core/storage';

import { dynamodbAppSecrets } from './app-secrets.ts';
import { dynamodbDeliveries } from './deliveries.ts';
import { dynamodbPreviewReads } from './preview-reads.ts';
import { dynamodbPreviewWrites } from './preview-writes.ts';
import type { Table } from './table.ts';

export function dynamodbPreviews(table: Table, secrets: Table): PreviewRepository {
  return {
    ...dynamodbPreviewReads(table),
    ...dynamodbPreviewWrites(table),
    ...dynamodbDeliveries(table),
    ...dynamodbAppSecrets(table, secrets),
  };
}
