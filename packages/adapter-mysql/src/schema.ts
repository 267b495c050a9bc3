import type { Migration } from '@vivarium/sql';

import { constraintName, tableName } from './dialect.ts';
import type { Flavour } from './dialect.ts';

/** Text that is compared byte by byte, trailing spaces included: `utf8mb4_bin` takes `'acme '` for `'acme'`, and so one tenant for another. */
const collations: Readonly<Record<Flavour, string>> = {
  mysql: 'utf8mb4_0900_bin',
  mariadb: 'utf8mb4_nopad_bin',
};

/** Documents that callers make. MariaDB checks what it calls JSON, and takes none of more than 32 levels. */
const documents: Readonly<Record<Flavour, string>> = {
  mysql: 'JSON',
  mariadb: 'LONGTEXT',
};

const id = 'CHAR(36) CHARACTER SET ascii COLLATE ascii_bin';
const token = 'VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin';
/** One of a few words of ours. */
const word = 'VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin';
/** In UTC. A TIMESTAMP would be moved by time zones, and ends in 2038. */
const time = 'DATETIME(3)';

/**
 * Counts up with every update. A host's pool may be set to report the rows that an update has changed, not those that it has found: with
 * this column, both are the same number.
 */
const updates = 'updates BIGINT UNSIGNED NOT NULL DEFAULT 0';

/** The table that remembers migrations; it must exist before the first. */
export function preparation(prefix: string, flavour: Flavour): string {
  return table(prefix, flavour, 'migrations', [
    'name VARCHAR(100) NOT NULL PRIMARY KEY',
    'breaking BOOLEAN NOT NULL',
    `applied_at ${time} NOT NULL`,
  ]);
}

/**
 * Append-only: what was published is never changed. DDL commits at once here, so each migration changes the schema in one statement, and one that is safe to
 * repeat: a process may die between running it and recording it.
 *
 * Every foreign key refers to a primary key, never to a unique one. Since MySQL 9.6 (unless `innodb_native_foreign_keys` is on), a deletion locks
 * the primary key, looks for children, and only then locks the parent's other indexes; an insert locks the index that its foreign key
 * refers to, and no other. Of a unique key, the insert holds what the deletion has not come to yet: with READ COMMITTED, which locks no gaps, both are
 * done and the child has no parent, whatever ON DELETE says; with REPEATABLE READ they deadlock. Measured on 9.7.4; MariaDB 10.11 locks first and looks then.
 */
