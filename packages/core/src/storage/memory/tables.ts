import type { CatalogKind, StoredEntry } from '../../builds/catalog-model.ts';
import type { BuildFailure, StoredBuild, StoredBuildState, StoredPlan } from '../../builds/model.ts';
import type { App, Deployment, StoredProjectEnvironment, StoredRepo } from '../../deployments/model.ts';
import { encodeVariables } from '../../environments/model.ts';
import type { StoredEnvironment } from '../../environments/model.ts';
import type { StoredChange, StoredInstance, StoredSecret, StoredType } from '../../ephemeral/model.ts';
import type { JournalEntry } from '../../journal/model.ts';
import type { KeyRecord } from '../../kernel/idempotency.ts';
import type { StoredDataKey } from '../../keys/model.ts';
import type { PreviewStep, QueueMessage, StoredPreview } from '../../previews/model.ts';
import type { StoredAppSecret } from '../../previews/repository.ts';
import type { StoredProject } from '../../projects/model.ts';

/** An entry that waits for delivery, or was parked. */
export interface QueuedEntry {
  readonly entry: JournalEntry;
  readonly lane: number;
  readonly attempts: number;
  /** Not to be delivered before this time. */
  readonly dueAt: number;
  readonly parked: { readonly at: Date; readonly reason: string } | null;
}

/** Who holds a lane of the journal, and until when (milliseconds since 1970). */
export interface LaneLease {
  readonly token: string;
  readonly until: number;
}

/** An environment as a row: its variables are a document of JSON, as in every database, and may have been written by another tool. */
export interface EnvironmentRow extends Omit<StoredEnvironment, 'variables'> {
  readonly variables: string;
}

/** What is stored for one org. Orgs share nothing, so that nothing can be read across them. */
export interface OrgTables {
  treeVersion: number;
  treeGrowth: number;
  readonly projects: Map<string, StoredProject>;
  readonly environments: Map<string, EnvironmentRow>;
  readonly journal: JournalEntry[];
  readonly queue: Map<string, QueuedEntry>;
  readonly leases: Map<number, LaneLease>;
  readonly keys: Map<string, KeyRecord>;
  readonly dataKeys: Map<string, StoredDataKey>;
  readonly types: Map<string, StoredType>;
  readonly instances: Map<string, StoredInstance>;
  readonly stateChanges: Map<string, StoredChange>;
  readonly secrets: Map<string, StoredSecret>;
  readonly catalog: Readonly<Record<CatalogKind, Map<string, StoredEntry>>>;
  /** In the order of their versions, by project. */
  readonly plans: Map<string, readonly StoredPlan[]>;
  readonly builds: Map<string, StoredBuild>;
  /** By build, in their order. */
  readonly buildStates: Map<string, readonly StoredBuildState[]>;
  readonly buildFailures: Map<string, BuildFailure>;
  readonly repos: Map<string, StoredRepo>;
  readonly apps: Map<string, App>;
  readonly projectEnvironments: Map<string, StoredProjectEnvironment>;
  readonly deployments: Map<string, Deployment>;
  readonly previews: Map<string, StoredPreview>;
  /** By preview, generation and step. */
  readonly previewSteps: Map<string, PreviewStep>;
  /** Messages that are not known to have been sent, by preview. */
  readonly previewCommands: Map<string, QueueMessage>;
  /** When each delivery is forgotten. */
  readonly webhookDeliveries: Map<string, Date>;
  /** By app, type and name. */
  readonly appSecrets: Map<string, StoredAppSecret>;
  /** JSON, by build. */
  readonly manifests: Map<string, string>;
}

/**
 * What memory storages keep things in. Two storages on the same tables are like two processes on one database. Rows are frozen and replaced,
 * never changed.
 */
export class MemoryTables {
  readonly #orgs = new Map<string, OrgTables>();

  /** The orgs that have been used so far. */
  orgs(): readonly OrgTables[] {
    return [...this.#orgs.values()];
  }

  /** Forgets everything. */
  clear(): void {
    this.#orgs.clear();
  }

  /** The tables of one org, empty ones for an org that has not been used. */
  of(orgId: string): OrgTables {
    let org = this.#orgs.get(orgId);
    if (org === undefined) {
      org = {
        treeVersion: 0,
        treeGrowth: 0,
        projects: new Map(),
        environments: new Map(),
        journal: [],
        queue: new Map(),
        leases: new Map(),
        keys: new Map(),
        dataKeys: new Map(),
        types: new Map(),
        instances: new Map(),
        stateChanges: new Map(),
        secrets: new Map(),
        catalog: { platform: new Map(), os_version: new Map(), image_type: new Map() },
        plans: new Map(),
        builds: new Map(),
        buildStates: new Map(),
        buildFailures: new Map(),
        repos: new Map(),
        apps: new Map(),
        projectEnvironments: new Map(),
        deployments: new Map(),
        previews: new Map(),
        previewSteps: new Map(),
        previewCommands: new Map(),
        webhookDeliveries: new Map(),
        appSecrets: new Map(),
        manifests: new Map(),
      };
      this.#orgs.set(orgId, org);
    }
    return org;
  }
}

/** One storage at work on its tables, until it is closed. */
export interface Session {
  readonly tables: MemoryTables;
  closed: boolean;
}

/** A row to be kept: a copy, so that nobody who holds a date or a list of the original can change it. */
export function row<T extends object>(values: T): Readonly<T> {
  return Object.freeze(structuredClone(values));
}

export function environmentRow({ variables, ...environment }: StoredEnvironment): EnvironmentRow {
  return row({ ...environment, variables: encodeVariables(variables) });
}
