/** Plans of milestones in SQL: first the statements that their methods send, then the methods. */
import type { BuildRepository } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import { planColumns, planRow, toPlan } from './builds-rows.ts';
import type { Dialect } from './dialect.ts';
import type { Step } from './plan.ts';
import { read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write } from './write.ts';
import type { Session } from './write.ts';

export function milestonePlanStatements(dialect: Dialect) {
  const { table } = dialect;
  const statement = (name: string, version: string) =>
    compile(
      dialect,
      `builds.${name}`,
      `SELECT p.id AS project_id, ${planColumns(dialect)}, ${keyColumns(dialect, 'k')}
      FROM (SELECT 1 AS one) o
        LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text
        LEFT JOIN ${table('projects')} p ON p.org_id = :org::text AND p.id = :project::uuid
        LEFT JOIN ${table('milestone_plans')} m ON m.org_id = :org::text AND m.project_id = p.id AND m.version = ${version}`,
    );
  return {
    newest: statement('plan', newestVersion(dialect, ':project::uuid')),
    ofVersion: statement('plan+version', ':version::integer'),
  };
}

/** The version of the project's newest plan. */
export function newestVersion({ table }: Dialect, project: string): string {
  return `(SELECT MAX(v.version) FROM ${table('milestone_plans')} v WHERE v.project_id = ${project})`;
}

type MilestonePlanMethods = Pick<BuildRepository, 'plan' | 'addPlan'>;

export function sqlMilestonePlans(
  session: Session,
  statements: ReturnType<typeof milestonePlanStatements>,
): MilestonePlanMethods {
  return {
    plan: (orgId, project, version, keyId) =>
      answer(async () => {
        const given = { org: orgId, project, key: keyId ?? null };
        const [row] =
          version === undefined
            ? await read(session, statements.newest, given)
            : await read(session, statements.ofVersion, { ...given, version });
        return { found: toPlan(row!), exists: row!['project_id'] != null, key: toKey(row!) };
      }),

    /** project, which stays → the version before, which has to be there → plan → journal. Of two next ones, the primary key takes one. */
    addPlan: ({ plan, change }) =>
      answer(() => {
        const { orgId } = change;
        const before: Step<'stale'> = {
          do: 'hold',
          table: 'milestone_plans',
          stays: 'undeleted',
          where: { org_id: orgId, project_id: plan.projectId, version: plan.version - 1 },
          else: 'stale',
        };
        return write<'not_found' | 'stale'>(session, change, {
          name: planName('builds.addPlan', change, ...(plan.version === 1 ? ['first'] : [])),
          orgId,
          steps: [
            {
              do: 'hold',
              table: 'projects',
              stays: 'undeleted',
              where: { org_id: orgId, id: plan.projectId },
              else: 'not_found',
            },
            ...(plan.version === 1 ? [] : [before]),
            {
              do: 'insert',
              table: 'milestone_plans',
              rows: [planRow(orgId, plan)],
              violations: { vivarium_plan: 'stale', vivarium_plan_project: 'not_found' },
            },
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: {
            projectId: plan.projectId,
            environmentId: null,
            verdict: ({ project }) => (project === null ? 'not_found' : null),
          },
        });
      }),
  };
}
