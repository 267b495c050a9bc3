import * as z from 'zod';
import { v7 } from 'uuid';

import { Builds } from './builds/service.ts';
import { Deployments } from './deployments/service.ts';
import { Environments } from './environments/service.ts';
import { Keys } from './keys/service.ts';
import type { KeyManagement } from './keys/key-management.ts';
import { defaultKeyCacheLimits, keyCacheLimits, OpenedKeys } from './keys/opened-keys.ts';
import type { KeyCacheLimits } from './keys/opened-keys.ts';
import type { PipelineRunner } from './ephemeral/pipeline-runner.ts';
import { Ephemeral } from './ephemeral/service.ts';
import { Journal } from './journal/service.ts';
import { caller } from './kernel/actor.ts';
import type { Caller } from './kernel/actor.ts';
import { systemClock, systemRandom } from './kernel/clock.ts';
import type { Clock, Random } from './kernel/clock.ts';
import { NotConfigured } from './kernel/errors.ts';
import type { IdSource } from './kernel/ids.ts';
import { parse } from './kernel/input.ts';
import { defaultLimits, limitsInput } from './kernel/limits.ts';
import type { Limits } from './kernel/limits.ts';
import type { Hooks, Telemetry } from './kernel/observability.ts';
import { allowEverything } from './kernel/policy.ts';
import type { Policy } from './kernel/policy.ts';
import { unwrap } from './kernel/result.ts';
import type { Ports } from './operation.ts';
import { workBehind } from './previews/in-process.ts';
import type { QueueMessage } from './previews/model.ts';
import { forkPolicies } from './previews/ports.ts';
import type { PreviewPorts, ReadyPreviews } from './previews/ports.ts';
import { Previews } from './previews/service.ts';
import { Projects } from './projects/service.ts';
import type { Storage } from './storage/port.ts';

/** What Vivarium is made of. Only the storage has to be given. */
export interface VivariumOptions<Transaction = never> {
  readonly storage: Storage<Transaction>;
  /** Decides who may do what; everybody everything when not given. */
  readonly policy?: Policy;
  /** Replaces single limits; see `Limits` for the defaults. */
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  /** UUIDs of version 7 when not given. */
  readonly ids?: IdSource;
  readonly random?: Random;
  /** What wraps the keys that sensitive values are sealed with: `localKeyring`, or a key management service. */
  readonly keys?: KeyManagement;
  /** Starts the pipelines that carry out the state changes of ephemeral environments. */
  readonly pipelines?: PipelineRunner;
  /** The source control, the runtime and the queue of previews, and what becomes of pull requests from forks. */
  readonly previews?: PreviewPorts;
  /** How long opened data keys are kept in memory; see `KeyCacheLimits` for the defaults. */
  readonly keyCache?: Partial<KeyCacheLimits>;
  readonly telemetry?: Telemetry;
  readonly hooks?: Hooks;
}

/** A client that acts for one caller in one org. Cheap to make: one for each request is fine. */
export interface Client<Transaction = never> {
  readonly projects: Projects;
  readonly environments: Environments;
  readonly ephemeral: Ephemeral;
  readonly deployments: Deployments;
  readonly previews: Previews;
  readonly builds: Builds;
  readonly journal: Journal;
  readonly keys: Keys;
  /**
   * The same client inside the host's own transaction: its writes commit and roll back with it. A refused command leaves the
   * transaction usable. No pipeline and no worker hears of what is not committed: the first `ephemeral.sweep` behind the commit starts the one, the first
   * `previews.sweep` tells the other. Only for storages with interactive transactions, the SQL ones.
   */
  within(transaction: Transaction): Client;
}

/** Vivarium in one process. Every call is made by somebody, in an org: `as` a caller, or the host's own `system`. */
export interface Vivarium<Transaction = never> {
  /** A client that acts for this caller. Throws `InvalidInput` for a malformed one. */
  as(caller: Caller): Client<Transaction>;
  /** A client for automation inside the host: the actor is `{ type: 'system', id: 'system' }`. */
  system(org: string): Client<Transaction>;
}

