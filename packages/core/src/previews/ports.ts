/**
 * The outside world of previews, port by port. A port rejects when it could not do what it was asked for. An error with `retryAfterMs` says when to try again (a rate
 * limit), one with `refused: true` that trying again is of no use, one with `status` what HTTP answered. What ports reject with goes to `hooks.onPreviewFailure`, and nowhere else: of it
 * only these three become part of anything.
 */
import type { SecretText } from '../kernel/secret-text.ts';
import type { Preview, PreviewType, QueueMessage } from './model.ts';

/** A repository, as its provider names it. */
export interface RepoName {
  readonly provider: string;
  readonly fullName: string;
}

/** A comment on a pull request. */
export interface PreviewComment {
  readonly repo: RepoName;
  readonly pullRequest: number;
  /** The comment that is known; another one is looked for by its marker where there is none, or where it was deleted. */
  readonly commentId: string | null;
  /** Stands in the comment, invisibly, so that it is found again: one comment for each preview. */
  readonly marker: string;
  /** Markdown, with the marker in it. */
  readonly body: string;
}

/** Where the source is: GitHub, or another provider. */
export interface SourceControl {
  /** Whether we may act on this repository; rejects when not. */
  authenticate(request: { readonly repo: RepoName; readonly signal?: AbortSignal }): Promise<void>;
  /** The newest commit of a branch of `headRepo`; `null` when there is no such branch any more. */
  head(request: {
    readonly repo: RepoName;
    readonly headRepo: string;
    readonly branch: string;
    readonly signal?: AbortSignal;
  }): Promise<{ readonly sha: string } | null>;
  /** Creates the comment or brings it up to date, and answers with its id. However often it is called: one comment. */
  comment(comment: PreviewComment & { readonly signal?: AbortSignal }): Promise<{ readonly commentId: string }>;
  /** A token of its own for the runtime, which may read this repository and nothing else. */
  token(request: { readonly repo: RepoName; readonly signal?: AbortSignal }): Promise<{
    readonly token: SecretText;
    readonly expiresAt: Date;
  }>;
}

/** What a runtime is made of. */
export interface RuntimeRequest {
  /** The same for every try of one run: a runtime of this key that is there already is the answer. */
  readonly key: string;
  readonly orgId: string;
  readonly preview: Preview;
  readonly repo: RepoName;
  readonly entrypoint: string | null;
  readonly type: PreviewType;
  readonly sha: string;
  /** Reads the source. */
  readonly token: SecretText;
  /** The app's secrets for this type; none for a fork that gets none. */
  readonly secrets: Readonly<Record<string, SecretText>>;
  /** Signs the reports of this run. */
  readonly reportKey: SecretText;
  readonly signal?: AbortSignal;
}

/** Runs previews. */
export interface Runtime {
  /** Takes a run on, at most once for each key. It then reports how it goes. */
  create(request: RuntimeRequest): Promise<{ readonly runtimeId: string | null }>;
  /** Removes what was made for these keys. What is not there is gone. */
  remove(request: {
    readonly orgId: string;
    readonly keys: readonly string[];
    readonly runtimeId: string | null;
    readonly signal?: AbortSignal;
  }): Promise<void>;
}

/** Counts what happens. What it rejects with is ignored. */
export interface Analytics {
  track(event: {
    readonly name: 'environment_created' | 'environment_running' | 'environment_failed' | 'environment_stopped';
    readonly orgId: string;
    readonly actor: { readonly type: string; readonly id: string };
    readonly properties: Readonly<Record<string, string | number | boolean | null>>;
    /** The same for the same thing however often it is told. */
    readonly messageId: string;
    readonly at: Date;
  }): Promise<void>;
}

/** Carries messages to workers, who give them to `previews.handle`. Those of one environment come in their order, or one after another at least. */
export interface CommandQueue {
  send(message: QueueMessage): Promise<void>;
}

/** The rules for forks that a host can choose from. */
export const forkPolicies = ['ignore', 'without_secrets', 'approve'] as const;

/**
 * What becomes of pull requests from forks, whose code is not trusted: nothing (`ignore`), a preview without the app's secrets, or one that a person approves, for each
 * commit.
 */
export type ForkPolicy = (typeof forkPolicies)[number];

/** What `createVivarium({ previews })` takes. Without it, the methods that need the outside world answer `not_configured`. */
export interface PreviewPorts {
  readonly sourceControl: SourceControl;
  readonly runtime: Runtime;
  /** In this process when not given: commands are kept in storage, and a restart loses none. */
  readonly queue?: CommandQueue;
  readonly analytics?: Analytics;
  /** `ignore` when not given. */
  readonly forks?: ForkPolicy;
}

/** The ports with the defaults filled in. */
export interface ReadyPreviews extends PreviewPorts {
  readonly forks: ForkPolicy;
  /** Sends a message (`sent`), or begins to work on it in this process (`kept`: its sender need not care, and storage keeps it until it is done). */
  dispatch(message: QueueMessage): Promise<'sent' | 'kept'>;
}
