/** Secrets of apps in SQL: first the statements that their methods send, then the methods. */
import type { PreviewRepository, StoredAppSecret } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect } from './dialect.ts';
import type { Step } from './plan.ts';
import { appSecretColumns, toAppSecret } from './previews-rows.ts';
import { read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function appSecretStatements(dialect: Dialect) {
  const { table } = dialect;
  const columns = appSecretColumns(dialect);
  const secrets = `${table('app_secrets')} s`;
  const owned = 's.org_id = :org::text AND s.app_id = :app::uuid AND s.type = :type::text';
  const statement = (name: string, text: string) => compile(dialect, `previews.${name}`, text);

  return {
    secrets: statement('secrets', `SELECT ${columns} FROM ${secrets} WHERE ${owned} ORDER BY s.name`),

    facts: statement(
      'secretFacts',
      `SELECT a.id AS app_id, ${columns}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${table('apps')} a ON a.org_id = :org::text AND a.id = :app::uuid
        LEFT JOIN ${secrets} ON ${owned} AND s.name = :name::text`,
    ),
  };
}

type AppSecretMethods = Pick<PreviewRepository, 'secrets' | 'secretFacts' | 'writeSecret' | 'removeSecret'>;

export function sqlAppSecrets(session: Session, statements: ReturnType<typeof appSecretStatements>): AppSecretMethods {
  return {
    secrets: (orgId, { appId, type }) =>
      answer(async () => (await read(session, statements.secrets, { org: orgId, app: appId, type })).map(toAppSecret)),

    secretFacts: (orgId, { appId, type, name }, keyId) =>
      answer(async () => {
        const given = { org: orgId, app: appId, type, name, key: keyId ?? null };
        const row = (await read(session, statements.facts, given))[0]!;
        return {
          app: row['app_id'] != null,
          found: row['s_app_id'] == null ? null : toAppSecret(row),
          key: toKey(row),
        };
      }),

    /** app, which stays → secret → journal. */
    writeSecret: ({ secret, change }) =>
      answer(() =>
        write<'stale' | 'gone'>(session, change, {
          name: planName('previews.writeSecret', change, ...(secret.sealVersion === 1 ? ['first'] : [])),
          orgId: change.orgId,
          steps: [
            {
              do: 'hold',
              table: 'apps',
              stays: 'undeleted',
              where: { org_id: change.orgId, id: secret.appId },
              else: 'gone',
            },
            secretStep(change.orgId, secret),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        }),
      ),

    /** secret → journal. */
    removeSecret: ({ secret, change }) =>
      answer(() =>
        write<'stale'>(session, change, {
          name: planName('previews.removeSecret', change),
          orgId: change.orgId,
          steps: [
            {
              do: 'delete',
              table: 'app_secrets',
              where: { ...placeOf(change.orgId, secret), seal_version: secret.sealVersion },
              rows: 1,
              else: 'stale',
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        }),
      ),
  };
}

function secretStep(orgId: string, secret: StoredAppSecret): Step<'stale' | 'gone'> {
  const { sealed, sealVersion, createdAt, updatedAt } = secret;
  const place = placeOf(orgId, secret);
  const value = { sealed, seal_version: sealVersion, updated_at: updatedAt };
  if (sealVersion > 1) {
    const where = { ...place, seal_version: sealVersion - 1 };
    return { do: 'update', table: 'app_secrets', set: value, where, rows: 1, else: 'stale' };
  }
  return {
    do: 'insert',
    table: 'app_secrets',
    rows: [{ ...place, ...value, created_at: createdAt }],
    violations: { vivarium_app_secret: 'stale', vivarium_app_secret_owner: 'gone' },
  };
}

function placeOf(orgId: string, { appId, type, name }: StoredAppSecret) {
  return { org_id: orgId, app_id: appId, type, name };
}
