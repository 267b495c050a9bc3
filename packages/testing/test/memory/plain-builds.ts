import {
  BuildNumberTaken,
  CatalogNameTaken,
  err,
  IllegalTransition,
  InUse,
  InvalidInput,
  NotFound,
  ok,
} from '@vivarium/core';
import type {
  BuildFailure,
  BuildHistory,
  BuildState,
  BuildStatus,
  CatalogKind,
  Milestone,
  VivariumError,
} from '@vivarium/core';

import { byName, clean, folded, invalid, pageOf } from './plain-ledger.ts';
import type { Answer, Options, PageInput, PlainActor, PlainLedger } from './plain-ledger.ts';

/** What may happen to a build, as the design has it. */
const legal: Readonly<Record<BuildStatus, readonly string[]>> = {
  pending: ['enter', 'cancel'],
  running: ['enter', 'complete', 'fail', 'cancel'],
  failed: ['resume', 'cancel'],
  completed: [],
  canceled: [],
};

const nouns = { platform: 'platform', os_version: 'OS version', image_type: 'image type' } as const;

interface PlainEntry {
  readonly id: string;
  name: string;
  displayName: string;
  version: number;
  readonly createdAt: Date;
  updatedAt: Date;
  readonly [field: string]: unknown;
}

interface PlainPlan {
  readonly id: string;
  readonly projectId: string;
  readonly version: number;
  readonly milestones: readonly Milestone[];
  readonly createdAt: Date;
}

type Open<T> = { -readonly [Field in keyof T]: T[Field] };
type PlainAttempt = Open<Omit<BuildState, 'durationMs'>>;

interface PlainBuild {
  readonly id: string;
  readonly buildNumber: string;
  readonly projectId: string | null;
  readonly platformId: string;
  readonly osVersionId: string;
  readonly imageTypeId: string;
  readonly planVersion: number;
  readonly milestones: readonly number[];
  readonly heartbeatTimeoutMs: number;
  readonly createdBy: PlainActor;
  status: BuildStatus;
  /** `currentState`, `retryCount`, `attempts` and `startTime` are read off these. */
  readonly history: PlainAttempt[];
  endTime: Date | null;
  heartbeatAt: Date | null;
  manifest: unknown;
  version: number;
  readonly createdAt: Date;
  updatedAt: Date;
}

interface References {
  readonly projectId?: string;
  readonly platformId: string;
  readonly osVersionId: string;
  readonly imageTypeId: string;
}
type StartInput = References & { readonly buildNumber: string; readonly heartbeatTimeoutMs?: number };
type FailInput = Pick<BuildFailure, 'failureType' | 'errorMessage'> &
  Partial<Pick<BuildFailure, 'component' | 'errorDetails' | 'state'>>;
type Facts = Parameters<PlainLedger['note']>[4];
type Filter = Partial<Record<string, unknown>>;

