import * as z from 'zod';

import { again, checkVersion, command } from '../command.ts';
import { IllegalTransition, InvalidInput, NotFound } from '../kernel/errors.ts';
import { changeOptions, commandOptions } from '../kernel/idempotency.ts';
import type { CommandOptions } from '../kernel/idempotency.ts';
import { id } from '../kernel/ids.ts';
import { cursorsOf, pageInput } from '../kernel/paging.ts';
import type { Page, PageInput } from '../kernel/paging.ts';
import { err, ok, safeTry } from '../kernel/result.ts';
import { freeText } from '../kernel/text.ts';
import { time, writtenTime } from '../kernel/time.ts';
import { method, operation } from '../operation.ts';
import type { Outcome, Scope } from '../operation.ts';
import { Catalog } from './catalog-service.ts';
import { add } from './adding.ts';
import { replayHistory } from './history.ts';
import type { BuildHistory } from './history.ts';
import { legalBuildEvents } from './lifecycle.ts';
import type { BuildStatus } from './lifecycle.ts';
import { packerManifest } from './manifest.ts';
import type { PackerManifest } from './manifest.ts';
import {
  buildNumber,
  buildStatus,
  component,
  errorDetails,
  errorMessage,
  failureType,
  heartbeatTimeoutMs,
  maximumAttempts,
  milestone,
  notes,
} from './model.ts';
import type { Build, BuildFailure, BuildState, BuildStats, StatsFilter } from './model.ts';
import { move, present } from './moving.ts';
import { MilestonePlans } from './plans-service.ts';
import type { NewestPosition } from './repository.ts';
import { cancel, newBuild, planResume, resolveFailure, resume, toBuild, toBuildState, touched } from './rules.ts';
import type { NewBuild, ResumePlan } from './rules.ts';
import { BuildStates } from './states-service.ts';
import { sweep } from './sweep.ts';
import type { SweptBuild } from './sweep.ts';

/** A build with the manifest that Packer wrote for it. */
export interface BuildWithManifest extends Build {
  readonly packerManifest: PackerManifest | null;
}

const references = {
  buildNumber,
  projectId: id.nullish(),
  platformId: id,
  osVersionId: id,
  imageTypeId: id,
  heartbeatTimeoutMs: heartbeatTimeoutMs.optional(),
};
const startInput = z.strictObject({ ...references, ...commandOptions });

const retry = z.int().min(0).max(maximumAttempts);
const importInput = z.strictObject({
  ...references,
  status: buildStatus,
  createdAt: time,
  endTime: time.nullish(),
  states: z
    .array(
      z.strictObject({
        state: milestone,
        status: z.enum(['started', 'completed', 'failed', 'canceled']),
        startTime: time,
        endTime: time.nullish(),
        errorMessage: freeText(2_000).nullish(),
        retryCount: retry.optional(),
      }),
    )
    .max(maximumAttempts),
  failures: z
    .array(
      z.strictObject({
        state: milestone,
        retryAttempt: retry.optional(),
        failureType,
        errorMessage,
        component: component.nullish(),
        errorDetails: errorDetails.nullish(),
        createdAt: time,
        resolved: z.boolean().optional(),
        resolutionNotes: freeText(2_000).nullish(),
        resolvedAt: time.nullish(),
      }),
    )
    .max(maximumAttempts)
    .optional(),
  ...commandOptions,
});

const about = {
  projectId: id.optional(),
  platformId: id.optional(),
  osVersionId: id.optional(),
  imageTypeId: id.optional(),
};
const listInput = z.strictObject({ ...about, status: buildStatus.optional(), ...pageInput });
const failuresInput = z.strictObject({
  buildId: id.optional(),
  resolved: z.boolean().optional(),
  failureType: failureType.optional(),
  component: component.optional(),
  ...pageInput,
});
const statsInput = z.strictObject({ ...about, from: time.optional(), to: time.optional() });
const sweepInput = z.strictObject({
  limit: z.int().min(1).max(1_000).default(100),
  dryRun: z.boolean().default(false),
});
const trailing = z.strictObject(changeOptions);

