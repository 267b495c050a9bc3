import type { StorageFailure } from '../kernel/errors.ts';
import { ok, ResultAsync, safeTry } from '../kernel/result.ts';
import type { Scope } from '../operation.ts';
import type { JournalEntry } from './model.ts';
import type { ClaimedLane, Lease } from './repository.ts';

/** Receives an entry. It may be called again with the same one (its `id` tells), so let its effect be idempotent. What it throws counts as a failure. */
export type JournalHandler = (entry: JournalEntry, context: { readonly signal?: AbortSignal }) => unknown;

/** What one call of `deliver` did. */
export interface DeliveryReport {
  readonly delivered: number;
  /** Failed attempts that will be made again. */
  readonly failed: number;
  /** Entries put aside after their last attempt. */
  readonly parked: number;
}

interface DeliveryOptions {
  readonly handler: JournalHandler;
  readonly batch: number;
  readonly leaseMs: number;
  readonly maxAttempts: number;
  readonly signal?: AbortSignal | undefined;
}

/** Works lane by lane until no lane has anything that is due. A lane whose lease was lost belongs to somebody else now and is left. */
export function deliver(scope: Scope, options: DeliveryOptions): ResultAsync<DeliveryReport, StorageFailure> {
  const { storage, clock, ids } = scope.ports;
  const report = { delivered: 0, failed: 0, parked: 0 };
  const stopped = () => options.signal?.aborted === true;
  const leaseEnd = () => new Date(clock.now().getTime() + options.leaseMs);

  return safeTry(async function* () {
    const left: number[] = [];
    while (!stopped()) {
      const token = ids.next();
      const claimed: ClaimedLane | null = yield* storage.journal.claim({
        orgId: scope.caller.org,
        now: clock.now(),
        leaseUntil: leaseEnd(),
        token,
        limit: options.batch,
        except: left,
      });
      if (claimed === null) break;

      const lease: Lease = { orgId: scope.caller.org, lane: claimed.lane, token };
      const held = yield* work(lease, claimed);
      if (held) yield* storage.journal.release(lease);
      else left.push(claimed.lane);
    }
    return ok({ ...report });
  });

  /** Delivers what was claimed; `false` when the lease was lost on the way. */
  function work(lease: Lease, { entries }: ClaimedLane): ResultAsync<boolean, StorageFailure> {
    return safeTry(async function* () {
      const blocked = new Set<string>();
      let renewAt = clock.now().getTime() + options.leaseMs / 2;
      for (const { entry, attempts } of entries) {
        if (stopped()) return ok(true);
        if (blocked.has(entry.stream)) continue;
        if (clock.now().getTime() >= renewAt) {
          if (!(yield* storage.journal.renew(lease, leaseEnd()))) return ok(false);
          renewAt = clock.now().getTime() + options.leaseMs / 2;
        }

        const failure = yield* handled(lease, entry);
        if (failure === null) {
          if (!(yield* storage.journal.acknowledge(lease, entry))) return ok(false);
          report.delivered++;
          continue;
        }
        const last = attempts + 1 >= options.maxAttempts;
        const now = clock.now();
        const counted = yield* storage.journal.fail(
          lease,
          entry,
          last
            ? { attempts: attempts + 1, parkedAt: now, reason: failure }
            : { attempts: attempts + 1, retryAt: new Date(now.getTime() + pauseMs(attempts + 1)) },
        );
        if (!counted) return ok(false);
        if (last) report.parked++;
        else {
          report.failed++;
          blocked.add(entry.stream);
        }
      }
      return ok(true);
    });
  }

  /** Runs the handler, keeping the lease alive while it works. Gives the message of what it threw, or `null`. */
  function handled(lease: Lease, entry: JournalEntry): ResultAsync<string | null, StorageFailure> {
    const run = async () => {
      const heartbeat = setInterval(() => void renewed(lease), options.leaseMs / 2);
      heartbeat.unref?.();
      try {
        await options.handler(entry, options.signal === undefined ? {} : { signal: options.signal });
        return ok(null);
      } catch (thrown) {
        return ok(reasonOf(thrown));
      } finally {
        clearInterval(heartbeat);
      }
    };
    return new ResultAsync<string | null, StorageFailure>(run());
  }

  /** A heartbeat that finds the lease lost says nothing: the acknowledgement will notice. */
  async function renewed(lease: Lease): Promise<void> {
    await storage.journal.renew(lease, leaseEnd());
  }
}

/** The message of what a handler threw, as text that every storage can hold; it may have thrown anything at all. */
function reasonOf(thrown: unknown): string {
  try {
    const message = thrown instanceof Error ? thrown.message : thrown;
    return String(message).slice(0, 500).toWellFormed().replaceAll('\0', '\ufffd');
  } catch {
    return 'the handler threw something that cannot be shown';
  }
}

/** The pause before attempt n + 1: 1 s, 2 s, 4 s, … at most 10 minutes. */
function pauseMs(attempts: number): number {
  return Math.min(1_000 * 2 ** (attempts - 1), 600_000);
}
