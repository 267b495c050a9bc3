/**
 * The port of previews in SQL: first the statements that its methods send, then the methods. Lock order everywhere: project → repository → app → project
 * environment → preview → what hangs from it → deployments.
 *
 * Whatever a preview belongs to takes it along when it is deleted, and must not while the preview has a runtime. That is a foreign key: no deletion reaches
 * the rows of `preview_runtimes`, so that an environment with such a row cannot be deleted. Whoever expects a runtime has locked the environment before, and a
 * deletion has to lock it, too: one of them comes first, and the other one sees what it has done.
 */
import { busyPreviewStatuses, previewStatuses, StorageFailure } from '@vivarium/core/storage';
import type { PreviewRepository, PreviewStatus, PreviewWrite } from '@vivarium/core/storage';

import { answer } from './answer.ts';
import {
  appColumns,
  deploymentColumns,
  deploymentIn,
  deploymentRow,
  moveOn,
  projectEnvironmentColumns,
  projectEnvironmentRow,
  repoColumns,
  standingOf,
  toApp,
  toProjectEnvironment,
  toRepo,
} from './deployments-rows.ts';
import { holdOwners } from './deployments-owners.ts';
import type { Dialect } from './dialect.ts';
import { Filtered } from './filtered.ts';
import type { Step } from './plan.ts';
import { previewDeliveryStatements, sqlPreviewDeliveries } from './previews-deliveries.ts';
import { previewMessageStatements, sqlPreviewMessages } from './previews-messages.ts';
import {
  courseOfPreview,
  previewAtVersion,
  previewColumns,
  previewIn,
  previewRow,
  stepRow,
  stepsColumn,
  toPreview,
  toSteps,
} from './previews-rows.ts';
import { appSecretStatements, sqlAppSecrets } from './previews-secrets.ts';
import { firstId, pageOf, read } from './read.ts';
import { keyColumns, toKey } from './rows.ts';
import { compile } from './statement.ts';
import { journalSteps, planName, write, writeIf, writeUnless } from './write.ts';
import type { Session } from './write.ts';

const listed = (statuses: Iterable<PreviewStatus>) => [...statuses].map((status) => `'${status}'`).join(', ');
const busy = listed(busyPreviewStatuses);
const settled: ReadonlySet<PreviewStatus> = new Set(['stopping', 'stopped', 'deleted']);
const up = listed(previewStatuses.filter((status) => !settled.has(status)));

export function previewStatements(dialect: Dialect) {
  const { table, before } = dialect;
  const columns = previewColumns(dialect);
  const apps = `${table('apps')} a`;
  const repos = `${table('repos')} r`;
  const environments = `${table('project_environments')} e`;
  const previews = `${table('previews')} p`;
  const statement = (name: string, text: string) => compile(dialect, `previews.${name}`, text);
  const key = `LEFT JOIN ${table('idempotency_keys')} k ON k.org_id = :org::text AND k.key_id = :key::text`;
  /** The deployment that is live is \`l\`. */
  const facts = `${columns}, ${projectEnvironmentColumns(dialect)}, ${appColumns(dialect)}, ${repoColumns(dialect)},
    ${deploymentColumns(dialect)}, ${deploymentColumns(dialect, 'l')}, ${keyColumns(dialect, 'k')}`;
  const runs = `LEFT JOIN ${table('deployments')} d ON d.id = p.run
    LEFT JOIN ${table('deployments')} l ON l.id = e.active_deployment`;
  const some = (which: string) =>
    `(SELECT p.project_environment_id FROM ${previews}
      WHERE p.org_id = :org::text AND p.project_environment_id > :after::uuid AND ${which}
      ORDER BY p.project_environment_id LIMIT :limit::integer)`;
  const late = some(`p.status IN (${busy}) AND p.deadline <= :now::time`);
  const aged = some(`p.status IN (${up}) AND p.requested_at <= :askedBy::time AND p.type = 'preview'`);
  /** Each kind is looked for by an index of its own, which one question for both would not be. */
  const due = (name: string, ...kinds: readonly string[]) =>
    statement(
      name,
      `SELECT ${columns} FROM (${kinds.join(' UNION ')}) o JOIN ${previews} ON p.project_environment_id = o.project_environment_id
      ORDER BY p.project_environment_id LIMIT :limit::integer`,
    );

  return {
    deliveries: previewDeliveryStatements(dialect),
    messages: previewMessageStatements(dialect),
    secrets: appSecretStatements(dialect),

    askFacts: statement(
      'askFacts',
      `SELECT ${facts}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${apps} ON a.org_id = :org::text AND a.id = :app::uuid
        LEFT JOIN ${repos} ON r.id = a.repo_id
        LEFT JOIN ${environments} ON e.project_id = a.project_id AND e.repo_id = a.repo_id AND e.environment = :environment::text
        LEFT JOIN ${previews} ON p.project_environment_id = e.id
        ${runs}`,
    ),

    facts: statement(
      'facts',
      `SELECT ${facts}, ${stepsColumn(dialect)}
      FROM (SELECT 1 AS one) o ${key}
        LEFT JOIN ${previews} ON p.org_id = :org::text AND p.project_environment_id = :id::uuid
        LEFT JOIN ${environments} ON e.id = p.project_environment_id
        LEFT JOIN ${apps} ON a.id = p.app_id
        LEFT JOIN ${repos} ON r.id = p.repo_id
        ${runs}`,
    ),

    tries: statement(
      'tries',
      `SELECT p.tries FROM ${previews}
      WHERE p.org_id = :org::text AND p.project_environment_id = :id::uuid AND p.version = :version::integer`,
    ),

    /** At least one row for an app that exists, so that an empty page can be told from no app. */
    list: new Filtered(
      {
        status: 'p.status = :status::text',
        after: before(['p.created_at', 'p.project_environment_id'], [':afterTime::time', ':afterId::uuid']),
      },
      (variant, asked) =>
        statement(
          `list${variant}`,
          `SELECT q.* FROM ${apps}
            LEFT JOIN (
              SELECT ${columns} FROM ${previews}
              WHERE ${['p.org_id = :org::text', 'p.app_id = :app::uuid', ...asked].join(' AND ')}
              ORDER BY p.created_at DESC, p.project_environment_id DESC LIMIT :limit::integer
            ) q ON 1 = 1
          WHERE a.org_id = :org::text AND a.id = :app::uuid
          ORDER BY q.p_created_at DESC, q.p_project_environment_id DESC`,
        ),
    ),

    due: due('due', late),
    dueOrAged: due('due+aged', late, aged),
  };
}