const port = (...methods: string[]) =>
  z.custom<object>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function'),
    `must be an object with ${methods.map((name) => `${name}()`).join(', ')}`,
  );

const options = z.strictObject({
  storage: port('migrate', 'status', 'close'),
  policy: port('allows').optional(),
  limits: limitsInput.optional(),
  clock: port('now').optional(),
  ids: port('next').optional(),
  random: port('next').optional(),
  keys: port('generateDataKey', 'unwrapDataKey', 'rewrapDataKey').optional(),
  pipelines: port('start', 'cancel').optional(),
  previews: z
    .strictObject({
      sourceControl: port('authenticate', 'head', 'comment', 'token'),
      runtime: port('create', 'remove'),
      queue: port('send').optional(),
      analytics: port('track').optional(),
      forks: z.enum(forkPolicies).optional(),
    })
    .optional(),
  keyCache: keyCacheLimits.optional(),
  telemetry: port('call').optional(),
  hooks: port().optional(),
});

/**
 * Puts Vivarium together. Throws `InvalidInput` on a wrong configuration; nothing is read or written.
 *
 * @example
 * const vivarium = createVivarium({ storage: memoryStorage() });
 * const ada = vivarium.as({ org: 'acme', type: 'user', id: 'ada' });
 */
export function createVivarium<Transaction = never>(
  configuration: VivariumOptions<Transaction>,
): Vivarium<Transaction> {
  unwrap(parse(z.tuple([options]), [configuration], ['']));
  const { storage, limits, ...given } = configuration;
  const ports: Ports = {
    storage,
    policy: given.policy ?? allowEverything,
    limits: { ...defaultLimits, ...withoutUndefined(limits ?? {}) },
    clock: given.clock ?? systemClock,
    ids: given.ids ?? { next: () => v7() },
    random: given.random ?? systemRandom,
    keys: given.keys ?? null,
    pipelines: given.pipelines ?? null,
    previews:
      given.previews === undefined ? null : ready(given.previews, (message) => workBehind(system(message), message)),
    inTransaction: false,
    opened: new OpenedKeys({ ...defaultKeyCacheLimits, ...withoutUndefined(given.keyCache ?? {}) }),
    telemetry: given.telemetry ?? null,
    hooks: given.hooks ?? {},
  };

  const system = ({ orgId: org }: QueueMessage) => ({ ports, caller: { org, type: 'system', id: 'system' } });

  return {
    as: (who) => client(ports, unwrap(parse(z.tuple([caller]), [who], ['']))[0]),
    system: (org) => client(ports, unwrap(parse(z.tuple([caller]), [{ org, type: 'system', id: 'system' }], ['']))[0]),
  };
}

function client<Transaction>(ports: Ports, who: Caller): Client<Transaction> {
  const scope = { ports, caller: who };
  return {
    projects: new Projects(scope),
    environments: new Environments(scope),
    ephemeral: new Ephemeral(scope),
    deployments: new Deployments(scope),
    previews: new Previews(scope),
    builds: new Builds(scope),
    journal: new Journal(scope),
    keys: new Keys(scope),
    within(transaction) {
      const storage = ports.storage as unknown as Storage<Transaction>;
      if (storage.within === undefined) {
        const need = `the storage ${storage.name} has no transactions of the host to work within`;
        throw new NotConfigured('storage', need, 'give createVivarium one on PostgreSQL or MySQL');
      }
      return client({ ...ports, storage: storage.within(transaction), inTransaction: true }, who);
    },
  };
}

/** Without a queue, messages are worked off in this process: `behind` begins, and is not waited for. */
function ready(previews: PreviewPorts, behind: (message: QueueMessage) => Promise<void>): ReadyPreviews {
  const { queue, forks = 'ignore' } = previews;
  const dispatch = async (message: QueueMessage) => {
    if (queue === undefined) {
      void behind(message);
      return 'kept';
    }
    await queue.send(message);
    return 'sent';
  };
  return { ...previews, forks, dispatch };
}

function withoutUndefined<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Partial<T>;
}
