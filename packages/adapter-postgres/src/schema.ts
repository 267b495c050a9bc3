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
  ];
}
