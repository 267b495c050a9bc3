import type {
  BuildHistory,
  CatalogLists,
  Client,
  CommandOptions,
  Method,
  ResultAsync,
  VivariumError,
} from '@vivarium/core';

import type { World } from './world.ts';

type Answer = ResultAsync<unknown, VivariumError>;
type Call<Options> = (client: Client<unknown>, world: World, options: Options) => Answer;

/** Options that fit every command: those that make something have no version to expect. */
type Options = Omit<CommandOptions, 'expectedVersion'>;

type List = CatalogLists[keyof CatalogLists];

/** The three lists of the catalog have the same methods; what they take differs. */
export interface AnyCatalog {
  create(input: object): Answer;
  get(id: string): Answer;
  getByName(name: string): Answer;
  list(page?: object): Answer;
  update(id: string, input: object): Answer;
  delete(id: string, options?: object): Answer;
}

export function catalogOf(client: Client<unknown>, list: List): AnyCatalog {
  // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- necessary: the three lists take different inputs
  return client.builds.catalog[list] as unknown as AnyCatalog;
}

/** What an entry of each list is made of, without its name. */
export const catalogEntries: Readonly<Record<List, object>> = {
  platforms: { cloudProvider: 'aws', region: 'eu-central-1' },
  osVersions: { osFamily: 'rhel', majorVersion: 8, minorVersion: 8 },
  imageTypes: { description: 'an image' },
};
const other: Readonly<Record<List, object>> = {
  platforms: { cloudProvider: 'azure' },
  osVersions: { osFamily: 'sles', majorVersion: 15 },
  imageTypes: { description: null },
};

interface Command {
  readonly call: Call<CommandOptions>;
  readonly other: Call<CommandOptions>;
  readonly versioned: boolean;
}

function catalogCommands<L extends List>(
  list: L,
  which: 'platform' | 'osVersion' | 'imageType',
): Readonly<Record<`builds.catalog.${L}.${'create' | 'update' | 'delete'}`, Command>> {
  const commands: Record<'create' | 'update' | 'delete', Command> = {
    create: {
      call: (client, _world, options: Options) =>
        catalogOf(client, list).create({ name: 'new', ...catalogEntries[list], ...options }),
      other: (client, _world, options: Options) =>
        catalogOf(client, list).create({ name: 'new', ...other[list], ...options }),
      versioned: false,
    },
    update: {
      call: (client, { spare }, options) =>
        catalogOf(client, list).update(spare[which].id, { name: 'renamed', displayName: 'Renamed', ...options }),
      other: (client, { spare }, options) =>
        catalogOf(client, list).update(spare[which].id, { ...other[list], ...options }),
      versioned: true,
    },
    delete: {
      call: (client, { spare }, options) => catalogOf(client, list).delete(spare[which].id, options),
      other: (client, { [which]: used }, options) => catalogOf(client, list).delete(used.id, options),
      versioned: true,
    },
  };
  return Object.fromEntries(
    Object.entries(commands).map(([name, command]) => [`builds.catalog.${list}.${name}`, command]),
  ) as unknown as ReturnType<typeof catalogCommands<L>>;
}

/** What builds of a world refer to. */
export function referencesIn({ project, platform, osVersion, imageType }: World) {
  return { projectId: project.id, platformId: platform.id, osVersionId: osVersion.id, imageTypeId: imageType.id };
}

/** A history that a build could have had: it failed at 5, and is still there. */
export function failedHistory(): Pick<BuildHistory, 'status' | 'createdAt' | 'states' | 'failures'> {
  const at = (second: number) => new Date(Date.UTC(2024, 0, 1, 0, 0, second));
  return {
    status: 'failed',
    createdAt: at(0),
    states: [
      { state: 0, status: 'completed', startTime: at(1), endTime: at(2) },
      { state: 5, status: 'failed', startTime: at(2), endTime: at(4), errorMessage: 'no space left on device' },
    ],
    failures: [
      {
        state: 5,
        failureType: 'provisioner',
        errorMessage: 'no space left on device',
        createdAt: at(4),
        component: 'disk',
      },
    ],
  };
}

/** What Packer writes for one artifact. */
export const packerManifest = {
  builds: [
    {
      name: 'base',
      builder_type: 'amazon-ebs',
      build_time: 1_700_000_000,
      files: null,
      artifact_id: 'eu-central-1:ami-0123',
      packer_run_uuid: '8c3f1f0a-0000-4000-8000-000000000001',
      custom_data: { git: 'abc' },
    },
  ],
  last_run_uuid: '8c3f1f0a-0000-4000-8000-000000000001',
} as const;

const failure = { failureType: 'provisioner', errorMessage: 'exit status 1', component: 'ansible' };

