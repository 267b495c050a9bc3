import type { StoredEnvironment } from '../../environments/model.ts';
import type { JournalEntry } from '../../journal/model.ts';
import type { KeyRecord } from '../../kernel/idempotency.ts';
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

export interface LaneLease {
  readonly token: string;
  readonly until: number;
}

/** What is stored for one org. Orgs share nothing, so that nothing can be read across them. */
export interface OrgTables {
  treeVersion: number;
  readonly projects: Map<string, StoredProject>;
  readonly environments: Map<string, StoredEnvironment>;
  readonly journal: JournalEntry[];
  readonly queue: Map<string, QueuedEntry>;
  readonly leases: Map<number, LaneLease>;
  readonly keys: Map<string, KeyRecord>;
}

/** Everything that a memory storage holds. Rows are frozen and replaced, never changed, so that handing one out gives nothing away. */
export class Tables {
  readonly #orgs = new Map<string, OrgTables>();

  of(orgId: string): OrgTables {
    let org = this.#orgs.get(orgId);
    if (org === undefined) {
      org = {
        treeVersion: 0,
        projects: new Map(),
        environments: new Map(),
        journal: [],
        queue: new Map(),
        leases: new Map(),
        keys: new Map(),
      };
      this.#orgs.set(orgId, org);
    }
    return org;
  }
}
