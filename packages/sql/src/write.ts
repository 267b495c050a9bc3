/** How a plan is run to its answer: once, or again where nothing speaks against it; and how a refusal is found out. */
import { laneOf, StorageFailure } from '@vivarium/core/storage';
import type { Change, KeyRecord, Written } from '@vivarium/core/storage';

import type { Dialect, Executor, Ran } from './dialect.ts';
import { spelled } from './columns.ts';
import { diagnosedBy, diagnosedColumns, stepsOf } from './plan.ts';
import type { DiagnosedTable, Diagnosis, Found, Plan, Step } from './plan.ts';
import { read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import type { Statement } from './statement.ts';
import { columnType } from './tables.ts';

/** What repositories work with: how to spell, and where to send. */
export interface Session {
  readonly dialect: Dialect;
  readonly executor: Executor;
  readonly diagnosis: ReturnType<typeof diagnosisStatements>;
}

/** Tries of one write before the caller hears of it: after conflicts, and after guards that failed for a reason which is gone. */
const maximumTries = 8;

/** Steps that every change has: its entry in the journal, and the entry's place in the outbox. */
export function journalSteps({ orgId, entry }: Change): readonly Step<never>[] {
  const { id, stream, sequence, subject, actor, at } = entry;
  return [
    {
      do: 'insert',
      table: 'journal',
      rows: [
        {
          org_id: orgId,
          stream,
          sequence,
          id,
          subject_type: subject.type,
          subject_id: subject.id,
          action: entry.action,
          actor_type: actor.type,
          actor_id: actor.id,
          at,
          data: JSON.stringify(entry.data),
        },
      ],
    },
    {
      do: 'insert',
      table: 'journal_queue',
      rows: [{ org_id: orgId, stream, sequence, entry_id: id, lane: laneOf(stream), at, attempts: 0, due_at: always }],
    },
  ];
}

/** Due from the beginning: a fresh entry never waits, whichever clock its writer had. */
const always = new Date(0);

/** Ends a plan's name with what else makes its shape. */
export function planName(method: string, { key }: Change, ...variants: readonly string[]): string {
  return [method, ...variants, ...(key === null ? [] : ['key'])].join('+');
}

export function diagnosisStatements(dialect: Dialect) {
  const { table } = dialect;
  // An executor may know them by this name.
  const statement = (text: string) => compile(dialect, 'diagnosis', text);
  const key = `LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text`;
  const ofRow = <T extends DiagnosedTable>(name: T) => {
    const id = diagnosedBy[name] ?? 'id';
    return statement(
      `SELECT ${keyColumns(dialect, 'k')}, r.${id} AS row_id, ${diagnosedColumns[name]
        .map((column) => `${spelled(dialect, columnType(name, column), `r.${column}`)} AS ${column}`)
        .join(', ')}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${table(name)} r ON r.org_id = :org::text AND r.${id} = :id::uuid`,
    );
  };

  return {
    found: statement(
      `SELECT ${keyColumns(dialect, 'k')},
        p.version AS project_version, p.environment_count, p.default_environment_id,
        (SELECT COUNT(*) FROM ${table('projects')} c WHERE c.org_id = :org::text AND c.parent_project_id = p.id) AS child_count,
        e.version AS environment_version, t.version AS tree_version, t.growth AS tree_growth,
        et.version AS type_version, et.state AS type_state, et.live_count, et.max_number_of_instances,
        ei.version AS instance_version, ei.pending_change_id, ei.live_name_key AS instance_live_name_key
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${table('projects')} p ON p.org_id = :org::text AND p.id = :project::uuid
        LEFT JOIN ${table('environments')} e ON e.org_id = :org::text AND e.id = :environment::uuid AND e.project_id = p.id
        LEFT JOIN ${table('org_trees')} t ON t.org_id = :org::text
        LEFT JOIN ${table('ephemeral_environment_types')} et ON et.org_id = :org::text AND et.id = :type::uuid
        LEFT JOIN ${table('ephemeral_environment_instances')} ei ON ei.org_id = :org::text AND ei.id = :instance::uuid`,
    ),
    rows: {
      platforms: ofRow('platforms'),
      os_versions: ofRow('os_versions'),
      image_types: ofRow('image_types'),
      builds: ofRow('builds'),
      build_failures: ofRow('build_failures'),
      repos: ofRow('repos'),
      apps: ofRow('apps'),
      project_environments: ofRow('project_environments'),
      previews: ofRow('previews'),
    } satisfies Record<DiagnosedTable, Statement>,
  };
}

/** Runs the plan of a change. */
export async function write<Guard extends string>(
  session: Session,
  change: Change,
  plan: Plan<Guard>,
): Promise<Written<Guard>> {
  for (let tries = 1; tries <= maximumTries; tries++) {
    const ran = await session.executor.run(plan);
    if (ran.as === 'done') return { done: true };

    if (ran.as === 'conflict') {
      if (!session.executor.owns || tries === maximumTries) throw ran.failure;
    } else {
      const failed = failedGuard(plan, ran);
      const found = await find(session, plan);
      if (found.key !== null && found.key.expiresAt > change.at) {
        return { done: false, refused: 'key_taken', record: found.key };
      }
      const refused = plan.diagnosis?.verdict(found) ?? failed.proven;
      if (refused !== null) return { done: false, refused };
      if (failed.unforeseen !== null) throw failed.unforeseen;
      if (failed.key && found.key !== null) await dropExpired(session, change, found.key);
    }
    if (session.executor.owns) await pause(tries);
  }
  throw new StorageFailure(`${plan.name} met others at every one of ${maximumTries} tries`, {
    retryable: true,
    outcome: 'none',
  });
}

/** Runs a plan that answers yes or no: whether every step took effect. A constraint that stands for no guard throws. */
export async function writeIf(session: Session, plan: Plan): Promise<boolean> {
  return (await writeUnless(session, plan)) === null;
}

/** Runs a plan that needs no diagnosis: `null`, or the guard of the step that stood against it. */
export async function writeUnless<Guard extends string>(session: Session, plan: Plan<Guard>): Promise<Guard | null> {
  for (let tries = 1; ; tries++) {
    const ran = await session.executor.run(plan);
    if (ran.as === 'done') return null;
    if (ran.as !== 'conflict') {
      const failed = failedGuard(plan, ran);
      if (failed.proven === null) throw failed.unforeseen ?? unforeseen(plan, 'vivarium_key');
      return failed.proven;
    }
    if (!session.executor.owns || tries === maximumTries) throw ran.failure;
    await pause(tries);
  }
}

/** The guard behind what an executor reports. */
interface FailedGuard<Guard extends string> {
  /** A constraint is its own proof, while an update without effect has to be looked into. */
  readonly proven: Guard | null;
  /** It was the idempotency key. */
  readonly key: boolean;
  /** It was a constraint that stands for nothing. Somebody who repeats a write under its key, row by row, runs into those before he gets to the key. */
  readonly unforeseen: StorageFailure | null;
}

function failedGuard<Guard extends string>(
  plan: Plan<Guard>,
  ran: Ran & { readonly as: 'stopped' | 'violated' },
): FailedGuard<Guard> {
  const none = { proven: null, key: false, unforeseen: null };
  if (ran.as === 'stopped') {
    const step = stepsOf(plan)[ran.step];
    if (step === undefined || step.do === 'insert') return none;
    // What is held was loaded before the plan was made: if it is not there as it was, it has gone or changed since.
    const proof = step.do === 'hold' || plan.diagnosis === null;
    return { ...none, proven: proof ? (step.else as Guard) : null };
  }
  if (ran.constraint === 'vivarium_key') return { ...none, key: true };
  for (const step of plan.steps) {
    const guard =
      'violations' in step ? (step.violations as Readonly<Record<string, Guard>>)[ran.constraint] : undefined;
    if (guard !== undefined) return { ...none, proven: guard };
  }
  return { ...none, unforeseen: unforeseen(plan, ran.constraint) };
}

function unforeseen({ name }: Plan, constraint: string): StorageFailure {
  return new StorageFailure(`${name} ran into the constraint ${constraint}`, { retryable: false, outcome: 'none' });
}

async function find(session: Session, { orgId: org, key, diagnosis }: Plan): Promise<Found> {
  const keyId = key?.id ?? null;
  if (diagnosis !== null && 'row' in diagnosis) {
    const { table, id } = diagnosis.row;
    const [row] = await read(session, session.diagnosis.rows[table], { org, id, key: keyId });
    return { ...nothing, key: toKey(row!), row: row!['row_id'] == null ? null : row! };
  }
  const rows = await read(session, session.diagnosis.found, {
    org,
    key: keyId,
    project: diagnosis?.projectId ?? null,
    environment: diagnosis?.environmentId ?? null,
    type: diagnosis?.typeId ?? null,
    instance: diagnosis?.instanceId ?? null,
  });
  const row = rows[0]!;
  return {
    ...nothing,
    key: toKey(row),
    project:
      row['project_version'] == null
        ? null
        : {
            version: Number(row['project_version']),
            environmentCount: Number(row['environment_count']),
            defaultEnvironmentId: row['default_environment_id'] as string,
            hasChildren: Number(row['child_count']) > 0,
          },
    environment: row['environment_version'] == null ? null : { version: Number(row['environment_version']) },
    type:
      row['type_version'] == null
        ? null
        : {
            version: Number(row['type_version']),
            state: row['type_state'] as string,
            liveInstances: Number(row['live_count']),
            maximum: row['max_number_of_instances'] == null ? null : Number(row['max_number_of_instances']),
          },
    instance:
      row['instance_version'] == null
        ? null
        : {
            version: Number(row['instance_version']),
            pendingChangeId: (row['pending_change_id'] ?? null) as string | null,
            live: row['instance_live_name_key'] != null,
          },
    treeVersion: Number(row['tree_version'] ?? 0),
    treeGrowth: Number(row['tree_growth'] ?? 0),
  };
}

const nothing: Found = {
  key: null,
  project: null,
  environment: null,
  type: null,
  instance: null,
  treeVersion: 0,
  treeGrowth: 0,
  row: null,
};

/** Says what a guard that nothing was written for stands for, without having tried. */
export async function refuse<Guard extends string>(
  session: Session,
  change: Change,
  diagnosis: Diagnosis<Guard>,
  otherwise: Guard,
): Promise<Written<Guard>> {
  const found = await find(session, { name: 'refuse', orgId: change.orgId, steps: [], key: change.key, diagnosis });
  if (found.key !== null && found.key.expiresAt > change.at)
    return { done: false, refused: 'key_taken', record: found.key };
  return { done: false, refused: diagnosis.verdict(found) ?? otherwise };
}

/** An expired key must not stand in the way of a new one; it goes only if nobody has put a new one in its place. */
async function dropExpired(session: Session, { orgId, key }: Change, { expiresAt }: KeyRecord): Promise<void> {
  await session.executor.run({
    name: 'idempotency_keys.drop',
    orgId,
    steps: [
      {
        do: 'delete',
        table: 'idempotency_keys',
        where: { org_id: orgId, key_id: key!.id, expires_at: { '<=': expiresAt } },
        rows: 1,
        else: 'gone',
      },
    ],
    key: null,
    diagnosis: null,
  });
}

/** Full jitter: anything up to 10, 20, 40, … 400 milliseconds. */
function pause(tries: number): Promise<void> {
  const milliseconds = Math.random() * Math.min(400, 5 * 2 ** tries);
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
