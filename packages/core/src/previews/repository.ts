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
  /** The project environment, whose deployments the run moves; its version moves with it. */
  readonly environment: StoredProjectEnvironment;
  /** Deployments that are added or replaced: the run that ends, the one that begins, the one that is not live any more. */
  readonly deployments: readonly { readonly deployment: Deployment; readonly adds: boolean }[];
  /** A command that a worker has to be told of: kept until it was sent. */
  readonly message: QueueMessage | null;
  readonly change: Change;
}

/** The port of previews. */
export interface PreviewRepository {
  /** What asking for a preview of this app under this name is decided on, and what is kept under the key. */
  askFacts(
    orgId: string,
    of: { readonly appId: string; readonly environment: string },
    keyId?: KeyId,
  ): Stored<AskFacts & Pick<Loaded<never>, 'key'>>;

  /** What everything else is decided on, and what is kept under the key. */
  facts(orgId: string, id: string, keyId?: KeyId): Stored<Loaded<PreviewFacts>>;

  /** Adds a preview, with its project environment unless that is there at `expectedVersion`. `stale`: somebody was quicker. */
  create(command: PreviewWrite & { readonly expectedVersion: number | null }): Stored<Written<'stale' | 'gone'>>;

  /** Replaces the preview at `expectedVersion`, and all that goes with it. */
  write(command: PreviewWrite & { readonly expectedVersion: number }): Stored<Written<'not_found' | 'stale'>>;

  /** Counts a try of the worker at this generation; the number of it, or `null` when the preview is at another one. Moves no version. */
  countTry(orgId: string, id: string, generation: number): Stored<number | null>;

  /** Keeps the sealed key of a run unless there is one: answers the one that was there, or `null` when this one was kept. Moves no version. */
  keepReportKey(
    orgId: string,
    run: { readonly id: string; readonly generation: number },
    sealed: string,
  ): Stored<string | null>;

  /** Keeps a step of this generation; what was kept before stays. `comment` also sets the preview's `commentId`. Moves no version. */
  keepStep(orgId: string, step: PreviewStep): Stored<boolean>;

  /** Newest first; those of one app, perhaps only of one status. `null` when there is no such app. */
  list(
    orgId: string,
    filter: { readonly appId: string; readonly status?: PreviewStatus },
    page: PageRequest<PreviewPosition>,
  ): Stored<StoredPage<StoredPreview> | null>;

  /** Apps of a repository, in this org. */
  appsOf(orgId: string, provider: string, repoNameKey: string): Stored<readonly App[]>;

  /** Remembers a delivery of a webhook; `false` when it has been here before. Forgotten after `expiresAt`. */
  firstDelivery(orgId: string, deliveryId: string, expiresAt: Date): Stored<boolean>;

  /** Messages that were written and not yet known to have been sent, in the order of their environments' ids, behind `after`. */
  unsent(
    orgId: string,
    request: { readonly limit: number; readonly after: string | null },
  ): Stored<readonly QueueMessage[]>;

  /** Forgets a message that was sent, unless a newer one has taken its place. */
  sent(orgId: string, message: QueueMessage): Stored<void>;

  /** At most `limit` previews that `sweep` should look at, in the order of their ids, behind `after`: busy and past their deadline, or asked for before `olderThan` and not ended. */
  due(
    orgId: string,
    request: { readonly now: Date; readonly olderThan: Date; readonly limit: number; readonly after: string | null },
  ): Stored<readonly StoredPreview[]>;

  /** The secrets of an app for a type, by name. */
  secrets(
    orgId: string,
    of: { readonly appId: string; readonly type: PreviewType },
  ): Stored<readonly StoredAppSecret[]>;

  /** Writes a secret at its version (`sealVersion` 1: there must be none yet). */
  writeSecret(command: {
    readonly secret: StoredAppSecret;
    readonly change: Change;
  }): Stored<Written<'stale' | 'not_found'>>;

  /** Removes a secret at its version. */
  removeSecret(command: {
    readonly secret: StoredAppSecret;
    readonly change: Change;
  }): Stored<Written<'stale' | 'not_found'>>;
}
