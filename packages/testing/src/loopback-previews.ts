/** The outside world of previews without an outside world, for tests: a source control, a runtime, a queue and analytics that remember what they were asked for. */
import { SecretText, signReport } from '@vivarium/core';
import type {
  Analytics,
  CommandQueue,
  QueueMessage,
  Runtime,
  RuntimeReport,
  SignedReport,
  SourceControl,
} from '@vivarium/core';

/** What previews ask of the outside world, call by call. */
export type LoopbackCall = 'authenticate' | 'head' | 'comment' | 'token' | 'create' | 'remove' | 'send' | 'track';

/** A comment on a pull request. */
export interface LoopbackComment {
  readonly id: string;
  readonly repo: string;
  readonly pullRequest: number;
  readonly marker: string;
  readonly body: string;
}

/** A runtime that was made. */
export interface LoopbackRuntime {
  readonly key: string;
  readonly runtimeId: string;
  /** What it was made of, as the first call said. */
  readonly request: Parameters<Runtime['create']>[0];
}

/** What a runtime says of a run: the rest of the report comes from the run itself. */
export type LoopbackReport = Pick<RuntimeReport, 'status' | 'url' | 'tests' | 'reason'> & {
  /** The next one of this runtime when not given. */
  readonly sequence?: number;
};

/**
 * The outside world of previews in memory: give `ports` to `createVivarium({ previews })`, deliver what stands in `messages` with `previews.handle`, and report with `report`.
 * One comment for each marker, one runtime for each key, as the ports promise. For what goes wrong there are `before` and `after`.
 */
export interface LoopbackPreviews {
  readonly ports: {
    readonly sourceControl: SourceControl;
    readonly runtime: Runtime;
    readonly queue: CommandQueue;
    readonly analytics: Analytics;
  };
  /** How often each call was made, those that failed included. */
  readonly calls: Readonly<Record<LoopbackCall, number>>;
  /** The comments that are there, oldest first. */
  readonly comments: readonly LoopbackComment[];
  /** The runtimes that are there, oldest first. */
  readonly runtimes: readonly LoopbackRuntime[];
  /** What was tracked, oldest first. */
  readonly tracked: readonly Parameters<Analytics['track']>[0][];
  /** What stands in the queue, oldest first. */
  readonly messages: readonly QueueMessage[];
  /** Takes the messages that were sent for an org out of the queue, oldest first. */
  take(orgId: string): readonly QueueMessage[];
  /** Where a branch is from now on; `null`: there is no such branch, as before the first call. */
  setHead(headRepo: string, branch: string, sha: string | null): void;
  /** Deletes a comment, as a person can. */
  deleteComment(commentId: string): void;
  /** What the runtime of this key was made of, there or gone. Throws where there never was one. */
  made(key: string): LoopbackRuntime['request'];
  /** A report of the runtime of this key, there or gone, signed with its key. Throws where there never was one. */
  report(key: string, report: LoopbackReport): SignedReport;
  /** The next call of this kind waits for `act` before it has its effect. What `act` throws is what the call rejects with, and then there was no effect. */
  before(call: LoopbackCall, act: () => unknown): void;
  /** The next call of this kind waits for `act` after its effect. What `act` throws is what the call rejects with: the effect is there, and whoever called does not know. */
  after(call: LoopbackCall, act: () => unknown): void;
}

/**
 * Makes an outside world of previews in memory. A call whose `signal` is aborted rejects with its reason.
 *
 * @example
 * const outside = loopbackPreviews();
 * const vivarium = createVivarium({ storage, keys, previews: { ...outside.ports, forks: 'approve' } });
 * const client = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });
 * const preview = unwrap(await client.previews.create({ appId, pullRequest: 42, branch: 'feature', sha }));
 * for (const message of outside.take('acme')) unwrap(await client.previews.handle(message));
 * unwrap(await client.previews.report(outside.report(`${preview.id}-1`, { status: 'running' })));
 */