/** How often a try is counted anew: each time, another one was counted, so that with as many at once all of them are. */
const maximumCounts = 64;

export function sqlPreviews(session: Session, statements: ReturnType<typeof previewStatements>): PreviewRepository {
  return {
    ...sqlPreviewDeliveries(session, statements.deliveries),
    ...sqlPreviewMessages(session, statements.messages),
    ...sqlAppSecrets(session, statements.secrets),

    askFacts: (orgId, { appId, environment }, keyId) =>
      answer(async () => {
        const given = { org: orgId, app: appId, environment, key: keyId ?? null };
        const row = (await read(session, statements.askFacts, given))[0]!;
        return {
          app: row['a_id'] == null ? null : toApp(row),
          repo: row['r_id'] == null ? null : toRepo(row),
          environment: row['e_id'] == null ? null : toProjectEnvironment(row),
          preview: previewIn(row),
          run: deploymentIn(row),
          active: deploymentIn(row, 'l'),
          key: toKey(row),
        };
      }),

    facts: (orgId, id, keyId) =>
      answer(async () => {
        const row = (await read(session, statements.facts, { org: orgId, id, key: keyId ?? null }))[0]!;
        const preview = previewIn(row);
        if (preview === null) return { found: null, key: toKey(row) };
        const found = {
          preview,
          environment: toProjectEnvironment(row),
          app: toApp(row),
          repo: toRepo(row),
          run: deploymentIn(row),
          active: deploymentIn(row, 'l'),
          steps: toSteps(row),
        };
        return { found, key: toKey(row) };
      }),

    /** project, repository and app, which stay → environment → preview → … → journal. Of two with one name, the unique constraint takes one. */
    create: (command) =>
      answer(() => {
        const { preview, environment, change } = command;
        const { orgId } = change;
        return write<'stale' | 'gone'>(session, change, {
          name: planName('previews.create', change, ...variantsOf(command)),
          orgId,
          steps: [
            ...holdOwners(orgId, preview),
            {
              do: 'hold',
              table: 'apps',
              stays: 'undeleted',
              where: { org_id: orgId, id: preview.appId },
              else: 'gone',
            },
            {
              do: 'insert',
              table: 'project_environments',
              rows: [projectEnvironmentRow(orgId, environment)],
              violations: {
                vivarium_project_environment_name: 'stale',
                vivarium_project_environment_project: 'gone',
                vivarium_project_environment_repo: 'gone',
                vivarium_project_environment_app: 'gone',
              },
            },
            { do: 'insert', table: 'previews', rows: [previewRow(orgId, preview)] },
            ...(preview.hasRuntime ? [guardRuntime(command)] : []),
            ...messageSteps(command),
            ...deploymentSteps(command),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: null,
        });
      }),

    /** environment → preview → its runtime → its message → deployments → journal. */
    write: (command) =>
      answer(() => {
        const { preview, environment, expectedVersion, change } = command;
        const { orgId } = change;
        return write<'not_found' | 'stale'>(session, change, {
          name: planName('previews.write', change, ...variantsOf(command)),
          orgId,
          steps: [
            {
              do: 'update',
              table: 'project_environments',
              set: standingOf(environment),
              where: { org_id: orgId, id: environment.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
            },
            {
              do: 'update',
              table: 'previews',
              set: courseOfPreview(preview),
              where: { org_id: orgId, project_environment_id: preview.id, version: expectedVersion },
              rows: 1,
              else: 'stale',
            },
            preview.hasRuntime ? guardRuntime(command) : releaseRuntime(command),
            ...messageSteps(command),
            ...deploymentSteps(command),
            ...journalSteps(change),
          ],
          key: change.key,
          diagnosis: previewAtVersion(preview, expectedVersion),
        });
      }),

    /** Reads how many there were, and counts on from there: of two that read the same number, one reads again. */
    countTry: (orgId, id, version) =>
      answer(async () => {
        for (let counts = 0; counts < maximumCounts; counts++) {
          const [row] = await read(session, statements.tries, { org: orgId, id, version });
          if (row === undefined) return null;
          const tries = Number(row['tries']);
          const counted = await writeIf(session, {
            name: 'previews.countTry',
            orgId,
            steps: [
              {
                do: 'update',
                table: 'previews',
                set: { tries: tries + 1 },
                where: { org_id: orgId, project_environment_id: id, version, tries },
                rows: 1,
                else: 'counted',
              },
            ],
            key: null,
            diagnosis: null,
          });
          if (counted) return tries + 1;
        }
        throw new StorageFailure(`others keep trying at preview ${id}`, { retryable: true, outcome: 'none' });
      }),

    /** environment, which stays, because the step hangs from it → preview → step. */
    keepStep: (orgId, step) =>
      answer(async () => {
        const where = { org_id: orgId, project_environment_id: step.projectEnvironmentId };
        const comments = step.step === 'comment';
        await writeUnless<'gone'>(session, {
          name: comments ? 'previews.keepStep+comment' : 'previews.keepStep',
          orgId,
          steps: [
            {
              do: 'hold',
              table: 'project_environments',
              stays: 'undeleted',
              where: { org_id: orgId, id: step.projectEnvironmentId },
              else: 'gone',
            },
            comments
              ? { do: 'update', table: 'previews', set: { comment_id: step.result }, where, rows: 1, else: 'gone' }
              : { do: 'hold', table: 'previews', stays: 'undeleted', where, else: 'gone' },
            {
              do: 'insert',
              table: 'preview_steps',
              rows: [stepRow(orgId, step)],
              over: ['project_environment_id', 'generation', 'step'],
            },
          ],
          key: null,
          diagnosis: null,
        });
      }),

    list: (orgId, { appId, status }, { limit, after }) =>
      answer(async () => {
        const rows = await read(session, statements.list.with({ status, after }), {
          org: orgId,
          app: appId,
          limit: limit + 1,
          ...(status !== undefined && { status }),
          ...(after && { afterTime: after.createdAt, afterId: after.id }),
        });
        if (rows.length === 0) return null;
        return pageOf(rows[0]!['p_project_environment_id'] == null ? [] : rows, limit, toPreview);
      }),

    due: (orgId, { now, askedBy, limit, after }) =>
      answer(async () => {
        const given = { org: orgId, now, limit, after: after ?? firstId };
        const rows =
          askedBy === null
            ? await read(session, statements.due, given)
            : await read(session, statements.dueOrAged, { ...given, askedBy });
        return rows.map(toPreview);
      }),
  };
}

/** What makes the shape of a plan that writes a preview. */
function variantsOf({ preview, message, deployments }: PreviewWrite): readonly string[] {
  return [
    ...(preview.hasRuntime ? ['runtime'] : []),
    ...(message === null ? [] : ['message']),
    ...deployments.map(({ adds }) => (adds ? 'add' : 'move')),
  ];
}

/** As long as the preview has a runtime, nothing that it belongs to can be deleted. */
function guardRuntime({ preview, change: { orgId, at } }: PreviewWrite): Step<never> {
  return {
    do: 'insert',
    table: 'preview_runtimes',
    rows: [{ project_environment_id: preview.id, org_id: orgId, created_at: at }],
    over: ['project_environment_id'],
  };
}

function releaseRuntime({ preview, change: { orgId } }: PreviewWrite): Step<never> {
  const where = { org_id: orgId, project_environment_id: preview.id };
  return { do: 'delete', table: 'preview_runtimes', where, rows: 'any' };
}

function messageSteps({ message, change: { orgId, at } }: PreviewWrite): readonly Step<never>[] {
  if (message === null) return [];
  const { projectEnvironmentId, sequence } = message;
  return [
    {
      do: 'insert',
      table: 'preview_commands',
      rows: [{ project_environment_id: projectEnvironmentId, org_id: orgId, sequence, created_at: at, updated_at: at }],
      over: ['project_environment_id'],
    },
  ];
}

function deploymentSteps({ deployments, change: { orgId } }: PreviewWrite): readonly Step<'stale'>[] {
  return deployments.map(({ deployment, adds }) =>
    adds ? { do: 'insert', table: 'deployments', rows: [deploymentRow(orgId, deployment)] } : moveOn(orgId, deployment),
  );
}