const anyBuild = ([input]: readonly [{ readonly projectId?: string | null | undefined }, ...unknown[]]) => [
  { type: 'build', ...(input.projectId != null && { projectId: input.projectId }) },
];
const theBuild = ([buildId]: readonly [string, ...unknown[]]) => [{ type: 'build', id: buildId }];

const methods = {
  start: method('builds.start', [''], z.tuple([startInput]), anyBuild),
  import: method('builds.import', [''], z.tuple([importInput]), anyBuild),
  cancel: method('builds.cancel', ['id', ''], z.tuple([id, trailing]), theBuild),
  resume: method('builds.resume', ['id', ''], z.tuple([id, trailing]), theBuild),
  planResume: method('builds.planResume', ['id'], z.tuple([id]), theBuild),
  heartbeat: method('builds.heartbeat', ['id'], z.tuple([id]), theBuild),
  get: method('builds.get', ['id'], z.tuple([id]), theBuild),
  getByNumber: method('builds.getByNumber', ['buildNumber'], z.tuple([buildNumber]), () => [{ type: 'build' }]),
  list: method('builds.list', [''], z.tuple([listInput]), anyBuild),
  listStates: method('builds.listStates', ['id', ''], z.tuple([id, z.strictObject(pageInput)]), theBuild),
  listFailures: method('builds.listFailures', [''], z.tuple([failuresInput]), ([{ buildId }]) => [
    { type: 'build', ...(buildId !== undefined && { id: buildId }) },
  ]),
  resolveFailure: method(
    'builds.resolveFailure',
    ['id', ''],
    z.tuple([id, z.strictObject({ notes, ...commandOptions })]),
    ([failureId]) => [{ type: 'build_failure', id: failureId }],
  ),
  attachPackerManifest: method(
    'builds.attachPackerManifest',
    ['id', 'manifest', ''],
    z.tuple([id, packerManifest, trailing]),
    theBuild,
  ),
  stats: method('builds.stats', [''], z.tuple([statsInput]), anyBuild),
  sweep: method('builds.sweep', [''], z.tuple([sweepInput]), () => [{ type: 'build' }]),
};

const newest = z.strictObject({ createdAt: writtenTime.transform((text) => new Date(text)), id });
const builds = cursorsOf<NewestPosition>('builds', newest);
const failuresByTime = cursorsOf<NewestPosition>('builds.failures', newest);
const statesInOrder = cursorsOf<number>('builds.states', z.int().min(1).max(maximumAttempts));

const noNewPosition = ({ createdAt, id: at }: NewestPosition): NewestPosition => ({ createdAt, id: at });

/** Image builds: their catalog, milestones, failures, and what can be learnt from them (seed 003). */
export class Builds {
  readonly #scope: Scope;
  /** What builds refer to. */
  readonly catalog: {
    readonly platforms: Catalog<'platform'>;
    readonly osVersions: Catalog<'os_version'>;
    readonly imageTypes: Catalog<'image_type'>;
  };
  readonly milestonePlans: MilestonePlans;
  readonly states: BuildStates;

  constructor(scope: Scope) {
    this.#scope = scope;
    this.catalog = {
      platforms: new Catalog(scope, 'platform'),
      osVersions: new Catalog(scope, 'os_version'),
      imageTypes: new Catalog(scope, 'image_type'),
    };
    this.milestonePlans = new MilestonePlans(scope);
    this.states = new BuildStates(scope);
  }

