/** What a column holds. Each dialect says how a value of the type is bound, and how it is read back as text. */
export type ColumnType = 'uuid' | 'text' | 'integer' | 'bigint' | 'boolean' | 'time' | 'json';

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
  data_keys: {
    org_id: 'text',
    scope_type: 'text',
    scope_id: 'uuid',
    generation: 'integer',
    id: 'uuid',
    wrapped: 'text',
    wrapped_by: 'text',
    commitment: 'text',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  ephemeral_environment_types: {
    id: 'uuid',
    org_id: 'text',
    name: 'text',
    name_key: 'text',
    /** `name_key` of those that are not deleted: their names are unique. */
    live_name_key: 'text',
    description: 'text',
    state: 'text',
    max_number_of_instances: 'integer',
    /** Carries the capacity. Apart from `version`, so that creating an instance does not make a change of the type stale. */
    live_count: 'integer',
    ttl_ms: 'bigint',
    max_ttl_ms: 'bigint',
    sleep_after_ms: 'bigint',
    change_timeout_ms: 'bigint',
    created_by_type: 'text',
    created_by: 'text',
    last_modified_by_type: 'text',
    last_modified_by: 'text',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  state_change_actions: {
    id: 'uuid',
    org_id: 'text',
    environment_type_id: 'uuid',
    state_change_type: 'text',
    project_id: 'text',
    branch: 'text',
    pipeline_yaml_name: 'text',
    created_at: 'time',
    updated_at: 'time',
  },
  ephemeral_environment_instances: {
    id: 'uuid',
    org_id: 'text',
    environment_type_id: 'uuid',
    name: 'text',
    name_key: 'text',
    /** `name_key` of those that live: their names are unique. */
    live_name_key: 'text',
    state: 'text',
    pending_change_id: 'uuid',
    change_sequence: 'integer',
    slept_from: 'text',
    expires_at: 'time',
    last_active_at: 'time',
    sweep_failures: 'integer',
    sweep_after: 'time',
    /** 0 or 1. */
    needs_attention: 'integer',
    note: 'text',
    ended_at: 'time',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  /** A change keeps what its action was, which may be replaced or removed since. */
  instance_state_changes: {
    org_id: 'text',
    instance_id: 'uuid',
    sequence: 'integer',
    id: 'uuid',
    environment_type_id: 'uuid',
    state_change_type: 'text',
    prev_state: 'text',
    next_state: 'text',
    state_change_action_id: 'uuid',
    project_id: 'text',
    branch: 'text',
    pipeline_yaml_name: 'text',
    parameters: 'json',
    result: 'text',
    reason: 'text',
    trigger_type: 'text',
    trigger_id: 'text',
    /** A list as JSON, in a column of text, which a guard can compare. */
    token_hashes: 'text',
    accepted_at: 'time',
    execution_ppl_id: 'text',
    execution_id: 'text',
    deadline: 'time',
    ended_at: 'time',
    /** When it started. */
    created_at: 'time',
    updated_at: 'time',
  },
  ephemeral_secret_definitions: {
    id: 'uuid',
    org_id: 'text',
    environment_type_id: 'uuid',
    name: 'text',
    description: 'text',
    actions_that_can_change_the_secret: 'json',
    actions_that_have_access_to_the_secret: 'json',
    created_at: 'time',
    updated_at: 'time',
  },
  ephemeral_secret_instances: {
    org_id: 'text',
    instance_id: 'uuid',
    name: 'text',
    /** Sealed. */
    value: 'text',
    seal_version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  platforms: {
    id: 'uuid',
    org_id: 'text',
    name: 'text',
    name_key: 'text',
    display_name: 'text',
    cloud_provider: 'text',
    region: 'text',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  os_versions: {
    id: 'uuid',
    org_id: 'text',
    name: 'text',
    name_key: 'text',
    display_name: 'text',
    os_family: 'text',
    major_version: 'integer',
    minor_version: 'integer',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  image_types: {
    id: 'uuid',
    org_id: 'text',
    name: 'text',
    name_key: 'text',
    display_name: 'text',
    description: 'text',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  /** Versions of a project's plan. A row is never changed. */
  milestone_plans: {
    org_id: 'text',
    project_id: 'uuid',
    version: 'integer',
    id: 'uuid',
    milestones: 'json',
    created_at: 'time',
    updated_at: 'time',
  },
  builds: {
    id: 'uuid',
    org_id: 'text',
    build_number: 'text',
    /** Null without a project, or once it has been deleted, which is no change of the build. */
    project_id: 'uuid',
    platform_id: 'uuid',
    os_version_id: 'uuid',
    image_type_id: 'uuid',
    current_state: 'integer',
    status: 'text',
    retry_count: 'integer',
    plan_version: 'integer',
    milestones: 'json',
    /** How many rows of history there are: the sequence of the newest. */
    attempts: 'integer',
    attempt_started_at: 'time',
    start_time: 'time',
    end_time: 'time',
    /** Whole seconds, for people who read the table. */
    duration_seconds: 'bigint',
    heartbeat_timeout_ms: 'bigint',
    /** Moves without `version`. */
    heartbeat_at: 'time',
    packer_manifest: 'json',
    created_by_type: 'text',
    created_by: 'text',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  build_states: {
    org_id: 'text',
    build_id: 'uuid',
    sequence: 'integer',
    id: 'uuid',
    state: 'integer',
    status: 'text',
    start_time: 'time',
    end_time: 'time',
    duration_seconds: 'bigint',
    /** What percentiles are of: here, so that they are read off an index. */
    duration_ms: 'bigint',
    error_message: 'text',
    retry_count: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  build_failures: {
    id: 'uuid',
    org_id: 'text',
    build_id: 'uuid',
    state: 'integer',
    failure_type: 'text',
    error_message: 'text',
    error_details: 'json',
    component: 'text',
    retry_attempt: 'integer',
    resolved: 'boolean',
    resolution_notes: 'text',
    resolved_at: 'time',
    created_at: 'time',
    updated_at: 'time',
  },
  repos: {
    id: 'uuid',
    org_id: 'text',
    provider: 'text',
    full_name: 'text',
    name_key: 'text',
    default_branch: 'text',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  apps: {
    id: 'uuid',
    org_id: 'text',
    project_id: 'uuid',
    repo_id: 'uuid',
    name: 'text',
    entrypoint: 'text',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  project_environments: {
    id: 'uuid',
    org_id: 'text',
    project_id: 'uuid',
    repo_id: 'uuid',
    environment: 'text',
    type: 'text',
    branch: 'text',
    pull_request: 'integer',
    /** The app whose previews drive it. */
    managed_by: 'uuid',
    /** How many rows of history there are: the sequence of the newest. */
    deployment_sequence: 'integer',
    latest_deployment: 'uuid',
    active_deployment: 'uuid',
    active_sequence: 'integer',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  deployments: {
    org_id: 'text',
    project_environment_id: 'uuid',
    sequence: 'integer',
    id: 'uuid',
    status: 'text',
    git_ref: 'text',
    sha: 'text',
    url: 'text',
    description: 'text',
    rollback_of: 'uuid',
    /** The configuration environment as it was: it may have changed, or have been deleted since. */
    configuration_environment_id: 'uuid',
    configuration_version: 'integer',
    configuration_digest: 'text',
    created_by_type: 'text',
    created_by: 'text',
    deadline: 'time',
    started_at: 'time',
    ended_at: 'time',
    created_at: 'time',
    updated_at: 'time',
  },
  /** A preview is its project environment, driven: what both have in common stands in both, so that a list of previews is read from here alone. */
  previews: {
    project_environment_id: 'uuid',
    org_id: 'text',
    app_id: 'uuid',
    project_id: 'uuid',
    repo_id: 'uuid',
    environment: 'text',
    type: 'text',
    status: 'text',
    branch: 'text',
    head_repo: 'text',
    fork: 'boolean',
    approved_sha: 'text',
    waiting_sha: 'text',
    pull_request: 'integer',
    sha: 'text',
    head_sha: 'text',
    url: 'text',
    tests: 'text',
    /** Moves without `version`. */
    comment_id: 'text',
    runtime_id: 'text',
    has_runtime: 'boolean',
    generation: 'integer',
    run: 'uuid',
    report_sequence: 'integer',
    /** Sealed. */
    report_key: 'text',
    pending_type: 'text',
    pending_sha: 'text',
    pending_cause: 'text',
    /** Moves without `version`. */
    tries: 'integer',
    reason: 'text',
    stop_cause: 'text',
    note: 'text',
    deadline: 'time',
    requested_at: 'time',
    version: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  /** One row for each preview that has a runtime: as long as it is there, neither the preview nor anything that the preview belongs to can be deleted. */
  preview_runtimes: {
    project_environment_id: 'uuid',
    org_id: 'text',
    created_at: 'time',
  },
  /** What a worker has to be told, one row for each preview; gone once it was sent. */
  preview_commands: {
    project_environment_id: 'uuid',
    org_id: 'text',
    sequence: 'integer',
    created_at: 'time',
    updated_at: 'time',
  },
  preview_steps: {
    project_environment_id: 'uuid',
    org_id: 'text',
    generation: 'integer',
    step: 'text',
    result: 'text',
    created_at: 'time',
    /** When it was done, the last time. */
    updated_at: 'time',
  },
  webhook_deliveries: {
    org_id: 'text',
    delivery_id: 'text',
    expires_at: 'time',
  },
  app_secrets: {
    org_id: 'text',
    app_id: 'uuid',
    type: 'text',
    name: 'text',
    sealed: 'text',
    seal_version: 'integer',
    created_at: 'time',
    updated_at: 'time',
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
  | 'vivarium_key'
  | 'vivarium_data_key'
  | 'vivarium_type_name'
  | 'vivarium_instance_name'
  | 'vivarium_instance_secret'
  | 'vivarium_platform_name'
  | 'vivarium_os_version_name'
  | 'vivarium_image_type_name'
  | 'vivarium_plan'
  | 'vivarium_plan_project'
  | 'vivarium_build_number'
  | 'vivarium_build_project'
  | 'vivarium_build_platform'
  | 'vivarium_build_os_version'
  | 'vivarium_build_image_type'
  | 'vivarium_repo_name'
  | 'vivarium_app_pair'
  | 'vivarium_app_project'
  | 'vivarium_app_repo'
  | 'vivarium_project_environment_name'
  | 'vivarium_project_environment_project'
  | 'vivarium_project_environment_repo'
  | 'vivarium_project_environment_app'
  | 'vivarium_deployment'
  | 'vivarium_preview_runtime'
  | 'vivarium_app_secret'
  | 'vivarium_app_secret_owner';
