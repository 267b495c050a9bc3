/** What a column holds. Each dialect says how a value of the type is bound, and how it is read back as text. */
export type ColumnType = 'uuid' | 'text' | 'integer' | 'time' | 'json';

/**
 * The tables of both SQL adapters, with the columns that statements may name. `org_id` stands in each of them and never changes, so that no
 * write needs another table to know whose row it is.
 */
export const tables = {
  projects: {
    id: 'uuid',
    org_id: 'text',
    name: 'text',
    name_key: 'text',
    description: 'text',
    parent_project_id: 'uuid',
    /** The default is a pointer here, not a flag there: one row, so that there cannot be two or none. */
    default_environment_id: 'uuid',
    /** Carries the limit. Apart from `version`, so that creating an environment does not make a rename stale. */
    environment_count: 'integer',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  environments: {
    id: 'uuid',
    org_id: 'text',
    project_id: 'uuid',
    name: 'text',
    name_key: 'text',
    description: 'text',
    variables: 'json',
    variable_count: 'integer',
    variable_bytes: 'integer',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  org_trees: {
    org_id: 'text',
    version: 'integer',
    growth: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  journal: {
    org_id: 'text',
    stream: 'text',
    sequence: 'integer',
    id: 'uuid',
    subject_type: 'text',
    subject_id: 'text',
    action: 'text',
    actor_type: 'text',
    actor_id: 'text',
    at: 'time',
    data: 'json',
  },
  /** One row for each entry that waits for delivery or was parked; gone once it is acknowledged. */
  journal_queue: {
    org_id: 'text',
    stream: 'text',
    sequence: 'integer',
    entry_id: 'uuid',
    lane: 'integer',
    at: 'time',
    attempts: 'integer',
    due_at: 'time',
    parked_at: 'time',
    reason: 'text',
  },
  journal_lanes: {
    org_id: 'text',
    lane: 'integer',
    token: 'text',
    lease_until: 'time',
  },
  idempotency_keys: {
    org_id: 'text',
    key_id: 'text',
    fingerprint: 'text',
    result: 'json',
    expires_at: 'time',
  },
} as const satisfies Record<string, Record<string, ColumnType>>;

export type Table = keyof typeof tables;
export type Column<T extends Table> = keyof (typeof tables)[T] & string;

export function columnType(table: Table, column: string): ColumnType {
  return (tables[table] as Record<string, ColumnType>)[column]!;
}

/**
 * The constraints that a write can run into. The names are what a dialect's error translation gives; engines that name a primary key
 * themselves translate that to the name here.
 */
export type Constraint =
  | 'vivarium_project_name'
  | 'vivarium_project_parent'
  /** `projects.default_environment_id` → `environments`. PostgreSQL only. */
  | 'vivarium_project_default'
  | 'vivarium_environment_name'
  | 'vivarium_environment_project'
  | 'vivarium_org_tree'
  | 'vivarium_journal'
  | 'vivarium_journal_queue'
  | 'vivarium_journal_lane'
  | 'vivarium_key';