  /**
   * Starts a build: pending until it enters its first milestone. It pins its project's plan of milestones, or the built-in one.
   *
   * Errors: `not_found` (the project, platform, OS version or image type), `build_number_taken`.
   */
  start(input: NewBuild & Omit<CommandOptions, 'expectedVersion'>): Outcome<'builds.start', Build> {
    const { caller } = this.#scope;
    const by = { type: caller.type, id: caller.id };
    return operation(this.#scope, methods.start, [input], ([{ idempotencyKey, signal, ...wanted }]) =>
      add(
        this.#scope,
        { method: methods.start.name, action: 'build.started', wanted, options: { idempotencyKey, signal } },
        (plan, made) => ok({ build: newBuild(wanted, plan, by, made), states: [], failures: [] }),
      ),
    );
  }

  /**
   * Takes over a build that was run elsewhere, with its own times, its attempts and its failures: by the same rules as one that is run here, or not at all.
   * What does not follow is `invalid_input` that names the place: `states[3].startTime`. The milestones are those of the project's newest plan. At most
   * 1,000 attempts and 1,000 failures.
   *
   * Errors: `not_found` (the project, platform, OS version or image type), `build_number_taken`.
   */
  import(history: BuildHistory & Omit<CommandOptions, 'expectedVersion'>): Outcome<'builds.import', Build> {
    const { ports, caller } = this.#scope;
    const by = { type: caller.type, id: caller.id };
    return operation(this.#scope, methods.import, [history], ([{ idempotencyKey, signal, ...wanted }]) =>
      add(
        this.#scope,
        { method: methods.import.name, action: 'build.imported', wanted, options: { idempotencyKey, signal } },
        (plan, made) => replayHistory(wanted, plan, by, { ...made, ids: ports.ids }),
      ),
    );
  }

  /** Ends a build that is not to go on, from any status but the two final ones. Errors: `not_found`, `illegal_transition`, `stale_version`. */
  cancel(buildId: string, options: CommandOptions = {}): Outcome<'builds.cancel', Build> {
    return operation(this.#scope, methods.cancel, [buildId, options], ([target, given]) =>
      move(
        this.#scope,
        { method: methods.cancel.name, action: 'build.canceled', target, input: {} },
        given,
        (build, { at }) => cancel(build, at),
      ),
    );
  }