export function migrations(prefix: string, flavour: Flavour): readonly Migration[] {
  const name = (constraint: string) => constraintName(prefix, constraint);
  const migration = (
    number: string,
    which: Parameters<typeof tableName>[1],
    definitions: readonly string[],
  ): Migration => ({
    name: `${number}_${which}`,
    breaking: false,
    statements: [table(prefix, flavour, which, definitions)],
  });

  return [
    migration('0001', 'projects', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      'name VARCHAR(100) NOT NULL',
      'name_key VARCHAR(300) NOT NULL',
      'description VARCHAR(500)',
      `parent_project_id ${id}`,
      // No foreign key: here it is checked row by row, and deleting a project with its environments would fail on it.
      `default_environment_id ${id} NOT NULL`,
      'environment_count INT NOT NULL',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('project_name')} (org_id, name_key)`,
      `KEY ${name('project_children')} (parent_project_id, name_key)`,
      `CONSTRAINT ${name('project_parent')} FOREIGN KEY (parent_project_id) REFERENCES ${tableName(prefix, 'projects')} (id)`,
      `CONSTRAINT ${name('project_environments')} CHECK (environment_count >= 1)`,
    ]),

    migration('0002', 'environments', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `project_id ${id} NOT NULL`,
      'name VARCHAR(100) NOT NULL',
      'name_key VARCHAR(300) NOT NULL',
      'description VARCHAR(500)',
      'variables JSON NOT NULL',
      'variable_count INT NOT NULL',
      'variable_bytes INT NOT NULL',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('environment_name')} (project_id, name_key)`,
      `KEY ${name('environment_age')} (project_id, created_at, id)`,
      `CONSTRAINT ${name('environment_project')} FOREIGN KEY (project_id) REFERENCES ${tableName(prefix, 'projects')} (id) ON DELETE CASCADE`,
    ]),

    migration('0003', 'org_trees', [
      'org_id VARCHAR(128) NOT NULL PRIMARY KEY',
      'version INT NOT NULL',
      'growth INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
    ]),

    migration('0004', 'journal', [
      'org_id VARCHAR(128) NOT NULL',
      'stream VARCHAR(128) NOT NULL',
      'sequence INT NOT NULL',
      `id ${id} NOT NULL`,
      'subject_type VARCHAR(128) NOT NULL',
      'subject_id VARCHAR(128) NOT NULL',
      'action VARCHAR(128) NOT NULL',
      'actor_type VARCHAR(128) NOT NULL',
      'actor_id VARCHAR(128) NOT NULL',
      `at ${time} NOT NULL`,
      'data JSON NOT NULL',
      'PRIMARY KEY (org_id, stream, sequence)',
      `KEY ${name('journal_time')} (org_id, at, id)`,
      `KEY ${name('journal_subject')} (org_id, subject_id, at, id)`,
    ]),

    migration('0005', 'journal_queue', [
      'org_id VARCHAR(128) NOT NULL',
      'stream VARCHAR(128) NOT NULL',
      'sequence INT NOT NULL',
      `entry_id ${id} NOT NULL`,
      'lane INT NOT NULL',
      `at ${time} NOT NULL`,
      'attempts INT NOT NULL',
      `due_at ${time} NOT NULL`,
      `parked_at ${time}`,
      'reason VARCHAR(500)',
      updates,
      'PRIMARY KEY (org_id, stream, sequence)',
      `KEY ${name('journal_queue_time')} (org_id, at, entry_id)`,
      `KEY ${name('journal_queue_entry')} (org_id, entry_id)`,
    ]),

    migration('0006', 'journal_lanes', [
      'org_id VARCHAR(128) NOT NULL',
      'lane INT NOT NULL',
      `token ${token} NOT NULL`,
      `lease_until ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (org_id, lane)',
    ]),

    migration('0007', 'idempotency_keys', [
      'org_id VARCHAR(128) NOT NULL',
      `key_id ${token} NOT NULL`,
      `fingerprint ${token} NOT NULL`,
      'result JSON NOT NULL',
      `expires_at ${time} NOT NULL`,
      'PRIMARY KEY (org_id, key_id)',
      `KEY ${name('key_expiry')} (org_id, expires_at)`,
    ]),

    migration('0008', 'data_keys', [
      'org_id VARCHAR(128) NOT NULL',
      `scope_type ${word} NOT NULL`,
      `scope_id ${id} NOT NULL`,
      'generation INT NOT NULL',
      `id ${id} NOT NULL`,
      'wrapped TEXT NOT NULL',
      'wrapped_by TEXT NOT NULL',
      `commitment ${token} NOT NULL`,
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (org_id, scope_type, scope_id, generation)',
      `UNIQUE KEY ${name('data_key_id')} (org_id, id)`,
    ]),

    migration('0009', 'ephemeral_environment_types', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      'name VARCHAR(100) NOT NULL',
      'name_key VARCHAR(300) NOT NULL',
      'live_name_key VARCHAR(300)',
      'description VARCHAR(500)',
      `state ${word} NOT NULL`,
      'max_number_of_instances INT',
      'live_count INT NOT NULL',
      'ttl_ms BIGINT',
      'max_ttl_ms BIGINT',
      'sleep_after_ms BIGINT',
      'change_timeout_ms BIGINT NOT NULL',
      'created_by_type VARCHAR(128) NOT NULL',
      'created_by VARCHAR(128) NOT NULL',
      'last_modified_by_type VARCHAR(128) NOT NULL',
      'last_modified_by VARCHAR(128) NOT NULL',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('type_name')} (org_id, live_name_key)`,
      `CONSTRAINT ${name('type_instances')} CHECK (live_count >= 0)`,
    ]),

    migration('0010', 'state_change_actions', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `environment_type_id ${id} NOT NULL`,
      `state_change_type ${word} NOT NULL`,
      'project_id VARCHAR(255)',
      'branch VARCHAR(255)',
      'pipeline_yaml_name VARCHAR(255) NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      `UNIQUE KEY ${name('action_kind')} (environment_type_id, state_change_type)`,
      `CONSTRAINT ${name('action_type')} FOREIGN KEY (environment_type_id) REFERENCES ${tableName(prefix, 'ephemeral_environment_types')} (id) ON DELETE CASCADE`,
    ]),

    migration('0011', 'ephemeral_environment_instances', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `environment_type_id ${id} NOT NULL`,
      'name VARCHAR(100) NOT NULL',
      'name_key VARCHAR(300) NOT NULL',
      'live_name_key VARCHAR(300)',
      `state ${word} NOT NULL`,
      `pending_change_id ${id}`,
      'change_sequence INT NOT NULL',
      `slept_from ${word}`,
      `expires_at ${time}`,
      `last_active_at ${time} NOT NULL`,
      'sweep_failures INT NOT NULL',
      `sweep_after ${time}`,
      'needs_attention INT NOT NULL',
      'note VARCHAR(500)',
      `ended_at ${time}`,
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('instance_name')} (environment_type_id, live_name_key)`,
      `KEY ${name('instance_list')} (environment_type_id, name_key, id)`,
      `KEY ${name('instance_state')} (environment_type_id, state, name_key, id)`,
      `KEY ${name('instance_due')} (org_id, ended_at, id)`,
      `CONSTRAINT ${name('instance_type')} FOREIGN KEY (environment_type_id) REFERENCES ${tableName(prefix, 'ephemeral_environment_types')} (id)`,
    ]),

    migration('0012', 'instance_state_changes', [
      'org_id VARCHAR(128) NOT NULL',
      `instance_id ${id} NOT NULL`,
      'sequence INT NOT NULL',
      `id ${id} NOT NULL`,
      `environment_type_id ${id} NOT NULL`,
      `state_change_type ${word} NOT NULL`,
      `prev_state ${word} NOT NULL`,
      `next_state ${word}`,
      `state_change_action_id ${id} NOT NULL`,
      'project_id VARCHAR(255)',
      'branch VARCHAR(255)',
      'pipeline_yaml_name VARCHAR(255) NOT NULL',
      'parameters JSON NOT NULL',
      `result ${word} NOT NULL`,
      'reason VARCHAR(1000)',
      `trigger_type ${word} NOT NULL`,
      'trigger_id VARCHAR(128) NOT NULL',
      'token_hashes VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL',
      `accepted_at ${time}`,
      'execution_ppl_id VARCHAR(255)',
      'execution_id VARCHAR(255)',
      `deadline ${time} NOT NULL`,
      `ended_at ${time}`,
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (instance_id, sequence)',
      `UNIQUE KEY ${name('state_change_id')} (id)`,
      `CONSTRAINT ${name('state_change_instance')} FOREIGN KEY (instance_id) REFERENCES ${tableName(prefix, 'ephemeral_environment_instances')} (id) ON DELETE CASCADE`,
    ]),

    migration('0013', 'ephemeral_secret_definitions', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `environment_type_id ${id} NOT NULL`,
      'name VARCHAR(256) NOT NULL',
      'description VARCHAR(500)',
      'actions_that_can_change_the_secret JSON NOT NULL',
      'actions_that_have_access_to_the_secret JSON NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      `UNIQUE KEY ${name('secret_name')} (environment_type_id, name)`,
      `CONSTRAINT ${name('secret_type')} FOREIGN KEY (environment_type_id) REFERENCES ${tableName(prefix, 'ephemeral_environment_types')} (id) ON DELETE CASCADE`,
    ]),

    migration('0014', 'ephemeral_secret_instances', [
      'org_id VARCHAR(128) NOT NULL',
      `instance_id ${id} NOT NULL`,
      'name VARCHAR(256) NOT NULL',
      // Sealed, 64 KiB have become more than TEXT holds.
      'value MEDIUMTEXT NOT NULL',
      'seal_version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (instance_id, name)',
      `CONSTRAINT ${name('instance_secret_owner')} FOREIGN KEY (instance_id) REFERENCES ${tableName(prefix, 'ephemeral_environment_instances')} (id) ON DELETE CASCADE`,
    ]),

    migration('0015', 'platforms', [
      'org_id VARCHAR(128) NOT NULL',
      `id ${id} NOT NULL`,
      'name VARCHAR(100) NOT NULL',
      'name_key VARCHAR(300) NOT NULL',
      'display_name VARCHAR(100) NOT NULL',
      'cloud_provider VARCHAR(100) NOT NULL',
      'region VARCHAR(100)',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (org_id, id)',
      `UNIQUE KEY ${name('platform_name')} (org_id, name_key)`,
    ]),

    migration('0016', 'os_versions', [
      'org_id VARCHAR(128) NOT NULL',
      `id ${id} NOT NULL`,
      'name VARCHAR(100) NOT NULL',
      'name_key VARCHAR(300) NOT NULL',
      'display_name VARCHAR(100) NOT NULL',
      'os_family VARCHAR(100) NOT NULL',
      'major_version INT NOT NULL',
      'minor_version INT',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (org_id, id)',
      `UNIQUE KEY ${name('os_version_name')} (org_id, name_key)`,
    ]),

    migration('0017', 'image_types', [
      'org_id VARCHAR(128) NOT NULL',
      `id ${id} NOT NULL`,
      'name VARCHAR(100) NOT NULL',
      'name_key VARCHAR(300) NOT NULL',
      'display_name VARCHAR(100) NOT NULL',
      'description VARCHAR(500)',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (org_id, id)',
      `UNIQUE KEY ${name('image_type_name')} (org_id, name_key)`,
    ]),

    migration('0018', 'milestone_plans', [
      'org_id VARCHAR(128) NOT NULL',
      `project_id ${id} NOT NULL`,
      'version INT NOT NULL',
      `id ${id} NOT NULL`,
      'milestones JSON NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      'PRIMARY KEY (project_id, version)',
      `CONSTRAINT ${name('plan_project')} FOREIGN KEY (project_id) REFERENCES ${tableName(prefix, 'projects')} (id) ON DELETE CASCADE`,
    ]),

    migration('0019', 'builds', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      'build_number VARCHAR(100) NOT NULL',
      `project_id ${id}`,
      `platform_id ${id} NOT NULL`,
      `os_version_id ${id} NOT NULL`,
      `image_type_id ${id} NOT NULL`,
      'current_state INT NOT NULL',
      `status ${word} NOT NULL`,
      'retry_count INT NOT NULL',
      'plan_version INT NOT NULL',
      'milestones JSON NOT NULL',
      'attempts INT NOT NULL',
      `attempt_started_at ${time}`,
      `start_time ${time}`,
      `end_time ${time}`,
      'duration_seconds BIGINT',
      'heartbeat_timeout_ms BIGINT NOT NULL',
      `heartbeat_at ${time}`,
      `packer_manifest ${documents[flavour]}`,
      'created_by_type VARCHAR(128) NOT NULL',
      'created_by VARCHAR(128) NOT NULL',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('build_number')} (org_id, build_number)`,
      `KEY ${name('build_time')} (org_id, created_at, id)`,
      `KEY ${name('build_status')} (org_id, status, created_at, id)`,
      `KEY ${name('build_of_project')} (project_id, created_at, id)`,
      `KEY ${name('build_of_project_status')} (project_id, status, created_at, id)`,
      `KEY ${name('build_of_platform')} (org_id, platform_id, created_at, id)`,
      `KEY ${name('build_of_os_version')} (org_id, os_version_id, created_at, id)`,
      `KEY ${name('build_of_image_type')} (org_id, image_type_id, created_at, id)`,
      `KEY ${name('build_due')} (org_id, status, id)`,
      `CONSTRAINT ${name('build_project')} FOREIGN KEY (project_id) REFERENCES ${tableName(prefix, 'projects')} (id) ON DELETE SET NULL`,
      `CONSTRAINT ${name('build_platform')} FOREIGN KEY (org_id, platform_id) REFERENCES ${tableName(prefix, 'platforms')} (org_id, id)`,
      `CONSTRAINT ${name('build_os_version')} FOREIGN KEY (org_id, os_version_id) REFERENCES ${tableName(prefix, 'os_versions')} (org_id, id)`,
      `CONSTRAINT ${name('build_image_type')} FOREIGN KEY (org_id, image_type_id) REFERENCES ${tableName(prefix, 'image_types')} (org_id, id)`,
      `CONSTRAINT ${name('build_current_state')} CHECK (current_state BETWEEN 0 AND 100)`,
    ]),

    migration('0020', 'build_states', [
      'org_id VARCHAR(128) NOT NULL',
      `build_id ${id} NOT NULL`,
      'sequence INT NOT NULL',
      `id ${id} NOT NULL`,
      'state INT NOT NULL',
      `status ${word} NOT NULL`,
      `start_time ${time} NOT NULL`,
      `end_time ${time}`,
      'duration_seconds BIGINT',
      'duration_ms BIGINT',
      'error_message VARCHAR(2000)',
      'retry_count INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (build_id, sequence)',
      `KEY ${name('build_state_figures')} (org_id, state, status, duration_seconds, duration_ms)`,
      `CONSTRAINT ${name('build_state_owner')} FOREIGN KEY (build_id) REFERENCES ${tableName(prefix, 'builds')} (id) ON DELETE CASCADE`,
    ]),

    migration('0021', 'build_failures', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `build_id ${id} NOT NULL`,
      'state INT NOT NULL',
      'failure_type VARCHAR(100) NOT NULL',
      'error_message VARCHAR(2000) NOT NULL',
      `error_details ${documents[flavour]}`,
      'component VARCHAR(100)',
      'retry_attempt INT NOT NULL',
      'resolved BOOLEAN NOT NULL',
      'resolution_notes VARCHAR(2000)',
      `resolved_at ${time}`,
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `KEY ${name('build_failure_of_build')} (build_id, created_at, id)`,
      `KEY ${name('build_failure_time')} (org_id, created_at, id)`,
      `KEY ${name('build_failure_resolved')} (org_id, resolved, created_at, id)`,
      `KEY ${name('build_failure_type')} (org_id, failure_type, created_at, id)`,
      `KEY ${name('build_failure_component')} (org_id, component, created_at, id)`,
      `CONSTRAINT ${name('build_failure_owner')} FOREIGN KEY (build_id) REFERENCES ${tableName(prefix, 'builds')} (id) ON DELETE CASCADE`,
    ]),

    migration('0022', 'repos', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      'provider VARCHAR(32) NOT NULL',
      'full_name VARCHAR(1000) NOT NULL',
      // Nothing but ASCII stands in the name of a repository. Any other character set would make more of it than an index takes.
      'name_key VARCHAR(1000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL',
      'default_branch VARCHAR(255) NOT NULL',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('repo_name')} (org_id, provider, name_key)`,
    ]),

    migration('0023', 'apps', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `project_id ${id} NOT NULL`,
      `repo_id ${id} NOT NULL`,
      'name VARCHAR(100) NOT NULL',
      'entrypoint VARCHAR(255)',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('app_pair')} (project_id, repo_id)`,
      `KEY ${name('app_list')} (org_id, name, id)`,
      `KEY ${name('app_of_project')} (project_id, name, id)`,
      `KEY ${name('app_of_repo')} (repo_id, name, id)`,
      `CONSTRAINT ${name('app_project')} FOREIGN KEY (project_id) REFERENCES ${tableName(prefix, 'projects')} (id) ON DELETE CASCADE`,
      `CONSTRAINT ${name('app_repo')} FOREIGN KEY (repo_id) REFERENCES ${tableName(prefix, 'repos')} (id) ON DELETE CASCADE`,
    ]),

    migration('0024', 'project_environments', [
      `id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `project_id ${id} NOT NULL`,
      `repo_id ${id} NOT NULL`,
      'environment VARCHAR(100) NOT NULL',
      `type ${word} NOT NULL`,
      'branch VARCHAR(255)',
      'pull_request INT',
      `managed_by ${id}`,
      'deployment_sequence INT NOT NULL',
      `latest_deployment ${id}`,
      `active_deployment ${id}`,
      'active_sequence INT NOT NULL',
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `UNIQUE KEY ${name('project_environment_name')} (project_id, repo_id, environment)`,
      `KEY ${name('project_environment_list')} (project_id, environment, id)`,
      `KEY ${name('project_environment_type')} (project_id, type, environment, id)`,
      `KEY ${name('project_environment_of_repo')} (repo_id, environment, id)`,
      `KEY ${name('project_environment_repo_type')} (repo_id, type, environment, id)`,
      `KEY ${name('project_environment_branch')} (repo_id, branch, environment, id)`,
      `CONSTRAINT ${name('project_environment_project')} FOREIGN KEY (project_id) REFERENCES ${tableName(prefix, 'projects')} (id) ON DELETE CASCADE`,
      `CONSTRAINT ${name('project_environment_repo')} FOREIGN KEY (repo_id) REFERENCES ${tableName(prefix, 'repos')} (id) ON DELETE CASCADE`,
    ]),

    migration('0025', 'deployments', [
      'org_id VARCHAR(128) NOT NULL',
      `project_environment_id ${id} NOT NULL`,
      'sequence INT NOT NULL',
      `id ${id} NOT NULL`,
      `status ${word} NOT NULL`,
      'git_ref VARCHAR(255) NOT NULL',
      `sha ${token} NOT NULL`,
      'url VARCHAR(2000)',
      'description VARCHAR(500)',
      `rollback_of ${id}`,
      `configuration_environment_id ${id}`,
      'configuration_version INT',
      `configuration_digest ${token}`,
      'created_by_type VARCHAR(128) NOT NULL',
      'created_by VARCHAR(128) NOT NULL',
      `deadline ${time} NOT NULL`,
      `started_at ${time}`,
      `ended_at ${time}`,
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (project_environment_id, sequence)',
      `UNIQUE KEY ${name('deployment_id')} (id)`,
      `KEY ${name('deployment_due')} (org_id, status, id)`,
      `CONSTRAINT ${name('deployment_environment')} FOREIGN KEY (project_environment_id) REFERENCES ${tableName(prefix, 'project_environments')} (id) ON DELETE CASCADE`,
    ]),

    {
      name: '0026_project_environments_of_apps',
      breaking: false,
      statements: unlessThere(
        prefix,
        'project_environments',
        'project_environment_of_app',
        // No foreign key to the app: with one, MySQL 9.7 forgets rows when a project or a repository is deleted, because two cascades come by here. Whoever
        // makes an environment of an app holds the app, and whoever deletes the app has it alone: then its environments are deleted before it.
        `ADD KEY ${name('project_environment_of_app')} (managed_by)`,
      ),
    },

    // With its app it goes by its environment, which the app manages.
    migration('0027', 'previews', [
      `project_environment_id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `app_id ${id} NOT NULL`,
      `project_id ${id} NOT NULL`,
      `repo_id ${id} NOT NULL`,
      'environment VARCHAR(100) NOT NULL',
      `type ${word} NOT NULL`,
      `status ${word} NOT NULL`,
      'branch VARCHAR(255) NOT NULL',
      'head_repo VARCHAR(1000) NOT NULL',
      'fork BOOLEAN NOT NULL',
      `approved_sha ${token}`,
      `waiting_sha ${token}`,
      'pull_request INT',
      `sha ${token} NOT NULL`,
      `head_sha ${token} NOT NULL`,
      'url VARCHAR(2000)',
      `tests ${word}`,
      'comment_id TEXT',
      'runtime_id TEXT',
      'has_runtime BOOLEAN NOT NULL',
      'generation INT NOT NULL',
      `run ${id}`,
      'report_sequence INT NOT NULL',
      'report_key TEXT',
      `pending_type ${word}`,
      `pending_sha ${token}`,
      `pending_cause ${word}`,
      'tries INT NOT NULL',
      'reason VARCHAR(1000)',
      `stop_cause ${word}`,
      'note VARCHAR(1000)',
      `deadline ${time}`,
      `requested_at ${time} NOT NULL`,
      'version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      `KEY ${name('preview_list')} (org_id, app_id, created_at, project_environment_id)`,
      `KEY ${name('preview_status')} (org_id, app_id, status, created_at, project_environment_id)`,
      `KEY ${name('preview_due')} (org_id, deadline)`,
      `KEY ${name('preview_age')} (org_id, type, status, requested_at)`,
      `CONSTRAINT ${name('preview_environment')} FOREIGN KEY (project_environment_id) REFERENCES ${tableName(prefix, 'project_environments')} (id) ON DELETE CASCADE`,
    ]),

    // Nothing that is deleted takes these rows along, and so nothing is deleted that they hang from.
    migration('0028', 'preview_runtimes', [
      `project_environment_id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      `created_at ${time} NOT NULL`,
      `CONSTRAINT ${name('preview_runtime')} FOREIGN KEY (project_environment_id) REFERENCES ${tableName(prefix, 'project_environments')} (id)`,
    ]),

    migration('0029', 'preview_commands', [
      `project_environment_id ${id} NOT NULL PRIMARY KEY`,
      'org_id VARCHAR(128) NOT NULL',
      'sequence INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      `KEY ${name('preview_unsent')} (org_id, project_environment_id)`,
      `CONSTRAINT ${name('preview_command_owner')} FOREIGN KEY (project_environment_id) REFERENCES ${tableName(prefix, 'project_environments')} (id) ON DELETE CASCADE`,
    ]),

    migration('0030', 'preview_steps', [
      `project_environment_id ${id} NOT NULL`,
      'org_id VARCHAR(128) NOT NULL',
      'generation INT NOT NULL',
      `step ${word} NOT NULL`,
      'result TEXT',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      'PRIMARY KEY (project_environment_id, generation, step)',
      `CONSTRAINT ${name('preview_step_owner')} FOREIGN KEY (project_environment_id) REFERENCES ${tableName(prefix, 'project_environments')} (id) ON DELETE CASCADE`,
    ]),

    migration('0031', 'webhook_deliveries', [
      'org_id VARCHAR(128) NOT NULL',
      'delivery_id VARCHAR(255) NOT NULL',
      `expires_at ${time} NOT NULL`,
      'PRIMARY KEY (org_id, delivery_id)',
      `KEY ${name('webhook_expiry')} (org_id, expires_at)`,
    ]),

    migration('0032', 'app_secrets', [
      'org_id VARCHAR(128) NOT NULL',
      `app_id ${id} NOT NULL`,
      `type ${word} NOT NULL`,
      'name VARCHAR(256) NOT NULL',
      // Sealed, 64 KiB have become more than TEXT holds.
      'sealed MEDIUMTEXT NOT NULL',
      'seal_version INT NOT NULL',
      `created_at ${time} NOT NULL`,
      `updated_at ${time} NOT NULL`,
      updates,
      'PRIMARY KEY (app_id, type, name)',
      `CONSTRAINT ${name('app_secret_owner')} FOREIGN KEY (app_id) REFERENCES ${tableName(prefix, 'apps')} (id) ON DELETE CASCADE`,
    ]),
  ];
}

/**
 * An ALTER that is safe to repeat: run only where the key that it adds is not there. MySQL cannot say IF NOT EXISTS in it, nor choose between statements outside
 * of a procedure, except like this.
 */
function unlessThere(
  prefix: string,
  which: Parameters<typeof tableName>[1],
  key: string,
  alteration: string,
): readonly string[] {
  const bare = (quoted: string) => quoted.replaceAll('`', '');
  const there = `SELECT COUNT(*) FROM information_schema.STATISTICS
  WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '${bare(tableName(prefix, which))}' AND INDEX_NAME = '${bare(constraintName(prefix, key))}'`;
  return [
    `SET @vivarium_alter = IF((${there}) = 0, 'ALTER TABLE ${tableName(prefix, which)} ${alteration}', 'DO 0')`,
    'PREPARE vivarium_alter FROM @vivarium_alter',
    'EXECUTE vivarium_alter',
    'DEALLOCATE PREPARE vivarium_alter',
  ];
}

/** Everything about the table is said: what a server or a database has as its own default is anybody's guess. */
function table(
  prefix: string,
  flavour: Flavour,
  name: Parameters<typeof tableName>[1],
  definitions: readonly string[],
): string {
  return `CREATE TABLE IF NOT EXISTS ${tableName(prefix, name)} (
  ${definitions.join(',\n  ')}
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC CHARACTER SET utf8mb4 COLLATE ${collations[flavour]}`;
}