export function loopbackPreviews(): LoopbackPreviews {
  const calls = { authenticate: 0, head: 0, comment: 0, token: 0, create: 0, remove: 0, send: 0, track: 0 };
  const waiting = {
    before: new Map<LoopbackCall, (() => unknown)[]>(),
    after: new Map<LoopbackCall, (() => unknown)[]>(),
  };
  const heads = new Map<string, string>();
  const comments = new Map<string, LoopbackComment>();
  const runtimes = new Map<string, LoopbackRuntime>();
  const everMade = new Map<string, LoopbackRuntime>();
  const sequences = new Map<string, number>();
  const messages: QueueMessage[] = [];
  const tracked: Parameters<Analytics['track']>[0][] = [];
  let ids = 0;

  const requestOf = (key: string) => {
    const runtime = everMade.get(key);
    if (runtime === undefined) throw new Error(`there never was a runtime of the key ${key}`);
    return runtime.request;
  };
  const branchOf = (headRepo: string, branch: string) => `${headRepo.toLowerCase()}#${branch}`;
  const arrange = (when: 'before' | 'after') => (call: LoopbackCall, act: () => unknown) => {
    waiting[when].set(call, [...(waiting[when].get(call) ?? []), act]);
  };
  async function called<T>(call: LoopbackCall, effect: () => T, signal?: AbortSignal): Promise<T> {
    calls[call]++;
    const first = waiting.before.get(call)?.shift();
    const last = waiting.after.get(call)?.shift();
    await orAborted(first?.(), signal);
    const answer = effect();
    await orAborted(last?.(), signal);
    return answer;
  }

  return {
    ports: {
      sourceControl: {
        authenticate: ({ signal }) => called('authenticate', () => undefined, signal),
        head: ({ headRepo, branch, signal }) =>
          called(
            'head',
            () => {
              const sha = heads.get(branchOf(headRepo, branch));
              return sha === undefined ? null : { sha };
            },
            signal,
          ),
        comment: ({ repo, pullRequest, commentId, marker, body, signal }) =>
          called(
            'comment',
            () => {
              const there =
                comments.get(commentId ?? '') ?? [...comments.values()].find((comment) => comment.marker === marker);
              const id = there?.id ?? `comment-${++ids}`;
              comments.set(id, { id, repo: repo.fullName, pullRequest, marker, body });
              return { commentId: id };
            },
            signal,
          ),
        token: ({ repo, signal }) =>
          called(
            'token',
            () => ({
              token: new SecretText(`token of ${repo.fullName} ${++ids}`),
              expiresAt: new Date(Date.now() + 3_600_000),
            }),
            signal,
          ),
      },
      runtime: {
        create: (request) =>
          called(
            'create',
            () => {
              const { key } = request;
              const runtime = runtimes.get(key) ?? { key, runtimeId: `runtime-${++ids}`, request };
              runtimes.set(key, runtime);
              everMade.set(key, runtime);
              return { runtimeId: runtime.runtimeId };
            },
            request.signal,
          ),
        remove: ({ keys, runtimeId, signal }) =>
          called(
            'remove',
            () => {
              for (const runtime of runtimes.values()) {
                if (keys.includes(runtime.key) || runtime.runtimeId === runtimeId) runtimes.delete(runtime.key);
              }
            },
            signal,
          ),
      },
      queue: { send: (message) => called('send', () => void messages.push(message)) },
      analytics: { track: (event) => called('track', () => void tracked.push(event)) },
    },
    calls,
    get comments() {
      return [...comments.values()];
    },
    get runtimes() {
      return [...runtimes.values()];
    },
    tracked,
    messages,
    take(orgId) {
      const taken = messages.filter((message) => message.orgId === orgId);
      const left = messages.filter((message) => message.orgId !== orgId);
      messages.splice(0, messages.length, ...left);
      return taken;
    },
    setHead(headRepo, branch, sha) {
      if (sha === null) heads.delete(branchOf(headRepo, branch));
      else heads.set(branchOf(headRepo, branch), sha);
    },
    deleteComment: (commentId) => void comments.delete(commentId),
    made: requestOf,
    report(key, { sequence, ...said }) {
      const next = sequence ?? (sequences.get(key) ?? 0) + 1;
      sequences.set(key, Math.max(next, sequences.get(key) ?? 0));
      const { orgId, preview, reportKey } = requestOf(key);
      const { id: projectEnvironmentId, generation } = preview;
      const report: RuntimeReport = { version: 1, orgId, projectEnvironmentId, generation, sequence: next, ...said };
      return signReport(JSON.stringify(report), reportKey.reveal());
    },
    before: arrange('before'),
    after: arrange('after'),
  };
}

/** Waits, unless the caller does not wait any more. */
async function orAborted(waited: unknown, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return void (await waited);
  signal.throwIfAborted();
  const aborted = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  await Promise.race([waited, aborted]);
}