  /** Tries the milestone again at which the build failed. Errors: `not_found`, `illegal_transition`, `limit_reached` after 1,000 attempts, `stale_version`. */
  resume(buildId: string, options: CommandOptions = {}): Outcome<'builds.resume', Build> {
    return operation(this.#scope, methods.resume, [buildId, options], ([target, given]) =>
      move(this.#scope, { method: methods.resume.name, action: 'build.resumed', target, input: {} }, given, resume),
    );
  }

  /** Says where `resume` would go on, and what is missing until the build is completed. Errors: `not_found`. */
  planResume(buildId: string): Outcome<'builds.planResume', ResumePlan> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.planResume, [buildId], ([target]) =>
      ports.storage.builds
        .resumeFacts(caller.org, target)
        .andThen((facts) => present(facts, target))
        .map(({ build, completed, lastFailure, unresolvedFailures }) =>
          planResume(build, completed, { last: lastFailure, unresolved: unresolvedFailures }),
        ),
    );
  }

  /**
   * A sign of life of a running build: moves its deadline, and nothing else. It moves no version, is not journalled, and needs no idempotency key: saying
   * it twice is saying it.
   *
   * Errors: `not_found`, `illegal_transition` for a build that is not running: its worker should stop.
   */
  heartbeat(buildId: string): Outcome<'builds.heartbeat', void> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.heartbeat, [buildId], ([target]) =>
      safeTry(async function* () {
        const at = new Date(ports.clock.now().getTime());
        if (yield* ports.storage.builds.beat(caller.org, target, at)) return ok(undefined);
        const { found } = yield* ports.storage.builds.get(caller.org, target);
        const build = yield* present(found, target);
        return err(new IllegalTransition('build', build.status, 'heartbeat', legalBuildEvents(build.status)));
      }),
    );
  }

  /** The build with its manifest. Errors: `not_found`. */
  get(buildId: string): Outcome<'builds.get', BuildWithManifest> {
    return operation(this.#scope, methods.get, [buildId], ([target]) => this.#read({ id: target }, target));
  }

  /** The build with this number, and its manifest. Errors: `not_found`. */
  getByNumber(number: string): Outcome<'builds.getByNumber', BuildWithManifest> {
    return operation(this.#scope, methods.getByNumber, [number], ([wanted]) =>
      this.#read({ buildNumber: wanted }, wanted),
    );
  }

  /** Builds from the newest to the oldest, without their manifests. A project that is not there has none. */
  list(
    input: {
      readonly projectId?: string | undefined;
      readonly platformId?: string | undefined;
      readonly osVersionId?: string | undefined;
      readonly imageTypeId?: string | undefined;
      readonly status?: BuildStatus | undefined;
    } & PageInput = {},
  ): Outcome<'builds.list', Page<Build>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.list, [input], ([{ limit, cursor, ...filter }]) =>
      safeTry(async function* () {
        const page = yield* builds.read({ limit, cursor });
        const stored = yield* ports.storage.builds.list(caller.org, withoutUndefined(filter), page);
        return ok(builds.page(stored, noNewPosition, toBuild));
      }),
    );
  }

  /** The history of a build: every attempt at every milestone, in order. Errors: `not_found`. */
  listStates(buildId: string, input: PageInput = {}): Outcome<'builds.listStates', Page<BuildState>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.listStates, [buildId, input], ([target, paging]) =>
      safeTry(async function* () {
        const page = yield* statesInOrder.read(paging);
        const stored = yield* ports.storage.builds.listStates(caller.org, target, page);
        const found = yield* present(stored, target);
        return ok(statesInOrder.page(found, (last) => last.sequence, toBuildState));
      }),
    );
  }

  /** Failures from the newest to the oldest: of one build, or of all. Errors: `not_found` (the build). */
  listFailures(
    input: {
      readonly buildId?: string | undefined;
      readonly resolved?: boolean | undefined;
      readonly failureType?: string | undefined;
      readonly component?: string | undefined;
    } & PageInput = {},
  ): Outcome<'builds.listFailures', Page<BuildFailure>> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.listFailures, [input], ([{ limit, cursor, ...filter }]) =>
      safeTry(async function* () {
        const page = yield* failuresByTime.read({ limit, cursor });
        const stored = yield* ports.storage.builds.listFailures(caller.org, withoutUndefined(filter), page);
        const found = yield* present(stored, filter.buildId ?? '');
        return ok(failuresByTime.page(found, noNewPosition, (failure) => failure));
      }),
    );
  }

  /** Notes what was done about a failure, and when. Once: a second time is `illegal_transition`. Errors: `not_found`, `illegal_transition`. */
  resolveFailure(
    failureId: string,
    input: { readonly notes: string } & Omit<CommandOptions, 'expectedVersion'>,
  ): Outcome<'builds.resolveFailure', BuildFailure> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    const missing = (target: string) => new NotFound('failure', target);
    return operation(scope, methods.resolveFailure, [failureId, input], ([target, { notes: said, ...options }]) =>
      command(
        scope,
        {
          method: methods.resolveFailure.name,
          target: { type: 'failure', id: target },
          options,
          input: [target, said],
        },
        {
          load: (keyId) => storage.builds.getFailure(scope.caller.org, target, keyId),
          replay: () =>
            storage.builds
              .getFailure(scope.caller.org, target)
              .andThen(({ found }) => (found === null ? err(missing(target)) : ok(found))),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              if (found === null) return err(missing(target));
              const failure = yield* resolveFailure(found, said, at);
              const written = yield* storage.builds.resolveFailure({
                failure,
                change: change(
                  {
                    subject: { type: 'build_failure', id: target },
                    action: 'build_failure.resolved',
                    sequence: 1,
                    data: { buildId: failure.buildId, state: failure.state, failureType: failure.failureType },
                  },
                  { id: target },
                ),
              });
              if (written.done) return ok(failure);
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(missing(target));
                case 'resolved':
                  return ok(again);
              }
            }),
        },
      ),
    );
  }

  /**
   * Keeps the manifest that Packer wrote for the build, in place of an earlier one: the file's text, or what it parses to, at most 262,144 bytes. What it
   * says of artifacts is checked; fields that are not known here are kept as they are.
   *
   * Errors: `not_found`; `invalid_input`, naming the place, for what is malformed, truncated, too large or of an unknown version; `stale_version`.
   */
  attachPackerManifest(
    buildId: string,
    manifest: unknown,
    options: CommandOptions = {},
  ): Outcome<'builds.attachPackerManifest', BuildWithManifest> {
    const scope = this.#scope;
    const { storage } = scope.ports;
    const call = [buildId, manifest, options];
    return operation(scope, methods.attachPackerManifest, call, ([target, given, settings]) => {
      const text = JSON.stringify(given);
      return command(
        scope,
        {
          method: methods.attachPackerManifest.name,
          target: { type: 'build', id: target },
          options: settings,
          input: [target, text],
        },
        {
          load: (keyId) => storage.builds.get(scope.caller.org, target, keyId),
          replay: () => this.#read({ id: target }, target),
          attempt: ({ at, change }, { found }) =>
            safeTry(async function* () {
              const before = yield* present(found, target);
              yield* checkVersion('build', before, settings.expectedVersion);
              const build = touched(before, at);
              const written = yield* storage.builds.attachManifest({
                build,
                manifest: text,
                expectedVersion: before.version,
                change: change(
                  {
                    subject: { type: 'build', id: target },
                    action: 'build.manifest_attached',
                    sequence: build.version,
                    data: { buildNumber: build.buildNumber, artifacts: given.builds.length },
                  },
                  { id: target, version: build.version },
                ),
              });
              if (written.done) return ok<BuildWithManifest>({ ...toBuild(build), packerManifest: given });
              switch (written.refused) {
                case 'key_taken':
                  return ok(written.record);
                case 'not_found':
                  return err(new NotFound('build', target));
                case 'stale':
                  return ok(again);
              }
            }),
        },
      );
    });
  }

  /**
   * Figures about many builds: counts by status, the success rate, percentiles of durations by state, and failures by component and type. SQL storages
   * aggregate in the database, in one request. On DynamoDB it reads the builds of the period, page by page, and the percentiles are of a
   * histogram (`approximate`).
   */
  stats(filter: StatsFilter = {}): Outcome<'builds.stats', BuildStats> {
    const { ports, caller } = this.#scope;
    return operation(this.#scope, methods.stats, [filter], ([given]) =>
      given.from !== undefined && given.to !== undefined && given.from > given.to
        ? Promise.resolve(err(new InvalidInput([{ path: 'to', message: 'must not be before from' }])))
        : ports.storage.builds.stats(caller.org, withoutUndefined(given)),
    );
  }

  /**
   * Fails running builds whose deadline has passed without a sign of life (`heartbeat_missed`). Answers what it did, or with `dryRun` would do, and why; at
   * most `limit` (100). Call it every minute or so, from as many processes as you like.
   */
  sweep(
    input: { readonly limit?: number | undefined; readonly dryRun?: boolean | undefined } = {},
  ): Outcome<'builds.sweep', readonly SweptBuild[]> {
    return operation(this.#scope, methods.sweep, [input], ([options]) => sweep(this.#scope, options));
  }

  #read(which: { readonly id: string } | { readonly buildNumber: string }, named: string) {
    const { ports, caller } = this.#scope;
    return ports.storage.builds
      .getWithManifest(caller.org, which)
      .andThen((found) => present(found, named))
      .map(({ build, manifest }) => ({
        ...toBuild(build),
        packerManifest: manifest === null ? null : (JSON.parse(manifest) as PackerManifest),
      }));
  }
}

function withoutUndefined<T extends object>(given: T): { [K in keyof T]-?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]-?: Exclude<T[K], undefined>;
  };
}
