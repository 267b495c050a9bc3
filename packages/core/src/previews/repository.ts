import type { App, Deployment, StoredProjectEnvironment, StoredRepo } from '../deployments/model.ts';
import type { KeyId } from '../kernel/idempotency.ts';
import type { PageRequest, StoredPage } from '../kernel/paging.ts';
import type { Change, Loaded, Stored, Written } from '../storage/port.ts';
import type { PreviewStatus } from './lifecycle.ts';
import type { PreviewStep, PreviewType, QueueMessage, StoredPreview } from './model.ts';

/** A preview with what is decided about it. */
export interface PreviewFacts {
  readonly preview: StoredPreview;
  /** The project environment behind it, which carries its deployments. */
  readonly environment: StoredProjectEnvironment;
  readonly app: App;
  readonly repo: StoredRepo;
  /** The deployment of the current run. */
  readonly run: Deployment | null;
  /** The deployment that is live. */
  readonly active: Deployment | null;
  /** What the worker has done of the current generation. */
  readonly steps: readonly PreviewStep[];
}

/** What asking for a preview is decided on: it may be there or not. */
export interface AskFacts {
  readonly app: App | null;
  readonly repo: StoredRepo | null;
  readonly environment: StoredProjectEnvironment | null;
  readonly preview: StoredPreview | null;
  readonly run: Deployment | null;
  readonly active: Deployment | null;
}

/** An app secret as it is stored: sealed with the app's data key. */
export interface StoredAppSecret {
  readonly appId: string;
  readonly type: PreviewType;
  readonly name: string;
  readonly sealed: string;
  /** Counts the values that it has had, from 1. */
  readonly sealVersion: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A place in a list of previews: newest first, by when they were made, then id. */
export interface PreviewPosition {
  readonly createdAt: Date;
  readonly id: string;
}

/** What is written together when a preview changes. */
export interface PreviewWrite {
  readonly preview: StoredPreview;
  /** The project environment behind it, whose deployments the run moves. Both have one version. */
  readonly environment: StoredProjectEnvironment;
  /** Deployments that are added or replaced: the run that ends, the one that is not live any more, the one that begins. At most three. */
  readonly deployments: readonly { readonly deployment: Deployment; readonly adds: boolean }[];
  /** What a worker has to be told: kept in place of an older one until it is known to have been sent. `null` leaves what is kept. */
  readonly message: QueueMessage | null;
  readonly change: Change;
}

/** The port of previews. */
export interface PreviewRepository {
  /** What asking for a preview of this app under this name is decided on, and what is kept under the key. */
  askFacts(
    orgId: string,
    wanted: { readonly appId: string; readonly environment: string },
    keyId?: KeyId,
  ): Stored<AskFacts & Pick<Loaded<never>, 'key'>>;

  /** What everything else is decided on, and what is kept under the key. */
  facts(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<PreviewFacts>>;

  /** Adds a preview and its project environment (`stale`: there is one of this name). `gone`: the app is. */
  create(command: PreviewWrite): Stored<Written<'stale' | 'gone'>>;

  /** Replaces the preview at `expectedVersion`, and all that goes with it. Its `commentId` stays as it is: that is `keepStep`'s. */
  write(
    command: PreviewWrite & { readonly expectedVersion: number; readonly previousBranch: string | null },
  ): Stored<Written<'not_found' | 'stale'>>;

  /** Counts a try of a worker, provided that the preview is at this version; the number of it, or `null` when it is at another one. Moves no version. */
  countTry(orgId: string, id: string, version: number): Stored<number | null>;

  /** Keeps a step, over one that was kept before; a `comment` is also the preview's `commentId` from now on. Moves no version. Nothing happens when the preview is gone. */
  keepStep(orgId: string, step: PreviewStep): Stored<void>;

  /** Newest first; those of one app, perhaps only of one status. `null` when there is no such app. */
  list(
    orgId: string,
    filter: { readonly appId: string; readonly status?: PreviewStatus },
    page: PageRequest<PreviewPosition>,
  ): Stored<StoredPage<StoredPreview> | null>;

  /** Whether this delivery of a webhook is remembered; one that expired by `now` is not. */
  knowsDelivery(orgId: string, deliveryId: string, now: Date): Stored<boolean>;

  /** Remembers a delivery until `expiresAt`. */
  keepDelivery(orgId: string, deliveryId: string, expiresAt: Date): Stored<void>;

  /** Forgets at most `limit` deliveries that have expired by `now`; answers how many. An engine that forgets by itself answers 0. */
  pruneDeliveries(orgId: string, request: { readonly now: Date; readonly limit: number }): Stored<number>;

  /** Messages that were written and are not known to have been sent, in the order of their environments' ids, behind `after`. */
  unsent(
    orgId: string,
    request: { readonly limit: number; readonly after: string | null },
  ): Stored<readonly QueueMessage[]>;

  /** Forgets a message that was sent, unless a newer one has taken its place. */
  sent(orgId: string, message: QueueMessage): Stored<void>;

  /**
   * At most `limit` previews that `sweep` should look at, in the order of their ids, behind `after`: those past their deadline, and those of type `preview` that were asked for by `askedBy`
   * and are neither stopping nor stopped nor deleted.
   */
  due(
    orgId: string,
    request: {
      readonly now: Date;
      readonly askedBy: Date | null;
      readonly limit: number;
      readonly after: string | null;
    },
  ): Stored<readonly StoredPreview[]>;

  /** The secrets of an app for a type, by name. */
  secrets(
    orgId: string,
    owner: { readonly appId: string; readonly type: PreviewType },
  ): Stored<readonly StoredAppSecret[]>;

  /** Whether the app is there, one of its secrets, and what is kept under the key. */
  secretFacts(
    orgId: string,
    secret: { readonly appId: string; readonly type: PreviewType; readonly name: string },
    keyId?: KeyId,
  ): Stored<Loaded<StoredAppSecret> & { readonly app: boolean }>;

  /** Writes a secret over the value before it: `sealVersion` 1 when there must be none. `gone`: the app is. */
  writeSecret(command: {
    readonly secret: StoredAppSecret;
    readonly change: Change;
  }): Stored<Written<'stale' | 'gone'>>;

  /** Removes a secret at its `sealVersion`. */
  removeSecret(command: { readonly secret: StoredAppSecret; readonly change: Change }): Stored<Written<'stale'>>;
}
