import type { Migration } from '@vivarium/sql';

import { quoted } from './dialect.ts';

/** What must exist before the first migration: the schema, if it is not there, and the table that remembers migrations. */
export function preparation(schema: string): readonly string[] {
  return [
    // CREATE SCHEMA IF NOT EXISTS asks for the right to create one even where it exists.
    `DO $vivarium$ BEGIN
  IF to_regnamespace('${quoted(schema).replaceAll("'", "''")}') IS NULL THEN CREATE SCHEMA ${quoted(schema)}; END IF;
END $vivarium$`,
    `CREATE TABLE IF NOT EXISTS ${migrationsTable(schema)} (
  name text COLLATE "C" CONSTRAINT vivarium_migration PRIMARY KEY,
  breaking boolean NOT NULL,
  applied_at timestamptz(3) NOT NULL DEFAULT now()
)`,
  ];
}

export function migrationsTable(schema: string): string {
  return `${quoted(schema)}.vivarium_migrations`;
}

/** Append-only: what was published is never changed. */
export function migrations(schema: string): readonly Migration[] {
  const table = (name: string) => `${quoted(schema)}.${name}`;
  return [
    {
      name: '0001_projects_environments_journal',
      breaking: false,
      statements: [
        `CREATE TABLE ${table('projects')} (
  id uuid CONSTRAINT vivarium_project PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  name varchar(100) NOT NULL,
  name_key varchar(300) COLLATE "C" NOT NULL,
  description varchar(500),
  parent_project_id uuid CONSTRAINT vivarium_project_parent REFERENCES ${table('projects')} (id),
  default_environment_id uuid NOT NULL,
  environment_count integer NOT NULL CONSTRAINT vivarium_project_environments CHECK (environment_count >= 1),
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_project_name UNIQUE (org_id, name_key)
)`,
        `CREATE INDEX vivarium_project_children ON ${table('projects')} (parent_project_id)`,

        `CREATE TABLE ${table('environments')} (
  id uuid CONSTRAINT vivarium_environment PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  project_id uuid NOT NULL CONSTRAINT vivarium_environment_project REFERENCES ${table('projects')} (id) ON DELETE CASCADE,
  name varchar(100) NOT NULL,
  name_key varchar(300) COLLATE "C" NOT NULL,
  description varchar(500),
  variables jsonb NOT NULL,
  variable_count integer NOT NULL,
  variable_bytes integer NOT NULL,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_environment_name UNIQUE (project_id, name_key),
  CONSTRAINT vivarium_environment_of_project UNIQUE (project_id, id)
)`,
        // The default exists and is one of the project's own. Looked at when a statement ends, by when it has made both rows, or removed both.
        `ALTER TABLE ${table('projects')} ADD CONSTRAINT vivarium_project_default
  FOREIGN KEY (id, default_environment_id) REFERENCES ${table('environments')} (project_id, id)`,

        `CREATE TABLE ${table('org_trees')} (
  org_id text COLLATE "C" CONSTRAINT vivarium_org_tree PRIMARY KEY,
  version integer NOT NULL,
  growth integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL
)`,

        `CREATE TABLE ${table('journal')} (
  org_id text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  sequence integer NOT NULL,
  id uuid NOT NULL,
  subject_type text COLLATE "C" NOT NULL,
  subject_id text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  actor_type text COLLATE "C" NOT NULL,
  actor_id text COLLATE "C" NOT NULL,
  at timestamptz(3) NOT NULL,
  data jsonb NOT NULL,
  CONSTRAINT vivarium_journal PRIMARY KEY (org_id, stream, sequence)
)`,
        `CREATE INDEX vivarium_journal_time ON ${table('journal')} (org_id, at, id)`,
        `CREATE INDEX vivarium_journal_subject ON ${table('journal')} (org_id, subject_id, at, id)`,

        `CREATE TABLE ${table('journal_queue')} (
  org_id text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  sequence integer NOT NULL,
  entry_id uuid NOT NULL,
  lane integer NOT NULL,
  at timestamptz(3) NOT NULL,
  attempts integer NOT NULL,
  due_at timestamptz(3) NOT NULL,
  parked_at timestamptz(3),
  reason text,
  CONSTRAINT vivarium_journal_queue PRIMARY KEY (org_id, stream, sequence)
)`,
        `CREATE INDEX vivarium_journal_queue_time ON ${table('journal_queue')} (org_id, at, entry_id)`,
        `CREATE INDEX vivarium_journal_parked ON ${table('journal_queue')} (org_id, entry_id) WHERE parked_at IS NOT NULL`,

        `CREATE TABLE ${table('journal_lanes')} (
  org_id text COLLATE "C" NOT NULL,
  lane integer NOT NULL,
  token text COLLATE "C" NOT NULL,
  lease_until timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_journal_lane PRIMARY KEY (org_id, lane)
)`,

        `CREATE TABLE ${table('idempotency_keys')} (
  org_id text COLLATE "C" NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  fingerprint text NOT NULL,
  result jsonb NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_key PRIMARY KEY (org_id, key_id)
)`,
        `CREATE INDEX vivarium_key_expiry ON ${table('idempotency_keys')} (org_id, expires_at)`,
      ],
    },
    {
      name: '0002_data_keys_ephemeral_environments',
      breaking: false,
      statements: [
        `CREATE TABLE ${table('data_keys')} (
  org_id text COLLATE "C" NOT NULL,
  scope_type text COLLATE "C" NOT NULL,
  scope_id uuid NOT NULL,
  generation integer NOT NULL,
  id uuid NOT NULL,
  wrapped text NOT NULL,
  wrapped_by text NOT NULL,
  commitment text NOT NULL,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_data_key PRIMARY KEY (org_id, scope_type, scope_id, generation),
  CONSTRAINT vivarium_data_key_id UNIQUE (org_id, id)
)`,

        `CREATE TABLE ${table('ephemeral_environment_types')} (
  id uuid CONSTRAINT vivarium_type PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  name varchar(100) NOT NULL,
  name_key varchar(300) COLLATE "C" NOT NULL,
  live_name_key varchar(300) COLLATE "C",
  description varchar(500),
  state text COLLATE "C" NOT NULL,
  max_number_of_instances integer,
  live_count integer NOT NULL CONSTRAINT vivarium_type_instances CHECK (live_count >= 0),
  ttl_ms bigint,
  max_ttl_ms bigint,
  sleep_after_ms bigint,
  change_timeout_ms bigint NOT NULL,
  created_by_type text NOT NULL,
  created_by text NOT NULL,
  last_modified_by_type text NOT NULL,
  last_modified_by text NOT NULL,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_type_name UNIQUE (org_id, live_name_key)
)`,

        `CREATE TABLE ${table('state_change_actions')} (
  id uuid CONSTRAINT vivarium_action PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  environment_type_id uuid NOT NULL
    CONSTRAINT vivarium_action_type REFERENCES ${table('ephemeral_environment_types')} (id) ON DELETE CASCADE,
  state_change_type text COLLATE "C" NOT NULL,
  project_id text,
  branch text,
  pipeline_yaml_name text NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_action_kind UNIQUE (environment_type_id, state_change_type)
)`,

        `CREATE TABLE ${table('ephemeral_environment_instances')} (
  id uuid CONSTRAINT vivarium_instance PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  environment_type_id uuid NOT NULL
    CONSTRAINT vivarium_instance_type REFERENCES ${table('ephemeral_environment_types')} (id),
  name varchar(100) NOT NULL,
  name_key varchar(300) COLLATE "C" NOT NULL,
  live_name_key varchar(300) COLLATE "C",
  state text COLLATE "C" NOT NULL,
  pending_change_id uuid,
  change_sequence integer NOT NULL,
  slept_from text COLLATE "C",
  expires_at timestamptz(3),
  last_active_at timestamptz(3) NOT NULL,
  sweep_failures integer NOT NULL,
  sweep_after timestamptz(3),
  needs_attention integer NOT NULL,
  note varchar(500),
  ended_at timestamptz(3),
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_instance_name UNIQUE (environment_type_id, live_name_key)
)`,
        `CREATE INDEX vivarium_instance_list ON ${table('ephemeral_environment_instances')} (environment_type_id, name_key, id)`,
        `CREATE INDEX vivarium_instance_state ON ${table('ephemeral_environment_instances')} (environment_type_id, state, name_key, id)`,
        `CREATE INDEX vivarium_instance_due ON ${table('ephemeral_environment_instances')} (org_id, id) WHERE ended_at IS NULL`,

        `CREATE TABLE ${table('instance_state_changes')} (
  org_id text COLLATE "C" NOT NULL,
  instance_id uuid NOT NULL
    CONSTRAINT vivarium_state_change_instance REFERENCES ${table('ephemeral_environment_instances')} (id) ON DELETE CASCADE,
  sequence integer NOT NULL,
  id uuid NOT NULL CONSTRAINT vivarium_state_change_id UNIQUE,
  environment_type_id uuid NOT NULL,
  state_change_type text COLLATE "C" NOT NULL,
  prev_state text COLLATE "C" NOT NULL,
  next_state text COLLATE "C",
  state_change_action_id uuid NOT NULL,
  project_id text,
  branch text,
  pipeline_yaml_name text NOT NULL,
  parameters jsonb NOT NULL,
  result text COLLATE "C" NOT NULL,
  reason varchar(1000),
  trigger_type text NOT NULL,
  trigger_id text NOT NULL,
  token_hashes text COLLATE "C" NOT NULL,
  accepted_at timestamptz(3),
  execution_ppl_id text,
  execution_id text,
  deadline timestamptz(3) NOT NULL,
  ended_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_state_change PRIMARY KEY (instance_id, sequence)
)`,

        `CREATE TABLE ${table('ephemeral_secret_definitions')} (
  id uuid CONSTRAINT vivarium_secret PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  environment_type_id uuid NOT NULL
    CONSTRAINT vivarium_secret_type REFERENCES ${table('ephemeral_environment_types')} (id) ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  description varchar(500),
  actions_that_can_change_the_secret jsonb NOT NULL,
  actions_that_have_access_to_the_secret jsonb NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_secret_name UNIQUE (environment_type_id, name)
)`,

        `CREATE TABLE ${table('ephemeral_secret_instances')} (
  org_id text COLLATE "C" NOT NULL,
  instance_id uuid NOT NULL
    CONSTRAINT vivarium_instance_secret_owner REFERENCES ${table('ephemeral_environment_instances')} (id) ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  value text NOT NULL,
  seal_version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_instance_secret PRIMARY KEY (instance_id, name)
)`,
        // Whoever ends an instance may have waited for somebody who was writing a secret of it. That secret is too new for the statement that
        // waited, and a trigger sees it.
        `CREATE FUNCTION ${table('forget_secrets')}() RETURNS trigger LANGUAGE plpgsql AS $forget$ BEGIN
  DELETE FROM ${table('ephemeral_secret_instances')} WHERE instance_id = NEW.id;
  RETURN NULL;
END $forget$`,
        `CREATE TRIGGER vivarium_instance_ended AFTER UPDATE OF live_name_key ON ${table('ephemeral_environment_instances')}
  FOR EACH ROW WHEN (NEW.live_name_key IS NULL) EXECUTE FUNCTION ${table('forget_secrets')}()`,
      ],
    },
    {
      name: '0003_builds',
      breaking: false,
      statements: [
        `CREATE TABLE ${table('platforms')} (
  id uuid CONSTRAINT vivarium_platform PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  name varchar(100) NOT NULL,
  name_key varchar(300) COLLATE "C" NOT NULL,
  display_name varchar(100) NOT NULL,
  cloud_provider varchar(100) NOT NULL,
  region varchar(100),
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_platform_name UNIQUE (org_id, name_key),
  CONSTRAINT vivarium_platform_of_org UNIQUE (org_id, id)
)`,
        `CREATE TABLE ${table('os_versions')} (
  id uuid CONSTRAINT vivarium_os_version PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  name varchar(100) NOT NULL,
  name_key varchar(300) COLLATE "C" NOT NULL,
  display_name varchar(100) NOT NULL,
  os_family varchar(100) NOT NULL,
  major_version integer NOT NULL,
  minor_version integer,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_os_version_name UNIQUE (org_id, name_key),
  CONSTRAINT vivarium_os_version_of_org UNIQUE (org_id, id)
)`,
        `CREATE TABLE ${table('image_types')} (
  id uuid CONSTRAINT vivarium_image_type PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  name varchar(100) NOT NULL,
  name_key varchar(300) COLLATE "C" NOT NULL,
  display_name varchar(100) NOT NULL,
  description varchar(500),
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_image_type_name UNIQUE (org_id, name_key),
  CONSTRAINT vivarium_image_type_of_org UNIQUE (org_id, id)
)`,

        `CREATE TABLE ${table('milestone_plans')} (
  org_id text COLLATE "C" NOT NULL,
  project_id uuid NOT NULL CONSTRAINT vivarium_plan_project REFERENCES ${table('projects')} (id) ON DELETE CASCADE,
  version integer NOT NULL,
  id uuid NOT NULL,
  milestones jsonb NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_plan PRIMARY KEY (project_id, version)
)`,

        `CREATE TABLE ${table('builds')} (
  id uuid CONSTRAINT vivarium_build PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  build_number varchar(100) COLLATE "C" NOT NULL,
  project_id uuid CONSTRAINT vivarium_build_project REFERENCES ${table('projects')} (id) ON DELETE SET NULL,
  platform_id uuid NOT NULL,
  os_version_id uuid NOT NULL,
  image_type_id uuid NOT NULL,
  current_state integer NOT NULL CONSTRAINT vivarium_build_current_state CHECK (current_state BETWEEN 0 AND 100),
  status text COLLATE "C" NOT NULL,
  retry_count integer NOT NULL,
  plan_version integer NOT NULL,
  milestones jsonb NOT NULL,
  attempts integer NOT NULL,
  attempt_started_at timestamptz(3),
  start_time timestamptz(3),
  end_time timestamptz(3),
  duration_seconds bigint,
  heartbeat_timeout_ms bigint NOT NULL,
  heartbeat_at timestamptz(3),
  packer_manifest jsonb,
  created_by_type text NOT NULL,
  created_by text NOT NULL,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_build_number UNIQUE (org_id, build_number),
  CONSTRAINT vivarium_build_platform FOREIGN KEY (org_id, platform_id) REFERENCES ${table('platforms')} (org_id, id),
  CONSTRAINT vivarium_build_os_version FOREIGN KEY (org_id, os_version_id) REFERENCES ${table('os_versions')} (org_id, id),
  CONSTRAINT vivarium_build_image_type FOREIGN KEY (org_id, image_type_id) REFERENCES ${table('image_types')} (org_id, id)
)`,
        `CREATE INDEX vivarium_build_time ON ${table('builds')} (org_id, created_at, id)`,
        `CREATE INDEX vivarium_build_status ON ${table('builds')} (org_id, status, created_at, id)`,
        `CREATE INDEX vivarium_build_of_project ON ${table('builds')} (project_id, created_at, id)`,
        `CREATE INDEX vivarium_build_of_project_status ON ${table('builds')} (project_id, status, created_at, id)`,
        `CREATE INDEX vivarium_build_of_platform ON ${table('builds')} (org_id, platform_id, created_at, id)`,
        `CREATE INDEX vivarium_build_of_os_version ON ${table('builds')} (org_id, os_version_id, created_at, id)`,
        `CREATE INDEX vivarium_build_of_image_type ON ${table('builds')} (org_id, image_type_id, created_at, id)`,
        `CREATE INDEX vivarium_build_due ON ${table('builds')} (org_id, id) WHERE status = 'running'`,

        `CREATE TABLE ${table('build_states')} (
  org_id text COLLATE "C" NOT NULL,
  build_id uuid NOT NULL CONSTRAINT vivarium_build_state_owner REFERENCES ${table('builds')} (id) ON DELETE CASCADE,
  sequence integer NOT NULL,
  id uuid NOT NULL,
  state integer NOT NULL,
  status text COLLATE "C" NOT NULL,
  start_time timestamptz(3) NOT NULL,
  end_time timestamptz(3),
  duration_seconds bigint,
  duration_ms bigint,
  error_message varchar(2000),
  retry_count integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_build_state PRIMARY KEY (build_id, sequence)
)`,
        `CREATE INDEX vivarium_build_state_figures ON ${table('build_states')} (org_id, state, status, duration_ms)`,

        `CREATE TABLE ${table('build_failures')} (
  id uuid CONSTRAINT vivarium_build_failure PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  build_id uuid NOT NULL CONSTRAINT vivarium_build_failure_owner REFERENCES ${table('builds')} (id) ON DELETE CASCADE,
  state integer NOT NULL,
  failure_type varchar(100) COLLATE "C" NOT NULL,
  error_message varchar(2000) NOT NULL,
  error_details jsonb,
  component varchar(100) COLLATE "C",
  retry_attempt integer NOT NULL,
  resolved boolean NOT NULL,
  resolution_notes varchar(2000),
  resolved_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL
)`,
        `CREATE INDEX vivarium_build_failure_of_build ON ${table('build_failures')} (build_id, created_at, id)`,
        `CREATE INDEX vivarium_build_failure_time ON ${table('build_failures')} (org_id, created_at, id)`,
        `CREATE INDEX vivarium_build_failure_resolved ON ${table('build_failures')} (org_id, resolved, created_at, id)`,
        `CREATE INDEX vivarium_build_failure_type ON ${table('build_failures')} (org_id, failure_type, created_at, id)`,
        `CREATE INDEX vivarium_build_failure_component ON ${table('build_failures')} (org_id, component, created_at, id)`,
      ],
    },
    {
      name: '0004_deployments',
      breaking: false,
      statements: [
        `CREATE TABLE ${table('repos')} (
  id uuid CONSTRAINT vivarium_repo PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  provider varchar(32) COLLATE "C" NOT NULL,
  full_name varchar(1000) NOT NULL,
  name_key varchar(1000) COLLATE "C" NOT NULL,
  default_branch varchar(255) NOT NULL,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_repo_name UNIQUE (org_id, provider, name_key)
)`,

        `CREATE TABLE ${table('apps')} (
  id uuid CONSTRAINT vivarium_app PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  project_id uuid NOT NULL CONSTRAINT vivarium_app_project REFERENCES ${table('projects')} (id) ON DELETE CASCADE,
  repo_id uuid NOT NULL CONSTRAINT vivarium_app_repo REFERENCES ${table('repos')} (id) ON DELETE CASCADE,
  name varchar(100) COLLATE "C" NOT NULL,
  entrypoint varchar(255),
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_app_pair UNIQUE (project_id, repo_id)
)`,
        `CREATE INDEX vivarium_app_list ON ${table('apps')} (org_id, name, id)`,
        `CREATE INDEX vivarium_app_of_project ON ${table('apps')} (project_id, name, id)`,
        `CREATE INDEX vivarium_app_of_repo ON ${table('apps')} (repo_id, name, id)`,

        `CREATE TABLE ${table('project_environments')} (
  id uuid CONSTRAINT vivarium_project_environment PRIMARY KEY,
  org_id text COLLATE "C" NOT NULL,
  project_id uuid NOT NULL
    CONSTRAINT vivarium_project_environment_project REFERENCES ${table('projects')} (id) ON DELETE CASCADE,
  repo_id uuid NOT NULL CONSTRAINT vivarium_project_environment_repo REFERENCES ${table('repos')} (id) ON DELETE CASCADE,
  environment varchar(100) COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  branch varchar(255) COLLATE "C",
  pull_request integer,
  managed_by uuid,
  deployment_sequence integer NOT NULL,
  latest_deployment uuid,
  active_deployment uuid,
  active_sequence integer NOT NULL,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_project_environment_name UNIQUE (project_id, repo_id, environment)
)`,
        `CREATE INDEX vivarium_project_environment_list ON ${table('project_environments')} (project_id, environment, id)`,
        `CREATE INDEX vivarium_project_environment_type ON ${table('project_environments')} (project_id, type, environment, id)`,
        `CREATE INDEX vivarium_project_environment_of_repo ON ${table('project_environments')} (repo_id, environment, id)`,
        `CREATE INDEX vivarium_project_environment_repo_type ON ${table('project_environments')} (repo_id, type, environment, id)`,
        `CREATE INDEX vivarium_project_environment_branch ON ${table('project_environments')} (repo_id, branch, environment, id)`,

        `CREATE TABLE ${table('deployments')} (
  org_id text COLLATE "C" NOT NULL,
  project_environment_id uuid NOT NULL
    CONSTRAINT vivarium_deployment_environment REFERENCES ${table('project_environments')} (id) ON DELETE CASCADE,
  sequence integer NOT NULL,
  id uuid NOT NULL CONSTRAINT vivarium_deployment_id UNIQUE,
  status text COLLATE "C" NOT NULL,
  git_ref varchar(255) NOT NULL,
  sha varchar(64) COLLATE "C" NOT NULL,
  url varchar(2000),
  description varchar(500),
  rollback_of uuid,
  configuration_environment_id uuid,
  configuration_version integer,
  configuration_digest text COLLATE "C",
  created_by_type text NOT NULL,
  created_by text NOT NULL,
  deadline timestamptz(3) NOT NULL,
  started_at timestamptz(3),
  ended_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_deployment PRIMARY KEY (project_environment_id, sequence)
)`,
        `CREATE INDEX vivarium_deployment_due ON ${table('deployments')} (org_id, id) WHERE status IN ('created', 'running')`,
      ],
    },
    {
      name: '0005_previews',
      breaking: false,
      statements: [
        `ALTER TABLE ${table('project_environments')} ADD CONSTRAINT vivarium_project_environment_app
  FOREIGN KEY (managed_by) REFERENCES ${table('apps')} (id) ON DELETE CASCADE`,
        `CREATE INDEX vivarium_project_environment_of_app ON ${table('project_environments')} (managed_by)
  WHERE managed_by IS NOT NULL`,

        // With its app it goes by its environment, which the app manages: another way there would be another order of locks.
        `CREATE TABLE ${table('previews')} (
  project_environment_id uuid CONSTRAINT vivarium_preview PRIMARY KEY
    CONSTRAINT vivarium_preview_environment REFERENCES ${table('project_environments')} (id) ON DELETE CASCADE,
  org_id text COLLATE "C" NOT NULL,
  app_id uuid NOT NULL,
  project_id uuid NOT NULL,
  repo_id uuid NOT NULL,
  environment varchar(100) COLLATE "C" NOT NULL,
  type text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  branch varchar(255) COLLATE "C" NOT NULL,
  head_repo varchar(1000) NOT NULL,
  fork boolean NOT NULL,
  approved_sha varchar(64) COLLATE "C",
  waiting_sha varchar(64) COLLATE "C",
  pull_request integer,
  sha varchar(64) COLLATE "C" NOT NULL,
  head_sha varchar(64) COLLATE "C" NOT NULL,
  url varchar(2000),
  tests text COLLATE "C",
  comment_id text,
  runtime_id text,
  has_runtime boolean NOT NULL,
  generation integer NOT NULL,
  run uuid,
  report_sequence integer NOT NULL,
  report_key text,
  pending_type text COLLATE "C",
  pending_sha varchar(64) COLLATE "C",
  pending_cause text COLLATE "C",
  tries integer NOT NULL,
  reason varchar(1000),
  stop_cause text COLLATE "C",
  note varchar(1000),
  deadline timestamptz(3),
  requested_at timestamptz(3) NOT NULL,
  version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL
)`,
        `CREATE INDEX vivarium_preview_list ON ${table('previews')} (org_id, app_id, created_at, project_environment_id)`,
        `CREATE INDEX vivarium_preview_status ON ${table('previews')} (org_id, app_id, status, created_at, project_environment_id)`,
        `CREATE INDEX vivarium_preview_due ON ${table('previews')} (org_id, deadline) WHERE deadline IS NOT NULL`,
        `CREATE INDEX vivarium_preview_age ON ${table('previews')} (org_id, requested_at)
  WHERE type = 'preview' AND status IN ('initializing', 'deploying', 'running_tests', 'running', 'error', 'stop_error')`,

        // Nothing that is deleted takes these rows along, and so nothing is deleted that they hang from.
        `CREATE TABLE ${table('preview_runtimes')} (
  project_environment_id uuid CONSTRAINT vivarium_preview_with_runtime PRIMARY KEY
    CONSTRAINT vivarium_preview_runtime REFERENCES ${table('project_environments')} (id),
  org_id text COLLATE "C" NOT NULL,
  created_at timestamptz(3) NOT NULL
)`,

        `CREATE TABLE ${table('preview_commands')} (
  project_environment_id uuid CONSTRAINT vivarium_preview_command PRIMARY KEY
    CONSTRAINT vivarium_preview_command_owner REFERENCES ${table('project_environments')} (id) ON DELETE CASCADE,
  org_id text COLLATE "C" NOT NULL,
  sequence integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL
)`,
        `CREATE INDEX vivarium_preview_unsent ON ${table('preview_commands')} (org_id, project_environment_id)`,

        `CREATE TABLE ${table('preview_steps')} (
  project_environment_id uuid NOT NULL
    CONSTRAINT vivarium_preview_step_owner REFERENCES ${table('project_environments')} (id) ON DELETE CASCADE,
  org_id text COLLATE "C" NOT NULL,
  generation integer NOT NULL,
  step text COLLATE "C" NOT NULL,
  result text,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_preview_step PRIMARY KEY (project_environment_id, generation, step)
)`,

        `CREATE TABLE ${table('webhook_deliveries')} (
  org_id text COLLATE "C" NOT NULL,
  delivery_id varchar(255) COLLATE "C" NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_webhook_delivery PRIMARY KEY (org_id, delivery_id)
)`,
        `CREATE INDEX vivarium_webhook_expiry ON ${table('webhook_deliveries')} (org_id, expires_at)`,

        `CREATE TABLE ${table('app_secrets')} (
  org_id text COLLATE "C" NOT NULL,
  app_id uuid NOT NULL CONSTRAINT vivarium_app_secret_owner REFERENCES ${table('apps')} (id) ON DELETE CASCADE,
  type text COLLATE "C" NOT NULL,
  name varchar(256) COLLATE "C" NOT NULL,
  sealed text NOT NULL,
  seal_version integer NOT NULL,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT vivarium_app_secret PRIMARY KEY (app_id, type, name)
)`,
      ],
    },
  ];
}
