/** Messages to workers in SQL: first the statements that their methods send, then the methods. They are written with what they tell of. */
import type { PreviewRepository } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect } from './dialect.ts';
import { toMessage } from './previews-rows.ts';
import { firstId, read } from './read.ts';
import { compile } from './statement.ts';
import { writeIf } from './write.ts';
import type { Session } from './write.ts';

export function previewMessageStatements(dialect: Dialect) {
  return {
    unsent: compile(
      dialect,
      'previews.unsent',
      `SELECT c.project_environment_id, c.sequence FROM ${dialect.table('preview_commands')} c
      WHERE c.org_id = :org::text AND c.project_environment_id > :after::uuid
      ORDER BY c.project_environment_id LIMIT :limit::integer`,
    ),
  };
}

type MessageMethods = Pick<PreviewRepository, 'unsent' | 'sent'>;

export function sqlPreviewMessages(
  session: Session,
  statements: ReturnType<typeof previewMessageStatements>,
): MessageMethods {
  return {
    unsent: (orgId, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.unsent, { org: orgId, limit, after: after ?? firstId });
        return rows.map((row) => toMessage(orgId, row));
      }),

    sent: (orgId, { projectEnvironmentId, sequence }) =>
      answer(async () => {
        const where = { org_id: orgId, project_environment_id: projectEnvironmentId, sequence };
        await writeIf(session, {
          name: 'previews.sent',
          orgId,
          steps: [{ do: 'delete', table: 'preview_commands', where, rows: 'any' }],
          key: null,
          diagnosis: null,
        });
      }),
  };
}
