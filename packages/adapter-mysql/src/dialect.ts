import { storableTime } from '@vivarium/sql';
import type { Constraint, Dialect, Table } from '@vivarium/sql';

import { attemptFigures } from './attempt-figures.ts';

/** The two families of servers. */
export type Flavour = 'mysql' | 'mariadb';

export const defaultPrefix = 'vivarium_';

/**
 * One dialect for both: statements are made before anybody knows which server will answer. What the two spell in different ways is in
 * `schema.ts` and `plan-text.ts`.
 */
export function mysqlDialect(prefix: string): Dialect {
  return {
    table: (name) => tableName(prefix, name),

    readBy: (index) => `FORCE INDEX (${constraintName(prefix, index)})`,

    placeholder: () => '?',
    positional: false,
    bind: (_type, value) => (value instanceof Date ? dateTime(value) : value),

    asText: (type, expression) =>
      type === 'time' ? `DATE_FORMAT(${expression}, '%Y-%m-%dT%H:%i:%s.%fZ')` : `CAST(${expression} AS CHAR)`,

    jsonList(fields) {
      const pairs = Object.entries(fields).map(([name, expression]) => `'${name}', ${expression}`);
      return `CAST(JSON_ARRAYAGG(JSON_OBJECT(${pairs.join(', ')})) AS CHAR)`;
    },

    attemptFigures,

    later: (time, milliseconds) => `(${time} + INTERVAL ${milliseconds} * 1000 MICROSECOND)`,

    // A comparison of rows would be right, but neither server uses an index for it.
    after: ([a, b], [x, y]) => `(${a} >= ${x} AND (${a} > ${x} OR ${b} > ${y}))`,
    before: ([a, b], [x, y]) => `(${a} <= ${x} AND (${a} < ${x} OR ${b} < ${y}))`,

    contains: (text, part) => `INSTR(${text}, ${part}) > 0`,
    // JSON_SEARCH would read _ and % in the key as wildcards.
    hasVariable: (column, key) => `JSON_CONTAINS(${column}, JSON_OBJECT('key', ${key}))`,

    deletingSome: (table, { where, order, limit }) =>
      `DELETE FROM ${table} WHERE ${where} ORDER BY ${order} LIMIT ${limit}`,

    // A DELETE that looks for its rows by itself locks whatever it passes on the way, here up to the whole journal of an org.
    deleting: {
      listed: (table, list) =>
        `DELETE t FROM JSON_TABLE(${list}, '$[*]' COLUMNS (
          stream VARCHAR(128) CHARACTER SET utf8mb4 PATH '$.stream', sequence INT PATH '$.sequence'
        )) d STRAIGHT_JOIN ${table} t ON t.org_id = :org::text AND t.stream = d.stream AND t.sequence = d.sequence`,
    },
  };
}

export function tableName(prefix: string, name: Table | 'migrations'): string {
  return `\`${prefix}${name}\``;
}

/**
 * A constraint's name in the database: it carries the prefix of the tables, because the names of foreign keys and checks are shared by all
 * tables of a database.
 */
export function constraintName(prefix: string, name: string): string {
  return `\`${prefix}${name}\``;
}

/** The constraint behind a name in the database, or that name itself where it is none of ours. */
export function constraintOf(prefix: string, name: string): string {
  return name.startsWith(prefix) ? `vivarium_${name.slice(prefix.length)}` : name;
}

/** What a primary key stands for. The servers call each of them PRIMARY. */
export const primaryKeys: Readonly<Record<Table, Constraint | RowIdentity>> = {
  projects: 'vivarium_project',
  environments: 'vivarium_environment',
  org_trees: 'vivarium_org_tree',
  journal: 'vivarium_journal',
  journal_queue: 'vivarium_journal_queue',
  journal_lanes: 'vivarium_journal_lane',
  idempotency_keys: 'vivarium_key',
  data_keys: 'vivarium_data_key',
  ephemeral_environment_types: 'vivarium_type',
  state_change_actions: 'vivarium_action',
  ephemeral_environment_instances: 'vivarium_instance',
  instance_state_changes: 'vivarium_state_change',
  ephemeral_secret_definitions: 'vivarium_secret',
  ephemeral_secret_instances: 'vivarium_instance_secret',
  platforms: 'vivarium_platform',
  os_versions: 'vivarium_os_version',
  image_types: 'vivarium_image_type',
  milestone_plans: 'vivarium_plan',
  builds: 'vivarium_build',
  build_states: 'vivarium_build_state',
  build_failures: 'vivarium_build_failure',
  repos: 'vivarium_repo',
  apps: 'vivarium_app',
  project_environments: 'vivarium_project_environment',
  deployments: 'vivarium_deployment',
  previews: 'vivarium_preview',
  preview_runtimes: 'vivarium_preview_with_runtime',
  preview_commands: 'vivarium_preview_command',
  preview_steps: 'vivarium_preview_step',
  webhook_deliveries: 'vivarium_webhook_delivery',
  app_secrets: 'vivarium_app_secret',
};

/** Primary keys that no write runs into: their values are made once. */
type RowIdentity = `vivarium_${
  | 'project'
  | 'environment'
  | 'type'
  | 'action'
  | 'instance'
  | 'state_change'
  | 'secret'
  | 'platform'
  | 'os_version'
  | 'image_type'
  | 'build'
  | 'build_state'
  | 'build_failure'
  | 'repo'
  | 'app'
  | 'project_environment'
  | 'preview'
  | 'preview_with_runtime'
  | 'preview_command'
  | 'preview_step'
  | 'webhook_delivery'}`;

/** `2026-01-31 12:00:00.000`, in UTC: as text it means the same whatever time zone driver, session and server are set to. */
function dateTime(time: Date): string {
  return storableTime(time).toISOString().replace('T', ' ').replace('Z', '');
}