/** One call of each command of builds; see `everyCommand`. */
export const everyBuildCommand = {
  ...catalogCommands('platforms', 'platform'),
  ...catalogCommands('osVersions', 'osVersion'),
  ...catalogCommands('imageTypes', 'imageType'),
  'builds.milestonePlans.define': {
    call: (client, { project }, options: Options) =>
      client.builds.milestonePlans.define({
        projectId: project.id,
        milestones: [0, { state: 50, name: 'half' }, 100],
        ...options,
      }),
    other: (client, { project }, options: Options) =>
      client.builds.milestonePlans.define({ projectId: project.id, milestones: [0, 50, 100], ...options }),
    versioned: false,
  },
  'builds.start': {
    call: (client, world, options: Options) =>
      client.builds.start({ buildNumber: 'new-1', ...referencesIn(world), ...options }),
    other: (client, world, options: Options) =>
      client.builds.start({ buildNumber: 'new-1', ...referencesIn(world), heartbeatTimeoutMs: 5_000, ...options }),
    versioned: false,
  },
  'builds.import': {
    call: (client, world, options: Options) =>
      client.builds.import({ buildNumber: 'old-1', ...referencesIn(world), ...failedHistory(), ...options }),
    other: (client, world, options: Options) =>
      client.builds.import({
        buildNumber: 'old-1',
        ...referencesIn(world),
        ...failedHistory(),
        failures: [],
        ...options,
      }),
    versioned: false,
  },
  'builds.cancel': {
    call: (client, { running }, options) => client.builds.cancel(running.id, options),
    other: (client, { failed }, options) => client.builds.cancel(failed.id, options),
    versioned: true,
  },
  'builds.resume': {
    call: (client, { failed }, options) => client.builds.resume(failed.id, options),
    other: (client, { running }, options) => client.builds.resume(running.id, options),
    versioned: true,
  },
  'builds.states.enter': {
    call: (client, { running }, options) => client.builds.states.enter(running.id, { state: 10, ...options }),
    other: (client, { running }, options) => client.builds.states.enter(running.id, { state: 15, ...options }),
    versioned: true,
  },
  'builds.states.complete': {
    call: (client, { running }, options) => client.builds.states.complete(running.id, { state: 5, ...options }),
    other: (client, { running }, options) => client.builds.states.complete(running.id, { state: 10, ...options }),
    versioned: true,
  },
  'builds.states.fail': {
    call: (client, { running }, options) =>
      client.builds.states.fail(running.id, { ...failure, errorDetails: { exit: 1 }, ...options }),
    other: (client, { running }, options) => client.builds.states.fail(running.id, { ...failure, ...options }),
    versioned: true,
  },
  'builds.resolveFailure': {
    call: (client, { failure: { id } }, options: Options) =>
      client.builds.resolveFailure(id, { notes: 'a larger disk', ...options }),
    other: (client, { failure: { id } }, options: Options) =>
      client.builds.resolveFailure(id, { notes: 'a smaller image', ...options }),
    versioned: false,
  },
  'builds.attachPackerManifest': {
    call: (client, { running }, options) => client.builds.attachPackerManifest(running.id, packerManifest, options),
    other: (client, { running }, options) =>
      client.builds.attachPackerManifest(running.id, { ...packerManifest, note: 'x' }, options),
    versioned: true,
  },
} as const satisfies Partial<Record<Method, Command>>;

export type BuildCommandMethod = keyof typeof everyBuildCommand;

type BuildRead = Exclude<Extract<Method, `builds.${string}`>, BuildCommandMethod>;

function catalogReads<L extends List>(list: L, which: 'platform' | 'osVersion' | 'imageType') {
  const reads: Record<'get' | 'getByName' | 'list', (client: Client<unknown>, world: World) => Answer> = {
    get: (client, { [which]: entry }) => catalogOf(client, list).get(entry.id),
    getByName: (client, { [which]: entry }) => catalogOf(client, list).getByName(entry.name),
    list: (client) => catalogOf(client, list).list({ limit: 100 }),
  };
  return Object.fromEntries(
    Object.entries(reads).map(([name, call]) => [`builds.catalog.${list}.${name}`, call]),
  ) as unknown as Readonly<
    Record<`builds.catalog.${L}.${'get' | 'getByName' | 'list'}`, (client: Client<unknown>, world: World) => Answer>
  >;
}

/** One call of each other method of builds. */
export const everyBuildRead: Readonly<Record<BuildRead, (client: Client<unknown>, world: World) => Answer>> = {
  ...catalogReads('platforms', 'platform'),
  ...catalogReads('osVersions', 'osVersion'),
  ...catalogReads('imageTypes', 'imageType'),
  'builds.milestonePlans.get': (client, { project }) => client.builds.milestonePlans.get({ projectId: project.id }),
  'builds.planResume': (client, { failed }) => client.builds.planResume(failed.id),
  'builds.heartbeat': (client, { running }) => client.builds.heartbeat(running.id),
  'builds.get': (client, { failed }) => client.builds.get(failed.id),
  'builds.getByNumber': (client, { failed }) => client.builds.getByNumber(failed.buildNumber),
  'builds.list': (client, { project }) => client.builds.list({ projectId: project.id, status: 'failed' }),
  'builds.listStates': (client, { failed }) => client.builds.listStates(failed.id, { limit: 100 }),
  'builds.listFailures': (client, { failed }) => client.builds.listFailures({ buildId: failed.id, resolved: false }),
  'builds.stats': (client, { project, platform }) =>
    client.builds.stats({ projectId: project.id, platformId: platform.id }),
  'builds.sweep': (client) => client.builds.sweep({ limit: 100, dryRun: true }),
};