/** The catalog, plans and builds of an org. `projects` says which projects there are. */
export function plainBuilds(ledger: PlainLedger, projects: { get(id: string): Promise<Answer> }) {
  const { actor, now, newId, note, kept, keep, stale } = ledger;
  const entries: Record<CatalogKind, PlainEntry[]> = { platform: [], os_version: [], image_type: [] };
  const plans: PlainPlan[] = [];
  const builds: PlainBuild[] = [];
  const failures: Open<BuildFailure>[] = [];

  const exists = async (projectId: string) => (await projects.get(projectId)).isOk();
  const plansOf = (projectId: string) => plans.filter((plan) => plan.projectId === projectId);
  const builtIn = Array.from({ length: 21 }, (_, index) => ({ state: index * 5, name: null }));
  const failuresOf = (build: PlainBuild) => failures.filter(({ buildId }) => buildId === build.id);

  const stateOf = ({ history }: PlainBuild) => history.at(-1)?.state ?? 0;
  const underWay = ({ history }: PlainBuild) => history.find(({ status }) => status === 'started');
  const seenBuild = async (build: PlainBuild) => {
    const { history, manifest: _manifest, ...rest } = build;
    const { heartbeatAt, heartbeatTimeoutMs, endTime, status } = build;
    const startTime = history[0]?.startTime ?? null;
    const deadline =
      status === 'running' && heartbeatAt !== null ? new Date(heartbeatAt.getTime() + heartbeatTimeoutMs) : null;
    return {
      ...rest,
      projectId: build.projectId !== null && (await exists(build.projectId)) ? build.projectId : null,
      currentState: stateOf(build),
      retryCount: history.at(-1)?.retryCount ?? 0,
      attempts: history.length,
      startTime,
      durationMs: startTime === null || endTime === null ? null : endTime.getTime() - startTime.getTime(),
      deadline,
    };
  };
  const seenWhole = async (build: PlainBuild) => ({ ...(await seenBuild(build)), packerManifest: build.manifest });
  const seenAttempt = (attempt: PlainAttempt) => {
    const { startTime, endTime } = attempt;
    return { ...attempt, durationMs: endTime === null ? null : endTime.getTime() - startTime.getTime() };
  };
  const newestFirst = (a: { createdAt: Date; id: string }, b: { createdAt: Date; id: string }) =>
    b.createdAt.getTime() - a.createdAt.getTime() || (a.id < b.id ? 1 : -1);
  const buildOf = (id: string) => builds.find((build) => build.id === id);
  /** A replay tells the thing as it is then, which has to be looked up. */
  const replayOf = (see: () => Promise<unknown>) => () => see().then(ok) as unknown as Answer;
  const noted = (build: PlainBuild, action: string, facts: Facts) =>
    note('build', build.id, action, build.version, { buildNumber: build.buildNumber, ...facts });

  const catalog = <K extends CatalogKind>(kind: K, list: string, empty: Readonly<Record<string, null>>) => {
    const method = (name: string) => `builds.catalog.${list}.${name}`;
    const all = entries[kind];
    const entryOf = (id: string) => all.find((entry) => entry.id === id);
    const named = (name: string) => all.find((entry) => folded(entry.name) === folded(name));
    const answer = (id: string): Answer => {
      const entry = entryOf(id);
      return entry === undefined ? err(new NotFound(nouns[kind], id)) : ok({ ...entry });
    };
    const reference = { platform: 'platformId', os_version: 'osVersionId', image_type: 'imageTypeId' } as const;
    type Input = { name: string; displayName?: string } & Options & Record<string, unknown>;
    return {
      create: async ({ idempotencyKey, ...given }: Input): Promise<Answer> => {
        const input = { ...given, name: clean(given.name) };
        const options = { ...(idempotencyKey !== undefined && { idempotencyKey }) };
        const before = kept(method('create'), options, input);
        if (before !== null) return before;
        if (named(input.name) !== undefined) return err(new CatalogNameTaken(kind, input.name));
        const times = { createdAt: now(), updatedAt: now() };
        const entry: PlainEntry = { ...empty, id: newId(), displayName: input.name, ...input, version: 1, ...times };
        all.push(entry);
        note(kind, entry.id, 'created', 1, { name: entry.name });
        const made = { ...entry };
        keep(method('create'), options, input, () => ok(made));
        return ok(made);
      },
      get: async (id: string) => answer(id),
      getByName: async (name: string): Promise<Answer> => {
        const entry = named(name);
        return entry === undefined ? err(new NotFound(nouns[kind], clean(name))) : ok({ ...entry });
      },
      list: async (page: PageInput) => pageOf(byName(all), page, (entry) => ({ ...entry })),
      update: async (
        id: string,
        { idempotencyKey, expectedVersion, ...given }: Partial<Input> & Options,
      ): Promise<Answer> => {
        const changes = { ...given, ...(given.name !== undefined && { name: clean(given.name) }) };
        const options = { idempotencyKey, expectedVersion } as Options;
        const before = kept(method('update'), options, [id, changes]);
        if (before !== null) return before;
        const entry = entryOf(id);
        if (entry === undefined) return answer(id);
        const outdated = stale(nouns[kind], entry, options);
        if (outdated !== null) return err(outdated);
        const holder = changes.name === undefined ? undefined : named(changes.name);
        if (holder !== undefined && holder !== entry) return err(new CatalogNameTaken(kind, changes.name!));
        Object.assign(entry, changes, { version: entry.version + 1, updatedAt: now() });
        note(kind, id, 'updated', entry.version, { name: entry.name });
        keep(method('update'), options, [id, changes], () => answer(id));
        return answer(id);
      },
      delete: async (id: string, options: Options = {}): Promise<Answer> => {
        const before = kept(method('delete'), options, [id]);
        if (before !== null) return before;
        const entry = entryOf(id);
        if (entry === undefined) return answer(id);
        const outdated = stale(nouns[kind], entry, options);
        if (outdated !== null) return err(outdated);
        if (builds.some((build) => build[reference[kind]] === id)) return err(new InUse(kind, id));
        all.splice(all.indexOf(entry), 1);
        note(kind, id, 'deleted', entry.version + 1, { name: entry.name });
        keep(method('delete'), options, [id], () => ok(undefined));
        return ok(undefined);
      },
    };
  };

  const missing = async ({
    projectId,
    platformId,
    osVersionId,
    imageTypeId,
  }: References): Promise<VivariumError | null> => {
    if (projectId !== undefined && !(await exists(projectId))) return new NotFound('project', projectId);
    if (!entries.platform.some(({ id }) => id === platformId)) return new NotFound('platform', platformId);
    if (!entries.os_version.some(({ id }) => id === osVersionId)) return new NotFound('OS version', osVersionId);
    return entries.image_type.some(({ id }) => id === imageTypeId) ? null : new NotFound('image type', imageTypeId);
  };
  const planFor = (projectId: string | undefined) =>
    (projectId === undefined ? undefined : plansOf(projectId).at(-1)) ?? { version: 0, milestones: builtIn };
  const newBuild = (input: StartInput, createdAt: Date): PlainBuild => {
    const { version, milestones } = planFor(input.projectId);
    return {
      id: newId(),
      buildNumber: clean(input.buildNumber),
      projectId: input.projectId ?? null,
      platformId: input.platformId,
      osVersionId: input.osVersionId,
      imageTypeId: input.imageTypeId,
      planVersion: version,
      milestones: milestones.map(({ state }) => state),
      heartbeatTimeoutMs: input.heartbeatTimeoutMs ?? 1_800_000,
      createdBy: actor,
      status: 'pending',
      history: [],
      endTime: null,
      heartbeatAt: null,
      manifest: null,
      version: 1,
      createdAt,
      updatedAt: now(),
    };
  };
  const begin = (build: PlainBuild, state: number, at: Date) => {
    const retryCount = build.history.filter((attempt) => attempt.state === state).length;
    build.history.push({
      id: newId(),
      buildId: build.id,
      sequence: build.history.length + 1,
      state,
      status: 'started',
      startTime: at,
      endTime: null,
      errorMessage: null,
      retryCount,
    });
  };
  const end = (
    build: PlainBuild,
    status: 'completed' | 'failed' | 'canceled',
    at: Date,
    errorMessage: string | null = null,
  ) => {
    const open = underWay(build);
    if (open !== undefined) Object.assign(open, { status, endTime: at, errorMessage });
  };

  const illegal = (build: PlainBuild, change: string, instead: readonly string[] = legal[build.status]) => {
    const where = build.history.length === 0 ? build.status : `${build.status} at ${stateOf(build)}`;
    return new IllegalTransition('build', where, change, instead);
  };
  const ahead = (build: PlainBuild) =>
    build.milestones.filter((state) => build.history.length === 0 || state > stateOf(build));
  const waysOn = (build: PlainBuild) => [
    ...(underWay(build) === undefined ? [] : [`complete ${stateOf(build)}`]),
    ...ahead(build).map((state) => `enter ${state}`),
  ];

  /** Every move of a build: finds it, or what stands against the command; `decide` does it, or says why not. */
  const moving = async (
    name: string,
    action: string,
    id: string,
    options: Options,
    input: unknown,
    decide: (build: PlainBuild) => VivariumError | Facts,
  ): Promise<Answer> => {
    const before = kept(`builds.${name}`, options, [id, input]);
    if (before !== null) return before;
    const build = buildOf(id);
    if (build === undefined) return err(new NotFound('build', id));
    const outdated = stale('build', build, options);
    if (outdated !== null) return err(outdated);
    const decided = decide(build);
    if (decided instanceof Error) return err(decided);
    Object.assign(build, { version: build.version + 1, updatedAt: now() });
    const { status } = build;
    noted(build, action, {
      state: stateOf(build),
      status,
      retryCount: build.history.at(-1)?.retryCount ?? 0,
      ...decided,
    });
    keep(
      `builds.${name}`,
      options,
      [id, input],
      replayOf(() => seenBuild(build)),
    );
    return ok(await seenBuild(build));
  };

  const failWith = (build: PlainBuild, told: FailInput) => {
    end(build, 'failed', now(), told.errorMessage);
    failures.push({
      id: newId(),
      buildId: build.id,
      state: stateOf(build),
      failureType: told.failureType,
      errorMessage: told.errorMessage,
      errorDetails: told.errorDetails ?? null,
      component: told.component ?? null,
      retryAttempt: build.history.at(-1)!.retryCount,
      resolved: false,
      resolutionNotes: null,
      createdAt: now(),
      resolvedAt: null,
    });
    Object.assign(build, { status: 'failed', endTime: now() });
    return { failureType: told.failureType, component: told.component ?? null };
  };

  const adding = async (
    name: 'start' | 'import',
    action: string,
    { idempotencyKey, ...given }: StartInput & Options,
    make: (input: StartInput) => PlainBuild | VivariumError,
  ): Promise<Answer> => {
    const input = { ...given, buildNumber: clean(given.buildNumber) };
    const options = { ...(idempotencyKey !== undefined && { idempotencyKey }) };
    const before = kept(`builds.${name}`, options, input);
    if (before !== null) return before;
    const gone = await missing(input);
    if (gone !== null) return err(gone);
    const build = make(input);
    if (build instanceof Error) return err(build);
    if (builds.some(({ buildNumber }) => buildNumber === build.buildNumber)) {
      failures.splice(0, failures.length, ...failures.filter(({ buildId }) => buildId !== build.id));
      return err(new BuildNumberTaken(build.buildNumber));
    }
    builds.push(build);
    noted(build, action, { projectId: build.projectId, status: build.status, state: stateOf(build) });
    keep(
      `builds.${name}`,
      options,
      input,
      replayOf(() => seenBuild(build)),
    );
    return ok(await seenBuild(build));
  };

  /** A history of attempts in their order that overlap nowhere; what is wrong with it is its milestones, its status or its time. */
  const replay = (input: StartInput & BuildHistory): PlainBuild | VivariumError => {
    const build = newBuild(input, input.createdAt);
    const isFuture = (time: Date) => time.getTime() > now().getTime() + 60_000;
    if (isFuture(input.createdAt)) return invalid('createdAt', 'must not be in the future');
    for (const [index, { state, status, startTime, endTime, errorMessage }] of input.states.entries()) {
      if (!build.milestones.includes(state)) {
        return invalid(
          `states[${index}].state`,
          `must be a milestone of the build's plan: ${build.milestones.join(', ')}`,
        );
      }
      begin(build, state, startTime);
      build.status = 'running';
      if (status === 'completed' || status === 'failed') end(build, status, endTime!, errorMessage ?? null);
      if (status === 'failed') Object.assign(build, { status: 'failed', endTime });
      else build.endTime = null;
      if (status === 'completed' && state === 100) Object.assign(build, { status: 'completed', endTime });
    }
    if (input.status === 'canceled') Object.assign(build, { status: 'canceled', endTime: input.endTime });
    if (build.status !== input.status) {
      return invalid('status', `must be ${build.status}: that is what the attempts lead to`);
    }
    build.heartbeatAt = build.status === 'running' ? now() : heartbeatOf(build);
    for (const told of input.failures ?? []) {
      failures.push({
        id: newId(),
        buildId: build.id,
        state: told.state,
        failureType: told.failureType,
        errorMessage: told.errorMessage,
        errorDetails: null,
        component: null,
        retryAttempt: told.retryAttempt ?? 0,
        resolved: false,
        resolutionNotes: null,
        createdAt: told.createdAt,
        resolvedAt: null,
      });
    }
    return build;
  };
  /** The last beginning or completion: failing and canceling are no signs of life. */
  const heartbeatOf = ({ history }: PlainBuild) => {
    const last = history.at(-1);
    return last === undefined ? null : last.status === 'completed' ? last.endTime : last.startTime;
  };

  const matching = async (filter: Filter, list: readonly PlainBuild[]) => {
    const seen = await Promise.all(list.map(seenBuild));
    return seen.filter((build) =>
      Object.entries(filter).every(([field, value]) => (build as Record<string, unknown>)[field] === value),
    );
  };

  return {
    builds: {
      catalog: {
        platforms: catalog('platform', 'platforms', { region: null }),
        osVersions: catalog('os_version', 'osVersions', { minorVersion: null }),
        imageTypes: catalog('image_type', 'imageTypes', { description: null }),
      },

      milestonePlans: {
        define: async ({
          idempotencyKey,
          ...input
        }: { projectId: string; milestones: readonly (number | Milestone)[] } & Options): Promise<Answer> => {
          const options = { ...(idempotencyKey !== undefined && { idempotencyKey }) };
          const before = kept('builds.milestonePlans.define', options, input);
          if (before !== null) return before;
          const { projectId, milestones } = input;
          if (!(await exists(projectId))) return err(new NotFound('project', projectId));
          const plan = {
            id: newId(),
            projectId,
            version: plansOf(projectId).length + 1,
            milestones: milestones.map((one) => (typeof one === 'number' ? { state: one, name: null } : one)),
            createdAt: now(),
          };
          plans.push(plan);
          note('milestone_plan', plan.id, 'defined', 1, { projectId, version: plan.version });
          keep('builds.milestonePlans.define', options, input, () => ok(plan));
          return ok(plan);
        },
        get: async ({ projectId, version }: { projectId: string; version?: number }): Promise<Answer> => {
          if (!(await exists(projectId))) return err(new NotFound('project', projectId));
          const there = plansOf(projectId);
          const plan = version === undefined ? there.at(-1) : there[version - 1];
          if (plan !== undefined) return ok(plan);
          if (version !== undefined && version > 0) return err(new NotFound('milestone plan', `version ${version}`));
          return ok({ id: null, projectId, version: 0, milestones: builtIn, createdAt: null });
        },
      },

      start: (input: StartInput & Options) => adding('start', 'started', input, (given) => newBuild(given, now())),
      import: (input: StartInput & BuildHistory & Options) =>
        adding('import', 'imported', input, (given) => replay(given as StartInput & BuildHistory)),

      states: {
        enter: (id: string, { state, ...options }: { state: number } & Options) =>
          moving('states.enter', 'state_entered', id, options, { state }, (build) => {
            if (!build.milestones.includes(state)) {
              return invalid('state', `must be a milestone of the build's plan: ${build.milestones.join(', ')}`);
            }
            if (!legal[build.status].includes('enter')) return illegal(build, `enter ${state}`);
            if (!ahead(build).includes(state)) return illegal(build, `enter ${state}`, waysOn(build));
            end(build, 'completed', now());
            begin(build, state, now());
            Object.assign(build, { status: 'running', heartbeatAt: now() });
            return {};
          }),
        complete: (id: string, { state, ...options }: { state: number } & Options) =>
          moving('states.complete', 'state_completed', id, options, { state }, (build) => {
            if (build.status !== 'running') return illegal(build, `complete ${state}`);
            if (underWay(build)?.state !== state) return illegal(build, `complete ${state}`, waysOn(build));
            end(build, 'completed', now());
            build.heartbeatAt = now();
            if (state === 100) Object.assign(build, { status: 'completed', endTime: now() });
            return {};
          }),
        fail: (id: string, { idempotencyKey, expectedVersion, ...told }: FailInput & Options) =>
          moving('states.fail', 'failed', id, { idempotencyKey, expectedVersion } as Options, told, (build) => {
            if (build.status !== 'running') return illegal(build, 'fail');
            const at = stateOf(build);
            if (told.state !== undefined && told.state !== at)
              return illegal(build, `fail ${told.state}`, [`fail ${at}`]);
            return failWith(build, told);
          }),
      },
      resume: (id: string, options: Options = {}) =>
        moving('resume', 'resumed', id, options, {}, (build) => {
          if (build.status !== 'failed') return illegal(build, 'resume');
          begin(build, stateOf(build), now());
          Object.assign(build, { status: 'running', endTime: null, heartbeatAt: now() });
          return {};
        }),
      cancel: (id: string, options: Options = {}) =>
        moving('cancel', 'canceled', id, options, {}, (build) => {
          if (!legal[build.status].includes('cancel')) return illegal(build, 'cancel');
          end(build, 'canceled', now());
          Object.assign(build, { status: 'canceled', endTime: now() });
          return {};
        }),

      planResume: async (id: string): Promise<Answer> => {
        const build = buildOf(id);
        if (build === undefined) return err(new NotFound('build', id));
        const { status, milestones, history } = build;
        const [at, isDone] = [
          stateOf(build),
          (state: number) => history.some((one) => one.state === state && one.status === 'completed'),
        ];
        const mine = failuresOf(build);
        return ok({
          buildId: id,
          resumable: status === 'failed',
          why: status === 'failed' ? null : `the build is ${status}; only a failed one resumes`,
          state: at,
          retryCount: history.length === 0 ? 0 : history.at(-1)!.retryCount + 1,
          completed: milestones.filter(isDone),
          skipped: milestones.filter((state) => state < at && !isDone(state)),
          remaining: milestones.filter((state) => state >= at && !isDone(state)),
          unresolvedFailures: mine.filter(({ resolved }) => !resolved).length,
          lastFailure: mine.toSorted(newestFirst)[0] ?? null,
        });
      },
      heartbeat: async (id: string): Promise<Answer> => {
        const build = buildOf(id);
        if (build === undefined) return err(new NotFound('build', id));
        const { status } = build;
        if (status !== 'running') return err(new IllegalTransition('build', status, 'heartbeat', legal[status]));
        build.heartbeatAt = now();
        return ok(undefined);
      },
      attachPackerManifest: async (id: string, given: unknown, options: Options = {}): Promise<Answer> => {
        const manifest = (typeof given === 'string' ? JSON.parse(given) : given) as {
          builds: readonly { packer_run_uuid: string }[];
          last_run_uuid: string;
        };
        if (!manifest.builds.some((build) => build.packer_run_uuid === manifest.last_run_uuid)) {
          return err(
            new InvalidInput([
              { path: 'manifest.last_run_uuid', message: 'must be the packer_run_uuid of one of the builds' },
            ]),
          );
        }
        const before = kept('builds.attachPackerManifest', options, [id, manifest]);
        if (before !== null) return before;
        const build = buildOf(id);
        if (build === undefined) return err(new NotFound('build', id));
        const outdated = stale('build', build, options);
        if (outdated !== null) return err(outdated);
        Object.assign(build, { manifest, version: build.version + 1, updatedAt: now() });
        noted(build, 'manifest_attached', { artifacts: manifest.builds.length });
        keep(
          'builds.attachPackerManifest',
          options,
          [id, manifest],
          replayOf(() => seenWhole(build)),
        );
        return ok(await seenWhole(build));
      },

      get: async (id: string): Promise<Answer> => {
        const build = buildOf(id);
        return build === undefined ? err(new NotFound('build', id)) : ok(await seenWhole(build));
      },
      getByNumber: async (number: string): Promise<Answer> => {
        const build = builds.find(({ buildNumber }) => buildNumber === clean(number));
        return build === undefined ? err(new NotFound('build', clean(number))) : ok(await seenWhole(build));
      },
      list: async ({ limit, cursor, ...filter }: Filter & PageInput) =>
        pageOf((await matching(filter, builds)).toSorted(newestFirst), { limit: limit!, cursor }, (build) => build),
      listStates: async (id: string, page: PageInput): Promise<Answer> => {
        const build = buildOf(id);
        return build === undefined ? err(new NotFound('build', id)) : pageOf(build.history, page, seenAttempt);
      },
      listFailures: async ({
        limit,
        cursor,
        ...filter
      }: { buildId?: string } & Filter & PageInput): Promise<Answer> => {
        if (filter.buildId !== undefined && buildOf(filter.buildId) === undefined) {
          return err(new NotFound('build', filter.buildId));
        }
        const found = failures.filter((failure) =>
          Object.entries(filter).every(([field, value]) => failure[field as keyof BuildFailure] === value),
        );
        return pageOf(found.toSorted(newestFirst), { limit: limit!, cursor }, (failure) => ({ ...failure }));
      },
      resolveFailure: async (id: string, { notes, ...options }: { notes: string } & Options): Promise<Answer> => {
        const before = kept('builds.resolveFailure', options, [id, notes]);
        if (before !== null) return before;
        const failure = failures.find((one) => one.id === id);
        if (failure === undefined) return err(new NotFound('failure', id));
        if (failure.resolved) return err(new IllegalTransition('failure', 'resolved', 'resolveFailure', []));
        Object.assign(failure, { resolved: true, resolutionNotes: notes, resolvedAt: now() });
        const { buildId, state, failureType } = failure;
        note('build_failure', id, 'resolved', 1, { buildId, state, failureType });
        keep('builds.resolveFailure', options, [id, notes], () => ok({ ...failure }));
        return ok({ ...failure });
      },

      stats: ({ from, to, ...filter }: { from?: Date; to?: Date } & Filter) => ({
        map: async (view: (stats: never) => unknown) => {
          const ids = new Set(
            (await matching(filter, builds))
              .filter(
                ({ createdAt }) => (from === undefined || createdAt >= from) && (to === undefined || createdAt < to),
              )
              .map(({ id }) => id),
          );
          const meant = builds.filter(({ id }) => ids.has(id));
          const count = (status: BuildStatus) => meant.filter((build) => build.status === status).length;
          const [completed, failed] = [count('completed'), count('failed')];
          const attempts = meant.flatMap(({ history }) => history);
          const groups = Map.groupBy(
            failures.filter(({ buildId }) => ids.has(buildId)),
            ({ component, failureType }) => `${component ?? ''}\0${failureType}`,
          );
          return ok(
            view({
              total: meant.length,
              byStatus: {
                pending: count('pending'),
                running: count('running'),
                failed,
                completed,
                canceled: count('canceled'),
              },
              successRate: completed + failed === 0 ? null : completed / (completed + failed),
              states: [...new Set(attempts.map(({ state }) => state))]
                .toSorted((a, b) => a - b)
                .map((state) => {
                  const here = attempts.filter((attempt) => attempt.state === state);
                  const ended = (status: string) => here.filter((attempt) => attempt.status === status).length;
                  return { state, attempts: here.length, completed: ended('completed'), failed: ended('failed') };
                }),
              failures: [...groups]
                .toSorted(
                  ([a, one], [b, two]) => two.length - one.length || Buffer.compare(Buffer.from(a), Buffer.from(b)),
                )
                .map(([, group]) => ({
                  component: group[0]!.component,
                  failureType: group[0]!.failureType,
                  count: group.length,
                  unresolved: group.filter(({ resolved }) => !resolved).length,
                })),
            } as never),
          );
        },
      }),
      sweep: async ({ limit, dryRun }: { limit: number; dryRun: boolean }): Promise<Answer> => {
        const due = builds
          .filter(
            ({ status, heartbeatAt, heartbeatTimeoutMs }) =>
              status === 'running' && heartbeatAt!.getTime() + heartbeatTimeoutMs <= now().getTime(),
          )
          .toSorted((a, b) => (a.id < b.id ? -1 : 1));
        return ok(
          due.slice(0, limit).map((build) => {
            const { id: buildId, buildNumber, heartbeatAt, heartbeatTimeoutMs } = build;
            const why = `no sign of life since ${heartbeatAt!.toISOString()}, for more than ${heartbeatTimeoutMs} ms`;
            if (!dryRun) {
              const told = failWith(build, { failureType: 'heartbeat_missed', errorMessage: why });
              Object.assign(build, { version: build.version + 1, updatedAt: now() });
              const { retryCount } = build.history.at(-1)!;
              noted(build, 'failed', { state: stateOf(build), status: 'failed', retryCount, ...told });
            }
            return { buildId, buildNumber, action: 'fail', why, outcome: dryRun ? 'planned' : 'done' };
          }),
        );
      },
    },
  };
}
