/** Values of instances' secrets in SQL: first the statements that their methods send, then the methods. */
import type { EphemeralRepository, StoredSecret } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import type { Dialect } from './dialect.ts';
import { secretColumns, toSecret } from './ephemeral-rows.ts';
import type { Step } from './plan.ts';
import { read } from './read.ts';
import { compile } from './statement.ts';
import type { Statement } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function secretStatements(dialect: Dialect) {
  const select = `SELECT ${secretColumns(dialect)} FROM ${dialect.table('ephemeral_secret_instances')} v
    WHERE v.org_id = :org::text AND v.instance_id = :instance::uuid`;
  const statement = (name: string, which: string) =>
    compile(dialect, `ephemeral.${name}`, `${select} ${which} ORDER BY v.name`);

  const named = new Map<number, Statement>();
  return {
    secrets: statement('secrets', ''),

    /** Those of so many names: values can be large, and none is read that was not asked for. */
    secretsNamed(count: number): Statement {
      const known = named.get(count);
      if (known !== undefined) return known;
      const names = Array.from({ length: count }, (_none, index) => `:name${index}::text`);
      const made = statement(`secrets+${count}`, `AND v.name IN (${names.join(', ')})`);
      named.set(count, made);
      return made;
    },
  };
}

type SecretMethods = Pick<EphemeralRepository, 'secrets' | 'writeSecret'>;

export function sqlSecrets(session: Session, statements: ReturnType<typeof secretStatements>): SecretMethods {
  return {
    secrets: (orgId, instanceId, names) =>
      answer(async () => {
        const given = { org: orgId, instance: instanceId };
        if (names === undefined) return (await read(session, statements.secrets, given)).map(toSecret);
        const wanted = [...new Set(names)];
        if (wanted.length === 0) return [];
        const asked = Object.fromEntries(wanted.map((name, index) => [`name${index}`, name]));
        return (await read(session, statements.secretsNamed(wanted.length), { ...given, ...asked })).map(toSecret);
      }),

    /**
     * instance, on which this change is pending → secret → journal. The instance is updated to what it is, not only held: whoever ends it and
     * has waited for this has to see that it changed, also in a host's transaction that sees the database as it was.
     */
    writeSecret: ({ secret, stateChangeId, change }) =>
      answer(() =>
        write<'stale' | 'not_pending'>(session, change, {
          name: planName('ephemeral.writeSecret', change, ...(secret.sealVersion === 1 ? ['first'] : [])),
          orgId: change.orgId,
          steps: [
            {
              do: 'update',
              table: 'ephemeral_environment_instances',
              set: { change_sequence: { plus: 0 } },
              where: { org_id: change.orgId, id: secret.instanceId, pending_change_id: stateChangeId },
              rows: 1,
              else: 'not_pending',
            },
            secretStep(change.orgId, secret),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        }),
      ),
  };
}

function secretStep(orgId: string, secret: StoredSecret): Step<'stale'> {
  const { instanceId, name, sealed, sealVersion, createdAt, updatedAt } = secret;
  if (sealVersion > 1) {
    return {
      do: 'update',
      table: 'ephemeral_secret_instances',
      set: { value: sealed, seal_version: sealVersion, updated_at: updatedAt },
      where: { org_id: orgId, instance_id: instanceId, name, seal_version: sealVersion - 1 },
      rows: 1,
      else: 'stale',
    };
  }
  return {
    do: 'insert',
    table: 'ephemeral_secret_instances',
    rows: [
      {
        org_id: orgId,
        instance_id: instanceId,
        name,
        value: sealed,
        seal_version: sealVersion,
        created_at: createdAt,
        updated_at: updatedAt,
      },
    ],
    violations: { vivarium_instance_secret: 'stale' },
  };
}
